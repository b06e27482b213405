//! What can go wrong between the cloud and a car: whether a command reaches the car, and what the caller hears.
//!
//! A fault's name is `<answer>` with `_acted` or `_not_acted` behind it. Answers: an `invokeStatus` in lower case
//! (`timeout`, `car_error`, `delivered`, `completed`, …), an HTTP status (`422`, `500`, `503`, `429`, …),
//! `connection_drop` (the connection ends without an answer), `garbage` (200 with a body that is no JSON), `slow`
//! (the right answer, late), and `late` (TIMEOUT now, the car acts afterwards). Whether a fault strikes is decided by
//! its remaining count, or by a hash of (seed, car, command, attempt), so that a run can be repeated.

use crate::cloud::drawn;

pub const FAULTS_PER_CAR_MAX: usize = 64;
pub const TIMES_MAX: u32 = 1_000;
/// Longest time after which a late command still acts, seconds of the simulator's clock.
pub const AFTER_S_MAX: u32 = 3_600;
/// Longest time an answer is held back, real seconds.
pub const SLOW_S_MAX: u32 = 60;

/// The published statuses of a command.
pub const INVOKE_STATUSES: [&str; 22] = [
    "COMPLETED",
    "SUCCESS",
    "DELIVERED",
    "WAITING",
    "SENT",
    "RUNNING",
    "TIMEOUT",
    "CAR_TIMEOUT",
    "DELIVERY_TIMEOUT",
    "CONNECTION_FAILURE",
    "UNKNOWN",
    "CAR_ERROR",
    "INVOCATION_SPECIFIC_ERROR",
    "REJECTED",
    "NOT_SUPPORTED",
    "VEHICLE_IN_SLEEP",
    "CAR_IN_SLEEP_MODE",
    "EXPIRED",
    "NOT_ALLOWED_PRIVACY_ENABLED",
    "NOT_ALLOWED_WRONG_USAGE_MODE",
    "UNABLE_TO_LOCK_DOOR_OPEN",
    "UNLOCK_TIME_FRAME_PASSED",
];

/// What a request is about; a fault is tied to one of these, or to any command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    Order(super::car::Order),
    AnyOrder,
    Details,
    Commands,
    Accessibility,
    Doors,
    Windows,
    Location,
}
impl Target {
    /// A command's path (`unlock`, `lock`, `flash`, …), `any`, or a reading (`doors`, `location`, …).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(order) = super::car::Order::parse_path(text) {
            return Some(Self::Order(order));
        }
        Some(match text {
            "any" => Self::AnyOrder,
            "details" => Self::Details,
            "commands" => Self::Commands,
            "command-accessibility" => Self::Accessibility,
            "doors" => Self::Doors,
            "windows" => Self::Windows,
            "location" => Self::Location,
            _ => return None,
        })
    }
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Order(order) => order.path(),
            Self::AnyOrder => "any",
            Self::Details => "details",
            Self::Commands => "commands",
            Self::Accessibility => "command-accessibility",
            Self::Doors => "doors",
            Self::Windows => "windows",
            Self::Location => "location",
        }
    }
    fn covers(self, asked: Self) -> bool {
        self == asked || matches!((self, asked), (Self::AnyOrder, Self::Order(_)))
    }
}

/// Whether and when the command reaches the car.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acts {
    No,
    Now,
    AfterSeconds(u32),
}

