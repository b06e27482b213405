//! The brake: a carrier whose devices find many cars and come to none of them finds and opens nothing more until two
//! people say so.
//!
//! A depot's stolen key could enrol devices and locate every car with an open window. Each device holds one place at a time,
//! and what it let go of without coming near is counted; more than [`AWAY_MIN`] and more than [`AWAY_PERCENT`] in an
//! hour stop the carrier. Whoever found a car and was then kept from it by its owner, the car, its maker or by us is not
//! counted: a maker's bad hour must not stop a carrier. Locks never ask here.

use parcelshelf_core::time::Timestamp;

/// What an hour is, milliseconds.
pub const HOUR_MS: i64 = 3_600_000;
/// So many legs of an hour may end without arrival however few there are.
pub const AWAY_MIN: usize = 10;
/// Or so many of a hundred.
pub const AWAY_PERCENT: usize = 5;
/// Different people who release a brake.
pub const PEOPLE: usize = 2;
/// Places that a device holds at once where every one of their grants discloses by area.
pub const HELD_MAX: usize = 40;

/// One delegation, from its acceptance to its end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Leg {
    pub delegated_at: Timestamp,
    /// The end of its window.
    pub ends_at: Timestamp,
    pub located_at: Option<Timestamp>,
    /// The device was near the car: it described or opened it.
    pub arrived: bool,
    /// After it was located, something else than the courier kept the device from describing or opening it.
    pub kept_away: bool,
    /// The device located another car, or another device took over.
    pub let_go_at: Option<Timestamp>,
    /// The grant discloses by area; else one stop at a time.
    pub by_area: bool,
}
impl Leg {
    /// When it ended, if it has.
    #[must_use]
    pub fn ended_at(&self, now: Timestamp) -> Option<Timestamp> {
        let in_time = self.let_go_at.filter(|at| *at < self.ends_at);
        in_time.or_else(|| (now >= self.ends_at).then_some(self.ends_at))
    }
    /// Whether its device holds the car's place now.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.located_at.is_some() && self.ended_at(now).is_none()
    }
    /// Whether it tells nothing any more of the hour before `now`.
    #[must_use]
    pub fn is_past(&self, now: Timestamp) -> bool {
        now.millis_since(self.delegated_at) >= HOUR_MS
            && self.ended_at(now).is_some_and(|at| now.millis_since(at) >= HOUR_MS)
    }
}

/// Which of the places that a device holds it lets go of, so that it may hold one more. `held`: name, and when located.
#[must_use]
pub fn lets_go<K: Clone>(held: &[(K, Leg)], another_by_area: bool) -> Vec<K> {
    if !another_by_area || held.iter().any(|(_, leg)| !leg.by_area) {
        return held.iter().map(|(name, _)| name.clone()).collect();
    }
    let mut oldest_first: Vec<&(K, Leg)> = held.iter().collect();
    oldest_first.sort_by_key(|(_, leg)| leg.located_at);
    let too_many = (held.len() + 1).saturating_sub(HELD_MAX);
    oldest_first.into_iter().take(too_many).map(|(name, _)| name.clone()).collect()
}

/// What an hour looked like.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Count {
    /// Legs that were delegated in it, or ended in it.
    pub of: usize,
    /// Those that were located, and ended in it without arrival.
    pub away: usize,
}
impl Count {
    /// Of the hour before `now`, of what ended after `since`.
    #[must_use]
    pub fn of<'a>(legs: impl IntoIterator<Item = &'a Leg>, since: Timestamp, now: Timestamp) -> Self {
        let within = |at: Timestamp| (0..HOUR_MS).contains(&now.millis_since(at));
        let mut count = Self::default();
        for leg in legs {
            let ended = leg.ended_at(now).filter(|at| within(*at));
            count.of += usize::from(ended.is_some() || within(leg.delegated_at));
            let away = ended.is_some_and(|at| at > since) && leg.located_at.is_some() && !leg.arrived && !leg.kept_away;
            count.away += usize::from(away);
        }
        count
    }
    /// More than ten, and more than five in a hundred.
    #[must_use]
    pub const fn is_too_many(self) -> bool {
        self.away > AWAY_MIN && self.away * 100 > self.of * AWAY_PERCENT
    }
}

/// A carrier's brake. `P` names a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Brake<P> {
    /// What ended until `since` was looked at by people and is not counted again.
    Free { since: Timestamp },
    Stopped {
        at: Timestamp,
        count: Count,
        /// Who has released it so far: fewer than [`PEOPLE`].
        released_by: Vec<P>,
    },
}

