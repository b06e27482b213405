//! What is particular about this server, shown at the server itself.

use std::sync::Arc;
use std::time::Duration;

use parcelshelf_access::conformance::{Fault, Hand, Rig as _};
use parcelshelf_access::{
    Access, AccessError, Command, LidState, LockState, Reachability, Reconciled, Sent, Session, Tokens,
};
use parcelshelf_access_homeassistant::{ADMINISTRATOR, Door, LINK_REFUSED, TOKEN_REFUSED, Things};
use parcelshelf_core::actuation::{AccessClass, Confirmation, Outcome, Refusal};
use parcelshelf_core::time::Clock as _;
use parcelshelf_core::vehicle::Vin;
use serde_json::json;

use crate::between::{Between, Machine};
use crate::home::home;
use crate::rig::{CLIENT_ID, HomeRig, REDIRECT, a_door, a_garage, adapter};

const OPEN: Command = Command::Open(AccessClass::TailgateWithCabin);

async fn send(access: &dyn Access, session: &Session, command: Command, vin: &Vin) -> Sent {
    let prepared = access.prepare(command, vin, *b"details---------", session.now);
    access.send(session, &prepared).await
}
async fn command(rig: &HomeRig, command: Command) -> Sent {
    send(rig.access(), &rig.session().await, command, &rig.vin).await
}
/// A door over one of the server's own demonstration locks, or any other.
fn door(lock: &str) -> (impl Access, Vin, Session) {
    let door = Door { lock: lock.to_owned(), ..a_door(0, "x", 'X') };
    let number = door.number.clone();
    let access = adapter(&home().base, Things::Doors(vec![door]), Arc::new(Between::new()));
    (access, number, Session { access_token: home().token.clone(), now: Machine::new().now() })
}

#[tokio::test]
async fn the_server_calls_a_command_to_nothing_a_success_and_we_do_not() {
    let rig = HomeRig::car().await;
    let url = format!("{}/api/services/lock/unlock", rig.home.base);
    let raw =
        rig.home.http().post(url).bearer_auth(&rig.tokens.access_token).json(&json!({"entity_id": "lock.nobody"}));
    let raw = raw.send().await.unwrap();
    assert_eq!((raw.status().as_u16(), raw.text().await.unwrap().as_str()), (200, "[]"), "the trap is there");

    let gone = rig.car_without(OPEN).await.unwrap();
    let session = rig.session().await;
    for wish in [OPEN, Command::Lock] {
        let sent = send(rig.access(), &session, wish, &gone).await;
        assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::NotSupported));
    }
    assert_eq!(rig.adapter.closures(&session, &gone).await.err(), Some(AccessError::NotSupported));
    assert_eq!(rig.way.commands(), 0);
}

#[tokio::test]
async fn an_unavailable_car_says_so_and_is_not_commanded() {
    let rig = HomeRig::car().await;
    rig.switch("reachable", false).await;
    let session = rig.session().await;
    assert_eq!(rig.adapter.reachability(&session, &rig.vin).await, Ok(Reachability::NoConnection));
    let seen = rig.adapter.closures(&session, &rig.vin).await.unwrap();
    assert_eq!((seen.lid.value, seen.central_lock.value), (LidState::Unknown, LockState::Unknown));
    for wish in [OPEN, Command::Lock] {
        assert_eq!(command(&rig, wish).await.outcome, Outcome::DidNotHappen(Refusal::Unreachable));
    }
    assert_eq!(rig.way.commands(), 0);
    assert!(!rig.hand(Hand::OpenLid).await);

    rig.switch("reachable", true).await;
    assert_eq!(rig.adapter.reachability(&session, &rig.vin).await, Ok(Reachability::Available));
    assert_eq!(command(&rig, OPEN).await.outcome, Outcome::Done(Confirmation::Observed));
}

#[tokio::test]
async fn the_servers_own_locks_are_waited_for_until_the_bolt_has_moved() {
    let (access, number, session) = door("lock.kitchen_door");
    let looked = access.closures(&session, &number).await.unwrap();
    assert_eq!(looked.central_lock.value, LockState::Unlocked);
    let locked = send(&access, &session, Command::Lock, &number).await;
    assert_eq!(locked.outcome, Outcome::Done(Confirmation::Observed));
    let seen = access.closures(&session, &number).await.unwrap();
    assert_eq!((seen.central_lock.value, seen.lid.value), (LockState::Locked, LidState::Unknown));
    let newer = |now: Option<_>, then: Option<_>| now > then && then.is_some();
    assert!(newer(seen.central_lock.changed_at, looked.central_lock.changed_at));
}

#[tokio::test]
async fn a_jam_is_a_success_there_and_a_failure_here() {
    let (access, number, session) = door("lock.poorly_installed_door");
    let sent = send(&access, &session, Command::Lock, &number).await;
    assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::CarFailed));
    assert_eq!(access.closures(&session, &number).await.unwrap().central_lock.value, LockState::Unknown);
}

