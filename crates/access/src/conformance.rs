//! The suite that every adapter passes, against a cloud whose cars can be touched.
//!
//! An adapter's tests implement [`Rig`] once and call each story here with a fresh rig. The stories know the port only;
//! what differs between makers they take from [`Facts`](crate::Facts). A story panics with words when a promise is broken.
//!
//! ```
//! use parcelshelf_access::conformance::{self, Rig};
//! async fn check(rig: impl Rig) {
//!     conformance::a_parcel_is_delivered(&rig).await;
//! }
//! ```

use std::time::Duration;

use parcelshelf_core::actuation::{AccessClass, Confirmation, Outcome, Refusal, Shuts, Source};
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;

use crate::{
    Access, AccessError, Closures, Command, Facts, LidState, LockState, Prepared, Reachability, Reconciled, Sent,
    Session, Tokens,
};

/// What can be done to the car from outside the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    /// Pulls the lid's handle, without a key.
    OpenLid,
    CloseLid,
    /// The car saves power from now on.
    FallAsleep,
    /// The owner's own key.
    UnlockWithKey,
    /// The bolts engage no more, and the car notices.
    JamLock,
}

/// What can go wrong with the next command. `acted`: whether the car does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The cloud says that it does not know.
    Timeout { acted: bool },
    /// The cloud answers in the maker's way of saying "could not be carried out".
    CouldNot { acted: bool },
    /// The connection ends without an answer.
    ConnectionDrop { acted: bool },
    /// HTTP 500, or what this maker has in its place.
    ServerError { acted: bool },
    /// HTTP 503, or what this maker has in its place.
    Unavailable { acted: bool },
    /// An answer that is none.
    Garbage { acted: bool },
    /// The maker's quota is used up.
    Quota,
    /// The car says that it failed, although it acted.
    CarErrorActed,
    /// A status that nobody has listed.
    Unfinished,
}

/// One adapter, one cloud, one car: parked, closed, locked, awake, linked.
#[async_trait::async_trait]
pub trait Rig: Send + Sync {
    fn access(&self) -> &dyn Access;
    /// A session with a live access token, at the cloud's time.
    async fn session(&self) -> Session;
    /// The tokens of the link; the rig itself never refreshes them.
    fn tokens(&self) -> Tokens;
    fn vin(&self) -> Vin;
    /// Whether it could be done.
    async fn hand(&self, hand: Hand) -> bool;
    /// The lid and its lock as they are, seen at the car: some clouds tell neither.
    async fn really(&self) -> (LidState, LockState);
    /// Strikes the next command of this kind, once.
    async fn fault(&self, command: Command, fault: Fault);
    async fn pass_time(&self, time: Duration);
    /// The owner withdraws the consent at the maker.
    async fn withdraw_consent(&self);
    /// A car of the same owner that has no such command; `None` where the cloud has no such cars.
    async fn car_without(&self, command: Command) -> Option<Vin>;
    /// The same adapter pointed at a port where nothing listens.
    fn unplugged(&self) -> Box<dyn Access>;
    /// Commands that arrived at the cloud since it began, whatever became of them.
    async fn commands_arrived(&self) -> u64;
    /// Requests of any kind that arrived.
    async fn requests_arrived(&self) -> u64;
    /// Texts that must appear in no output: tokens, credentials, the VIN, the place.
    fn secrets(&self) -> Vec<String>;
}

const NONCE: [u8; 16] = *b"conformance-----";

