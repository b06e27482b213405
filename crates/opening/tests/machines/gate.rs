//! Who may speak with a maker's cloud: stories of one that is down, of budgets that run out, and the laws behind them.

use parcelshelf_core::time::Timestamp;
use parcelshelf_opening::gate::{
    Call, Gate, Heard, Held, IN_FLIGHT_AHEAD_MAX, IN_FLIGHT_MAX, Key, Limits, NotNow, PROBE_LOST_MS, REST_MS, SILENCES,
    Urgency, WAKES_PER_DAY,
};
use proptest::prelude::*;

const T0: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const LIMITS: Limits = Limits { reads_per_minute: 40, commands_per_minute: 10 };
const OWNER: Key = [1; 16];
const CAR: Key = [2; 16];

fn key(n: u8) -> Key {
    [n; 16]
}
fn at(s: i64) -> Timestamp {
    T0.plus_seconds(s)
}

/// One call from beginning to end at one moment.
fn call(gate: &mut Gate, owner: Key, what: Call, urgency: Urgency, heard: Heard, now: Timestamp) -> Result<(), NotNow> {
    let pass = gate.ask(owner, CAR, what, urgency, now)?;
    gate.heard(pass, heard, now);
    Ok(())
}
fn falls_silent(gate: &mut Gate, now: Timestamp) {
    for n in 0..SILENCES {
        assert!(!gate.is_down());
        call(gate, key(100 + n), Call::Read, Urgency::Courier, Heard::Silence, now).unwrap();
    }
    assert!(gate.is_down());
}

#[test]
fn a_cloud_that_is_down_is_left_alone_and_looked_for_with_one_reading() {
    let mut gate = Gate::new(LIMITS);
    falls_silent(&mut gate, T0);
    let refused = call(&mut gate, OWNER, Call::Read, Urgency::Courier, Heard::Answer, at(1)).unwrap_err();
    assert_eq!(refused, NotNow { why: Held::MakerDown, retry_after_ms: 14_000 });
    // Nothing is opened to find out whether it is back, not even when its rest is over.
    let refused = call(&mut gate, OWNER, Call::Open, Urgency::Courier, Heard::Answer, at(16)).unwrap_err();
    assert_eq!(refused.why, Held::MakerDown);
    let probe = gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, at(16)).unwrap();
    let second = gate.ask(key(3), CAR, Call::Read, Urgency::Courier, at(16)).unwrap_err();
    assert_eq!(second.why, Held::MakerDown, "one at a time");
    gate.heard(probe, Heard::Silence, at(20));
    // In vain: twice as long.
    assert_eq!(gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, at(49)).unwrap_err().retry_after_ms, 1_000);
    let probe = gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, at(50)).unwrap();
    gate.heard(probe, Heard::Answer, at(51));
    assert!(!gate.is_down());
    call(&mut gate, OWNER, Call::Open, Urgency::Courier, Heard::Answer, at(51)).unwrap();
}

#[test]
fn a_lock_goes_to_a_cloud_that_is_down_and_its_answer_brings_it_back() {
    let mut gate = Gate::new(LIMITS);
    falls_silent(&mut gate, T0);
    call(&mut gate, OWNER, Call::Lock, Urgency::Courier, Heard::Nothing, at(1)).unwrap();
    assert!(gate.is_down(), "an unknown outcome says nothing of the cloud");
    call(&mut gate, OWNER, Call::Read, Urgency::Safety, Heard::Silence, at(2)).unwrap();
    assert!(gate.is_down());
    call(&mut gate, OWNER, Call::Lock, Urgency::Safety, Heard::Answer, at(3)).unwrap();
    assert!(!gate.is_down());
}

#[test]
fn one_answer_among_silences_is_a_slow_cloud_not_a_dead_one() {
    let mut gate = Gate::new(LIMITS);
    for n in 0..60_u8 {
        let heard = if n % SILENCES == 0 { Heard::Answer } else { Heard::Silence };
        call(&mut gate, key(n), Call::Read, Urgency::Courier, heard, T0).unwrap();
    }
    assert!(!gate.is_down());
}

#[test]
fn one_car_in_a_garage_says_nothing_of_its_cloud() {
    let mut gate = Gate::new(LIMITS);
    for n in 0..40 {
        call(&mut gate, key(n % 2), Call::Read, Urgency::Safety, Heard::Silence, T0).unwrap();
    }
    assert!(!gate.is_down());
    call(&mut gate, key(2), Call::Read, Urgency::Safety, Heard::Silence, T0).unwrap();
    assert!(gate.is_down(), "a third account meets the same");
}

