//! Signed commands over the wire: what is sent is what was prepared, once, and not after its end.

use std::time::Duration;

use parcelshelf_access::conformance::Rig as _;
use parcelshelf_access::{Access as _, Command, LidState, LockState, Prepared, Sent};
use parcelshelf_access_tesla::TeslaConfig;
use parcelshelf_core::actuation::{Confirmation, Outcome, Refusal};
use parcelshelf_core::secret::Redacted;
use serde_json::{Value, json};

use crate::details::{OPEN, order};
use crate::rig::{TeslaRig, config, tesla};

async fn prepared(rig: &TeslaRig, command: Command, nonce: u8) -> Prepared {
    rig.tesla.prepare(command, &rig.vin, [nonce; 16], rig.session().await.now)
}
async fn send(rig: &TeslaRig, prepared: &Prepared) -> Sent {
    rig.tesla.send(&rig.session().await, prepared).await
}
/// What the car answered to each command, in order.
async fn answered(rig: &TeslaRig) -> Vec<String> {
    let record = rig.record().await;
    let commands = record["entries"].as_array().unwrap().iter().filter(|e| e["kind"] == "command").cloned();
    let of = |e: Value| format!("{} {}", e["style"].as_str().unwrap(), e["answered"].as_str().unwrap());
    commands.map(of).collect()
}

#[tokio::test]
async fn a_delivery_goes_by_signed_commands_only() {
    let rig = TeslaRig::signed().await;
    assert_eq!(order(&rig, OPEN).await.outcome, Outcome::Done(Confirmation::Executed));
    assert_eq!(order(&rig, Command::Lock).await.outcome, Outcome::DidNotHappen(Refusal::NotClosed));
    assert!(rig.hand_action(json!({"action": "close_trunk"})).await);
    assert_eq!(order(&rig, Command::Lock).await.outcome, Outcome::Done(Confirmation::Executed));
    assert_eq!(answered(&rig).await, ["signed yes", "signed no", "signed yes"]);
}

#[tokio::test]
async fn the_same_bytes_run_once_however_often_they_are_sent() {
    let rig = TeslaRig::signed().await;
    let bytes = prepared(&rig, OPEN, 1).await;
    assert_eq!(send(&rig, &bytes).await.outcome, Outcome::Done(Confirmation::Executed));
    assert!(rig.hand_action(json!({"action": "close_trunk"})).await);
    // The lid is shut, so nothing here stops them; the car does.
    let again = send(&rig, &bytes).await;
    assert_eq!(again.outcome, Outcome::Unknown, "a used counter may mean that these bytes ran: the car's state tells");
    assert_eq!(rig.really().await.0, LidState::Closed, "and it tells that nothing moved");
    assert_eq!(answered(&rig).await, ["signed yes", "signed fault_26"]);
}

#[tokio::test]
async fn what_expired_is_not_sent_and_what_may_still_run_is_bounded_by_its_end() {
    let rig = TeslaRig::signed().await;
    let bytes = prepared(&rig, OPEN, 1).await;
    rig.pass_time(Duration::from_secs(30)).await;
    let sent = send(&rig, &bytes).await;
    assert_eq!((sent.outcome, sent.may_act_until), (Outcome::DidNotHappen(Refusal::NeverSent), None));
    assert!(answered(&rig).await.is_empty());

    rig.plan_fault("actuate_trunk", "connection_drop_not_acted").await;
    let session = rig.session().await;
    let sent = order(&rig, OPEN).await;
    assert_eq!(sent.outcome, Outcome::Unknown);
    let bound = sent.may_act_until.unwrap().millis_since(session.now);
    assert!((30_000..40_000).contains(&bound), "{bound} ms");
    assert_eq!(rig.really().await.0, LidState::Closed);
}

#[tokio::test]
async fn commands_arrive_in_the_order_of_their_counters_or_not_at_all() {
    let rig = TeslaRig::signed().await;
    let (first, second) = (prepared(&rig, OPEN, 1).await, prepared(&rig, Command::Lock, 2).await);
    assert_eq!(send(&rig, &second).await.outcome, Outcome::Done(Confirmation::Executed));
    let late = send(&rig, &first).await;
    assert_eq!(late.outcome, Outcome::Unknown, "overtaken: the car took it for old");
    assert_eq!(rig.really().await, (LidState::Closed, LockState::Locked));
    assert_eq!(order(&rig, OPEN).await.outcome, Outcome::Done(Confirmation::Executed), "and the next one counts on");
}