fn class(rig: &dyn Rig) -> AccessClass {
    let Some(class) = rig.access().facts().classes.first() else { panic!("an adapter opens at least one class") };
    *class
}
fn open(rig: &dyn Rig) -> Command {
    Command::Open(class(rig))
}
async fn now(rig: &dyn Rig) -> Timestamp {
    rig.session().await.now
}
async fn command(rig: &dyn Rig, command: Command) -> (Prepared, Sent) {
    let session = rig.session().await;
    let prepared = rig.access().prepare(command, &rig.vin(), NONCE, session.now);
    let sent = rig.access().send(&session, &prepared).await;
    let sent = settled(rig, &prepared, sent).await;
    (prepared, sent)
}
/// Some clouds answer later: as long as there is something to ask by, what became of the command is asked a few times.
async fn settled(rig: &dyn Rig, prepared: &Prepared, mut sent: Sent) -> Sent {
    const TIMES: usize = 3;
    for _ in 0..TIMES {
        let (Outcome::Unknown, Some(handle)) = (sent.outcome, sent.handle.clone()) else { break };
        match rig.access().reconcile(&rig.session().await, prepared, Some(&handle)).await {
            Ok(Reconciled::Outcome(told)) => sent = told,
            Ok(Reconciled::AskTheCar) => break,
            Err(e) => panic!("reconcile: {e}"),
        }
        if sent.outcome == Outcome::Unknown {
            rig.pass_time(Duration::from_secs(5)).await;
        }
    }
    sent
}
async fn closures(rig: &dyn Rig) -> Closures {
    match rig.access().closures(&rig.session().await, &rig.vin()).await {
        Ok(closures) => closures,
        Err(e) => panic!("closures: {e}"),
    }
}
/// Whether lid and lock can be read at this maker.
fn observed(facts: &Facts) -> bool {
    facts.lid_state == Source::Observed && facts.lock_state == Source::Observed
}
/// Lid and lock, by the cloud where it tells them, else by a look at the car.
async fn look(rig: &dyn Rig) -> (LidState, LockState) {
    let seen = closures(rig).await;
    if observed(rig.access().facts()) {
        return (seen.lid.value, seen.central_lock.value);
    }
    let facts = rig.access().facts();
    assert!(facts.lid_state == Source::Observed || seen.lid.value == LidState::Unknown, "what nobody tells is unknown");
    assert!(facts.lock_state == Source::Observed || seen.central_lock.value == LockState::Unknown);
    rig.really().await
}
/// Any reading that needs the owner's consent.
async fn a_reading(access: &dyn Access, session: &Session, vin: &Vin) -> Result<(), AccessError> {
    if observed(access.facts()) {
        access.closures(session, vin).await.map(drop)
    } else {
        access.vehicles(session).await.map(drop)
    }
}

/// Open, a hand at the lid, lock refused while it is open, closed, locked, and each step shows on the car.
pub async fn a_parcel_is_delivered(rig: &dyn Rig) {
    let facts = rig.access().facts().clone();
    let before = closures(rig).await;
    assert_eq!(look(rig).await, (LidState::Closed, LockState::Locked));
    assert!(before.doors.iter().all(|(_, door)| door.value == LidState::Closed));
    // Two changes within a millisecond bear one time.
    rig.pass_time(Duration::from_secs(1)).await;

    let (_, opened) = command(rig, open(rig)).await;
    if facts.opening_is_a_window {
        assert_eq!(opened.outcome, Outcome::Done(Confirmation::Armed));
        let Some(until) = opened.ready_until else { panic!("a window has an end") };
        assert!(until > now(rig).await, "the window is open now");
        assert_eq!(look(rig).await, (LidState::Closed, LockState::Locked), "armed is not open");
        assert!(rig.hand(Hand::OpenLid).await, "within the window a hand opens it");
    } else {
        assert!(matches!(opened.outcome, Outcome::Done(_)), "{:?}", opened.outcome);
        if look(rig).await.0 != LidState::Open {
            assert!(rig.hand(Hand::OpenLid).await, "a released lid is lifted by hand");
        }
    }
    let open_now = closures(rig).await;
    assert_eq!(look(rig).await, (LidState::Open, LockState::Unlocked));
    if let (Some(then), Some(changed)) = (before.lid.changed_at, open_now.lid.changed_at) {
        assert!(changed > then, "opening gives the lid a newer time");
    }

    let mut arrived = 1;
    assert_eq!(rig.commands_arrived().await, arrived);
    // A house door's bolt turns whether the door is shut or not.
    if !matches!(class(rig), AccessClass::Door | AccessClass::Garage | AccessClass::Gate) {
        let (_, refused) = command(rig, Command::Lock).await;
        if observed(&facts) {
            assert_eq!(refused.outcome, Outcome::DidNotHappen(Refusal::NotClosed), "an open lid refuses the lock");
        } else {
            assert!(matches!(refused.outcome, Outcome::DidNotHappen(_)), "an open lid refuses the lock");
        }
        // Refused at the car, or by an adapter that looks at the lid before it sends.
        let now_arrived = rig.commands_arrived().await;
        assert!((arrived..=arrived + 1).contains(&now_arrived), "{now_arrived} commands");
        arrived = now_arrived;
    }
    // What has a drive is shut by the command itself.
    if class(rig).shuts() == Shuts::ByHand {
        assert!(rig.hand(Hand::CloseLid).await);
    }
    let (_, locked) = command(rig, Command::Lock).await;
    assert!(matches!(locked.outcome, Outcome::Done(_)), "{:?}", locked.outcome);
    assert_eq!(look(rig).await, (LidState::Closed, LockState::Locked));
    assert_eq!(rig.commands_arrived().await, arrived + 1);
}

