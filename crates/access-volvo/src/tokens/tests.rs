//! Tables of answers of the token endpoint, and the address that the owner's browser is sent to.

use parcelshelf_core::secret::Redacted;

use super::*;
use crate::config::VolvoConfig;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);
/// As published: RFC 6749 §5.1.
const GOOD: &str =
    r#"{"access_token":"eyJ.access","refresh_token":"eyJ.refresh","token_type":"Bearer","expires_in":1799}"#;

fn answer(status: u16, body: Option<&str>) -> Answer {
    let status = StatusCode::from_u16(status).unwrap();
    Answer { status, headers: http::HeaderMap::new(), body: body.map(|b| b.to_owned().into()) }
}
fn read(body: &str, before: Option<&str>) -> Result<Tokens, AccessError> {
    tokens(&answer(200, Some(body)), before, NOW)
}
/// What a refusal is, without its words.
fn kind(result: Result<Tokens, AccessError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(AccessError::Credentials) => "credentials",
        Err(AccessError::OwnerActionNeeded(_)) => "owner",
        Err(AccessError::RateLimited { .. }) => "rate",
        Err(AccessError::Unreachable) => "unreachable",
        Err(AccessError::Malformed(_)) => "malformed",
        Err(_) => "another",
    }
}

#[test]
fn tokens_as_published() {
    let told = read(GOOD, Some("old")).unwrap();
    assert_eq!((told.access_token.as_str(), told.refresh_token.as_str()), ("eyJ.access", "eyJ.refresh"));
    assert_eq!(told.access_expires_at, NOW.plus_seconds(1_799));
    assert_eq!(told.refresh_expires_at, Some(NOW.plus_seconds(7 * 86_400)));
}

#[test]
fn a_server_that_keeps_the_refresh_token_need_not_repeat_it() {
    let body = r#"{"access_token":"a","expires_in":1799}"#;
    assert_eq!(read(body, Some("kept")).unwrap().refresh_token, "kept");
    assert_eq!(kind(read(body, None)), "malformed", "the first answer must have one");
}

#[test]
fn a_lifetime_is_bounded() {
    for (told, seconds) in [
        ("1799", 1_799),
        ("\"1799\"", 1_799),
        ("0", 0),
        ("-1", 0),
        ("1799.9", 1_799),
        ("86401", 86_400),
        ("1e300", 86_400),
    ] {
        let tokens = read(&GOOD.replace("1799", told), None).unwrap();
        assert_eq!(tokens.access_expires_at, NOW.plus_seconds(seconds), "{told}");
    }
    for told in ["null", "\"soon\"", "\"NaN\"", "\"inf\"", "[]", "1e999"] {
        assert_eq!(kind(read(&GOOD.replace("1799", told), None)), "malformed", "{told}");
    }
}

#[test]
fn a_token_must_fit_into_a_header() {
    for token in ["", "a b", "a\\nb", "a\\r\\nx: y", "\\u0000", "å", "\\t"] {
        let body = GOOD.replace("eyJ.access", token);
        assert_eq!(kind(read(&body, None)), "malformed", "{token:?}");
        // A refresh token that cannot be used is none: the one before stays.
        let body = GOOD.replace("eyJ.refresh", token);
        assert_eq!(read(&body, Some("kept")).unwrap().refresh_token, "kept", "{token:?}");
    }
    let longest = GOOD.replace("eyJ.access", &"x".repeat(TOKEN_BYTES_MAX));
    assert_eq!(kind(read(&longest, None)), "ok");
    assert_eq!(kind(read(&longest.replace("\"xx", "\"xxx"), None)), "malformed");
}

#[test]
fn hostile_answers_give_no_token() {
    let twice = GOOD.replace("{", "{\"access_token\":\"other\",");
    let deep = "[".repeat(10_000);
    for body in
        ["", "null", "[]", "{}", "{\"access_token\":7}", GOOD.split_at(40).0, twice.as_str(), deep.as_str(), "<html>"]
    {
        assert_eq!(kind(read(body, Some("kept"))), "malformed", "{}", &body[..body.len().min(40)]);
    }
    assert_eq!(kind(tokens(&answer(200, None), Some("kept"), NOW)), "malformed", "the body broke off");
}

