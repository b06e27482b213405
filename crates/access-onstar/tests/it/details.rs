//! What is this maker's own, beyond the conformance suite.

use std::time::Duration;

use parcelshelf_access::conformance::Rig as _;
use parcelshelf_access::{Access as _, AccessError, Command, Prepared, Reconciled, Sent};
use parcelshelf_access_onstar::{NO_VEHICLES, PERMISSION_REFUSED};
use parcelshelf_core::actuation::{AccessClass, Confirmation, Outcome, Refusal};
use parcelshelf_core::reason::Obstacle;
use parcelshelf_core::vehicle::Vin;
use parcelshelf_simulator::onstar::{CarFile, DEMO_OWNER, OwnerFile, Running, WorldFile};
use serde_json::{Value, json};

use crate::rig::{OnstarRig, VERIFIER, browser, consent, onstar};

const OPEN: Command = Command::Open(AccessClass::SeparateTrunk);

async fn order(rig: &OnstarRig, command: Command) -> (Prepared, Sent) {
    let session = rig.session().await;
    let prepared = rig.onstar.prepare(command, &rig.vin, [1; 16], session.now);
    let sent = rig.onstar.send(&session, &prepared).await;
    (prepared, sent)
}
async fn asked_later(rig: &OnstarRig, prepared: &Prepared, sent: &Sent) -> Outcome {
    match rig.onstar.reconcile(&rig.session().await, prepared, sent.handle.as_deref()).await.unwrap() {
        Reconciled::Outcome(told) => told.outcome,
        Reconciled::AskTheCar => panic!("there is a handle"),
    }
}
/// The commands of the record: API and name.
async fn commands(rig: &OnstarRig) -> Vec<(String, String)> {
    let record = rig.record().await;
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let all = record["entries"].as_array().unwrap().iter().filter(|e| e["kind"] == "command");
    all.map(|e| (text(&e["api"]), text(&e["command"]))).collect()
}
fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, c)| ((*a).to_owned(), (*c).to_owned())).collect()
}

#[tokio::test]
async fn a_command_is_under_way_until_the_request_url_says_otherwise() {
    let rig = OnstarRig::with(|car| car.latency_ms = 8_000).await;
    let (prepared, sent) = order(&rig, OPEN).await;
    assert_eq!(sent.outcome, Outcome::Unknown);
    assert!(sent.handle.is_some() && sent.may_act_until.is_some());
    assert_eq!(asked_later(&rig, &prepared, &sent).await, Outcome::Unknown);
    assert!(!rig.hand_action(json!({"action": "open_trunk"})).await, "not yet");
    rig.pass_time(Duration::from_secs(8)).await;
    assert_eq!(asked_later(&rig, &prepared, &sent).await, Outcome::Done(Confirmation::Executed));
    assert!(rig.hand_action(json!({"action": "open_trunk"})).await);
    assert_eq!(commands(&rig).await, pairs(&[("v3", "unlockTrunk")]), "asking is no command");
}

#[tokio::test]
async fn a_sleeping_car_takes_longer_and_that_is_all() {
    let rig = OnstarRig::with(|car| car.asleep = true).await;
    let (prepared, sent) = order(&rig, OPEN).await;
    rig.pass_time(Duration::from_secs(10)).await;
    assert_eq!(asked_later(&rig, &prepared, &sent).await, Outcome::Unknown);
    rig.pass_time(Duration::from_secs(30)).await;
    assert_eq!(asked_later(&rig, &prepared, &sent).await, Outcome::Done(Confirmation::Executed));
}

#[tokio::test]
async fn what_the_request_url_says_is_what_is_told() {
    use Outcome::{DidNotHappen, Done, Unknown};
    for (fault, outcome, opens) in [
        ("failure", DidNotHappen(Refusal::CarFailed), false),
        ("error_not_acted", Unknown, false),
        ("in_progress_acted", Unknown, true),
        ("in_progress_not_acted", Unknown, false),
        ("odd_acted", Unknown, true),
        // Executed is the maker's word and no observation: the courier's hand finds out.
        ("success_not_acted", Done(Confirmation::Executed), false),
    ] {
        let rig = OnstarRig::new().await;
        rig.plan_fault("unlockTrunk", fault).await;
        let (prepared, sent) = order(&rig, OPEN).await;
        rig.pass_time(Duration::from_secs(200)).await;
        assert_eq!(asked_later(&rig, &prepared, &sent).await, outcome, "{fault}");
        assert_eq!(rig.hand_action(json!({"action": "open_trunk"})).await, opens, "{fault}");
    }
}