/// Nobody came: nothing opened, and nothing can be opened any more.
pub async fn a_window_passes(rig: &dyn Rig) {
    if !rig.access().facts().opening_is_a_window {
        return;
    }
    let before = closures(rig).await;
    let (_, sent) = command(rig, open(rig)).await;
    let Some(until) = sent.ready_until else { panic!("a window has an end") };
    rig.pass_time(now(rig).await.until(until) + Duration::from_secs(1)).await;
    assert!(!rig.hand(Hand::OpenLid).await, "the window is over");
    let after = closures(rig).await;
    assert_eq!((after.lid, after.central_lock), (before.lid, before.central_lock), "not even a time has changed");
}

/// Preparing is free: no request leaves, and bytes that are not ours leave nothing behind either.
pub async fn preparing_sends_nothing(rig: &dyn Rig) {
    let session = rig.session().await;
    let before = rig.requests_arrived().await;
    for wish in [open(rig), Command::Lock] {
        let one = rig.access().prepare(wish, &rig.vin(), NONCE, session.now);
        let other = rig.access().prepare(wish, &rig.vin(), *b"another nonce---", session.now);
        assert_ne!(one, other, "two commands are never the same bytes");
    }
    for foreign in [&b""[..], b"{}", b"\xff\xff", &[b'x'; 4_096]] {
        let sent = rig.access().send(&session, &Prepared::from_bytes(foreign.to_vec())).await;
        assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::NeverSent));
    }
    assert_eq!(rig.requests_arrived().await, before);
}

/// A class that this maker does not open is refused here, without a request: a wish for a trunk alone unlocks no cabin.
pub async fn another_class_is_never_sent(rig: &dyn Rig) {
    let session = rig.session().await;
    let before = rig.requests_arrived().await;
    for class in AccessClass::ALL.into_iter().filter(|c| !rig.access().facts().classes.contains(c)) {
        let prepared = rig.access().prepare(Command::Open(class), &rig.vin(), NONCE, session.now);
        let sent = rig.access().send(&session, &prepared).await;
        assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::NotSupported), "{class:?}");
    }
    assert_eq!(rig.requests_arrived().await, before);
}

