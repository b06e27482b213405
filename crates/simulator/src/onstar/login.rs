//! The login of the maker's customers (Azure AD B2C) and the exchange into tokens of the API, over HTTP.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use parcelshelf_core::time::{Entropy, Timestamp, random};
use serde_json::json;
use url::Url;

use super::file::ClientFile;
use super::identity::{API_S, Consent, LOGIN_S, REFRESH_S, Refused};
use super::pages;
use super::world::World;

/// Path of the tenant and its policy. The real one is matched in any letter case; clients write both.
pub const LOGIN_PATH: &str = "/gmb2cprod.onmicrosoft.com/b2c_1a_seamless_mobile_signuporsignin";
/// Where the login's token becomes one of the API.
pub const EXCHANGE_PATH: &str = "/sec/authz/v3/oauth/token";

/// What a path of the login means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Discovery,
    Authorize,
    Token,
    Exchange,
}
#[must_use]
pub fn route(path: &str) -> Option<Asked> {
    if path == EXCHANGE_PATH {
        return Some(Asked::Exchange);
    }
    let head = path.get(..LOGIN_PATH.len()).filter(|head| head.eq_ignore_ascii_case(LOGIN_PATH))?;
    Some(match &path[head.len()..] {
        "/v2.0/.well-known/openid-configuration" => Asked::Discovery,
        "/oauth2/v2.0/authorize" => Asked::Authorize,
        "/oauth2/v2.0/token" => Asked::Token,
        _ => return None,
    })
}

/// One request as it came in.
pub struct Call<'a> {
    pub method: &'a Method,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    /// Scheme and host by which the caller reached this cloud.
    pub origin: &'a str,
    pub now: Timestamp,
}

pub fn answer(asked: Asked, call: &Call<'_>, world: &mut World, entropy: &dyn Entropy) -> Response {
    match (asked, call.method == Method::POST) {
        (Asked::Discovery, false) => discovery(call.origin),
        (Asked::Authorize, false) => authorize(call, world, entropy),
        (Asked::Token, true) => token(call, world, entropy),
        (Asked::Exchange, true) => exchange(call, world, entropy),
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

/// Parameters of a query or form, each once.
struct Parameters(BTreeMap<String, String>);
impl Parameters {
    /// `None` if one is repeated (RFC 6749 §3.1).
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut all = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(bytes) {
            if all.insert(name.into_owned(), value.into_owned()).is_some() {
                return None;
            }
        }
        Some(Self(all))
    }
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }
    fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}

fn discovery(origin: &str) -> Response {
    let base = format!("{origin}{LOGIN_PATH}");
    axum::Json(json!({
        "issuer": format!("{base}/v2.0/"),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
    }))
    .into_response()
}

/// Lets in at once the owner that `login_hint` names; without one, shows a form. The real page asks for a password and a
/// second factor.
fn authorize(call: &Call<'_>, world: &mut World, entropy: &dyn Entropy) -> Response {
    let refuse = |why: &str| (StatusCode::BAD_REQUEST, Html(pages::refused(why))).into_response();
    let Some(asked) = Parameters::parse(call.query.as_bytes()) else { return refuse("a parameter is repeated") };
    let Some(client) = world.clients.iter().find(|c| Some(c.client_id.as_str()) == asked.get("client_id")) else {
        return refuse("unknown client_id");
    };
    // Nothing is sent to an address that is not the client's own (RFC 6749 §4.1.2.1).
    let Some(redirect) = asked.get("redirect_uri").and_then(|uri| own_address(client, uri)) else {
        return refuse("redirect_uri is not registered for this client");
    };
    let client_id = client.client_id.clone();
    let state = asked.get("state");
    let Some(challenge) = asked.get("code_challenge").filter(|c| c.len() == 43 && c.is_ascii()) else {
        return back(redirect, state, &[("error", "invalid_request")]);
    };
    let scope = asked.text("scope");
    let whole = asked.get("response_type") == Some("code")
        && asked.get("code_challenge_method") == Some("S256")
        && ["openid", "offline_access"].iter().all(|needed| scope.split(' ').any(|s| s == *needed));
    if !whole {
        return back(redirect, state, &[("error", "invalid_request")]);
    }
    if asked.get("consent") == Some("deny") {
        let words = "AADB2C90091: The user has cancelled entering self-asserted information.";
        return back(redirect, state, &[("error", "access_denied"), ("error_description", words)]);
    }
    let Some(owner) = asked.get("login_hint").filter(|login| world.owners.contains_key(*login)) else {
        let logins: Vec<&str> = world.owners.keys().take(100).map(String::as_str).collect();
        return Html(pages::login(&asked.0, &logins)).into_response();
    };
    let consent = Consent {
        client_id,
        owner: owner.to_owned(),
        redirect_uri: asked.text("redirect_uri").to_owned(),
        challenge: challenge.to_owned(),
    };
    match world.identity.consented(consent, random(entropy), call.now) {
        Some(code) => back(redirect, state, &[("code", &code)]),
        None => back(redirect, state, &[("error", "temporarily_unavailable")]),
    }
}

