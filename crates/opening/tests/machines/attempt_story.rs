//! One attempt to open, told event by event.

use parcelshelf_core::actuation::{Confirmation, LockProof, Outcome, Refusal};
use parcelshelf_core::time::Timestamp;
use parcelshelf_opening::attempt::{
    AlarmCause, Attempt, By, CarReading, CloseReport, Effect, Event, ImpossibleAttempt, Lid, Lock, Notice, Phase,
    RecordKind, ReopenRefused, UseFate,
};
use parcelshelf_opening::grant::BlockEpoch;

use crate::support::*;

/// Plays events at seconds after noon; gives the attempt and the effects of the last one.
fn play(mut attempt: Attempt, events: Vec<(i64, Event)>) -> (Attempt, Vec<Effect>) {
    let mut last = vec![];
    for (s, event) in events {
        (attempt, last) = attempt.handle(event, at(s));
    }
    (attempt, last)
}
fn durable() -> Event {
    Event::IntentDurable { epoch: EPOCH }
}
fn answered(outcome: Outcome, may_act_until: Option<Timestamp>, ready_until: Option<Timestamp>) -> Event {
    Event::CommandAnswered { outcome, may_act_until, ready_until }
}
fn armed(until_s: i64) -> Event {
    answered(Outcome::Done(Confirmation::Armed), None, Some(at(until_s)))
}
const DONE: Outcome = Outcome::Done(Confirmation::Executed);
const REPORT: CloseReport = CloseReport { handle_checked: true, photo: true };
const NOT_PULLED: CloseReport = CloseReport { handle_checked: false, photo: true };
fn lid_open(s: i64) -> Event {
    Event::CarRead(reading(Lid::Open, s, Lock::Unlocked, s - 1, s))
}
fn closed_unlocked(lid_s: i64, read_s: i64) -> Event {
    Event::CarRead(reading(Lid::Closed, lid_s, Lock::Unlocked, 10, read_s))
}
fn closed_locked(lid_s: i64, lock_s: i64, read_s: i64) -> Event {
    Event::CarRead(reading(Lid::Closed, lid_s, Lock::Locked, lock_s, read_s))
}
/// Opened at 10 s, closed at 30 s, lock under way.
fn closing() -> Attempt {
    let story = vec![(0, durable()), (3, armed(123)), (10, lid_open(10)), (30, closed_unlocked(30, 30))];
    play(intended(WINDOW_MAKER), story).0
}

#[test]
fn a_parcel_is_put_in_and_the_lock_is_observed() {
    let (attempt, effects) = intended(WINDOW_MAKER).handle(durable(), NOON);
    assert!(sends_open(&effects));
    let (attempt, effects) = attempt.handle(armed(123), at(3));
    assert!(effects.contains(&Effect::Notify(Notice::Ready { until: at(123) })));
    assert_eq!(attempt.usage(), UseFate::Held, "armed is not opened");
    let (attempt, effects) = attempt.handle(lid_open(10), at(10));
    assert!(effects.contains(&Effect::SpendUse));
    let (attempt, effects) = attempt.handle(closed_unlocked(30, 30), at(30));
    assert!(sends_lock(&effects));
    let (attempt, _) = attempt.handle(closed_unlocked(30, 32), at(32));
    let (attempt, effects) = attempt.handle(Event::LockAnswered { outcome: DONE }, at(33));
    assert!(effects.contains(&Effect::ReadCar { at: at(33) }));
    let (attempt, effects) = attempt.handle(closed_locked(30, 32, 34), at(34));
    assert_eq!(attempt.lock_proof(), Some(LockProof::Observed));
    assert!(effects.contains(&Effect::Release), "proved: no need to wait 20 s");
    assert!(!attempt.ended(), "a reopening is possible for three minutes");
    let (attempt, effects) = attempt.handle(Event::Timer, at(211));
    assert!(attempt.ended() && effects.contains(&Effect::Finish));
}

#[test]
fn the_stop_ended_means_nobody_will_reopen() {
    let (attempt, effects) = play(closing(), vec![(34, closed_locked(30, 32, 34)), (40, Event::StopEnded)]);
    assert!(attempt.ended() && effects.contains(&Effect::Finish));
}

#[test]
fn nothing_leaves_before_the_intent_is_durable_or_after_a_block() {
    let blocked_meanwhile = Event::IntentDurable { epoch: BlockEpoch::new(8) };
    for (events, why) in [
        (vec![(1, blocked_meanwhile)], "epoch moved"),
        (vec![(1, Event::Blocked), (2, durable())], "blocked"),
        (vec![(1, Event::Recovered), (2, durable())], "crashed"),
        (vec![(31, Event::Timer), (32, durable())], "the store was too slow"),
        (vec![(1, Event::Timer)], "not durable yet"),
        (vec![(1, Event::CarRead(untouched(1)))], "a reading is no permission"),
    ] {
        let mut attempt = intended(WINDOW_MAKER);
        for (s, event) in events {
            let effects;
            (attempt, effects) = attempt.handle(event, at(s));
            assert!(!sends_open(&effects), "{why}");
        }
    }
    let (attempt, effects) = play(intended(WINDOW_MAKER), vec![(1, Event::Blocked)]);
    assert_eq!((attempt.phase(), attempt.usage()), (Phase::DidNotHappen(Refusal::NeverSent), UseFate::Returned));
    assert!(effects.contains(&Effect::ReturnUse) && attempt.ended());
}