#[tokio::test]
async fn a_lock_that_is_only_assumed_proves_nothing() {
    let n = home().a_car();
    let (access, number, session) = door(&format!("lock.car_{n}_guessed"));
    let unlocked = send(&access, &session, Command::Open(AccessClass::Door), &number).await;
    assert_eq!(unlocked.outcome, Outcome::Done(Confirmation::Accepted));
    assert_eq!(access.closures(&session, &number).await.unwrap().central_lock.value, LockState::Unknown);
    let locked = send(&access, &session, Command::Lock, &number).await;
    assert!(!matches!(locked.outcome, Outcome::Done(c) if c > Confirmation::Accepted), "{:?}", locked.outcome);
    assert_eq!(access.closures(&session, &number).await.unwrap().central_lock.value, LockState::Unknown);
}

#[tokio::test]
async fn a_garage_door_that_stops_half_way_is_stuck_and_never_shut() {
    let rig = HomeRig::garage().await;
    rig.move_leaf(100).await;
    rig.switch("drive_is_weak", true).await;
    let sent = command(&rig, Command::Lock).await;
    assert_eq!(sent.outcome, Outcome::Unknown);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let seen = rig.adapter.closures(&rig.session().await, &rig.vin).await.unwrap();
    assert_eq!((seen.lid.value, seen.central_lock.value), (LidState::Stuck, LockState::Unlocked));
    let told = send(rig.access(), &rig.session().await, Command::Open(AccessClass::Garage), &rig.vin).await;
    assert_eq!(told.outcome, Outcome::DidNotHappen(Refusal::NotClosed), "one button might shut or stop it");

    rig.switch("drive_is_weak", false).await;
    assert_eq!(command(&rig, Command::Lock).await.outcome, Outcome::Done(Confirmation::Observed));
    let seen = rig.adapter.closures(&rig.session().await, &rig.vin).await.unwrap();
    assert_eq!((seen.lid.value, seen.central_lock.value), (LidState::Closed, LockState::Locked));
}

#[tokio::test]
async fn what_is_in_a_garages_way_is_told_and_nothing_is_driven_down_on_it() {
    let rig = HomeRig::garage().await;
    rig.move_leaf(100).await;
    rig.switch("in_the_way", true).await;
    let session = rig.session().await;
    let seen = rig.adapter.closures(&session, &rig.vin).await.unwrap();
    assert_eq!(seen.lid.value, LidState::Stuck);
    assert_eq!(rig.adapter.reachability(&session, &rig.vin).await, Ok(Reachability::Busy));
    assert_eq!(command(&rig, Command::Lock).await.outcome, Outcome::DidNotHappen(Refusal::NotClosed));
    assert_eq!(rig.way.commands(), 0);
    rig.switch("in_the_way", false).await;
    assert_eq!(command(&rig, Command::Lock).await.outcome, Outcome::Done(Confirmation::Observed));
}

#[tokio::test]
async fn an_unavailable_garage_says_so_and_is_not_commanded() {
    let rig = HomeRig::garage().await;
    rig.switch("reachable", false).await;
    let session = rig.session().await;
    assert_eq!(rig.adapter.reachability(&session, &rig.vin).await, Ok(Reachability::NoConnection));
    let seen = rig.adapter.closures(&session, &rig.vin).await.unwrap();
    assert_eq!((seen.lid.value, seen.central_lock.value), (LidState::Unknown, LockState::Unknown));
    for wish in [Command::Open(AccessClass::Garage), Command::Lock] {
        assert_eq!(command(&rig, wish).await.outcome, Outcome::DidNotHappen(Refusal::Unreachable));
    }
    assert_eq!(rig.way.commands(), 0);
}

#[tokio::test]
async fn a_cover_of_another_class_is_no_garage() {
    let n = home().a_car();
    let lid = parcelshelf_access_homeassistant::Entrance {
        cover: format!("cover.car_{n}_tailgate"),
        ..a_garage(n, &format!("car_{n}"), 'X')
    };
    let access = adapter(&home().base, Things::Entrances(vec![lid]), Arc::new(Between::new()));
    let session = Session { access_token: home().token.clone(), now: Machine::new().now() };
    let found = access.vehicles(&session).await.unwrap();
    assert!(found[0].can_open.is_empty() && !found[0].can_lock && found[0].publishes_position);
}

#[tokio::test]
async fn a_change_that_somebody_else_made_is_not_our_commands() {
    let rig = HomeRig::car().await;
    rig.fault(OPEN, Fault::Unfinished).await;
    let session = rig.session().await;
    let prepared = rig.adapter.prepare(OPEN, &rig.vin, [1; 16], session.now);
    let sent = rig.adapter.send(&session, &prepared).await;
    assert_eq!(sent.outcome, Outcome::Unknown, "it is still unlocking");
    let handle = sent.handle.expect("the call's context");
    let told = rig.adapter.reconcile(&session, &prepared, Some(&handle)).await.unwrap();
    assert!(matches!(told, Reconciled::Outcome(Sent { outcome: Outcome::Unknown, .. })), "{told:?}");

    // The owner puts an end to it: the lock is unlocked now, and not by us.
    rig.plan("none").await;
    assert_eq!(rig.adapter.closures(&session, &rig.vin).await.unwrap().central_lock.value, LockState::Unlocked);
    assert_eq!(rig.adapter.reconcile(&session, &prepared, Some(&handle)).await, Ok(Reconciled::AskTheCar));
    assert_eq!(rig.way.commands(), 1);
}