#[tokio::test]
async fn a_restarted_car_refuses_the_old_epoch_and_the_next_command_has_the_new_one() {
    let rig = TeslaRig::signed().await;
    let (status, _) = rig.post(&format!("/__sim/cars/{}/restart", rig.vin.expose()), json!({})).await;
    assert_eq!(status, 200);
    assert_eq!(order(&rig, OPEN).await.outcome, Outcome::DidNotHappen(Refusal::MakerRefused));
    assert_eq!(rig.really().await.0, LidState::Closed);
    assert_eq!(order(&rig, OPEN).await.outcome, Outcome::Done(Confirmation::Executed));
    assert_eq!(answered(&rig).await, ["signed fault_15", "signed yes"], "not signed anew by itself");
}

#[tokio::test]
async fn an_opening_that_was_not_signed_when_it_was_prepared_is_not_signed_later() {
    let rig = TeslaRig::signed().await;
    // Another process, which knows nothing of the car.
    let fresh = tesla(config(&rig.base), None);
    let session = rig.session().await;
    let bytes = fresh.prepare(OPEN, &rig.vin, [1; 16], session.now);
    let sent = fresh.send(&session, &bytes).await;
    assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::MakerRefused));
    assert!(answered(&rig).await.is_empty());
    // It got ready by it: bytes that are prepared now are signed.
    let bytes = fresh.prepare(OPEN, &rig.vin, [2; 16], session.now);
    assert_eq!(fresh.send(&session, &bytes).await.outcome, Outcome::Done(Confirmation::Executed));
}

#[tokio::test]
async fn locking_needs_nothing_prepared_and_outlives_its_bytes() {
    let rig = TeslaRig::signed().await;
    assert!(rig.hand_action(json!({"action": "unlock_with_key"})).await);
    let old = prepared(&rig, Command::Lock, 1).await;
    rig.pass_time(Duration::from_secs(3_600)).await;
    assert_eq!(send(&rig, &old).await.outcome, Outcome::Done(Confirmation::Executed), "signed anew: it converges");
    assert!(rig.hand_action(json!({"action": "unlock_with_key"})).await);
    let fresh = tesla(config(&rig.base), None);
    let session = rig.session().await;
    let bytes = fresh.prepare(Command::Lock, &rig.vin, [2; 16], session.now);
    assert_eq!(fresh.send(&session, &bytes).await.outcome, Outcome::Done(Confirmation::Executed));
    assert_eq!(rig.really().await.1, LockState::Locked);
}

#[tokio::test]
async fn a_car_that_does_not_know_our_key_is_found_out_before_anybody_walks_there() {
    let rig = TeslaRig::with(|car| (car.signed, car.key_paired) = (true, false)).await;
    let found = rig.tesla.vehicles(&rig.session().await).await.unwrap();
    let car = found.iter().find(|f| f.vin == rig.vin).unwrap();
    assert!(car.can_open.is_empty() && !car.can_lock && car.missing_permissions == ["key_paired"]);
    for command in [OPEN, Command::Lock] {
        assert_eq!(order(&rig, command).await.outcome, Outcome::DidNotHappen(Refusal::OwnerActionNeeded));
    }
    // Another key than the one that was enrolled is a stranger's.
    let rig = TeslaRig::signed().await;
    let other = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJTjNwpqXwZwemaY3\n1s9PjJcMEYtW7eHmMj5tFixLMNuhRANCAASytrxowtoGZc5laBVZSZbGI5Tt2L6p\nBf54GnVP5qhFpxQzCQLyJekmnUZuBbNJmB/anYXMI8b7REqnO2KRBdxu\n-----END PRIVATE KEY-----\n";
    let same = tesla(TeslaConfig { command_key: Some(Redacted::new(other.into())), ..config(&rig.base) }, None);
    let session = rig.session().await;
    same.closures(&session, &rig.vin).await.unwrap();
    let sent = same.send(&session, &same.prepare(OPEN, &rig.vin, [1; 16], session.now)).await;
    assert_eq!(sent.outcome, Outcome::Done(Confirmation::Executed), "the same key in the other form is the same key");
}

