//! What can go wrong between the cloud and a car: whether a command reaches the car, and what the caller hears.
//!
//! A fault's name is `<answer>` with `_acted` or `_not_acted` behind it. Answers to the command itself: an HTTP status
//! (`400`, `401`, `403`, `429`, `504`, …, with the empty body that this maker gives), `timeout` (504), `connection_drop`
//! (the connection ends without an answer), `garbage` (200 with a body that is no JSON), `slow` (the right answer, late),
//! `elsewhere` (a request URL on another host). Answers of the request URL later: `failure`, `error`, `success`,
//! `in_progress` (for ever), `odd` (a status that nobody has listed), `late` (acts and answers after `after_s`). Of a
//! position: `stale` (the update stays pending). Whether a fault strikes is decided by its remaining count, or by a hash of
//! (seed, car, target, attempt), so that a run can be repeated.

use crate::cloud::drawn;

pub const FAULTS_PER_CAR_MAX: usize = 64;
pub const TIMES_MAX: u32 = 1_000;
/// Longest time after which a late command still acts, seconds of the simulator's clock.
pub const AFTER_S_MAX: u32 = 3_600;
/// Longest time an answer is held back, seconds.
pub const SLOW_S_MAX: u32 = 60;

/// The commands, by the name in the path. `unlockDoor` and `lockDoor` are old names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    UnlockTrunk,
    LockTrunk,
    Unlock,
    Lock,
    Alert,
    CancelAlert,
    /// Old API only: asks the car where it is.
    Location,
}
impl Command {
    pub const ALL: [Self; 7] =
        [Self::UnlockTrunk, Self::LockTrunk, Self::Unlock, Self::Lock, Self::Alert, Self::CancelAlert, Self::Location];
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnlockTrunk => "unlockTrunk",
            Self::LockTrunk => "lockTrunk",
            Self::Unlock => "unlock",
            Self::Lock => "lock",
            Self::Alert => "alert",
            Self::CancelAlert => "cancelAlert",
            Self::Location => "location",
        }
    }
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "unlockDoor" => Some(Self::Unlock),
            "lockDoor" => Some(Self::Lock),
            name => Self::ALL.into_iter().find(|c| c.code() == name),
        }
    }
}

/// What a request is about; a fault is tied to one of these, or to any command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    Command(Command),
    AnyCommand,
    /// Details of a car in the garage.
    Details,
    /// The digital twin.
    Position,
    Health,
    /// A request URL.
    Poll,
}
impl Target {
    /// A command's name, `any`, or a reading.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "any" => Self::AnyCommand,
            "details" => Self::Details,
            "position" => Self::Position,
            "health" => Self::Health,
            "poll" => Self::Poll,
            name => Self::Command(Command::parse(name)?),
        })
    }
    const fn code(self) -> &'static str {
        match self {
            Self::Command(command) => command.code(),
            Self::AnyCommand => "any",
            Self::Details => "details",
            Self::Position => "position",
            Self::Health => "health",
            Self::Poll => "poll",
        }
    }
    fn covers(self, asked: Self) -> bool {
        self == asked || matches!((self, asked), (Self::AnyCommand, Self::Command(_)))
    }
}

/// Whether and when the command reaches the car.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acts {
    No,
    /// After the car's own time.
    Yes,
    /// After so many seconds more.
    Later(u32),
}

/// What a request URL says in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    Truth,
    Success,
    Failure,
    Error,
    /// Never ends.
    InProgress,
    /// A status that nobody has listed.
    Odd,
}