#[test]
fn a_probe_that_nobody_hears_of_again_does_not_keep_the_gate_shut() {
    let mut gate = Gate::new(LIMITS);
    falls_silent(&mut gate, T0);
    let _lost = gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, at(20)).unwrap();
    let late = at(20).plus_millis(PROBE_LOST_MS);
    assert!(gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, late.plus_millis(-1)).is_err());
    assert!(gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, late).is_ok());
}

#[test]
fn whoever_met_silence_is_told_at_once_how_long_to_wait_and_then_waits_briefly() {
    let mut gate = Gate::new(LIMITS);
    // Three readings that were under way together meet one silence.
    let three = [0; 3].map(|_| gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, T0).unwrap());
    assert!(three.iter().all(|pass| !pass.is_brief()));
    for pass in three {
        gate.heard(pass, Heard::Silence, at(20));
    }
    let mut now = at(20);
    for rest_ms in [5_000, 10_000, 20_000, 40_000, 60_000, 60_000] {
        let refused = gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, now).unwrap_err();
        assert_eq!(refused, NotNow { why: Held::MakerDown, retry_after_ms: rest_ms });
        // Everybody else is asked as ever, and a car that may be open, and what opens and locks.
        assert!(!gate.ask(key(3), CAR, Call::Read, Urgency::Courier, now).unwrap().is_brief());
        let look = gate.ask(OWNER, CAR, Call::Read, Urgency::Safety, now).unwrap();
        assert!(!look.is_brief());
        gate.heard(look, Heard::Nothing, now);
        assert!(gate.ask(OWNER, CAR, Call::Lock, Urgency::Courier, now).is_ok());
        now = now.plus_millis(rest_ms);
        let pass = gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, now).unwrap();
        assert!(pass.is_brief());
        gate.heard(pass, Heard::Silence, now);
        assert!(!gate.is_down(), "one account says nothing of its cloud");
    }
    now = now.plus_seconds(60);
    let pass = gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, now).unwrap();
    gate.heard(pass, Heard::Answer, now);
    assert!(!gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, now).unwrap().is_brief());
}

#[test]
fn a_silence_of_long_ago_says_nothing_of_now() {
    let mut gate = Gate::new(LIMITS);
    call(&mut gate, OWNER, Call::Read, Urgency::Courier, Heard::Silence, T0).unwrap();
    assert!(gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, at(200)).unwrap().is_brief());
    assert!(!gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, at(400)).unwrap().is_brief());
    call(&mut gate, OWNER, Call::Read, Urgency::Courier, Heard::Silence, at(400)).unwrap();
    let refused = gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, at(401)).unwrap_err();
    assert_eq!(refused.retry_after_ms, 4_000, "it begins with five seconds again");
}

/// One account's silence says nothing of another's, and makes nobody forget it.
#[test]
fn a_silence_is_remembered_whatever_others_meet() {
    let mut gate = Gate::new(LIMITS);
    call(&mut gate, key(1), Call::Read, Urgency::Courier, Heard::Silence, T0).unwrap();
    call(&mut gate, key(2), Call::Read, Urgency::Courier, Heard::Silence, at(6)).unwrap();
    let again = gate.ask(key(1), CAR, Call::Read, Urgency::Courier, at(7)).unwrap();
    assert!(again.is_brief());
    gate.heard(again, Heard::Silence, at(7));
    let refused = gate.ask(key(1), CAR, Call::Read, Urgency::Courier, at(7)).unwrap_err();
    assert_eq!(refused.retry_after_ms, 10_000, "twice as long as the first");
}

/// Five minutes after its rest is over it is forgotten, and not before.
#[test]
fn a_silence_counts_for_five_minutes_after_the_rest() {
    for (ms, brief) in [(305_000, true), (305_001, false)] {
        let mut gate = Gate::new(LIMITS);
        call(&mut gate, OWNER, Call::Read, Urgency::Courier, Heard::Silence, T0).unwrap();
        let pass = gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, T0.plus_millis(ms)).unwrap();
        assert_eq!(pass.is_brief(), brief, "{ms} ms");
    }
}

/// What came back makes room for its like: questions ahead of time for questions ahead of time.
#[test]
fn who_asks_ahead_makes_room_for_who_asks_ahead() {
    let mut gate = Gate::new(Limits { reads_per_minute: u32::MAX, commands_per_minute: 10 });
    let ahead = |gate: &mut Gate| gate.ask(OWNER, CAR, Call::Read, Urgency::Ahead, T0);
    let mut under_way: Vec<_> = (0..IN_FLIGHT_AHEAD_MAX).map(|_| ahead(&mut gate).unwrap()).collect();
    let courier = gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, T0).unwrap();
    gate.heard(courier, Heard::Answer, T0);
    assert_eq!(ahead(&mut gate).unwrap_err().why, Held::TooMany, "a courier's answer is no room for it");
    gate.heard(under_way.pop().unwrap(), Heard::Answer, T0);
    assert!(ahead(&mut gate).is_ok());
}

