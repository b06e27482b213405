//! What is this maker's own, beyond the conformance suite.

use std::time::Duration;

use parcelshelf_access::conformance::Rig as _;
use parcelshelf_access::{Access as _, AccessError, Command, LidState, LockState, Reachability, Sent};
use parcelshelf_access_tesla::{PERMISSION_REFUSED, REMOTE_ACCESS_OFF};
use parcelshelf_core::actuation::{AccessClass, Confirmation, Outcome, Refusal};
use parcelshelf_core::reason::Obstacle;
use parcelshelf_simulator::tesla::{CarFile, DEMO_OWNER, OwnerFile, Running, WorldFile};
use serde_json::json;

use crate::rig::{TeslaRig, VERIFIER, browser, clock, config, consent, get, tesla};

pub const OPEN: Command = Command::Open(AccessClass::SeparateTrunk);

pub async fn order(rig: &TeslaRig, command: Command) -> Sent {
    let session = rig.session().await;
    let prepared = rig.tesla.prepare(command, &rig.vin, [1; 16], session.now);
    rig.tesla.send(&session, &prepared).await
}
async fn refuse_scopes(rig: &TeslaRig, scopes: &[&str]) {
    let (status, _) = rig.post(&format!("/__sim/owners/{DEMO_OWNER}/scopes"), json!({"refused": scopes})).await;
    assert_eq!(status, 200);
}

// Trap 12: asleep.

#[tokio::test]
async fn a_sleeping_car_is_called_once_and_watched_until_it_wakes() {
    let rig = TeslaRig::new().await;
    assert!(rig.hand_action(json!({"action": "sleep"})).await);
    let session = rig.session().await;
    assert_eq!(rig.tesla.wake(&session, &rig.vin).await, Ok(Outcome::Done(Confirmation::Observed)));
    assert_eq!(rig.tesla.reachability(&rig.session().await, &rig.vin).await, Ok(Reachability::Available));
    // Asleep again at once: within two minutes nobody pays for a second call.
    assert!(rig.hand_action(json!({"action": "sleep"})).await);
    assert!(rig.hand_action(json!({"action": "wake"})).await);
    assert_eq!(rig.tesla.wake(&rig.session().await, &rig.vin).await, Ok(Outcome::Done(Confirmation::Observed)));
    let summary = get(&rig.hands, &format!("{}/__sim/summary", rig.base)).await;
    let wakes: u64 = summary["cars"].as_array().unwrap().iter().map(|car| car["wakes"].as_u64().unwrap()).sum();
    assert_eq!(wakes, 1);
    assert_eq!(rig.commands_arrived().await, 0, "waking is no command");
}

#[tokio::test]
async fn reading_and_looking_wake_nobody() {
    let rig = TeslaRig::with(|car| car.asleep = true).await;
    let session = rig.session().await;
    assert_eq!(rig.tesla.closures(&session, &rig.vin).await, Err(AccessError::CarSilent));
    assert_eq!(rig.tesla.locate(&session, &rig.vin).await, Err(AccessError::CarSilent));
    let found = rig.tesla.vehicles(&session).await.unwrap();
    let car = found.iter().find(|f| f.vin == rig.vin).unwrap();
    assert!(car.can_open.is_empty(), "what cannot be read cannot be opened");
    assert!(car.missing_permissions.contains(&"vehicle is offline or asleep".to_owned()));
    assert_eq!(car.obstacles, [Obstacle::CarAsleep]);
    assert_eq!(rig.car().await["state"], "asleep");
}

#[tokio::test]
async fn a_car_out_of_reach_is_not_asleep() {
    let rig = TeslaRig::new().await;
    assert!(rig.hand_action(json!({"action": "lose_network"})).await);
    let session = rig.session().await;
    assert_eq!(rig.tesla.reachability(&session, &rig.vin).await, Ok(Reachability::NoConnection));
    assert_eq!(rig.tesla.wake(&session, &rig.vin).await, Ok(Outcome::DidNotHappen(Refusal::Unreachable)));
}

