//! Laws of an attempt under any sequence of events, sensible or not.

use parcelshelf_core::actuation::{Confirmation, LockProof, Outcome, Refusal};
use parcelshelf_core::time::Timestamp;
use parcelshelf_opening::attempt::{
    Attempt, By, CarReading, CloseReport, Effect, Event, LOCK_JOIN_MS, Lid, Lock, MakerRules, Phase, RecordKind,
    UseFate,
};
use parcelshelf_opening::grant::BlockEpoch;
use proptest::prelude::*;

use crate::support::*;

/// An event that can be copied; the permit of a reopening is made when it is played.
#[derive(Clone, Copy, Debug)]
enum Step {
    Durable {
        epoch: u64,
    },
    Sent,
    Answered {
        outcome: Outcome,
        act_s: Option<i64>,
        ready_s: Option<i64>,
    },
    Read {
        lid: Lid,
        lock: Lock,
        doors: Option<bool>,
        lid_s: Option<i64>,
        lock_s: Option<i64>,
        late_s: i64,
    },
    Unreadable,
    Close {
        handle_checked: bool,
        photo: bool,
    },
    UnderWay {
        act_s: Option<i64>,
    },
    LockAnswered(Outcome),
    LockRequested,
    Reopen {
        epoch: u64,
    },
    StopEnded,
    Timer,
    Blocked,
    Recovered,
    /// The process dies; what was stored comes back.
    Crash,
    Acknowledged,
}

fn event(step: Step, now: Timestamp) -> Event {
    let plus = |s: Option<i64>| s.map(|s| now.plus_seconds(s));
    match step {
        Step::Durable { epoch } => Event::IntentDurable { epoch: BlockEpoch::new(epoch) },
        Step::Sent => Event::CommandSent { at: now },
        Step::Answered { outcome, act_s, ready_s } => {
            Event::CommandAnswered { outcome, may_act_until: plus(act_s), ready_until: plus(ready_s) }
        }
        Step::UnderWay { act_s } => Event::CommandUnderWay { may_act_until: plus(act_s) },
        Step::Read { lid, lock, doors, lid_s, lock_s, late_s } => Event::CarRead(CarReading {
            lock,
            lid,
            doors_all_closed: doors,
            lid_changed_at: plus(lid_s),
            lock_changed_at: plus(lock_s),
            read_at: now.plus_seconds(-late_s),
        }),
        Step::Unreadable => Event::CarUnreadable,
        Step::Close { handle_checked, photo } => Event::CloseReported(CloseReport { handle_checked, photo }),
        Step::LockAnswered(outcome) => Event::LockAnswered { outcome },
        Step::LockRequested => Event::LockRequested(By::Courier),
        Step::Reopen { epoch } => Event::ReopenRequested { permit: permit(now), epoch: BlockEpoch::new(epoch) },
        Step::StopEnded => Event::StopEnded,
        Step::Timer => Event::Timer,
        Step::Blocked => Event::Blocked,
        Step::Recovered | Step::Crash => Event::Recovered,
        Step::Acknowledged => Event::Acknowledged { by: By::Operator },
    }
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Done(Confirmation::Armed)),
        Just(Outcome::Done(Confirmation::Executed)),
        Just(Outcome::Done(Confirmation::Accepted)),
        Just(Outcome::DidNotHappen(Refusal::NotClosed)),
        Just(Outcome::DidNotHappen(Refusal::WindowPassed)),
        Just(Outcome::DidNotHappen(Refusal::CarFailed)),
        Just(Outcome::Unknown),
    ]
}

fn readings() -> impl Strategy<Value = Step> {
    let lid = prop_oneof![3 => Just(Lid::Closed), 2 => Just(Lid::Open), 1 => Just(Lid::Ajar), 1 => Just(Lid::Stuck), 1 => Just(Lid::Unknown)];
    let lock = prop_oneof![2 => Just(Lock::Locked), 2 => Just(Lock::Unlocked), 1 => Just(Lock::Unknown)];
    let since = || proptest::option::weighted(0.8, -400..2i64);
    let doors = proptest::option::weighted(0.9, proptest::bool::weighted(0.9));
    (lid, lock, doors, since(), since(), 0..5i64).prop_map(|(lid, lock, doors, lid_s, lock_s, late_s)| Step::Read {
        lid,
        lock,
        doors,
        lid_s,
        lock_s,
        late_s,
    })
}

