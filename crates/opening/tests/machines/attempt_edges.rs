//! What hangs on one moment, or on one of two facts: each told once on either side of it.

use parcelshelf_core::actuation::{Confirmation, LockProof, Outcome, Refusal};
use parcelshelf_opening::attempt::{
    AlarmCause, Attempt, By, CLOCK_SKEW_MS, CarReading, CloseReport, Effect, Event, LOCK_TRIES, Lid, Lock,
    LockProgress, MakerRules, Notice, Phase, ReopenRefused, WATCH_ACKNOWLEDGED_MS,
};

use crate::support::*;

/// Plays events at seconds after noon; gives the attempt and the effects of the last one.
fn play(mut attempt: Attempt, events: Vec<(i64, Event)>) -> (Attempt, Vec<Effect>) {
    let mut last = vec![];
    for (s, event) in events {
        (attempt, last) = attempt.handle(event, at(s));
    }
    (attempt, last)
}
const DONE: Outcome = Outcome::Done(Confirmation::Executed);
const HELD: CloseReport = CloseReport { handle_checked: true, photo: true };
const GAVE: CloseReport = CloseReport { handle_checked: false, photo: true };
const LID_ONLY: MakerRules = MakerRules { lock_state_observed: false, ..POP_MAKER };
const LOCK_ONLY: MakerRules = MakerRules { lid_state_observed: false, ..POP_MAKER };

fn durable() -> (i64, Event) {
    (0, Event::IntentDurable { epoch: EPOCH })
}
fn answered(s: i64, outcome: Outcome) -> (i64, Event) {
    (s, Event::CommandAnswered { outcome, may_act_until: None, ready_until: None })
}
fn armed() -> (i64, Event) {
    let outcome = Outcome::Done(Confirmation::Armed);
    (3, Event::CommandAnswered { outcome, may_act_until: None, ready_until: Some(at(123)) })
}
fn saw(lid: Lid, lid_s: i64, lock: Lock, lock_s: i64, read_s: i64) -> (i64, Event) {
    (read_s, Event::CarRead(reading(lid, lid_s, lock, lock_s, read_s)))
}
fn lock_answered(s: i64, outcome: Outcome) -> (i64, Event) {
    (s, Event::LockAnswered { outcome })
}
fn timer(s: i64) -> (i64, Event) {
    (s, Event::Timer)
}
fn reported(s: i64, report: CloseReport) -> (i64, Event) {
    (s, Event::CloseReported(report))
}
fn read_at(effects: &[Effect]) -> Option<i64> {
    effects.iter().find_map(|e| if let Effect::ReadCar { at } = e { Some(at.millis_since(NOON)) } else { None })
}
/// A window is open from 3 s on.
fn ready() -> Attempt {
    play(intended(WINDOW_MAKER), vec![durable(), armed()]).0
}
/// Opened at 10 s.
fn open() -> Attempt {
    play(ready(), vec![saw(Lid::Open, 10, Lock::Unlocked, 9, 10)]).0
}
/// Closed at 30 s, the lock under way.
fn closing() -> Attempt {
    play(open(), vec![saw(Lid::Closed, 30, Lock::Unlocked, 9, 30)]).0
}
/// Where nothing can be seen: opened at 3 s, shut at 30 s, the lock under way.
fn closing_unseen() -> Attempt {
    play(intended(BLIND_MAKER), vec![durable(), answered(3, DONE), reported(30, GAVE)]).0
}

// ---- looking at the car ------------------------------------------------------------------------------------------

/// Also where an alarm came first: nothing opens once more after one, so that it is over.
#[test]
fn a_car_that_is_proved_locked_is_not_looked_at_any_more() {
    let long =
        vec![timer(200), saw(Lid::Closed, 210, Lock::Unlocked, 9, 211), saw(Lid::Closed, 210, Lock::Locked, 212, 213)];
    let (attempt, effects) = play(open(), long);
    let parts = attempt.parts();
    assert_eq!(parts.phase, Phase::Locked(LockProof::Observed));
    assert_eq!(parts.alarm.map(|a| a.cause), Some(AlarmCause::OpenTooLong));
    assert_eq!((parts.ended, read_at(&effects), parts.read_due), (true, None, None));
}

