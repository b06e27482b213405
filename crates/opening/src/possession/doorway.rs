//! Proof that somebody stands at a house's door with a drive: it goes up and down by hand when it is asked for, and between the
//! two a hand goes through its light barrier as often as was drawn.
//!
//! A door that moves proves little: whoever has a login at the household's server can move it from afar, and the server forgets
//! after seconds that it was told to. A light barrier nobody can tell anything. How often it is asked for is drawn anew in
//! each round, so that a household's ordinary coming and going does not happen to be the answer for somebody who only watches.
//! Nothing is asked for inside a moving door.

use parcelshelf_core::time::Timestamp;

use super::{CLOCK_SKEW_MS, Failure};

/// From a prompt to its fulfilment, milliseconds: a door's way, and a walk to it.
pub const STEP_WITHIN_MS: i64 = 2 * 60_000;
/// Up and down twice: somebody who comes home does it once.
const ROUNDS: usize = 2;
const TOUCHES_MAX: u8 = 3;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Step {
    /// Let it go up, by the button on the wall.
    Raise,
    /// A hand into the light barrier, and out.
    Touch,
    /// Let it go down, and stay clear of it.
    Lower,
}
impl Step {
    pub const ALL: [Self; 3] = [Self::Raise, Self::Touch, Self::Lower];
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Raise => "raise",
            Self::Touch => "touch",
            Self::Lower => "lower",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.code() == code)
    }
}

/// How the door stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Leaf {
    Up,
    Shut,
    /// On its way, half way, or nobody knows.
    Other,
}
/// A change of something, by its server's time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Change {
    pub at: Timestamp,
    /// No command stands behind it, as far as the server tells.
    pub by_hand: bool,
}
/// One look at the door.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sight {
    pub leaf: Leaf,
    pub leaf_changed: Option<Change>,
    /// Whether nothing is in the light barrier. `None`: not known.
    pub clear: Option<bool>,
    pub clear_changed: Option<Change>,
}

/// What a look says of the step that was asked for last.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Seen {
    Fulfilled { at: Timestamp },
    NotYet,
    Failed(Failure),
}

/// The steps of one proof, drawn with the caller's random bytes. `None` if these are too few.
#[must_use]
pub fn draw(random: &[u8]) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    for byte in random.get(..ROUNDS)? {
        steps.push(Step::Raise);
        steps.extend(std::iter::repeat_n(Step::Touch, usize::from(byte % TOUCHES_MAX) + 1));
        steps.push(Step::Lower);
    }
    Some(steps)
}

