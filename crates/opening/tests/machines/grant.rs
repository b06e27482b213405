//! A grant: reserved, spent or returned, blocked; standing rules over the change of clocks.

use parcelshelf_core::id::GrantId;
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_opening::grant::{
    Allowance, BlockEpoch, Effect, Event, GrantState, ImpossibleGrant, LocalDate, NotARule, NotCovered, Refused,
    StandingRule, Use, UseSlot, WeeklyHours, handle,
};
use proptest::prelude::*;

use crate::support::*;

fn reserve(grant: &GrantState, n: u8, now: Timestamp) -> Result<GrantState, Refused> {
    grant.reserve(permit(now), attempt_id(n), now, grant.epoch()).map(|(next, _)| next)
}

#[test]
fn the_table_of_a_single_use() {
    let free = grant();
    let reserved = reserve(&free, 1, NOON).unwrap();
    let spent = reserved.spend(attempt_id(1)).unwrap();
    let returned = reserved.give_back(attempt_id(1)).unwrap();
    let blocked = reserved.block(at(5));
    let (one, two) = (attempt_id(1), attempt_id(2));
    assert_eq!(returned, free);
    assert_eq!(reserved.use_of(one), Some(Use::Reserved(one)));
    assert_eq!(reserve(&reserved, 2, NOON), Err(Refused::InUse));
    assert_eq!(reserve(&reserved, 1, NOON), Err(Refused::InUse));
    assert_eq!(reserve(&spent, 2, NOON), Err(Refused::Spent));
    assert_eq!(reserve(&blocked, 2, at(6)), Err(Refused::Blocked));
    for (state, spend_one, give_one_back) in [
        (&free, Err(Refused::NotReserved), Err(Refused::NotReserved)),
        (&reserved, Ok(()), Ok(())),
        (&spent, Ok(()), Err(Refused::Spent)),
        (&blocked, Ok(()), Ok(())),
    ] {
        assert_eq!(state.spend(one).map(drop), spend_one);
        assert_eq!(state.give_back(one).map(drop), give_one_back);
        assert_eq!(state.spend(two), Err(Refused::NotReserved));
        assert_eq!(state.give_back(two), Err(Refused::NotReserved));
    }
    assert_eq!(spent.spend(one), Ok(spent.clone()), "a repeat changes nothing");
}

#[test]
fn a_reservation_is_refused_with_its_reason() {
    let grant = grant();
    let attempt = attempt_id(1);
    let refused = |permit_at: Timestamp, now: Timestamp, epoch: BlockEpoch| {
        grant.reserve(permit(permit_at), attempt, now, epoch).map(|_| ()).unwrap_err()
    };
    assert_eq!(refused(NOON, NOON, BlockEpoch::new(8)), Refused::Blocked, "blocked since the conditions were read");
    assert_eq!(refused(at(-1), at(-1), EPOCH), Refused::OutsideWindow);
    assert_eq!(refused(at(14_400), at(14_400), EPOCH), Refused::OutsideWindow);
    assert_eq!(refused(NOON, at(11), EPOCH), Refused::StalePermit);
    assert_eq!(refused(at(5), at(4), EPOCH), Refused::StalePermit, "from the future");
    let other = GrantState::accepted(GrantId::from_bytes([2; 16]), day(), Allowance::Once, EPOCH);
    assert_eq!(other.reserve(permit(NOON), attempt, NOON, EPOCH).map(|_| ()), Err(Refused::AnotherGrant));
}

#[test]
fn a_block_reaches_the_attempt_and_a_lifted_block_does_not_revive_it() {
    let reserve = Event::Reserve { permit: permit(NOON), attempt: attempt_id(1), epoch: EPOCH };
    let (reserved, effects) = handle(&grant(), reserve, NOON).unwrap();
    assert!(matches!(effects.as_slice(), [Effect::Intend(chain)] if chain.epoch() == EPOCH && chain.class() == CLASS));
    let (blocked, effects) = handle(&reserved, Event::Block, at(1)).unwrap();
    assert_eq!(effects, [Effect::BlockAttempt(attempt_id(1))]);
    assert_eq!((blocked.blocked_at(), blocked.epoch()), (Some(at(1)), EPOCH.next()));
    let (lifted, _) = handle(&blocked, Event::Unblock, at(2)).unwrap();
    assert!(lifted.epoch() != EPOCH, "an intent of before does not leave any more");
    let (returned, effects) = handle(&lifted, Event::GiveBack { attempt: attempt_id(1) }, at(3)).unwrap();
    assert_eq!(effects, [Effect::UseReturned(attempt_id(1))]);
    let again = Event::Reserve { permit: permit(at(4)), attempt: attempt_id(2), epoch: returned.epoch() };
    assert!(handle(&returned, again, at(4)).is_ok());
}