#[test]
fn each_answer_to_the_open_command_has_its_phase() {
    let later = Some(at(50));
    let refused = Outcome::DidNotHappen(Refusal::Asleep);
    let unknown_until = |s: i64| Phase::Unknown { until: at(s) };
    for (rules, answer, phase, usage) in [
        (WINDOW_MAKER, armed(120), Phase::Armed { until: at(120) }, UseFate::Held),
        (WINDOW_MAKER, answered(DONE, None, None), Phase::Armed { until: at(305) }, UseFate::Held),
        (WINDOW_MAKER, answered(Outcome::Unknown, None, None), unknown_until(360), UseFate::Held),
        (WINDOW_MAKER, answered(Outcome::Done(Confirmation::Accepted), None, None), unknown_until(360), UseFate::Held),
        (WINDOW_MAKER, answered(Outcome::Unknown, Some(at(90)), None), unknown_until(390), UseFate::Held),
        (WINDOW_MAKER, answered(refused, None, None), Phase::DidNotHappen(Refusal::Asleep), UseFate::Returned),
        (WINDOW_MAKER, answered(refused, later, None), unknown_until(360), UseFate::Held),
        (POP_MAKER, answered(DONE, None, None), Phase::Open, UseFate::Spent),
        (POP_MAKER, answered(Outcome::Unknown, None, None), unknown_until(60), UseFate::Held),
        (POP_MAKER, answered(Outcome::Unknown, Some(at(20)), None), unknown_until(60), UseFate::Held),
        (BLIND_MAKER, answered(DONE, None, None), Phase::Open, UseFate::Spent),
    ] {
        let told = format!("{answer:?}");
        let (attempt, _) = play(intended(rules), vec![(0, durable()), (5, answer)]);
        assert_eq!((attempt.phase(), attempt.usage()), (phase, usage), "{told}");
    }
}

#[test]
fn what_the_car_shows_after_the_window_decides() {
    let ending = |r: CarReading| {
        let (attempt, effects) =
            play(intended(WINDOW_MAKER), vec![(0, durable()), (3, armed(123)), (124, Event::CarRead(r))]);
        (attempt.phase(), attempt.usage(), sends_lock(&effects))
    };
    let did_not = (Phase::DidNotHappen(Refusal::WindowPassed), UseFate::Returned, false);
    assert_eq!(ending(untouched(124)), did_not);
    let unlocked = reading(Lid::Closed, -3_600, Lock::Unlocked, 5, 124);
    assert_eq!(ending(unlocked), (Phase::Locking, UseFate::Spent, true), "unlocked, perhaps opened: lock it");
    let locked_since = reading(Lid::Closed, -3_600, Lock::Locked, 100, 124);
    assert_eq!(ending(locked_since).1, UseFate::Spent, "unlocked and locked since");
    let mut timeless = untouched(124);
    timeless.lid_changed_at = None;
    assert_eq!(ending(timeless).1, UseFate::Spent, "since when it is shut nobody says: perhaps for a second");
    let silent = reading(Lid::Unknown, -3_600, Lock::Unknown, -3_600, 124);
    assert_eq!(ending(silent), (Phase::Armed { until: at(123) }, UseFate::Held, false), "unknown concludes nothing");
    let too_early = untouched(122);
    assert_eq!(ending(too_early).0, Phase::Armed { until: at(123) }, "read before the window's end");
}

#[test]
fn opened_and_closed_between_two_looks_is_opened() {
    let story =
        vec![(0, durable()), (3, armed(123)), (40, Event::CarRead(reading(Lid::Closed, 35, Lock::Unlocked, 20, 40)))];
    let (attempt, effects) = play(intended(WINDOW_MAKER), story);
    assert_eq!((attempt.phase(), attempt.usage()), (Phase::Locking, UseFate::Spent));
    assert!(sends_lock(&effects));
}

#[test]
fn a_late_success_after_did_not_happen_is_locked_again() {
    let refused = answered(Outcome::DidNotHappen(Refusal::MakerRefused), Some(at(60)), None);
    let (attempt, effects) = play(intended(POP_MAKER), vec![(0, durable()), (5, refused)]);
    assert!(effects.contains(&Effect::Notify(Notice::MayStillOpen { until: at(60) })));
    let (attempt, _) = play(attempt, vec![(40, lid_open(38))]);
    assert_eq!((attempt.phase(), attempt.usage()), (Phase::Open, UseFate::Spent));
    let (_, effects) = play(attempt, vec![(50, closed_unlocked(48, 50))]);
    assert!(sends_lock(&effects));
}

