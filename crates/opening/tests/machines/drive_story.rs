//! One attempt at a garage door with a drive, told event by event.

use parcelshelf_core::actuation::{Confirmation, LockProof, Outcome, Refusal};
use parcelshelf_opening::attempt::{
    AlarmCause, Attempt, By, CloseReport, Effect, Event, INSIDE_MS, Lid, Lock, Notice, OPEN_TOO_LONG_MS, Phase,
    RecordKind,
};

use crate::support::*;

fn play(mut attempt: Attempt, events: Vec<(i64, Event)>) -> (Attempt, Vec<Effect>) {
    let mut last = vec![];
    for (s, event) in events {
        (attempt, last) = attempt.handle(event, at(s));
    }
    (attempt, last)
}
fn seen(lid: Lid, since_s: i64, read_s: i64) -> Event {
    let lock = match lid {
        Lid::Closed => Lock::Locked,
        Lid::Unknown => Lock::Unknown,
        Lid::Open | Lid::Ajar | Lid::Stuck => Lock::Unlocked,
    };
    Event::CarRead(reading(lid, since_s, lock, since_s, read_s))
}
fn out() -> Event {
    Event::CloseReported(CloseReport { handle_checked: false, photo: true })
}
fn raised(effects: &[Effect]) -> Option<AlarmCause> {
    effects.iter().find_map(|e| if let Effect::Raise(cause) = e { Some(*cause) } else { None })
}
/// Told to open at 0 s, seen going up at 3 s, open at 12 s.
fn open() -> Attempt {
    let sent = Event::CommandUnderWay { may_act_until: Some(at(120)) };
    let story = vec![
        (0, Event::IntentDurable { epoch: EPOCH }),
        (1, sent),
        (3, seen(Lid::Ajar, 2, 3)),
        (13, seen(Lid::Open, 12, 13)),
    ];
    play(intended(DRIVE_MAKER), story).0
}
/// The courier is out at 40 s, and the drive has been told.
fn shutting() -> Attempt {
    let (attempt, effects) = open().handle(out(), at(40));
    assert!(sends_lock(&effects));
    play(attempt, vec![(41, Event::LockAnswered { outcome: Outcome::Unknown })]).0
}

#[test]
fn a_garage_is_opened_shut_by_its_drive_and_proved_by_its_state() {
    assert_eq!(open().phase(), Phase::Open);
    let (attempt, effects) = open().handle(out(), at(40));
    assert!(sends_lock(&effects), "to shut is a command here");
    assert!(!effects.contains(&Effect::Notify(Notice::Closed)), "nobody has seen it shut");
    let (attempt, effects) =
        play(attempt, vec![(41, Event::LockAnswered { outcome: Outcome::Unknown }), (44, seen(Lid::Ajar, 43, 44))]);
    assert!(!sends_lock(&effects) && raised(&effects).is_none(), "on its way");
    let (attempt, effects) = attempt.handle(Event::Timer, at(62));
    assert!(!effects.contains(&Effect::Release), "the courier waits until it is seen shut");
    let (attempt, effects) = attempt.handle(seen(Lid::Closed, 63, 64), at(64));
    assert_eq!(attempt.lock_proof(), Some(LockProof::Observed));
    for effect in [Effect::Record(RecordKind::Closed), Effect::Notify(Notice::Closed), Effect::Release] {
        assert!(effects.contains(&effect), "{effect:?}");
    }
}

/// Found by simulation: the answer to the opening was lost, and what the server told of the door stood still from before it. The door
/// was up, the courier went in and out and said so, and two minutes later the attempt was over as one that did not happen.
#[test]
fn whoever_says_that_they_are_out_were_in_whatever_is_seen_of_the_door() {
    let unknown = Event::CommandAnswered { outcome: Outcome::Unknown, may_act_until: Some(at(120)), ready_until: None };
    let story = vec![(0, Event::IntentDurable { epoch: EPOCH }), (5, unknown), (20, seen(Lid::Closed, -600, 20))];
    let (attempt, effects) = play(intended(DRIVE_MAKER), story).0.handle(out(), at(40));
    assert!(sends_lock(&effects) && effects.contains(&Effect::SpendUse), "it is told to shut");
    let taken = Event::LockAnswered { outcome: Outcome::Done(Confirmation::Accepted) };
    let (attempt, _) = play(attempt, vec![(41, taken), (60, seen(Lid::Closed, -600, 60))]);
    let (attempt, effects) = attempt.handle(seen(Lid::Closed, -600, 185), at(185));
    assert_eq!((attempt.lock_proof(), attempt.ended()), (None, false), "what was so before proves nothing");
    assert_eq!(raised(&effects), Some(AlarmCause::LockUnproved));
    let (attempt, _) = attempt.handle(seen(Lid::Closed, 58, 190), at(190));
    assert_eq!(attempt.lock_proof(), Some(LockProof::Observed), "and it clears with a proof");
}

