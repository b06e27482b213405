//! Whether a camera shows what is there now: a light in its view goes on and off in a pattern that was drawn just before, and
//! each picture must follow.
//!
//! That pictures change proves nothing: a clip in a loop changes, and so does a clock painted into it. What was recorded
//! before the draw cannot know the draw. The light is told, looked at, and given a fixed time; then one picture counts,
//! and no other: whoever may choose among several would find a fitting one. A step is judged by how much brighter or darker the
//! picture is than the one before, so that a camera which slowly adapts to the light, and daylight, are no lie.
//!
//! What passes without having seen the light: one answer of at least 2^[`BITS`]. Who sees the light as well, through a
//! window, and can put pictures in the camera's place as fast as it changes, is not found out: decision 83.

use parcelshelf_core::time::Timestamp;

/// What is left to chance, bits.
pub const BITS: u32 = 12;
/// The light is told so often. One more than [`BITS`], for patterns in which it hardly moves are not used.
pub const STEPS: usize = 13;
/// It changes at least so often: a camera that shows one picture for ever must fail for more than one step.
const CHANGES_MIN: usize = 4;
/// From the light's own word to the picture that counts, milliseconds: cameras encode, and some are on the radio.
pub const SETTLE_MS: i64 = 1_000;
/// From one picture to the next, milliseconds. Later it is not known what happened between.
pub const STEP_WITHIN_MS: i64 = 5_000;
/// All of it, milliseconds: whoever rings stands at the door meanwhile, and their request ends after 40 s.
pub const WITHIN_MS: i64 = 30_000;
/// How long it stays true, milliseconds: from the last picture to the opening.
pub const HOLDS_MS: i64 = 10_000;
/// The light makes the whole picture brighter by at least this, of 1000.
const CHANGE_PERMILLE: i32 = 40;
/// What may change without it: noise, a cloud, a camera that adapts.
const STILL_PERMILLE: i32 = 20;

/// When the light is on, from before the first step. Known to nobody before it is drawn.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern([bool; STEPS]);
impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pattern(<redacted>)")
    }
}
impl Pattern {
    /// Draws one with the caller's random bytes, two at a time; `None` if all of them hardly move the light. Of 16 bytes that
    /// happens once in 10^10.
    #[must_use]
    pub fn draw(random: &[u8]) -> Option<Self> {
        random.chunks_exact(2).map(|two| Self::of(u16::from_be_bytes([two[0], two[1]]))).find(Self::moves)
    }
    fn of(bits: u16) -> Self {
        Self(std::array::from_fn(|n| bits >> n & 1 == 1))
    }
    fn moves(&self) -> bool {
        self.steps().filter(|(before, on)| before != on).count() >= CHANGES_MIN
    }
    /// Before and after each step. Before the first it is off.
    fn steps(&self) -> impl Iterator<Item = (bool, bool)> {
        std::iter::once(false).chain(self.0).zip(self.0)
    }
}

/// One picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Mean over the picture, 0 to 1000.
    pub brightness_permille: u16,
    /// When it was asked for, by our clock.
    pub at: Timestamp,
}

/// What the pictures prove.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// Every picture followed the light; true until then.
    Live {
        until: Timestamp,
    },
    NotLive(Lie),
    /// A picture is missing or late, or the light did not do as it was told.
    Unknown,
}
/// For the owner: what to look at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Lie {
    /// No picture differs from the first: one that is frozen, or a light that the camera does not see.
    NothingMoves,
    /// It changes, and not with the light: a recording, or somebody who switches other lights.
    Disagrees,
}