// Trap 13: the button toggles.

#[tokio::test]
async fn an_open_lid_gets_no_second_command() {
    for signed in [false, true] {
        let rig = TeslaRig::with(|car| car.signed = signed).await;
        assert_eq!(order(&rig, OPEN).await.outcome, Outcome::Done(Confirmation::Executed));
        assert_eq!(order(&rig, OPEN).await.outcome, Outcome::DidNotHappen(Refusal::NotClosed));
        assert_eq!(rig.commands().await, ["actuate_trunk"], "the second would have shut it on the courier's hands");
        assert_eq!(rig.really().await.0, LidState::Open);
    }
}

#[tokio::test]
async fn a_lid_that_cannot_be_seen_is_not_opened() {
    for fault in ["garbage", "500", "connection_drop", "408", "429", "odd"] {
        let rig = TeslaRig::new().await;
        rig.plan_fault("vehicle_data", fault).await;
        let sent = order(&rig, OPEN).await;
        assert!(matches!(sent.outcome, Outcome::DidNotHappen(_)), "{fault}: {:?}", sent.outcome);
        assert_eq!(sent.may_act_until, None, "{fault}: nothing was sent");
        assert!(rig.commands().await.is_empty(), "{fault}");
    }
}

#[tokio::test]
async fn two_openings_at_the_same_moment_are_one() {
    for signed in [false, true] {
        let rig = TeslaRig::with(|car| car.signed = signed).await;
        let (one, other) = tokio::join!(order(&rig, OPEN), order(&rig, OPEN));
        let outcomes = [one.outcome, other.outcome];
        assert!(outcomes.contains(&Outcome::Done(Confirmation::Executed)), "{outcomes:?}");
        assert!(outcomes.iter().any(|o| matches!(o, Outcome::DidNotHappen(_))), "{outcomes:?}");
        assert_eq!(rig.commands().await, ["actuate_trunk"]);
        assert_eq!(rig.really().await.0, LidState::Open);
    }
}

#[tokio::test]
async fn opening_a_locked_car_unlocks_no_door_and_the_open_lid_is_told_as_unlocked() {
    let rig = TeslaRig::new().await;
    order(&rig, OPEN).await;
    let car = rig.car().await;
    assert_eq!(car["lock"]["value"], "LOCKED", "the doors stayed locked");
    let seen = rig.tesla.closures(&rig.session().await, &rig.vin).await.unwrap();
    assert_eq!((seen.lid.value, seen.central_lock.value), (LidState::Open, LockState::Unlocked));
    assert!(!rig.hand_action(json!({"action": "open_door", "door": "front_left"})).await);
}

#[tokio::test]
async fn a_hatch_is_opened_as_a_hatch_and_a_trunk_as_a_trunk() {
    let hatch = Command::Open(AccessClass::TailgateWithCabin);
    for (model, own, other) in [("3", OPEN, hatch), ("Y", hatch, OPEN), ("S", hatch, OPEN)] {
        let rig = TeslaRig::with(|car| car.model = model.into()).await;
        let before = rig.requests_arrived().await;
        assert_eq!(order(&rig, other).await.outcome, Outcome::DidNotHappen(Refusal::NotSupported), "{model}");
        assert_eq!(rig.requests_arrived().await, before, "{model}: not even asked");
        let found = rig.tesla.vehicles(&rig.session().await).await.unwrap();
        let car = found.iter().find(|f| f.vin == rig.vin).unwrap();
        assert_eq!(car.can_open.iter().map(|c| Command::Open(*c)).collect::<Vec<_>>(), [own], "{model}");
        assert_eq!(order(&rig, own).await.outcome, Outcome::Done(Confirmation::Executed), "{model}");
    }
    let truck = TeslaRig::with(|car| car.model = "C".into()).await;
    let found = truck.tesla.vehicles(&truck.session().await).await.unwrap();
    assert!(found.iter().find(|f| f.vin == truck.vin).unwrap().can_open.is_empty(), "its bed has another cover");
}

// Trap 15: the maker's own error rule.

