//! OAuth 2.0 with PKCE (RFC 6749, RFC 7636) as this maker runs it. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use parcelshelf_access::{AccessError, Tokens};
use parcelshelf_core::reason::Obstacle;
use parcelshelf_core::time::Timestamp;
use parcelshelf_exchange::secret_header;
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::config::Checked;
use crate::json::Json;
use crate::wire::Answer;

/// What the owner is asked for; nothing that the product does not use.
pub(crate) const SCOPES: [&str; 9] = [
    "openid",
    "conve:vehicle_relation",
    "conve:commands",
    "conve:command_accessibility",
    "conve:doors_status",
    "conve:lock_status",
    "conve:lock",
    "conve:unlock",
    "location:read",
];
/// For lights; a delivery works without.
pub(crate) const SCOPE_SIGNAL: &str = "conve:honk_flash";
/// Without these nothing can be opened, closed and proved.
const REQUIRED: [&str; 4] = ["conve:unlock", "conve:lock", "conve:doors_status", "conve:lock_status"];
/// An unused refresh token dies after seven days.
const REFRESH_IDLE_S: i64 = 7 * 86_400;
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// An access token that claims to live longer than a day is taken to live a day.
const ACCESS_S_MAX: i64 = 86_400;

pub(crate) fn authorize_url(checked: &Checked, state: &str, pkce_verifier: &str) -> Url {
    let mut url = checked.identity.clone();
    url.set_path("/as/authorization.oauth2");
    let scope = SCOPES.iter().chain([&SCOPE_SIGNAL]).copied().collect::<Vec<_>>().join(" ");
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &checked.config.client_id)
        .append_pair("redirect_uri", &checked.config.redirect_uri)
        .append_pair("scope", &scope)
        .append_pair("state", state)
        .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(pkce_verifier.as_bytes())))
        .append_pair("code_challenge_method", "S256");
    url
}

/// A form for the token endpoint, with the application's credentials as RFC 6749 §2.3.1 has them. `None` when they have
/// characters that no header can carry.
pub(crate) fn request(
    url: &Url,
    client_id: &str,
    client_secret: &str,
    form: &[(&str, &str)],
) -> Option<Request<Bytes>> {
    let basic = STANDARD.encode(format!("{client_id}:{client_secret}"));
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    Request::builder()
        .method("POST")
        .uri(url.as_str())
        .header(AUTHORIZATION, secret_header(&format!("Basic {basic}"))?)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body.into())
        .ok()
}

/// Tokens from the answer of the token endpoint. `before`: the refresh token that was sent, for a server that keeps it.
pub(crate) fn tokens(answer: &Answer, before: Option<&str>, now: Timestamp) -> Result<Tokens, AccessError> {
    let json = answer.body.as_deref().and_then(Json::parse);
    if answer.status != StatusCode::OK {
        let error = json.as_ref().and_then(|j| j.get("error")).and_then(Json::text);
        return Err(refused(answer, error));
    }
    let json = json.ok_or(AccessError::Malformed("token answer"))?;
    let token = |name| json.get(name).and_then(Json::text).filter(|t| fits_a_header(t)).map(str::to_owned);
    let access_token = token("access_token").ok_or(AccessError::Malformed("access_token"))?;
    let refresh_token =
        token("refresh_token").or_else(|| before.map(str::to_owned)).ok_or(AccessError::Malformed("refresh_token"))?;
    let lifetime_s = json.get("expires_in").and_then(Json::number).ok_or(AccessError::Malformed("expires_in"))?;
    let scope = json.get("scope").and_then(Json::text);
    let without = |needed: &&&str| scope.is_some_and(|all| !all.split(' ').any(|given| given == **needed));
    // At linking the owner reads which are missing; later, that they are gone.
    if before.is_some() && REQUIRED.iter().any(|needed| without(&needed)) {
        return Err(AccessError::OwnerActionNeeded("permissions to open, lock and see doors were taken back"));
    }
    Ok(Tokens {
        access_token,
        refresh_token,
        access_expires_at: now.plus_seconds(whole_seconds(lifetime_s)),
        refresh_expires_at: Some(now.plus_seconds(REFRESH_IDLE_S)),
        not_given: obstacles(SCOPES.iter().filter(without).copied()),
    })
}
/// What a car lacks without these scopes.
pub(crate) fn obstacles<'a>(missing: impl Iterator<Item = &'a str>) -> Vec<Obstacle> {
    let mut all: Vec<Obstacle> = missing
        .filter_map(|scope| match scope {
            "conve:commands" | "conve:lock" | "conve:unlock" => Some(Obstacle::ControlNotGiven),
            "conve:doors_status" | "conve:lock_status" | "conve:command_accessibility" => Some(Obstacle::StateNotGiven),
            "location:read" => Some(Obstacle::PlaceNotGiven),
            _ => None,
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}
fn refused(answer: &Answer, error: Option<&str>) -> AccessError {
    match answer.status {
        StatusCode::UNAUTHORIZED => AccessError::Credentials,
        StatusCode::BAD_REQUEST => match error {
            Some("invalid_client" | "unauthorized_client") => AccessError::Credentials,
            // A stale refresh token or a used code; the maker says no more than 400.
            _ => AccessError::OwnerActionNeeded("the grant has ended; consent again"),
        },
        StatusCode::TOO_MANY_REQUESTS => AccessError::RateLimited { retry_after: answer.retry_after() },
        status if status.is_server_error() => AccessError::Unreachable,
        _ => AccessError::Malformed("token status"),
    }
}
fn fits_a_header(token: &str) -> bool {
    !token.is_empty() && token.len() <= TOKEN_BYTES_MAX && token.bytes().all(|b| b.is_ascii_graphic())
}
#[expect(clippy::cast_possible_truncation, reason = "clamped to a day just before")]
fn whole_seconds(told: f64) -> i64 {
    told.clamp(0.0, ACCESS_S_MAX as f64) as i64
}

#[cfg(test)]
mod tests;