#[test]
fn nobody_can_say_and_the_car_is_silent_so_it_is_locked_and_a_person_looks() {
    let (mut attempt, effects) = play(
        intended(WINDOW_MAKER),
        vec![(0, durable()), (30, answered(Outcome::Unknown, None, None)), (420, Event::Timer)],
    );
    assert_eq!((attempt.phase(), attempt.usage()), (Phase::Locking, UseFate::Spent));
    assert!(sends_lock(&effects));
    let mut locks = 1;
    for s in 421..=560 {
        for event in [Event::LockAnswered { outcome: Outcome::Unknown }, Event::Timer] {
            let effects;
            (attempt, effects) = attempt.handle(event, at(s));
            locks += usize::from(sends_lock(&effects));
        }
    }
    assert_eq!(attempt.alarm().map(|a| a.cause), Some(AlarmCause::LockUnproved));
    assert!((5..=20).contains(&locks), "repeated, but within a budget: {locks}");
    assert_eq!(attempt.code(), "alarm");
}

#[test]
fn a_lid_open_for_three_minutes_raises_the_alarm_and_is_still_locked_when_it_closes() {
    let story = vec![(0, durable()), (3, armed(123)), (10, lid_open(10)), (190, Event::Timer)];
    let (attempt, effects) = play(intended(WINDOW_MAKER), story);
    assert!(effects.contains(&Effect::Raise(AlarmCause::OpenTooLong)));
    let (attempt, _) = attempt.handle(Event::Acknowledged { by: By::Owner }, at(200));
    assert!(!attempt.ended(), "somebody knows, but nobody has locked");
    let (attempt, effects) = attempt.handle(closed_unlocked(400, 401), at(401));
    assert!(sends_lock(&effects));
    let (attempt, effects) = attempt.handle(closed_locked(400, 403, 404), at(404));
    assert!(effects.contains(&Effect::Notify(Notice::AllClear)) && attempt.ended());
    assert_eq!(attempt.code(), "locked");
}

#[test]
fn an_acknowledged_car_that_stays_open_is_watched_for_half_an_hour() {
    let story = vec![(0, durable()), (3, armed(123)), (10, lid_open(10)), (190, Event::Timer)];
    let (attempt, _) = play(intended(WINDOW_MAKER), story);
    let (attempt, _) = play(attempt, vec![(200, Event::Acknowledged { by: By::Operator }), (1_999, Event::Timer)]);
    assert!(!attempt.ended());
    let (attempt, _) = attempt.handle(Event::Timer, at(2_000));
    assert!(attempt.ended());
    assert_eq!(attempt.code(), "acknowledged");
    let (_, effects) = attempt.handle(Event::LockRequested(By::Owner), at(9_000));
    assert!(sends_lock(&effects), "a lock is never refused");
}

#[test]
fn after_twenty_seconds_without_a_problem_the_courier_goes_on_and_a_failure_calls_back() {
    let (attempt, effects) = play(closing(), vec![(50, Event::Timer)]);
    assert!(effects.contains(&Effect::Release));
    let (attempt, effects) = play(attempt, vec![(60, closed_unlocked(30, 60)), (155, Event::Timer)]);
    assert!(effects.contains(&Effect::Raise(AlarmCause::LockFailed)) && effects.contains(&Effect::Recall));
    let (attempt, effects) = play(attempt, vec![(160, closed_locked(30, 159, 160))]);
    assert!(effects.contains(&Effect::Release), "the recall is over");
    assert_eq!(attempt.lock_proof(), Some(LockProof::Observed));
}

#[test]
fn a_car_seen_unlocked_does_not_let_the_courier_go() {
    let unlocked = vec![(35, Event::LockAnswered { outcome: DONE }), (36, closed_unlocked(30, 36)), (50, Event::Timer)];
    let (_, effects) = play(closing(), unlocked);
    assert!(!effects.contains(&Effect::Release));
}

/// Found by a simulated day: the maker called the lock done, the bolt had jammed unnoticed, and when the car could not be
/// read for a while the maker's word stood as a proof against what had been seen.
#[test]
fn where_the_lock_can_be_seen_the_makers_word_proves_nothing_against_it() {
    let jammed = vec![(32, closed_unlocked(30, 32)), (35, Event::LockAnswered { outcome: DONE })];
    let reported = vec![(36, Event::CloseReported(REPORT)), (60, Event::CarUnreadable), (155, Event::Timer)];
    let (attempt, effects) = play(closing(), jammed.into_iter().chain(reported).collect());
    assert_eq!(attempt.lock_proof(), None);
    assert!(effects.contains(&Effect::Raise(AlarmCause::LockFailed)), "{effects:?}");
    let (attempt, _) = play(attempt, vec![(400, closed_locked(30, 399, 400))]);
    assert_eq!(attempt.lock_proof(), Some(LockProof::Observed), "the owner's key has locked it");
}