/// A lost answer is unknown, whatever the car did; the car tells, and asking sends no command.
pub async fn a_lost_answer_is_unknown(rig: &dyn Rig) {
    for acted in [true, false] {
        for fault in [
            Fault::Timeout { acted },
            Fault::CouldNot { acted },
            Fault::ConnectionDrop { acted },
            Fault::ServerError { acted },
            Fault::Unavailable { acted },
            Fault::Garbage { acted },
        ] {
            lost_open(rig, fault, acted).await;
            lost_lock(rig, fault, acted).await;
            // Quotas are kept by the minute.
            rig.pass_time(Duration::from_secs(61)).await;
        }
    }
}
/// How often it is looked whether a drive has come to its end.
const DRIVE_LOOKS: u32 = 60;

async fn lost_open(rig: &dyn Rig, fault: Fault, acted: bool) {
    rig.fault(open(rig), fault).await;
    let arrived = rig.commands_arrived().await;
    let (prepared, sent) = command(rig, open(rig)).await;
    assert_unknown(rig, fault, &sent).await;
    assert_eq!(rig.commands_arrived().await, arrived + 1, "{fault:?}: sent once and not again");
    reconciles_without_a_command(rig, &prepared, &sent).await;
    if look(rig).await.0 != LidState::Open {
        assert_eq!(rig.hand(Hand::OpenLid).await, acted, "{fault:?}");
    }
    let expected = if acted { LidState::Open } else { LidState::Closed };
    assert_eq!(look(rig).await.0, expected, "{fault:?}: the car tells");
    rig.hand(Hand::CloseLid).await;
}
async fn lost_lock(rig: &dyn Rig, fault: Fault, acted: bool) {
    assert!(rig.hand(Hand::UnlockWithKey).await);
    rig.fault(Command::Lock, fault).await;
    let arrived = rig.commands_arrived().await;
    let (prepared, sent) = command(rig, Command::Lock).await;
    assert_unknown(rig, fault, &sent).await;
    assert_eq!(rig.commands_arrived().await, arrived + 1, "{fault:?}: sent once and not again");
    reconciles_without_a_command(rig, &prepared, &sent).await;
    let expected = if acted { LockState::Locked } else { LockState::Unlocked };
    // A drive that was told is on its way.
    for _ in 0..DRIVE_LOOKS {
        if class(rig).shuts() == Shuts::ByHand || look(rig).await.1 == expected {
            break;
        }
        rig.pass_time(Duration::from_secs(1)).await;
    }
    assert_eq!(look(rig).await.1, expected, "{fault:?}: the car tells");
    if !acted {
        let (_, again) = command(rig, Command::Lock).await;
        assert!(matches!(again.outcome, Outcome::Done(_)), "a lock may be repeated by whoever decides");
    }
}
async fn assert_unknown(rig: &dyn Rig, fault: Fault, sent: &Sent) {
    assert_eq!(sent.outcome, Outcome::Unknown, "{fault:?}");
    let Some(until) = sent.may_act_until else { panic!("{fault:?}: an unknown command may still act, until when?") };
    assert!(until > now(rig).await, "{fault:?}");
}
async fn reconciles_without_a_command(rig: &dyn Rig, prepared: &Prepared, sent: &Sent) {
    let arrived = rig.commands_arrived().await;
    match rig.access().reconcile(&rig.session().await, prepared, sent.handle.as_deref()).await {
        Ok(Reconciled::AskTheCar | Reconciled::Outcome(_)) => {}
        Err(e) => panic!("reconcile: {e}"),
    }
    assert_eq!(rig.commands_arrived().await, arrived, "reconcile sends no command");
}

/// A full quota is a refusal with a time to wait, and is not tried again.
pub async fn a_full_quota_is_not_tried_again(rig: &dyn Rig) {
    rig.fault(open(rig), Fault::Quota).await;
    let (_, sent) = command(rig, open(rig)).await;
    assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::RateLimited));
    assert!(sent.retry_after.is_some_and(|wait| wait > Duration::ZERO));
    assert_eq!(rig.commands_arrived().await, 1);
    assert!(!rig.hand(Hand::OpenLid).await);
}

