//! Clouds that answer what no cloud should.

use parcelshelf_access::{Access as _, AccessError, Command, Session};
use parcelshelf_core::actuation::{AccessClass, Outcome, Refusal};
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;
use wiremock::matchers::{any, method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::rig::{config, tesla};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);
const VIN: &str = "5YJ3E1EA7KF000316";
fn vin() -> Vin {
    Vin::parse(VIN).unwrap()
}
fn session() -> Session {
    Session { access_token: "token".into(), now: NOW }
}
fn hostile_answers() -> Vec<(&'static str, ResponseTemplate)> {
    let deep = "[".repeat(100_000);
    vec![
        ("redirect", ResponseTemplate::new(307).insert_header("location", "http://127.0.0.1:9/steal")),
        ("huge", ResponseTemplate::new(200).set_body_bytes(vec![b' '; 300_000])),
        ("deep", ResponseTemplate::new(200).set_body_string(deep)),
        ("nothing", ResponseTemplate::new(200).set_body_string("{}")),
        ("two results", ResponseTemplate::new(200).set_body_string(r#"{"response":{"result":true,"result":false}}"#)),
        ("a text", ResponseTemplate::new(200).set_body_string(r#"{"response":"AAAA"}"#)),
        ("another car's", ResponseTemplate::new(200).set_body_string(r#"{"response":{"vin":"5YJ3E1EA7KF000317"}}"#)),
        ("empty", ResponseTemplate::new(200)),
    ]
}
/// What a car says that is shut, parked and takes plain commands.
fn shut(ago_s: i64) -> String {
    let now = NOW.plus_seconds(-ago_s).unix_millis();
    format!(
        r#"{{"response":{{"vin":"{VIN}","vehicle_state":{{"locked":true,"rt":0,"ft":0,"df":0,"pf":0,"dr":0,"pr":0,"timestamp":{now}}},"vehicle_config":{{"can_actuate_trunks":true}}}}}}"#
    )
}
fn plain() -> String {
    format!(r#"{{"response":{{"vehicle_info":{{"{VIN}":{{"vehicle_command_protocol_required":false}}}}}}}}"#)
}
async fn cloud(command: ResponseTemplate, style: String) -> MockServer {
    cloud_that_saw(shut(0), command, style).await
}
async fn cloud_that_saw(state: String, command: ResponseTemplate, style: String) -> MockServer {
    let server = MockServer::start().await;
    let read = Mock::given(method("GET")).and(path_regex("/vehicle_data$"));
    read.respond_with(ResponseTemplate::new(200).set_body_string(state)).mount(&server).await;
    let status = Mock::given(method("POST")).and(path_regex("/fleet_status$"));
    status.respond_with(ResponseTemplate::new(200).set_body_string(style)).mount(&server).await;
    let rest = Mock::given(path_regex("/(command/.*|signed_command)$"));
    rest.respond_with(command).mount(&server).await;
    server
}
async fn commands(server: &MockServer) -> usize {
    let all = server.received_requests().await.unwrap();
    all.iter().filter(|r| r.url.path().contains("/command/") || r.url.path().ends_with("/signed_command")).count()
}

#[tokio::test]
async fn a_reading_that_is_none_opens_nothing_and_is_not_repeated() {
    for (name, answer) in hostile_answers() {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let tesla = tesla(config(&server.uri()), None);
        let open = Command::Open(AccessClass::SeparateTrunk);
        let sent = tesla.send(&session(), &tesla.prepare(open, &vin(), [1; 16], NOW)).await;
        assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::MakerRefused), "{name}");
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "{name}");
        for reading in [
            tesla.locate(&session(), &vin()).await.map(drop),
            tesla.closures(&session(), &vin()).await.map(drop),
            tesla.vehicles(&session()).await.map(drop),
        ] {
            assert!(matches!(reading, Err(AccessError::Malformed(_))), "{name}: {reading:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_to_a_command_that_is_none_is_unknown_and_nothing_is_repeated() {
    for command in [Command::Open(AccessClass::SeparateTrunk), Command::Lock] {
        for (name, answer) in hostile_answers() {
            let server = cloud(answer, plain()).await;
            let tesla = tesla(config(&server.uri()), None);
            let sent = tesla.send(&session(), &tesla.prepare(command, &vin(), [1; 16], NOW)).await;
            assert_eq!(sent.outcome, Outcome::Unknown, "{name} {command:?}");
            assert!(sent.may_act_until.is_some_and(|until| until > NOW), "{name}");
            assert_eq!(commands(&server).await, 1, "{name}");
        }
    }
}

#[tokio::test]
async fn a_lid_that_was_seen_shut_too_long_ago_is_not_opened() {
    for (ago_s, opens) in [(0, true), (15, true), (25, false), (90, false), (-90, false)] {
        let done = ResponseTemplate::new(200).set_body_string(r#"{"response":{"result":true,"reason":""}}"#);
        let server = cloud_that_saw(shut(ago_s), done, plain()).await;
        let tesla = tesla(config(&server.uri()), None);
        let open = Command::Open(AccessClass::SeparateTrunk);
        let sent = tesla.send(&session(), &tesla.prepare(open, &vin(), [1; 16], NOW)).await;
        assert_eq!(matches!(sent.outcome, Outcome::Done(_)), opens, "{ago_s} s ago: {:?}", sent.outcome);
        assert_eq!(commands(&server).await, usize::from(opens), "{ago_s} s ago");
    }
}

#[tokio::test]
async fn a_handshake_that_is_none_signs_nothing() {
    for (name, answer) in hostile_answers() {
        let server = cloud(answer, plain().replace("false", "true")).await;
        let tesla = tesla(config(&server.uri()), None);
        tesla.closures(&session(), &vin()).await.unwrap();
        let open = Command::Open(AccessClass::SeparateTrunk);
        let before = commands(&server).await;
        let sent = tesla.send(&session(), &tesla.prepare(open, &vin(), [1; 16], NOW)).await;
        assert!(matches!(sent.outcome, Outcome::DidNotHappen(_)), "{name}: {:?}", sent.outcome);
        let handshakes = commands(&server).await - before;
        assert!(handshakes <= 1, "{name}: at most one more try to begin a session, and no command");
        let bodies = server.received_requests().await.unwrap();
        let told = |r: &wiremock::Request| r.url.path().contains("/command/");
        assert!(!bodies.iter().any(told), "{name}: and nothing plain in its place");
    }
}

#[tokio::test]
async fn a_region_that_only_an_answer_knows_gets_no_token() {
    let (server, thief) = (MockServer::start().await, MockServer::start().await);
    let text = format!("user out of region, use base URL: {}, see https://developer.example.com", thief.uri());
    let body = serde_json::json!({"response": null, "error": text}).to_string();
    Mock::given(any()).respond_with(ResponseTemplate::new(421).set_body_string(body)).mount(&server).await;
    let tesla = tesla(config(&server.uri()), None);
    assert_eq!(tesla.vehicles(&session()).await.map(drop), Err(AccessError::NotSupported));
    let sent = tesla.send(&session(), &tesla.prepare(Command::Lock, &vin(), [1; 16], NOW)).await;
    assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::MakerRefused));
    assert!(thief.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_known_region_is_asked_once_more_for_readings_and_commands_are_not_sent_twice() {
    let there =
        cloud(ResponseTemplate::new(200).set_body_string(r#"{"response":{"result":true,"reason":""}}"#), plain()).await;
    let here = MockServer::start().await;
    let body = serde_json::json!({"error": format!("use base URL: {}", there.uri())}).to_string();
    Mock::given(any()).respond_with(ResponseTemplate::new(421).set_body_string(body)).mount(&here).await;
    let mut config = config(&here.uri());
    config.regions.push(parcelshelf_access_tesla::Region { name: "NA".into(), api_base: there.uri() });
    let tesla = tesla(config, None);
    assert!(tesla.closures(&session(), &vin()).await.is_ok());
    assert_eq!(here.received_requests().await.unwrap().len(), 1, "and remembered");
    let sent = tesla.send(&session(), &tesla.prepare(Command::Lock, &vin(), [1; 16], NOW)).await;
    assert!(matches!(sent.outcome, Outcome::Done(_)));
    assert_eq!((commands(&here).await, commands(&there).await), (0, 1));
}

#[tokio::test]
async fn retry_after_is_passed_on_in_either_spelling() {
    for header in ["retry-after", "ratelimit-reset"] {
        let server = cloud(ResponseTemplate::new(429).insert_header(header, "17"), plain()).await;
        let tesla = tesla(config(&server.uri()), None);
        let sent = tesla.send(&session(), &tesla.prepare(Command::Lock, &vin(), [1; 16], NOW)).await;
        assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::RateLimited));
        assert_eq!(sent.retry_after, Some(std::time::Duration::from_secs(17)), "{header}");
    }
}