/// Found by simulation: each word to a door is a record, and a case of more than 128 was no case any more.
#[test]
fn a_door_that_nobody_comes_to_for_three_hours_still_makes_a_case() {
    for lid in [Lid::Open, Lid::Stuck, Lid::Closed] {
        let (mut attempt, mut records) = (shutting(), 0);
        let since_s = if lid == Lid::Closed { -600 } else { 12 };
        let mut told_s = Vec::new();
        for s in (42..10_800).step_by(5) {
            let (next, mut effects) = attempt.handle(Event::Timer, at(s));
            let (next, more) = next.handle(seen(lid, since_s, s), at(s));
            effects.extend(more);
            attempt = next;
            if sends_lock(&effects) {
                told_s.push(s);
                let (next, more) = attempt.handle(Event::LockAnswered { outcome: Outcome::Unknown }, at(s + 1));
                effects.extend(more);
                attempt = next;
            }
            records += effects.iter().filter(|e| matches!(e, Effect::Record(_))).count();
        }
        assert!(records <= 110, "{lid:?}: {records} records, told at {told_s:?}");
        assert!(attempt.parts().alarm.is_some() && attempt.lock_proof().is_none(), "{lid:?}");
        let late = told_s.iter().filter(|s| **s > 9_000).count();
        assert_eq!(late > 0, lid != Lid::Closed, "{lid:?}: what is seen open is told as long as it lasts: {told_s:?}");
    }
}

/// Found by simulation: each loss was an alarm after the one that its owner had seen, and each of those came again after it.
#[test]
fn a_door_that_was_seen_shut_and_is_lost_is_not_lost_while_open() {
    let unproved = vec![(60, seen(Lid::Closed, -600, 60)), (185, seen(Lid::Closed, -600, 185))];
    let (attempt, _) = play(shutting(), unproved);
    assert_eq!(attempt.parts().alarm.map(|a| a.cause), Some(AlarmCause::LockUnproved));
    let (attempt, _) = attempt.handle(Event::Acknowledged { by: By::Owner }, at(300));
    let (attempt, effects) = play(attempt, vec![(310, Event::CarUnreadable), (320, seen(Lid::Unknown, 320, 320))]);
    assert_eq!(raised(&effects), None);
    let (attempt, _) = attempt.handle(Event::Timer, at(300 + 1_801));
    assert!(attempt.ended(), "its owner has looked, and nothing new was seen for half an hour");
}

#[test]
fn a_drive_that_is_at_it_is_not_told_again() {
    let mut attempt = shutting();
    for s in (43..60).step_by(2) {
        let effects;
        (attempt, effects) = attempt.handle(seen(Lid::Ajar, 42, s), at(s));
        assert!(!sends_lock(&effects), "{s} s");
    }
}

#[test]
fn a_door_that_stops_half_way_is_an_alarm_at_once_and_is_told_again() {
    let (attempt, effects) = shutting().handle(seen(Lid::Stuck, 45, 46), at(46));
    assert_eq!(raised(&effects), Some(AlarmCause::DoesNotShut));
    assert!(attempt.lock_proof().is_none() && !attempt.ended());
    let (attempt, _) = attempt.handle(seen(Lid::Stuck, 45, 58), at(58));
    let (attempt, effects) = attempt.handle(Event::Timer, at(70));
    assert!(sends_lock(&effects), "it is told again");
    let (attempt, effects) = attempt.handle(seen(Lid::Closed, 82, 83), at(83));
    assert_eq!(attempt.lock_proof(), Some(LockProof::Observed));
    assert!(effects.contains(&Effect::Notify(Notice::AllClear)));
}

#[test]
fn a_door_that_comes_up_again_or_never_moves_is_an_alarm() {
    let early = shutting().handle(seen(Lid::Open, 12, 50), at(50)).1;
    assert_eq!(raised(&early), None, "it sounds its warning");
    let late = shutting().handle(seen(Lid::Open, 54, 56), at(56)).1;
    assert_eq!(raised(&late), Some(AlarmCause::DoesNotShut));
}