/// A screen is honest for half a minute; then the maker's quota counts.
#[test]
fn the_car_is_looked_at_every_two_seconds_for_half_a_minute_and_then_every_five() {
    for (s, next_s) in [(1, 3), (15, 17), (29, 31), (30, 35), (31, 36), (50, 55)] {
        let (attempt, _) = play(intended(POP_MAKER), vec![durable()]);
        let (_, effects) = attempt.handle(Event::CarRead(untouched(s)), at(s));
        assert_eq!(read_at(&effects), Some(next_s * 1_000), "in the way, at {s} s");
        let (_, effects) = play(closing(), vec![saw(Lid::Closed, 30, Lock::Unlocked, 9, 30 + s)]);
        assert_eq!(read_at(&effects), Some((30 + next_s) * 1_000), "being locked, {s} s after the close");
    }
}

#[test]
fn what_can_be_seen_of_a_car_is_looked_at_and_nothing_else_is_asked() {
    for rules in [WINDOW_MAKER, POP_MAKER, DRIVE_MAKER, LID_ONLY, LOCK_ONLY, BLIND_MAKER] {
        let (attempt, effects) = play(intended(rules), vec![durable()]);
        let seen = rules.lid_state_observed || rules.lock_state_observed;
        assert_eq!((read_at(&effects).is_some(), attempt.parts().read_due.is_some()), (seen, seen), "{rules:?}");
        // Somebody says that it is shut: a reason to look at once.
        let (_, effects) = play(attempt, vec![reported(1, HELD)]);
        assert_eq!(read_at(&effects), seen.then_some(1_000), "{rules:?}");
    }
    let (_, effects) = play(closing_unseen(), vec![lock_answered(33, DONE)]);
    assert_eq!(read_at(&effects), None, "a lock that nobody can see");
    let locked = play(closing(), vec![saw(Lid::Closed, 30, Lock::Locked, 32, 34)]).0;
    assert_eq!(play(locked, vec![reported(35, HELD)]).1, [], "proved already");
}

#[test]
fn beside_an_alarm_the_car_is_looked_at_less_and_after_half_an_hour_still_less() {
    let (attempt, effects) = play(open(), vec![timer(190)]);
    assert_eq!(attempt.alarm().map(|a| a.cause), Some(AlarmCause::OpenTooLong));
    assert!(!effects.contains(&Effect::Recall), "nobody had been let go");
    let half_an_hour = WATCH_ACKNOWLEDGED_MS / 1_000;
    let mut last = attempt;
    for (s, pause_s) in [(200, 15), (190 + half_an_hour - 1, 15), (190 + half_an_hour, 60), (9_000, 60)] {
        let effects;
        (last, effects) = play(last, vec![saw(Lid::Open, 10, Lock::Unlocked, 9, s)]);
        assert_eq!(read_at(&effects), Some((s + pause_s) * 1_000), "{s} s");
    }
    // A lock that only a person's word stands for can still be seen open.
    let story = vec![durable(), saw(Lid::Open, 2, Lock::Unknown, 0, 2), saw(Lid::Closed, 20, Lock::Unknown, 0, 20)];
    let told = vec![lock_answered(21, Outcome::Unknown), reported(25, HELD), timer(140)];
    let (attempt, _) = play(intended(LID_ONLY), story.into_iter().chain(told).collect());
    assert_eq!(attempt.lock_proof(), Some(LockProof::Attested));
    assert!(attempt.parts().read_due.is_some());
}

#[test]
fn a_reading_that_is_lost_for_longer_than_a_minute_is_asked_for_again() {
    for (after_s, again) in [(1, false), (59, false), (60, true), (61, true), (300, true)] {
        let attempt = open();
        let due = attempt.parts().read_due.unwrap();
        let (_, effects) = attempt.handle(Event::Timer, due.plus_seconds(after_s));
        assert_eq!(read_at(&effects).is_some(), again, "{after_s} s after it was due");
    }
}

#[test]
fn a_reading_from_before_the_intent_tells_nothing_of_the_opening() {
    let sent = || play(intended(POP_MAKER), vec![durable()]).0;
    let before = Event::CarRead(reading(Lid::Open, -5, Lock::Unlocked, -5, -1));
    assert_eq!(sent().handle(before, at(1)).0.phase(), Phase::Sent);
    let at_once = Event::CarRead(reading(Lid::Open, 0, Lock::Unlocked, 0, 0));
    assert_eq!(sent().handle(at_once, at(1)).0.phase(), Phase::Open);
}

