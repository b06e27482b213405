//! Proof that somebody stands at the car and can open it: doors in an order that is drawn and prompted one by one.
//!
//! Judged by the maker's time per door, within 15 minutes of the first prompt. Whoever only holds the account cannot
//! do it; whoever watches cannot know the next door.

use parcelshelf_core::time::Timestamp;

pub mod doorway;

/// Whole proof, from the first prompt, milliseconds.
pub const POSSESSION_WITHIN_MS: i64 = 15 * 60_000;
/// Fewest prompts: 24 orders of four doors make a lucky guess rare, two prompts would not.
pub const PROMPTS_MIN: usize = 3;
/// Most prompts: longer tries patience, not security.
pub const PROMPTS_MAX: usize = 6;
/// A maker's time may lie this much before our prompt and still count: whole seconds and clocks differ.
pub const CLOCK_SKEW_MS: i64 = 2_000;

/// A door as adapters name them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Door {
    FrontLeft,
    FrontRight,
    RearLeft,
    RearRight,
    Lid,
}
impl Door {
    pub const ALL: [Self; 5] = [Self::FrontLeft, Self::FrontRight, Self::RearLeft, Self::RearRight, Self::Lid];
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::FrontLeft => "front_left",
            Self::FrontRight => "front_right",
            Self::RearLeft => "rear_left",
            Self::RearRight => "rear_right",
            Self::Lid => "lid",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.code() == code)
    }
}

/// One prompt: open (and close) this door now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Prompt {
    pub door: Door,
    pub prompted_at: Timestamp,
}

/// A change of a door, by the maker's time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DoorChange {
    pub door: Door,
    pub changed_at: Timestamp,
}

/// Where a proof stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    Proved,
    /// So many prompts are fulfilled; the next is due.
    Waiting {
        fulfilled: usize,
    },
    Failed(Failure),
}
impl Verdict {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Waiting { .. } => "waiting",
            Self::Failed(failure) => failure.code(),
        }
    }
}

/// Why a proof failed; a new one starts with a new order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Failure {
    /// More than 15 minutes.
    TooLate,
    /// A door that was not prompted changed in between.
    WrongDoor,
    /// A command moved what a hand was asked to move.
    Commanded,
    /// Too few or too many prompts, the same door twice in a row, or prompts not in order of time.
    BadPrompts,
}
impl Failure {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLate => "too_late",
            Self::WrongDoor => "wrong_door",
            Self::Commanded => "commanded",
            Self::BadPrompts => "bad_prompts",
        }
    }
}

/// Where a car reports no doors, possession is proved by this long a wait after a notice: hours.
pub const WAIT_HOURS: u32 = 72;

/// Until when such a wait lasts. Asking again does not begin it anew, nor shorten it.
#[must_use]
pub const fn wait_until(begun: Option<Timestamp>, now: Timestamp, hours: u32) -> Timestamp {
    match begun {
        Some(until) => until,
        None => now.plus_seconds(hours as i64 * 3_600),
    }
}

/// Judges a wait.
#[must_use]
pub fn judge_wait(until: Timestamp, now: Timestamp) -> Verdict {
    if now >= until { Verdict::Proved } else { Verdict::Waiting { fulfilled: 0 } }
}

/// A proof of possession counts this many days: cars are sold and keys change hands.
pub const PROOF_DAYS: i64 = 90;
/// The owner is told to prove it again this many days before.
pub const PROOF_TOLD_DAYS: i64 = 14;

/// How good a proof of possession is now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Standing {
    Never,
    Stands {
        until: Timestamp,
    },
    /// Still good, but to be proved again soon.
    Due {
        until: Timestamp,
    },
    /// Nothing is granted, located or opened with it. Locking goes on.
    TooOld,
}