#[test]
fn what_is_open_and_not_heard_of_is_an_alarm_at_once() {
    let stories: [(fn() -> Attempt, i64); 2] = [(open, 20), (shutting, 44)];
    for (story, s) in stories {
        for event in [Event::CarUnreadable, seen(Lid::Unknown, s, s)] {
            let (attempt, effects) = story().handle(event, at(s));
            assert_eq!(raised(&effects), Some(AlarmCause::LostWhileOpen));
            let (attempt, _) = attempt.handle(out(), at(s + 10));
            let (attempt, _) = attempt.handle(seen(Lid::Closed, s + 30, s + 31), at(s + 31));
            assert_eq!(attempt.lock_proof(), Some(LockProof::Observed), "and it clears with a proof");
        }
    }
}
#[test]
fn what_goes_through_an_open_door_is_no_alarm() {
    let (attempt, effects) = open().handle(seen(Lid::Stuck, 12, 20), at(20));
    assert_eq!((attempt.phase(), raised(&effects)), (Phase::Open, None));
}

#[test]
fn after_the_time_inside_it_is_shut_by_itself() {
    let due = 3 + INSIDE_MS / 1_000;
    let (attempt, effects) = open().handle(Event::Timer, at(due - 1));
    assert!(!sends_lock(&effects));
    let (attempt, effects) = attempt.handle(Event::Timer, at(due));
    assert!(sends_lock(&effects), "nobody said that they are out");
    let (attempt, effects) = attempt.handle(seen(Lid::Ajar, due + 2, due + 60), at(due + 60));
    assert_eq!(raised(&effects), Some(AlarmCause::OpenTooLong), "three minutes are a problem");
    assert!(!attempt.ended());
}

#[test]
fn an_owner_who_wants_it_shut_shuts_it_and_a_refused_drive_is_told_again() {
    let (attempt, effects) = open().handle(Event::LockRequested(By::Owner), at(20));
    assert!(sends_lock(&effects));
    assert_eq!(attempt.phase(), Phase::Locking);
    let refused = Event::LockAnswered { outcome: Outcome::DidNotHappen(Refusal::NotClosed) };
    let (attempt, _) = attempt.handle(refused, at(21));
    let (attempt, effects) = attempt.handle(Event::Timer, at(23));
    assert!(sends_lock(&effects));
    let done = Event::LockAnswered { outcome: Outcome::Done(Confirmation::Observed) };
    let (attempt, _) = play(attempt, vec![(35, done), (36, seen(Lid::Closed, 35, 36))]);
    assert_eq!(attempt.lock_proof(), Some(LockProof::Observed));
}

#[test]
fn after_a_crash_an_open_door_is_shut_and_proved() {
    let parts = open().into_parts();
    let attempt = Attempt::from_parts(parts, DRIVE_MAKER).unwrap();
    let (attempt, effects) = attempt.handle(Event::Recovered, at(60));
    assert!(effects.iter().any(|e| matches!(e, Effect::ReadCar { .. })));
    let (attempt, effects) = attempt.handle(Event::Timer, at(3 + INSIDE_MS / 1_000));
    assert!(sends_lock(&effects));
    let (attempt, _) = attempt.handle(seen(Lid::Closed, 140, 141), at(141));
    assert_eq!(attempt.lock_proof(), Some(LockProof::Observed));
}

/// Found by the laws: what is open for too long and whose lock fails was told to a person by turns, for ever.
#[test]
fn whoever_has_seen_the_alarm_is_not_told_the_same_in_other_words() {
    let (mut attempt, mut effects) = (shutting(), vec![]);
    for s in (60..400).step_by(20) {
        (attempt, effects) = attempt.handle(seen(Lid::Ajar, 42, s), at(s));
    }
    let mut told = usize::from(raised(&effects).is_some());
    for _ in 0..4 {
        (attempt, effects) = attempt.handle(Event::Acknowledged { by: By::Operator }, at(400));
        told += usize::from(raised(&effects).is_some());
    }
    assert!(told <= 1, "{told} alarms of one door");
}

