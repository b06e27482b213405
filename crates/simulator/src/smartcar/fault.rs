//! What can go wrong between the cloud and a car: whether a command reaches the car, and what the caller hears.
//!
//! A fault's name is `<answer>` with `_acted`, `_not_acted` or `_late` behind it (`_late`: the car acts `after_s` later).
//! Answers: `success` (accepted; with `_not_acted` nothing moves), the name of an error of [`ERRORS`] (`asleep`,
//! `no_response`, `rate_limit`, …), an HTTP status (`400` to `599`), `odd` (200 with a status that nobody has listed),
//! `garbage` (200 with a body that is no JSON), `connection_drop` (the connection ends without an answer) and `slow` (the
//! right answer, late). Whether a fault strikes is decided by its remaining count, or by a hash of (seed, car, target,
//! attempt), so that a run can be repeated.

use super::car::Order;

use crate::cloud::drawn;

pub const FAULTS_PER_CAR_MAX: usize = 64;
pub const TIMES_MAX: u32 = 1_000;
/// Longest time after which a late command still acts, seconds of the simulator's clock.
pub const AFTER_S_MAX: u32 = 3_600;
/// Longest time an answer is held back, seconds: the vendor's own clients wait 310.
pub const SLOW_S_MAX: u32 = 310;

/// One error of the vendor's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// On the control path.
    pub name: &'static str,
    pub status: u16,
    pub kind: &'static str,
    /// Empty: null.
    pub code: &'static str,
    /// What a client may do; empty: null.
    pub resolution: &'static str,
}
const fn error(
    name: &'static str,
    status: u16,
    kind: &'static str,
    code: &'static str,
    resolution: &'static str,
) -> Error {
    Error { name, status, kind, code, resolution }
}
pub const ERRORS: [Error; 33] = [
    error("authentication", 401, "AUTHENTICATION", "", "REAUTHENTICATE"),
    error("permission", 403, "PERMISSION", "", "REAUTHENTICATE"),
    error("validation", 400, "VALIDATION", "", ""),
    error("parameter", 400, "VALIDATION", "PARAMETER", ""),
    error("account_issue", 400, "CONNECTED_SERVICES_ACCOUNT", "ACCOUNT_ISSUE", ""),
    error("subscription", 400, "CONNECTED_SERVICES_ACCOUNT", "SUBSCRIPTION", ""),
    error("vehicle_missing", 400, "CONNECTED_SERVICES_ACCOUNT", "VEHICLE_MISSING", ""),
    error("virtual_key_required", 400, "CONNECTED_SERVICES_ACCOUNT", "VIRTUAL_KEY_REQUIRED", ""),
    error("path", 404, "RESOURCE_NOT_FOUND", "PATH", ""),
    error("version", 404, "RESOURCE_NOT_FOUND", "VERSION", ""),
    error("asleep", 409, "VEHICLE_STATE", "ASLEEP", "RETRY_LATER"),
    error("in_motion", 409, "VEHICLE_STATE", "IN_MOTION", "RETRY_LATER"),
    error("door_open", 409, "VEHICLE_STATE", "DOOR_OPEN", "RETRY_LATER"),
    error("trunk_open", 409, "VEHICLE_STATE", "TRUNK_OPEN", "RETRY_LATER"),
    error("hood_open", 409, "VEHICLE_STATE", "HOOD_OPEN", "RETRY_LATER"),
    error("remote_access_disabled", 409, "VEHICLE_STATE", "REMOTE_ACCESS_DISABLED", ""),
    error("unreachable", 409, "VEHICLE_STATE", "UNREACHABLE", "RETRY_LATER"),
    error("unknown_state", 409, "VEHICLE_STATE", "UNKNOWN", "RETRY_LATER"),
    error("invalid_plan", 430, "BILLING", "INVALID_PLAN", "CONTACT_SUPPORT"),
    error("vehicle_limit", 430, "BILLING", "VEHICLE_LIMIT", "CONTACT_SUPPORT"),
    error("vehicle_request_limit", 430, "BILLING", "VEHICLE_REQUEST_LIMIT", "CONTACT_SUPPORT"),
    error("account_suspended", 430, "BILLING", "ACCOUNT_SUSPENDED", "CONTACT_SUPPORT"),
    error("api_rate_limit", 429, "RATE_LIMIT", "SMARTCAR_API", "RETRY_LATER"),
    error("rate_limit", 429, "RATE_LIMIT", "VEHICLE", "RETRY_LATER"),
    error("make_not_compatible", 501, "COMPATIBILITY", "MAKE_NOT_COMPATIBLE", ""),
    error("smartcar_not_capable", 501, "COMPATIBILITY", "SMARTCAR_NOT_CAPABLE", ""),
    error("vehicle_not_capable", 501, "COMPATIBILITY", "VEHICLE_NOT_CAPABLE", ""),
    error("internal", 500, "SERVER", "INTERNAL", "RETRY_LATER"),
    error("invalid_data", 502, "UPSTREAM", "INVALID_DATA", "RETRY_LATER"),
    error("known_issue", 502, "UPSTREAM", "KNOWN_ISSUE", "RETRY_LATER"),
    error("no_response", 502, "UPSTREAM", "NO_RESPONSE", "RETRY_LATER"),
    error("upstream_rate_limit", 502, "UPSTREAM", "RATE_LIMIT", "RETRY_LATER"),
    error("unknown_issue", 502, "UPSTREAM", "UNKNOWN_ISSUE", "RETRY_LATER"),
];
impl Error {
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ERRORS.into_iter().find(|e| e.name == name)
    }
    /// The error of a bare status: the first of the list with it, or one of the server.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        let listed = ERRORS.into_iter().find(|e| e.status == status);
        listed.unwrap_or(Self { name: "server", status, kind: "SERVER", code: "", resolution: "RETRY_LATER" })
    }
}

