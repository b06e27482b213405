//! One attempt at a front door, which a hand opens and shuts: what cars are given time for is an alarm at once here.

use parcelshelf_core::actuation::{Confirmation, LockProof, Outcome, Refusal};
use parcelshelf_opening::attempt::{
    AlarmCause, Attempt, CloseReport, Effect, Event, Lid, Lock, Notice, Phase, RELEASE_AFTER_MS, RecordKind,
};

use crate::support::*;

fn play(mut attempt: Attempt, events: Vec<(i64, Event)>) -> (Attempt, Vec<Effect>) {
    let mut last = vec![];
    for (s, event) in events {
        (attempt, last) = attempt.handle(event, at(s));
    }
    (attempt, last)
}
fn seen(lid: Lid, lid_s: i64, lock: Lock, read_s: i64) -> Event {
    Event::CarRead(reading(lid, lid_s, lock, lid_s, read_s))
}
fn raised(effects: &[Effect]) -> Option<AlarmCause> {
    effects.iter().find_map(|e| if let Effect::Raise(cause) = e { Some(*cause) } else { None })
}
/// The bolt is drawn, and nobody has touched the door yet.
fn unlocked() -> Attempt {
    let done = Outcome::Done(Confirmation::Observed);
    let answered = Event::CommandAnswered { outcome: done, may_act_until: None, ready_until: None };
    let story = vec![
        (0, Event::IntentDurable { epoch: EPOCH }),
        (1, answered),
        (3, seen(Lid::Closed, -3_600, Lock::Unlocked, 3)),
    ];
    let attempt = play(intended(FRONT_MAKER), story).0;
    assert!(matches!(attempt.phase(), Phase::Armed { .. }), "{:?}", attempt.phase());
    attempt
}
/// A hand has opened it.
fn open() -> Attempt {
    let attempt = play(unlocked(), vec![(8, seen(Lid::Open, 7, Lock::Unlocked, 8))]).0;
    assert_eq!(attempt.phase(), Phase::Open);
    attempt
}
/// Seen shut, and the bolt has been told.
fn shut() -> Attempt {
    let (attempt, effects) = open().handle(seen(Lid::Closed, 30, Lock::Unlocked, 31), at(31));
    assert!(sends_lock(&effects), "by itself: the courier's phone is not needed");
    attempt
}

#[test]
fn a_front_door_is_opened_and_shut_by_a_hand_locked_by_itself_and_proved_by_bolt_and_sensor() {
    let observed = Outcome::Done(Confirmation::Observed);
    let (attempt, _) = shut().handle(Event::LockAnswered { outcome: observed }, at(33));
    assert_eq!(attempt.lock_proof(), None, "its answer is no proof where the bolt can be read");
    let (attempt, effects) = attempt.handle(seen(Lid::Closed, 32, Lock::Locked, 34), at(34));
    assert_eq!(attempt.lock_proof(), Some(LockProof::Observed));
    assert!(effects.contains(&Effect::Release));
}

#[test]
fn a_door_that_nobody_opens_is_locked_again() {
    let (attempt, effects) = unlocked().handle(seen(Lid::Closed, -3_600, Lock::Unlocked, 125), at(125));
    assert!(sends_lock(&effects) && effects.contains(&Effect::SpendUse), "nobody can say that nobody was in");
    assert_eq!(attempt.phase(), Phase::Locking);
}