#[tokio::test]
async fn what_did_not_happen_is_known_and_what_may_have_is_bounded() {
    use Outcome::{DidNotHappen, Unknown};
    for (fault, outcome, acted) in [
        ("400", DidNotHappen(Refusal::MakerRefused), false),
        ("402", DidNotHappen(Refusal::MakerRefused), false),
        ("408", DidNotHappen(Refusal::Asleep), false),
        ("503", DidNotHappen(Refusal::Asleep), false),
        ("403", DidNotHappen(Refusal::OwnerActionNeeded), false),
        ("451", DidNotHappen(Refusal::OwnerActionNeeded), false),
        ("500_acted", Unknown, true),
        ("504_not_acted", Unknown, false),
        ("540_acted", Unknown, true),
        ("connection_drop_acted", Unknown, true),
        ("false", DidNotHappen(Refusal::CarFailed), false),
    ] {
        let rig = TeslaRig::new().await;
        rig.plan_fault("actuate_trunk", fault).await;
        let before = rig.session().await.now;
        let sent = order(&rig, OPEN).await;
        assert_eq!(sent.outcome, outcome, "{fault}");
        let bound = sent.may_act_until.map(|until| until.millis_since(before));
        assert_eq!(bound.is_some(), outcome == Unknown, "{fault}");
        assert!(bound.is_none_or(|ms| (60_000..70_000).contains(&ms)), "{fault}: {bound:?}");
        let lid = if acted { LidState::Open } else { LidState::Closed };
        assert_eq!(rig.really().await.0, lid, "{fault}");
        assert_eq!(rig.commands().await.len(), 1, "{fault}: never repeated");
    }
}

#[tokio::test]
async fn a_command_that_acts_late_acts_within_its_bound() {
    let rig = TeslaRig::new().await;
    rig.plan_fault("actuate_trunk", "late").await;
    let sent = order(&rig, OPEN).await;
    assert_eq!((sent.outcome, rig.really().await.0), (Outcome::Unknown, LidState::Closed));
    rig.pass_time(Duration::from_secs(25)).await;
    assert_eq!(rig.really().await.0, LidState::Open);
    assert!(sent.may_act_until.unwrap() > rig.session().await.now, "it was still expected to");
}

// Trap 17: regions.

#[tokio::test]
async fn an_account_of_a_region_that_is_not_configured_is_not_served() {
    let owner = OwnerFile {
        login: DEMO_OWNER.into(),
        refused_scopes: vec![],
        served_at: Some("https://na.example.com".into()),
    };
    let cars = vec![CarFile::of(DEMO_OWNER)];
    let cloud = Running::start(WorldFile { owners: vec![owner], cars, ..WorldFile::default() }).await.unwrap();
    let (http, tesla) = (browser(), tesla(config(&cloud.base()), None));
    let code = consent(&http, &tesla.authorize_url("state-1", VERIFIER), DEMO_OWNER).await;
    assert!(code.starts_with("NA_"), "the code tells the region");
    let now = clock(&http, &cloud.base()).await;
    let tokens = tesla.exchange_code(&code, VERIFIER, now).await.unwrap();
    let session = parcelshelf_access::Session { access_token: tokens.access_token, now };
    assert_eq!(tesla.vehicles(&session).await.map(drop), Err(AccessError::NotSupported));
}

// Trap 24 and 25: units and names.

#[tokio::test]
async fn the_place_is_latitude_and_longitude_and_its_time_is_in_seconds() {
    let rig = TeslaRig::new().await;
    assert!(rig.hand_action(json!({"action": "park", "latitude": 52.5, "longitude": -13.4})).await);
    let located = rig.tesla.locate(&rig.session().await, &rig.vin).await.unwrap();
    assert!((located.position.latitude_deg() - 52.5).abs() < 1e-9);
    assert!((located.position.longitude_deg() + 13.4).abs() < 1e-9);
    let age_ms = located.read_at.millis_since(located.taken_at.unwrap());
    assert!((0..10_000).contains(&age_ms), "{age_ms} ms");
    assert!(!located.last_parked_only, "the car is asked, not its last trip");
}

