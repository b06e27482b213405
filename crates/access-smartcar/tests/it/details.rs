//! What is this vendor's own, beyond the conformance suite.

use std::time::Duration;

use parcelshelf_access::conformance::Rig as _;
use parcelshelf_access::{Access as _, AccessError, Command, LidState, LockState, Prepared, Reconciled, Sent};
use parcelshelf_access::{VehicleFindings, conformance};
use parcelshelf_access_smartcar::{ApiVersion, TOKEN_REFUSED};
use parcelshelf_core::actuation::{AccessClass, Confirmation, Outcome, Refusal};
use parcelshelf_core::reason::Obstacle;
use parcelshelf_simulator::smartcar::{CarFile, DEMO_OWNER, StorageTold};
use serde_json::json;

use crate::rig::{SmartcarRig, VERIFIER, config, consent, smartcar};

const OPEN: Command = Command::Open(AccessClass::TailgateWithCabin);

async fn order(rig: &SmartcarRig, command: Command) -> (Prepared, Sent) {
    let session = rig.session().await;
    let prepared = rig.smartcar.prepare(command, &rig.vin, [1; 16], session.now);
    let sent = rig.smartcar.send(&session, &prepared).await;
    (prepared, sent)
}
async fn asked_later(rig: &SmartcarRig, prepared: &Prepared, sent: &Sent) -> Outcome {
    match rig.smartcar.reconcile(&rig.session().await, prepared, sent.handle.as_deref()).await.unwrap() {
        Reconciled::Outcome(told) => told.outcome,
        Reconciled::AskTheCar => panic!("there is a handle"),
    }
}
async fn found(rig: &SmartcarRig) -> VehicleFindings {
    rig.smartcar.vehicles(&rig.session().await).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_command_is_accepted_and_what_the_car_shows_decides() {
    let rig = SmartcarRig::new().await;
    let (_, sent) = order(&rig, OPEN).await;
    assert_eq!((sent.outcome, &sent.handle), (Outcome::Done(Confirmation::Accepted), &None));
    assert!(rig.hand_action(json!({"action": "open_tailgate"})).await);
    assert!(rig.hand_action(json!({"action": "close_tailgate"})).await);
    let (prepared, sent) = order(&rig, Command::Lock).await;
    assert_eq!(sent.outcome, Outcome::Done(Confirmation::Accepted));
    rig.pass_time(Duration::from_secs(1)).await;
    assert_eq!(asked_later(&rig, &prepared, &sent).await, Outcome::Done(Confirmation::Observed));
}

#[tokio::test]
async fn a_lock_that_was_accepted_and_did_not_move_is_never_taken_for_done() {
    let rig = SmartcarRig::new().await;
    order(&rig, OPEN).await;
    rig.plan_fault("lock", "success_not_acted").await;
    let (prepared, sent) = order(&rig, Command::Lock).await;
    assert_eq!(sent.outcome, Outcome::Done(Confirmation::Accepted));
    for _ in 0..3 {
        rig.pass_time(Duration::from_secs(20)).await;
        assert_eq!(asked_later(&rig, &prepared, &sent).await, Outcome::Unknown);
    }
    assert_eq!(rig.commands_arrived().await, 2, "looking is no command");
}

#[tokio::test]
async fn a_late_lock_is_seen_when_the_car_has_done_it() {
    let rig = SmartcarRig::new().await;
    order(&rig, OPEN).await;
    rig.plan_fault("lock", "success_late").await;
    let (prepared, sent) = order(&rig, Command::Lock).await;
    rig.pass_time(Duration::from_secs(5)).await;
    assert_eq!(asked_later(&rig, &prepared, &sent).await, Outcome::Unknown, "twenty seconds late");
    rig.pass_time(Duration::from_secs(20)).await;
    assert_eq!(asked_later(&rig, &prepared, &sent).await, Outcome::Done(Confirmation::Observed));
}

#[tokio::test]
async fn each_error_of_a_command_means_one_thing_and_the_car_agrees() {
    use Outcome::{DidNotHappen, Unknown};
    for (fault, outcome) in [
        ("permission", DidNotHappen(Refusal::OwnerActionNeeded)),
        ("subscription", DidNotHappen(Refusal::OwnerActionNeeded)),
        ("virtual_key_required", DidNotHappen(Refusal::OwnerActionNeeded)),
        ("vehicle_not_capable", DidNotHappen(Refusal::NotSupported)),
        ("path", DidNotHappen(Refusal::NotSupported)),
        ("rate_limit", DidNotHappen(Refusal::RateLimited)),
        ("vehicle_request_limit", DidNotHappen(Refusal::RateLimited)),
        ("account_suspended", DidNotHappen(Refusal::MakerRefused)),
        // All that may have come from behind the vendor, after the command had left.
        ("no_response_acted", Unknown),
        ("upstream_rate_limit_acted", Unknown),
        ("unreachable_acted", Unknown),
        ("unknown_state_acted", Unknown),
        ("internal_acted", Unknown),
        ("503_acted", Unknown),
    ] {
        let rig = SmartcarRig::new().await;
        rig.plan_fault("unlock", fault).await;
        let (_, sent) = order(&rig, OPEN).await;
        assert_eq!(sent.outcome, outcome, "{fault}");
        let (_, lock) = rig.really().await;
        if matches!(sent.outcome, DidNotHappen(_)) {
            assert!(lock == LockState::Locked && sent.may_act_until.is_none(), "{fault}");
        } else {
            assert!(lock == LockState::Unlocked && sent.may_act_until.is_some(), "{fault}: it had acted");
        }
        assert_eq!(rig.commands_arrived().await, 1, "{fault}");
    }
}

#[tokio::test]
async fn a_sleeping_car_refuses_before_anything_is_sent_and_nothing_wakes_it() {
    let rig = SmartcarRig::with(|car| car.asleep = true).await;
    let (_, sent) = order(&rig, OPEN).await;
    assert_eq!((sent.outcome, sent.may_act_until), (Outcome::DidNotHappen(Refusal::Asleep), None));
    let woken = rig.smartcar.wake(&rig.session().await, &rig.vin).await.unwrap();
    assert_eq!(woken, Outcome::DidNotHappen(Refusal::NotSupported));
    assert_eq!(rig.really().await.1, LockState::Locked);
}

#[tokio::test]
async fn what_the_vendor_kept_is_as_old_as_it_says_and_then_tells_nothing() {
    let rig = SmartcarRig::with(|car| car.data_every_s = 600).await;
    let read = async || rig.smartcar.closures(&rig.session().await, &rig.vin).await.unwrap();
    assert_eq!(read().await.central_lock.value, LockState::Locked);
    assert!(rig.hand_action(json!({"action": "unlock_with_key"})).await);
    rig.pass_time(Duration::from_secs(60)).await;
    let kept = read().await;
    assert_eq!(kept.central_lock.value, LockState::Locked, "what it was a minute ago");
    assert!(rig.session().await.now.millis_since(kept.read_at) >= 60_000, "and that it says");
    rig.pass_time(Duration::from_secs(60)).await;
    let old = read().await;
    assert_eq!((old.central_lock.value, old.lid.value), (LockState::Unknown, LidState::Unknown));
    rig.pass_time(Duration::from_secs(600)).await;
    assert_eq!(read().await.central_lock.value, LockState::Unlocked);
}

/// What a car is made like.
type Change = fn(&mut CarFile);

#[tokio::test]
async fn a_car_that_cannot_be_watched_is_not_opened() {
    let cases: [(&str, Change); 3] = [
        ("no times", |car| car.without_data_age = true),
        ("no tailgate", |car| car.storage = StorageTold::Empty),
        ("a tailgate that is unknown", |car| car.storage = StorageTold::Unknown),
    ];
    for (name, change) in cases {
        let car = found(&SmartcarRig::with(change).await).await;
        assert!(car.can_open.is_empty() && car.can_lock && car.missing_permissions.is_empty(), "{name}: {car:?}");
    }
    let car = found(&SmartcarRig::with(|car| car.publishes_position = false).await).await;
    assert!(!car.publishes_position && car.can_open == [AccessClass::TailgateWithCabin]);
}

#[tokio::test]
async fn what_the_owner_left_out_is_named_in_the_vendors_words_and_in_ours() {
    for (refused, obstacles) in [
        (vec!["control_security"], vec![Obstacle::ControlNotGiven]),
        // Control without reading: what cannot be watched is not opened.
        (vec!["read_security"], vec![Obstacle::StateNotGiven]),
        (vec!["read_location"], vec![Obstacle::PlaceNotGiven]),
        (vec!["read_location", "control_security"], vec![Obstacle::PlaceNotGiven, Obstacle::ControlNotGiven]),
    ] {
        let rig = SmartcarRig::new().await;
        rig.post(&format!("/__sim/owners/{DEMO_OWNER}/scopes"), json!({"refused": refused})).await;
        let car = found(&rig).await;
        let mut words = car.missing_permissions.clone();
        words.sort_unstable();
        let mut expected: Vec<&str> = refused.clone();
        expected.sort_unstable();
        assert_eq!(words, expected);
        let mut told = car.obstacles.clone();
        told.sort_unstable();
        let mut obstacles = obstacles;
        obstacles.sort_unstable();
        assert_eq!(told, obstacles, "{refused:?}");
        let opens = !refused.contains(&"control_security") && !refused.contains(&"read_security");
        assert_eq!(!car.can_open.is_empty(), opens, "{refused:?}");
        assert_eq!(car.publishes_position, !refused.contains(&"read_location"), "{refused:?}");
    }
}

#[tokio::test]
async fn what_stands_against_one_car_does_not_hide_the_account() {
    for (fault, obstacle) in [
        ("asleep", Obstacle::CarAsleep),
        ("no_response", Obstacle::CarAsleep),
        ("remote_access_disabled", Obstacle::RemoteAccessOff),
        ("subscription", Obstacle::AccountNeedsAttention),
    ] {
        let rig = SmartcarRig::new().await;
        rig.plan_fault("security", fault).await;
        let car = found(&rig).await;
        assert_eq!((car.obstacles.as_slice(), car.can_open.len()), (&[obstacle][..], 0), "{fault}");
    }
}

#[tokio::test]
async fn disconnecting_takes_every_car_of_the_grant_away() {
    let rig = SmartcarRig::new().await;
    assert_eq!(rig.smartcar.revoke(&rig.tokens).await, Ok(true));
    let read = rig.smartcar.closures(&rig.session().await, &rig.vin).await;
    // With its last car the grant ends, and its token with it.
    assert_eq!(read.map(drop), Err(AccessError::OwnerActionNeeded(TOKEN_REFUSED)));
    let sent = order(&rig, Command::Lock).await.1;
    assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::OwnerActionNeeded));
    let cars = rig.smartcar.vehicles(&rig.session().await).await;
    assert_eq!(cars, Err(AccessError::OwnerActionNeeded(TOKEN_REFUSED)));
    // Connected anew the car is found again, whatever was remembered of it.
    let code = consent(&rig.hands, &rig.smartcar.authorize_url("state-1", VERIFIER), DEMO_OWNER).await;
    let mut rig = rig;
    rig.tokens = rig.smartcar.exchange_code(&code, VERIFIER, rig.session().await.now).await.unwrap();
    assert_eq!(order(&rig, Command::Lock).await.1.outcome, Outcome::Done(Confirmation::Accepted));
}