/// Judges one look. `before`: when the step before it was fulfilled, by the server's time. Whoever fails begins anew.
#[must_use]
pub fn judge(step: Step, prompted_at: Timestamp, before: Option<Timestamp>, sight: &Sight, now: Timestamp) -> Seen {
    let since = |change: Option<Change>| {
        change.filter(|c| c.at >= prompted_at.plus_millis(-CLOCK_SKEW_MS) && before.is_none_or(|before| c.at > before))
    };
    let (moved, touched) = (since(sight.leaf_changed), since(sight.clear_changed));
    if moved.into_iter().chain(touched).any(|change| !change.by_hand) {
        return Seen::Failed(Failure::Commanded);
    }
    let done = match step {
        Step::Raise => moved.filter(|_| sight.leaf == Leaf::Up),
        Step::Touch if moved.is_some() => return Seen::Failed(Failure::WrongDoor),
        // Whole: a hand that stays in is not asked for twice.
        Step::Touch => touched.filter(|_| sight.clear == Some(true)),
        // One more than was asked for is a household that goes about its day.
        Step::Lower if touched.is_some() => return Seen::Failed(Failure::WrongDoor),
        Step::Lower => moved.filter(|_| sight.leaf == Leaf::Shut),
    };
    let late = |at: Timestamp| at > prompted_at.plus_millis(STEP_WITHIN_MS);
    match done {
        Some(change) if late(change.at) => Seen::Failed(Failure::TooLate),
        Some(change) => Seen::Fulfilled { at: change.at },
        None if late(now) => Seen::Failed(Failure::TooLate),
        None => Seen::NotYet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const fn hand(s: i64) -> Option<Change> {
        Some(Change { at: T.plus_seconds(s), by_hand: true })
    }
    const fn command(s: i64) -> Option<Change> {
        Some(Change { at: T.plus_seconds(s), by_hand: false })
    }
    const fn sight(
        leaf: Leaf,
        leaf_changed: Option<Change>,
        clear: Option<bool>,
        clear_changed: Option<Change>,
    ) -> Sight {
        Sight { leaf, leaf_changed, clear, clear_changed }
    }

    #[test]
    fn each_step_is_fulfilled_by_a_hand_after_its_prompt_and_by_nothing_else() {
        use Leaf::{Other, Shut, Up};
        use Seen::{Failed, NotYet};
        let at = |s: i64| Seen::Fulfilled { at: T.plus_seconds(s) };
        let clear = Some(true);
        for (what, step, seen, expected) in [
            ("up by hand", Step::Raise, sight(Up, hand(20), clear, hand(-90)), at(20)),
            ("still on its way", Step::Raise, sight(Other, hand(10), clear, hand(-90)), NotYet),
            ("up long before", Step::Raise, sight(Up, hand(-60), clear, hand(-90)), NotYet),
            ("up by a command", Step::Raise, sight(Up, command(20), clear, hand(-90)), Failed(Failure::Commanded)),
            ("a command on its way", Step::Raise, sight(Other, command(9), clear, None), Failed(Failure::Commanded)),
            ("commanded long before", Step::Raise, sight(Shut, command(-60), clear, None), NotYet),
            ("a hand out again", Step::Touch, sight(Up, hand(-20), clear, hand(8)), at(8)),
            ("a hand that is in", Step::Touch, sight(Up, hand(-20), Some(false), hand(8)), NotYet),
            ("a barrier that is silent", Step::Touch, sight(Up, hand(-20), None, hand(8)), NotYet),
            (
                "a barrier that was written",
                Step::Touch,
                sight(Up, hand(-20), clear, command(8)),
                Failed(Failure::Commanded),
            ),
            ("the door instead", Step::Touch, sight(Other, hand(8), clear, hand(-90)), Failed(Failure::WrongDoor)),
            ("shut", Step::Lower, sight(Shut, hand(30), clear, hand(-20)), at(30)),
            ("on its way down", Step::Lower, sight(Other, hand(10), clear, hand(-20)), NotYet),
            ("one touch more", Step::Lower, sight(Up, hand(-40), Some(false), hand(5)), Failed(Failure::WrongDoor)),
            ("nobody knows", Step::Lower, sight(Other, None, None, None), NotYet),
        ] {
            assert_eq!(judge(step, T, Some(T.plus_seconds(-10)), &seen, T.plus_seconds(40)), expected, "{what}");
        }
    }

    #[test]
    fn what_fulfilled_one_step_does_not_fulfil_the_next() {
        let seen = sight(Leaf::Up, hand(-20), Some(true), hand(8));
        let now = T.plus_seconds(11);
        let next = |before: i64| judge(Step::Touch, T.plus_seconds(9), Some(T.plus_seconds(before)), &seen, now);
        assert_eq!(next(8), Seen::NotYet);
        assert_eq!(next(-20), Seen::Fulfilled { at: T.plus_seconds(8) }, "the clocks differ by two seconds at most");
    }

    #[test]
    fn a_step_has_two_minutes() {
        let waiting = sight(Leaf::Shut, hand(-60), Some(true), None);
        let judged = |seen: &Sight, s: i64| judge(Step::Raise, T, None, seen, T.plus_seconds(s));
        assert_eq!(judged(&waiting, 120), Seen::NotYet);
        assert_eq!(judged(&waiting, 121), Seen::Failed(Failure::TooLate));
        assert_eq!(judged(&sight(Leaf::Up, hand(121), Some(true), None), 122), Seen::Failed(Failure::TooLate));
        assert_eq!(
            judged(&sight(Leaf::Up, hand(119), Some(true), None), 300),
            Seen::Fulfilled { at: T.plus_seconds(119) }
        );
    }

    #[test]
    fn every_proof_goes_up_and_down_twice_and_the_touches_between_are_drawn() {
        let mut drawn = std::collections::BTreeSet::new();
        for a in 0..=255_u8 {
            let steps = draw(&[a, a / 16]).unwrap();
            let word: String = steps.iter().map(|s| &s.code()[..1]).collect();
            let (first, second) = word.strip_prefix('r').unwrap().strip_suffix('l').unwrap().split_once("lr").unwrap();
            for touches in [first, second] {
                assert!((1..=3).contains(&touches.len()) && touches.chars().all(|c| c == 't'), "{word}");
            }
            drawn.insert(word);
        }
        assert_eq!(drawn.len(), 9);
        assert_eq!(draw(&[0]), None);
    }
}
