//! What is particular about this cloud, shown at the vendor's own server.

use parcelshelf_access::conformance::{Hand, Rig as _};
use parcelshelf_access::{
    Access as _, AccessError, Command, LidState, LockState, Prepared, Reachability, Reconciled, Sent, Session,
};
use parcelshelf_access_seam::{KEY_REFUSED, NOT_A_KEY};
use parcelshelf_core::actuation::{AccessClass, Confirmation, Outcome, Refusal};
use serde_json::json;

use crate::between::Trouble;
use crate::rig::{SeamRig, number, removed};

const OPEN: Command = Command::Open(AccessClass::Door);

async fn send(rig: &SeamRig, command: Command) -> (Prepared, Sent) {
    let session = rig.session().await;
    let prepared = rig.adapter.prepare(command, &number(), *b"details---------", session.now);
    let sent = rig.adapter.send(&session, &prepared).await;
    (prepared, sent)
}
async fn ask(rig: &SeamRig, prepared: &Prepared, sent: &Sent) -> Result<Reconciled, AccessError> {
    rig.adapter.reconcile(&rig.session().await, prepared, sent.handle.as_deref()).await
}
async fn lock(rig: &SeamRig) -> LockState {
    rig.adapter.closures(&rig.session().await, &number()).await.unwrap().central_lock.value
}

#[tokio::test]
async fn a_command_is_answered_with_an_attempt_that_is_asked_about_later() {
    let rig = SeamRig::new().await;
    let (prepared, sent) = send(&rig, OPEN).await;
    assert_eq!((sent.outcome, rig.way.requests()), (Outcome::Unknown, 1), "sent, and not waited for");
    let id = String::from_utf8(sent.handle.clone().unwrap()).unwrap();
    let known = rig.fake.hands.database().await;
    assert_eq!(known["action_attempts"][0]["action_attempt_id"], json!(id), "the id is the cloud's");

    // The vendor's server calls it a success, but no lock has confirmed it.
    let told = ask(&rig, &prepared, &sent).await.unwrap();
    assert!(
        matches!(told, Reconciled::Outcome(Sent { outcome: Outcome::Done(Confirmation::Accepted), .. })),
        "{told:?}"
    );
    rig.fake.hands.conclude(&id, json!({"status": "success", "result": {"was_confirmed_by_device": true}})).await;
    let told = ask(&rig, &prepared, &sent).await.unwrap();
    assert!(
        matches!(told, Reconciled::Outcome(Sent { outcome: Outcome::Done(Confirmation::Executed), .. })),
        "{told:?}"
    );
    assert_eq!(rig.way.commands(), 1);
    assert_eq!(lock(&rig).await, LockState::Unlocked);
}

#[tokio::test]
async fn an_attempt_that_stays_pending_stays_unknown_and_holds_nobody() {
    let rig = SeamRig::new().await;
    rig.on_the_way(OPEN, Trouble::Attempt("pending"), false);
    let (prepared, sent) = send(&rig, OPEN).await;
    for _ in 0..5 {
        let told = ask(&rig, &prepared, &sent).await.unwrap();
        let Reconciled::Outcome(told) = told else { panic!("{told:?}") };
        assert_eq!((told.outcome, &told.handle), (Outcome::Unknown, &sent.handle));
    }
    assert_eq!((rig.way.commands(), rig.way.requests()), (1, 6), "one command, and one question each time");
    // The lock moves after all, long after a client that waits would have given up.
    rig.fake.hands.put("locked", false).await;
    assert_eq!(lock(&rig).await, LockState::Unlocked, "its state tells");
}

#[tokio::test]
async fn an_attempt_that_nobody_knows_any_more_leaves_the_locks_own_state() {
    let rig = SeamRig::new().await;
    let (prepared, sent) = send(&rig, OPEN).await;
    rig.fake.hands.forget_attempts().await;
    assert_eq!(ask(&rig, &prepared, &sent).await, Ok(Reconciled::AskTheCar));
}