/// What a request is about; a fault is tied to one of these, or to any command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    Order(Order),
    AnyOrder,
    Attributes,
    Vin,
    Permissions,
    Security,
    Location,
}
impl Target {
    /// `unlock`, `lock`, `any`, or a reading.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(order) = Order::parse(text) {
            return Some(Self::Order(order));
        }
        Some(match text {
            "any" => Self::AnyOrder,
            "attributes" => Self::Attributes,
            "vin" => Self::Vin,
            "permissions" => Self::Permissions,
            "security" => Self::Security,
            "location" => Self::Location,
            _ => return None,
        })
    }
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Order(order) => order.code(),
            Self::AnyOrder => "any",
            Self::Attributes => "attributes",
            Self::Vin => "vin",
            Self::Permissions => "permissions",
            Self::Security => "security",
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
    /// The maker's cloud took it.
    Success,
    Error(Error),
    /// 200 and a status that nobody has listed.
    Odd,
    /// The connection ends without an answer.
    Nothing,
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
    /// Reads a fault's name. `after_s` is for `_late` (default 20), `slow_s` for `slow` (default 2).
    ///
    /// # Errors
    /// [`UnknownFault`].
    pub fn parse(name: &str, after_s: Option<u32>, slow_s: Option<u32>) -> Result<Self, UnknownFault> {
        let late = Acts::AfterSeconds(after_s.unwrap_or(20).min(AFTER_S_MAX));
        let told = [("_not_acted", Acts::No), ("_acted", Acts::Now), ("_late", late)]
            .into_iter()
            .find_map(|(end, acts)| Some((name.strip_suffix(end)?, acts)));
        let (answer, acts) = told.map_or((name, None), |(answer, acts)| (answer, Some(acts)));
        let (hears, by_default) = match answer {
            "success" => (Hears::Success, Acts::Now),
            "odd" => (Hears::Odd, Acts::No),
            "connection_drop" => (Hears::Nothing, Acts::No),
            "garbage" => (Hears::Garbage, Acts::No),
            "slow" => (Hears::TruthAfterSeconds(slow_s.unwrap_or(2).min(SLOW_S_MAX)), Acts::Now),
            other => match (Error::named(other), other.parse::<u16>()) {
                (Some(error), _) => (Hears::Error(error), Acts::No),
                (None, Ok(status)) if (400..600).contains(&status) => {
                    (Hears::Error(Error::of_status(status)), Acts::No)
                }
                _ => return Err(UnknownFault),
            },
        };
        Ok(Self { acts: acts.unwrap_or(by_default), hears })
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
        let error = |name| Hears::Error(Error::named(name).unwrap());
        for (name, acts, hears) in [
            ("success", Acts::Now, Hears::Success),
            ("success_not_acted", Acts::No, Hears::Success),
            ("success_late", Acts::AfterSeconds(20), Hears::Success),
            ("no_response", Acts::No, error("no_response")),
            ("no_response_acted", Acts::Now, error("no_response")),
            ("no_response_late", Acts::AfterSeconds(20), error("no_response")),
            ("asleep", Acts::No, error("asleep")),
            ("500_acted", Acts::Now, error("internal")),
            ("503", Acts::No, Hears::Error(Error::of_status(503))),
            ("connection_drop_acted", Acts::Now, Hears::Nothing),
            ("garbage_not_acted", Acts::No, Hears::Garbage),
            ("odd", Acts::No, Hears::Odd),
            ("slow", Acts::Now, Hears::TruthAfterSeconds(2)),
        ] {
            assert_eq!(Effect::parse(name, None, None), Ok(Effect { acts, hears }), "{name}");
        }
        for name in ["", "200", "301", "600", "explode", "acted", "_acted", "_late"] {
            assert_eq!(Effect::parse(name, None, None), Err(UnknownFault), "{name}");
        }
        let held = Effect::parse("slow", None, Some(9_999)).unwrap();
        assert_eq!(held.hears, Hears::TruthAfterSeconds(SLOW_S_MAX));
    }

    #[test]
    fn every_error_has_a_name_of_its_own() {
        for error in ERRORS {
            assert_eq!(Error::named(error.name), Some(error), "{}", error.name);
        }
    }

    #[test]
    fn a_counted_fault_strikes_its_command_so_often_and_no_more() {
        let effect = Effect::parse("no_response", None, None).unwrap();
        let unlock = Target::Order(Order::Unlock);
        let mut faults = vec![Fault { target: unlock, effect, when: When::Times(2) }];
        assert_eq!(strike(&mut faults, Target::Order(Order::Lock), 1, "V", 0), None);
        assert_eq!(strike(&mut faults, Target::Security, 1, "V", 0), None);
        assert_eq!(strike(&mut faults, unlock, 1, "V", 0), Some(effect));
        assert_eq!(strike(&mut faults, unlock, 1, "V", 1), Some(effect));
        assert_eq!(strike(&mut faults, unlock, 1, "V", 2), None);
        assert!(faults.is_empty());
    }

    #[test]
    fn a_rate_is_kept_and_repeats_itself() {
        let effect = Effect::parse("no_response", None, None).unwrap();
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