/// What a car reports as failed may have happened; what nobody has listed is unknown; neither is success or failure.
pub async fn a_cars_own_error_is_not_believed(rig: &dyn Rig) {
    for fault in [Fault::CarErrorActed, Fault::Unfinished] {
        rig.fault(open(rig), fault).await;
        let (_, sent) = command(rig, open(rig)).await;
        assert_unknown(rig, fault, &sent).await;
        // Where one button opens and shuts, a lid that stands open gets no second command.
        rig.hand(Hand::CloseLid).await;
    }
    assert_eq!(rig.commands_arrived().await, 2);
}

/// A lock that does not engage is never reported as done or as observed.
pub async fn a_jammed_lock_is_seen(rig: &dyn Rig) {
    assert!(rig.hand(Hand::UnlockWithKey).await);
    assert!(rig.hand(Hand::JamLock).await);
    let (_, sent) = command(rig, Command::Lock).await;
    assert!(!matches!(sent.outcome, Outcome::Done(_)), "{:?}", sent.outcome);
    assert_ne!(look(rig).await.1, LockState::Locked);
}

/// A sleeping car says so when asked and when commanded, and opens nothing.
pub async fn a_sleeping_car_says_so(rig: &dyn Rig) {
    assert!(rig.hand(Hand::FallAsleep).await);
    let session = rig.session().await;
    let told = rig.access().reachability(&session, &rig.vin()).await;
    if told == Ok(Reachability::Unknown) {
        // A maker that never says so wakes the car by the command itself: it takes longer, and that is all.
        return;
    }
    assert_eq!(told, Ok(Reachability::Asleep));
    let (_, sent) = command(rig, open(rig)).await;
    assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::Asleep));
    assert!(!rig.hand(Hand::OpenLid).await);
    let arrived = rig.commands_arrived().await;
    let woken = rig.access().wake(&session, &rig.vin()).await;
    if !rig.access().facts().can_wake {
        assert_eq!(woken, Ok(Outcome::DidNotHappen(Refusal::NotSupported)));
        assert_eq!(rig.commands_arrived().await, arrived);
    }
}

/// A car without the command shows it before anybody walks there, and refuses for good.
pub async fn a_car_without_the_command_is_found_out(rig: &dyn Rig) {
    let Some(vin) = rig.car_without(open(rig)).await else { return };
    let session = rig.session().await;
    let found = match rig.access().vehicles(&session).await {
        Ok(found) => found,
        Err(e) => panic!("vehicles: {e}"),
    };
    let of = |vin: &Vin| found.iter().find(|f| f.vin == *vin);
    assert!(of(&vin).is_some_and(|f| f.can_open.is_empty()));
    assert!(of(&rig.vin()).is_some_and(|f| f.can_open.contains(&class(rig)) && f.can_lock));
    assert!(of(&rig.vin()).is_some_and(|f| f.missing_permissions.is_empty() && f.obstacles.is_empty()));
    let prepared = rig.access().prepare(open(rig), &vin, NONCE, session.now);
    let sent = rig.access().send(&session, &prepared).await;
    assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::NotSupported));
}

/// A withdrawn consent is the owner's business: no reading, no command, no refresh, and no other error.
pub async fn a_withdrawn_consent_is_the_owners_business(rig: &dyn Rig) {
    let session = rig.session().await;
    rig.withdraw_consent().await;
    let prepared = rig.access().prepare(open(rig), &rig.vin(), NONCE, session.now);
    let sent = rig.access().send(&session, &prepared).await;
    assert_eq!(sent.outcome, Outcome::DidNotHappen(Refusal::OwnerActionNeeded));
    let needed = |e: &AccessError| matches!(e, AccessError::OwnerActionNeeded(_));
    assert!(a_reading(rig.access(), &session, &rig.vin()).await.is_err_and(|e| needed(&e)));
    let placed = rig.access().facts().position != Source::NotAvailable;
    assert!(rig.access().locate(&session, &rig.vin()).await.is_err_and(|e| needed(&e) || !placed));
    assert!(rig.access().refresh(&rig.tokens(), session.now).await.is_err_and(|e| needed(&e)));
    assert!(!rig.hand(Hand::OpenLid).await);
}