/// What the caller hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hears {
    /// A request URL that says this in the end.
    Url(Says),
    /// A request URL on another host.
    UrlElsewhere,
    /// An HTTP status with an empty body.
    Http(u16),
    /// The connection ends without an answer.
    Nothing,
    /// 200 and a body that is no JSON.
    Garbage,
    /// The right answer after so many seconds.
    LateBy(u32),
    /// Positions only: the update stays pending.
    Stale,
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
    /// Reads a fault's name. `after_s` is for `late` (default 30), `slow_s` for `slow` (default 2).
    ///
    /// # Errors
    /// [`UnknownFault`].
    pub fn parse(name: &str, after_s: Option<u32>, slow_s: Option<u32>) -> Result<Self, UnknownFault> {
        let (answer, acted) = match (name.strip_suffix("_not_acted"), name.strip_suffix("_acted")) {
            (Some(rest), _) => (rest, Some(Acts::No)),
            (None, Some(rest)) => (rest, Some(Acts::Yes)),
            (None, None) => (name, None),
        };
        let (hears, by_default) = match answer {
            "timeout" => (Hears::Http(504), Acts::No),
            "connection_drop" => (Hears::Nothing, Acts::No),
            "garbage" => (Hears::Garbage, Acts::No),
            "slow" => (Hears::LateBy(slow_s.unwrap_or(2).min(SLOW_S_MAX)), Acts::Yes),
            "elsewhere" => (Hears::UrlElsewhere, Acts::Yes),
            "failure" => (Hears::Url(Says::Failure), Acts::No),
            "error" => (Hears::Url(Says::Error), Acts::No),
            "success" => (Hears::Url(Says::Success), Acts::Yes),
            "in_progress" => (Hears::Url(Says::InProgress), Acts::No),
            "odd" => (Hears::Url(Says::Odd), Acts::No),
            "late" => (Hears::Url(Says::Truth), Acts::Later(after_s.unwrap_or(30).min(AFTER_S_MAX))),
            "stale" => (Hears::Stale, Acts::No),
            code => match code.parse::<u16>() {
                Ok(code) if (400..600).contains(&code) => (Hears::Http(code), Acts::No),
                _ => return Err(UnknownFault),
            },
        };
        Ok(Self { acts: acted.unwrap_or(by_default), hears })
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

    #[test]
    fn names_say_what_the_car_does_and_what_is_heard() {
        for (name, acts, hears) in [
            ("timeout", Acts::No, Hears::Http(504)),
            ("timeout_acted", Acts::Yes, Hears::Http(504)),
            ("400", Acts::No, Hears::Http(400)),
            ("503_acted", Acts::Yes, Hears::Http(503)),
            ("connection_drop_acted", Acts::Yes, Hears::Nothing),
            ("failure", Acts::No, Hears::Url(Says::Failure)),
            ("failure_acted", Acts::Yes, Hears::Url(Says::Failure)),
            ("success_not_acted", Acts::No, Hears::Url(Says::Success)),
            ("in_progress_acted", Acts::Yes, Hears::Url(Says::InProgress)),
            ("late", Acts::Later(30), Hears::Url(Says::Truth)),
            ("slow", Acts::Yes, Hears::LateBy(2)),
        ] {
            assert_eq!(Effect::parse(name, None, None), Ok(Effect { acts, hears }), "{name}");
        }
        for name in ["", "200", "600", "explode", "acted", "_acted"] {
            assert_eq!(Effect::parse(name, None, None), Err(UnknownFault), "{name}");
        }
    }

    #[test]
    fn a_counted_fault_strikes_so_often_and_a_rate_repeats_itself() {
        let effect = Effect::parse("timeout", None, None).unwrap();
        let unlock = Target::Command(Command::UnlockTrunk);
        let mut faults = vec![Fault { target: unlock, effect, when: When::Times(2) }];
        assert_eq!(strike(&mut faults, Target::Command(Command::LockTrunk), 1, "V", 0), None);
        let struck: Vec<bool> = (0..3).map(|n| strike(&mut faults, unlock, 1, "V", n).is_some()).collect();
        assert_eq!(struck, [true, true, false]);
        let run = |seed| {
            let mut faults = vec![Fault { target: Target::AnyCommand, effect, when: When::Rate(0.25) }];
            (0..4_000).map(|n| strike(&mut faults, unlock, seed, "V", n).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let share = run(7).iter().filter(|hit| **hit).count() as f64 / 4_000.0;
        assert!((0.22..0.28).contains(&share), "{share}");
    }
}
