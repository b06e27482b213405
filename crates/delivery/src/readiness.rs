//! When a carrier asks whether a car is ready: three fixed slots, so that asking tells nothing of where anybody is.

use parcelshelf_core::time::{Timestamp, Window};

/// The first question comes so long before the window: before vans are loaded.
pub const EVENING_MS: i64 = 12 * 3_600_000;
/// An order for the same day: below this the first question is that of the window's start.
pub const SAME_DAY_MS: i64 = 2 * 3_600_000;

/// Which question.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Slot {
    /// Is it reachable, and permitted?
    EveningBefore,
    /// Is it in the area?
    StartOfWindow,
    /// Both, and awake? Asked when the courier sets out for it.
    TenMinutesBefore,
}
impl Slot {
    pub const ALL: [Self; 3] = [Self::EveningBefore, Self::StartOfWindow, Self::TenMinutesBefore];
    /// The word on the wire.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::EveningBefore => "evening_before",
            Self::StartOfWindow => "start_of_window",
            Self::TenMinutesBefore => "ten_minutes_before",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.code() == code)
    }

    /// The first question about a delivery that has just been allowed for this window, and when.
    #[must_use]
    pub fn first(access: Window, now: Timestamp) -> (Self, Timestamp) {
        if access.start().millis_since(now) < SAME_DAY_MS {
            return (Self::StartOfWindow, access.start().max(now));
        }
        (Self::EveningBefore, access.start().plus_millis(-EVENING_MS).max(now))
    }

    /// What is asked next, and when; the last question waits for the courier.
    #[must_use]
    pub fn next(self, access: Window) -> Option<(Self, Timestamp)> {
        match self {
            Self::EveningBefore => Some((Self::StartOfWindow, access.start())),
            Self::StartOfWindow | Self::TenMinutesBefore => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_for_tomorrow_is_asked_for_in_the_evening_and_at_the_start() {
        let start = Timestamp::from_unix_seconds(1_800_000_000);
        let window = Window::new(start, start.plus_seconds(4 * 3_600)).unwrap();
        let hours = |h: i64| start.plus_seconds(h * 3_600);
        for (now, first) in [
            (hours(-30), (Slot::EveningBefore, hours(-12))),
            (hours(-6), (Slot::EveningBefore, hours(-6))),
            (hours(-2), (Slot::EveningBefore, hours(-2))),
            (hours(-1), (Slot::StartOfWindow, start)),
            (hours(1), (Slot::StartOfWindow, hours(1))),
        ] {
            assert_eq!(Slot::first(window, now), first);
        }
        assert_eq!(Slot::EveningBefore.next(window), Some((Slot::StartOfWindow, start)));
        assert_eq!(Slot::StartOfWindow.next(window), None);
        assert_eq!(Slot::TenMinutesBefore.next(window), None);
        assert!(Slot::ALL.into_iter().all(|s| Slot::parse(s.code()) == Some(s)));
    }
}
