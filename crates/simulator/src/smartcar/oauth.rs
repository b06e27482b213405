//! The consent page and the token endpoint over HTTP.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parcelshelf_core::time::random;
use serde_json::json;
use url::Url;

use super::file::ClientFile;
use super::identity::{self, ACCESS_S, Consent, SCOPES, Scopes};
use super::world::World;
use super::{Cloud, pages};

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
}

/// `GET /oauth/authorize`: consents at once for the owner that `login_hint` names; without one, shows a form.
pub async fn authorize(State(cloud): State<Cloud>, RawQuery(query): RawQuery) -> Response {
    let refuse = |why: &str| (StatusCode::BAD_REQUEST, Html(pages::refused(why))).into_response();
    let Some(asked) = Parameters::parse(query.as_deref().unwrap_or_default().as_bytes()) else {
        return refuse("a parameter is repeated");
    };
    let now = cloud.now();
    let mut world = cloud.world();
    let Some(client) = asked.get("client_id").and_then(|id| world.clients.iter().find(|c| c.client_id == id)) else {
        return refuse("unknown client_id");
    };
    // Nothing is sent to an address that is not the client's own (RFC 6749 §4.1.2.1).
    let Some(redirect) = asked.get("redirect_uri").and_then(|uri| own_address(client, uri)) else {
        return refuse("redirect_uri is not registered for this client");
    };
    let redirect_uri = asked.get("redirect_uri").unwrap_or_default().to_owned();
    let client_id = client.client_id.clone();
    let state = asked.get("state");
    let scopes = match checked(&asked) {
        Ok(scopes) => scopes,
        Err((error, description)) => {
            return back(redirect, state, &[("error", error), ("error_description", description)]);
        }
    };
    if asked.get("consent") == Some("deny") {
        return back(redirect, state, &[("error", "access_denied")]);
    }
    let Some(owner) = asked.get("login_hint").filter(|login| world.owners.contains_key(*login)) else {
        let logins: Vec<&str> = world.owners.keys().take(100).map(String::as_str).collect();
        return Html(pages::login(&asked.0, &logins, &scopes)).into_response();
    };
    let refused = world.owners.get(owner).map(|o| o.refused_scopes.clone()).unwrap_or_default();
    let given: Scopes = scopes.difference(&refused).cloned().collect();
    let owner = owner.to_owned();
    world.connect(&client_id, &owner);
    let consent = Consent { client_id, owner, redirect_uri, scopes: given };
    match world.identity.consented(consent, random(&*cloud.entropy), now) {
        Some(code) => back(redirect, state, &[("code", &code)]),
        None => back(redirect, state, &[("error", "temporarily_unavailable")]),
    }
}

fn checked(asked: &Parameters) -> Result<Scopes, (&'static str, &'static str)> {
    if asked.get("response_type") != Some("code") {
        return Err(("unsupported_response_type", "response_type must be code"));
    }
    if !["live", "test", "simulated"].contains(&asked.get("mode").unwrap_or("live")) {
        return Err(("invalid_request", "mode is live, test or simulated"));
    }
    if !["auto", "force"].contains(&asked.get("approval_prompt").unwrap_or("auto")) {
        return Err(("invalid_request", "approval_prompt is auto or force"));
    }
    let scopes: Scopes = asked.get("scope").unwrap_or_default().split(' ').map(str::to_owned).collect();
    if scopes.iter().any(|s| !known_scope(s)) {
        return Err(("invalid_scope", "every permission must be a published one"));
    }
    Ok(scopes)
}
/// The permissions of our endpoints, and any other of the vendor's families, which give nothing here.
fn known_scope(scope: &str) -> bool {
    let family = |prefix: &str| scope.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.len() < 60);
    SCOPES.contains(&scope) || family("read_") || family("control_")
}

/// The address if it is the client's own.
fn own_address(client: &ClientFile, uri: &str) -> Option<Url> {
    let url = Url::parse(uri).ok().filter(|u| u.fragment().is_none() && matches!(u.scheme(), "http" | "https"))?;
    let own = if client.redirect_uris.is_empty() {
        match url.host()? {
            url::Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            url::Host::Ipv4(ip) => ip.is_loopback(),
            url::Host::Ipv6(ip) => ip.is_loopback(),
        }
    } else {
        client.redirect_uris.iter().any(|u| u == uri)
    };
    own.then_some(url)
}
fn back(mut address: Url, state: Option<&str>, parameters: &[(&str, &str)]) -> Response {
    {
        let mut pairs = address.query_pairs_mut();
        pairs.extend_pairs(parameters);
        if let Some(state) = state {
            pairs.append_pair("state", state);
        }
    }
    let headers = [(header::LOCATION, String::from(address)), (header::CACHE_CONTROL, "no-store".to_owned())];
    (StatusCode::FOUND, headers).into_response()
}

/// `POST /oauth/token`: form-encoded, the client authenticated by Basic.
pub async fn token(State(cloud): State<Cloud>, headers: HeaderMap, body: Bytes) -> Response {
    let now = cloud.now();
    let mut world = cloud.world();
    world.record.token_requests += 1;
    let form = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    if !form.is_some_and(|t| t.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")) {
        return refusal(StatusCode::BAD_REQUEST, "invalid_request", "a form is required");
    }
    let Some(client_id) = authenticated(&world, &headers) else {
        let mut response = refusal(StatusCode::UNAUTHORIZED, "invalid_client", "unknown client or wrong secret");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Basic"));
        return response;
    };
    let Some(asked) = Parameters::parse(&body) else {
        return refusal(StatusCode::BAD_REQUEST, "invalid_request", "a parameter is repeated");
    };
    let fresh = [random(&*cloud.entropy), random(&*cloud.entropy)];
    let parameter = |name: &str| asked.get(name).unwrap_or_default();
    let pair = match asked.get("grant_type") {
        Some("authorization_code") => {
            world.identity.exchange(&client_id, parameter("code"), parameter("redirect_uri"), fresh, now)
        }
        Some("refresh_token") => world.identity.refresh(&client_id, parameter("refresh_token"), fresh, now),
        _ => {
            Err(identity::Refused { error: "unsupported_grant_type", description: "grant_type is missing or unknown" })
        }
    };
    match pair {
        Ok(pair) => {
            let body = json!({
                "access_token": pair.access_token,
                "refresh_token": pair.refresh_token,
                "token_type": "Bearer",
                "expires_in": ACCESS_S,
            });
            ([(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
        }
        Err(refused) => refusal(StatusCode::BAD_REQUEST, refused.error, refused.description),
    }
}

/// The client that the Basic credentials prove (RFC 7617).
pub fn authenticated(world: &World, headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    world.clients.iter().find(|c| c.client_id == id && c.client_secret == secret).map(|c| c.client_id.clone())
}
fn refusal(status: StatusCode, error: &str, description: &str) -> Response {
    let body = json!({"error": error, "error_description": description});
    (status, [(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
}
