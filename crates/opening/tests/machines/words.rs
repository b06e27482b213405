//! Words that stand in rows, records, problems and metrics: each is what it was, and reads back as what it is. Who changes one
//! changes what old rows say.

use parcelshelf_core::actuation::{Outcome, Refusal};
use parcelshelf_opening::attempt::{By, RecordKind, UseFate};
use parcelshelf_opening::conditions::{Denial, Presence};
use parcelshelf_opening::eligibility::{Finding, Remedy};
use parcelshelf_opening::gate::{Call, Held};
use parcelshelf_opening::grant::{BlockEpoch, Refused, Use};
use parcelshelf_opening::hindrance::Hindrance;
use parcelshelf_opening::makers_table::ServiceArea;
use parcelshelf_opening::possession::{Door, Failure, Verdict};
use parcelshelf_opening::readiness::Cause;

use crate::support::attempt_id;

/// A sentence for a person, not an empty or copied one.
fn all_are_told_apart(words: impl IntoIterator<Item = &'static str>) {
    let words: Vec<&str> = words.into_iter().collect();
    let different: std::collections::BTreeSet<&str> = words.iter().copied().collect();
    assert_eq!(different.len(), words.len());
    assert!(words.iter().all(|w| w.len() > 20 && w.ends_with('.')), "{words:?}");
}

#[test]
fn what_stood_against_it_has_its_words() {
    for denial in Denial::ALL {
        assert_eq!(Denial::parse(denial.code()), Some(denial));
    }
    all_are_told_apart(Denial::ALL.map(Denial::words));
    let codes = ["maker_down", "owner_action_needed", "car_taken_back"];
    assert_eq!(Hindrance::ALL.map(Hindrance::code), codes);
    assert_eq!(codes.map(Hindrance::parse), Hindrance::ALL.map(Some));
    assert_eq!(Hindrance::parse("maker_up"), None);
    all_are_told_apart(Hindrance::ALL.map(Hindrance::words));
    assert_eq!(
        Refused::ALL.map(Refused::code),
        [
            "blocked",
            "outside_window",
            "outside_hours",
            "in_use",
            "spent",
            "not_reserved",
            "another_grant",
            "stale_permit"
        ]
    );
}

/// A courier is told what a courier can mend, and nothing that says how somebody lives.
#[test]
fn a_courier_is_told_what_a_courier_can_mend() {
    use Denial as D;
    let told = Denial::ALL.into_iter().filter(|d| d.helps_courier()).collect::<Vec<_>>();
    let own = [D::OutsideWindow, D::PhonePositionUnusable, D::PhoneFarFromArea, D::PhoneFarFromCar, D::NotLocated];
    assert_eq!(told, [&own[..], &[D::NotClosed, D::PhoneFarFromHouse]].concat());
    // What is the courier's or the carrier's doing says something against the carrier; everything else does not.
    let counted = Denial::ALL.into_iter().filter(|d| !d.keeps_away()).collect::<Vec<_>>();
    let more = [D::ClassNotGranted, D::ClassNotSupported, D::TooManyAttempts, D::TooManyDeliveries];
    assert_eq!(counted, [&own[..], &more, &[D::PhoneFarFromHouse]].concat());
}