/// A drive sounds its warning and yields to what is in its way: it is told again after a while, and no look at it moves that.
#[test]
fn a_door_that_does_not_come_is_told_again_neither_too_soon_nor_never() {
    let sends = |mut attempt: Attempt, events: Vec<(i64, Event)>| {
        let mut at_s = vec![];
        for (s, event) in events {
            let effects;
            (attempt, effects) = attempt.handle(event, at(s));
            at_s.extend(sends_lock(&effects).then_some(s));
        }
        at_s
    };
    // Told at 40 s: it may still sound its warning.
    let early = vec![(46, seen(Lid::Stuck, 45, 46)), (48, Event::Timer), (54, Event::Timer)];
    assert_eq!(sends(shutting(), early), [0_i64; 0]);
    let looks = (56..60).map(|s| (s, seen(Lid::Stuck, 45, s))).chain([(60, Event::Timer)]).collect();
    assert_eq!(sends(shutting(), looks), [58], "two seconds after it was found so");
    let silent = vec![(60, Event::CarUnreadable), (61, Event::Timer), (62, Event::Timer)];
    assert_eq!(sends(shutting(), silent), [62], "nobody can say how it stands");
    let inside = vec![(20, Event::CarUnreadable), (30, Event::Timer)];
    assert_eq!(sends(open(), inside), [0_i64; 0], "somebody is still inside");
    // Under way, and without an answer so far.
    let (told, _) = open().handle(out(), at(40));
    let unanswered = vec![(56, seen(Lid::Stuck, 45, 56)), (60, Event::Timer), (70, Event::Timer)];
    assert_eq!(sends(told, unanswered), [0_i64; 0]);
}

/// Looking at it is no reason to be late: the time inside and the three minutes end when they end.
#[test]
fn the_time_inside_and_the_three_minutes_are_not_put_off_by_looks() {
    let due = |attempt: &Attempt| attempt.parts().timer.map(|t| t.millis_since(NOON) / 1_000);
    let (mut attempt, inside) = (open(), 3 + INSIDE_MS / 1_000);
    for s in (70..inside).step_by(5) {
        (attempt, _) = attempt.handle(seen(Lid::Open, 12, s), at(s));
        assert_eq!(due(&attempt), Some(inside), "at {s} s");
    }
    let too_long = 3 + OPEN_TOO_LONG_MS / 1_000;
    (attempt, _) = attempt.handle(Event::Timer, at(inside));
    (attempt, _) = attempt.handle(Event::LockAnswered { outcome: Outcome::Unknown }, at(inside + 1));
    for s in (inside + 2..too_long).step_by(5) {
        (attempt, _) = attempt.handle(seen(Lid::Ajar, inside + 1, s), at(s));
        assert!(due(&attempt).is_some_and(|d| d > s && d <= too_long), "at {s} s: {:?}", due(&attempt));
        // The courier may have been let go by then; after that nothing else is due.
        assert!(s <= inside + 20 || due(&attempt) == Some(too_long), "at {s} s: {:?}", due(&attempt));
    }
}

/// Seen shut and not proved is one thing, too long open another: whoever is called shall know where to look.
#[test]
fn a_door_that_was_seen_shut_is_not_too_long_open() {
    let (mut attempt, _) = play(shutting(), vec![(60, seen(Lid::Closed, -600, 60))]);
    let mut told = vec![];
    for s in (65..400).step_by(5) {
        let effects;
        (attempt, effects) = attempt.handle(Event::Timer, at(s));
        told.extend(raised(&effects));
        let (next, effects) = attempt.handle(seen(Lid::Closed, -600, s), at(s));
        told.extend(raised(&effects));
        attempt = next;
    }
    assert_eq!(told, [AlarmCause::LockUnproved]);
}

/// The courier is gone by then: it is the household that has to look, and it is told what has happened.
#[test]
fn a_door_that_was_proved_shut_and_stands_open_when_it_is_told_once_more_was_opened_again() {
    let (attempt, _) = play(shutting(), vec![(64, seen(Lid::Closed, 63, 64))]);
    assert_eq!(attempt.lock_proof(), Some(LockProof::Observed));
    let (attempt, effects) = attempt.handle(Event::LockRequested(By::Owner), at(90));
    if sends_lock(&effects) {
        let (_, effects) = play(
            attempt,
            vec![(91, Event::LockAnswered { outcome: Outcome::Unknown }), (110, seen(Lid::Open, 80, 110))],
        );
        assert_eq!(raised(&effects), Some(AlarmCause::OpenedAgain));
    } else {
        assert!(attempt.ended(), "nothing is told to a door whose attempt is over");
    }
}