#[test]
fn each_account_waits_for_as_long_as_it_was_told() {
    let mut gate = Gate::new(LIMITS);
    let told = |gate: &mut Gate, n: u8, ms: i64, now| {
        call(gate, key(n), Call::Read, Urgency::Courier, Heard::ComeLater(Some(ms)), now).unwrap();
    };
    told(&mut gate, 1, 40_000, T0);
    told(&mut gate, 2, 5_000, T0);
    told(&mut gate, 3, 60_000, at(10));
    let mut held = |n: u8, now| {
        let asked = gate.ask(key(n), key(n), Call::Read, Urgency::Courier, now);
        asked.err().map(|not_now| not_now.retry_after_ms)
    };
    assert_eq!([held(1, at(20)), held(2, at(20)), held(3, at(20))], [Some(20_000), None, Some(50_000)]);
    assert_eq!([held(1, at(40)), held(3, at(69)), held(3, at(70))], [None, Some(1_000), None]);
}

#[test]
fn the_rest_grows_to_two_minutes_and_no_longer() {
    let mut gate = Gate::new(LIMITS);
    falls_silent(&mut gate, T0);
    let mut now = T0;
    for rest_ms in [15_000, 30_000, 60_000, 120_000, 120_000] {
        let refused = gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, now).unwrap_err();
        assert_eq!(refused.retry_after_ms, rest_ms);
        now = now.plus_millis(rest_ms);
        let probe = gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, now).unwrap();
        gate.heard(probe, Heard::Silence, now);
    }
    assert_eq!(REST_MS, [15_000, 120_000]);
}

#[test]
fn an_opening_leaves_its_locks_and_lights_leave_an_opening() {
    let mut gate = Gate::new(LIMITS);
    let mut opened = 0;
    while call(&mut gate, OWNER, Call::Open, Urgency::Courier, Heard::Answer, T0).is_ok() {
        opened += 1;
    }
    assert_eq!(opened, 8, "ten commands a minute: two are left for locks");
    let refused = call(&mut gate, OWNER, Call::Open, Urgency::Courier, Heard::Answer, T0).unwrap_err();
    assert_eq!(refused, NotNow { why: Held::Budget, retry_after_ms: 6_000 });
    assert_eq!(
        call(&mut gate, OWNER, Call::Signal, Urgency::Courier, Heard::Answer, at(6)).unwrap_err().why,
        Held::Budget
    );
    for _ in 0..20 {
        call(&mut gate, OWNER, Call::Lock, Urgency::Courier, Heard::Answer, T0).unwrap();
    }
    // Another owner's car is not touched by that.
    assert!(gate.ask(key(7), key(8), Call::Open, Urgency::Courier, T0).is_ok());
}

#[test]
fn two_owners_of_one_car_share_its_commands() {
    let mut gate = Gate::new(LIMITS);
    for n in 0..8 {
        call(&mut gate, key(n), Call::Open, Urgency::Courier, Heard::Answer, T0).unwrap();
    }
    assert_eq!(call(&mut gate, key(9), Call::Open, Urgency::Courier, Heard::Answer, T0).unwrap_err().why, Held::Budget);
}

#[test]
fn who_asks_ahead_of_time_gives_way_to_couriers_and_they_to_who_must_see_a_car_shut() {
    let mut gate = Gate::new(LIMITS);
    let mut read = |urgency| {
        let mut n = 0;
        while n < 100 && call(&mut gate, OWNER, Call::Read, urgency, Heard::Answer, T0).is_ok() {
            n += 1;
        }
        n
    };
    assert_eq!([read(Urgency::Ahead), read(Urgency::Courier), read(Urgency::Safety)], [21, 10, 100]);
}

#[test]
fn a_maker_that_asks_for_patience_gets_it_from_everybody_but_locks() {
    let mut gate = Gate::new(LIMITS);
    call(&mut gate, OWNER, Call::Read, Urgency::Courier, Heard::ComeLater(Some(40_000)), T0).unwrap();
    let refused = call(&mut gate, OWNER, Call::Open, Urgency::Courier, Heard::Answer, at(10)).unwrap_err();
    assert_eq!(refused, NotNow { why: Held::Budget, retry_after_ms: 30_000 });
    call(&mut gate, OWNER, Call::Lock, Urgency::Courier, Heard::Answer, at(10)).unwrap();
    call(&mut gate, key(3), Call::Read, Urgency::Courier, Heard::Answer, at(10)).unwrap();
    call(&mut gate, OWNER, Call::Open, Urgency::Courier, Heard::Answer, at(40)).unwrap();
}

