//! A car that more than one wallet has linked: who is heard about whom.
//!
//! Somebody who knows an account at a maker could link a car in secret and follow whoever drives it. So whoever linked the
//! car before and has proved possession of it is told of every later wallet, and that wallet waits until one of them
//! confirms it or [`WAIT_HOURS`](crate::possession::WAIT_HOURS) have passed. An earlier wallet may refuse at any time, later, too.

use parcelshelf_core::id::VehicleId;
use parcelshelf_core::time::Timestamp;

use crate::possession::{Standing, standing};

/// Wallets that may have linked one car: families and a few who never tidy up.
pub const LINKS_MAX: usize = 16;

/// What an earlier wallet has said.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Said {
    Nothing,
    Confirmed,
    /// By the wallet that has linked the car under this name.
    Refused {
        by: VehicleId,
    },
}

/// One wallet's link to a car.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Link {
    /// The wallet's own name of the car.
    pub vehicle: VehicleId,
    pub linked_at: Timestamp,
    pub proved_at: Option<Timestamp>,
    /// Others were told, and it waits until then.
    pub waits_until: Option<Timestamp>,
    pub said: Said,
}

/// Whether a link may be used.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    Free,
    Waits {
        until: Timestamp,
    },
    /// For as long as whoever refused has proved possession.
    Refused,
}

/// Whether `elder` is heard about `link`: it linked the car before, has proved possession not too long ago, and may itself be
/// used; else somebody who was refused would confirm a wallet of their own. Equal times count for nobody.
#[must_use]
pub fn is_heard(elder: &Link, link: &Link, all: &[Link], now: Timestamp) -> bool {
    let stands = !matches!(standing(elder.proved_at, now), Standing::Never | Standing::TooOld);
    let before = elder.vehicle != link.vehicle && elder.linked_at < link.linked_at;
    // Each step asks about a link that is older still: it ends.
    before && stands && judge(elder, all, now) == Verdict::Free
}

/// Until when a link waits, if it must and does not yet. Asked when a car is linked and when possession is proved, for
/// of two that link at once the one that proves possession first is heard about the other.
#[must_use]
pub fn begin_wait(link: &Link, all: &[Link], now: Timestamp, hours: u32) -> Option<Timestamp> {
    let told = all.iter().any(|elder| is_heard(elder, link, all, now));
    let begins = told && link.waits_until.is_none() && link.said == Said::Nothing;
    begins.then(|| now.plus_seconds(i64::from(hours) * 3_600))
}

/// Judges a link.
#[must_use]
pub fn judge(link: &Link, all: &[Link], now: Timestamp) -> Verdict {
    match link.said {
        Said::Confirmed => Verdict::Free,
        Said::Refused { by } if all.iter().any(|l| l.vehicle == by && is_heard(l, link, all, now)) => Verdict::Refused,
        Said::Refused { .. } | Said::Nothing => match link.waits_until {
            Some(until) if now < until => Verdict::Waits { until },
            _ => Verdict::Free,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::possession::{PROOF_DAYS, WAIT_HOURS};

    const T: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const HOUR: i64 = 3_600;

    fn link(n: u8, linked_h: i64, proved_h: Option<i64>) -> Link {
        Link {
            vehicle: VehicleId::from_bytes([n; 16]),
            linked_at: T.plus_seconds(linked_h * HOUR),
            proved_at: proved_h.map(|h| T.plus_seconds(h * HOUR)),
            waits_until: None,
            said: Said::Nothing,
        }
    }

    #[test]
    fn only_who_linked_before_and_proved_possession_is_heard() {
        let second = link(2, 10, None);
        for (elder, heard) in [
            (link(1, 0, Some(1)), true),
            (link(1, 0, None), false),
            (link(1, 10, Some(10)), false),
            (link(1, 11, Some(11)), false),
            (link(2, 0, Some(1)), false),
            (link(1, 0, Some(-24 * PROOF_DAYS)), false),
        ] {
            assert_eq!(is_heard(&elder, &second, &[elder, second], T.plus_seconds(12 * HOUR)), heard, "{elder:?}");
        }
    }

    #[test]
    fn a_second_link_waits_for_a_word_or_72_hours_and_a_first_one_for_nothing() {
        let (first, mut second) = (link(1, 0, Some(1)), link(2, 10, None));
        let now = T.plus_seconds(10 * HOUR);
        assert_eq!(begin_wait(&first, &[first, second], now, WAIT_HOURS), None);
        assert_eq!(judge(&first, &[first, second], now), Verdict::Free);
        let until = begin_wait(&second, &[first, second], now, WAIT_HOURS).unwrap();
        assert_eq!(until, now.plus_seconds(72 * HOUR));
        second.waits_until = Some(until);
        let all = [first, second];
        assert_eq!(begin_wait(&second, &all, now.plus_seconds(HOUR), WAIT_HOURS), None, "it does not begin anew");
        assert_eq!(judge(&second, &all, until.plus_millis(-1)), Verdict::Waits { until });
        assert_eq!(judge(&second, &all, until), Verdict::Free);
        let confirmed = Link { said: Said::Confirmed, ..second };
        assert_eq!(judge(&confirmed, &[first, confirmed], now), Verdict::Free);
    }

    #[test]
    fn a_refusal_stands_while_whoever_said_it_has_the_car() {
        let first = link(1, 0, Some(1));
        let mut second = link(2, 10, Some(11));
        (second.waits_until, second.said) =
            (Some(T.plus_seconds(82 * HOUR)), Said::Refused { by: VehicleId::from_bytes([1; 16]) });
        let late = T.plus_seconds(400 * HOUR);
        assert_eq!(judge(&second, &[first, second], late), Verdict::Refused);
        // The car was sold: nobody proves possession for the old wallet any more, or it has let the car go.
        let lapsed = T.plus_seconds(HOUR + PROOF_DAYS * 86_400);
        assert_eq!(judge(&second, &[first, second], lapsed), Verdict::Free);
        assert_eq!(judge(&second, &[second], late), Verdict::Free);
        // Nobody younger refuses an elder.
        let third = link(3, 20, Some(21));
        let spiteful = Link { said: Said::Refused { by: third.vehicle }, ..first };
        assert_eq!(judge(&spiteful, &[spiteful, third], late), Verdict::Free);
    }
    #[test]
    fn who_waits_or_was_refused_is_not_heard_about_anybody() {
        let (first, third) = (link(1, 0, Some(1)), link(3, 20, None));
        let waiting = Link { waits_until: Some(T.plus_seconds(82 * HOUR)), ..link(2, 10, Some(11)) };
        let refused = Link { said: Said::Refused { by: first.vehicle }, ..waiting };
        let now = T.plus_seconds(21 * HOUR);
        for second in [waiting, refused] {
            assert!(!is_heard(&second, &third, &[first, second, third], now), "{second:?}");
        }
        let confirmed = Link { said: Said::Confirmed, ..waiting };
        assert!(is_heard(&confirmed, &third, &[first, confirmed, third], now));
        assert!(is_heard(&waiting, &third, &[first, waiting, third], T.plus_seconds(82 * HOUR)));
    }
}