fn steps() -> impl Strategy<Value = Step> {
    // The right epoch most of the time.
    let epoch = || prop_oneof![6 => Just(7u64), 1 => Just(8u64)];
    let span = || proptest::option::of(-10..400i64);
    prop_oneof![
        4 => epoch().prop_map(|epoch| Step::Durable { epoch }),
        1 => Just(Step::Sent),
        4 => (outcomes(), span(), span()).prop_map(|(outcome, act_s, ready_s)| Step::Answered { outcome, act_s, ready_s }),
        2 => span().prop_map(|act_s| Step::UnderWay { act_s }),
        10 => readings(),
        2 => Just(Step::Unreadable),
        2 => any::<(bool, bool)>().prop_map(|(handle_checked, photo)| Step::Close { handle_checked, photo }),
        4 => outcomes().prop_map(Step::LockAnswered),
        2 => Just(Step::LockRequested),
        3 => epoch().prop_map(|epoch| Step::Reopen { epoch }),
        1 => Just(Step::StopEnded),
        4 => Just(Step::Timer),
        1 => Just(Step::Blocked),
        1 => Just(Step::Recovered),
        1 => Just(Step::Crash),
        2 => Just(Step::Acknowledged),
    ]
}

fn makers() -> impl Strategy<Value = MakerRules> {
    let lid_only = MakerRules { lock_state_observed: false, ..POP_MAKER };
    let lock_only = MakerRules { lid_state_observed: false, ..WINDOW_MAKER };
    prop_oneof![3 => Just(WINDOW_MAKER), 2 => Just(POP_MAKER), 3 => Just(BLIND_MAKER), 3 => Just(DRIVE_MAKER), 1 => Just(lid_only), 1 => Just(lock_only)]
}

/// Half of the sequences begin as a good one, so that the deep states are reached.
fn stories() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let pause = prop_oneof![6 => 0..4i64, 2 => 4..40i64, 1 => 40..400i64];
    let tail = proptest::collection::vec((pause, steps()), 0..40);
    let armed = Step::Answered { outcome: Outcome::Done(Confirmation::Executed), act_s: None, ready_s: Some(120) };
    let see = |lid, lock| Step::Read { lid, lock, doors: Some(true), lid_s: Some(0), lock_s: Some(0), late_s: 0 };
    let good = [
        (0, Step::Durable { epoch: 7 }),
        (3, armed),
        (7, see(Lid::Open, Lock::Unlocked)),
        (20, see(Lid::Closed, Lock::Unlocked)),
        (2, Step::LockAnswered(Outcome::Done(Confirmation::Executed))),
        (1, see(Lid::Closed, Lock::Locked)),
    ];
    // The same where nothing can be seen.
    let unseen = [
        (0, Step::Durable { epoch: 7 }),
        (3, Step::UnderWay { act_s: Some(60) }),
        (4, Step::Answered { outcome: Outcome::Done(Confirmation::Executed), act_s: None, ready_s: None }),
        (20, Step::Close { handle_checked: false, photo: true }),
        (4, Step::LockAnswered(Outcome::Done(Confirmation::Executed))),
        (4, Step::Close { handle_checked: true, photo: true }),
    ];
    (any::<bool>(), 0..=good.len(), tail).prop_map(move |(seen, n, tail)| {
        let begin = if seen { good } else { unseen };
        begin[..n].iter().copied().chain(tail).collect()
    })
}

/// What an observer beside the machine knows.
#[derive(Default, Debug)]
struct Watch {
    durable_for: Option<u64>,
    may_not_open: bool,
    resolved: bool,
    opens: u8,
    opened: bool,
    spent: u8,
    returned: u8,
    finished: u8,
    last_lock: Option<Timestamp>,
    /// The maker has called a lock done since the last opening and the last close.
    lock_done: bool,
    /// And after that a hand was at the handle.
    handle_checked: bool,
    /// The courier was let go, and not called back since.
    gone: bool,
}