#[tokio::test]
async fn another_commands_attempt_is_not_taken_for_ours() {
    let rig = SeamRig::new().await;
    let (_, opened) = send(&rig, OPEN).await;
    let (locking, _) = send(&rig, Command::Lock).await;
    assert_eq!(ask(&rig, &locking, &opened).await, Err(AccessError::Malformed("attempt")));
}

#[tokio::test]
async fn a_lock_that_is_gone_is_refused_for_good() {
    let rig = SeamRig::new().await;
    let session = rig.session().await;
    for wish in [OPEN, Command::Lock] {
        let prepared = rig.adapter.prepare(wish, &removed(), [0; 16], session.now);
        let sent = rig.adapter.send(&session, &prepared).await;
        assert_eq!((sent.outcome, sent.may_act_until), (Outcome::DidNotHappen(Refusal::NotSupported), None));
    }
    assert_eq!(rig.adapter.reachability(&session, &removed()).await, Err(AccessError::NotSupported));
}

#[tokio::test]
async fn only_a_workspaces_own_key_links_and_opens() {
    let rig = SeamRig::new().await;
    let now = rig.session().await.now;
    for other in ["seam_pk1_token", "seam_cst1_token", "seam_at1_longtoken", "bcs1_token", "seam_a b", ""] {
        let refused = rig.adapter.exchange_code(other, "", now).await.err();
        assert_eq!(refused, Some(AccessError::OwnerActionNeeded(NOT_A_KEY)), "{other}");
    }
    assert_eq!(rig.way.requests(), 0, "they were not even shown to the cloud");
    let unknown = rig.adapter.exchange_code("seam_unknown_token", "", now).await.err();
    assert_eq!(unknown, Some(AccessError::OwnerActionNeeded(KEY_REFUSED)));

    // Another workspace's key reads nothing of ours.
    let stranger = Session { access_token: "seam_apikey2_token".into(), now };
    assert_eq!(rig.adapter.closures(&stranger, &number()).await.err(), Some(AccessError::NotSupported));
}

#[tokio::test]
async fn a_key_is_looked_at_and_stays_the_same() {
    let rig = SeamRig::new().await;
    let now = rig.session().await.now;
    let again = rig.adapter.refresh(&rig.tokens, now).await.unwrap();
    assert!(again.refresh_token == rig.tokens.refresh_token && again.access_expires_at > now);
    assert_eq!(rig.adapter.revoke(&again).await, Ok(false), "only its owner can delete it");
}

#[tokio::test]
async fn an_offline_lock_says_so_and_its_last_word_is_not_repeated() {
    let rig = SeamRig::new().await;
    assert_eq!(lock(&rig).await, LockState::Locked);
    rig.fake.hands.put("online", false).await;
    assert_eq!(lock(&rig).await, LockState::Unknown, "it was locked when last heard of");
    let reached = rig.adapter.reachability(&rig.session().await, &number()).await;
    assert_eq!(reached, Ok(Reachability::NoConnection));
}

#[tokio::test]
async fn the_bolt_is_seen_and_the_door_is_not() {
    let rig = SeamRig::new().await;
    send(&rig, OPEN).await;
    assert!(rig.hand(Hand::OpenLid).await);
    let seen = rig.adapter.closures(&rig.session().await, &number()).await.unwrap();
    assert_eq!((seen.central_lock.value, seen.lid.value), (LockState::Unlocked, LidState::Unknown));
    assert_eq!(seen.central_lock.changed_at, None, "the cloud gives no time for it");
}

#[tokio::test]
async fn the_vendors_server_is_kept_on_the_loopback_interface() {
    let rig = SeamRig::new().await;
    let port = format!(":{:04X}", rig.fake.port);
    let table = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let tables = table("/proc/net/tcp") + &table("/proc/net/tcp6");
    const LISTENS: &str = "0A";
    let listening: Vec<_> = tables
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|row| row.get(3) == Some(&LISTENS) && row[1].ends_with(&port))
        .map(|row| row[1].to_owned())
        .collect();
    assert_eq!(listening, [format!("0100007F{port}")]);
}
