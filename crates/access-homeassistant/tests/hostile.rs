//! Answers that a real server was not made to give: it is starting, or it is not itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use parcelshelf_access::{Access, AccessError, Command, Session};
use parcelshelf_access_homeassistant::{Car, HomeAssistant, HomeAssistantConfig, Things};
use parcelshelf_core::actuation::{AccessClass, Outcome, Refusal};
use parcelshelf_core::time::{Clock, Sleep, Timer, Timestamp};
use parcelshelf_core::vehicle::Vin;
use parcelshelf_exchange::{Answer, Client, Silence, Way};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);
struct Still;
impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
}
impl Timer for Still {
    fn sleep(&self, _span: Duration) -> Sleep {
        Box::pin(std::future::pending())
    }
    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
}

/// A server that answers by a script, first match by the beginning of "METHOD path".
struct Scripted {
    script: Vec<(&'static str, u16, Option<String>)>,
    seen: Mutex<Vec<String>>,
}
#[async_trait::async_trait]
impl Way for Scripted {
    async fn carry(&self, request: Request<Bytes>, _max_bytes: usize) -> Result<Answer, Silence> {
        let asked = format!("{} {}", request.method(), request.uri().path());
        self.seen.lock().unwrap().push(asked.clone());
        let (_, status, body) = self.script.iter().find(|(start, ..)| asked.starts_with(start)).ok_or(Silence::Lost)?;
        let status = StatusCode::from_u16(*status).unwrap();
        Ok(Answer { status, headers: HeaderMap::new(), body: body.clone().map(Bytes::from) })
    }
}

fn vin() -> Vin {
    Vin::parse("1M8GDM9AXKP042788").unwrap()
}
fn state(entity: &str, state: &str) -> String {
    format!(
        r#"{{"entity_id":"{entity}","state":"{state}","attributes":{{"latitude":59.33,"longitude":18.06,"source_type":"gps"}},
        "last_changed":"2026-11-22T22:23:12.582976+00:00","last_updated":"2026-11-22T22:24:00+00:00",
        "context":{{"id":"01A","parent_id":null,"user_id":null}}}}"#
    )
}
fn home(script: Vec<(&'static str, u16, Option<String>)>) -> (HomeAssistant, Arc<Scripted>) {
    let car = Car {
        vin: vin(),
        make: "Example".into(),
        model: None,
        model_year: None,
        colour: None,
        class: AccessClass::TailgateWithCabin,
        lock: "lock.car".into(),
        lid: "cover.car".into(),
        tracker: "device_tracker.car".into(),
    };
    let config = HomeAssistantConfig {
        base: "https://home.example.org".into(),
        client_id: "https://wallet.example.org/".into(),
        redirect_uri: "https://wallet.example.org/oauth/callback".into(),
        things: Things::Cars(vec![car]),
    };
    let way = Arc::new(Scripted { script, seen: Mutex::default() });
    let client = Client::over(way.clone(), Arc::new(Still));
    (HomeAssistant::new(config, client, Arc::new(Still)).unwrap(), way)
}
fn session() -> Session {
    Session { access_token: "token".into(), now: NOW }
}
async fn send(home: &HomeAssistant, command: Command) -> Outcome {
    let prepared = home.prepare(command, &vin(), [0; 16], NOW);
    home.send(&session(), &prepared).await.outcome
}
const OPEN: Command = Command::Open(AccessClass::TailgateWithCabin);

#[tokio::test]
async fn while_the_server_starts_nothing_is_missing_yet() {
    let starting = vec![
        ("GET /api/states/", 404, Some(r#"{"message":"Entity not found."}"#.into())),
        ("GET /api/config", 200, Some(r#"{"state":"STARTING"}"#.into())),
    ];
    let (home, way) = home(starting);
    assert_eq!(home.vehicles(&session()).await.err(), Some(AccessError::Unreachable));
    assert_eq!(home.locate(&session(), &vin()).await.err(), Some(AccessError::Unreachable));
    assert_eq!(send(&home, OPEN).await, Outcome::DidNotHappen(Refusal::MakerRefused), "later, perhaps");
    assert!(!way.seen.lock().unwrap().iter().any(|s| s.starts_with("POST")));
}

#[tokio::test]
async fn an_open_lid_is_not_locked_and_an_unseen_one_is() {
    for (lid, posts) in [("open", 0), ("closing", 0), ("closed", 1), ("unavailable", 1), ("odd", 1)] {
        let (home, way) = home(vec![
            ("GET /api/states/lock.car", 200, Some(state("lock.car", "unlocked"))),
            ("GET /api/states/cover.car", 200, Some(state("cover.car", lid))),
            ("POST /api/services/lock/lock", 200, Some(format!("[{}]", state("lock.car", "locked")))),
        ]);
        let done = matches!(send(&home, Command::Lock).await, Outcome::Done(_));
        assert_eq!(done, posts == 1, "{lid}");
        assert_eq!(way.seen.lock().unwrap().iter().filter(|s| s.starts_with("POST")).count(), posts, "{lid}");
    }
}

#[tokio::test]
async fn a_command_is_sent_once_whatever_comes_back() {
    for (status, body) in [(500, None), (502, None), (302, None), (200, None), (200, Some("{}".repeat(9))), (429, None)]
    {
        let (home, way) = home(vec![
            ("GET /api/states/lock.car", 200, Some(state("lock.car", "locked"))),
            ("POST /api/services/lock/unlock", status, body),
        ]);
        let outcome = send(&home, OPEN).await;
        let expected = if status == 429 { Outcome::DidNotHappen(Refusal::RateLimited) } else { Outcome::Unknown };
        assert_eq!(outcome, expected, "{status}");
        assert_eq!(way.seen.lock().unwrap().iter().filter(|s| s.starts_with("POST")).count(), 1);
    }
}

#[tokio::test]
async fn anothers_state_is_not_taken_for_ours() {
    let (home, _) = home(vec![("GET /api/states/", 200, Some(state("lock.other", "locked")))]);
    assert_eq!(home.closures(&session(), &vin()).await.err(), Some(AccessError::Malformed("state")));
    assert_eq!(send(&home, OPEN).await, Outcome::DidNotHappen(Refusal::MakerRefused));
}

#[tokio::test]
async fn a_text_that_fits_into_no_header_is_never_sent() {
    let (home, way) = home(Vec::new());
    let odd = Session { access_token: "line\nbreak".into(), now: NOW };
    assert!(matches!(home.closures(&odd, &vin()).await, Err(AccessError::OwnerActionNeeded(_))));
    assert!(way.seen.lock().unwrap().is_empty());
}
