//! Words that stand in rows, records, problems and metrics: each is what it was, and reads back as what it is. Who changes one
//! changes what old rows say.

use parcelshelf_core::actuation::{Confirmation, LockProof, Outcome, Refusal};
use parcelshelf_opening::attempt::{AlarmCause, By, Notice, RecordKind, ReopenRefused, UseFate};
use parcelshelf_opening::conditions::{Denial, Presence};
use parcelshelf_opening::eligibility::{Finding, Remedy};
use parcelshelf_opening::gate::{Call, Held};
use parcelshelf_opening::grant::{BlockEpoch, Refused, Use};
use parcelshelf_opening::hindrance::Hindrance;
use parcelshelf_opening::makers_table::ServiceArea;
use parcelshelf_opening::possession::{Door, Failure, Verdict};
use parcelshelf_opening::readiness::{Cause, Question, Word};

use crate::support::{NOON, attempt_id};

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
    let asked = ["evening_before", "start_of_window", "ten_minutes_before"];
    assert_eq!((Question::ALL.map(Question::code), asked.map(Question::parse)), (asked, Question::ALL.map(Some)));
    assert_eq!(Question::parse("afterwards"), None);
    for (word, answer) in [("yes", Word::Yes), ("no", Word::No), ("later", Word::Later)] {
        assert_eq!((answer.code(), Word::parse(word)), (word, Some(answer)));
    }
    assert_eq!(Word::parse("perhaps"), None);
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
    let done = Outcome::Done(Confirmation::Executed);
    let asleep = Outcome::DidNotHappen(Refusal::Asleep);
    for (kind, word, detail) in [
        (RecordKind::OpenIntended(1), "open_intended", None),
        (RecordKind::Armed, "open_armed", None),
        (RecordKind::Opened, "opened", None),
        (RecordKind::OpenUnknown, "open_unknown", None),
        (RecordKind::OpenDidNotHappen(Refusal::Asleep), "open_did_not_happen", Some(Refusal::Asleep.code())),
        (RecordKind::Closed, "closed", None),
        (RecordKind::LockSent(By::Keyholder), "lock_sent", Some("keyholder")),
        (RecordKind::LockAnswered(done), "lock_answered", Some("done")),
        (RecordKind::LockAnswered(asleep), "lock_answered", Some(Refusal::Asleep.code())),
        (RecordKind::LockAnswered(Outcome::Unknown), "lock_answered", Some("unknown")),
        (RecordKind::Locked(LockProof::Observed), "locked", Some(LockProof::Observed.code())),
        (RecordKind::AlarmRaised(AlarmCause::LockFailed), "alarm_raised", Some("lock_failed")),
        (RecordKind::Blocked, "blocked", None),
        (RecordKind::Recovered, "recovered", None),
        (RecordKind::AlarmAcknowledged(By::Owner), "alarm_acknowledged", Some("owner")),
    ] {
        assert_eq!((kind.code(), kind.detail()), (word, detail), "{kind:?}");
    }
}

#[test]
fn alarms_and_what_people_are_told_have_their_words() {
    let causes = [
        "open_too_long",
        "lock_failed",
        "lock_unproved",
        "attested_only",
        "opened_again",
        "does_not_shut",
        "lost_while_open",
        "camera_lost",
    ];
    assert_eq!(
        (AlarmCause::ALL.map(AlarmCause::code), causes.map(AlarmCause::parse)),
        (causes, AlarmCause::ALL.map(Some))
    );
    assert_eq!(AlarmCause::parse("all_is_well"), None);
    for (notice, word) in [
        (Notice::Ready { until: NOON }, "ready"),
        (Notice::LookAtTheLid, "look_at_the_lid"),
        (Notice::Opened, "opened"),
        (Notice::WillNotOpen(Refusal::Asleep), "will_not_open"),
        (Notice::MayStillOpen { until: NOON }, "may_still_open"),
        (Notice::Closed, "closed"),
        (Notice::StillOpen, "still_open"),
        (Notice::Locked(LockProof::Observed), "locked"),
        (Notice::AllClear, "all_clear"),
        (Notice::Blocked { may_act_until: None }, "blocked"),
    ] {
        assert_eq!(notice.code(), word);
    }
    for (refused, word) in [
        (ReopenRefused::NotClosed, "not_closed"),
        (ReopenRefused::TooLate, "too_late"),
        (ReopenRefused::UsedUp, "used_up"),
        (ReopenRefused::Recovered, "recovered"),
        (ReopenRefused::Blocked, "blocked"),
        (ReopenRefused::Unknown, "unknown_outcome"),
        (ReopenRefused::Alarm, "alarm"),
        (ReopenRefused::Permit, "permit"),
        (ReopenRefused::Ended, "ended"),
    ] {
        assert_eq!(refused.code(), word);
    }
}
