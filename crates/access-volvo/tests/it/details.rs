//! What is this maker's own, beyond the conformance suite.

use std::time::Duration;

use parcelshelf_access::conformance::Rig as _;
use parcelshelf_access::{Access as _, AccessError, Command, Session};
use parcelshelf_access_volvo::PERMISSION_REFUSED;
use parcelshelf_core::actuation::{AccessClass, Confirmation, Outcome, Refusal};
use parcelshelf_core::reason::Obstacle;
use parcelshelf_core::secret::Redacted;
use parcelshelf_simulator::volvo::{DEMO_OWNER, ReadyAs};
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::rig::{VERIFIER, VolvoRig, config, consent, volvo};

const OPEN: Command = Command::Open(AccessClass::TailgateWithCabin);

async fn open(rig: &VolvoRig) -> parcelshelf_access::Sent {
    let session = rig.session().await;
    let prepared = rig.volvo.prepare(OPEN, &rig.vin, [1; 16], session.now);
    rig.volvo.send(&session, &prepared).await
}

#[tokio::test]
async fn the_window_is_told_in_seconds_or_as_a_moment_or_not_at_all() {
    for (ready_as, seconds) in [(ReadyAs::Seconds, 120), (ReadyAs::EpochMs, 120), (ReadyAs::Absent, 300)] {
        let rig = VolvoRig::with(|car| car.ready_as = ready_as).await;
        let before = rig.session().await.now;
        let sent = open(&rig).await;
        assert_eq!(sent.outcome, Outcome::Done(Confirmation::Armed));
        let window_ms = sent.ready_until.unwrap().millis_since(before);
        // The answer is later than the question by what the network takes.
        assert!(
            (seconds * 1_000 - 1_000..seconds * 1_000 + 10_000).contains(&window_ms),
            "{ready_as:?}: {window_ms} ms"
        );
    }
}

#[tokio::test]
async fn a_cloud_without_timestamps_gives_states_without_times() {
    let rig = VolvoRig::with(|car| car.without_timestamps = true).await;
    let session = rig.session().await;
    let seen = rig.volvo.closures(&session, &rig.vin).await.unwrap();
    assert_eq!((seen.lid.changed_at, seen.central_lock.changed_at), (None, None));
    assert_eq!(rig.volvo.locate(&session, &rig.vin).await.unwrap().taken_at, None);
}

#[tokio::test]
async fn the_place_is_the_last_parking_place_even_while_driving() {
    let rig = VolvoRig::new().await;
    let session = rig.session().await;
    let parked = rig.volvo.locate(&session, &rig.vin).await.unwrap();
    assert!((parked.position.latitude_deg() - 57.708_87).abs() < 1e-9, "longitude comes first on the wire");
    assert!(parked.last_parked_only && (parked.position.accuracy_m() - 25.0).abs() < f64::EPSILON);
    assert!(rig.hand_action(json!({"action": "drive_away"})).await);
    assert!(rig.volvo.locate(&session, &rig.vin).await.unwrap().position == parked.position);
    assert_eq!(open(&rig).await.outcome, Outcome::DidNotHappen(Refusal::InUse));
    assert!(rig.hand_action(json!({"action": "park", "latitude": 57.7, "longitude": 11.9})).await);
    let moved = rig.volvo.locate(&rig.session().await, &rig.vin).await.unwrap();
    assert!((moved.position.longitude_deg() - 11.9).abs() < 1e-9 && moved.taken_at > parked.taken_at);
}

#[tokio::test]
async fn a_region_without_positions_is_found_when_linking() {
    let rig = VolvoRig::with(|car| car.publishes_position = false).await;
    let session = rig.session().await;
    assert_eq!(rig.volvo.locate(&session, &rig.vin).await, Err(AccessError::NotSupported));
    let found = rig.volvo.vehicles(&session).await.unwrap();
    assert!(!found[0].publishes_position && found[0].missing_permissions.is_empty());
    assert_eq!((found[0].make.as_str(), found[0].model.as_deref()), ("Volvo", Some("XC40")));
    assert_eq!((found[0].model_year, found[0].can_signal), (Some(2022), true));
}