#[test]
fn what_cannot_be_seen_while_it_may_be_open_is_an_alarm_at_once() {
    let lost = Some(AlarmCause::LostWhileOpen);
    for (story, unseen) in [
        (unlocked(), Event::CarUnreadable),
        (unlocked(), seen(Lid::Unknown, -3_600, Lock::Unlocked, 12)),
        (unlocked(), seen(Lid::Closed, -3_600, Lock::Unknown, 12)),
        (open(), Event::CarUnreadable),
        (open(), seen(Lid::Open, 7, Lock::Unknown, 12)),
        (open(), seen(Lid::Unknown, 7, Lock::Unlocked, 12)),
    ] {
        let what = format!("{unseen:?}");
        let (attempt, effects) = story.handle(unseen, at(12));
        assert_eq!(raised(&effects), lost, "{what}");
        assert!(attempt.lock_proof().is_none() && !effects.contains(&Effect::Release), "{what}");
    }
    // The courier says that it is shut: the bolt is told once, and the alarm stays until it is proved.
    let said = Event::CloseReported(CloseReport { handle_checked: true, photo: true });
    let (attempt, effects) = play(open(), vec![(10, said), (12, Event::CarUnreadable)]);
    assert!(sends_lock(&effects) && raised(&effects) == lost);
    let (attempt, effects) = attempt.handle(Event::CarUnreadable, at(17));
    assert!(!sends_lock(&effects) && attempt.lock_proof().is_none());
}

#[test]
fn a_bolt_that_jams_is_an_alarm_at_once_is_told_again_and_holds_the_courier() {
    let jammed = Event::LockAnswered { outcome: Outcome::DidNotHappen(Refusal::CarFailed) };
    let (attempt, effects) = shut().handle(jammed, at(33));
    assert_eq!(raised(&effects), Some(AlarmCause::LockFailed));
    let later = 31 + RELEASE_AFTER_MS / 1_000 + 1;
    let (attempt, effects) =
        play(attempt, vec![(34, seen(Lid::Closed, 30, Lock::Unknown, 34)), (36, Event::Timer), (later, Event::Timer)]);
    assert!(!effects.contains(&Effect::Release) && attempt.lock_proof().is_none());
    let (attempt, effects) = attempt.handle(seen(Lid::Closed, later - 1, Lock::Locked, later), at(later));
    assert_eq!(attempt.lock_proof(), Some(LockProof::Observed), "a hand has mended it");
    assert!(effects.contains(&Effect::Release));
}

#[test]
fn a_second_entry_before_the_bolt_comes_is_recorded_as_one() {
    let jammed = Event::LockAnswered { outcome: Outcome::DidNotHappen(Refusal::CarFailed) };
    let (attempt, _) = shut().handle(jammed, at(33));
    let (attempt, effects) = attempt.handle(seen(Lid::Open, 40, Lock::Unknown, 41), at(41));
    assert!(effects.contains(&Effect::Record(RecordKind::Opened)));
    assert_eq!(attempt.phase(), Phase::Open);
    let (attempt, effects) = attempt.handle(seen(Lid::Closed, 50, Lock::Unlocked, 51), at(51));
    assert!(sends_lock(&effects) && attempt.lock_proof().is_none(), "and it is shut and locked anew");
}

#[test]
fn a_camera_that_is_lost_while_the_door_may_be_open_is_an_alarm_and_after_the_proof_it_is_none() {
    let lost = Some(AlarmCause::CameraLost);
    for story in [unlocked(), open(), shut()] {
        let phase = story.phase();
        let (attempt, effects) = story.handle(Event::CameraLost, at(32));
        assert_eq!(raised(&effects), lost, "{phase:?}");
        assert!(!effects.contains(&Effect::Release) && attempt.phase() == phase, "nothing else follows");
        let (_, effects) = attempt.handle(Event::CameraLost, at(33));
        assert_eq!(raised(&effects), None, "told once");
    }
    let (attempt, _) = intended(FRONT_MAKER).handle(Event::CameraLost, at(1));
    assert!(attempt.parts().alarm.is_none(), "nothing has left yet");
    let observed = Outcome::Done(Confirmation::Observed);
    let (attempt, _) = shut().handle(Event::CameraLost, at(32));
    let proved = vec![(33, Event::LockAnswered { outcome: observed }), (34, seen(Lid::Closed, 32, Lock::Locked, 34))];
    let (attempt, effects) = play(attempt, proved);
    assert_eq!(attempt.lock_proof(), Some(LockProof::Observed));
    assert!(effects.contains(&Effect::Notify(Notice::AllClear)), "{effects:?}");
    let (_, effects) = attempt.handle(Event::CameraLost, at(35));
    assert_eq!(raised(&effects), None);
}