#[test]
fn lock_proofs_by_strength() {
    // The state is older than the opening: no proof, though it says LOCKED.
    let (attempt, _) = play(closing(), vec![(34, closed_locked(30, 5, 34))]);
    assert_eq!(attempt.lock_proof(), None);
    // Read after a lock that the maker called done: proof without a newer time.
    let (attempt, _) =
        play(closing(), vec![(33, Event::LockAnswered { outcome: DONE }), (34, closed_locked(30, 5, 34))]);
    assert_eq!(attempt.lock_proof(), Some(LockProof::Observed));
    // A door stands open: locked or not, no proof.
    let door = CarReading { doors_all_closed: Some(false), ..reading(Lid::Closed, 30, Lock::Locked, 32, 34) };
    assert_eq!(play(closing(), vec![(34, Event::CarRead(door))]).0.lock_proof(), None);

    // State not readable: the maker's word needs photo and handle, the handle after the maker's word.
    let blind = |answer: Outcome, report: CloseReport| {
        let story = vec![
            (0, durable()),
            (3, answered(DONE, None, None)),
            (30, Event::CloseReported(NOT_PULLED)),
            (33, Event::LockAnswered { outcome: answer }),
            (36, Event::CloseReported(report)),
        ];
        let (attempt, _) = play(intended(BLIND_MAKER), story);
        let (attempt, _) = attempt.handle(Event::Timer, at(150));
        (attempt.lock_proof(), attempt.alarm().map(|a| a.cause))
    };
    assert_eq!(blind(DONE, REPORT), (Some(LockProof::Executed), None));
    let no_photo = CloseReport { photo: false, ..REPORT };
    assert_eq!(blind(DONE, no_photo), (Some(LockProof::Attested), Some(AlarmCause::AttestedOnly)));
    assert_eq!(blind(Outcome::Unknown, REPORT), (Some(LockProof::Attested), Some(AlarmCause::AttestedOnly)));
    assert_eq!(blind(DONE, NOT_PULLED), (None, Some(AlarmCause::LockUnproved)));
}

#[test]
fn an_attested_lock_ends_with_a_person() {
    let story = vec![
        (0, durable()),
        (3, answered(DONE, None, None)),
        (30, Event::CloseReported(REPORT)),
        (33, Event::LockAnswered { outcome: Outcome::Unknown }),
        (150, Event::Timer),
    ];
    let (attempt, _) = play(intended(BLIND_MAKER), story);
    assert_eq!((attempt.lock_proof(), attempt.ended(), attempt.code()), (Some(LockProof::Attested), false, "alarm"));
    let (attempt, effects) = attempt.handle(Event::Acknowledged { by: By::Owner }, at(160));
    assert!(attempt.ended() && effects.contains(&Effect::Record(RecordKind::AlarmAcknowledged(By::Owner))));
}

#[test]
fn a_lock_refused_because_a_lid_is_open_is_tried_again() {
    let not_closed = Event::LockAnswered { outcome: Outcome::DidNotHappen(Refusal::NotClosed) };
    let (_, effects) = play(closing(), vec![(33, not_closed), (35, Event::Timer)]);
    assert!(sends_lock(&effects));
}

#[test]
fn the_car_says_open_though_the_courier_says_closed() {
    let story = vec![
        (0, durable()),
        (3, armed(123)),
        (10, lid_open(10)),
        (40, Event::CloseReported(REPORT)),
        (41, lid_open(10)),
    ];
    let (attempt, _) = play(intended(WINDOW_MAKER), story);
    assert_eq!(attempt.phase(), Phase::Open, "the reading is as of 10 s");
    let (attempt, effects) = attempt.handle(Event::CarRead(reading(Lid::Open, 10, Lock::Unlocked, 9, 42)), at(42));
    assert!(!sends_lock(&effects));
    let (_, effects) = play(attempt, vec![(43, Event::CloseReported(REPORT)), (44, Event::CarUnreadable)]);
    assert!(sends_lock(&effects), "the car says nothing: lock on the courier's word");
}

#[test]
fn one_reopening_within_three_minutes_by_a_fresh_permit() {
    let reopen = |s: i64| Event::ReopenRequested { permit: permit(at(s)), epoch: EPOCH };
    let (attempt, effects) = play(closing(), vec![(60, reopen(60))]);
    assert_eq!(attempt.phase(), Phase::Intended);
    assert!(effects.contains(&Effect::Record(RecordKind::OpenIntended(2))) && !sends_open(&effects));
    let (attempt, effects) = attempt.handle(durable(), at(61));
    assert!(effects.contains(&Effect::SendOpen { command: 2 }));
    let story =
        vec![(63, armed(180)), (70, lid_open(70)), (80, closed_unlocked(80, 80)), (82, closed_locked(80, 81, 82))];
    let (attempt, effects) = play(attempt, story);
    assert_eq!(attempt.lock_proof(), Some(LockProof::Observed));
    assert!(!effects.contains(&Effect::SpendUse), "one use for both");
    assert!(attempt.ended(), "no second reopening to wait for");
    let (_, effects) = attempt.handle(reopen(90), at(90));
    assert_eq!(effects, [Effect::RefuseReopen(ReopenRefused::Ended)]);
}