/// Judges the age of a proof.
#[must_use]
pub fn standing(proved_at: Option<Timestamp>, now: Timestamp) -> Standing {
    let Some(proved_at) = proved_at else { return Standing::Never };
    let until = proved_at.plus_seconds(PROOF_DAYS * 86_400);
    if now >= until {
        Standing::TooOld
    } else if now >= until.plus_seconds(-PROOF_TOLD_DAYS * 86_400) {
        Standing::Due { until }
    } else {
        Standing::Stands { until }
    }
}

/// An order of `count` doors out of those this car reports, drawn with the caller's random bytes. No door twice in a
/// row. `None` if the car reports fewer than two doors (then 72 hours' wait and a notice stand in) or too few bytes.
#[must_use]
pub fn order(reported: &[Door], count: usize, random: &[u8]) -> Option<Vec<Door>> {
    let mut doors: Vec<Door> = reported.to_vec();
    doors.sort_unstable();
    doors.dedup();
    if doors.len() < 2 || !(PROMPTS_MIN..=PROMPTS_MAX).contains(&count) || random.len() < count {
        return None;
    }
    let mut drawn: Vec<Door> = Vec::with_capacity(count);
    for byte in &random[..count] {
        let choices: Vec<Door> = doors.iter().copied().filter(|d| drawn.last() != Some(d)).collect();
        drawn.push(choices[usize::from(*byte) % choices.len()]);
    }
    Some(drawn)
}

/// Judges the prompts given so far against the changes seen so far. `count` prompts make the proof.
///
/// A prompt is fulfilled by a change of its door at or after the prompt; the next prompt is given only after that. A
/// change of another door between a prompt and its fulfilment fails the proof, once a door has been fulfilled: before
/// the first one the owner may still be getting out of the car.
#[must_use]
pub fn judge(prompts: &[Prompt], count: usize, changes: &[DoorChange], now: Timestamp) -> Verdict {
    if !sane(prompts, count) {
        return Verdict::Failed(Failure::BadPrompts);
    }
    let Some(first) = prompts.first() else { return Verdict::Waiting { fulfilled: 0 } };
    let deadline = first.prompted_at.plus_millis(POSSESSION_WITHIN_MS);
    let mut not_before = first.prompted_at.plus_millis(-CLOCK_SKEW_MS);
    for (fulfilled, prompt) in prompts.iter().enumerate() {
        let from = not_before.max(prompt.prompted_at.plus_millis(-CLOCK_SKEW_MS));
        let hit = changes.iter().filter(|c| c.door == prompt.door && c.changed_at >= from).map(|c| c.changed_at).min();
        let Some(at) = hit else {
            let late = now > deadline;
            return if late { Verdict::Failed(Failure::TooLate) } else { Verdict::Waiting { fulfilled } };
        };
        if at > deadline {
            return Verdict::Failed(Failure::TooLate);
        }
        let previous = fulfilled.checked_sub(1).map(|i| prompts[i].door);
        let strange = |c: &&DoorChange| c.door != prompt.door && Some(c.door) != previous;
        let between = |c: &&DoorChange| c.changed_at > prompt.prompted_at && c.changed_at < at;
        if fulfilled > 0 && changes.iter().filter(strange).any(|c| between(&c)) {
            return Verdict::Failed(Failure::WrongDoor);
        }
        not_before = at;
    }
    if prompts.len() == count { Verdict::Proved } else { Verdict::Waiting { fulfilled: prompts.len() } }
}

