//! The pictures of a front door's camera from before it is unlocked until after it is proved locked: when the next one is due,
//! which are kept, and when the camera counts as lost. Pure; the pictures themselves are named by a hash and are not here.
//!
//! No two pictures of a camera are the same to the last bit: there is noise in each. The same one again is a camera that hangs, or
//! one that somebody has stopped, and is not kept.

use parcelshelf_core::time::Timestamp;

/// Between two pictures, at first …
pub const PACE_MS: i64 = 1_000;
/// … for as long as any delivery takes; …
pub const PACE_FOR_MS: i64 = 300_000;
/// … then, where a door is not proved locked for longer.
pub const PACE_SLOW_MS: i64 = 10_000;
/// Pictures of one attempt: some hours at the slow pace. Somebody has been called for long.
pub const PICTURES_MAX: u32 = 2_000;
/// A camera that shows nothing new for this long is lost.
pub const LOST_AFTER_MS: i64 = 4_000;

/// One recording under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recording<H> {
    begun_at: Timestamp,
    /// Kept so far; the next one has this number.
    pictures: u32,
    newest: Option<H>,
    newest_at: Timestamp,
    lost: bool,
}

/// What becomes of one answer of the camera.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// It is kept under this number.
    pub keep: Option<u32>,
    /// The camera is lost, and was not a moment ago.
    pub lost: bool,
}

impl<H: Copy + PartialEq> Recording<H> {
    /// With its first picture, which was written with the intent.
    #[must_use]
    pub const fn begin(first: H, now: Timestamp) -> Self {
        Self { begun_at: now, pictures: 1, newest: Some(first), newest_at: now, lost: false }
    }
    /// Taken up again after a crash: so many are kept, and what the last one showed is forgotten.
    #[must_use]
    pub const fn resume(pictures: u32, now: Timestamp) -> Self {
        Self { begun_at: now, pictures, newest: None, newest_at: now, lost: false }
    }
    /// One more opening: a picture of before it was taken by whoever judged it.
    #[must_use]
    pub fn again(self, first: H, now: Timestamp) -> Self {
        Self { begun_at: now, pictures: self.pictures + 1, newest: Some(first), newest_at: now, lost: false }
    }
    #[must_use]
    pub const fn pictures(&self) -> u32 {
        self.pictures
    }
    /// How long after the last one the next picture is asked for; `None`: there are enough.
    #[must_use]
    pub const fn pace_ms(&self, now: Timestamp) -> Option<i64> {
        if self.pictures >= PICTURES_MAX {
            return None;
        }
        Some(if now.millis_since(self.begun_at) < PACE_FOR_MS { PACE_MS } else { PACE_SLOW_MS })
    }
    /// The camera answered, or did not (`None`).
    #[must_use]
    pub fn saw(mut self, picture: Option<H>, now: Timestamp) -> (Self, Seen) {
        if let Some(picture) = picture.filter(|p| self.newest != Some(*p)) {
            let keep = self.pictures;
            self.pictures += 1;
            (self.newest, self.newest_at, self.lost) = (Some(picture), now, false);
            return (self, Seen { keep: Some(keep), lost: false });
        }
        // At the slow pace one answer that is missing says nothing yet.
        let patience = LOST_AFTER_MS.max(2 * self.pace_ms(now).unwrap_or(PACE_SLOW_MS));
        let lost = now.millis_since(self.newest_at) >= patience && !self.lost;
        self.lost |= lost;
        (self, Seen { keep: None, lost })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    fn at(ms: i64) -> Timestamp {
        T.plus_millis(ms)
    }

    #[test]
    fn a_camera_that_hangs_or_is_silent_is_lost_after_four_seconds_once() {
        for silent in [None, Some('a')] {
            let mut r = Recording::begin('a', T);
            let mut lost = Vec::new();
            for ms in (1_000..12_000).step_by(1_000) {
                let (next, seen) = r.saw(silent, at(ms));
                assert_eq!(seen.keep, None, "{silent:?}");
                lost.extend(seen.lost.then_some(ms));
                r = next;
            }
            assert_eq!(lost, [4_000], "{silent:?}");
            let (r, seen) = r.saw(Some('b'), at(12_000));
            assert_eq!((seen.keep, r.pictures()), (Some(1), 2), "it shows something again");
            assert!(!r.saw(None, at(15_999)).1.lost && r.saw(None, at(16_000)).1.lost, "and is lost once more");
        }
    }

    #[test]
    fn a_second_each_for_five_minutes_then_ten_and_not_for_ever() {
        let r = Recording::begin(0, T);
        assert_eq!((r.pace_ms(at(0)), r.pace_ms(at(299_999))), (Some(1_000), Some(1_000)));
        assert_eq!(r.pace_ms(at(300_000)), Some(10_000));
        let slow = r.saw(Some(1), at(400_000)).0;
        assert!(!slow.saw(None, at(419_999)).1.lost && slow.saw(None, at(420_000)).1.lost);
        let full = Recording::<u8>::resume(PICTURES_MAX, T);
        assert_eq!(full.pace_ms(at(1)), None);
        assert!(Recording::<u8>::resume(PICTURES_MAX - 1, T).pace_ms(at(1)).is_some());
    }

    #[test]
    fn after_a_crash_it_goes_on_behind_what_is_kept_and_a_second_opening_begins_a_quick_pace_anew() {
        let (r, seen) = Recording::resume(7, T).saw(Some('x'), at(500));
        assert_eq!((seen.keep, r.pictures()), (Some(7), 8));
        let again = r.again('y', at(600_000));
        assert_eq!((again.pictures(), again.pace_ms(at(600_001))), (9, Some(1_000)));
        assert_eq!(again.saw(Some('y'), at(601_000)).1, Seen::default(), "that one is kept already");
    }

    proptest! {
        /// Numbers follow each other without a gap, whatever the camera does, and no picture is kept twice running.
        #[test]
        fn kept_pictures_are_numbered_without_a_gap(answers in proptest::collection::vec((proptest::option::of(0_u8..4), 0_i64..9_000), 1..60)) {
            let (mut r, mut now, mut next, mut newest) = (Recording::begin(9_u8, T), 0, 1, 9);
            for (answer, after) in answers {
                now += after;
                let (after, seen) = r.saw(answer, at(now));
                r = after;
                if let Some(number) = seen.keep {
                    prop_assert_eq!(number, next);
                    prop_assert!(answer.is_some_and(|a| a != newest) && !seen.lost);
                    next += 1;
                    newest = answer.unwrap_or(newest);
                }
                prop_assert_eq!(r.pictures(), next);
            }
        }
    }
}