#[test]
fn a_car_is_woken_a_few_times_a_day() {
    let mut gate = Gate::new(LIMITS);
    for _ in 0..WAKES_PER_DAY {
        call(&mut gate, OWNER, Call::Wake, Urgency::Courier, Heard::Answer, T0).unwrap();
    }
    assert!(call(&mut gate, OWNER, Call::Wake, Urgency::Courier, Heard::Answer, at(3_600)).is_err());
    assert!(call(&mut gate, OWNER, Call::Wake, Urgency::Courier, Heard::Answer, at(8 * 3_600)).is_ok());
}

#[test]
fn a_cloud_that_hangs_holds_a_bounded_number_of_us_and_never_a_lock() {
    let mut gate = Gate::new(Limits { reads_per_minute: u32::MAX, commands_per_minute: 10 });
    let mut under_way = Vec::new();
    for _ in 0..IN_FLIGHT_AHEAD_MAX {
        under_way.push(gate.ask(OWNER, CAR, Call::Read, Urgency::Ahead, T0).unwrap());
    }
    assert_eq!(gate.ask(OWNER, CAR, Call::Read, Urgency::Ahead, T0).unwrap_err().why, Held::TooMany);
    while gate.in_flight() < IN_FLIGHT_MAX {
        under_way.push(gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, T0).unwrap());
    }
    assert_eq!(gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, T0).unwrap_err().why, Held::TooMany);
    under_way.push(gate.ask(OWNER, CAR, Call::Lock, Urgency::Courier, T0).unwrap());
    for pass in under_way {
        gate.heard(pass, Heard::Answer, at(30));
    }
    assert_eq!(gate.in_flight(), 0);
    assert!(gate.ask(OWNER, CAR, Call::Read, Urgency::Ahead, at(30)).is_ok());
}

fn any_call() -> impl Strategy<Value = Call> {
    prop::sample::select(&Call::ALL[..])
}
fn any_heard() -> impl Strategy<Value = Heard> {
    prop_oneof![
        4 => Just(Heard::Silence),
        2 => Just(Heard::Answer),
        1 => Just(Heard::Nothing),
        1 => prop::option::of(-5_000..9_000_000_i64).prop_map(Heard::ComeLater),
    ]
}

/// While a cloud is down, only what the probe hears says whether it is back: others were under way before, or are locks.
#[test]
fn only_the_probe_says_how_long_a_cloud_stays_down() {
    let mut gate = Gate::new(LIMITS);
    let early = gate.ask(key(50), CAR, Call::Open, Urgency::Courier, T0).unwrap();
    falls_silent(&mut gate, T0);
    // A lock and a look that meet silence do not put the next probe off.
    for what in [Call::Lock, Call::Read] {
        call(&mut gate, key(51), what, Urgency::Safety, Heard::Silence, at(10)).unwrap();
    }
    gate.heard(early, Heard::Nothing, at(10));
    let probe = gate.ask(key(52), CAR, Call::Read, Urgency::Courier, at(15)).unwrap();
    // Neither does what ends while the probe is under way begin another.
    call(&mut gate, key(51), Call::Lock, Urgency::Safety, Heard::Nothing, at(16)).unwrap();
    assert_eq!(gate.ask(key(53), CAR, Call::Read, Urgency::Courier, at(16)).unwrap_err().why, Held::MakerDown);
    // A probe that tells nothing leaves the question open: the next one asks.
    gate.heard(probe, Heard::Nothing, at(17));
    let next = gate.ask(key(53), CAR, Call::Read, Urgency::Courier, at(17)).unwrap();
    gate.heard(next, Heard::Silence, at(18));
    assert_eq!(gate.ask(key(54), CAR, Call::Read, Urgency::Courier, at(47)).unwrap_err().why, Held::MakerDown);
    assert!(gate.ask(key(54), CAR, Call::Read, Urgency::Courier, at(48)).is_ok());
}

/// A command's silence says nothing of readings: the account's next look is as good as any.
#[test]
fn only_a_readings_silence_makes_readings_brief() {
    let mut gate = Gate::new(LIMITS);
    call(&mut gate, OWNER, Call::Open, Urgency::Courier, Heard::Silence, T0).unwrap();
    assert!(!gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, at(1)).unwrap().is_brief());
}