/// What the caller hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hears {
    Status(&'static str),
    Http(u16),
    /// The connection ends without an answer.
    Nothing,
    /// 200 and a body that is no JSON.
    Garbage,
    /// The right answer after so many real seconds.
    TruthAfterSeconds(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    pub acts: Acts,
    pub hears: Hears,
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    Times(u32),
    /// Share of attempts, 0 to 1.
    Rate(f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    pub target: Target,
    pub effect: Effect,
    pub when: When,
}

/// Why a text is no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown fault; see /__sim/help")]
pub struct UnknownFault;

impl Effect {
    /// Reads a fault's name. `after_s` is for `late` and unfinished statuses (default 20), `slow_s` for `slow` (default 2).
    ///
    /// # Errors
    /// [`UnknownFault`].
    pub fn parse(name: &str, after_s: Option<u32>, slow_s: Option<u32>) -> Result<Self, UnknownFault> {
        let (answer, acted) = match (name.strip_suffix("_not_acted"), name.strip_suffix("_acted")) {
            (Some(rest), _) => (rest, Some(false)),
            (None, Some(rest)) => (rest, Some(true)),
            (None, None) => (name, None),
        };
        let after = after_s.unwrap_or(20).min(AFTER_S_MAX);
        let (hears, by_default) = match answer {
            "late" => (Hears::Status("TIMEOUT"), Acts::AfterSeconds(after)),
            "connection_drop" => (Hears::Nothing, Acts::No),
            "garbage" => (Hears::Garbage, Acts::No),
            "slow" => (Hears::TruthAfterSeconds(slow_s.unwrap_or(2).min(SLOW_S_MAX)), Acts::Now),
            other => Self::status(other, after)?,
        };
        let acts = match acted {
            Some(true) if !matches!(by_default, Acts::AfterSeconds(_)) => Acts::Now,
            Some(false) => Acts::No,
            _ => by_default,
        };
        Ok(Self { acts, hears })
    }
    fn status(answer: &str, after: u32) -> Result<(Hears, Acts), UnknownFault> {
        if let Ok(code) = answer.parse::<u16>() {
            return if (400..600).contains(&code) { Ok((Hears::Http(code), Acts::No)) } else { Err(UnknownFault) };
        }
        let status = INVOKE_STATUSES.into_iter().find(|s| s.eq_ignore_ascii_case(answer)).ok_or(UnknownFault)?;
        let acts = match status {
            "COMPLETED" | "SUCCESS" | "DELIVERED" => Acts::Now,
            "WAITING" | "SENT" | "RUNNING" => Acts::AfterSeconds(after),
            _ => Acts::No,
        };
        Ok((Hears::Status(status), acts))
    }
}

/// The first fault that strikes; a counted one is used up by one. `attempt` counts the requests of this kind to this car.
pub fn strike(faults: &mut Vec<Fault>, asked: Target, seed: u64, vin: &str, attempt: u64) -> Option<Effect> {
    let hit = faults.iter_mut().enumerate().find_map(|(index, fault)| {
        if !fault.target.covers(asked) {
            return None;
        }
        match &mut fault.when {
            When::Times(left) => {
                *left = left.saturating_sub(1);
                Some((index, fault.effect, *left == 0))
            }
            When::Rate(rate) => {
                (share(seed, vin, asked, index, attempt) < *rate).then_some((index, fault.effect, false))
            }
        }
    });
    let (index, effect, used_up) = hit?;
    if used_up {
        faults.remove(index);
    }
    Some(effect)
}

fn share(seed: u64, vin: &str, asked: Target, index: usize, attempt: u64) -> f64 {
    drawn(seed, vin, &format!("{} {index}", asked.code()), attempt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volvo::car::Order;

    #[test]
    fn names_say_what_the_car_does_and_what_is_heard() {
        for (name, acts, hears) in [
            ("timeout_acted", Acts::Now, Hears::Status("TIMEOUT")),
            ("timeout_not_acted", Acts::No, Hears::Status("TIMEOUT")),
            ("timeout", Acts::No, Hears::Status("TIMEOUT")),
            ("late", Acts::AfterSeconds(20), Hears::Status("TIMEOUT")),
            ("422", Acts::No, Hears::Http(422)),
            ("422_acted", Acts::Now, Hears::Http(422)),
            ("500_acted", Acts::Now, Hears::Http(500)),
            ("connection_drop_acted", Acts::Now, Hears::Nothing),
            ("connection_drop_not_acted", Acts::No, Hears::Nothing),
            ("garbage_acted", Acts::Now, Hears::Garbage),
            ("car_error", Acts::No, Hears::Status("CAR_ERROR")),
            ("delivered", Acts::Now, Hears::Status("DELIVERED")),
            ("delivered_not_acted", Acts::No, Hears::Status("DELIVERED")),
            ("completed_not_acted", Acts::No, Hears::Status("COMPLETED")),
            ("running", Acts::AfterSeconds(20), Hears::Status("RUNNING")),
            ("slow", Acts::Now, Hears::TruthAfterSeconds(2)),
        ] {
            assert_eq!(Effect::parse(name, None, None), Ok(Effect { acts, hears }), "{name}");
        }
        for name in ["", "200", "301", "600", "explode", "acted", "_acted"] {
            assert_eq!(Effect::parse(name, None, None), Err(UnknownFault), "{name}");
        }
    }

    #[test]
    fn a_counted_fault_strikes_its_command_so_often_and_no_more() {
        let effect = Effect::parse("timeout", None, None).unwrap();
        let unlock = Target::Order(Order::Unlock);
        let mut faults = vec![Fault { target: unlock, effect, when: When::Times(2) }];
        assert_eq!(strike(&mut faults, Target::Order(Order::Lock), 1, "V", 0), None);
        assert_eq!(strike(&mut faults, Target::Doors, 1, "V", 0), None);
        assert_eq!(strike(&mut faults, unlock, 1, "V", 0), Some(effect));
        assert_eq!(strike(&mut faults, unlock, 1, "V", 1), Some(effect));
        assert_eq!(strike(&mut faults, unlock, 1, "V", 2), None);
        assert!(faults.is_empty());
    }

    #[test]
    fn a_rate_is_kept_and_repeats_itself() {
        let effect = Effect::parse("timeout", None, None).unwrap();
        let run = |seed| {
            let mut faults = vec![Fault { target: Target::AnyOrder, effect, when: When::Rate(0.25) }];
            (0..4_000)
                .map(|n| strike(&mut faults, Target::Order(Order::Unlock), seed, "V", n).is_some())
                .collect::<Vec<_>>()
        };
        let first = run(7);
        assert_eq!(first, run(7));
        assert_ne!(first, run(8));
        let share = first.iter().filter(|hit| **hit).count() as f64 / 4_000.0;
        assert!((0.22..0.28).contains(&share), "{share}");
    }
}
