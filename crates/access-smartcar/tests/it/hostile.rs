//! Clouds that answer what no cloud should.

use std::time::Duration;

use parcelshelf_access::{Access as _, AccessError, Closures, Command, LidState, LockState, Reconciled, Session};
use parcelshelf_access_smartcar::{ACCOUNT_REFUSED, PERMISSION_REFUSED, REMOTE_ACCESS_OFF};
use parcelshelf_core::actuation::{AccessClass, Confirmation, Outcome, Refusal};
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;
use serde_json::json;
use wiremock::matchers::{any, method, path, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::rig::{VERIFIER, config, smartcar};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);
const VIN: &str = "YV1XZ16B0N2100001";
const ID: &str = "36ab27d0-fd9d-4455-823a-ce30af709ffc";
const OPEN: Command = Command::Open(AccessClass::TailgateWithCabin);

fn vin() -> Vin {
    Vin::parse(VIN).unwrap()
}
fn session() -> Session {
    Session { access_token: "token".into(), now: NOW }
}
/// As fresh as can be: what is not believed is not believed for what it says.
fn fresh(answer: ResponseTemplate) -> ResponseTemplate {
    answer.insert_header("sc-data-age", NOW.to_rfc3339().as_str())
}
fn hostile_answers() -> Vec<(&'static str, ResponseTemplate)> {
    let ok = |body: &str| fresh(ResponseTemplate::new(200).set_body_string(body));
    vec![
        ("redirect", ResponseTemplate::new(307).insert_header("location", "http://127.0.0.1:9/steal")),
        ("huge", fresh(ResponseTemplate::new(200).set_body_bytes(vec![b' '; 300_000]))),
        ("deep", ok(&"[".repeat(100_000))),
        ("nothing", ok("{}")),
        ("empty", ok("")),
        ("a list", ok("[]")),
        ("a text", ok(r#""success""#)),
        ("two results", ok(r#"{"status":"success","status":"error","isLocked":true,"isLocked":false}"#)),
        ("two spellings", ok(r#"{"status":"success","Status":"pending","isLocked":true,"islocked":false}"#)),
        (
            "numbers for words",
            ok(r#"{"status":1,"isLocked":1,"latitude":"57.7","longitude":true,"vehicles":7,"vin":5}"#),
        ),
        ("cut off", ok(r#"{"status":"success","isLocked":tr"#)),
        ("a web page", ResponseTemplate::new(200).set_body_string("<html>success</html>")),
        ("accepted elsewhere", ResponseTemplate::new(202).set_body_string(r#"{"status":"success"}"#)),
    ]
}
/// A cloud with one car, whose answers to readings and commands about it are these.
async fn cloud(reading: ResponseTemplate, command: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let list = json!({"vehicles": [ID], "paging": {"count": 1, "offset": 0}});
    for (at, body) in [("/v2.0/vehicles".to_owned(), list), (format!("/v2.0/vehicles/{ID}/vin"), json!({"vin": VIN}))] {
        let known = Mock::given(method("GET")).and(path(at));
        known.respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
    }
    Mock::given(method("GET")).and(path_regex("/(security|location)$")).respond_with(reading).mount(&server).await;
    Mock::given(method("POST")).respond_with(command).mount(&server).await;
    server
}
async fn commands(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().iter().filter(|r| r.method.as_str() == "POST").count()
}
fn tells_nothing(seen: &Closures) -> bool {
    let lids = seen.doors.iter().map(|(_, door)| door.value).chain([seen.lid.value]);
    seen.central_lock.value == LockState::Unknown && lids.into_iter().all(|lid| lid == LidState::Unknown)
}
fn success() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"status": "success", "message": "sent"}))
}

#[tokio::test]
async fn an_answer_to_a_command_that_is_none_is_unknown_and_is_not_repeated() {
    for command in [OPEN, Command::Lock] {
        for (name, answer) in hostile_answers() {
            let server = cloud(ResponseTemplate::new(404), answer).await;
            let smartcar = smartcar(config(&server.uri()));
            let sent = smartcar.send(&session(), &smartcar.prepare(command, &vin(), [1; 16], NOW)).await;
            assert_eq!(sent.outcome, Outcome::Unknown, "{name} {command:?}");
            assert!(
                sent.may_act_until.is_some_and(|until| until >= NOW.plus_seconds(310)),
                "{name}: as long as it may"
            );
            assert_eq!(commands(&server).await, 1, "{name} {command:?}");
        }
    }
}

#[tokio::test]
async fn a_reading_that_is_none_tells_nothing() {
    for (name, answer) in hostile_answers() {
        let server = cloud(answer, success()).await;
        let smartcar = smartcar(config(&server.uri()));
        match smartcar.closures(&session(), &vin()).await {
            Ok(seen) => assert!(tells_nothing(&seen), "{name}: {seen:?}"),
            Err(refused) => assert!(matches!(refused, AccessError::Malformed(_)), "{name}: {refused:?}"),
        }
        let located = smartcar.locate(&session(), &vin()).await;
        assert!(matches!(located, Err(AccessError::Malformed(_))), "{name}: {located:?}");
    }
}

#[tokio::test]
async fn an_account_that_is_none_links_no_car_and_commands_none() {
    let many: Vec<String> = (0..17).map(|n| format!("car-{n}")).collect();
    let lists = [
        ("seventeen cars", json!({"vehicles": many})),
        ("more on other pages", json!({"vehicles": [ID], "paging": {"count": 40, "offset": 0}})),
        ("a way out", json!({"vehicles": ["../../oauth/token"]})),
        ("an id with a question", json!({"vehicles": ["a?b=c"]})),
    ];
    let lists = lists.into_iter().map(|(name, body)| (name, ResponseTemplate::new(200).set_body_json(body)));
    for (name, answer) in lists.chain(hostile_answers()) {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let smartcar = smartcar(config(&server.uri()));
        let found = smartcar.vehicles(&session()).await;
        assert!(matches!(found, Err(AccessError::Malformed(_))), "{name}: {found:?}");
        let sent = smartcar.send(&session(), &smartcar.prepare(OPEN, &vin(), [1; 16], NOW)).await;
        assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::MakerRefused), "{name}: whose car would it be?");
        assert_eq!((commands(&server).await, server.received_requests().await.unwrap().len()), (0, 2), "{name}");
    }
}

#[tokio::test]
async fn another_cars_id_gets_no_command() {
    let server = MockServer::start().await;
    let list = Mock::given(method("GET")).and(path("/v2.0/vehicles"));
    list.respond_with(ResponseTemplate::new(200).set_body_json(json!({"vehicles": [ID]}))).mount(&server).await;
    let other = Mock::given(method("GET")).and(path_regex("/vin$"));
    let body = json!({"vin": "YV1XZ16B0N2100002"});
    other.respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
    let smartcar = smartcar(config(&server.uri()));
    for command in [OPEN, Command::Lock] {
        let sent = smartcar.send(&session(), &smartcar.prepare(command, &vin(), [1; 16], NOW)).await;
        assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::OwnerActionNeeded));
    }
    let read = smartcar.closures(&session(), &vin()).await;
    assert_eq!(read.map(drop), Err(AccessError::OwnerActionNeeded(PERMISSION_REFUSED)));
    assert_eq!(commands(&server).await, 0);
}

#[tokio::test]
async fn an_old_state_and_one_from_the_future_tell_nothing_however_good_it_looks() {
    let doors = ["frontLeft", "frontRight", "backLeft", "backRight"];
    let shut = json!({
        "isLocked": true,
        "doors": doors.map(|door| json!({"type": door, "status": "CLOSED"})).to_vec(),
        "storage": [{"type": "rear", "status": "CLOSED"}],
    });
    for (ago_s, tells) in [(0, true), (80, true), (100, false), (86_400, false), (-30, true), (-3_600, false)] {
        let at = NOW.plus_seconds(-ago_s).to_rfc3339();
        let answer = ResponseTemplate::new(200).set_body_json(&shut).insert_header("sc-data-age", at.as_str());
        let server = cloud(answer, success()).await;
        let smartcar = smartcar(config(&server.uri()));
        let seen = smartcar.closures(&session(), &vin()).await.unwrap();
        assert_eq!(!tells_nothing(&seen), tells, "{ago_s} s ago");
        assert!(seen.read_at <= NOW.plus_seconds(5), "{ago_s} s ago: never from the future");
    }
    // Told twice is not told.
    let twice = ResponseTemplate::new(200).set_body_json(&shut);
    let twice = twice.append_header("sc-data-age", NOW.to_rfc3339().as_str());
    let twice = twice.append_header("sc-data-age", NOW.plus_seconds(-1).to_rfc3339().as_str());
    let server = cloud(twice, success()).await;
    assert!(tells_nothing(&smartcar(config(&server.uri())).closures(&session(), &vin()).await.unwrap()));
}

#[tokio::test]
async fn a_lock_that_was_taken_is_proved_by_what_the_car_recorded_afterwards_alone() {
    let locked = |at: Timestamp| {
        let body = json!({"isLocked": true});
        ResponseTemplate::new(200).set_body_json(body).insert_header("sc-data-age", at.to_rfc3339().as_str())
    };
    for (recorded_at, proved) in [(NOW.plus_seconds(-20), false), (NOW, false), (NOW.plus_seconds(40), true)] {
        let server = cloud(locked(recorded_at), success()).await;
        let smartcar = smartcar(config(&server.uri()));
        let prepared = smartcar.prepare(Command::Lock, &vin(), [1; 16], NOW);
        let sent = smartcar.send(&session(), &prepared).await;
        assert_eq!(sent.outcome, Outcome::Done(Confirmation::Accepted));
        let later = Session { now: NOW.plus_seconds(60), ..session() };
        let told = smartcar.reconcile(&later, &prepared, sent.handle.as_deref()).await.unwrap();
        let Reconciled::Outcome(told) = told else { panic!("there is a handle") };
        let expected = if proved { Outcome::Done(Confirmation::Observed) } else { Outcome::Unknown };
        assert_eq!(told.outcome, expected, "recorded at {recorded_at:?}");
        assert_eq!(commands(&server).await, 1, "asking is no command");
    }
}

#[tokio::test]
async fn errors_tell_who_must_act_and_how_long_to_wait() {
    let error = |status: u16, kind: &str, code: &str| {
        let body = json!({"type": kind, "code": code, "statusCode": status, "description": "…"});
        ResponseTemplate::new(status).set_body_json(body).insert_header("retry-after", "17")
    };
    let wait = Some(Duration::from_secs(17));
    for (status, kind, code, outcome, retry_after) in [
        (403, "PERMISSION", "", Refusal::OwnerActionNeeded, wait),
        (400, "CONNECTED_SERVICES_ACCOUNT", "SUBSCRIPTION", Refusal::OwnerActionNeeded, wait),
        (409, "VEHICLE_STATE", "ASLEEP", Refusal::Asleep, wait),
        (429, "RATE_LIMIT", "VEHICLE", Refusal::RateLimited, wait),
        (430, "BILLING", "VEHICLE_REQUEST_LIMIT", Refusal::RateLimited, wait),
        (430, "BILLING", "INVALID_PLAN", Refusal::MakerRefused, wait),
        (501, "COMPATIBILITY", "VEHICLE_NOT_CAPABLE", Refusal::NotSupported, wait),
    ] {
        let server = cloud(error(status, kind, code), error(status, kind, code)).await;
        let smartcar = smartcar(config(&server.uri()));
        let sent = smartcar.send(&session(), &smartcar.prepare(OPEN, &vin(), [1; 16], NOW)).await;
        assert_eq!(sent.outcome, Outcome::DidNotHappen(outcome), "{status} {code}");
        assert_eq!(sent.retry_after, retry_after, "{status} {code}");
    }
    for (status, kind, code, refused) in [
        (403, "PERMISSION", "", AccessError::OwnerActionNeeded(PERMISSION_REFUSED)),
        (400, "CONNECTED_SERVICES_ACCOUNT", "PERMISSION", AccessError::OwnerActionNeeded(ACCOUNT_REFUSED)),
        (409, "VEHICLE_STATE", "REMOTE_ACCESS_DISABLED", AccessError::OwnerActionNeeded(REMOTE_ACCESS_OFF)),
        (429, "RATE_LIMIT", "SMARTCAR_API", AccessError::RateLimited { retry_after: wait }),
        (502, "UPSTREAM", "NO_RESPONSE", AccessError::CarSilent),
        (409, "VEHICLE_STATE", "UNREACHABLE", AccessError::CarSilent),
        (503, "SERVER", "INTERNAL", AccessError::Unreachable),
    ] {
        let server = cloud(error(status, kind, code), success()).await;
        let read = smartcar(config(&server.uri())).closures(&session(), &vin()).await;
        assert_eq!(read.map(drop), Err(refused), "{status} {code}");
    }
}

#[tokio::test]
async fn a_token_answer_that_is_none_is_no_token() {
    let missing = ResponseTemplate::new(200).set_body_json(json!({"access_token": "a", "expires_in": 7200}));
    let split = json!({"access_token": "a\r\nx: y", "refresh_token": "b", "expires_in": 7200});
    let split = ResponseTemplate::new(200).set_body_json(split);
    let all = [("no refresh token", missing), ("a header in it", split)].into_iter().chain(hostile_answers());
    for (name, answer) in all {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let smartcar = smartcar(config(&server.uri()));
        let refused = smartcar.exchange_code("code", VERIFIER, NOW).await;
        assert!(matches!(refused, Err(AccessError::Malformed(_))), "{name}: {refused:?}");
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "{name}: a code serves once");
    }
}
