//! OAuth 2.0 (RFC 6749) at this maker: a code against tokens with the client's secret, then refresh tokens that are used once.
//! Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use parcelshelf_access::{AccessError, Tokens};
use parcelshelf_core::reason::Obstacle;
use parcelshelf_core::time::Timestamp;
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::config::Checked;
use crate::json::Json;
use crate::wire::{Answer, retry_after};

/// What an owner is asked for: the car's state, its place, and its commands.
pub(crate) const SCOPES: &str = "openid offline_access vehicle_device_data vehicle_location vehicle_cmds";
/// A refresh token that nobody uses dies after about three months.
const REFRESH_S: i64 = 90 * 86_400;
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// An access token that claims to live longer than a day is taken to live a day.
const ACCESS_S_MAX: i64 = 86_400;

/// The published set of parameters has no PKCE; the challenge goes along all the same, for a server ignores what it does not
/// know (RFC 6749 §3.1), and `state` and the client's secret stand without it.
pub(crate) fn authorize_url(checked: &Checked, state: &str, pkce_verifier: &str) -> Url {
    let mut url = checked.login.clone();
    url.set_path("/oauth2/v3/authorize");
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &checked.config.client_id)
        .append_pair("redirect_uri", &checked.config.redirect_uri)
        .append_pair("scope", SCOPES)
        .append_pair("state", state)
        .append_pair("prompt_missing_scopes", "true")
        .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(pkce_verifier.as_bytes())))
        .append_pair("code_challenge_method", "S256");
    url
}

/// The region that a code's first letters name, else the first one.
pub(crate) fn region_of(checked: &Checked, code: &str) -> usize {
    let named = code.split_once('_').map(|(name, _)| name);
    checked.regions.iter().position(|(name, _)| Some(name.as_str()) == named).unwrap_or(0)
}

/// The token endpoint's answer. `before`: the refresh token that was sent, for a server that keeps it.
pub(crate) fn tokens(answer: &Answer, before: Option<&str>, now: Timestamp) -> Result<Tokens, AccessError> {
    let json = answer.body.as_deref().and_then(Json::parse);
    if answer.status != StatusCode::OK {
        let error = json.as_ref().and_then(|j| j.get("error")).and_then(Json::text);
        return Err(match (answer.status, error) {
            (_, Some("invalid_client" | "unauthorized_client")) => AccessError::Credentials,
            (StatusCode::TOO_MANY_REQUESTS, _) => AccessError::RateLimited { retry_after: retry_after(answer) },
            // login_required, invalid_grant, a used code: the maker says no more.
            (StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
                AccessError::OwnerActionNeeded("the login has ended; sign in again")
            }
            (status, _) if status.is_server_error() => AccessError::Unreachable,
            _ => AccessError::Malformed("token status"),
        });
    }
    let json = json.ok_or(AccessError::Malformed("token answer"))?;
    let token = |name: &str| {
        let fits = |t: &&str| !t.is_empty() && t.len() <= TOKEN_BYTES_MAX && t.bytes().all(|b| b.is_ascii_graphic());
        json.get(name).and_then(Json::text).filter(fits).map(str::to_owned)
    };
    let lifetime_s = json.get("expires_in").and_then(Json::number).ok_or(AccessError::Malformed("expires_in"))?;
    let scope = json.get("scope").and_then(Json::text);
    let without = |needed: &str| scope.is_some_and(|all| !all.split(' ').any(|given| given == needed));
    let not_given = [
        ("vehicle_cmds", Obstacle::ControlNotGiven),
        ("vehicle_device_data", Obstacle::StateNotGiven),
        ("vehicle_location", Obstacle::PlaceNotGiven),
    ];
    Ok(Tokens {
        not_given: not_given.into_iter().filter_map(|(needed, what)| without(needed).then_some(what)).collect(),
        access_token: token("access_token").ok_or(AccessError::Malformed("access_token"))?,
        refresh_token: token("refresh_token")
            .or_else(|| before.map(str::to_owned))
            .ok_or(AccessError::Malformed("refresh_token"))?,
        access_expires_at: now.plus_seconds(whole_seconds(lifetime_s)),
        refresh_expires_at: Some(now.plus_seconds(REFRESH_S)),
    })
}
#[expect(clippy::cast_possible_truncation, reason = "clamped to a day just before")]
fn whole_seconds(told: f64) -> i64 {
    told.clamp(0.0, ACCESS_S_MAX as f64) as i64
}

#[cfg(test)]
mod tests;