/// The address if it is the client's own. A registered one stays as it is spelled: an app's scheme has capital letters.
fn own_address(client: &ClientFile, uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok().filter(|u| u.fragment().is_none())?;
    if !client.redirect_uris.is_empty() {
        return client.redirect_uris.iter().find(|u| *u == uri).cloned();
    }
    let own = matches!(url.scheme(), "http" | "https")
        && match url.host()? {
            url::Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            url::Host::Ipv4(ip) => ip.is_loopback(),
            url::Host::Ipv6(ip) => ip.is_loopback(),
        };
    own.then(|| url.into())
}
fn back(mut address: String, state: Option<&str>, parameters: &[(&str, &str)]) -> Response {
    let state = state.map(|state| ("state", state));
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters.iter().copied().chain(state))
        .finish();
    address.push(if address.contains('?') { '&' } else { '?' });
    address.push_str(&query);
    let headers = [(header::LOCATION, address), (header::CACHE_CONTROL, "no-store".to_owned())];
    (StatusCode::FOUND, headers).into_response()
}

fn form(call: &Call<'_>) -> Option<Parameters> {
    let kind = call.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let form = kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded");
    if form { Parameters::parse(call.body) } else { None }
}
fn refusal(refused: Refused) -> Response {
    let body = json!({"error": refused.error, "error_description": refused.description});
    (StatusCode::BAD_REQUEST, [(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
}

/// The login's token endpoint: a public client, so that PKCE and the refresh token are the only proof.
fn token(call: &Call<'_>, world: &mut World, entropy: &dyn Entropy) -> Response {
    world.record.token_requests += 1;
    let bad = |error, description| refusal(Refused { error, description });
    let Some(asked) = form(call) else { return bad("invalid_request", "a form without repeated members is required") };
    let client_id = asked.text("client_id");
    if !world.clients.iter().any(|c| c.client_id == client_id) {
        return bad("invalid_client", "AADB2C90013: The requested client_id is unknown.");
    }
    let fresh = [random(entropy), random(entropy)];
    let pair = match asked.text("grant_type") {
        "authorization_code" => world.identity.exchange_code(
            client_id,
            asked.text("code"),
            asked.text("redirect_uri"),
            asked.text("code_verifier"),
            fresh,
            call.now,
        ),
        "refresh_token" => world.identity.refresh(client_id, asked.text("refresh_token"), fresh, call.now),
        _ => return bad("unsupported_grant_type", "grant_type is missing or unknown"),
    };
    match pair {
        Ok(pair) => {
            let body = json!({
                "access_token": pair.access_token,
                "refresh_token": pair.refresh_token,
                "token_type": "Bearer",
                "not_before": call.now.unix_seconds(),
                "expires_in": LOGIN_S,
                "refresh_token_expires_in": REFRESH_S,
            });
            ([(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
        }
        Err(refused) => refusal(refused),
    }
}

/// RFC 8693: the login's access token against one of the API, which names the owner's cars.
fn exchange(call: &Call<'_>, world: &mut World, entropy: &dyn Entropy) -> Response {
    world.record.token_requests += 1;
    let bad = |error, description| refusal(Refused { error, description });
    let Some(asked) = form(call) else { return bad("invalid_request", "a form is required") };
    let of_tokens = asked.text("grant_type") == "urn:ietf:params:oauth:grant-type:token-exchange"
        && asked.text("subject_token_type") == "urn:ietf:params:oauth:token-type:access_token";
    let scope = asked.text("scope");
    if !of_tokens || asked.get("device_id").is_none() || !scope.split(' ').any(|s| s == "onstar") {
        return bad("invalid_request", "grant_type, subject_token_type, device_id or scope");
    }
    let subject = asked.text("subject_token");
    let Some(owner) = world.identity.logged_in(subject, call.now).map(str::to_owned) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let silent = world.owners.get(&owner).is_some_and(|o| o.without_vehs);
    let vins = (!silent).then(|| world.vins_of(&owner));
    match world.identity.exchange_token(subject, vins, random(entropy), call.now) {
        Some(token) => {
            let body = json!({
                "access_token": token,
                "token_type": "bearer",
                "expires_in": API_S,
                "scope": scope,
                "onstar_account_info": {"country_code": "US", "account_no": "1000000001"},
                "user_info": {"RemoteUserId": owner, "country": "US"},
            });
            ([(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
        }
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policys_name_is_matched_in_any_letter_case() {
        let other = "/gmb2cprod.onmicrosoft.com/B2C_1A_SEAMLESS_MOBILE_SignUpOrSignIn";
        for (path, asked) in [
            (format!("{LOGIN_PATH}/oauth2/v2.0/token"), Some(Asked::Token)),
            (format!("{other}/oauth2/v2.0/authorize"), Some(Asked::Authorize)),
            (format!("{other}/v2.0/.well-known/openid-configuration"), Some(Asked::Discovery)),
            (EXCHANGE_PATH.to_owned(), Some(Asked::Exchange)),
            (format!("{LOGIN_PATH}/oauth2/v2.0/logout"), None),
            ("/".to_owned(), None),
            ("/gmb2cprod.onmicrosoft.com/b2c_1a_seamless_mobile_signuporsigniñ".to_owned(), None),
        ] {
            assert_eq!(route(&path), asked, "{path}");
        }
    }
}