#[tokio::test]
async fn the_old_api_gets_a_command_only_after_a_definite_400_and_the_car_is_remembered() {
    let rig = OnstarRig::with(|car| car.speaks_v3 = false).await;
    let (prepared, sent) = order(&rig, OPEN).await;
    rig.pass_time(Duration::from_secs(5)).await;
    assert_eq!(asked_later(&rig, &prepared, &sent).await, Outcome::Done(Confirmation::Executed));
    let (prepared, sent) = order(&rig, Command::Lock).await;
    rig.pass_time(Duration::from_secs(5)).await;
    assert_eq!(asked_later(&rig, &prepared, &sent).await, Outcome::Done(Confirmation::Executed));
    let expected = [("v3", "unlockTrunk"), ("v1", "unlockTrunk"), ("v1", "lockTrunk")];
    assert_eq!(commands(&rig).await, pairs(&expected));

    for fault in ["401", "403", "404", "409", "429", "500", "503", "timeout", "timeout_acted", "connection_drop_acted"]
    {
        let rig = OnstarRig::new().await;
        rig.plan_fault("unlockTrunk", fault).await;
        order(&rig, OPEN).await;
        assert_eq!(commands(&rig).await, pairs(&[("v3", "unlockTrunk")]), "{fault}");
    }
}

#[tokio::test]
async fn a_request_url_on_another_host_is_neither_kept_nor_asked() {
    let rig = OnstarRig::new().await;
    rig.plan_fault("unlockTrunk", "elsewhere").await;
    let (prepared, sent) = order(&rig, OPEN).await;
    assert_eq!((sent.outcome, &sent.handle), (Outcome::Unknown, &None));
    let session = rig.session().await;
    let before = rig.requests_arrived().await;
    for handle in [None, Some(&b"https://elsewhere.invalid/r"[..]), Some(b"\xff"), Some(b"")] {
        assert_eq!(rig.onstar.reconcile(&session, &prepared, handle).await, Ok(Reconciled::AskTheCar));
    }
    assert_eq!(rig.requests_arrived().await, before);
    let gone = format!("{}/veh/cmd/v3/requests/none", rig.base);
    assert_eq!(rig.onstar.reconcile(&session, &prepared, Some(gone.as_bytes())).await, Ok(Reconciled::AskTheCar));
}

#[tokio::test]
async fn asking_later_can_fail_and_be_tried_again() {
    let rig = OnstarRig::new().await;
    let (prepared, sent) = order(&rig, OPEN).await;
    for (fault, error) in [
        ("504", AccessError::Unreachable),
        ("connection_drop", AccessError::Unreachable),
        ("429", AccessError::RateLimited { retry_after: Some(Duration::from_secs(30)) }),
        ("garbage", AccessError::Malformed("request")),
    ] {
        rig.plan_fault("poll", fault).await;
        let told = rig.onstar.reconcile(&rig.session().await, &prepared, sent.handle.as_deref()).await;
        assert_eq!(told, Err(error), "{fault}");
    }
    assert_eq!(asked_later(&rig, &prepared, &sent).await, Outcome::Done(Confirmation::Executed));
}

#[tokio::test]
async fn a_fresh_position_is_waited_for_and_has_the_time_of_the_question() {
    let rig = OnstarRig::with(|car| car.fix_ms = 7_000).await;
    assert!(rig.hand_action(json!({"action": "park", "latitude": 42.5, "longitude": -83.1})).await);
    let session = rig.session().await;
    let located = rig.onstar.locate(&session, &rig.vin).await.unwrap();
    assert!((located.position.latitude_deg() - 42.5).abs() < 1e-9, "not the one from before the drive");
    assert!((located.position.longitude_deg() + 83.1).abs() < 1e-9);
    assert_eq!(located.taken_at, Some(session.now));
    assert!(located.read_at.millis_since(session.now) >= 9_000 && !located.last_parked_only);
}

#[tokio::test]
async fn a_position_that_never_comes_is_told_without_a_time() {
    let rig = OnstarRig::new().await;
    rig.plan_fault("position", "stale").await;
    assert!(rig.hand_action(json!({"action": "park", "latitude": 42.5, "longitude": -83.1})).await);
    let session = rig.session().await;
    let located = rig.onstar.locate(&session, &rig.vin).await.unwrap();
    assert!((located.position.latitude_deg() - 42.329_15).abs() < 1e-9, "the one from before");
    assert_eq!(located.taken_at, None);
    let waited = located.read_at.millis_since(session.now);
    assert!((30_000..60_000).contains(&waited), "{waited} ms");
}

#[tokio::test]
async fn a_driving_car_fails_the_command() {
    let rig = OnstarRig::new().await;
    assert!(rig.hand_action(json!({"action": "drive_away"})).await);
    let (prepared, sent) = order(&rig, OPEN).await;
    assert_eq!(asked_later(&rig, &prepared, &sent).await, Outcome::DidNotHappen(Refusal::CarFailed));
}

#[tokio::test]
async fn locking_locks_the_trunk_and_touches_no_door() {
    let rig = OnstarRig::new().await;
    assert!(rig.hand_action(json!({"action": "unlock_with_key"})).await);
    let (prepared, sent) = order(&rig, Command::Lock).await;
    assert_eq!(asked_later(&rig, &prepared, &sent).await, Outcome::Done(Confirmation::Executed));
    let car = rig.car().await;
    assert_eq!((&car["trunk_lock"]["value"], &car["door_lock"]["value"]), (&json!("LOCKED"), &json!("UNLOCKED")));
}