#[tokio::test]
async fn permissions_taken_away_later_are_named_in_the_makers_words() {
    let rig = VolvoRig::new().await;
    let session = rig.session().await;
    rig.post(
        &format!("/__sim/owners/{DEMO_OWNER}/scopes"),
        json!({"refused": ["location:read", "conve:lock_status", "conve:unlock"]}),
    )
    .await;
    let found = rig.volvo.vehicles(&session).await.unwrap();
    assert_eq!(found[0].missing_permissions, ["conve:doors_status", "conve:lock_status", "location:read"]);
    assert!(found[0].can_open.is_empty(), "an opening that cannot be watched is none");
    assert_eq!(found[0].obstacles, [Obstacle::StateNotGiven, Obstacle::PlaceNotGiven], "and in ours");
    assert_eq!(rig.volvo.closures(&session, &rig.vin).await, Err(AccessError::OwnerActionNeeded(PERMISSION_REFUSED)));
    assert_eq!(open(&rig).await.outcome, Outcome::DidNotHappen(Refusal::OwnerActionNeeded));
    assert_eq!(rig.commands_arrived().await, 0);
}

#[tokio::test]
async fn a_consent_without_opening_says_so_in_its_tokens() {
    let rig = VolvoRig::new().await;
    rig.post(&format!("/__sim/owners/{DEMO_OWNER}/scopes"), json!({"refused": ["conve:unlock"]})).await;
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let code = consent(&browser, &rig.volvo.authorize_url("state-1", VERIFIER), DEMO_OWNER).await;
    let tokens = rig.volvo.exchange_code(&code, VERIFIER, rig.session().await.now).await.unwrap();
    assert_eq!(tokens.not_given, [Obstacle::ControlNotGiven]);
    let refused = rig.volvo.refresh(&tokens, rig.session().await.now).await;
    assert!(matches!(refused, Err(AccessError::OwnerActionNeeded(_))), "later it is a permission that is gone");
}

#[tokio::test]
async fn linking_needs_our_own_verifier_and_our_own_secret() {
    let rig = VolvoRig::new().await;
    let now = rig.session().await.now;
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let code = consent(&browser, &rig.volvo.authorize_url("state-1", VERIFIER), DEMO_OWNER).await;
    let stolen = rig.volvo.exchange_code(&code, "another-verifier-of-forty-three-characters!", now).await;
    assert!(matches!(stolen, Err(AccessError::OwnerActionNeeded(_))), "a stolen code is worth nothing");
    let mut wrong = config(&rig.base);
    wrong.client_secret = Redacted::new("not-the-secret".into());
    let wrong = volvo(wrong);
    assert_eq!(wrong.refresh(&rig.tokens, now).await, Err(AccessError::Credentials));
    let mut wrong = config(&rig.base);
    wrong.vcc_api_key = Redacted::new("not-the-key".into());
    let wrong = volvo(wrong);
    assert!(wrong.closures(&rig.session().await, &rig.vin).await.is_err());
}

#[tokio::test]
async fn the_eleventh_command_of_a_minute_is_refused_with_a_time_to_wait() {
    let rig = VolvoRig::new().await;
    for n in 1..=10 {
        assert_eq!(open(&rig).await.outcome, Outcome::Done(Confirmation::Armed), "command {n}");
    }
    let refused = open(&rig).await;
    assert_eq!(refused.outcome, Outcome::DidNotHappen(Refusal::RateLimited));
    let wait = refused.retry_after.unwrap();
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(60), "{wait:?}");
    rig.pass_time(wait).await;
    assert_eq!(open(&rig).await.outcome, Outcome::Done(Confirmation::Armed));
}

#[tokio::test]
async fn an_access_token_ends_after_half_an_hour_and_an_idle_link_after_a_week() {
    let rig = VolvoRig::new().await;
    rig.pass_time(Duration::from_secs(1_800)).await;
    let session = rig.session().await;
    assert!(matches!(rig.volvo.closures(&session, &rig.vin).await, Err(AccessError::OwnerActionNeeded(_))));
    assert!(session.now >= rig.tokens.access_expires_at, "and the tokens said so");
    let fresh = rig.volvo.refresh(&rig.tokens, session.now).await.unwrap();
    rig.pass_time(Duration::from_secs(7 * 86_400)).await;
    let now = rig.session().await.now;
    assert!(now >= fresh.refresh_expires_at.unwrap());
    assert!(matches!(rig.volvo.refresh(&fresh, now).await, Err(AccessError::OwnerActionNeeded(_))));
}

