//! Reading what the cloud says of cars. Pure: answers are hostile input, unknown counts as no.
//!
//! Times of this maker are whole seconds in one member and milliseconds in its neighbour: `gps_as_of` is seconds, every
//! `timestamp` is milliseconds. A number that can only be the other unit is no time.

use parcelshelf_access::{Closures, LidState, Located, LockState, Reachability, Reading};
use parcelshelf_core::area::Position;
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;

use crate::json::Json;

/// Metres to assume for a position; the maker gives none.
pub(crate) const ACCURACY_M: f64 = 15.0;
/// A sample older than this, or so far ahead of our clock, says nothing of now: milliseconds.
const SAMPLE_MS_MAX: i64 = 60_000;
/// Cars of one account that are read; an account with more is a fleet.
pub(crate) const VEHICLES_MAX: usize = 64;
/// The year 2100 in seconds: a larger number is milliseconds, a smaller one is no time in milliseconds.
const SECONDS_MAX: f64 = 4_102_444_800.0;

/// A car of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub vin: Vin,
    /// The account holds the car; an account that only drives it is told so. Not told is no.
    pub holds: bool,
}
/// Cars of the account, and whether another page follows.
pub(crate) fn vehicles(body: &[u8]) -> Result<(Vec<Listed>, bool), &'static str> {
    let json = Json::parse(body).ok_or("vehicles: no JSON")?;
    let list = json.get("response").and_then(Json::list).ok_or("vehicles: no list")?;
    if list.len() > VEHICLES_MAX {
        return Err("vehicles: too many");
    }
    let listed = |car: &Json| {
        let vin = car.get("vin").and_then(Json::text).and_then(|t| Vin::parse(t).ok())?;
        let holds = car.get("access_type").and_then(Json::text).is_some_and(|t| t.eq_ignore_ascii_case("OWNER"));
        Some(Listed { vin, holds })
    };
    let cars: Option<Vec<Listed>> = list.iter().map(listed).collect();
    let next = json.get("pagination").and_then(|p| p.get("next")).and_then(Json::number);
    Ok((cars.ok_or("vehicles: no VIN")?, next.is_some()))
}

/// Whether a car takes signed commands only, and whether it knows our key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fleet {
    pub signed: bool,
    pub key_paired: bool,
}
pub(crate) fn fleet_status(body: &[u8], vin: &Vin) -> Result<Fleet, &'static str> {
    let json = Json::parse(body).ok_or("fleet status: no JSON")?;
    let response = json.get("response").ok_or("fleet status: no response")?;
    let info = response.get("vehicle_info").and_then(|i| i.get(vin.expose())).ok_or("fleet status: another car's")?;
    let signed = info.get("vehicle_command_protocol_required").and_then(Json::yes);
    let named = |name: &str| {
        let list = response.get(name).and_then(Json::list).unwrap_or_default();
        list.iter().any(|v| v.text() == Some(vin.expose()))
    };
    let key_paired = named("key_paired_vins") && !named("unpaired_vins");
    Ok(Fleet { signed: signed.ok_or("fleet status: no word on signed commands")?, key_paired })
}

/// The cloud's own word on one car, which does not wake it.
pub(crate) fn vehicle(body: &[u8], vin: &Vin) -> Result<Reachability, &'static str> {
    let json = Json::parse(body).ok_or("vehicle: no JSON")?;
    let response = own(&json, vin)?;
    if response.get("in_service").and_then(Json::yes) == Some(true) {
        return Ok(Reachability::Busy);
    }
    Ok(match response.get("state").and_then(Json::text) {
        Some("online") => Reachability::Available,
        Some("asleep" | "waking") => Reachability::Asleep,
        Some("offline") => Reachability::NoConnection,
        _ => Reachability::Unknown,
    })
}
/// The answer's content, if it is about this car.
fn own<'a>(json: &'a Json, vin: &Vin) -> Result<&'a Json, &'static str> {
    let response = json.get("response").ok_or("no response")?;
    let told = response.get("vin").and_then(Json::text).ok_or("no VIN")?;
    if told == vin.expose() { Ok(response) } else { Err("another car's") }
}

