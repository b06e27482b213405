//! Stories and laws of the delivery machine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use parcelshelf_core::id::{CourierId, DelegationId, DeliveryId, ParcelId};
use parcelshelf_core::reason::{Fallback, Reason};
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_delivery::delivery::{
    Delivery, Direction, Effect, End, Event, IllegalTransition, NextStep, NotADelivery, ParcelState, Phase,
};
use proptest::prelude::*;

const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn parcel(n: u8) -> ParcelId {
    ParcelId::from_bytes([n; 16])
}
fn courier(n: u8) -> CourierId {
    CourierId::from_bytes([n; 16])
}
fn delegation(n: u8) -> DelegationId {
    DelegationId::from_bytes([n; 16])
}
fn window() -> Window {
    Window::new(NOON, NOON.plus_seconds(4 * 3600)).unwrap()
}
fn requested() -> Delivery {
    let parcels = vec![(parcel(1), Direction::Put), (parcel(2), Direction::Take)];
    Delivery::request(
        DeliveryId::from_bytes([9; 16]),
        window(),
        parcels,
        vec![Fallback::Address, Fallback::Return],
        NOON,
    )
    .unwrap()
}
fn leg() -> Event {
    Event::LegStarted { courier: courier(1), delegation: delegation(1), until: NOON.plus_seconds(3600) }
}
fn after(events: &[Event]) -> Delivery {
    events.iter().fold(requested(), |d, e| d.handle(*e, NOON).unwrap_or_else(|why| panic!("{e:?}: {why}")).0)
}
fn at_stop() -> Vec<Event> {
    vec![Event::Accepted { window: window() }, Event::Loaded { courier: courier(1) }, leg(), Event::Arrived]
}

#[test]
fn one_goes_in_and_one_comes_out() {
    let delivery = after(&at_stop());
    let (delivery, effects) = delivery.handle(Event::ParcelDone { parcel: parcel(1) }, NOON).unwrap();
    assert_eq!(effects, []);
    let (delivery, effects) = delivery.handle(Event::ParcelDone { parcel: parcel(2) }, NOON).unwrap();
    assert_eq!(delivery.phase(), Phase::Ended(End::Delivered));
    assert!(effects.contains(&Effect::StopWatching) && effects.contains(&Effect::End(End::Delivered)));
    assert_eq!(delivery.next_step(parcel(1)), Some(NextStep::None));
}

#[test]
fn a_wrong_parcel_stays_outside_and_goes_where_it_was_agreed() {
    let mut events = at_stop();
    events.push(Event::ParcelNotDone { parcel: parcel(1), reason: Reason::WrongParcel, to: Some(Fallback::Return) });
    events.push(Event::ParcelDone { parcel: parcel(2) });
    let delivery = after(&events);
    assert_eq!(delivery.phase(), Phase::FallingBack);
    assert_eq!(delivery.next_step(parcel(1)), Some(NextStep::Fallback(Fallback::Return)));
    let (delivery, effects) = delivery.handle(Event::FallbackDone { parcel: parcel(1) }, NOON).unwrap();
    assert_eq!(delivery.phase(), Phase::Ended(End::Partly));
    assert!(effects.contains(&Effect::End(End::Partly)));
}

#[test]
fn the_owner_stops_it_at_any_moment() {
    let all = at_stop();
    for n in 0..=all.len() {
        let (delivery, effects) =
            after(&all[..n]).handle(Event::Stopped { reason: Reason::BlockedByOwner }, NOON).unwrap();
        assert_eq!(delivery.phase(), Phase::FallingBack, "after {n} events");
        assert_eq!(effects.iter().filter(|e| matches!(e, Effect::PlanFallback { .. })).count(), 2);
        assert_eq!(effects.contains(&Effect::StopWatching), n > 2, "after {n} events");
    }
}

#[test]
fn only_the_courier_who_has_it_starts_the_leg() {
    let loaded = after(&at_stop()[..2]);
    let other = Event::LegStarted { courier: courier(2), delegation: delegation(1), until: NOON.plus_seconds(60) };
    assert_eq!(loaded.clone().handle(other, NOON), Err(IllegalTransition::AnotherCourier));
    let long = Event::LegStarted { courier: courier(1), delegation: delegation(1), until: NOON.plus_seconds(3601) };
    assert_eq!(loaded.clone().handle(long, NOON), Err(IllegalTransition::LegWindow));
    let late = NOON.plus_seconds(4 * 3600 - 60);
    let over = Event::LegStarted { courier: courier(1), delegation: delegation(1), until: late.plus_seconds(120) };
    assert_eq!(loaded.handle(over, late), Err(IllegalTransition::LegWindow));
}

#[test]
fn a_second_courier_takes_over() {
    let mut events = at_stop();
    events.extend([Event::Unloaded, Event::Loaded { courier: courier(2) }]);
    let delivery = after(&events);
    assert_eq!(delivery.phase().courier(), Some(courier(2)));
}

#[test]
fn saying_it_twice_changes_nothing() {
    let mut events = Vec::new();
    for event in at_stop() {
        events.push(event);
        let once = after(&events);
        assert_eq!(once.clone().handle(event, NOON), Ok((once, vec![])), "{event:?}");
    }
}

