//! What can go wrong between the server and a door: whether a command reaches the drive, what the caller hears, and what a
//! look at a state brings.
//!
//! A fault's name is `<answer>` with `_acted`, `_not_acted` or `_late` behind it (`_late`: the drive hears it `after_s` later).
//! Answers: `success` (200 and a list of what has changed, which is nothing where nothing moved), an HTTP status (`400` to
//! `599`), `garbage` (200 with a body that is no JSON), `connection_drop` (the connection ends without an answer) and `slow`
//! (the right answer, `slow_s` later). A look knows the same names without an end. Whether a fault strikes is decided by its
//! remaining count, or by a hash of (seed, door, target, attempt), so that a run can be repeated.

use serde::Deserialize;

use crate::cloud::drawn;

pub const FAULTS_PER_DOOR_MAX: usize = 64;
const TIMES_MAX: u32 = 1_000;
/// Longest time after which a late command still reaches the drive: seconds. The server itself gives up before.
const AFTER_S_MAX: u32 = 600;
/// Longest time for which an answer is held back: seconds.
const SLOW_S_MAX: u32 = 120;

/// What a request is about; a fault is tied to one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Open,
    Close,
    Unlock,
    Lock,
    /// Any of these.
    AnyCommand,
    /// A look at the door.
    Cover,
    /// A look at the sensor in its doorway.
    Obstruction,
    /// A look at where the house stands, by this door's person.
    House,
    /// A look at a front door's lock.
    Bolt,
    /// A look at the sensor at its leaf.
    Contact,
    /// A picture of its camera, and a look at whether there is one.
    Still,
    /// Its light: a look at it.
    Light,
    /// It is told to go on, and off.
    LightOn,
    LightOff,
}
impl Target {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "open_cover" => Self::Open,
            "close_cover" => Self::Close,
            "unlock" => Self::Unlock,
            "lock" => Self::Lock,
            "any" => Self::AnyCommand,
            "cover" => Self::Cover,
            "obstruction" => Self::Obstruction,
            "house" => Self::House,
            "bolt" => Self::Bolt,
            "contact" => Self::Contact,
            "still" => Self::Still,
            "light" => Self::Light,
            _ => return None,
        })
    }
    /// A service as the server names it.
    pub fn service(domain: &str, service: &str) -> Option<Self> {
        Some(match (domain, service) {
            ("cover", "open_cover") => Self::Open,
            ("cover", "close_cover") => Self::Close,
            ("lock", "unlock") => Self::Unlock,
            ("lock", "lock") => Self::Lock,
            ("light", "turn_on") => Self::LightOn,
            ("light", "turn_off") => Self::LightOff,
            _ => return None,
        })
    }
    pub const fn is_of_light(self) -> bool {
        matches!(self, Self::Light | Self::LightOn | Self::LightOff)
    }
    /// Of a command: the service's name. Of a look: what is looked at.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "open_cover",
            Self::Close => "close_cover",
            Self::Unlock => "unlock",
            Self::Lock => "lock",
            Self::AnyCommand => "any",
            Self::Cover => "cover",
            Self::Obstruction => "obstruction",
            Self::House => "house",
            Self::Bolt => "bolt",
            Self::Contact => "contact",
            Self::Still => "still",
            Self::Light => "light",
            Self::LightOn => "turn_on",
            Self::LightOff => "turn_off",
        }
    }
    fn covers(self, asked: Self) -> bool {
        let commands = [Self::Open, Self::Close, Self::Unlock, Self::Lock];
        self == asked
            || (self == Self::AnyCommand && commands.contains(&asked))
            || (self == Self::Light && asked.is_of_light())
    }
}

/// Whether and when a command reaches the drive. A look moves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acts {
    No,
    Now,
    AfterSeconds(u32),
}
/// What the caller hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hears {
    /// What has changed.
    Success,
    /// The connection ends without an answer.
    Nothing,
    Status(u16),
    /// 200 and a body that is no JSON.
    Garbage,
    /// The right answer after so many seconds.
    TruthAfterSeconds(u32),
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    pub acts: Acts,
    pub hears: Hears,
}
impl Effect {
    fn parse(name: &str, after_s: Option<u32>, slow_s: Option<u32>) -> Option<Self> {
        let late = Acts::AfterSeconds(after_s.unwrap_or(20).min(AFTER_S_MAX));
        let told = [("_not_acted", Acts::No), ("_acted", Acts::Now), ("_late", late)]
            .into_iter()
            .find_map(|(end, acts)| Some((name.strip_suffix(end)?, acts)));
        let (answer, acts) = told.map_or((name, None), |(answer, acts)| (answer, Some(acts)));
        let (hears, by_default) = match answer {
            "success" => (Hears::Success, Acts::Now),
            "connection_drop" => (Hears::Nothing, Acts::No),
            "garbage" => (Hears::Garbage, Acts::No),
            "slow" => (Hears::TruthAfterSeconds(slow_s.unwrap_or(2).min(SLOW_S_MAX)), Acts::Now),
            status => {
                let status = status.parse().ok().filter(|s| (400..600).contains(s))?;
                (Hears::Status(status), Acts::No)
            }
        };
        Some(Self { acts: acts.unwrap_or(by_default), hears })
    }
}