#[tokio::test]
async fn the_next_generation_tells_make_and_place_and_locks_stay_with_the_other() {
    let mut rig = SmartcarRig::new().await;
    let mut next = config(&rig.base);
    next.api_version = ApiVersion::V3;
    rig.smartcar = smartcar(next);
    let car = found(&rig).await;
    assert_eq!((car.make.as_str(), car.model.as_deref(), car.model_year), ("VOLVO", Some("XC40"), Some(2022)));
    assert!(car.publishes_position && car.can_open == [AccessClass::TailgateWithCabin]);
    let session = rig.session().await;
    let located = rig.smartcar.locate(&session, &rig.vin).await.unwrap();
    assert!((located.position.latitude_deg() - 57.708_87).abs() < 1e-9);
    assert!(located.taken_at.is_some_and(|at| session.now.millis_since(at).abs() < 5_000));
    conformance::a_parcel_is_delivered(&rig).await;
}

#[tokio::test]
async fn two_cars_of_one_owner_are_told_apart() {
    let rig = SmartcarRig::new().await;
    let (status, other) = rig.post("/__sim/cars", json!({"owner": DEMO_OWNER, "model": "EX30"})).await;
    assert_eq!(status, 201, "{other}");
    let cars = rig.smartcar.vehicles(&rig.session().await).await.unwrap();
    assert_eq!(cars.len(), 2);
    order(&rig, OPEN).await;
    let really = rig.really().await.1;
    let path = format!("{}/__sim/cars/{}", rig.base, other["vin"].as_str().unwrap());
    let other: serde_json::Value =
        serde_json::from_slice(&rig.hands.get(path).send().await.unwrap().bytes().await.unwrap()).unwrap();
    assert_eq!((really, &other["central_lock"]["value"]), (LockState::Unlocked, &json!("LOCKED")));
}