#[test]
fn grants_survive_their_row_and_impossible_rows_are_refused() {
    let reserved = reserve(&grant(), 1, NOON).unwrap();
    assert_eq!(GrantState::from_parts(reserved.clone().into_parts()), Ok(reserved.clone()));
    let date = LocalDate::parse("2027-01-15").unwrap();
    let (once, other) = ((UseSlot::Only, Use::Spent(attempt_id(1))), (UseSlot::Only, Use::Reserved(attempt_id(2))));
    for (uses, why) in [
        (vec![once, other], ImpossibleGrant::UseTwice),
        (vec![once, once], ImpossibleGrant::AttemptTwice),
        (vec![(UseSlot::On(date), Use::Spent(attempt_id(1)))], ImpossibleGrant::UseOfAnotherKind),
    ] {
        let mut parts = grant().into_parts();
        parts.uses = uses;
        assert_eq!(GrantState::from_parts(parts), Err(why));
    }
}

// ---- standing rules ----------------------------------------------------------------------------------------------

fn time(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}
fn every_day(from_minute: u16, to_minute: u16) -> Vec<WeeklyHours> {
    (1..=7).map(|weekday| WeeklyHours { weekday, from_minute, to_minute }).collect()
}
fn rule(zone: &str, hours: Vec<WeeklyHours>, from: &str, to: &str) -> StandingRule {
    StandingRule::new(vec!["books.example".into()], hours, zone, Window::new(time(from), time(to)).unwrap()).unwrap()
}

#[test]
fn hours_follow_the_clock_on_the_wall_when_it_changes() {
    // Chicago: on 2026-03-08 02:00 CST becomes 03:00 CDT, on 2026-11-01 02:00 CDT becomes 01:00 CST.
    let spring = rule("America/Chicago", every_day(8 * 60, 12 * 60), "2026-02-20T00:00:00Z", "2026-04-01T00:00:00Z");
    for (moment, allowed) in [
        ("2026-03-07T13:59:59Z", false),
        ("2026-03-07T14:00:00Z", true),
        ("2026-03-07T17:59:59Z", true),
        ("2026-03-07T18:00:00Z", false),
        ("2026-03-08T12:59:59Z", false),
        ("2026-03-08T13:00:00Z", true),
        ("2026-03-08T17:00:00Z", false),
        ("2026-02-19T15:00:00Z", false),
        ("2026-04-01T14:00:00Z", false),
    ] {
        assert_eq!(spring.calendar().allows(time(moment)), allowed, "{moment}");
    }
    let gap = rule("America/Chicago", every_day(2 * 60, 3 * 60), "2026-02-20T00:00:00Z", "2026-04-01T00:00:00Z");
    assert!(!gap.calendar().allows(time("2026-03-08T07:59:59Z")), "01:59:59 CST");
    assert!(
        !gap.calendar().allows(time("2026-03-08T08:00:00Z")),
        "03:00 CDT: the hour from two to three does not exist"
    );
    let autumn = rule("America/Chicago", every_day(60, 2 * 60), "2026-10-20T00:00:00Z", "2026-11-20T00:00:00Z");
    for (moment, allowed) in [
        ("2026-11-01T05:59:59Z", false),
        ("2026-11-01T06:30:00Z", true),
        ("2026-11-01T07:30:00Z", true),
        ("2026-11-01T08:00:00Z", false),
    ] {
        assert_eq!(autumn.calendar().allows(time(moment)), allowed, "{moment}");
    }
}

#[test]
fn one_use_per_local_date_also_on_the_day_of_25_hours() {
    let zone = "America/Chicago";
    let standing = rule(zone, every_day(0, 1_440), "2026-10-20T00:00:00Z", "2026-11-20T00:00:00Z");
    let window = standing.window();
    let mut grant = GrantState::accepted(GRANT, window, Allowance::Standing(standing.clone()), EPOCH);
    // 00:30 CDT, 23:30 CST of the same long date, 00:30 CST of the next.
    let (first, same, next) =
        (time("2026-11-01T05:30:00Z"), time("2026-11-02T05:30:00Z"), time("2026-11-02T06:30:00Z"));
    assert_eq!(standing.calendar().local_date(first).to_string(), "2026-11-01");
    assert_eq!(standing.calendar().local_date(same), standing.calendar().local_date(first));
    grant = reserve(&grant, 1, first).unwrap().spend(attempt_id(1)).unwrap();
    assert_eq!(reserve(&grant, 2, same), Err(Refused::Spent));
    grant = reserve(&grant, 2, next).unwrap();
    assert_eq!(grant.reserved().collect::<Vec<_>>(), [attempt_id(2)]);
    assert_eq!(GrantState::from_parts(grant.clone().into_parts()), Ok(grant));
}