/// Very many accounts: the gate forgets those that tell nothing, and none that does.
#[test]
fn a_used_up_budget_and_a_fresh_silence_outlive_a_crowd() {
    let name = |n: u32| {
        let mut key = [9; 16];
        key[..4].copy_from_slice(&n.to_be_bytes());
        key
    };
    let mut gate = Gate::new(LIMITS);
    let used_up = (0..=LIMITS.reads_per_minute)
        .find_map(|_| call(&mut gate, OWNER, Call::Read, Urgency::Courier, Heard::Answer, T0).err());
    let refused = used_up.unwrap();
    assert_eq!(refused.why, Held::Budget);
    for n in 0..66_000 {
        let one = gate.ask(name(n), CAR, Call::Read, Urgency::Courier, T0).unwrap();
        gate.heard(one, Heard::Answer, T0);
    }
    assert_eq!(gate.ask(OWNER, CAR, Call::Read, Urgency::Courier, T0).unwrap_err(), refused);
    // The same of silences: the first account's rest is not cut short by later ones.
    let mut gate = Gate::new(LIMITS);
    for n in 0..66_000 {
        let one = gate.ask(name(n), CAR, Call::Read, Urgency::Safety, T0).unwrap();
        gate.heard(one, Heard::Silence, T0);
        // An answer of somebody else's, so that the cloud counts as there.
        call(&mut gate, key(1), Call::Lock, Urgency::Safety, Heard::Answer, T0).unwrap();
    }
    assert_eq!(gate.ask(name(0), CAR, Call::Read, Urgency::Courier, T0).unwrap_err().retry_after_ms, 5_000);
}

proptest! {
    /// Whatever happened before: locks go, and so does looking at a car that may be open.
    #[test]
    fn safety_is_never_held_back(
        history in prop::collection::vec(
            (any_call(), 0..3_u8, any_heard(), 0..200_000_i64, 0..4_u8, any::<bool>()), 0..120),
    ) {
        let mut gate = Gate::new(LIMITS);
        let mut now = T0;
        let mut under_way = Vec::new();
        for (what, urgency, heard, later_ms, who, at_once) in history {
            now = now.plus_millis(later_ms);
            let urgency = [Urgency::Ahead, Urgency::Courier, Urgency::Safety][usize::from(urgency)];
            if let Ok(pass) = gate.ask(key(who), key(who % 2), what, urgency, now) {
                if at_once { gate.heard(pass, heard, now) } else { under_way.push((pass, heard)) }
            }
            let lock = gate.ask(key(who), key(who % 2), Call::Lock, Urgency::Courier, now);
            prop_assert!(lock.is_ok());
            gate.heard(lock.unwrap(), Heard::Nothing, now);
            let look = gate.ask(key(who), key(who % 2), Call::Read, Urgency::Safety, now);
            prop_assert!(look.is_ok());
            gate.heard(look.unwrap(), Heard::Nothing, now);
        }
        let count = u32::try_from(under_way.len()).unwrap();
        prop_assert_eq!(gate.in_flight(), count);
        for (pass, heard) in under_way {
            gate.heard(pass, heard, now);
        }
        prop_assert_eq!(gate.in_flight(), 0);
    }

    /// No owner's openings and lights ever take what the locks need, and what is held back tells when to come again.
    #[test]
    fn openings_never_use_up_what_locks_need(
        calls in prop::collection::vec((any_call(), 0..20_000_i64), 1..200),
    ) {
        let mut gate = Gate::new(LIMITS);
        let mut now = T0;
        let mut sent: Vec<Timestamp> = Vec::new();
        for (what, later_ms) in calls {
            now = now.plus_millis(later_ms);
            if what == Call::Lock {
                continue;
            }
            match call(&mut gate, OWNER, what, Urgency::Courier, Heard::Answer, now) {
                Ok(()) if matches!(what, Call::Open | Call::Signal) => sent.push(now),
                Ok(()) => {}
                Err(not_now) => {
                    prop_assert!(not_now.retry_after_ms >= 1_000);
                    let then = now.plus_millis(not_now.retry_after_ms);
                    prop_assert!(call(&mut gate, OWNER, what, Urgency::Courier, Heard::Answer, then).is_ok());
                    now = then;
                    if matches!(what, Call::Open | Call::Signal) {
                        sent.push(now);
                    }
                }
            }
            // In any minute: what the bucket held and what it got.
            let last_minute = sent.iter().filter(|at| now.millis_since(**at) < 60_000).count();
            prop_assert!(last_minute <= 18, "{last_minute} commands in a minute");
        }
    }
}