#[test]
fn a_lid_is_all_closed_with_its_doors_or_where_nobody_tells_of_doors() {
    for lid in [Lid::Open, Lid::Ajar, Lid::Stuck, Lid::Closed, Lid::Unknown] {
        for doors in [None, Some(true), Some(false)] {
            let seen = CarReading { doors_all_closed: doors, ..reading(lid, 0, Lock::Locked, 0, 0) };
            assert_eq!(seen.all_closed(), lid == Lid::Closed && doors != Some(false), "{lid:?} {doors:?}");
        }
    }
}

// ---- whether it opened -------------------------------------------------------------------------------------------

/// Whole seconds and two clocks: two seconds before the intent may be after it.
#[test]
fn a_change_by_the_makers_clock_counts_from_two_seconds_before_the_intent() {
    for (ms, opened) in [(1_000, true), (0, true), (1 - CLOCK_SKEW_MS, true), (-CLOCK_SKEW_MS, false), (-9_000, false)]
    {
        let changed = NOON.plus_millis(ms);
        let seen = CarReading { lid_changed_at: Some(changed), ..reading(Lid::Closed, 0, Lock::Unlocked, -60, 20) };
        let (attempt, _) = ready().handle(Event::CarRead(seen), at(20));
        assert_eq!(attempt.phase() == Phase::Locking, opened, "{ms} ms");
    }
}

#[test]
fn a_window_that_somebody_waits_for_is_left_open_and_one_that_nobody_waits_for_is_locked() {
    let unlocked = || saw(Lid::Closed, -3_600, Lock::Unlocked, 5, 20);
    let (attempt, effects) = play(ready(), vec![unlocked()]);
    assert_eq!((attempt.phase(), sends_lock(&effects)), (Phase::Armed { until: at(123) }, false));
    // Nobody waits, and it is locked: nothing to do.
    let left = || Attempt::from_parts(ready().into_parts(), WINDOW_MAKER).unwrap().handle(Event::Recovered, at(10)).0;
    for (seen, locks) in [
        (unlocked(), true),
        (saw(Lid::Closed, -3_600, Lock::Locked, -3_600, 20), false),
        (saw(Lid::Unknown, -3_600, Lock::Unlocked, 5, 20), false),
    ] {
        let (attempt, effects) = play(left(), vec![seen]);
        assert_eq!((attempt.phase() == Phase::Locking, sends_lock(&effects)), (locks, locks));
    }
}

#[test]
fn half_of_an_answer_concludes_nothing() {
    for (lid, lock) in [(Lid::Unknown, Lock::Locked), (Lid::Closed, Lock::Unknown)] {
        let (attempt, effects) = play(ready(), vec![saw(lid, -3_600, lock, -3_600, 124)]);
        assert_eq!(
            (attempt.phase(), sends_lock(&effects)),
            (Phase::Armed { until: at(123) }, false),
            "{lid:?} {lock:?}"
        );
    }
}

#[test]
fn what_was_told_to_act_for_longer_is_never_waited_for_less() {
    let unknown =
        |may_act_until| Event::CommandAnswered { outcome: Outcome::Unknown, may_act_until, ready_until: None };
    let (attempt, _) = play(intended(POP_MAKER), vec![durable(), (5, unknown(Some(at(200))))]);
    assert_eq!(attempt.phase(), Phase::Unknown { until: at(200) });
    for later in [None, Some(at(90))] {
        let attempt = Attempt::from_parts(attempt.parts().clone(), POP_MAKER).unwrap();
        assert_eq!(attempt.handle(unknown(later), at(9)).0.phase(), Phase::Unknown { until: at(200) });
    }
}

#[test]
fn an_open_lid_that_cannot_be_read_any_more_is_locked_on_the_couriers_word_only() {
    let (attempt, effects) = play(open(), vec![(20, Event::CarUnreadable)]);
    assert_eq!((attempt.phase(), sends_lock(&effects)), (Phase::Open, false));
    let (attempt, effects) = play(open(), vec![reported(20, GAVE), (21, Event::CarUnreadable)]);
    assert_eq!((attempt.phase(), sends_lock(&effects)), (Phase::Locking, true));
}

// ---- block, crash, reopening -------------------------------------------------------------------------------------