#[tokio::test]
async fn lights_flash_without_the_horn() {
    for speaks_v3 in [true, false] {
        let rig = OnstarRig::with(|car| (car.speaks_v3, car.latency_ms) = (speaks_v3, 0)).await;
        let outcome = rig.onstar.signal(&rig.session().await, &rig.vin).await.unwrap();
        assert_eq!(outcome, Outcome::Done(Confirmation::Accepted));
        let record = rig.record().await;
        let mut signalled = record["entries"].as_array().unwrap().iter().filter(|e| e["kind"] == "signalled");
        assert_eq!(signalled.next().map(|e| &e["horn"]), Some(&json!(false)));
    }
}

#[tokio::test]
async fn a_car_that_the_token_does_not_name_is_not_asked_for() {
    let rig = OnstarRig::new().await;
    let session = rig.session().await;
    let before = rig.requests_arrived().await;
    let other = Vin::parse("1G1FZ6S00L4000001").unwrap();
    let sent = rig.onstar.send(&session, &rig.onstar.prepare(OPEN, &other, [1; 16], session.now)).await;
    assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::OwnerActionNeeded));
    let located = rig.onstar.locate(&session, &other).await;
    assert_eq!(located, Err(AccessError::OwnerActionNeeded(PERMISSION_REFUSED)));
    assert_eq!(rig.requests_arrived().await, before);
}

#[tokio::test]
async fn a_login_whose_token_names_no_cars_is_no_link() {
    let owners = vec![OwnerFile { login: DEMO_OWNER.into(), without_vehs: true }];
    let world = WorldFile { owners, cars: vec![CarFile::of(DEMO_OWNER)], ..WorldFile::default() };
    let cloud = Running::start(world).await.unwrap();
    let (http, onstar) = (browser(), onstar(&cloud.base(), None));
    let code = consent(&http, &onstar.authorize_url("state-1", VERIFIER), DEMO_OWNER).await;
    let now = parcelshelf_edge::Host::system().now();
    let refused = onstar.exchange_code(&code, VERIFIER, now).await;
    assert!(refused.is_err_and(|e| e == AccessError::OwnerActionNeeded(NO_VEHICLES)));
}

#[tokio::test]
async fn linking_needs_our_own_verifier() {
    let rig = OnstarRig::new().await;
    let code = consent(&rig.hands, &rig.onstar.authorize_url("state-1", VERIFIER), DEMO_OWNER).await;
    let now = rig.session().await.now;
    let stolen = rig.onstar.exchange_code(&code, "another-verifier-of-forty-three-characters!", now).await;
    assert!(matches!(stolen, Err(AccessError::OwnerActionNeeded(_))), "a stolen code is worth nothing");
}

#[tokio::test]
async fn what_the_garage_says_is_what_is_found() {
    let rig = OnstarRig::with(|car| car.commands.retain(|c| c != "alert")).await;
    let found = rig.onstar.vehicles(&rig.session().await).await.unwrap();
    let car = found.iter().find(|f| f.vin == rig.vin).unwrap();
    assert_eq!((car.make.as_str(), car.model.as_deref(), car.model_year), ("Chevrolet", Some("Malibu"), Some(2022)));
    assert!(car.can_open == [AccessClass::SeparateTrunk] && car.can_lock && !car.can_signal && car.publishes_position);
    assert_eq!(car.missing_permissions, ["alert: NOT_ENTITLED"]);
    assert!(rig.vin.check_digit_holds());
}

#[tokio::test]
async fn whose_account_it_is_and_whether_its_plan_lives_is_found_over_http() {
    for (change, expected) in [
        ((|_| {}) as fn(&mut CarFile), vec![]),
        (|car| car.shared = true, vec![Obstacle::NotTheHolder]),
        (|car| car.plan_ended = true, vec![Obstacle::PlanInactive]),
    ] {
        let rig = OnstarRig::with(change).await;
        let found = rig.onstar.vehicles(&rig.session().await).await.unwrap();
        assert_eq!(found.iter().find(|f| f.vin == rig.vin).unwrap().obstacles, expected);
    }
}

#[tokio::test]
async fn an_access_token_ends_after_half_an_hour() {
    let rig = OnstarRig::new().await;
    rig.pass_time(Duration::from_secs(1_800)).await;
    let session = rig.session().await;
    assert!(session.now >= rig.tokens.access_expires_at, "and the tokens said so");
    assert!(matches!(rig.onstar.vehicles(&session).await, Err(AccessError::OwnerActionNeeded(_))));
    let fresh = rig.onstar.refresh(&rig.tokens, session.now).await.unwrap();
    assert!(fresh.access_expires_at > session.now && fresh.refresh_token != rig.tokens.refresh_token);
}