#[test]
fn an_attempt_over_midnight_spends_the_date_on_which_it_was_reserved() {
    let standing = rule("Europe/Stockholm", every_day(0, 1_440), "2026-06-01T00:00:00Z", "2026-06-20T00:00:00Z");
    let grant = GrantState::accepted(GRANT, standing.window(), Allowance::Standing(standing), EPOCH);
    let before_midnight = time("2026-06-10T21:59:50Z");
    let reserved = reserve(&grant, 1, before_midnight).unwrap();
    let spent = reserved.spend(attempt_id(1)).unwrap();
    let date = LocalDate::parse("2026-06-10").unwrap();
    assert_eq!(spent.uses().collect::<Vec<_>>(), [(UseSlot::On(date), Use::Spent(attempt_id(1)))]);
    assert!(reserve(&spent, 2, time("2026-06-10T22:00:10Z")).is_ok(), "a new date");
}

#[test]
fn outside_the_hours_nothing_is_reserved() {
    let monday = vec![WeeklyHours { weekday: 1, from_minute: 480, to_minute: 720 }];
    let standing = rule("Europe/Stockholm", monday, "2026-06-01T00:00:00Z", "2026-06-20T00:00:00Z");
    let grant = GrantState::accepted(GRANT, standing.window(), Allowance::Standing(standing), EPOCH);
    assert!(reserve(&grant, 1, time("2026-06-08T07:00:00Z")).is_ok(), "Monday 09:00 CEST");
    assert_eq!(reserve(&grant, 1, time("2026-06-08T10:00:00Z")), Err(Refused::OutsideHours));
    assert_eq!(reserve(&grant, 1, time("2026-06-09T07:00:00Z")), Err(Refused::OutsideHours));
}

#[test]
fn a_guest_comes_in_todays_hours_once_a_date_and_never_for_longer_than_a_day() {
    let days = |from_minute, to_minute| vec![WeeklyHours { weekday: 3, from_minute, to_minute }];
    let standing = rule("Europe/Stockholm", days(18 * 60, 21 * 60), "2026-06-01T00:00:00Z", "2026-06-17T17:00:00Z");
    let visit = |at: &str, taken: &[&str]| {
        let taken: Vec<LocalDate> = taken.iter().map(|d| LocalDate::parse(d).unwrap()).collect();
        standing.calendar().visit(time(at), &taken).map(|c| (c.date.to_string(), c.window))
    };
    let window = |from: &str, to: &str| Window::new(time(from), time(to)).unwrap();
    // Wednesdays, 18:00 to 21:00 in Stockholm; the last one is cut by the rule's end.
    let evening = window("2026-06-10T16:00:00Z", "2026-06-10T19:00:00Z");
    assert_eq!(visit("2026-06-10T17:30:00Z", &[]), Ok(("2026-06-10".to_owned(), evening)));
    assert_eq!(visit("2026-06-10T17:30:00Z", &["2026-06-09"]), Ok(("2026-06-10".to_owned(), evening)));
    assert_eq!(visit("2026-06-10T17:30:00Z", &["2026-06-10"]), Err(NotCovered::DateTaken));
    let last = window("2026-06-17T16:00:00Z", "2026-06-17T17:00:00Z");
    assert_eq!(visit("2026-06-17T16:59:59Z", &[]), Ok(("2026-06-17".to_owned(), last)));
    for outside in ["2026-06-10T15:59:59Z", "2026-06-10T19:00:00Z", "2026-06-11T17:30:00Z", "2026-06-17T17:00:00Z"] {
        assert_eq!(visit(outside, &[]), Err(NotCovered::Hours), "{outside}");
    }
    // The Sunday of 25 hours: an acceptance holds for a day, and the last hour is outside.
    let sunday = vec![WeeklyHours { weekday: 7, from_minute: 0, to_minute: 1_440 }];
    let long = rule("Europe/Stockholm", sunday, "2026-10-20T00:00:00Z", "2026-11-20T00:00:00Z");
    let day = long.calendar().visit(time("2026-10-25T12:00:00Z"), &[]).unwrap().window;
    assert_eq!(day, window("2026-10-24T22:00:00Z", "2026-10-25T22:00:00Z"));
    assert_eq!(long.calendar().visit(time("2026-10-25T22:30:00Z"), &[]), Err(NotCovered::Hours));
}