#[test]
fn a_reopening_that_did_not_happen_may_be_asked_for_once_more_and_then_no_more() {
    let reopen = |s: i64| Event::ReopenRequested { permit: permit(at(s)), epoch: EPOCH };
    let nobody = || answered(Outcome::DidNotHappen(Refusal::WindowPassed), None, None);
    let (attempt, effects) = play(closing(), vec![(60, reopen(60)), (61, durable()), (70, nobody())]);
    assert!(sends_lock(&effects), "locked again to be sure");
    let (attempt, effects) = play(attempt, vec![(75, reopen(75)), (76, durable())]);
    assert!(effects.contains(&Effect::SendOpen { command: 3 }));
    let (_, effects) = play(attempt, vec![(80, nobody()), (85, reopen(85))]);
    assert!(effects.contains(&Effect::RefuseReopen(ReopenRefused::UsedUp)));
}

#[test]
fn reopening_is_refused_when_it_is_not_safe() {
    let reopen = |s: i64| Event::ReopenRequested { permit: permit(at(s)), epoch: EPOCH };
    let refused = |story: Vec<(i64, Event)>| {
        let (_, effects) = play(closing(), story);
        effects.iter().find_map(|e| if let Effect::RefuseReopen(why) = e { Some(*why) } else { None })
    };
    let locked = || (34, closed_locked(30, 32, 34));
    let moved = Event::ReopenRequested { permit: permit(at(40)), epoch: BlockEpoch::new(8) };
    assert_eq!(refused(vec![(211, reopen(211))]), Some(ReopenRefused::TooLate));
    assert_eq!(refused(vec![(35, Event::Recovered), (40, reopen(40))]), Some(ReopenRefused::Recovered));
    assert_eq!(refused(vec![(35, Event::Blocked), (40, reopen(40))]), Some(ReopenRefused::Blocked));
    assert_eq!(refused(vec![(40, moved)]), Some(ReopenRefused::Blocked));
    assert_eq!(refused(vec![(60, reopen(40))]), Some(ReopenRefused::Permit), "conditions judged 20 s ago");
    assert_eq!(refused(vec![(40, lid_open(39)), (41, reopen(41))]), Some(ReopenRefused::NotClosed));
    assert_eq!(refused(vec![locked(), (40, Event::StopEnded), (41, reopen(41))]), Some(ReopenRefused::Ended));
    assert_eq!(refused(vec![locked(), (41, reopen(41))]), None);
}

#[test]
fn after_a_crash_the_car_is_read_and_finished_never_opened() {
    // Between intent and send: nobody knows whether it left.
    let stored = intended(WINDOW_MAKER).into_parts();
    let restored = Attempt::from_parts(stored, WINDOW_MAKER).unwrap();
    let (attempt, effects) = restored.handle(Event::Recovered, at(20));
    assert_eq!(attempt.phase(), Phase::Unknown { until: at(380) }, "sent at 20 s at the latest");
    assert!(effects.contains(&Effect::ReadCar { at: at(20) }) && !sends_open(&effects));
    let (attempt, effects) = play(attempt, vec![(21, durable()), (380, Event::CarRead(untouched(380)))]);
    assert_eq!(attempt.phase(), Phase::DidNotHappen(Refusal::NeverSent));
    assert!(effects.contains(&Effect::ReturnUse));

    // The same, but the courier had it open: closed and locked.
    let restored = Attempt::from_parts(intended(WINDOW_MAKER).into_parts(), WINDOW_MAKER).unwrap();
    let (attempt, _) = play(restored, vec![(20, Event::Recovered), (21, lid_open(15)), (40, closed_unlocked(39, 40))]);
    assert_eq!((attempt.phase(), attempt.usage()), (Phase::Locking, UseFate::Spent));

    // Unlocked and nobody there any more: not left so until the window passes.
    let restored = Attempt::from_parts(intended(WINDOW_MAKER).into_parts(), WINDOW_MAKER).unwrap();
    let unlocked = Event::CarRead(reading(Lid::Closed, -3_600, Lock::Unlocked, 5, 21));
    let (_, effects) = play(restored, vec![(20, Event::Recovered), (21, unlocked)]);
    assert!(sends_lock(&effects));

    // The lock had been sent: it is sent again, for locking may be repeated.
    let restored = Attempt::from_parts(closing().into_parts(), WINDOW_MAKER).unwrap();
    let (_, effects) = restored.handle(Event::Recovered, at(40));
    assert!(sends_lock(&effects));
}