/// `times` or `rate`; neither means once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultFile {
    /// `open_cover`, `close_cover`, `unlock`, `lock`, `any` (command), or a look: `cover`, `obstruction`, `house`, `bolt`,
    /// `contact`, `still`; or `light`, told and looked at.
    command: String,
    fault: String,
    #[serde(default)]
    times: Option<u32>,
    #[serde(default)]
    rate: Option<f64>,
    #[serde(default)]
    after_s: Option<u32>,
    #[serde(default)]
    slow_s: Option<u32>,
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Times(u32),
    /// Share of attempts, 0 to 1.
    Rate(f64),
}
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    target: Target,
    effect: Effect,
    when: When,
}
/// Why a text is no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown command or fault, or neither times (1 to 1000) nor rate (0 to 1); see /__sim/help")]
pub struct NotAFault;

impl TryFrom<&FaultFile> for Fault {
    type Error = NotAFault;

    fn try_from(file: &FaultFile) -> Result<Self, NotAFault> {
        let target = Target::parse(&file.command).ok_or(NotAFault)?;
        let effect = Effect::parse(&file.fault, file.after_s, file.slow_s).ok_or(NotAFault)?;
        let when = match (file.times, file.rate) {
            (None, None) => When::Times(1),
            (Some(n), None) if (1..=TIMES_MAX).contains(&n) => When::Times(n),
            (None, Some(rate)) if (0.0..=1.0).contains(&rate) => When::Rate(rate),
            _ => return Err(NotAFault),
        };
        Ok(Self { target, effect, when })
    }
}

/// The first fault that strikes; a counted one is used up by one. `attempt` counts the requests about this door.
pub fn strike(faults: &mut Vec<Fault>, asked: Target, seed: u64, door: &str, attempt: u64) -> Option<Effect> {
    let (index, effect, used_up) = faults.iter_mut().enumerate().find_map(|(index, fault)| {
        if !fault.target.covers(asked) {
            return None;
        }
        match &mut fault.when {
            When::Times(left) => {
                *left = left.saturating_sub(1);
                Some((index, fault.effect, *left == 0))
            }
            When::Rate(rate) => {
                let about = format!("{} {index}", asked.code());
                (drawn(seed, door, &about, attempt) < *rate).then_some((index, fault.effect, false))
            }
        }
    })?;
    if used_up {
        faults.remove(index);
    }
    Some(effect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_the_drive_does_and_what_is_heard() {
        for (name, acts, hears) in [
            ("success", Acts::Now, Hears::Success),
            ("success_not_acted", Acts::No, Hears::Success),
            ("success_late", Acts::AfterSeconds(20), Hears::Success),
            ("connection_drop_acted", Acts::Now, Hears::Nothing),
            ("connection_drop", Acts::No, Hears::Nothing),
            ("500_acted", Acts::Now, Hears::Status(500)),
            ("503", Acts::No, Hears::Status(503)),
            ("garbage_not_acted", Acts::No, Hears::Garbage),
            ("slow", Acts::Now, Hears::TruthAfterSeconds(2)),
        ] {
            assert_eq!(Effect::parse(name, None, None), Some(Effect { acts, hears }), "{name}");
        }
        for name in ["", "200", "301", "600", "explode", "acted", "_acted", "_late"] {
            assert_eq!(Effect::parse(name, None, None), None, "{name}");
        }
    }

    #[test]
    fn a_counted_fault_strikes_its_request_so_often_and_a_rate_repeats_itself() {
        let fault = |text: &str| Fault::try_from(&serde_json::from_str::<FaultFile>(text).unwrap());
        let mut faults = vec![fault(r#"{"command": "open_cover", "fault": "503", "times": 2}"#).unwrap()];
        let mut struck = |asked| strike(&mut faults, asked, 1, "D", 0).is_some();
        assert!(!struck(Target::Close) && !struck(Target::Cover));
        assert!(struck(Target::Open) && struck(Target::Open) && !struck(Target::Open));

        let run = |seed| {
            let mut faults = vec![fault(r#"{"command": "any", "fault": "503", "rate": 0.25}"#).unwrap()];
            (0..4_000).map(|n| strike(&mut faults, Target::Close, seed, "D", n).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let share = run(7).iter().filter(|hit| **hit).count() as f64 / 4_000.0;
        assert!((0.22..0.28).contains(&share), "{share}");
        for odd in
            [r#"{"command": "stop_cover", "fault": "503"}"#, r#"{"command": "cover", "fault": "503", "rate": 2.0}"#]
        {
            assert_eq!(fault(odd), Err(NotAFault), "{odd}");
        }
    }
}
