//! Tables of answers of the two token endpoints: good ones, refusals, hostile ones.

use super::*;
use crate::config::tests::valid;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);
const LOGIN: &str = r#"{"access_token":"a.b.c","refresh_token":"r2","token_type":"Bearer","expires_in":3600}"#;
const EXCHANGE: &str = r#"{"access_token":"x.y.z","token_type":"bearer","expires_in":1800,"scope":"onstar"}"#;

fn answer(status: u16, body: &str) -> Answer {
    let (status, headers) = (StatusCode::from_u16(status).unwrap(), http::HeaderMap::new());
    Answer { status, headers, body: Some(body.to_owned().into()) }
}
fn kind<T>(result: &Result<T, AccessError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(AccessError::OwnerActionNeeded(_)) => "owner",
        Err(AccessError::RateLimited { .. }) => "rate",
        Err(AccessError::Credentials) => "credentials",
        Err(AccessError::Unreachable) => "unreachable",
        Err(AccessError::CarSilent) => "car silent",
        Err(AccessError::Down { .. }) => "down",
        Err(AccessError::Malformed(_)) => "malformed",
        Err(AccessError::NotSupported) => "not supported",
    }
}

#[test]
fn the_owners_browser_is_sent_to_the_login_with_a_challenge() {
    let checked = Checked::new(valid()).unwrap();
    let url = authorize_url(&checked, "s", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    assert!(url.as_str().starts_with("https://login.example.com/tenant/policy/oauth2/v2.0/authorize?"));
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let get = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    // RFC 7636 appendix B.
    assert_eq!(get("code_challenge"), Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
    assert_eq!((get("code_challenge_method"), get("state")), (Some("S256"), Some("s")));
    assert_eq!(get("scope"), Some("openid profile offline_access"));
}

#[test]
fn both_steps_make_one_pair_of_tokens() {
    let first = login(&answer(200, LOGIN), None).unwrap();
    let tokens = exchanged(&answer(200, EXCHANGE), first.clone(), NOW).unwrap();
    assert_eq!((tokens.access_token.as_str(), tokens.refresh_token.as_str()), ("x.y.z", "r2"));
    assert_eq!(tokens.access_expires_at, NOW.plus_seconds(1_800));
    let late = not_exchanged(first, NOW);
    assert_eq!((late.refresh_token.as_str(), late.access_expires_at), ("r2", NOW), "kept, and not to be used");
    let kept = login(&answer(200, &LOGIN.replace("refresh_token", "x")), Some("r1")).unwrap();
    assert_eq!(kept.refresh_token, "r1");
    assert_eq!(kind(&login(&answer(200, &LOGIN.replace("refresh_token", "x")), None)), "malformed");
    let text = EXCHANGE.replace("1800", "\"1800\"");
    let first = login(&answer(200, LOGIN), None).unwrap();
    assert_eq!(exchanged(&answer(200, &text), first, NOW).unwrap().access_expires_at, NOW.plus_seconds(1_800));
}

#[test]
fn refusals_tell_who_must_act() {
    for (status, body, expected) in [
        (400, r#"{"error":"invalid_grant","error_description":"AADB2C90080: expired"}"#, "owner"),
        (400, "", "owner"),
        (401, "", "owner"),
        (403, "", "owner"),
        (400, r#"{"error":"invalid_client"}"#, "credentials"),
        (429, "", "rate"),
        (500, "", "unreachable"),
        (504, "", "unreachable"),
        (302, "", "malformed"),
        (404, "", "malformed"),
        (200, "", "malformed"),
        (200, "{}", "malformed"),
        (200, r#"{"access_token":"a b","refresh_token":"r","expires_in":1}"#, "malformed"),
        (200, "[[[[", "malformed"),
    ] {
        assert_eq!(kind(&login(&answer(status, body), None)), expected, "login {status} {body}");
        let first = Login { access_token: "a".into(), refresh_token: "r".into() };
        assert_eq!(kind(&exchanged(&answer(status, body), first, NOW)), expected, "exchange {status} {body}");
    }
}

#[test]
fn the_cars_of_a_token_are_read_and_a_token_without_a_list_names_none() {
    let jwt = |payload: &str| format!("h.{}.s", URL_SAFE_NO_PAD.encode(payload));
    let vin = Vin::parse("1G1FZ6S00L4000001").unwrap();
    let one = r#"{"uid":"o@example.org","vehs":[{"vin":"1g1fz6s00l4000001","per":"owner"},{"vin":"SHORT"},{}]}"#;
    assert_eq!(vehicles_named(&jwt(one)), Some(vec![vin]));
    assert_eq!(vehicles_named(&jwt(r#"{"vehs":[]}"#)), Some(vec![]));
    for token in ["", "a", "a.b.c", "a.!!.c", &jwt("{}"), &jwt(r#"{"vehs":7}"#), &jwt(r#"{"vehs":[],"vehs":[]}"#)] {
        assert_eq!(vehicles_named(token), None, "{token}");
    }
}
