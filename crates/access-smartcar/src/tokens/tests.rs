use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: http::HeaderMap::new(),
        body: Some(body.to_owned().into()),
    }
}

#[test]
fn tokens_come_with_their_ends_and_a_kept_refresh_token_is_kept() {
    let told = r#"{"access_token":"a","refresh_token":"r","token_type":"Bearer","expires_in":7200}"#;
    let all = tokens(&answer(200, told), None, NOW).unwrap();
    assert_eq!((all.access_token.as_str(), all.refresh_token.as_str()), ("a", "r"));
    assert_eq!(all.access_expires_at, NOW.plus_seconds(7_200));
    assert_eq!(all.refresh_expires_at, Some(NOW.plus_seconds(60 * 86_400)));
    let kept = r#"{"access_token":"a","expires_in":7200}"#;
    assert_eq!(tokens(&answer(200, kept), Some("before"), NOW).unwrap().refresh_token, "before");
    assert!(tokens(&answer(200, kept), None, NOW).is_err());
    let long = told.replace("7200", "99999999");
    assert_eq!(tokens(&answer(200, &long), None, NOW).unwrap().access_expires_at, NOW.plus_seconds(86_400));
}

#[test]
fn who_must_act_when_there_are_no_tokens() {
    for (status, body, expected) in [
        (401, r#"{"error":"invalid_client"}"#, AccessError::Credentials),
        (400, r#"{"error":"unauthorized_client"}"#, AccessError::Credentials),
        (400, r#"{"error":"invalid_grant"}"#, AccessError::OwnerActionNeeded("the grant has ended; consent again")),
        (429, "{}", AccessError::RateLimited { retry_after: None }),
        (503, "", AccessError::Unreachable),
        (302, "", AccessError::Malformed("token status")),
        (200, "<html>", AccessError::Malformed("token answer")),
        (200, r#"{"access_token":"a b","refresh_token":"r","expires_in":1}"#, AccessError::Malformed("access_token")),
        (200, r#"{"access_token":"a","refresh_token":"r"}"#, AccessError::Malformed("expires_in")),
    ] {
        assert_eq!(tokens(&answer(status, body), None, NOW).err(), Some(expected), "{status} {body}");
    }
}