/// After a refresh only the new token works.
pub async fn a_refresh_kills_the_old_token(rig: &dyn Rig) {
    let first = rig.tokens();
    let now = now(rig).await;
    let second = match rig.access().refresh(&first, now).await {
        Ok(tokens) => tokens,
        Err(e) => panic!("refresh: {e}"),
    };
    assert!(second.refresh_token != first.refresh_token && second.access_expires_at > now);
    let stale = rig.access().refresh(&first, now).await;
    assert!(matches!(stale, Err(AccessError::OwnerActionNeeded(_))), "a used refresh token asks for the owner");
    let session = Session { access_token: second.access_token.clone(), now };
    assert!(a_reading(rig.access(), &session, &rig.vin()).await.is_ok(), "the new access token works");
    assert!(rig.access().refresh(&second, now).await.is_ok());
}

/// Where nothing listens nothing happened, and that is known.
pub async fn no_connection_means_it_did_not_happen(rig: &dyn Rig) {
    let away = rig.unplugged();
    let session = rig.session().await;
    let prepared = away.prepare(open(rig), &rig.vin(), NONCE, session.now);
    let sent = away.send(&session, &prepared).await;
    assert!(matches!(sent.outcome, Outcome::DidNotHappen(_)), "{:?}", sent.outcome);
    assert_eq!(sent.may_act_until, None);
    assert_eq!(a_reading(&*away, &session, &rig.vin()).await, Err(AccessError::Unreachable));
    assert_eq!(away.refresh(&rig.tokens(), session.now).await, Err(AccessError::Unreachable));
}

/// The place comes with an accuracy and says how it was taken.
pub async fn the_place_is_told_with_its_accuracy(rig: &dyn Rig) {
    let facts = rig.access().facts().clone();
    let told = rig.access().locate(&rig.session().await, &rig.vin()).await;
    if facts.position == Source::NotAvailable {
        assert_eq!(told.err(), Some(AccessError::NotSupported), "what has no place tells none");
        return;
    }
    match told {
        Ok(located) => {
            assert!(located.position.accuracy_m() > 0.0);
            assert!(located.taken_at.is_none_or(|t| t <= located.read_at));
        }
        Err(e) => panic!("locate with {:?}: {e}", facts.position),
    }
}

/// No token, credential, VIN or place in any text that these types give.
pub async fn nothing_secret_prints(rig: &dyn Rig) {
    let session = rig.session().await;
    let vin = rig.vin();
    let (prepared, sent) = command(rig, open(rig)).await;
    let mut texts = vec![
        format!("{session:?} {:?} {vin:?} {prepared:?} {sent:?} {:?}", rig.tokens(), rig.access().facts()),
        format!("{:?}", rig.access().vehicles(&session).await),
        format!("{:?}", rig.access().locate(&session, &vin).await),
        format!("{:?}", closures(rig).await),
    ];
    let away = rig.unplugged();
    let stale = Session { access_token: "stale".to_owned(), now: session.now };
    for result in [
        rig.access().locate(&stale, &vin).await.map(drop),
        away.locate(&session, &vin).await.map(drop),
        away.vehicles(&session).await.map(drop),
        away.refresh(&rig.tokens(), session.now).await.map(drop),
    ] {
        match result {
            Ok(()) => panic!("a stale token or an unplugged cloud gave an answer"),
            Err(e) => texts.push(format!("{e} {e:?}")),
        }
    }
    let secrets = rig.secrets();
    assert!(!secrets.is_empty(), "the search needs something to search for");
    for text in texts {
        let low = text.to_lowercase();
        for secret in &secrets {
            assert!(!low.contains(&secret.to_lowercase()), "something secret prints");
        }
    }
}