#[test]
fn rows_say_what_they_said() {
    let a = attempt_id(7);
    for (word, kept) in [("reserved", Use::Reserved(a)), ("spent", Use::Spent(a))] {
        assert_eq!((kept.code(), Use::parse(word, a), kept.attempt()), (word, Some(kept), a));
    }
    assert_eq!(Use::parse("free", a), None);
    for count in [0, 1, 7, u64::MAX] {
        assert_eq!(BlockEpoch::new(count).count(), count);
    }
    assert_eq!(
        (BlockEpoch::new(7).next(), BlockEpoch::new(u64::MAX).next()),
        (BlockEpoch::new(8), BlockEpoch::new(u64::MAX))
    );
    for (word, fate) in [("held", UseFate::Held), ("spent", UseFate::Spent), ("returned", UseFate::Returned)] {
        assert_eq!((fate.code(), UseFate::parse(word)), (word, Some(fate)));
    }
    assert_eq!(UseFate::parse("lost"), None);
    let by = ["courier", "owner", "keyholder", "operator"];
    assert_eq!((By::ALL.map(By::code), by.map(By::parse)), (by, By::ALL.map(Some)));
    assert_eq!(By::parse("maker"), None);
    assert_eq!(
        [Presence::Near, Presence::PlateRead, Presence::OwnerTap].map(Presence::code),
        ["near", "plate_read", "owner_tap"]
    );
    let doors = ["front_left", "front_right", "rear_left", "rear_right", "lid"];
    assert_eq!((Door::ALL.map(Door::code), doors.map(Door::parse)), (doors, Door::ALL.map(Some)));
    assert_eq!(Door::parse("roof"), None);
    let verdicts = [
        Verdict::Proved,
        Verdict::Waiting { fulfilled: 1 },
        Verdict::Failed(Failure::TooLate),
        Verdict::Failed(Failure::WrongDoor),
        Verdict::Failed(Failure::BadPrompts),
    ];
    assert_eq!(verdicts.map(Verdict::code), ["proved", "waiting", "too_late", "wrong_door", "bad_prompts"]);
}

#[test]
fn why_a_car_is_not_ready_has_its_words() {
    let codes = ["not_granted", "not_permitted", "maker_down", "not_reachable", "not_in_area", "in_use", "asleep"];
    assert_eq!((Cause::ALL.map(Cause::code), codes.map(Cause::parse)), (codes, Cause::ALL.map(Some)));
    assert_eq!(Cause::parse("ready"), None);
    all_are_told_apart(Cause::ALL.map(Cause::words));
}

#[test]
fn metrics_and_pages_know_these() {
    assert_eq!(Call::ALL.map(Call::code), ["read", "wake", "signal", "open", "lock"]);
    assert_eq!([Held::MakerDown, Held::Budget, Held::TooMany].map(Held::code), ["maker_down", "budget", "too_many"]);
    let areas = [ServiceArea::Emea, ServiceArea::NorthAmerica, ServiceArea::Everywhere];
    assert_eq!(areas.map(ServiceArea::code), ["emea", "north_america", "everywhere"]);
    let remedies = [
        (Remedy::Nothing, "nothing"),
        (Remedy::CheckWithMaker, "check_with_maker"),
        (Remedy::LinkAgainWithAllPermissions, "link_again_with_all_permissions"),
        (Remedy::ActivatePlan, "activate_plan"),
        (Remedy::ActAtTheCar, "act_at_the_car"),
        (Remedy::LetTheHolderLink, "let_the_holder_link"),
        (Remedy::SayCountry, "say_country"),
        (Remedy::SetPinAtParking, "set_pin_at_parking"),
        (Remedy::NotPossible, "not_possible"),
    ];
    for (remedy, word) in remedies {
        assert_eq!(remedy.code(), word);
    }
    let mut codes = std::collections::BTreeSet::new();
    for finding in Finding::all() {
        assert_eq!(Finding::parse(finding.code()), Some(finding));
        assert!(codes.insert(finding.code()), "{finding:?}");
    }
    assert!(codes.len() > 15);
}

#[test]
fn the_journal_of_an_attempt_says_what_happened() {
    let asleep = Outcome::DidNotHappen(Refusal::Asleep);
    for (kind, word) in [
        (RecordKind::OpenIntended(1), "open_intended"),
        (RecordKind::Armed, "open_armed"),
        (RecordKind::Opened, "opened"),
        (RecordKind::OpenUnknown, "open_unknown"),
        (RecordKind::OpenDidNotHappen(Refusal::Asleep), "open_did_not_happen"),
        (RecordKind::Closed, "closed"),
        (RecordKind::LockSent(By::Keyholder), "lock_sent"),
        (RecordKind::LockAnswered(asleep), "lock_answered"),
        (RecordKind::Blocked, "blocked"),
        (RecordKind::Recovered, "recovered"),
        (RecordKind::AlarmAcknowledged(By::Owner), "alarm_acknowledged"),
    ] {
        assert_eq!(kind.code(), word);
    }
}