#[test]
fn a_restored_attempt_cannot_open_even_if_nobody_says_that_it_crashed() {
    let restored = Attempt::from_parts(intended(WINDOW_MAKER).into_parts(), WINDOW_MAKER).unwrap();
    let (attempt, effects) = restored.handle(durable(), at(1));
    assert!(!sends_open(&effects));
    assert!(attempt.parts().recovered);
}

#[test]
fn a_block_closes_an_armed_window() {
    let (attempt, effects) = play(intended(WINDOW_MAKER), vec![(0, durable()), (3, armed(123)), (8, Event::Blocked)]);
    assert!(sends_lock(&effects));
    assert!(effects.contains(&Effect::Notify(Notice::Blocked { may_act_until: Some(at(123)) })));
    let (attempt, effects) = attempt.handle(lid_open(12), at(12));
    assert_eq!(attempt.phase(), Phase::Open);
    assert!(!sends_lock(&effects), "an open lid cannot be locked");
    let (_, effects) = attempt.handle(closed_unlocked(30, 30), at(30));
    assert!(sends_lock(&effects));
}

#[test]
fn reads_stay_within_the_makers_quota() {
    let (mut attempt, _) = play(intended(WINDOW_MAKER), vec![(0, durable()), (3, armed(303))]);
    let mut reads = vec![];
    for s in 4..=300 {
        if attempt.parts().read_due.is_some_and(|due| due <= at(s)) {
            reads.push(s);
            attempt = attempt.handle(Event::CarRead(untouched(s)), at(s)).0;
        }
    }
    let most_in_a_minute = (4..=240).map(|from| reads.iter().filter(|s| (from..from + 60).contains(*s)).count()).max();
    assert!(most_in_a_minute.is_some_and(|n| (10..=30).contains(&n)), "{most_in_a_minute:?}");
}

#[test]
fn impossible_rows_are_refused() {
    let good = closing().into_parts();
    let mut parts = good.clone();
    parts.commands = 4;
    assert_eq!(Attempt::from_parts(parts, WINDOW_MAKER).unwrap_err(), ImpossibleAttempt::Commands);
    let mut parts = good.clone();
    parts.usage = UseFate::Returned;
    assert_eq!(Attempt::from_parts(parts, WINDOW_MAKER).unwrap_err(), ImpossibleAttempt::ReturnedAfterOpening);
    let mut parts = good.clone();
    parts.ended = true;
    assert_eq!(Attempt::from_parts(parts, WINDOW_MAKER).unwrap_err(), ImpossibleAttempt::EndedWithoutEnd);
    assert_eq!(Attempt::from_parts(good.clone(), WINDOW_MAKER).unwrap().into_parts(), good);
}

#[test]
fn phases_are_read_back_from_their_words() {
    for phase in [
        Phase::Intended,
        Phase::Sent,
        Phase::Armed { until: NOON },
        Phase::Unknown { until: NOON },
        Phase::Open,
        Phase::Locking,
        Phase::Locked(LockProof::Executed),
        Phase::DidNotHappen(Refusal::Asleep),
    ] {
        assert_eq!(Phase::parse(phase.code(), phase.until(), phase.detail()), Some(phase));
    }
    assert_eq!(Phase::parse("armed", None, None), None);
    assert_eq!(Phase::parse("locked", None, Some("surely")), None);
    assert_eq!(Phase::parse("open", Some(NOON), None), None);
}

#[test]
fn a_car_taken_as_opened_is_not_reopened() {
    // Nobody knows whether the first command opened it: that is the unknown open which is never retried.
    let unlocked = Event::CarRead(reading(Lid::Closed, -3_600, Lock::Unlocked, 5, 124));
    let (attempt, _) = play(intended(WINDOW_MAKER), vec![(0, durable()), (3, armed(123)), (124, unlocked)]);
    let reopen = Event::ReopenRequested { permit: permit(at(130)), epoch: EPOCH };
    let (_, effects) = attempt.handle(reopen, at(130));
    assert!(effects.contains(&Effect::RefuseReopen(ReopenRefused::Unknown)));
}

#[test]
fn a_proof_of_the_same_device_joins_an_unknown_open_and_sends_nothing() {
    let unknown = answered(Outcome::Unknown, None, None);
    let (attempt, _) = play(intended(WINDOW_MAKER), vec![(0, durable()), (5, unknown)]);
    assert_eq!(attempt.may_reopen(at(6)), Err(ReopenRefused::Unknown));
    let (attempt, effects) = attempt.handle(Event::ReopenRequested { permit: permit(at(6)), epoch: EPOCH }, at(6));
    assert!(!sends_open(&effects) && matches!(attempt.phase(), Phase::Unknown { .. }));
}

#[test]
fn a_read_that_never_comes_back_is_asked_for_again() {
    let (attempt, _) = play(intended(WINDOW_MAKER), vec![(0, durable()), (3, armed(303))]);
    let due = attempt.parts().read_due.expect("a read is due");
    let (attempt, effects) = attempt.handle(Event::Timer, due.plus_seconds(30));
    assert!(!effects.iter().any(|e| matches!(e, Effect::ReadCar { .. })), "it may still come");
    let (_, effects) = attempt.handle(Event::Timer, due.plus_seconds(60));
    assert!(effects.iter().any(|e| matches!(e, Effect::ReadCar { .. })));
}

