//! Two ways to be let in: the server's own login (authorization code, then a refresh token that stays the same for ever), or
//! a long-lived token that the owner made for us. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use parcelshelf_access::{AccessError, Tokens};
use parcelshelf_core::time::Timestamp;
use serde::Deserialize;
use url::Url;

use crate::config::Checked;
use crate::wire::Answer;

/// A code or refresh token was refused: the owner has withdrawn it, or it was never given.
pub const LINK_REFUSED: &str = "the server does not know this link; sign in again";
/// The user behind the token administers the server. Such a token could do anything in that home.
pub const ADMINISTRATOR: &str = "this user administers the server; sign in as one that does not";

const TOKEN_BYTES_MAX: usize = 4 * 1024;
/// Newer servers forget a refresh token that nobody used for so long.
const REFRESH_S: i64 = 90 * 86_400;
/// No access token is believed for longer: a long-lived one is looked at again every day.
const ACCESS_S_MAX: i64 = 86_400;

/// Where the owner signs in. The server knows no PKCE: only `state` and the address it returns to protect the code.
pub(crate) fn authorize_url(checked: &Checked, state: &str) -> Url {
    let mut url = checked.url("/auth/authorize");
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &checked.client_id)
        .append_pair("redirect_uri", &checked.redirect_uri)
        .append_pair("state", state);
    url
}

/// Whether this text is a long-lived token (a JWT) and no code: codes are hexadecimal.
pub(crate) fn is_long_lived(text: &str) -> bool {
    text.split('.').count() == 3
}

/// A long-lived token as the port's tokens: it is both, and a refresh looks whether it still works.
pub(crate) fn long_lived(token: &str, now: Timestamp) -> Result<Tokens, AccessError> {
    let ends = fit(token).and_then(ends_at).ok_or(AccessError::Malformed("long-lived token"))?;
    if ends <= now {
        return Err(AccessError::OwnerActionNeeded(LINK_REFUSED));
    }
    Ok(Tokens {
        access_token: token.to_owned(),
        refresh_token: token.to_owned(),
        access_expires_at: ends.min(now.plus_seconds(ACCESS_S_MAX)),
        refresh_expires_at: Some(ends),
        not_given: Vec::new(),
    })
}
/// When a token says that it ends. Its signature is the server's business.
fn ends_at(token: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    Some(Timestamp::from_unix_seconds(claims.exp))
}