#[test]
fn an_outcome_stands() {
    let mut events = at_stop();
    events.push(Event::ParcelDone { parcel: parcel(1) });
    let delivery = after(&events);
    let no = Event::ParcelNotDone { parcel: parcel(1), reason: Reason::DoesNotFit, to: None };
    assert_eq!(delivery.clone().handle(no, NOON), Err(IllegalTransition::OutcomeStands));
    assert_eq!(delivery.handle(Event::ParcelDone { parcel: parcel(7) }, NOON), Err(IllegalTransition::NoSuchParcel));
}

#[test]
fn a_fallback_that_nobody_agreed_to_is_refused() {
    let no = Event::ParcelNotDone { parcel: parcel(1), reason: Reason::DoesNotFit, to: Some(Fallback::ParcelShop) };
    assert_eq!(after(&at_stop()).handle(no, NOON), Err(IllegalTransition::FallbackNotAgreed));
}

#[test]
fn a_delivery_needs_parcels_a_fallback_and_a_window_that_is_offered() {
    let id = DeliveryId::from_bytes([9; 16]);
    let one = vec![(parcel(1), Direction::Put)];
    let make = |window, parcels, fallbacks| Delivery::request(id, window, parcels, fallbacks, NOON).err();
    assert_eq!(make(window(), vec![], vec![Fallback::Address]), Some(NotADelivery::Parcels));
    assert_eq!(make(window(), vec![one[0], one[0]], vec![Fallback::Address]), Some(NotADelivery::Parcels));
    assert_eq!(make(window(), one.clone(), vec![]), Some(NotADelivery::Fallbacks));
    let odd = Window::new(NOON, NOON.plus_seconds(3 * 3600)).unwrap();
    assert_eq!(make(odd, one, vec![Fallback::Address]), Some(NotADelivery::Window));
}

fn any_event() -> impl Strategy<Value = Event> {
    let reason = proptest::sample::select(Reason::ALL);
    let fallback = proptest::option::of(proptest::sample::select(Fallback::ALL));
    prop_oneof![
        Just(Event::Accepted { window: window() }),
        reason.clone().prop_map(|reason| Event::Stopped { reason }),
        (1..3u8).prop_map(|c| Event::Loaded { courier: courier(c) }),
        Just(Event::Unloaded),
        (1..3u8, 1..3u8, 1..5000i64).prop_map(|(c, d, s)| Event::LegStarted {
            courier: courier(c),
            delegation: delegation(d),
            until: NOON.plus_seconds(s)
        }),
        Just(Event::LegEnded),
        Just(Event::Arrived),
        (1..4u8).prop_map(|p| Event::ParcelDone { parcel: parcel(p) }),
        (1..4u8, reason, fallback).prop_map(|(p, reason, to)| Event::ParcelNotDone { parcel: parcel(p), reason, to }),
        Just(Event::StopLeft),
        Just(Event::WindowPassed),
        (1..4u8).prop_map(|p| Event::FallbackDone { parcel: parcel(p) }),
    ]
}

proptest! {
    #[test]
    fn every_sequence_keeps_the_laws_and_can_end(events in proptest::collection::vec(any_event(), 0..40)) {
        let mut delivery = requested();
        let mut accepted = false;
        let mut delegated = false;
        for event in events {
            let before = delivery.clone();
            let Ok((after, effects)) = delivery.handle(event, NOON) else {
                delivery = before;
                continue;
            };
            accepted |= matches!(event, Event::Accepted { .. });
            delegated |= effects.iter().any(|e| matches!(e, Effect::PostDelegation { .. }));
            // Nothing goes into a car without the keyholder's word and a delegation.
            let placed = after.parcels().any(|(_, _, s)| matches!(s, ParcelState::Placed | ParcelState::Taken));
            prop_assert!(!placed || (accepted && delegated));
            // An end is final and told once.
            if let Phase::Ended(end) = before.phase() {
                prop_assert_eq!(after.phase(), Phase::Ended(end));
                prop_assert!(effects.is_empty());
            }
            // No parcel without a next step, and a row can always be read back.
            for (p, _, state) in after.parcels() {
                let next = after.next_step(p).expect("it is a parcel of this delivery");
                prop_assert_eq!(next == NextStep::None, state.is_final());
            }
            prop_assert_eq!(Delivery::from_parts(after.clone().into_parts()), Ok(after.clone()));
            delivery = after;
        }
        // From anywhere: the window passes or the courier leaves, fallbacks are reached, and it ends.
        for event in [Event::WindowPassed, Event::StopLeft] {
            delivery = delivery.clone().handle(event, NOON).map_or(delivery, |(d, _)| d);
        }
        for p in [1, 2] {
            delivery = delivery.clone().handle(Event::FallbackDone { parcel: parcel(p) }, NOON).map_or(delivery, |(d, _)| d);
        }
        prop_assert!(matches!(delivery.phase(), Phase::Ended(_)), "stuck in {:?}", delivery.phase());
    }
}