#[test]
fn an_answer_to_no_question_does_not_put_off_the_next_lock() {
    let failed = || Event::LockAnswered { outcome: Outcome::Unknown };
    let (attempt, _) = play(closing(), vec![(31, failed()), (32, failed())]);
    let (_, effects) = attempt.handle(Event::Timer, at(33));
    assert!(sends_lock(&effects), "due two seconds after the first answer");
}

#[test]
fn the_makers_word_is_a_proof_only_when_the_car_stays_silent() {
    let story = vec![(31, Event::CloseReported(REPORT)), (33, Event::LockAnswered { outcome: DONE })];
    let (attempt, _) = play(closing(), story);
    let (attempt, _) = attempt.handle(Event::CarUnreadable, at(40));
    assert_eq!(attempt.lock_proof(), None, "a reading would be stronger: wait");
    let (attempt, _) = attempt.handle(Event::CarUnreadable, at(64));
    assert_eq!(attempt.lock_proof(), Some(LockProof::Executed));
}

// ---- a maker that tells nothing of lid and lock, and answers later -------------------------------------------------

fn under_way(may_act_s: i64) -> Event {
    Event::CommandUnderWay { may_act_until: Some(at(may_act_s)) }
}
fn lock_done() -> Event {
    Event::LockAnswered { outcome: DONE }
}
const CAR_FAILED: Outcome = Outcome::DidNotHappen(Refusal::CarFailed);

#[test]
fn a_parcel_is_put_in_where_the_car_tells_nothing() {
    let (attempt, effects) = intended(BLIND_MAKER).handle(durable(), NOON);
    assert!(sends_open(&effects));
    let story = vec![(4, under_way(120)), (8, under_way(120)), (12, answered(DONE, None, None))];
    let (attempt, effects) = play(attempt, story);
    assert_eq!(attempt.phase(), Phase::Open);
    assert!(effects.contains(&Effect::Notify(Notice::Opened)) && effects.contains(&Effect::SpendUse));
    let (attempt, effects) = attempt.handle(Event::CloseReported(NOT_PULLED), at(30));
    assert!(sends_lock(&effects));
    assert!(!attempt.wants_handle_check(), "an unlocked lid always gives");
    let (attempt, effects) = attempt.handle(lock_done(), at(36));
    assert!(attempt.wants_handle_check() && !effects.contains(&Effect::Release));
    let (attempt, effects) = play(attempt, vec![(55, Event::Timer), (60, Event::CloseReported(REPORT))]);
    assert_eq!(attempt.lock_proof(), Some(LockProof::Executed));
    assert!(effects.contains(&Effect::Release) && !attempt.wants_handle_check());
}

#[test]
fn a_handle_that_held_before_the_lock_was_done_is_asked_for_once_more() {
    let story =
        vec![(0, durable()), (3, answered(DONE, None, None)), (30, Event::CloseReported(REPORT)), (36, lock_done())];
    let (attempt, _) = play(intended(BLIND_MAKER), story);
    assert_eq!(attempt.lock_proof(), None);
    assert!(attempt.wants_handle_check());
}

#[test]
fn while_the_maker_is_at_it_the_courier_waits_quietly_and_then_looks_at_the_lid() {
    let story = vec![(0, durable()), (4, under_way(120)), (40, under_way(120))];
    let (attempt, _) = play(intended(BLIND_MAKER), story);
    assert_eq!(attempt.phase(), Phase::Sent);
    let (attempt, effects) = attempt.handle(under_way(120), at(46));
    assert_eq!(attempt.phase(), Phase::Unknown { until: at(120) });
    assert!(effects.contains(&Effect::Notify(Notice::LookAtTheLid)));
    // The courier finds it open and shuts it before the maker says a word: locked as soon as it does.
    let (attempt, effects) = attempt.handle(Event::CloseReported(REPORT), at(70));
    assert!(!sends_lock(&effects), "a lock could overtake the opening");
    let (attempt, effects) = attempt.handle(answered(DONE, None, None), at(75));
    assert_eq!((attempt.phase(), attempt.usage()), (Phase::Locking, UseFate::Spent));
    assert!(sends_lock(&effects));
}

#[test]
fn a_maker_that_never_comes_to_an_end_does_not_keep_the_attempt_from_its_own() {
    let (mut attempt, _) = play(intended(BLIND_MAKER), vec![(0, durable())]);
    let (mut locks, mut s) = (0, 0);
    while s < 1_200 {
        s += 4;
        let effects;
        (attempt, effects) = attempt.handle(under_way(s + 30), at(s));
        locks += usize::from(sends_lock(&effects));
    }
    assert!(locks > 0, "locked to be sure");
    assert_eq!((attempt.usage(), attempt.alarm().map(|a| a.cause)), (UseFate::Spent, Some(AlarmCause::LockUnproved)));
}