#[tokio::test]
async fn only_locating_asks_for_the_place() {
    let rig = TeslaRig::new().await;
    let session = rig.session().await;
    rig.tesla.closures(&session, &rig.vin).await.unwrap();
    rig.tesla.reachability(&session, &rig.vin).await.unwrap();
    order(&rig, OPEN).await;
    let record = rig.record().await;
    let reads = record["entries"].as_array().unwrap().iter().filter(|e| e["kind"] == "position_read").count();
    assert_eq!(reads, 0, "asking for it shows in the car");
}

#[tokio::test]
async fn a_car_with_somebody_at_it_or_in_gear_is_in_use() {
    let rig = TeslaRig::new().await;
    for (action, expected) in [
        ("user_present", Reachability::InUse),
        ("user_gone", Reachability::Available),
        ("drive_away", Reachability::InUse),
    ] {
        assert!(rig.hand_action(json!({ "action": action })).await);
        assert_eq!(rig.tesla.reachability(&rig.session().await, &rig.vin).await, Ok(expected), "{action}");
    }
    assert_eq!(order(&rig, OPEN).await.outcome, Outcome::DidNotHappen(Refusal::CarFailed), "a driving car says no");
}

// Trap 27: permissions.

#[tokio::test]
async fn what_the_owner_did_not_give_is_named_and_is_the_owners_business() {
    let rig = TeslaRig::new().await;
    refuse_scopes(&rig, &["vehicle_location"]).await;
    let session = rig.session().await;
    let found = rig.tesla.vehicles(&session).await.unwrap();
    let car = found.iter().find(|f| f.vin == rig.vin).unwrap();
    assert!(!car.publishes_position && car.missing_permissions == ["vehicle_location"]);
    assert_eq!(car.obstacles, [Obstacle::PlaceNotGiven]);
    refuse_scopes(&rig, &["vehicle_cmds"]).await;
    assert_eq!(order(&rig, OPEN).await.outcome, Outcome::DidNotHappen(Refusal::OwnerActionNeeded));
    refuse_scopes(&rig, &["vehicle_device_data"]).await;
    let read = rig.tesla.closures(&session, &rig.vin).await;
    assert_eq!(read, Err(AccessError::OwnerActionNeeded(PERMISSION_REFUSED)));
    assert_eq!(order(&rig, OPEN).await.outcome, Outcome::DidNotHappen(Refusal::OwnerActionNeeded));
    assert!(rig.really().await.0 == LidState::Closed);
}

#[tokio::test]
async fn remote_access_that_is_switched_off_in_the_car_is_the_owners_business() {
    let rig = TeslaRig::with(|car| car.remote_access_off = true).await;
    let session = rig.session().await;
    let read = rig.tesla.closures(&session, &rig.vin).await;
    assert_eq!(read, Err(AccessError::OwnerActionNeeded(REMOTE_ACCESS_OFF)));
    for command in [OPEN, Command::Lock] {
        assert_eq!(order(&rig, command).await.outcome, Outcome::DidNotHappen(Refusal::OwnerActionNeeded));
    }
    let found = rig.tesla.vehicles(&session).await.unwrap();
    let car = found.iter().find(|f| f.vin == rig.vin).unwrap();
    assert!(car.can_open.is_empty() && car.missing_permissions == ["mobile_access_disabled"]);
    assert_eq!(car.obstacles, [Obstacle::RemoteAccessOff]);
}

#[tokio::test]
async fn a_consent_without_commands_says_so_in_its_tokens() {
    let rig = TeslaRig::new().await;
    refuse_scopes(&rig, &["vehicle_cmds"]).await;
    let tokens = rig.linked_again().await;
    assert_eq!(tokens.not_given, [Obstacle::ControlNotGiven]);
    assert_eq!(rig.tokens.not_given, [], "all that was asked for");
}

