//! Each condition by its one code, each unknown as a no.

use parcelshelf_core::actuation::{AccessClass, Place};
use parcelshelf_core::area::Position;
use parcelshelf_core::reason::Purpose;
use parcelshelf_core::time::Window;
use parcelshelf_opening::conditions::{
    Consents, Denial, DescribeFacts, Fact, LocateFacts, OpenFacts, Presence, RECOVER_WITHIN_MS, RecoverFacts, describe,
    locate, may_locate, needs_locate, open, recover,
};
use proptest::prelude::*;

use crate::support::*;

fn away(metres: f64, accuracy_m: f64) -> Option<Position> {
    let p = car().moved(90.0, metres);
    Some(Position::new(p.latitude_deg(), p.longitude_deg(), accuracy_m).unwrap())
}

type Change = fn(&mut OpenFacts<'_>);

#[test]
fn each_condition_has_its_code() {
    let area = area();
    let table: [(Denial, Change); 27] = [
        (Denial::Blocked, |f| f.locate.blocked = true),
        (Denial::OutsideWindow, |f| f.locate.grant_window = Window::new(at(10), at(20)).unwrap()),
        (Denial::OutsideWindow, |f| f.locate.delegation_window = Window::new(at(-20), at(0)).unwrap()),
        (Denial::NotParked, |f| f.locate.parked = Fact::No),
        (Denial::NotParked, |f| f.locate.parked = Fact::Unknown),
        (Denial::CarPositionUnusable, |f| f.locate.car = None),
        (Denial::CarPositionUnusable, |f| f.locate.car = away(0.0, 1_001.0)),
        (Denial::CarNotInArea, |f| f.locate.car = away(20_000.0, 5.0)),
        (Denial::CarNotInRule, |f| f.locate.inside_rule = Fact::No),
        (Denial::CarNotInRule, |f| f.locate.inside_rule = Fact::Unknown),
        (Denial::CarNotInRule, |f| f.locate.inside_rule = Fact::Inferred),
        (Denial::PhonePositionUnusable, |f| f.locate.phone = None),
        (Denial::PhonePositionUnusable, |f| f.locate.phone = away(0.0, 5_000.0)),
        (Denial::PhoneFarFromArea, |f| f.locate.phone = away(20_000.0, 5.0)),
        (Denial::NotLocated, |f| f.located = false),
        (Denial::CarMoved, |f| f.same_parking = Fact::No),
        (Denial::CarMoved, |f| f.same_parking = Fact::Unknown),
        (Denial::PhoneFarFromCar, |f| f.locate.phone = away(200.0, 5.0)),
        (Denial::NotClosed, |f| f.closed = Fact::No),
        (Denial::NotClosed, |f| f.closed = Fact::Unknown),
        (Denial::InUse, |f| f.not_in_use = Fact::No),
        (Denial::InUse, |f| f.not_in_use = Fact::Unknown),
        (Denial::MaybeOccupied, |f| f.nobody_inside = Fact::No),
        (Denial::ClassNotGranted, |f| f.granted = &[AccessClass::SeparateTrunk]),
        (Denial::ClassNotGranted, |f| f.granted = &[]),
        (Denial::ClassNotSupported, |f| f.supported = &[]),
        (Denial::TooManyAttempts, |f| f.attempts = 5),
    ];
    for (denial, change) in table {
        let mut facts = good_facts(&area, NOON);
        change(&mut facts);
        assert_eq!(open(&facts, &CONSENTS).map(|_| ()), Err(denial), "{}", denial.code());
    }
    assert!(open(&good_facts(&area, NOON), &CONSENTS).is_ok());
}

#[test]
fn what_the_maker_cannot_tell_needs_the_owners_named_consent() {
    let area = area();
    let with = |change: fn(&mut Consents)| {
        let mut consents = CONSENTS;
        change(&mut consents);
        open(&good_facts(&area, NOON), &consents).map(|_| ())
    };
    assert_eq!(with(|c| c.parked_inferred = false), Err(Denial::NotParked));
    assert_eq!(with(|c| c.not_in_use_inferred = false), Err(Denial::InUse));
    assert_eq!(with(|c| c.nobody_inside = false), Err(Denial::MaybeOccupied));
    let mut unknown = good_facts(&area, NOON);
    unknown.closed = Fact::Unknown;
    assert!(open(&unknown, &Consents { closed: true, ..CONSENTS }).is_ok());
    // No consent makes a "no" a "yes".
    let all = Consents { parked_inferred: true, not_in_use_inferred: true, nobody_inside: true, closed: true };
    let table: [Change; 4] = [
        |f| f.locate.parked = Fact::No,
        |f| f.not_in_use = Fact::No,
        |f| f.nobody_inside = Fact::No,
        |f| f.closed = Fact::No,
    ];
    for change in table {
        let mut facts = good_facts(&area, NOON);
        change(&mut facts);
        assert!(open(&facts, &all).is_err());
    }
}

#[test]
fn distance_to_open_is_75_m_and_accuracies_count_50_m_each_at_most() {
    let area = area();
    let result = |metres: f64, car_accuracy: f64, phone_accuracy: f64, tap: bool, plate: bool| {
        let mut f = good_facts(&area, NOON);
        f.locate.car = away(0.0, car_accuracy);
        f.locate.phone = away(metres, phone_accuracy);
        (f.owner_tap, f.plate_read) = (tap, plate);
        open(&f, &CONSENTS).map(|p| p.presence())
    };
    let far = Err(Denial::PhoneFarFromCar);
    for (metres, car, phone, tap, plate, expected) in [
        (74.0, 0.0, 0.0, false, false, Ok(Presence::Near)),
        (76.0, 0.0, 0.0, false, false, far),
        (99.0, 25.0, 0.0, false, false, Ok(Presence::Near)),
        (174.0, 50.0, 50.0, false, false, Ok(Presence::Near)),
        (176.0, 50.0, 50.0, false, false, far),
        (174.0, 500.0, 500.0, false, false, Ok(Presence::Near)),
        (176.0, 500.0, 500.0, false, false, far),
        (176.0, 50.0, 500.0, true, false, Ok(Presence::OwnerTap)),
        (176.0, 500.0, 50.0, true, false, Ok(Presence::OwnerTap)),
        (176.0, 50.0, 500.0, false, true, Ok(Presence::PlateRead)),
        (176.0, 50.0, 500.0, true, true, Ok(Presence::PlateRead)),
        (176.0, 50.0, 50.0, true, true, far),
        (700.0, 50.0, 500.0, true, true, far),
    ] {
        assert_eq!(result(metres, car, phone, tap, plate), expected, "{metres} m, {car} m, {phone} m");
    }
}

#[test]
fn a_place_counts_once_per_parking_and_three_times_at_most() {
    let area = area();
    let facts = |shown: u8, before: bool| LocateFacts {
        parkings_shown: shown,
        parking_shown_before: before,
        ..good_facts(&area, NOON).locate
    };
    assert!(locate(&facts(0, false), &CONSENTS).unwrap().counts());
    assert!(locate(&facts(2, false), &CONSENTS).unwrap().counts());
    assert_eq!(locate(&facts(3, false), &CONSENTS).map(|_| ()), Err(Denial::TooManyParkings));
    assert!(!locate(&facts(3, true), &CONSENTS).unwrap().counts(), "the same parking again");
}

#[test]
fn the_phone_locates_from_a_kilometre_outside() {
    // From the cell's centre a straight way leads out of it; the car stands in the centre.
    let centre = parcelshelf_core::area::Cell::of(&car()).centre();
    let centre = Position::new(centre.0, centre.1, 5.0).unwrap();
    let area = area();
    let edge = (0..3_000).map(f64::from).find(|m| !area.contains(&centre.moved(90.0, *m))).unwrap();
    let from = |metres: f64| {
        let mut f = good_facts(&area, NOON).locate;
        f.car = Some(centre);
        f.phone = Some(centre.moved(90.0, metres));
        locate(&f, &CONSENTS).map(|_| ())
    };
    assert_eq!(from(edge + 900.0), Ok(()));
    assert_eq!(from(edge + 1_500.0), Err(Denial::PhoneFarFromArea));
}

#[test]
fn guests_and_rehearsals_need_no_place_shown_before() {
    let area = area();
    for (purpose, ok) in [
        (Purpose::Delivery, false),
        (Purpose::Pickup, false),
        (Purpose::Service, false),
        (Purpose::Guest, true),
        (Purpose::Rehearsal, true),
    ] {
        let facts = OpenFacts { purpose, located: false, ..good_facts(&area, NOON) };
        assert_eq!(open(&facts, &CONSENTS).is_ok(), ok, "{purpose}");
    }
}

/// An open car is neither parked nor unused by what its maker tells; it is found where it was opened, for half an hour.
#[test]
fn an_open_car_is_found_again_where_it_was_opened_for_half_an_hour() {
    let area = area();
    let window = Window::new(at(-3_600), at(7_200)).unwrap();
    let good = RecoverFacts {
        now: NOON,
        grant_window: window,
        delegation_window: window,
        blocked: false,
        opened_at: NOON.plus_millis(-RECOVER_WITHIN_MS),
        area: &area,
        car: Some(car()),
        parking_shown_before: true,
        phone: away(900.0, 20.0),
    };
    assert_eq!(recover(&good), Ok(()));
    let table = [
        (Denial::Blocked, RecoverFacts { blocked: true, ..good }),
        (Denial::OutsideWindow, RecoverFacts { grant_window: Window::new(at(10), at(20)).unwrap(), ..good }),
        (Denial::OutsideWindow, RecoverFacts { delegation_window: Window::new(at(-20), at(0)).unwrap(), ..good }),
        (Denial::OutsideWindow, RecoverFacts { opened_at: good.opened_at.plus_millis(-1), ..good }),
        (Denial::CarPositionUnusable, RecoverFacts { car: None, ..good }),
        (Denial::CarPositionUnusable, RecoverFacts { car: away(0.0, 1_001.0), ..good }),
        (Denial::CarMoved, RecoverFacts { parking_shown_before: false, ..good }),
        (Denial::PhonePositionUnusable, RecoverFacts { phone: None, ..good }),
        (Denial::PhoneFarFromArea, RecoverFacts { phone: away(20_000.0, 5.0), ..good }),
    ];
    for (denial, facts) in table {
        assert_eq!(recover(&facts), Err(denial), "{}", denial.code());
    }
}

#[test]
fn the_description_is_shown_within_300_m() {
    let window = day();
    let facts = DescribeFacts {
        now: NOON,
        grant_window: window,
        delegation_window: window,
        blocked: false,
        located: true,
        car: away(0.0, 25.0),
        phone: away(330.0, 10.0),
    };
    assert_eq!(describe(&facts), Ok(()));
    assert_eq!(describe(&DescribeFacts { phone: away(340.0, 10.0), ..facts }), Err(Denial::PhoneFarFromCar));
    assert_eq!(describe(&DescribeFacts { located: false, ..facts }), Err(Denial::NotLocated));
    assert_eq!(describe(&DescribeFacts { blocked: true, ..facts }), Err(Denial::Blocked));
    assert_eq!(describe(&DescribeFacts { now: at(14_400), ..facts }), Err(Denial::OutsideWindow));
    assert_eq!(describe(&DescribeFacts { phone: None, ..facts }), Err(Denial::PhonePositionUnusable));
}

#[test]
fn codes_are_distinct_and_read_back() {
    for denial in Denial::ALL {
        assert_eq!(Denial::parse(denial.code()), Some(denial));
    }
    assert!(!Denial::CarNotInRule.helps_courier() && !Denial::Blocked.helps_courier());
}

proptest! {
    /// Whatever the facts: a permit is given only with every guard that the facts themselves show.
    #[test]
    fn a_permit_means_that_all_held(
        metres in 0.0..400.0f64, accuracy in 0.0..1_500.0f64, facts in proptest::collection::vec(0..4u8, 6),
        flags in any::<[bool; 4]>(), attempts in 0..8u8,
    ) {
        let fact = |i: usize| [Fact::Yes, Fact::No, Fact::Inferred, Fact::Unknown][usize::from(facts[i])];
        let area = area();
        let mut f = good_facts(&area, NOON);
        f.locate.phone = away(metres, accuracy);
        (f.locate.parked, f.locate.inside_rule, f.same_parking) = (fact(0), fact(1), fact(2));
        (f.closed, f.not_in_use, f.nobody_inside) = (fact(3), fact(4), fact(5));
        (f.locate.blocked, f.located, f.owner_tap, f.plate_read) = (flags[0], flags[1], flags[2], flags[3]);
        f.attempts = attempts;
        if let Ok(permit) = open(&f, &Consents::default()) {
            prop_assert!(facts.iter().all(|x| *x == 0), "without any consent only observed facts stand");
            prop_assert!(!f.locate.blocked && f.located && attempts < 5 && accuracy <= 1_000.0);
            prop_assert!(permit.presence() != Presence::Near || metres <= 75.0 + 25.0 + accuracy.min(50.0) + 0.1);
        }
    }
}

#[test]
fn guests_are_not_shown_where_a_car_stands() {
    assert!(!may_locate(Purpose::Guest, Place::Car) && !needs_locate(Purpose::Guest, Place::Car));
    for purpose in [Purpose::Delivery, Purpose::Pickup, Purpose::Service, Purpose::Rehearsal] {
        assert!(may_locate(purpose, Place::Car), "{purpose:?}");
        assert!(!may_locate(purpose, Place::Home) && !needs_locate(purpose, Place::Home), "a house has an address");
    }
}