#[test]
fn a_block_locks_once_what_may_still_open_and_waits_for_an_open_lid() {
    let (attempt, effects) = play(ready(), vec![(8, Event::Blocked)]);
    assert!(sends_lock(&effects));
    let (attempt, _) = play(attempt, vec![lock_answered(9, DONE)]);
    assert!(!sends_lock(&play(attempt, vec![(20, Event::Blocked)]).1), "said twice");
    let (attempt, effects) = play(open(), vec![(20, Event::Blocked)]);
    assert_eq!((attempt.phase(), sends_lock(&effects)), (Phase::Open, false));
    assert!(effects.contains(&Effect::Notify(Notice::Blocked { may_act_until: None })));
}

#[test]
fn after_a_crash_a_lock_without_an_answer_is_sent_anew_and_a_pause_is_kept() {
    let restored = |attempt: Attempt| Attempt::from_parts(attempt.into_parts(), WINDOW_MAKER).unwrap();
    let (_, effects) = restored(closing()).handle(Event::Recovered, at(31));
    assert!(sends_lock(&effects));
    let pausing = play(closing(), vec![lock_answered(33, Outcome::Unknown)]).0;
    let (attempt, effects) = restored(pausing).handle(Event::Recovered, at(34));
    assert!(!sends_lock(&effects), "two seconds after the answer, not sooner");
    assert!(sends_lock(&play(attempt, vec![timer(35)]).1));
    // A row that is to be locked and knows of no lock: it is locked.
    let mut parts = closing().into_parts();
    parts.lock = LockProgress::default();
    let bare = Attempt::from_parts(parts, WINDOW_MAKER).unwrap();
    assert!(sends_lock(&bare.handle(Event::Recovered, at(31)).1));
}

#[test]
fn a_reopening_may_be_asked_for_until_three_minutes_are_over() {
    let asked = |s: i64| {
        let locked = saw(Lid::Closed, 30, Lock::Locked, 32, 34);
        play(closing(), vec![locked, (s, Event::ReopenRequested { permit: permit(at(s)), epoch: EPOCH })])
    };
    assert_eq!(asked(210).0.phase(), Phase::Intended);
    let refused = |why| vec![Effect::RefuseReopen(why)];
    assert_eq!(asked(211).1[..1], refused(ReopenRefused::TooLate));
}

#[test]
fn only_a_second_command_that_may_have_opened_uses_up_the_reopening() {
    let unlocked = |s| saw(Lid::Closed, -3_600, Lock::Unlocked, 5, s);
    let (first, _) = play(ready(), vec![unlocked(124)]);
    assert_eq!((first.phase(), first.parts().reopened), (Phase::Locking, false));
    let again = Event::ReopenRequested { permit: permit(at(60)), epoch: EPOCH };
    let story = vec![(60, again), (61, Event::IntentDurable { epoch: EPOCH }), answered(63, Outcome::Unknown)];
    let (second, _) = play(closing(), story);
    assert!(!second.parts().reopened);
    let (second, _) = play(second, vec![timer(500)]);
    assert_eq!((second.phase(), second.parts().reopened), (Phase::Locking, true));
}

// ---- locking -----------------------------------------------------------------------------------------------------

#[test]
fn a_lock_under_way_is_waited_for_whatever_is_seen_or_said_meanwhile() {
    let (attempt, _) = play(closing(), vec![saw(Lid::Closed, 30, Lock::Unlocked, 9, 32)]);
    assert!(!sends_lock(&play(attempt, vec![timer(40)]).1));
    let (_, effects) = play(closing_unseen(), vec![reported(31, GAVE)]);
    assert!(!sends_lock(&effects), "its answer is still to come");
}

#[test]
fn whoever_asks_for_a_lock_joins_one_of_the_last_five_seconds_and_moves_no_lid() {
    for (s, sent) in [(30, false), (34, false), (35, true), (90, true)] {
        let (_, effects) = play(closing(), vec![(s, Event::LockRequested(By::Courier))]);
        assert_eq!(sends_lock(&effects), sent, "{s} s");
    }
    let (attempt, effects) = play(open(), vec![(20, Event::LockRequested(By::Owner))]);
    assert_eq!((attempt.phase(), sends_lock(&effects)), (Phase::Open, true), "a hand must shut it");
}

#[test]
fn a_look_does_not_put_off_a_lock_that_is_due() {
    let story = vec![lock_answered(31, Outcome::Unknown), saw(Lid::Closed, 30, Lock::Unlocked, 9, 32), timer(33)];
    assert!(sends_lock(&play(closing(), story).1));
}