/// The token endpoint's answer. `before`: the refresh token that was sent; a refresh gives none back.
pub(crate) fn login(answer: &Answer, before: Option<&str>, now: Timestamp) -> Result<Tokens, AccessError> {
    #[derive(Deserialize)]
    struct Given {
        access_token: String,
        refresh_token: Option<String>,
        expires_in: i64,
        token_type: String,
    }
    match answer.status {
        StatusCode::OK => {}
        // A code or token that is none (400), a user who was switched off (403).
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(refused(answer));
        }
        StatusCode::TOO_MANY_REQUESTS => return Err(AccessError::RateLimited { retry_after: answer.retry_after() }),
        status if status.is_server_error() => return Err(AccessError::Unreachable),
        _ => return Err(AccessError::Malformed("login status")),
    }
    let given = answer.body.as_deref().and_then(|b| serde_json::from_slice::<Given>(b).ok());
    let given = given.filter(|g| g.token_type.eq_ignore_ascii_case("bearer") && g.expires_in > 0);
    let given = given.ok_or(AccessError::Malformed("login answer"))?;
    let refresh_token = given.refresh_token.or_else(|| before.map(str::to_owned));
    let refresh_token = refresh_token.filter(|t| fit(t).is_some()).ok_or(AccessError::Malformed("refresh_token"))?;
    fit(&given.access_token).ok_or(AccessError::Malformed("access_token"))?;
    Ok(Tokens {
        access_token: given.access_token,
        refresh_token,
        access_expires_at: now.plus_seconds(given.expires_in.min(ACCESS_S_MAX)),
        refresh_expires_at: Some(now.plus_seconds(REFRESH_S)),
        not_given: Vec::new(),
    })
}
/// Which refusal it is. A client that the server does not take is our own mistake.
fn refused(answer: &Answer) -> AccessError {
    #[derive(Deserialize)]
    struct Problem {
        error: String,
        error_description: Option<String>,
    }
    let problem = answer.body.as_deref().and_then(|b| serde_json::from_slice::<Problem>(b).ok());
    let ours = problem.is_some_and(|p| {
        p.error == "unsupported_grant_type"
            || (p.error == "invalid_request" && p.error_description.as_deref() == Some("Invalid client id"))
    });
    if ours { AccessError::Credentials } else { AccessError::OwnerActionNeeded(LINK_REFUSED) }
}
/// A token that fits into a header.
fn fit(token: &str) -> Option<&str> {
    let good = !token.is_empty() && token.len() <= TOKEN_BYTES_MAX && token.bytes().all(|b| b.is_ascii_graphic());
    good.then_some(token)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);

    fn answered(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers: HeaderMap::new(), body: Some(body.to_owned().into()) }
    }
    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_refresh_keeps_the_refresh_token_that_it_was_asked_with() {
        let answer = answered(200, r#"{"access_token":"a.b.c","token_type":"Bearer","expires_in":1800}"#);
        let tokens = login(&answer, Some("r1"), NOW).unwrap();
        assert_eq!((tokens.refresh_token.as_str(), tokens.access_expires_at), ("r1", NOW.plus_seconds(1_800)));
        assert!(login(&answer, None, NOW).is_err(), "a link without a refresh token is none");
    }

    #[test]
    fn odd_answers_of_the_login_give_no_tokens() {
        for body in [
            "",
            "{}",
            "[]",
            r#"{"access_token":"","token_type":"Bearer","expires_in":1800,"refresh_token":"r"}"#,
            r#"{"access_token":"a b","token_type":"Bearer","expires_in":1800,"refresh_token":"r"}"#,
            r#"{"access_token":"a","token_type":"mac","expires_in":1800,"refresh_token":"r"}"#,
            r#"{"access_token":"a","token_type":"Bearer","expires_in":-1,"refresh_token":"r"}"#,
            r#"{"access_token":"a","access_token":"b","token_type":"Bearer","expires_in":1,"refresh_token":"r"}"#,
        ] {
            assert!(matches!(login(&answered(200, body), None, NOW), Err(AccessError::Malformed(_))), "{body}");
        }
        let owner = Err(AccessError::OwnerActionNeeded(LINK_REFUSED));
        assert_eq!(login(&answered(400, r#"{"error":"invalid_grant"}"#), None, NOW), owner);
        assert_eq!(login(&answered(403, ""), None, NOW), owner);
        let ours = r#"{"error":"invalid_request","error_description":"Invalid client id"}"#;
        assert_eq!(login(&answered(400, ours), None, NOW), Err(AccessError::Credentials));
        assert_eq!(login(&answered(502, ""), None, NOW), Err(AccessError::Unreachable));
    }

    #[test]
    fn a_long_lived_token_is_looked_at_every_day_until_it_ends() {
        let ends = NOW.plus_seconds(10 * 86_400);
        let token = jwt(&format!(r#"{{"iss":"x","exp":{}}}"#, ends.unix_seconds()));
        assert!(is_long_lived(&token) && !is_long_lived("1cab8a953e6a4b87936154d95ba6023d"));
        let tokens = long_lived(&token, NOW).unwrap();
        assert_eq!((tokens.access_expires_at, tokens.refresh_expires_at), (NOW.plus_seconds(86_400), Some(ends)));
        assert!(long_lived(&token, ends).is_err(), "over is over");
        for odd in ["a.b.c", "..", "e30.e30.x", "e30.eyJleHAiOiJ4In0.x"] {
            assert!(long_lived(odd, NOW).is_err(), "{odd}");
        }
    }
}