#[tokio::test]
async fn a_lock_that_was_locked_already_is_taken_and_not_observed() {
    let rig = HomeRig::car().await;
    let sent = command(&rig, Command::Lock).await;
    assert_eq!(sent.outcome, Outcome::Done(Confirmation::Accepted));
}

#[tokio::test]
async fn a_refresh_gives_a_new_access_token_and_leaves_the_refresh_token() {
    let rig = HomeRig::car().await;
    let session = rig.session().await;
    let second = rig.adapter.refresh(&rig.tokens, session.now).await.unwrap();
    assert!(second.refresh_token == rig.tokens.refresh_token);
    let session = Session { access_token: second.access_token.clone(), now: session.now };
    assert!(rig.adapter.closures(&session, &rig.vin).await.is_ok());

    assert_eq!(rig.adapter.revoke(&second).await, Ok(true));
    let refused = rig.adapter.closures(&session, &rig.vin).await;
    assert_eq!(refused.err(), Some(AccessError::OwnerActionNeeded(TOKEN_REFUSED)), "withdrawn with all its tokens");
    let refused = rig.adapter.refresh(&second, session.now).await;
    assert_eq!(refused.err(), Some(AccessError::OwnerActionNeeded(LINK_REFUSED)));
}

#[tokio::test]
async fn a_long_lived_token_of_a_plain_user_links_as_well() {
    let rig = HomeRig::car().await;
    let now = rig.session().await.now;
    let tokens = rig.adapter.exchange_code(&rig.home.token, "", now).await.unwrap();
    assert!(tokens.access_expires_at <= now.plus_seconds(86_400), "it is looked at every day");
    let session = Session { access_token: tokens.access_token.clone(), now };
    assert!(rig.adapter.locate(&session, &rig.vin).await.is_ok());
    assert_eq!(send(rig.access(), &session, OPEN, &rig.vin).await.outcome, Outcome::Done(Confirmation::Observed));
    assert!(rig.adapter.refresh(&tokens, now).await.is_ok());
    assert_eq!(rig.adapter.revoke(&tokens).await, Ok(false), "only its owner can delete it");

    let mut forged = rig.home.token.clone();
    forged.push('A');
    let forged = Tokens { access_token: forged.clone(), refresh_token: forged.clone(), ..tokens };
    let needed = Some(AccessError::OwnerActionNeeded(TOKEN_REFUSED));
    assert_eq!(rig.adapter.exchange_code(&forged.refresh_token, "", now).await.err(), needed);
    assert_eq!(rig.adapter.refresh(&forged, now).await.err(), needed);
}

#[tokio::test]
async fn whoever_administers_the_server_is_not_linked() {
    let rig = HomeRig::car().await;
    let now = rig.session().await.now;
    let refused = Some(AccessError::OwnerActionNeeded(ADMINISTRATOR));
    assert_eq!(rig.adapter.exchange_code(&rig.home.owner_token, "", now).await.err(), refused);
    let code = rig.home.sign_in(CLIENT_ID, REDIRECT, "owner", "an owner's secret").await;
    assert_eq!(rig.adapter.exchange_code(&code, "", now).await.err(), refused);
    let given_back = rig.way.seen.lock().unwrap().last().cloned();
    assert_eq!(given_back.as_deref(), Some("POST /auth/revoke"), "that login lives on nowhere");
}

#[tokio::test]
async fn nothing_is_asked_for_but_what_is_configured() {
    let rig = HomeRig::car().await;
    let session = rig.session().await;
    rig.adapter.vehicles(&session).await.unwrap();
    rig.adapter.locate(&session, &rig.vin).await.unwrap();
    rig.adapter.reachability(&session, &rig.vin).await.unwrap();
    assert_eq!(command(&rig, OPEN).await.outcome, Outcome::Done(Confirmation::Observed));
    rig.pass_time(Duration::ZERO).await;
    assert_eq!(command(&rig, Command::Lock).await.outcome, Outcome::Done(Confirmation::Observed));
    let (car, n) = (&rig.car, &rig.car["car_".len()..]);
    let own = |path: &str| {
        let entity = path.strip_prefix("GET /api/states/").unwrap_or_default();
        let ours = [car.clone(), format!("removed_{n}")];
        ours.iter().any(|name| {
            entity == format!("lock.{name}")
                || entity == format!("cover.{name}_tailgate")
                || entity == format!("device_tracker.{name}")
        })
    };
    let known = ["GET /api/config", "POST /api/services/lock/unlock", "POST /api/services/lock/lock"];
    for path in rig.way.seen.lock().unwrap().iter() {
        assert!(own(path) || known.contains(&path.as_str()), "{path}");
    }
}
