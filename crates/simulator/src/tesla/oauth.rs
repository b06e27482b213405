//! The login and its token endpoint over HTTP.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use parcelshelf_core::time::random;
use serde_json::json;
use url::Url;

use super::file::ClientFile;
use super::identity::{ACCESS_S, Consent, Refused, SCOPES, Scopes};
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
    fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}

/// `GET /oauth2/v3/authorize`: consents at once for the owner that `login_hint` names; without one, shows a form.
pub async fn authorize(State(cloud): State<Cloud>, RawQuery(query): RawQuery) -> Response {
    let refuse = |why: &str| (StatusCode::BAD_REQUEST, Html(pages::refused(why))).into_response();
    let Some(asked) = Parameters::parse(query.as_deref().unwrap_or_default().as_bytes()) else {
        return refuse("a parameter is repeated");
    };
    let now = cloud.now();
    let mut world = cloud.world();
    let Some(client) = world.clients.iter().find(|c| Some(c.client_id.as_str()) == asked.get("client_id")) else {
        return refuse("unknown client_id");
    };
    // Nothing is sent to an address that is not the client's own (RFC 6749 §4.1.2.1).
    let Some(redirect) = asked.get("redirect_uri").and_then(|uri| own_address(client, uri)) else {
        return refuse("redirect_uri is not registered for this client");
    };
    let client_id = client.client_id.clone();
    let state = asked.get("state");
    let scopes: Scopes = asked.text("scope").split(' ').map(str::to_owned).collect();
    let sane = scopes.contains("openid") && scopes.iter().all(|s| SCOPES.contains(&s.as_str()));
    if asked.get("response_type") != Some("code") || state.is_none() || !sane {
        return back(redirect, state, &[("error", "invalid_request")]);
    }
    if asked.get("consent") == Some("deny") {
        return back(redirect, state, &[("error", "access_denied")]);
    }
    let Some(login) = asked.get("login_hint").filter(|login| world.owners.contains_key(*login)) else {
        let logins: Vec<&str> = world.owners.keys().take(100).map(String::as_str).collect();
        return Html(pages::login(&asked.0, &logins, &scopes)).into_response();
    };
    let owner = world.owners.get(login);
    let refused = owner.map(|o| o.refused_scopes.clone()).unwrap_or_default();
    let given: Scopes = scopes.difference(&refused).cloned().collect();
    let region = if owner.is_some_and(|o| o.served_at.is_some()) { "NA" } else { "EU" };
    let consent = Consent {
        client_id,
        owner: login.to_owned(),
        redirect_uri: asked.text("redirect_uri").to_owned(),
        challenge: asked.get("code_challenge").map(str::to_owned),
        region: region.to_owned(),
        reduced: given != scopes,
        scopes: given,
    };
    match world.identity.consented(consent, random(&*cloud.entropy), now) {
        Some(code) => back(redirect, state, &[("code", &code), ("locale", "en-US")]),
        None => back(redirect, state, &[("error", "temporarily_unavailable")]),
    }
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
    address.query_pairs_mut().extend_pairs(parameters).extend_pairs(state.map(|state| ("state", state)));
    let headers = [(header::LOCATION, String::from(address)), (header::CACHE_CONTROL, "no-store".to_owned())];
    (StatusCode::FOUND, headers).into_response()
}

/// `POST /oauth2/v3/token`: form-encoded; the code needs the client's secret and names the region's address, a refresh neither.
pub async fn token(State(cloud): State<Cloud>, headers: HeaderMap, body: Bytes) -> Response {
    let now = cloud.now();
    let mut world = cloud.world();
    world.record.token_requests += 1;
    let bad = |error, description| refusal(Refused { error, description });
    let form = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let form = form.filter(|t| t.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
    let Some(asked) = form.and_then(|_| Parameters::parse(&body)) else {
        return bad("invalid_request", "a form without repeated members is required");
    };
    let client_id = asked.text("client_id");
    let Some(client) = world.clients.iter().find(|c| c.client_id == client_id) else {
        return bad("invalid_client", "unknown client");
    };
    let secret_fits = asked.get("client_secret") == Some(client.client_secret.as_str());
    let fresh = [random(&*cloud.entropy), random(&*cloud.entropy)];
    let pair = match asked.text("grant_type") {
        "authorization_code" if !secret_fits => return bad("invalid_client", "wrong secret"),
        "authorization_code" if asked.get("audience").is_none() => {
            return bad("invalid_request", "audience is missing");
        }
        "authorization_code" => world.identity.exchange(
            client_id,
            asked.text("code"),
            asked.text("redirect_uri"),
            asked.text("code_verifier"),
            fresh,
            now,
        ),
        "refresh_token" => world.identity.refresh(client_id, asked.text("refresh_token"), fresh, now),
        _ => return bad("unsupported_grant_type", "grant_type is missing or unknown"),
    };
    match pair {
        Ok(pair) => {
            let mut body = json!({
                "access_token": pair.access_token,
                "refresh_token": pair.refresh_token,
                "token_type": "Bearer",
                "expires_in": ACCESS_S,
            });
            if let Some(scope) = pair.scope {
                body["scope"] = json!(scope);
            }
            ([(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
        }
        Err(refused) => refusal(refused),
    }
}
fn refusal(refused: Refused) -> Response {
    let status = match refused.error {
        "login_required" | "invalid_client" => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    let body = json!({"error": refused.error, "error_description": refused.description});
    (status, [(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
}