#[test]
fn failed_says_the_maker_and_nobody_can_see_whether_it_moved() {
    let (attempt, effects) = play(intended(BLIND_MAKER), vec![(0, durable()), (8, answered(CAR_FAILED, None, None))]);
    assert_eq!((attempt.phase(), attempt.usage()), (Phase::Locking, UseFate::Spent));
    assert!(sends_lock(&effects) && !effects.contains(&Effect::ReturnUse));
    // It had moved: the lid is up, the lock fails. Shut by hand, it is tried at once and proved.
    let (attempt, _) = attempt.handle(Event::LockAnswered { outcome: CAR_FAILED }, at(14));
    let (attempt, effects) = attempt.handle(Event::CloseReported(NOT_PULLED), at(15));
    assert!(sends_lock(&effects), "before its turn at 16 s");
    let (moved, _) = play(attempt, vec![(20, lock_done()), (26, Event::CloseReported(REPORT))]);
    assert_eq!(moved.lock_proof(), Some(LockProof::Executed));
    // Nobody comes to look: a person must.
    let story = vec![(0, durable()), (8, answered(CAR_FAILED, None, None)), (14, lock_done()), (129, Event::Timer)];
    let (left, effects) = play(intended(BLIND_MAKER), story);
    assert_eq!(left.lock_proof(), None);
    assert!(effects.contains(&Effect::Raise(AlarmCause::LockUnproved)), "{effects:?}");
    // Where the lid can be seen, the car is looked at before anybody is believed.
    let (seen, _) = play(intended(POP_MAKER), vec![(0, durable()), (8, answered(CAR_FAILED, None, None))]);
    assert_eq!((seen.phase(), seen.usage()), (Phase::Unknown { until: at(60) }, UseFate::Held));
    let (seen, _) = seen.handle(Event::CarRead(untouched(61)), at(61));
    assert_eq!(seen.phase(), Phase::DidNotHappen(Refusal::CarFailed));
}

#[test]
fn a_lid_of_which_nobody_speaks_again_is_locked_and_a_person_looks() {
    let (attempt, effects) =
        play(intended(BLIND_MAKER), vec![(0, durable()), (3, answered(DONE, None, None)), (184, Event::Timer)]);
    assert!(effects.contains(&Effect::Raise(AlarmCause::OpenTooLong)) && sends_lock(&effects));
    let (attempt, _) = attempt.handle(lock_done(), at(190));
    assert_eq!((attempt.lock_proof(), attempt.code()), (None, "alarm"));
    let (attempt, effects) = attempt.handle(Event::CloseReported(REPORT), at(240));
    assert_eq!(attempt.lock_proof(), Some(LockProof::Executed));
    assert!(effects.contains(&Effect::Notify(Notice::AllClear)));
}

#[test]
fn after_a_crash_the_makers_word_is_asked_for_and_the_story_goes_on() {
    let (sent, _) = intended(BLIND_MAKER).handle(durable(), NOON);
    let restored = Attempt::from_parts(sent.into_parts(), BLIND_MAKER).unwrap();
    let story = vec![(10, Event::Recovered), (12, under_way(120)), (16, answered(DONE, None, None))];
    let (attempt, effects) = play(restored, story);
    assert_eq!(attempt.phase(), Phase::Open);
    assert!(!sends_open(&effects) && !sends_lock(&effects), "somebody may be loading");
    let story = vec![(40, Event::CloseReported(NOT_PULLED)), (45, lock_done()), (50, Event::CloseReported(REPORT))];
    assert_eq!(play(attempt, story).0.lock_proof(), Some(LockProof::Executed));
}

#[test]
fn a_block_while_the_maker_is_at_it_is_locked_twice() {
    let (attempt, effects) =
        play(intended(BLIND_MAKER), vec![(0, durable()), (4, under_way(120)), (6, Event::Blocked)]);
    assert!(sends_lock(&effects), "at once");
    let (attempt, effects) = play(attempt, vec![(9, lock_done()), (12, answered(DONE, None, None))]);
    assert!(sends_lock(&effects), "and after the opening that had left before");
    assert_eq!((attempt.phase(), attempt.lock_proof()), (Phase::Locking, None));
}

#[test]
fn a_handle_that_gives_though_the_maker_says_locked_is_locked_once_more() {
    let story = vec![
        (0, durable()),
        (3, answered(DONE, None, None)),
        (30, Event::CloseReported(NOT_PULLED)),
        (34, lock_done()),
        (38, Event::CloseReported(NOT_PULLED)),
    ];
    let (attempt, effects) = play(intended(BLIND_MAKER), story);
    assert!(sends_lock(&effects) && !attempt.wants_handle_check());
    let (attempt, _) = play(attempt, vec![(42, lock_done()), (46, Event::CloseReported(REPORT))]);
    assert_eq!(attempt.lock_proof(), Some(LockProof::Executed));
}
