//! Clouds that answer what no cloud should, and one that stops halfway.

use parcelshelf_access::{Access as _, AccessError, Command, Session, Tokens};
use parcelshelf_core::actuation::{AccessClass, Outcome, Refusal};
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;
use wiremock::matchers::{any, path, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::rig::onstar;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);
/// A token that names the car below: `{"vehs":[{"vin":"1G1FZ6S00L4000001"}]}`.
const TOKEN: &str = "h.eyJ2ZWhzIjpbeyJ2aW4iOiIxRzFGWjZTMDBMNDAwMDAwMSJ9XX0.s";
fn vin() -> Vin {
    Vin::parse("1G1FZ6S00L4000001").unwrap()
}
fn session() -> Session {
    Session { access_token: TOKEN.into(), now: NOW }
}

/// A cloud that answers every request with the same thing: what an open becomes, what a reading, and the requests of the open.
async fn hostile(answer: ResponseTemplate) -> (Outcome, Result<(), AccessError>, usize) {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let onstar = onstar(&server.uri(), None);
    let open = Command::Open(AccessClass::SeparateTrunk);
    let sent = onstar.send(&session(), &onstar.prepare(open, &vin(), [1; 16], NOW)).await;
    let requests = server.received_requests().await.unwrap().len();
    (sent.outcome, onstar.locate(&session(), &vin()).await.map(drop), requests)
}

#[tokio::test]
async fn a_hostile_cloud_gets_no_repeat_no_trust_and_no_panic() {
    let deep = "[".repeat(100_000);
    for (name, answer) in [
        ("redirect", ResponseTemplate::new(307).insert_header("location", "http://127.0.0.1:9/steal")),
        ("huge", ResponseTemplate::new(200).set_body_bytes(vec![b' '; 300_000])),
        ("deep", ResponseTemplate::new(200).set_body_string(deep)),
        ("no status", ResponseTemplate::new(200).set_body_string("{}")),
        ("two statuses", ResponseTemplate::new(200).set_body_string(r#"{"status":"SUCCESS","status":"FAILURE"}"#)),
        ("418", ResponseTemplate::new(418)),
        ("empty", ResponseTemplate::new(200)),
    ] {
        let (outcome, reading, requests) = hostile(answer).await;
        assert_eq!((outcome, requests), (Outcome::Unknown, 1), "{name}");
        assert!(matches!(reading, Err(AccessError::Malformed(_))), "{name}: {reading:?}");
    }
}

#[tokio::test]
async fn two_refusals_with_400_are_one_refusal() {
    let (outcome, reading, requests) = hostile(ResponseTemplate::new(400)).await;
    assert_eq!((outcome, requests), (Outcome::DidNotHappen(Refusal::MakerRefused), 2));
    assert!(matches!(reading, Err(AccessError::Malformed(_))));
}

#[tokio::test]
async fn a_renewed_login_is_not_lost_when_the_exchange_after_it_fails() {
    let server = MockServer::start().await;
    let login = r#"{"access_token":"a.b.c","refresh_token":"second","expires_in":3600}"#;
    let token = Mock::given(path_regex("/oauth2/v2.0/token$"));
    token.respond_with(ResponseTemplate::new(200).set_body_string(login)).mount(&server).await;
    let exchange = Mock::given(path("/sec/authz/v3/oauth/token"));
    exchange.respond_with(ResponseTemplate::new(503)).mount(&server).await;
    let onstar = onstar(&server.uri(), None);
    let first = Tokens {
        access_token: TOKEN.into(),
        refresh_token: "first".into(),
        access_expires_at: NOW,
        refresh_expires_at: None,
        not_given: Vec::new(),
    };
    let kept = onstar.refresh(&first, NOW).await.unwrap();
    assert_eq!((kept.refresh_token.as_str(), kept.access_expires_at), ("second", NOW));

    // Until a refresh goes through, nothing is sent and nobody is told that the owner must act.
    let before = server.received_requests().await.unwrap().len();
    let session = Session { access_token: kept.access_token, now: NOW };
    assert_eq!(onstar.locate(&session, &vin()).await.map(drop), Err(AccessError::Unreachable));
    assert_eq!(onstar.vehicles(&session).await.map(drop), Err(AccessError::Unreachable));
    let sent = onstar.send(&session, &onstar.prepare(Command::Lock, &vin(), [1; 16], NOW)).await;
    assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::MakerRefused));
    assert_eq!(server.received_requests().await.unwrap().len(), before);
}