/// A proof under way: which way the light goes next, and what was seen so far. It begins with the light off, and a picture of
/// that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    pattern: Pattern,
    seen: Vec<Sample>,
    failed: bool,
}
impl Challenge {
    #[must_use]
    pub const fn begin(pattern: Pattern) -> Self {
        Self { pattern, seen: Vec::new(), failed: false }
    }
    /// How the light must be for the next picture; `None` when no more is needed.
    #[must_use]
    pub fn next(&self) -> Option<bool> {
        let wants_more = !self.failed && self.seen.len() <= STEPS;
        wants_more.then(|| self.seen.len().checked_sub(1).is_some_and(|n| self.pattern.0[n]))
    }
    /// A picture of the light as [`Self::next`] said; `None` if the light or the camera did not answer, which ends it. One that
    /// comes too late ends it, too.
    #[must_use]
    pub fn saw(mut self, picture: Option<Sample>) -> Self {
        let Some(picture) = picture else { return Self { failed: true, ..self } };
        let in_time = |since: Option<&Sample>, within_ms: i64| {
            since.is_none_or(|s| (0..=within_ms).contains(&picture.at.millis_since(s.at)))
        };
        let good =
            self.next().is_some() && in_time(self.seen.last(), STEP_WITHIN_MS) && in_time(self.seen.first(), WITHIN_MS);
        self.failed |= !good;
        if good {
            self.seen.push(picture);
        }
        self
    }
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let (Some(first), Some(last), None, false) = (self.seen.first(), self.seen.last(), self.next(), self.failed)
        else {
            return Verdict::Unknown;
        };
        let differs = |a: &Sample, b: &Sample| i32::from(b.brightness_permille) - i32::from(a.brightness_permille);
        let follows = |((before, on), pair): ((bool, bool), &[Sample])| {
            let by = differs(&pair[0], &pair[1]);
            match (before, on) {
                (false, true) => by >= CHANGE_PERMILLE,
                (true, false) => by <= -CHANGE_PERMILLE,
                (false, false) | (true, true) => by.abs() <= STILL_PERMILLE,
            }
        };
        if self.pattern.steps().zip(self.seen.windows(2)).all(follows) {
            return Verdict::Live { until: last.at.plus_millis(HOLDS_MS) };
        }
        let nothing_moves = self.seen.iter().all(|s| differs(first, s).abs() < CHANGE_PERMILLE);
        Verdict::NotLive(if nothing_moves { Lie::NothingMoves } else { Lie::Disagrees })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    /// Milliseconds from picture to picture.
    const PACE_MS: i64 = 1_500;
    const DARK: u16 = 300;
    const LIT: u16 = 520;