/// What a brake is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event<P> {
    Counted(Count),
    /// A person says: this very stop (by its time) may end.
    Release {
        by: P,
        stopped_at: Timestamp,
    },
}

/// What follows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Effect {
    Nothing,
    /// Leaf and notice: nothing is located or opened for this carrier from here on.
    Stop,
    /// Leaf: one person has said so.
    ReleasedByOne,
    /// Leaf and notice.
    Free,
}

impl<P: PartialEq + Clone> Brake<P> {
    #[must_use]
    pub const fn is_free(&self) -> bool {
        matches!(self, Self::Free { .. })
    }

    /// The table: state, event, now → state, effect. The same person twice is one person; a word about another stop is none.
    #[must_use]
    pub fn handle(&self, event: Event<P>, now: Timestamp) -> (Self, Effect) {
        match (self, event) {
            (Self::Free { .. }, Event::Counted(count)) if count.is_too_many() => {
                (Self::Stopped { at: now, count, released_by: Vec::new() }, Effect::Stop)
            }
            (Self::Stopped { at, count, released_by }, Event::Release { by, stopped_at })
                if *at == stopped_at && !released_by.contains(&by) =>
            {
                let released_by: Vec<P> = released_by.iter().cloned().chain([by]).collect();
                if released_by.len() >= PEOPLE {
                    return (Self::Free { since: now }, Effect::Free);
                }
                (Self::Stopped { at: *at, count: *count, released_by }, Effect::ReleasedByOne)
            }
            (same, _) => (same.clone(), Effect::Nothing),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const MINUTE: i64 = 60;

    fn at(minute: i64) -> Timestamp {
        T.plus_seconds(minute * MINUTE)
    }
    fn leg(from: i64, located: Option<i64>, let_go: Option<i64>, arrived: bool) -> Leg {
        Leg {
            delegated_at: at(from),
            ends_at: at(from + 60),
            located_at: located.map(at),
            arrived,
            kept_away: false,
            let_go_at: let_go.map(at),
            by_area: false,
        }
    }

    #[test]
    fn a_leg_ends_when_it_is_let_go_or_its_window_is_over() {
        let table = [
            (leg(0, Some(5), None, false), 59, None),
            (leg(0, Some(5), None, false), 60, Some(60)),
            (leg(0, Some(5), Some(9), false), 9, Some(9)),
            (leg(0, Some(5), Some(90), false), 91, Some(60)),
        ];
        for (leg, now, ended) in table {
            assert_eq!(leg.ended_at(at(now)), ended.map(at), "{leg:?} at {now}");
        }
        assert!(leg(0, Some(5), None, false).holds(at(6)));
        assert!(!leg(0, Some(5), Some(6), false).holds(at(6)) && !leg(0, None, None, false).holds(at(6)));
    }

    /// An hour is counted back from now: what is past tells nothing of it, and nothing that tells is past.
    #[test]
    fn a_leg_is_past_an_hour_after_it_began_and_ended() {
        let table = [
            (leg(0, Some(5), Some(9), false), 69, true),
            (leg(0, Some(5), Some(9), false), 68, false),
            // It ended long ago only if it has ended.
            (leg(0, Some(5), None, false), 119, false),
            (leg(0, Some(5), None, false), 120, true),
            (leg(0, Some(5), Some(90), false), 120, true),
        ];
        for (leg, now, past) in table {
            assert_eq!(leg.is_past(at(now)), past, "{leg:?} at {now}");
        }
        // Let go before it began counts from its beginning.
        let early = Leg { delegated_at: at(30), ..leg(0, Some(5), Some(9), false) };
        assert!(!early.is_past(at(89)) && early.is_past(at(90)));
        // At the very end of its window it is over by itself.
        assert_eq!(leg(0, Some(5), Some(60), false).ended_at(at(60)), Some(at(60)));
    }

    #[test]
    fn few_do_not_stop_it_and_only_the_free_are_free() {
        let free: Brake<u8> = Brake::Free { since: T };
        let few = Count { away: AWAY_MIN, of: AWAY_MIN };
        let (same, effect) = free.handle(Event::Counted(few), T);
        assert!(same.is_free() && effect == Effect::Nothing);
        let many = Count { away: AWAY_MIN + 1, of: AWAY_MIN + 1 };
        let (stopped, effect) = free.handle(Event::Counted(many), T);
        assert!(!stopped.is_free() && effect == Effect::Stop);
    }

    #[test]
    fn only_what_was_located_and_left_without_arrival_counts() {
        let away = leg(0, Some(5), Some(9), false);
        for (other, counted) in [
            (away, 1),
            (Leg { kept_away: true, ..away }, 0),
            (leg(0, Some(5), Some(9), true), 0),
            (leg(0, None, Some(9), false), 0),
            (leg(0, Some(5), None, false), 0),
        ] {
            assert_eq!(Count::of([&other], T.plus_millis(-1), at(10)), Count { of: 1, away: counted }, "{other:?}");
        }
        // An hour later nobody counts it any more; nor before, once people have looked.
        assert_eq!(Count::of([&away], T, at(69)).away, 0);
        assert_eq!(Count::of([&away], at(9), at(10)).away, 0);
    }

    #[test]
    fn more_than_ten_and_more_than_five_in_a_hundred_stop_it() {
        for (of, away, stops) in
            [(10, 10, false), (11, 11, true), (100, 11, true), (219, 11, true), (220, 11, false), (1_000, 51, true)]
        {
            assert_eq!(Count { of, away }.is_too_many(), stops, "{away} of {of}");
        }
    }

    #[test]
    fn two_people_release_it_and_only_the_stop_that_they_saw() {
        let free = Brake::Free { since: T };
        let (stopped, effect) = free.handle(Event::Counted(Count { of: 11, away: 11 }), at(30));
        assert_eq!(effect, Effect::Stop);
        let word = |by: u8, minute| Event::Release { by, stopped_at: at(minute) };
        assert_eq!(stopped.handle(word(1, 29), at(31)).1, Effect::Nothing, "a word about another stop");
        let (one, effect) = stopped.handle(word(1, 30), at(31));
        assert_eq!((effect, one.is_free()), (Effect::ReleasedByOne, false));
        assert_eq!(one.handle(word(1, 30), at(32)), (one.clone(), Effect::Nothing), "the same person twice");
        assert_eq!(one.handle(word(2, 30), at(33)), (Brake::Free { since: at(33) }, Effect::Free));
    }

    #[test]
    fn a_device_holds_one_place_or_forty_by_area() {
        let held = |by_area, n: i64| (n, Leg { by_area, ..leg(0, Some(n), None, false) });
        assert_eq!(lets_go(&[held(false, 1)], false), [1]);
        assert_eq!(lets_go(&[held(false, 1)], true), [1]);
        assert_eq!(lets_go(&[held(true, 1)], false), [1]);
        let full: Vec<_> = (0..40).rev().map(|n| held(true, n)).collect();
        assert_eq!(lets_go(&full, true), [0]);
        assert!(lets_go(&full[1..], true).is_empty());
    }

    proptest! {
        /// Whatever devices do, a carrier that finds cars and comes to none stops before the twelfth is let go of.
        #[test]
        fn nobody_collects_places(devices in 1usize..4, by_area: bool, pauses in prop::collection::vec(0i64..120, 0..200)) {
            let (mut legs, mut brake, mut now) = (Vec::<(usize, Leg)>::new(), Brake::<u8>::Free { since: T }, at(1));
            let mut found = 0;
            for (n, pause) in pauses.into_iter().enumerate() {
                now = now.plus_seconds(pause);
                brake = brake.handle(Event::Counted(Count::of(legs.iter().map(|(_, l)| l), T, now)), now).0;
                if !brake.is_free() {
                    continue;
                }
                found += 1;
                let device = n % devices;
                let held: Vec<_> = legs.iter().enumerate().filter(|(_, (d, l))| *d == device && l.holds(now))
                    .map(|(i, (_, l))| (i, *l)).collect();
                for i in lets_go(&held, by_area) {
                    legs[i].1.let_go_at = Some(now);
                }
                let fresh = Leg { delegated_at: now, ends_at: now.plus_millis(HOUR_MS), located_at: Some(now),
                    arrived: false, kept_away: false, let_go_at: None, by_area };
                legs.push((device, fresh));
                let holding = legs.iter().filter(|(d, l)| *d == device && l.holds(now)).count();
                let most = if by_area { HELD_MAX } else { 1 };
                prop_assert!(holding <= most);
            }
            let of_the_hour = legs.iter().filter(|(_, l)| now.millis_since(l.delegated_at) < HOUR_MS).count();
            if !by_area && now.millis_since(at(1)) < HOUR_MS {
                prop_assert!(found <= AWAY_MIN + 1 + devices, "{found} were found, {of_the_hour} in the hour");
            }
        }
    }
}