#[test]
fn an_announcement_comes_to_one_window_on_one_date_inside_the_hours() {
    let weekdays: Vec<_> =
        (1..=5).map(|weekday| WeeklyHours { weekday, from_minute: 18 * 60, to_minute: 21 * 60 }).collect();
    let rule = rule("Europe/Stockholm", weekdays, "2026-06-01T00:00:00Z", "2026-06-20T00:00:00Z");
    let asked = |from: &str, to: &str| Window::new(time(from), time(to)).unwrap();
    let early = time("2026-06-01T00:00:00Z");
    let covered = |asked: Window, earliest: Timestamp, taken: &[&str]| {
        let taken: Vec<LocalDate> = taken.iter().map(|d| LocalDate::parse(d).unwrap()).collect();
        rule.covers("books.example", asked, earliest, &taken).map(|c| (c.date.to_string(), c.window))
    };
    // Wednesday, 17:00 to 20:00 in Stockholm.
    let evening = asked("2026-06-10T15:00:00Z", "2026-06-10T18:00:00Z");
    let left = asked("2026-06-10T16:00:00Z", "2026-06-10T18:00:00Z");
    assert_eq!(covered(evening, early, &[]), Ok(("2026-06-10".to_owned(), left)));
    assert!(rule.calendar().covers_whole(left) && !rule.calendar().covers_whole(evening));
    // Nothing begins before it was announced long enough ago, and what is too short is nothing.
    let late = asked("2026-06-10T17:30:00Z", "2026-06-10T18:00:00Z");
    assert_eq!(covered(evening, time("2026-06-10T17:30:00Z"), &[]), Ok(("2026-06-10".to_owned(), late)));
    assert_eq!(covered(evening, time("2026-06-10T17:45:01Z"), &[]), Err(NotCovered::Hours));
    assert_eq!(covered(evening, early, &["2026-06-10"]), Err(NotCovered::DateTaken));
    // A day and a night: the second date, when the first is taken.
    let long = asked("2026-06-10T19:00:00Z", "2026-06-11T19:00:00Z");
    let next = asked("2026-06-11T16:00:00Z", "2026-06-11T19:00:00Z");
    assert_eq!(covered(long, early, &[]), Ok(("2026-06-11".to_owned(), next)));
    // Saturday; after the rule; another merchant.
    assert_eq!(covered(asked("2026-06-13T15:00:00Z", "2026-06-13T20:00:00Z"), early, &[]), Err(NotCovered::Hours));
    assert_eq!(covered(asked("2026-06-22T15:00:00Z", "2026-06-22T20:00:00Z"), early, &[]), Err(NotCovered::Hours));
    assert_eq!(rule.covers("shoes.example", evening, early, &[]), Err(NotCovered::Merchant));
}