#[test]
fn a_lock_that_was_called_done_and_is_seen_open_is_sent_again_and_one_that_nobody_sees_is_not() {
    for (lock, again) in [(Lock::Unlocked, true), (Lock::Unknown, false)] {
        let story = vec![lock_answered(33, DONE), saw(Lid::Closed, 30, lock, 9, 34), timer(36)];
        assert_eq!(sends_lock(&play(closing(), story).1), again, "{lock:?}");
    }
}

#[test]
fn a_lid_seen_open_again_is_an_alarm_once_the_courier_has_gone() {
    let opened_again = || saw(Lid::Open, 60, Lock::Unlocked, 59, 60);
    let alarm = |story| play(closing(), story).0.alarm().map(|a| a.cause);
    assert_eq!(alarm(vec![opened_again()]), None, "whoever closed it is still there");
    assert_eq!(alarm(vec![timer(50), opened_again()]), Some(AlarmCause::OpenedAgain), "let go at 50 s");
    let locked = saw(Lid::Closed, 30, Lock::Locked, 32, 34);
    assert_eq!(alarm(vec![locked, opened_again()]), Some(AlarmCause::OpenedAgain));
}

#[test]
fn the_lock_must_be_newer_than_the_opening() {
    for (lock_s, proved) in [(9, false), (10, false), (11, true)] {
        let (attempt, _) = play(closing(), vec![saw(Lid::Closed, 30, Lock::Locked, lock_s, 34)]);
        assert_eq!(attempt.lock_proof(), proved.then_some(LockProof::Observed), "opened at 10 s, locked at {lock_s} s");
    }
}

#[test]
fn where_no_lid_is_told_of_a_newer_lock_is_a_proof_unless_something_stands_open() {
    for (lid, proved) in [(Lid::Unknown, true), (Lid::Closed, true), (Lid::Ajar, false)] {
        let story = vec![durable(), answered(3, DONE), reported(30, GAVE), saw(lid, -60, Lock::Locked, 32, 34)];
        let (attempt, _) = play(intended(LOCK_ONLY), story);
        assert_eq!(attempt.lock_proof().is_some(), proved, "{lid:?}");
    }
}

#[test]
fn where_the_lock_can_be_seen_no_hand_is_asked_for_and_none_proves_it() {
    let (attempt, _) = play(closing(), vec![lock_answered(33, DONE)]);
    assert!(!attempt.wants_handle_check());
    let (attempt, effects) = play(attempt, vec![reported(36, HELD)]);
    assert_eq!((attempt.lock_proof(), read_at(&effects)), (None, None), "a reading is due already");
}

#[test]
fn a_handle_that_gives_every_time_is_locked_five_times_and_then_a_person_looks() {
    let (mut attempt, mut locks) = (closing_unseen(), 1);
    for n in 0..20 {
        let effects;
        let s = 32 + 4 * n;
        (attempt, effects) = play(attempt, vec![lock_answered(s, DONE), reported(s + 2, GAVE)]);
        locks += u8::from(sends_lock(&effects));
    }
    assert_eq!((locks, attempt.lock_proof()), (LOCK_TRIES, None));
    let (attempt, _) = play(attempt, vec![timer(151)]);
    assert_eq!(attempt.alarm().map(|a| a.cause), Some(AlarmCause::LockUnproved));
}

/// An alarm is no end: what is seen unlocked is told to lock about once a minute, however often it is looked at.
#[test]
fn a_lock_that_fails_is_tried_for_as_long_as_nobody_has_seen_to_it() {
    let (mut attempt, mut sent) = (closing(), vec![]);
    for s in 31..1_500 {
        let failed = lock_answered(s, Outcome::DidNotHappen(Refusal::CarFailed));
        for event in [failed, saw(Lid::Closed, 30, Lock::Unlocked, 9, s)] {
            let effects;
            (attempt, effects) = play(attempt, vec![event]);
            sent.extend(sends_lock(&effects).then_some(s));
        }
    }
    assert_eq!(attempt.alarm().map(|a| a.cause), Some(AlarmCause::LockFailed));
    let pauses: Vec<i64> = sent.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(pauses.iter().all(|s| (2..=62).contains(s)), "{pauses:?}");
    assert!(sent.last().is_some_and(|s| *s > 1_430));
    let (_, effects) = attempt.handle(Event::LockRequested(By::Owner), at(1_501));
    assert!(sends_lock(&effects));
}