impl Watch {
    /// Where the lock cannot be seen, nothing but the maker's word and then a hand proves it; and a maker that says
    /// "failed" gives no use back where the lid cannot be seen.
    fn check_unseen(&mut self, rules: MakerRules, step: Step, effects: &[Effect]) {
        if rules.lock_state_observed {
            return;
        }
        match step {
            Step::LockAnswered(Outcome::Done(Confirmation::Executed)) => {
                (self.lock_done, self.handle_checked) = (true, false);
            }
            Step::Close { handle_checked: true, photo: true } if self.lock_done => self.handle_checked = true,
            Step::Close { .. } => self.handle_checked = false,
            _ => {}
        }
        for effect in effects {
            match effect {
                Effect::Record(RecordKind::Opened | RecordKind::Closed) => {
                    (self.lock_done, self.handle_checked) = (false, false);
                }
                Effect::Record(RecordKind::Locked(LockProof::Observed)) => panic!("nobody can observe it"),
                Effect::Record(RecordKind::Locked(LockProof::Executed)) => {
                    assert!(self.lock_done && self.handle_checked, "proved by too little: {self:?}");
                }
                Effect::ReturnUse if !rules.lid_state_observed => {
                    let failed = Outcome::DidNotHappen(Refusal::CarFailed);
                    let said = matches!(step, Step::Answered { outcome, .. } if outcome == failed) && self.opens > 0;
                    assert!(!said, "nobody can say");
                }
                _ => {}
            }
        }
    }

    fn check(&mut self, step: Step, before: &Attempt, effects: &[Effect], now: Timestamp) {
        match step {
            Step::Durable { epoch } => self.durable_for = Some(epoch),
            Step::Blocked | Step::Recovered | Step::Crash => self.may_not_open = true,
            _ => {}
        }
        for effect in effects {
            match effect {
                Effect::SendOpen { command } => self.open(step, *command),
                Effect::Record(RecordKind::Opened) => (self.resolved, self.opened) = (true, true),
                Effect::Record(RecordKind::OpenDidNotHappen(_)) => self.resolved = true,
                Effect::SpendUse => self.spent += 1,
                Effect::ReturnUse => self.returned += 1,
                Effect::Finish => self.finished += 1,
                Effect::SendLock => self.last_lock = Some(now),
                Effect::Release => assert!(!std::mem::replace(&mut self.gone, true), "let go twice"),
                Effect::Recall => assert!(std::mem::take(&mut self.gone), "called back, and was never let go"),
                // Whoever reopens has come back.
                Effect::Record(RecordKind::OpenIntended(_)) => self.gone = false,
                Effect::SetTimer { at } => assert!(*at > now, "a timer in the past"),
                Effect::ReadCar { at } => assert!(*at >= now, "a read in the past"),
                _ => {}
            }
        }
        assert!(self.spent + self.returned <= 1, "a use is spent or returned, once: {self:?}");
        assert!(!self.opened || self.spent == 1, "opened but not spent");
        assert!(self.finished <= 1);
        if matches!(step, Step::LockRequested) {
            let under_way = self.last_lock.is_some_and(|t| now.millis_since(t) < LOCK_JOIN_MS);
            assert!(under_way, "a lock was refused in {:?}", before.phase());
        }
        if before.ended() {
            let only_locks = |e: &Effect| matches!(e, Effect::SendLock | Effect::Record(_) | Effect::RefuseReopen(_));
            assert!(effects.iter().all(only_locks), "after the end: {effects:?}");
        }
    }

    fn open(&mut self, step: Step, command: u8) {
        assert!(matches!(step, Step::Durable { epoch: 7 }), "opened by {step:?}");
        assert_eq!(self.durable_for, Some(7));
        assert!(!self.may_not_open, "opened after a block or a crash");
        assert!(self.opens == 0 || self.resolved, "an unknown open was retried");
        self.opens += 1;
        self.resolved = false;
        assert!(self.opens <= 3 && self.opens <= command);
    }
}

/// Nothing is waited for without a deadline: an attempt that is not over has a timer, a read, or a person to wait for.
fn is_waiting_for_something(attempt: &Attempt) -> bool {
    let p = attempt.parts();
    let person = p.alarm.is_some_and(|a| a.acknowledged_at.is_none());
    attempt.ended() || p.timer.is_some() || p.read_due.is_some() || person
}

