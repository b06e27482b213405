//! OAuth 2.0 (RFC 6749) as this vendor runs it: a code for a client with a secret, no PKCE. Pure.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use parcelshelf_access::{AccessError, Tokens};
use parcelshelf_core::reason::Obstacle;
use parcelshelf_core::time::Timestamp;
use parcelshelf_exchange::secret_header;
use url::Url;

use crate::config::{Checked, at};
use crate::json::Json;
use crate::wire::Answer;

/// What the owner is asked for; nothing that the product does not use.
pub(crate) const SCOPES: [&str; 5] =
    ["read_vehicle_info", "read_vin", "read_location", "read_security", "control_security"];
/// The permission that locking and unlocking need.
pub(crate) const CONTROL: &str = "control_security";
/// What a car lacks without this permission.
pub(crate) fn obstacle(permission: &str) -> Option<Obstacle> {
    match permission {
        CONTROL => Some(Obstacle::ControlNotGiven),
        "read_security" => Some(Obstacle::StateNotGiven),
        "read_location" => Some(Obstacle::PlaceNotGiven),
        _ => None,
    }
}
/// An unused refresh token dies after sixty days.
const REFRESH_S: i64 = 60 * 86_400;
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// An access token that claims to live longer than a day is taken to live a day.
const ACCESS_S_MAX: i64 = 86_400;

/// The owner sees what is asked for at every linking, also if it was given before.
pub(crate) fn authorize_url(checked: &Checked, state: &str) -> Url {
    let mut url = at(&checked.connect, "/oauth/authorize");
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &checked.config.client_id)
        .append_pair("redirect_uri", &checked.config.redirect_uri)
        .append_pair("scope", &SCOPES.join(" "))
        .append_pair("mode", checked.config.mode.code())
        .append_pair("approval_prompt", "force")
        .append_pair("state", state);
    url
}

/// A form for the token endpoint. `None` when the credentials have characters that no header can carry.
pub(crate) fn request(checked: &Checked, form: &[(&str, &str)]) -> Option<Request<Bytes>> {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    Request::builder()
        .method("POST")
        .uri(at(&checked.auth, "/oauth/token").as_str())
        .header(AUTHORIZATION, secret_header(&format!("Basic {}", checked.basic.expose()))?)
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
    let refresh_token = token("refresh_token").or_else(|| before.map(str::to_owned));
    let lifetime_s = json.get("expires_in").and_then(Json::number).ok_or(AccessError::Malformed("expires_in"))?;
    Ok(Tokens {
        access_token: token("access_token").ok_or(AccessError::Malformed("access_token"))?,
        refresh_token: refresh_token.ok_or(AccessError::Malformed("refresh_token"))?,
        access_expires_at: now.plus_seconds(whole_seconds(lifetime_s)),
        refresh_expires_at: Some(now.plus_seconds(REFRESH_S)),
        // Each car's permissions are asked for by themselves.
        not_given: Vec::new(),
    })
}
fn refused(answer: &Answer, error: Option<&str>) -> AccessError {
    match (answer.status, error) {
        (_, Some("invalid_client" | "unauthorized_client")) | (StatusCode::UNAUTHORIZED, _) => AccessError::Credentials,
        // A stale refresh token or a used code.
        (StatusCode::BAD_REQUEST, _) => AccessError::OwnerActionNeeded("the grant has ended; consent again"),
        (StatusCode::TOO_MANY_REQUESTS, _) => AccessError::RateLimited { retry_after: answer.retry_after() },
        (status, _) if status.is_server_error() => AccessError::Unreachable,
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