fn sane(prompts: &[Prompt], count: usize) -> bool {
    (PROMPTS_MIN..=PROMPTS_MAX).contains(&count)
        && prompts.len() <= count
        && prompts.windows(2).all(|w| w[0].door != w[1].door && w[0].prompted_at <= w[1].prompted_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn prompts() -> Vec<Prompt> {
        [(Door::RearLeft, 0), (Door::FrontRight, 30), (Door::Lid, 60)]
            .map(|(door, s)| Prompt { door, prompted_at: T.plus_seconds(s) })
            .to_vec()
    }
    fn changes(at: [(Door, i64); 3]) -> Vec<DoorChange> {
        at.map(|(door, s)| DoorChange { door, changed_at: T.plus_seconds(s) }).to_vec()
    }

    #[test]
    fn a_car_that_reports_no_doors_is_waited_for_and_asking_again_changes_nothing() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let until = wait_until(None, now, WAIT_HOURS);
        assert_eq!(until, now.plus_seconds(72 * 3_600));
        let later = now.plus_seconds(3_600);
        assert_eq!(wait_until(Some(until), later, WAIT_HOURS), until);
        assert_eq!(judge_wait(until, until.plus_millis(-1)), Verdict::Waiting { fulfilled: 0 });
        assert_eq!(judge_wait(until, until), Verdict::Proved);
    }

    #[test]
    fn a_proof_stands_for_90_days_and_is_due_14_days_before() {
        let day = |n: i64| T.plus_seconds(n * 86_400);
        let until = day(90);
        for (now, expected) in [
            (T, Standing::Stands { until }),
            (day(76).plus_millis(-1), Standing::Stands { until }),
            (day(76), Standing::Due { until }),
            (until.plus_millis(-1), Standing::Due { until }),
            (until, Standing::TooOld),
        ] {
            assert_eq!(standing(Some(T), now), expected);
        }
        assert_eq!(standing(None, T), Standing::Never);
    }

    #[test]
    fn who_opens_the_doors_as_prompted_has_the_car() {
        let done = changes([(Door::RearLeft, 10), (Door::FrontRight, 40), (Door::Lid, 70)]);
        assert_eq!(judge(&prompts(), 3, &done, T.plus_seconds(75)), Verdict::Proved);
        assert_eq!(judge(&prompts(), 3, &done[..2], T.plus_seconds(75)), Verdict::Waiting { fulfilled: 2 });
        assert_eq!(judge(&prompts()[..1], 3, &done[..1], T.plus_seconds(12)), Verdict::Waiting { fulfilled: 1 });
    }

    #[test]
    fn changes_from_before_the_prompt_prove_nothing() {
        let old = changes([(Door::RearLeft, -60), (Door::FrontRight, -50), (Door::Lid, -40)]);
        assert_eq!(judge(&prompts(), 3, &old, T.plus_seconds(75)), Verdict::Waiting { fulfilled: 0 });
        let one_early = changes([(Door::RearLeft, 10), (Door::FrontRight, 12), (Door::Lid, 70)]);
        assert_eq!(judge(&prompts(), 3, &one_early, T.plus_seconds(75)), Verdict::Waiting { fulfilled: 1 });
    }

    #[test]
    fn another_door_or_a_quarter_of_an_hour_fails() {
        let mut strange = changes([(Door::RearLeft, 10), (Door::FrontRight, 40), (Door::Lid, 70)]);
        strange.push(DoorChange { door: Door::RearRight, changed_at: T.plus_seconds(35) });
        assert_eq!(judge(&prompts(), 3, &strange, T.plus_seconds(75)), Verdict::Failed(Failure::WrongDoor));
        let late = changes([(Door::RearLeft, 10), (Door::FrontRight, 40), (Door::Lid, 901)]);
        assert_eq!(judge(&prompts(), 3, &late, T.plus_seconds(905)), Verdict::Failed(Failure::TooLate));
        assert_eq!(judge(&prompts(), 3, &late[..2], T.plus_seconds(905)), Verdict::Failed(Failure::TooLate));
    }

    /// Two clocks and whole seconds: up to two seconds before the prompt may be after it, and the deadline still counts.
    #[test]
    fn what_counts_is_told_to_the_second() {
        let skew = CLOCK_SKEW_MS / 1_000;
        let deadline = POSSESSION_WITHIN_MS / 1_000;
        let judged = |at: [(Door, i64); 3], now: i64| judge(&prompts(), 3, &changes(at), T.plus_seconds(now));
        let early = [(Door::RearLeft, -skew), (Door::FrontRight, 30 - skew), (Door::Lid, 60 - skew)];
        assert_eq!(judged(early, 75), Verdict::Proved);
        let too_early = [(Door::RearLeft, -skew - 1), (Door::FrontRight, 40), (Door::Lid, 70)];
        assert_eq!(judged(too_early, 75), Verdict::Waiting { fulfilled: 0 });
        let in_time = [(Door::RearLeft, 10), (Door::FrontRight, 40), (Door::Lid, deadline)];
        assert_eq!(judged(in_time, deadline + 9), Verdict::Proved);
        let one_waits = judge(&prompts(), 3, &changes(in_time)[..2], T.plus_seconds(deadline));
        assert_eq!(one_waits, Verdict::Waiting { fulfilled: 2 }, "the last second is still in time");
    }

    #[test]
    fn who_shuts_the_last_door_or_gets_out_at_first_opens_no_strange_one() {
        let done = [(Door::RearLeft, 10), (Door::FrontRight, 40), (Door::Lid, 70)];
        for (door, at, verdict) in [
            (Door::RearLeft, 35, Verdict::Proved),
            (Door::FrontLeft, 5, Verdict::Proved),
            (Door::FrontLeft, 30, Verdict::Proved),
            (Door::FrontLeft, 31, Verdict::Failed(Failure::WrongDoor)),
            (Door::FrontLeft, 39, Verdict::Failed(Failure::WrongDoor)),
            (Door::FrontLeft, 40, Verdict::Proved),
            (Door::FrontLeft, 65, Verdict::Failed(Failure::WrongDoor)),
        ] {
            let mut seen = changes(done);
            seen.push(DoorChange { door, changed_at: T.plus_seconds(at) });
            assert_eq!(judge(&prompts(), 3, &seen, T.plus_seconds(75)), verdict, "{door:?} at {at} s");
        }
    }

    #[test]
    fn prompts_that_nobody_gives_prove_nothing() {
        let bad = Verdict::Failed(Failure::BadPrompts);
        let given = |doors: [(Door, i64); 3], count| {
            let prompts = doors.map(|(door, s)| Prompt { door, prompted_at: T.plus_seconds(s) });
            judge(&prompts, count, &[], T.plus_seconds(75))
        };
        assert_eq!(given([(Door::Lid, 0), (Door::Lid, 30), (Door::RearLeft, 60)], 3), bad, "twice in a row");
        assert_eq!(given([(Door::Lid, 0), (Door::RearLeft, 30), (Door::Lid, 20)], 3), bad, "out of order");
        assert_eq!(given([(Door::Lid, 0), (Door::RearLeft, 0), (Door::Lid, 0)], 3), Verdict::Waiting { fulfilled: 0 });
        for count in [PROMPTS_MIN - 1, PROMPTS_MAX + 1] {
            assert_eq!(judge(&prompts()[..2], count, &[], T), bad, "{count}");
        }
        let more: Vec<Prompt> = prompts().into_iter().chain(prompts()).collect();
        assert_eq!(judge(&more[..4], 3, &[], T.plus_seconds(75)), bad, "more than make a proof");
    }

    #[test]
    fn an_order_never_repeats_a_door_at_once_and_needs_two_doors() {
        for seed in 0..=255u8 {
            let random = [seed, seed.wrapping_mul(31), seed ^ 0x5a, seed.rotate_left(3)];
            let drawn = order(&Door::ALL, 4, &random).unwrap();
            assert!(drawn.windows(2).all(|w| w[0] != w[1]));
        }
        assert_eq!(order(&[Door::Lid, Door::Lid], 3, &[0; 8]), None);
        let (lid, left) = (Door::Lid, Door::FrontLeft);
        assert_eq!(order(&[lid, left], 3, &[0; 3]), Some(vec![left, lid, left]), "two are enough");
        assert_eq!(order(&Door::ALL, 4, &[0; 3]), None);
        assert_eq!(judge(&[], 2, &[], T), Verdict::Failed(Failure::BadPrompts));
    }
}
