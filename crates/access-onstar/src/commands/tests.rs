//! Tables of answers: what each status means, in both shapes, and what is not believed.

use super::*;

const SENT: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);
const URL: &str = "https://api.example.com/veh/cmd/v3/requests/r1";
fn api() -> Url {
    Url::parse("https://api.example.com").unwrap()
}
fn answered(status: u16, body: Option<&str>) -> Sent {
    let (status, headers) = (StatusCode::from_u16(status).unwrap(), http::HeaderMap::new());
    let answer = Answer { status, headers, body: body.map(|b| b.to_owned().into()) };
    sent(&api(), SENT, Ok(&answer))
}
fn v3(status: &str) -> String {
    format!(
        r#"{{"requestId":"r1","requestTime":"2026-11-22T22:31:22.000Z","status":"{status}","url":"{URL}","error":null}}"#
    )
}
fn v1(status: &str) -> String {
    format!(
        r#"{{"commandResponse":{{"requestTime":"2026-11-22T22:31:22.000Z","url":"{URL}","status":"{status}","type":"x"}}}}"#
    )
}

#[test]
fn every_word_means_one_thing_in_both_shapes_and_any_case() {
    use Outcome::{DidNotHappen, Done, Unknown};
    for (word, outcome) in [
        ("SUCCESS", Done(Confirmation::Executed)),
        ("success", Done(Confirmation::Executed)),
        ("Completed", Done(Confirmation::Executed)),
        ("complete", Done(Confirmation::Executed)),
        ("FAILURE", DidNotHappen(Refusal::CarFailed)),
        ("failure", DidNotHappen(Refusal::CarFailed)),
        ("failed", DidNotHappen(Refusal::CarFailed)),
        ("IN_PROGRESS", Unknown),
        ("inProgress", Unknown),
        ("pending", Unknown),
        // Something went wrong, which is not the same as nothing happened.
        ("ERROR", Unknown),
        ("error", Unknown),
        ("SUCCESS ", Unknown),
        ("NOT_SUCCESS", Unknown),
        ("", Unknown),
    ] {
        for body in [v3(word), v1(word)] {
            let seen = answered(200, Some(&body));
            assert_eq!(seen.outcome, outcome, "{body}");
            assert_eq!(seen.handle.as_deref(), Some(URL.as_bytes()), "{body}");
            let until = (outcome == Unknown).then(|| SENT.plus_seconds(120));
            assert_eq!(seen.may_act_until, until, "{body}");
            let later = reconciled(body.as_bytes(), SENT, SENT.plus_seconds(200), URL.as_bytes()).unwrap();
            assert_eq!(later.outcome, outcome, "{body}");
            assert_eq!(later.may_act_until, (outcome == Unknown).then(|| SENT.plus_seconds(230)), "{body}");
        }
    }
}

#[test]
fn an_http_status_says_whether_it_was_sent_to_the_car() {
    use Outcome::{DidNotHappen, Unknown};
    for (status, outcome) in [
        (400, DidNotHappen(Refusal::MakerRefused)),
        (401, DidNotHappen(Refusal::OwnerActionNeeded)),
        (403, DidNotHappen(Refusal::OwnerActionNeeded)),
        (404, DidNotHappen(Refusal::NotSupported)),
        (405, DidNotHappen(Refusal::MakerRefused)),
        (410, DidNotHappen(Refusal::NotSupported)),
        (429, DidNotHappen(Refusal::RateLimited)),
        (409, Unknown),
        (408, Unknown),
        (302, Unknown),
        (500, Unknown),
        (502, Unknown),
        (503, Unknown),
        (504, Unknown),
        (200, Unknown),
        (204, Unknown),
    ] {
        for body in [Some(""), None] {
            assert_eq!(answered(status, body).outcome, outcome, "{status}");
        }
    }
    assert_eq!(sent(&api(), SENT, Err(Silence::Lost)).outcome, Unknown);
    assert_eq!(sent(&api(), SENT, Err(Silence::NeverSent)).outcome, DidNotHappen(Refusal::MakerRefused));
}

#[test]
fn a_request_url_leads_to_the_configured_host_or_is_none() {
    let long = format!("https://api.example.com/{}", "x".repeat(1_024));
    for (url, kept) in [
        (URL, true),
        ("https://api.example.com:443/r", true),
        ("https://elsewhere.example.com/r", false),
        ("http://api.example.com/r", false),
        ("https://api.example.com:444/r", false),
        ("https://user@api.example.com/r", false),
        ("https://api.example.com.elsewhere.example/r", false),
        ("https://api.example.com@elsewhere.example/r", false),
        ("/requests/r1", false),
        ("javascript:alert(1)", false),
        ("", false),
        (long.as_str(), false),
    ] {
        let body = v3("IN_PROGRESS").replace(URL, url);
        let seen = answered(200, Some(&body));
        assert_eq!((seen.outcome, seen.handle.is_some()), (Outcome::Unknown, kept), "{url}");
        assert_eq!(kept_url(&api(), url.as_bytes()).is_some(), kept, "{url}");
    }
    assert_eq!(kept_url(&api(), b"https://api.example.com/\xff"), None);
}

#[test]
fn hostile_bodies_decide_nothing() {
    let deep = "[".repeat(10_000);
    for body in [
        "null",
        "[]",
        "{}",
        "{\"status\":7}",
        "{\"status\":\"SUCCESS\",\"status\":\"FAILURE\"}",
        "{\"commandResponse\":{}}",
        "{\"commandResponse\":\"success\",\"status\":\"SUCCESS\"}",
        deep.as_str(),
        "<html>",
    ] {
        let seen = answered(200, Some(body));
        assert_eq!((seen.outcome, seen.handle), (Outcome::Unknown, None), "{}", &body[..body.len().min(40)]);
        assert_eq!(reconciled(body.as_bytes(), SENT, SENT, URL.as_bytes()), None);
    }
}

#[test]
fn lights_are_asked_for_without_the_horn() {
    for (api, start) in [(Api::V3, "{\"action\":[\"Flash\"]"), (Api::V1, "{\"alertRequest\":{\"action\":[\"Flash\"]")] {
        let body = Asked::Flash.body(api);
        assert!(body.starts_with(start) && !body.contains("Honk"), "{body}");
        assert!(Json::parse(body.as_bytes()).is_some(), "{body}");
    }
}