/// Whoever comes only when called misses nothing: before the timer that was asked for nothing falls due, and without one never.
fn nothing_is_due_before_its_time(attempt: &Attempt, rules: MakerRules, now: Timestamp) {
    let timer = attempt.parts().timer;
    let then = timer.map_or(now.plus_seconds(864_000), |t| t.plus_millis(-1));
    let copy = Attempt::from_parts(attempt.parts().clone(), rules).expect("every state can be stored");
    let (_, effects) = copy.handle(Event::Timer, then);
    assert_eq!(effects, [], "{then} before {timer:?}: {attempt:?}");
}

fn play(rules: MakerRules, story: &[(i64, Step)]) -> (Attempt, Timestamp) {
    let mut attempt = intended(rules);
    let mut watch = Watch::default();
    let mut now = NOON;
    for (pause, step) in story {
        now = now.plus_seconds(*pause);
        if matches!(step, Step::Crash) {
            attempt = Attempt::from_parts(attempt.into_parts(), rules).expect("what was stored can be restored");
        }
        // A copy without the right to open, for looking at the state before.
        let before = Attempt::from_parts(attempt.parts().clone(), rules).expect("every state can be stored");
        let effects;
        (attempt, effects) = attempt.handle(event(*step, now), now);
        watch.check(*step, &before, &effects, now);
        watch.check_unseen(rules, *step, &effects);
        assert!(is_waiting_for_something(&attempt), "stuck: {attempt:?}");
        nothing_is_due_before_its_time(&attempt, rules, now);
        let fate = match attempt.usage() {
            UseFate::Held => (0, 0),
            UseFate::Spent => (1, 0),
            UseFate::Returned => (0, 1),
        };
        assert_eq!((watch.spent, watch.returned), fate);
    }
    (attempt, now)
}

/// From here on everything goes well: the lid closes, the lock works, reads come, a person acknowledges.
fn end_well(mut attempt: Attempt, mut now: Timestamp) -> (Attempt, usize) {
    let start = now;
    let mut lock_at = start;
    for round in 0..2_000 {
        if attempt.ended() {
            return (attempt, round);
        }
        let p = attempt.parts();
        let (due, timer) = (p.read_due.map(|t| t.max(now)), p.timer);
        let alarm = p.alarm.is_some_and(|a| a.acknowledged_at.is_none());
        let event = if alarm {
            Event::Acknowledged { by: By::Operator }
        } else if p.lock.in_flight_since.is_some() {
            lock_at = now;
            Event::LockAnswered { outcome: Outcome::Done(Confirmation::Executed) }
        } else if due.is_some_and(|t| timer.is_none_or(|timer| t <= timer)) {
            now = due.unwrap_or(now).plus_millis(1);
            let lid_changed_at = (p.phase == Phase::Open).then_some(start);
            let lock = if lock_at >= start && p.phase == Phase::Locking { Lock::Locked } else { Lock::Unlocked };
            let untouched = matches!(p.phase, Phase::Sent | Phase::Armed { .. } | Phase::Unknown { .. });
            Event::CarRead(CarReading {
                lock: if untouched { Lock::Locked } else { lock },
                lid: Lid::Closed,
                doors_all_closed: Some(true),
                lid_changed_at,
                lock_changed_at: (!untouched).then_some(lock_at),
                read_at: now,
            })
        } else {
            now = timer.expect("something is waited for").max(now);
            Event::Timer
        };
        attempt = attempt.handle(event, now).0;
    }
    panic!("no end in 2,000 rounds: {attempt:?}");
}

proptest! {
    // Twenty times as many as of other laws: the states are many, and each case costs little.
    #![proptest_config(ProptestConfig { cases: 20 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    /// Opens only after a durable intent of a live chain, never twice into the unknown, never after crash or block;
    /// uses are spent or returned once; a lock is never refused; nothing is stuck.
    #[test]
    fn no_sequence_breaks_a_law(rules in makers(), story in stories()) {
        play(rules, &story);
    }

    /// Every sequence can end, and ends as it should.
    #[test]
    fn every_sequence_can_end(rules in makers(), story in stories()) {
        let (attempt, now) = play(rules, &story);
        let (attempt, _) = end_well(attempt, now);
        let acknowledged = attempt.alarm().is_some_and(|a| a.acknowledged_at.is_some());
        let done = attempt.lock_proof().is_some() || matches!(attempt.phase(), Phase::DidNotHappen(_)) || acknowledged;
        prop_assert!(done, "{attempt:?}");
        prop_assert!(attempt.usage() != UseFate::Held, "a use that nobody decided about: {attempt:?}");
    }
}