#[tokio::test]
async fn without_a_key_of_our_own_such_a_car_is_not_supported() {
    let rig = TeslaRig::signed().await;
    let keyless = tesla(TeslaConfig { command_key: None, ..config(&rig.base) }, None);
    let session = rig.session().await;
    let found = keyless.vehicles(&session).await.unwrap();
    let car = found.iter().find(|f| f.vin == rig.vin).unwrap();
    assert!(car.can_open.is_empty() && car.missing_permissions == ["vehicle_command_protocol"]);
    for command in [OPEN, Command::Lock] {
        let sent = keyless.send(&session, &keyless.prepare(command, &rig.vin, [1; 16], session.now)).await;
        assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::NotSupported), "{command:?}");
    }
    assert!(answered(&rig).await.is_empty());
}

// Trap 14 and 16: 200 only means that the car answered.

#[tokio::test]
async fn the_cars_reply_is_read_and_not_the_status() {
    use Outcome::{DidNotHappen, Unknown};
    for (fault, outcome, acted) in [
        ("wait_acted", Unknown, true),
        ("wait_not_acted", Unknown, false),
        ("fault_2_acted", Unknown, true),
        ("fault_11", Unknown, false),
        ("fault_26", Unknown, false),
        ("fault_99_acted", Unknown, true),
        ("fault_3", DidNotHappen(Refusal::OwnerActionNeeded), false),
        ("fault_17", DidNotHappen(Refusal::MakerRefused), false),
        ("fault_21", DidNotHappen(Refusal::OwnerActionNeeded), false),
        ("nominal_5", DidNotHappen(Refusal::InUse), false),
        ("nominal_1_acted", Unknown, true),
        ("odd_acted", Unknown, true),
        ("garbage_acted", Unknown, true),
        ("stranger_acted", Unknown, true),
        ("503", DidNotHappen(Refusal::Asleep), false),
        ("502_acted", Unknown, true),
    ] {
        let rig = TeslaRig::signed().await;
        rig.plan_fault("actuate_trunk", fault).await;
        assert_eq!(order(&rig, OPEN).await.outcome, outcome, "{fault}");
        assert_eq!(rig.really().await.0, if acted { LidState::Open } else { LidState::Closed }, "{fault}");
        assert_eq!(answered(&rig).await.len(), 1, "{fault}: never signed anew");
    }
}

#[tokio::test]
async fn a_handshake_that_fails_costs_nothing_but_the_next_opening() {
    for fault in ["500", "garbage", "connection_drop", "odd"] {
        let rig = TeslaRig::signed().await;
        let fresh = tesla(config(&rig.base), None);
        rig.plan_fault("handshake", fault).await;
        let session = rig.session().await;
        let seen = fresh.closures(&session, &rig.vin).await.unwrap();
        assert_eq!(seen.lid.value, LidState::Closed, "{fault}: the lid is told all the same");
        let sent = fresh.send(&session, &fresh.prepare(OPEN, &rig.vin, [1; 16], session.now)).await;
        assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::MakerRefused), "{fault}");
        assert!(answered(&rig).await.is_empty(), "{fault}");
    }
}

#[tokio::test]
async fn a_car_that_does_not_know_our_key_is_not_asked_with_every_look() {
    let rig = TeslaRig::with(|car| (car.signed, car.key_paired) = (true, false)).await;
    let before = rig.requests_arrived().await;
    for _ in 0..5 {
        rig.tesla.closures(&rig.session().await, &rig.vin).await.unwrap();
    }
    assert_eq!(rig.requests_arrived().await - before, 5, "five looks, and no handshake that is paid for");
    rig.pass_time(Duration::from_secs(61)).await;
    rig.tesla.closures(&rig.session().await, &rig.vin).await.unwrap();
    assert_eq!(rig.requests_arrived().await - before, 7, "after a minute the owner may have let us in");
}