#[test]
fn what_the_owner_left_out_is_said_at_linking_by_what_it_is_for() {
    use Obstacle::{ControlNotGiven, PlaceNotGiven, StateNotGiven};
    let given = |scope: &str| {
        let told = read(&GOOD.replace("{", &format!("{{\"scope\":\"{scope}\",")), None);
        told.expect("tokens").not_given
    };
    for (missing, expected) in [
        ("conve:unlock", vec![ControlNotGiven]),
        ("conve:lock", vec![ControlNotGiven]),
        ("conve:commands", vec![ControlNotGiven]),
        ("conve:doors_status", vec![StateNotGiven]),
        ("conve:lock_status", vec![StateNotGiven]),
        ("location:read", vec![PlaceNotGiven]),
        ("openid", vec![]),
    ] {
        let rest: Vec<&str> = SCOPES.into_iter().filter(|s| *s != missing).collect();
        assert_eq!(given(&rest.join(" ")), expected, "{missing}");
    }
    assert_eq!(given(""), [ControlNotGiven, StateNotGiven, PlaceNotGiven]);
    assert_eq!(given(&SCOPES.join(" ")), []);
    assert_eq!(read(GOOD, None).expect("tokens").not_given, [], "all that was asked for (RFC 6749 §5.1)");
}

#[test]
fn fewer_permissions_than_needed_end_a_link_that_stands() {
    let given = |scope: &str| kind(read(&GOOD.replace("{", &format!("{{\"scope\":\"{scope}\",")), Some("kept")));
    assert_eq!(given(&SCOPES.join(" ")), "ok");
    assert_eq!(
        given(&REQUIRED.join(" ")),
        "ok",
        "without a place the car cannot be found, but that is judged elsewhere"
    );
    for missing in REQUIRED {
        let rest: Vec<&str> = SCOPES.into_iter().filter(|s| *s != missing).collect();
        assert_eq!(given(&rest.join(" ")), "owner", "{missing}");
        // Longer names are other permissions.
        assert_eq!(given(&format!("{} {missing}_not", rest.join(" "))), "owner", "{missing}");
    }
    assert_eq!(given(""), "owner");
    assert_eq!(kind(read(GOOD, None)), "ok", "all that was asked for (RFC 6749 §5.1)");
}

#[test]
fn refusals_tell_who_must_act() {
    for (status, body, expected) in [
        (400, r#"{"error":"invalid_grant","error_description":"unknown"}"#, "owner"),
        (400, r#"{"error":"invalid_request"}"#, "owner"),
        (400, "{}", "owner"),
        (400, "", "owner"),
        (400, r#"{"error":"invalid_client"}"#, "credentials"),
        (400, r#"{"error":"unauthorized_client"}"#, "credentials"),
        (400, r#"{"error":"invalid_client","error":"invalid_grant"}"#, "owner"),
        (401, r#"{"error":"invalid_client"}"#, "credentials"),
        (401, "", "credentials"),
        (429, "", "rate"),
        (500, "", "unreachable"),
        (503, GOOD, "unreachable"),
        (302, "", "malformed"),
        (201, GOOD, "malformed"),
        (403, "", "malformed"),
        (404, "<html>", "malformed"),
    ] {
        assert_eq!(kind(tokens(&answer(status, Some(body)), Some("kept"), NOW)), expected, "{status} {body}");
    }
    let wait = Some(std::time::Duration::from_secs(30));
    let mut slow = answer(429, None);
    slow.headers.insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("30"));
    assert!(matches!(tokens(&slow, None, NOW), Err(AccessError::RateLimited { retry_after }) if retry_after == wait));
}

#[test]
fn the_owners_browser_is_sent_with_pkce_and_no_secret() {
    let config = VolvoConfig {
        api_base: "https://api.example".into(),
        identity_base: "https://id.example".into(),
        client_id: "parcel shelf&x=y".replace(' ', "-"),
        client_secret: Redacted::new("the-secret".to_owned()),
        vcc_api_key: Redacted::new("the-key".to_owned()),
        redirect_uri: "https://wallet.example/back?a=1&b=2".into(),
    };
    // RFC 7636 appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let url = authorize_url(&Checked::new(config).unwrap(), "st&te", verifier);
    assert_eq!((url.host_str(), url.path()), (Some("id.example"), "/as/authorization.oauth2"));
    let pairs: std::collections::BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let scope = format!("{} {SCOPE_SIGNAL}", SCOPES.join(" "));
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "parcel-shelf&x=y"),
        ("redirect_uri", "https://wallet.example/back?a=1&b=2"),
        ("scope", scope.as_str()),
        ("state", "st&te"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(pairs.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(pairs.len(), 7);
    for secret in ["the-secret", "the-key", verifier] {
        assert!(!url.as_str().contains(secret));
    }
}
