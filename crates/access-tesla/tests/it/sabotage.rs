//! A cloud that lies: what the port says catches it, and what it says does not.

use parcelshelf_access::conformance::Rig as _;
use parcelshelf_access::{Access as _, Command, LidState, LockState};
use parcelshelf_core::actuation::{Confirmation, Outcome, Refusal};
use serde_json::json;

use crate::details::{OPEN, order};
use crate::rig::TeslaRig;

async fn seen(rig: &TeslaRig) -> (LidState, LockState) {
    let seen = rig.tesla.closures(&rig.session().await, &rig.vin).await.unwrap();
    (seen.lid.value, seen.central_lock.value)
}

#[tokio::test]
async fn a_yes_that_is_none_is_executed_and_never_observed() {
    for signed in [false, true] {
        let rig = TeslaRig::with(|car| car.signed = signed).await;
        rig.plan_fault("actuate_trunk", "true_not_acted").await;
        assert_eq!(order(&rig, OPEN).await.outcome, Outcome::Done(Confirmation::Executed), "the maker's word");
        assert_eq!(seen(&rig).await, (LidState::Closed, LockState::Locked), "the car's own state says otherwise");
        assert!(rig.hand_action(json!({"action": "unlock_with_key"})).await);
        rig.plan_fault("door_lock", "true_not_acted").await;
        assert_eq!(order(&rig, Command::Lock).await.outcome, Outcome::Done(Confirmation::Executed));
        assert_eq!(seen(&rig).await.1, LockState::Unlocked, "no lock proof comes of it");
    }
}

#[tokio::test]
async fn a_no_that_is_none_shows_on_the_lid() {
    for signed in [false, true] {
        let rig = TeslaRig::with(|car| car.signed = signed).await;
        rig.plan_fault("actuate_trunk", "false_acted").await;
        assert_eq!(order(&rig, OPEN).await.outcome, Outcome::DidNotHappen(Refusal::CarFailed));
        assert_eq!(seen(&rig).await.0, LidState::Open, "which is why a car's no must be confirmed by its lid");
        assert_eq!(order(&rig, OPEN).await.outcome, Outcome::DidNotHappen(Refusal::NotClosed), "and nothing shuts it");
    }
}

#[tokio::test]
async fn a_bolt_that_does_not_engage_unnoticed_is_seen_by_reading() {
    let rig = TeslaRig::new().await;
    assert!(rig.hand_action(json!({"action": "unlock_with_key"})).await);
    assert!(rig.hand_action(json!({"action": "jam_lock_unnoticed"})).await);
    assert_eq!(order(&rig, Command::Lock).await.outcome, Outcome::Done(Confirmation::Executed));
    assert_eq!(seen(&rig).await.1, LockState::Unlocked);
}

#[tokio::test]
async fn a_latch_that_does_not_catch_is_an_open_lid() {
    let rig = TeslaRig::new().await;
    assert!(rig.hand_action(json!({"action": "break_latch"})).await);
    order(&rig, OPEN).await;
    assert!(rig.hand_action(json!({"action": "close_trunk"})).await);
    assert_eq!(seen(&rig).await, (LidState::Open, LockState::Unlocked));
    assert_eq!(order(&rig, Command::Lock).await.outcome, Outcome::DidNotHappen(Refusal::NotClosed));
}

/// The one lie that the command's answer cannot give away: "asleep" after it acted. Only reading the car finds it.
#[tokio::test]
async fn a_car_that_is_said_to_sleep_but_acted_shows_on_the_lid() {
    let rig = TeslaRig::new().await;
    rig.plan_fault("actuate_trunk", "503_acted").await;
    assert_eq!(order(&rig, OPEN).await.outcome, Outcome::DidNotHappen(Refusal::Asleep));
    assert_eq!(seen(&rig).await.0, LidState::Open);
}