#[tokio::test]
async fn lights_flash_without_the_horn() {
    let rig = VolvoRig::new().await;
    let outcome = rig.volvo.signal(&rig.session().await, &rig.vin).await.unwrap();
    assert_eq!(outcome, Outcome::Done(Confirmation::Executed));
    let record = rig.record().await;
    let signalled: Vec<_> = record["entries"].as_array().unwrap().iter().filter(|e| e["kind"] == "signalled").collect();
    assert_eq!(signalled.len(), 1);
    assert_eq!(signalled[0]["horn"], false);
}

#[tokio::test]
async fn an_impatient_caller_hears_unknown_while_the_car_acts() {
    let rig = VolvoRig::new().await;
    let path = format!("/__sim/cars/{}/faults", rig.vin.expose());
    rig.post(&path, json!({"command": "unlock", "fault": "slow", "slow_s": 2})).await;
    let impatient = volvo(config(&rig.base)).waiting_at_most(Duration::from_millis(200));
    let session = rig.session().await;
    let sent = impatient.send(&session, &impatient.prepare(OPEN, &rig.vin, [1; 16], session.now)).await;
    assert_eq!(sent.outcome, Outcome::Unknown);
    assert_eq!(sent.may_act_until, Some(session.now.plus_seconds(60)));
    assert_eq!(rig.commands_arrived().await, 1);
    assert!(rig.hand_action(json!({"action": "open_tailgate"})).await, "it had acted");
}

/// A cloud that answers every request with the same thing, and the sentence it earns.
async fn hostile(answer: ResponseTemplate) -> (Outcome, Result<(), AccessError>, u64) {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let volvo = volvo(config(&server.uri()));
    let session =
        Session { access_token: "t".into(), now: parcelshelf_core::time::Timestamp::from_unix_seconds(1_795_446_000) };
    let vin = parcelshelf_core::vehicle::Vin::parse("YV1XZ16B0N2100001").unwrap();
    let sent = volvo.send(&session, &volvo.prepare(OPEN, &vin, [1; 16], session.now)).await;
    let commands = server.received_requests().await.unwrap().len() as u64;
    (sent.outcome, volvo.closures(&session, &vin).await.map(drop), commands)
}

#[tokio::test]
async fn a_hostile_cloud_gets_no_repeat_no_trust_and_no_panic() {
    let elsewhere = ResponseTemplate::new(307).insert_header("location", "http://127.0.0.1:9/steal");
    let huge = ResponseTemplate::new(200).set_body_bytes(vec![b' '; 300_000]);
    let deep = ResponseTemplate::new(200).set_body_string("[".repeat(100_000));
    let other_car = ResponseTemplate::new(200)
        .set_body_string(r#"{"data":{"vin":"YV1XZ16B0N2999999","invokeStatus":"COMPLETED"}}"#);
    let no_status = ResponseTemplate::new(200).set_body_string(r#"{"data":{}}"#);
    let two_data = ResponseTemplate::new(200)
        .set_body_string(r#"{"data":{"invokeStatus":"COMPLETED"},"data":{"invokeStatus":"REJECTED"}}"#);
    let teapot = ResponseTemplate::new(418);
    let created = ResponseTemplate::new(201).set_body_string(r#"{"data":{"invokeStatus":"COMPLETED"}}"#);
    for (name, answer) in [
        ("redirect", elsewhere),
        ("huge", huge),
        ("deep", deep),
        ("another car's", other_car),
        ("no status", no_status),
        ("two answers", two_data),
        ("418", teapot),
        ("201", created),
    ] {
        let (outcome, reading, commands) = hostile(answer).await;
        assert_eq!(outcome, Outcome::Unknown, "{name}");
        assert_eq!(commands, 1, "{name}");
        // Fields that are not there read as unknown; everything else is malformed.
        if !["another car's", "no status"].contains(&name) {
            assert!(matches!(reading, Err(AccessError::Malformed(_))), "{name}: {reading:?}");
        }
    }
}