#[tokio::test]
async fn whose_car_it_is_and_who_drives_it_now_is_found() {
    for (change, obstacle) in [
        ((|car| car.shared = true) as fn(&mut CarFile), Obstacle::NotTheHolder),
        (|car| car.valet_mode = true, Obstacle::ValetMode),
    ] {
        let rig = TeslaRig::with(change).await;
        let session = rig.session().await;
        let found = rig.tesla.vehicles(&session).await.unwrap();
        let car = found.iter().find(|f| f.vin == rig.vin).unwrap();
        assert_eq!(car.obstacles, [obstacle]);
        let valet = obstacle == Obstacle::ValetMode;
        let reach = rig.tesla.reachability(&session, &rig.vin).await.unwrap();
        assert_eq!(reach == Reachability::Busy, valet, "what a valet has is not its owner's to open");
    }
}

#[tokio::test]
async fn what_the_vin_and_the_car_tell_is_what_is_found() {
    let rig = TeslaRig::with(|car| car.model = "Y".into()).await;
    let found = rig.tesla.vehicles(&rig.session().await).await.unwrap();
    let car = found.iter().find(|f| f.vin == rig.vin).unwrap();
    assert_eq!((car.make.as_str(), car.model.as_deref(), car.model_year), ("Tesla", Some("Model Y"), Some(2023)));
    assert_eq!(car.colour.as_deref(), Some("PearlWhite"));
    assert!(car.can_lock && car.can_signal && car.publishes_position && car.missing_permissions.is_empty());
}

#[tokio::test]
async fn lights_flash_without_the_horn() {
    for signed in [false, true] {
        let rig = TeslaRig::with(|car| car.signed = signed).await;
        let outcome = rig.tesla.signal(&rig.session().await, &rig.vin).await;
        assert_eq!(outcome, Ok(Outcome::Done(Confirmation::Executed)));
        let record = rig.record().await;
        let mut signalled = record["entries"].as_array().unwrap().iter().filter(|e| e["kind"] == "signalled");
        assert_eq!(signalled.next().map(|e| &e["horn"]), Some(&json!(false)));
    }
}

#[tokio::test]
async fn an_access_token_ends_after_eight_hours_and_a_stolen_code_is_worth_nothing() {
    let rig = TeslaRig::new().await;
    let code = consent(&rig.hands, &rig.tesla.authorize_url("state-1", VERIFIER), DEMO_OWNER).await;
    let now = rig.session().await.now;
    let stolen = rig.tesla.exchange_code(&code, "another-verifier-of-forty-three-characters!", now).await;
    assert!(matches!(stolen, Err(AccessError::OwnerActionNeeded(_))));
    rig.pass_time(Duration::from_secs(28_800)).await;
    let session = rig.session().await;
    assert!(session.now >= rig.tokens.access_expires_at, "and the tokens said so");
    assert!(matches!(rig.tesla.vehicles(&session).await, Err(AccessError::OwnerActionNeeded(_))));
    let fresh = rig.tesla.refresh(&rig.tokens, session.now).await.unwrap();
    assert!(fresh.access_expires_at > session.now && fresh.refresh_token != rig.tokens.refresh_token);
}

#[tokio::test]
async fn a_fleet_of_one_owner_is_listed_to_the_end() {
    let cars = (0..70).map(|_| CarFile::of(DEMO_OWNER)).collect();
    let limits = parcelshelf_simulator::tesla::Limits { reads_per_minute: 1_000, ..Default::default() };
    let cloud = Running::start(WorldFile { cars, limits, ..WorldFile::default() }).await.unwrap();
    let http = browser();
    let tesla = tesla(config(&cloud.base()), None);
    let code = consent(&http, &tesla.authorize_url("state-1", VERIFIER), DEMO_OWNER).await;
    let now = clock(&http, &cloud.base()).await;
    let tokens = tesla.exchange_code(&code, VERIFIER, now).await.unwrap();
    let session = parcelshelf_access::Session { access_token: tokens.access_token, now };
    assert_eq!(tesla.vehicles(&session).await.unwrap().len(), 70);
}
