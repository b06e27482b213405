//! Two steps to a token: OAuth 2.0 with PKCE at the customers' login (RFC 6749, RFC 7636), then an exchange into one of the
//! API (RFC 8693), which names the owner's cars. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use parcelshelf_access::{AccessError, Tokens};
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::config::Checked;
use crate::json::Json;
use crate::wire::Answer;

/// Implementers take a refresh token older than this for dead.
const REFRESH_S: i64 = 60 * 86_400;
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// An access token that claims to live longer than a day is taken to live a day.
const ACCESS_S_MAX: i64 = 86_400;
/// Cars that one token may name.
const VEHICLES_MAX: usize = 256;
/// Stands for the API's token where the login's was renewed and the exchange did not follow: the new refresh token must not
/// be lost for that. It has ended already, fits no header and is never sent.
pub(crate) const NOT_EXCHANGED: &str = "";

pub(crate) fn authorize_url(checked: &Checked, state: &str, pkce_verifier: &str) -> Url {
    let mut url = checked.login_url("authorize");
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &checked.config.client_id)
        .append_pair("redirect_uri", &checked.config.redirect_uri)
        .append_pair("scope", &checked.config.scope)
        .append_pair("state", state)
        .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(pkce_verifier.as_bytes())))
        .append_pair("code_challenge_method", "S256");
    url
}

/// The form of the second step.
pub(crate) fn exchange_form(checked: &Checked, login: &Login) -> Vec<(&'static str, String)> {
    vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
        ("subject_token", login.access_token.clone()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token".to_owned()),
        ("scope", checked.config.exchange_scope.clone()),
        ("device_id", checked.config.device_id.clone()),
    ]
}

/// What the login gave.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub access_token: String,
    pub refresh_token: String,
}
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login(<redacted>)")
    }
}

/// The login's answer. `before`: the refresh token that was sent, for a server that keeps it.
pub(crate) fn login(answer: &Answer, before: Option<&str>) -> Result<Login, AccessError> {
    let json = answer.body.as_deref().and_then(Json::parse);
    if answer.status != StatusCode::OK {
        let error = json.as_ref().and_then(|j| j.get("error")).and_then(Json::text);
        return Err(refused(answer, error));
    }
    let json = json.ok_or(AccessError::Malformed("login answer"))?;
    let access_token = token(&json, "access_token").ok_or(AccessError::Malformed("access_token"))?;
    let refresh_token = token(&json, "refresh_token").or_else(|| before.map(str::to_owned));
    Ok(Login { access_token, refresh_token: refresh_token.ok_or(AccessError::Malformed("refresh_token"))? })
}

/// The answer of the second step, made whole with what the first one gave.
pub(crate) fn exchanged(answer: &Answer, login: Login, now: Timestamp) -> Result<Tokens, AccessError> {
    if answer.status != StatusCode::OK {
        let json = answer.body.as_deref().and_then(Json::parse);
        let error = json.as_ref().and_then(|j| j.get("error")).and_then(Json::text);
        return Err(refused(answer, error));
    }
    let json = answer.body.as_deref().and_then(Json::parse).ok_or(AccessError::Malformed("exchange answer"))?;
    let access_token = token(&json, "access_token").ok_or(AccessError::Malformed("access_token"))?;
    let lifetime_s = json.get("expires_in").and_then(Json::number).ok_or(AccessError::Malformed("expires_in"))?;
    Ok(Tokens {
        access_token,
        refresh_token: login.refresh_token,
        access_expires_at: now.plus_seconds(whole_seconds(lifetime_s)),
        refresh_expires_at: Some(now.plus_seconds(REFRESH_S)),
        not_given: Vec::new(),
    })
}
/// The login was renewed, the exchange did not follow: tokens that need another refresh before they serve.
pub(crate) fn not_exchanged(login: Login, now: Timestamp) -> Tokens {
    Tokens {
        access_token: NOT_EXCHANGED.to_owned(),
        refresh_token: login.refresh_token,
        access_expires_at: now,
        refresh_expires_at: Some(now.plus_seconds(REFRESH_S)),
        not_given: Vec::new(),
    }
}

fn refused(answer: &Answer, error: Option<&str>) -> AccessError {
    match (answer.status, error) {
        (_, Some("invalid_client" | "unauthorized_client")) => AccessError::Credentials,
        (StatusCode::TOO_MANY_REQUESTS, _) => AccessError::RateLimited { retry_after: answer.retry_after() },
        // invalid_grant, AADB2C90080, a used code, an ended login; the maker says no more.
        (StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
            AccessError::OwnerActionNeeded("the login has ended; sign in again")
        }
        (status, _) if status.is_server_error() => AccessError::Unreachable,
        _ => AccessError::Malformed("token status"),
    }
}
fn token(json: &Json, name: &str) -> Option<String> {
    let fits = |t: &&str| !t.is_empty() && t.len() <= TOKEN_BYTES_MAX && t.bytes().all(|b| b.is_ascii_graphic());
    json.get(name).and_then(Json::text).filter(fits).map(str::to_owned)
}
#[expect(clippy::cast_possible_truncation, reason = "clamped to a day just before")]
fn whole_seconds(told: f64) -> i64 {
    told.clamp(0.0, ACCESS_S_MAX as f64) as i64
}

/// The cars that an API token names (`vehs` of a JWT whose signature is the maker's business). `None`: it names no list,
/// and clients then sign in again.
pub(crate) fn vehicles_named(access_token: &str) -> Option<Vec<Vin>> {
    let payload = access_token.split('.').nth(1).filter(|p| p.len() <= TOKEN_BYTES_MAX)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims = Json::parse(&payload)?;
    let named = claims.get("vehs")?.list().filter(|all| all.len() <= VEHICLES_MAX)?;
    Some(named.iter().filter_map(|v| v.get("vin").and_then(Json::text).and_then(|t| Vin::parse(t).ok())).collect())
}

#[cfg(test)]
mod tests;
