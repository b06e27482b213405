//! What can go wrong between the cloud and a car: whether a command reaches the car, and what the caller hears.
//!
//! A fault's name is `<answer>` with `_acted` or `_not_acted` behind it. Answers: an HTTP status (`500`, `503`, `540`, `429`,
//! …), `timeout` (504), `connection_drop` (the connection ends without an answer), `garbage` (200 with a body that is no
//! JSON), `true` and `false` (the car's yes or no, whatever it did), `odd` (an answer that nobody has listed), `slow` (the right
//! answer, late), `late` (504 now, the car acts afterwards). Of signed commands also `fault_N` (a message fault), `nominal_N`
//! (the car's generic error), `wait`, and `stranger` (the right answer to somebody else's request). Whether a fault strikes is
//! decided by its remaining count, or by a hash of (seed, car, command, attempt), so that a run can be repeated.

use super::car::Order;

use crate::cloud::drawn;

pub const FAULTS_PER_CAR_MAX: usize = 64;
pub const TIMES_MAX: u32 = 1_000;
/// Longest time after which a late command still acts, seconds of the simulator's clock.
pub const AFTER_S_MAX: u32 = 3_600;
/// Longest time an answer is held back, seconds.
pub const SLOW_S_MAX: u32 = 60;

/// What a request is about; a fault is tied to one of these, or to any command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    Order(Order),
    AnyOrder,
    /// One vehicle as the cloud has it.
    Vehicle,
    VehicleData,
    FleetStatus,
    WakeUp,
    /// The beginning of a session for signed commands.
    Handshake,
}
impl Target {
    /// A command's name, `any`, or a reading.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "any" => Self::AnyOrder,
            "vehicle" => Self::Vehicle,
            "vehicle_data" => Self::VehicleData,
            "fleet_status" => Self::FleetStatus,
            "wake_up" => Self::WakeUp,
            "handshake" => Self::Handshake,
            name => Self::Order(Order::parse(name)?),
        })
    }
    const fn code(self) -> &'static str {
        match self {
            Self::Order(order) => order.code(),
            Self::AnyOrder => "any",
            Self::Vehicle => "vehicle",
            Self::VehicleData => "vehicle_data",
            Self::FleetStatus => "fleet_status",
            Self::WakeUp => "wake_up",
            Self::Handshake => "handshake",
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
    Http(u16),
    /// The connection ends without an answer.
    Nothing,
    /// 200 and a body that is no JSON.
    Garbage,
    /// The car's yes or no.
    Result(bool),
    Odd,
    /// The right answer after so many seconds.
    TruthAfterSeconds(u32),
    MessageFault(u32),
    Nominal(u32),
    Wait,
    /// The answer names another request.
    Stranger,
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
    /// Reads a fault's name. `after_s` is for `late` (default 20), `slow_s` for `slow` (default 2).
    ///
    /// # Errors
    /// [`UnknownFault`].
    pub fn parse(name: &str, after_s: Option<u32>, slow_s: Option<u32>) -> Result<Self, UnknownFault> {
        let (answer, acted) = match (name.strip_suffix("_not_acted"), name.strip_suffix("_acted")) {
            (Some(rest), _) => (rest, Some(false)),
            (None, Some(rest)) => (rest, Some(true)),
            (None, None) => (name, None),
        };
        let (hears, by_default) = match answer {
            "late" => (Hears::Http(504), Acts::AfterSeconds(after_s.unwrap_or(20).min(AFTER_S_MAX))),
            "timeout" => (Hears::Http(504), Acts::No),
            "connection_drop" => (Hears::Nothing, Acts::No),
            "garbage" => (Hears::Garbage, Acts::No),
            "true" => (Hears::Result(true), Acts::Now),
            "false" => (Hears::Result(false), Acts::No),
            "odd" => (Hears::Odd, Acts::No),
            "wait" => (Hears::Wait, Acts::No),
            "stranger" => (Hears::Stranger, Acts::Now),
            "slow" => (Hears::TruthAfterSeconds(slow_s.unwrap_or(2).min(SLOW_S_MAX)), Acts::Now),
            other => (Self::numbered(other)?, Acts::No),
        };
        let acts = match acted {
            Some(true) if !matches!(by_default, Acts::AfterSeconds(_)) => Acts::Now,
            Some(false) => Acts::No,
            _ => by_default,
        };
        Ok(Self { acts, hears })
    }
    fn numbered(answer: &str) -> Result<Hears, UnknownFault> {
        let number = |text: &str| text.parse::<u32>().map_err(|_| UnknownFault);
        if let Some(n) = answer.strip_prefix("fault_") {
            return Ok(Hears::MessageFault(number(n)?));
        }
        if let Some(n) = answer.strip_prefix("nominal_") {
            return Ok(Hears::Nominal(number(n)?));
        }
        let code = number(answer)?;
        if (400..600).contains(&code) { Ok(Hears::Http(u16::try_from(code).unwrap_or(500))) } else { Err(UnknownFault) }
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
                let share = drawn(seed, vin, &format!("{} {index}", asked.code()), attempt);
                (share < *rate).then_some((index, fault.effect, false))
            }
        }
    });
    let (index, effect, used_up) = hit?;
    if used_up {
        faults.remove(index);
    }
    Some(effect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_the_car_does_and_what_is_heard() {
        for (name, acts, hears) in [
            ("timeout", Acts::No, Hears::Http(504)),
            ("540_acted", Acts::Now, Hears::Http(540)),
            ("connection_drop_acted", Acts::Now, Hears::Nothing),
            ("true_not_acted", Acts::No, Hears::Result(true)),
            ("false_acted", Acts::Now, Hears::Result(false)),
            ("late", Acts::AfterSeconds(20), Hears::Http(504)),
            ("late_acted", Acts::AfterSeconds(20), Hears::Http(504)),
            ("fault_17", Acts::No, Hears::MessageFault(17)),
            ("nominal_2_acted", Acts::Now, Hears::Nominal(2)),
            ("slow", Acts::Now, Hears::TruthAfterSeconds(2)),
        ] {
            assert_eq!(Effect::parse(name, None, None), Ok(Effect { acts, hears }), "{name}");
        }
        for name in ["", "200", "600", "explode", "acted", "_acted", "fault_", "fault_x"] {
            assert_eq!(Effect::parse(name, None, None), Err(UnknownFault), "{name}");
        }
    }

    #[test]
    fn a_counted_fault_strikes_so_often_and_a_rate_repeats_itself() {
        let effect = Effect::parse("timeout", None, None).unwrap();
        let trunk = Target::Order(Order::RearTrunk);
        let mut faults = vec![Fault { target: trunk, effect, when: When::Times(2) }];
        assert_eq!(strike(&mut faults, Target::Order(Order::Lock), 1, "V", 0), None);
        let struck: Vec<bool> = (0..3).map(|n| strike(&mut faults, trunk, 1, "V", n).is_some()).collect();
        assert_eq!(struck, [true, true, false]);
        let run = |seed| {
            let mut faults = vec![Fault { target: Target::AnyOrder, effect, when: When::Rate(0.25) }];
            (0..4_000).map(|n| strike(&mut faults, trunk, seed, "V", n).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        let share = run(7).iter().filter(|hit| **hit).count() as f64 / 4_000.0;
        assert!((0.22..0.28).contains(&share), "{share}");
    }
}