    fn every() -> impl Iterator<Item = Pattern> {
        (0..1_u16 << STEPS).map(Pattern::of).filter(Pattern::moves)
    }
    /// Plays it to its end; `shows` says what is in the nth picture, and gets to know how the light is.
    fn played(pattern: Pattern, mut shows: impl FnMut(usize, bool) -> u16) -> Verdict {
        let mut challenge = Challenge::begin(pattern);
        for n in 0.. {
            let Some(on) = challenge.next() else { break };
            let at = T.plus_millis(PACE_MS * i64::try_from(n).unwrap());
            challenge = challenge.saw(Some(Sample { brightness_permille: shows(n, on), at }));
        }
        challenge.verdict()
    }
    fn live(pattern: Pattern) -> Verdict {
        played(pattern, |_, on| if on { LIT } else { DARK })
    }
    const fn is_live(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Live { .. })
    }
    fn one() -> Pattern {
        Pattern::draw(&[0b0000_1101, 0b0110_1001]).unwrap()
    }

    #[test]
    fn a_camera_that_sees_the_light_is_live_under_every_pattern_and_for_seconds_only() {
        let until = T.plus_millis(PACE_MS * i64::try_from(STEPS).unwrap() + HOLDS_MS);
        for pattern in every() {
            assert_eq!(live(pattern), Verdict::Live { until });
        }
    }

    #[test]
    fn a_frozen_picture_passes_never() {
        for pattern in every() {
            for frozen in [DARK, LIT, 0, 1_000] {
                let seen = played(pattern.clone(), |n, _| frozen + u16::from(frozen < 900) * (n % 7) as u16);
                assert_eq!(seen, Verdict::NotLive(Lie::NothingMoves));
            }
        }
    }

    #[test]
    fn a_recording_passes_for_one_pattern_of_at_least_two_to_the_power_of_the_bits() {
        assert!(every().count() >= 1 << BITS);
        // The best that a liar can have: a recording of the whole proof, with the light as it was then.
        for recorded in [one(), Pattern::of(0b1_0101_0101_0101), Pattern::of(0b1111_0011_0011)] {
            let clip: Vec<u16> =
                std::iter::once(DARK).chain(recorded.0.map(|on| if on { LIT } else { DARK })).collect();
            let passed = every().filter(|p| is_live(played(p.clone(), |n, _| clip[n]))).collect::<Vec<_>>();
            assert_eq!(passed, [recorded]);
        }
    }

    #[test]
    fn what_is_missing_late_or_out_of_order_is_unknown() {
        let sample = |ms: i64, on: bool| {
            Some(Sample { brightness_permille: if on { LIT } else { DARK }, at: T.plus_millis(ms) })
        };
        let first_two = |second: Option<Sample>| {
            let begun = Challenge::begin(one()).saw(sample(0, false)).saw(second);
            (begun.next().is_some(), begun.verdict())
        };
        assert_eq!(first_two(sample(PACE_MS, true)), (true, Verdict::Unknown), "it is not done");
        for bad in [None, sample(STEP_WITHIN_MS + 1, true), sample(-1, true)] {
            assert_eq!(first_two(bad), (false, Verdict::Unknown), "{bad:?}");
        }
        let slow = (STEP_WITHIN_MS - 1, WITHIN_MS / (STEP_WITHIN_MS - 1));
        let mut challenge = Challenge::begin(one());
        for n in 0..=slow.1 + 1 {
            let Some(on) = challenge.next() else { break };
            challenge = challenge.saw(sample(n * slow.0, on));
        }
        assert_eq!((challenge.next(), challenge.verdict()), (None, Verdict::Unknown), "each in time, and all too late");
        let done = Challenge::begin(one());
        let done = (0..=STEPS).fold(done, |c, n| {
            let on = c.next().unwrap();
            c.saw(sample(PACE_MS * n as i64, on))
        });
        assert!(is_live(done.verdict()));
        assert_eq!(done.saw(sample(60_000, true)).verdict(), Verdict::Unknown, "one too many");
    }

    #[test]
    fn a_light_that_hardly_shows_or_a_picture_that_comes_one_step_late_is_not_live() {
        let faint = played(one(), |_, on| if on { DARK + 30 } else { DARK });
        assert_eq!(faint, Verdict::NotLive(Lie::NothingMoves));
        for pattern in every() {
            let mut before = false;
            let late = played(pattern.clone(), |_, on| {
                let shown = if before { LIT } else { DARK };
                before = on;
                shown
            });
            // But for those whose delayed self looks alike, which is none: the first change comes a step late.
            assert!(!is_live(late), "{:?}", pattern.0);
        }
    }

    #[test]
    fn a_draw_is_of_patterns_that_move_and_does_not_print() {
        assert!(Pattern::draw(&[]).is_none() && Pattern::draw(&[0; 64]).is_none() && Pattern::draw(&[1]).is_none());
        assert_eq!(Pattern::draw(&[0, 0, 0b1_0101, 0b0101_0101]), Some(Pattern::of(0b1_0101_0101_0101)));
        assert_eq!(format!("{:?}", one()), "Pattern(<redacted>)");
    }

    proptest! {
        #[test]
        fn noise_daylight_and_a_camera_that_adapts_are_no_lie(
            bits in any::<u16>(), noise in proptest::collection::vec(-4_i32..=4, STEPS + 1),
            drift in -3_i32..=3, adapts in 0.0_f64..=0.2, dark in 100_i32..=500, glow in 110_i32..=300,
        ) {
            let pattern = Pattern::of(bits);
            prop_assume!(pattern.moves());
            // The camera makes up for a part of the change, a little more with each picture.
            let mut eye = f64::from(dark);
            let seen = played(pattern, |n, on| {
                let there = f64::from(dark + if on { glow } else { 0 });
                let shown = there - (eye - f64::from(dark)) * adapts;
                eye += (there - eye) * 0.3;
                u16::try_from((shown.round() as i32 + noise[n] + drift * n as i32).clamp(0, 1_000)).unwrap()
            });
            // The bound of what is tolerated: what moves by itself from one picture to the next.
            let moves_itself = f64::from(glow) * adapts * 0.3 + 8.0 + 3.0;
            prop_assume!(moves_itself < f64::from(STILL_PERMILLE));
            prop_assert!(is_live(seen), "{seen:?}");
        }

        #[test]
        fn whatever_was_recorded_before_the_draw_fits_one_pattern_at_most(
            clip in proptest::collection::vec(0_u16..=1_000, STEPS + 1)
        ) {
            prop_assert!(every().filter(|p| is_live(played(p.clone(), |n, _| clip[n]))).count() <= 1);
        }
    }
}