#[test]
fn an_hour_that_the_change_of_clocks_skips_or_repeats_opens_nothing_outside_the_hours() {
    let make = |from: u16, to: u16| {
        let hours = every_day(from, to);
        rule("Europe/Stockholm", hours, "2026-03-01T00:00:00Z", "2026-05-20T00:00:00Z")
    };
    let day = |from: &str, to: &str| Window::new(time(from), time(to)).unwrap();
    let spring = day("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
    let covers = |r: &StandingRule| r.covers("books.example", spring, time("2026-03-01T00:00:00Z"), &[]);
    // 02:15 to 02:45 does not exist on that day; 01:30 to 03:30 is an hour.
    assert_eq!(covers(&make(135, 165)), Err(NotCovered::Hours));
    let hour = covers(&make(90, 210)).unwrap().window;
    assert_eq!(hour, day("2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"));
    // Every minute that is covered is one that the wall clock allows.
    for (from, to) in [(0, 120), (100, 190), (120, 1_440), (179, 181), (0, 1_440)] {
        let rule = make(from, to);
        let Ok(c) = covers(&rule) else { continue };
        let mut at = c.window.start();
        while at < c.window.end() {
            assert!(rule.calendar().allows(at) && rule.calendar().local_date(at) == c.date, "{from} to {to} at {at}");
            at = at.plus_seconds(60);
        }
    }
}

#[test]
fn rules_outside_their_bounds_are_none() {
    let window = |days: i64| Window::new(NOON, NOON.plus_seconds(days * 86_400)).unwrap();
    let make = |merchants: &[&str], hours: Vec<WeeklyHours>, zone: &str, days: i64| {
        let merchants = merchants.iter().map(|m| (*m).to_owned()).collect();
        StandingRule::new(merchants, hours, zone, window(days)).map(|_| ()).unwrap_err()
    };
    let hours = || every_day(480, 720);
    let one = ["a.example"];
    assert_eq!(make(&[], hours(), "Europe/Stockholm", 1), NotARule::Merchants);
    assert_eq!(make(&["a", "a"], hours(), "Europe/Stockholm", 1), NotARule::Merchants);
    assert_eq!(make(&[""], hours(), "Europe/Stockholm", 1), NotARule::Merchants);
    assert_eq!(make(&one, vec![], "Europe/Stockholm", 1), NotARule::Hours);
    assert_eq!(make(&one, every_day(720, 480), "Europe/Stockholm", 1), NotARule::Hours);
    assert_eq!(make(&one, every_day(0, 1_441), "Europe/Stockholm", 1), NotARule::Hours);
    let eighth = vec![WeeklyHours { weekday: 8, from_minute: 0, to_minute: 1 }];
    assert_eq!(make(&one, eighth, "Europe/Stockholm", 1), NotARule::Hours);
    assert_eq!(make(&one, hours(), "Europe/Stockholm", 91), NotARule::TooLong);
    for zone in ["", "+02:00", "europe/stockholm", "Atlantis/Capital", "../etc/localtime", "local", "Europe/Stockholm "]
    {
        assert_eq!(make(&one, hours(), zone, 1), NotARule::Zone, "{zone}");
    }
    assert_eq!(LocalDate::parse("2026-02-30"), None);
    assert_eq!(LocalDate::parse("+002026-02-03"), None);
    assert_eq!(LocalDate::parse("20260203"), None, "one spelling");
}

// ---- laws --------------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug)]
enum Step {
    Reserve(u8, u64),
    Spend(u8),
    GiveBack(u8),
    Block,
    Unblock,
    Row,
}

fn steps() -> impl Strategy<Value = Step> {
    let attempt = || 1..5u8;
    prop_oneof![
        6 => (attempt(), 7..10u64).prop_map(|(a, e)| Step::Reserve(a, e)),
        3 => attempt().prop_map(Step::Spend),
        3 => attempt().prop_map(Step::GiveBack),
        1 => Just(Step::Block),
        1 => Just(Step::Unblock),
        1 => Just(Step::Row),
    ]
}

proptest! {
    /// A use is never doubled, never negative, and spent for good; nothing is reserved under a block or an old epoch.
    #[test]
    fn a_use_is_used_once(story in proptest::collection::vec((0..400i64, steps()), 0..60)) {
        let mut grant = grant();
        let mut now = NOON;
        let mut spent_by = None;
        for (pause, step) in story {
            now = now.plus_seconds(pause);
            let event = match step {
                Step::Reserve(a, e) => Event::Reserve { permit: permit(now), attempt: attempt_id(a), epoch: BlockEpoch::new(e) },
                Step::Spend(a) => Event::Spend { attempt: attempt_id(a) },
                Step::GiveBack(a) => Event::GiveBack { attempt: attempt_id(a) },
                Step::Block => Event::Block,
                Step::Unblock => Event::Unblock,
                Step::Row => {
                    grant = GrantState::from_parts(grant.into_parts()).unwrap();
                    continue;
                }
            };
            let before = grant.clone();
            let Ok((next, effects)) = handle(&grant, event, now) else { continue };
            grant = next;
            if let (Step::Reserve(_, e), [Effect::Intend(_)]) = (step, effects.as_slice()) {
                prop_assert!(before.blocked_at().is_none() && before.epoch() == BlockEpoch::new(e));
                prop_assert!(before.uses().next().is_none() && day().contains(now));
            }
            prop_assert!(grant.uses().count() <= 1);
            let spent = grant.uses().find_map(|(_, u)| matches!(u, Use::Spent(_)).then(|| u.attempt()));
            prop_assert!(spent_by.is_none() || spent == spent_by, "a spent use came back");
            spent_by = spent;
            prop_assert!(grant.epoch() >= before.epoch());
        }
    }
}

#[test]
fn a_grant_is_used_up_when_it_is_spent_or_over_and_a_held_use_is_not_spent() {
    let (fresh, end) = (grant(), day().end());
    assert!(!fresh.is_used_up(at(0)) && !fresh.is_used_up(end.plus_millis(-1)) && fresh.is_used_up(end));
    let reserved = reserve(&fresh, 1, NOON).unwrap();
    assert!(!reserved.is_used_up(at(1)), "it may come back");
    let spent = reserved.spend(attempt_id(1)).unwrap();
    assert!(spent.is_used_up(at(1)));
    assert!(!reserved.give_back(attempt_id(1)).unwrap().is_used_up(at(1)));
}
