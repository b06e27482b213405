//! A stop by one of several who share a thing.

use parcelshelf_core::id::VehicleId;
use parcelshelf_core::time::Timestamp;
use parcelshelf_opening::halt::{Event, Halt, LIFT_HOURS, Refused, Told};
use proptest::prelude::*;

const T: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const HOUR: i64 = 3_600;

fn link(n: u8) -> VehicleId {
    VehicleId::from_bytes([n; 16])
}
fn at(hours: i64) -> Timestamp {
    T.plus_seconds(hours * HOUR)
}
const fn stop() -> Event {
    Event::Stop { until: T.plus_seconds(2_000 * HOUR) }
}
const LIFT: Event = Event::Lift { asks: true };
type Said = (u8, Event, i64, Result<Vec<Told>, Refused>, bool);

fn play(name: &str, said: &[Said]) {
    let mut halt = Halt::default();
    for (who, event, hours, told, stands) in said {
        match (halt.clone().handle(link(*who), *event, at(*hours)), told) {
            (Ok((next, now)), Ok(told)) => {
                assert_eq!(&now, told, "{name}: {who} says {event:?} after {hours} hours");
                halt = next;
            }
            (now, told) => assert_eq!(now.map(|(_, told)| told), *told, "{name}: {who} says {event:?}"),
        }
        assert_eq!(halt.stands(at(*hours)), *stands, "{name}: after {who} said {event:?} at {hours}");
    }
}

#[test]
fn whoever_stops_lifts_and_anybody_else_asks_and_waits() {
    let asked = |hours: i64| Ok(vec![Told::LiftAsked { ends: at(hours + LIFT_HOURS) }]);
    let early = |hours: i64| Err(Refused::AskedAlready { ends: at(hours + LIFT_HOURS) });
    play(
        "alone",
        &[
            (1, LIFT, 0, Err(Refused::NotStopped), false),
            (1, stop(), 0, Ok(vec![Told::Stopped]), true),
            (1, stop(), 1, Ok(vec![]), true),
            (1, Event::Keep, 1, Err(Refused::NotAsked), true),
            (2, Event::Keep, 1, Err(Refused::NotStopped), true),
            (1, LIFT, 2, Ok(vec![Told::Lifted]), false),
        ],
    );
    play(
        "no word",
        &[
            (1, stop(), 0, Ok(vec![Told::Stopped]), true),
            (2, LIFT, 10, asked(10), true),
            (2, LIFT, 11, early(10), true),
            (3, LIFT, 81, early(10), true),
            (2, LIFT, 82, Err(Refused::NotStopped), false),
        ],
    );
    play(
        "a word in time",
        &[
            (1, stop(), 0, Ok(vec![Told::Stopped]), true),
            (2, LIFT, 10, asked(10), true),
            (1, Event::Keep, 81, Ok(vec![Told::Kept]), true),
            (2, LIFT, 83, Err(Refused::KeptByAnother), true),
            (3, LIFT, 1_999, Err(Refused::KeptByAnother), true),
            (1, LIFT, 1_999, Ok(vec![Told::Lifted]), false),
        ],
    );
    play(
        "stopping again is a word",
        &[
            (1, stop(), 0, Ok(vec![Told::Stopped]), true),
            (2, LIFT, 10, asked(10), true),
            (1, stop(), 20, Ok(vec![Told::Kept]), true),
            (2, LIFT, 90, Err(Refused::KeptByAnother), true),
        ],
    );
    play(
        "two who stop",
        &[
            (1, stop(), 0, Ok(vec![Told::Stopped]), true),
            (2, stop(), 1, Ok(vec![Told::Stopped]), true),
            (1, LIFT, 2, Ok(vec![Told::Lifted, Told::LiftAsked { ends: at(74) }]), true),
            (2, LIFT, 3, Ok(vec![Told::Lifted]), false),
        ],
    );
    play(
        "possession that lapses, and is proved anew",
        &[
            (1, stop(), 0, Ok(vec![Told::Stopped]), true),
            (2, Event::Proved { until: at(9_000) }, 1_000, Ok(vec![]), true),
            (1, Event::Proved { until: at(3_000) }, 1_999, Ok(vec![]), true),
            (2, Event::Keep, 2_999, Err(Refused::NotStopped), true),
            (2, LIFT, 3_000, Err(Refused::NotStopped), false),
        ],
    );
}

fn said() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<bool>().prop_map(|asks| Event::Lift { asks }),
        Just(Event::Keep),
        (0_i64..9_000).prop_map(|h| Event::Stop { until: at(h) }),
        (0_i64..9_000).prop_map(|h| Event::Proved { until: at(h) }),
    ]
}

proptest! {
    /// Whatever all the others say, and in whichever order: a stop stands until its possession ends or 72 hours after an end
    /// was announced, and after a word of whoever put it only they end it.
    #[test]
    fn nobody_but_who_stopped_lifts_without_an_announcement_and_the_wait(
        steps in prop::collection::vec((2_u8..6, said(), 0_i64..40), 0..40),
        keeps_at in prop::option::of(0_usize..40),
    ) {
        let until = at(1_000);
        let (mut halt, _) = Halt::default().handle(link(1), Event::Stop { until }, T).unwrap();
        let (mut now, mut announced, mut kept) = (T, None, false);
        for (n, (who, event, hours)) in steps.into_iter().enumerate() {
            now = now.plus_seconds(hours * HOUR);
            let asked_out = announced.is_some_and(|t: Timestamp| !kept && now >= t.plus_seconds(LIFT_HOURS * HOUR));
            let over = now >= until || asked_out;
            prop_assert_eq!(halt.of(link(1), now).is_some(), !over);
            if over {
                return Ok(());
            }
            if keeps_at == Some(n) && announced.is_some() {
                (halt, _) = halt.handle(link(1), Event::Keep, now).unwrap();
                kept = true;
            }
            let before = halt.of(link(1), now).copied();
            let Ok((next, told)) = halt.clone().handle(link(who), event, now) else { continue };
            let after = next.of(link(1), now).copied();
            prop_assert!(after.is_some(), "{:?} by another ended it at once", event);
            // What is not said to all has changed nothing.
            if before != after {
                let said = told.iter().any(|t| matches!(t, Told::LiftAsked { .. }));
                prop_assert!(said && matches!(event, Event::Lift { asks: true }) && !kept, "{:?} changed it silently", event);
                announced = Some(now);
            }
            halt = next;
        }
    }
}
