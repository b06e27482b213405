//! Whoever sits in a car stops what others may do with it, without account and without a word about who asked.
//!
//! The same proof of possession as an owner's: doors in a drawn order. A stop is not the owner's to lift at once: whoever has
//! the key for a minute must not undo it for somebody who is afraid.

use parcelshelf_core::time::Timestamp;

use crate::possession::Door;

/// Doors that every car has; what a car has besides must not be told by what is asked for.
pub const DOORS: [Door; 3] = [Door::FrontLeft, Door::FrontRight, Door::Lid];
/// Doors asked for: 24 orders.
pub const PROMPTS: usize = 4;
/// A stop ends by itself after so many days; another proof begins it anew.
pub const STOP_DAYS: i64 = 30;
/// It is lifted before that by another proof, begun no sooner than so many hours after the stop.
pub const LIFT_HOURS: i64 = 72;
/// A session is over so long after it began, milliseconds.
pub const SESSION_MS: i64 = 30 * 60_000;

/// A stop by somebody who has the car.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stop {
    pub since: Timestamp,
}
impl Stop {
    #[must_use]
    pub const fn until(self) -> Timestamp {
        self.since.plus_seconds(STOP_DAYS * 86_400)
    }
    #[must_use]
    pub fn stands(self, now: Timestamp) -> bool {
        now < self.until()
    }
    #[must_use]
    pub const fn liftable_from(self) -> Timestamp {
        self.since.plus_seconds(LIFT_HOURS * 3_600)
    }
    /// Whether a proof of possession that began then may lift it.
    #[must_use]
    pub fn lifted_by(self, proof_begun: Timestamp) -> bool {
        proof_begun >= self.liftable_from()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_stands_30_days_and_no_proof_of_the_first_72_hours_lifts_it() {
        let since = Timestamp::from_unix_seconds(1_800_000_000);
        let stop = Stop { since };
        for (hours, stands, lifts) in [
            (-1, true, false),
            (0, true, false),
            (71, true, false),
            (72, true, true),
            (719, true, true),
            (720, false, true),
        ] {
            let now = since.plus_seconds(hours * 3_600);
            assert_eq!((stop.stands(now), stop.lifted_by(now)), (stands, lifts), "after {hours} hours");
        }
    }
}
