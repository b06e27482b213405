//! Tables of answers of the token endpoint: good ones, refusals, hostile ones.

use super::*;
use crate::config::tests::valid;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);
const GOOD: &str = r#"{"access_token":"a.b.c","refresh_token":"EU_r2","token_type":"Bearer","expires_in":28800}"#;

fn answer(status: u16, body: &str) -> Answer {
    let (status, headers) = (StatusCode::from_u16(status).unwrap(), http::HeaderMap::new());
    Answer { status, headers, body: Some(body.to_owned().into()) }
}

#[test]
fn the_owners_browser_is_sent_to_the_login_and_a_code_names_the_region() {
    let checked = Checked::new(valid()).unwrap();
    let url = authorize_url(&checked, "s", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    assert!(url.as_str().starts_with("https://auth.example.com/oauth2/v3/authorize?"));
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let get = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    // RFC 7636 appendix B.
    assert_eq!(get("code_challenge"), Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
    assert_eq!((get("state"), get("scope")), (Some("s"), Some(SCOPES)));
    for (code, region) in [("EU_abc", 0), ("NA_abc", 1), ("CN_abc", 0), ("abc", 0), ("", 0), ("na_abc", 0)] {
        assert_eq!(region_of(&checked, code), region, "{code}");
    }
}

#[test]
fn tokens_come_with_their_end_and_a_kept_refresh_token_is_kept() {
    let told = tokens(&answer(200, GOOD), None, NOW).unwrap();
    assert_eq!((told.access_token.as_str(), told.refresh_token.as_str()), ("a.b.c", "EU_r2"));
    assert_eq!(told.access_expires_at, NOW.plus_seconds(28_800));
    let without = GOOD.replace("refresh_token", "x");
    assert_eq!(tokens(&answer(200, &without), Some("r1"), NOW).unwrap().refresh_token, "r1");
    assert_eq!(tokens(&answer(200, &without), None, NOW), Err(AccessError::Malformed("refresh_token")));
    let long = GOOD.replace("28800", "1e300");
    assert_eq!(tokens(&answer(200, &long), None, NOW).unwrap().access_expires_at, NOW.plus_seconds(86_400));
}

#[test]
fn refusals_tell_who_must_act() {
    let kind = |status, body: &str| match tokens(&answer(status, body), None, NOW) {
        Ok(_) => "ok",
        Err(AccessError::OwnerActionNeeded(_)) => "owner",
        Err(AccessError::RateLimited { .. }) => "rate",
        Err(AccessError::Credentials) => "credentials",
        Err(AccessError::Unreachable) => "unreachable",
        Err(AccessError::CarSilent) => "car silent",
        Err(AccessError::Down { .. }) => "down",
        Err(AccessError::Malformed(_)) => "malformed",
        Err(AccessError::NotSupported) => "not supported",
    };
    for (status, body, expected) in [
        (401, r#"{"error":"login_required","error_description":"used"}"#, "owner"),
        (400, r#"{"error":"invalid_grant"}"#, "owner"),
        (401, r#"{"error":"invalid_client"}"#, "credentials"),
        (401, "", "owner"),
        (429, "", "rate"),
        (503, "", "unreachable"),
        (302, "", "malformed"),
        (200, "", "malformed"),
        (200, "{}", "malformed"),
        (200, r#"{"access_token":"a b","refresh_token":"r","expires_in":1}"#, "malformed"),
        (200, r#"{"access_token":"a","access_token":"b","refresh_token":"r","expires_in":1}"#, "malformed"),
        (200, r#"{"access_token":"a","refresh_token":"r"}"#, "malformed"),
    ] {
        assert_eq!(kind(status, body), expected, "{status} {body}");
    }
}