/// What a car says of itself, as far as it was asked for.
#[derive(Debug)]
pub(crate) struct Data(Json);
impl Data {
    pub fn parse(body: &[u8], vin: &Vin) -> Result<Self, &'static str> {
        let json = Json::parse(body).ok_or("vehicle data: no JSON")?;
        own(&json, vin)?;
        let Json::Object(members) = json else { return Err("vehicle data: no object") };
        let response = members.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("response"));
        response.map(|(_, value)| Self(value)).ok_or("vehicle data: no response")
    }
    fn vehicle(&self, name: &str) -> Option<&Json> {
        self.0.get("vehicle_state")?.get(name)
    }
    /// When the car was looked at, if that was about now.
    fn sampled_at(&self, group: &str, now: Timestamp) -> Option<Timestamp> {
        let at = self.0.get(group)?.get("timestamp").and_then(Json::number).and_then(millis)?;
        (now.millis_since(at).abs() <= SAMPLE_MS_MAX).then_some(at)
    }

    /// Lid, lock and doors. Old samples tell nothing. `read_at` is the car's own time where that is earlier than ours: a state
    /// from before a command must not count as one from after it.
    pub fn closures(&self, now: Timestamp) -> Closures {
        let sampled = self.sampled_at("vehicle_state", now);
        let lid = |name: &str| match sampled.and_then(|_| self.vehicle(name)).and_then(Json::number) {
            Some(0.0) => LidState::Closed,
            // How far it is open; the maker has no word for ajar.
            Some(n) if n > 0.0 && n.fract() == 0.0 => LidState::Open,
            _ => LidState::Unknown,
        };
        let trunk = lid("rt");
        let lock = match sampled.and_then(|_| self.vehicle("locked")).and_then(Json::yes) {
            // The trunk's button opens a locked car, and `locked` stays true. What stands open is held by no lock.
            Some(true) if trunk == LidState::Open => LockState::Unlocked,
            Some(true) => LockState::Locked,
            Some(false) => LockState::Unlocked,
            None => LockState::Unknown,
        };
        // Driver's and passenger's side.
        let right = self.0.get("vehicle_config").and_then(|c| c.get("rhd")).and_then(Json::yes) == Some(true);
        let (fl, fr, rl, rr) = if right { ("pf", "df", "pr", "dr") } else { ("df", "pf", "dr", "pr") };
        Closures {
            central_lock: unstamped(lock),
            lid: unstamped(trunk),
            doors: vec![
                ("front_left", unstamped(lid(fl))),
                ("front_right", unstamped(lid(fr))),
                ("rear_left", unstamped(lid(rl))),
                ("rear_right", unstamped(lid(rr))),
                ("hood", unstamped(lid("ft"))),
            ],
            read_at: sampled.map_or(now, |at| at.min(now)),
        }
    }
    /// The trunk's button can reach the trunk.
    pub fn can_actuate_trunks(&self) -> Option<bool> {
        self.0.get("vehicle_config")?.get("can_actuate_trunks").and_then(Json::yes)
    }
    pub fn colour(&self) -> Option<String> {
        let text = self.0.get("vehicle_config")?.get("exterior_color").and_then(Json::text)?;
        (!text.is_empty() && text.len() <= 100 && !text.chars().any(char::is_control)).then(|| text.to_owned())
    }
    /// Somebody else drives it under its owner's limits.
    pub fn valet_mode(&self) -> bool {
        self.vehicle("valet_mode").and_then(Json::yes) == Some(true)
    }
    /// Parked with nobody at it, in use, or not to be told. A car that was handed to a valet is not its owner's to open.
    pub fn use_of_it(&self, now: Timestamp) -> Reachability {
        if self.0.get("in_service").and_then(Json::yes) == Some(true) || self.valet_mode() {
            return Reachability::Busy;
        }
        let fresh = self.sampled_at("drive_state", now).is_some() && self.sampled_at("vehicle_state", now).is_some();
        let gear = self.0.get("drive_state").and_then(|d| d.get("shift_state"));
        let parked = match gear {
            // A car that is switched off is in no gear.
            Some(Json::Null) => Some(true),
            Some(Json::Text(gear)) if gear == "P" => Some(true),
            Some(Json::Text(gear)) if ["D", "R", "N"].contains(&gear.as_str()) => Some(false),
            _ => None,
        };
        let present = self.vehicle("is_user_present").and_then(Json::yes);
        match (fresh, parked, present) {
            (true, Some(false), _) | (true, _, Some(true)) => Reachability::InUse,
            (true, Some(true), Some(false)) => Reachability::Available,
            _ => Reachability::Unknown,
        }
    }
    /// `Err`: no place in it, because the owner does not share it or the car does not know.
    pub fn located(&self, now: Timestamp) -> Result<Located, &'static str> {
        let state = self.0.get("drive_state").ok_or("place: no drive state")?;
        let number = |name: &str| state.get(name).and_then(Json::number);
        let (Some(latitude), Some(longitude)) = (number("latitude"), number("longitude")) else {
            return Err("place: not shared");
        };
        // 0° N 0° E is open sea: what is written when nothing is known.
        if latitude == 0.0 && longitude == 0.0 {
            return Err("place: not known");
        }
        let position = Position::new(latitude, longitude, ACCURACY_M).map_err(|_| "place: not on Earth")?;
        let fix = number("gps_as_of").and_then(seconds);
        // A fix from the future is none; a clock a little ahead of ours is.
        let taken_at = fix.filter(|at| at.millis_since(now) <= SAMPLE_MS_MAX).map(|at| at.min(now));
        Ok(Located { position, taken_at, last_parked_only: false, read_at: now })
    }
}

/// This maker tells no times of change.
const fn unstamped<T>(value: T) -> Reading<T> {
    Reading { value, changed_at: None }
}
#[expect(clippy::cast_possible_truncation, reason = "checked to be a time between 1970 and 2100 just before")]
fn seconds(n: f64) -> Option<Timestamp> {
    (n > 0.0 && n <= SECONDS_MAX).then(|| Timestamp::from_unix_seconds(n as i64))
}
#[expect(clippy::cast_possible_truncation, reason = "checked to be a time between 1970 and 2100 just before")]
fn millis(n: f64) -> Option<Timestamp> {
    (n > SECONDS_MAX && n <= SECONDS_MAX * 1_000.0).then(|| Timestamp::from_unix_millis(n as i64))
}

#[cfg(test)]
mod tests;
