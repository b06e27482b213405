//! What readings mean. Pure: bytes, the time that the car recorded them, and now. Unknown counts as no.
//!
//! How old a state is stands in a header only. A state without a time, or one that is too old, tells nothing: the vendor
//! passes on whatever the maker has kept.

use http::HeaderMap;
use parcelshelf_access::{Closures, LidState, Located, LockState, Reading};
use parcelshelf_core::area::Position;
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;

use crate::ids::VehicleId;
use crate::json::Json;

/// Metres to assume for a position; the vendor gives none.
pub(crate) const POSITION_ACCURACY_M: f64 = 50.0;
/// Cars of one account. More belong to a fleet, which is linked differently.
pub(crate) const VEHICLES_MAX: usize = 16;
/// A state that the car recorded longer ago, milliseconds, says nothing of now.
pub(crate) const STATE_AGE_MS_MAX: i64 = 90_000;
/// A time that lies further ahead of our clock, milliseconds, is none.
const AHEAD_MS_MAX: i64 = 60_000;
const TEXT_MAX: usize = 100;
const TIME_BYTES_MAX: usize = 40;

/// Doors: the vendor's name and ours. A car that does not tell all four tells nothing of whether it is shut.
const DOORS: [(&str, &str); 4] = [
    ("frontLeft", "front_left"),
    ("frontRight", "front_right"),
    ("backLeft", "rear_left"),
    ("backRight", "rear_right"),
];

/// An answer without a readable member of this name.
pub(crate) type Unreadable = &'static str;

/// When the car recorded what an answer tells: never later than now.
pub(crate) fn recorded_at(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let mut all = headers.get_all("sc-data-age").into_iter();
    let (Some(told), None) = (all.next(), all.next()) else { return None };
    let text = told.to_str().ok().filter(|t| t.len() <= TIME_BYTES_MAX)?;
    not_ahead(Timestamp::parse_rfc3339(text).ok()?, now)
}
fn not_ahead(told: Timestamp, now: Timestamp) -> Option<Timestamp> {
    (told.millis_since(now) <= AHEAD_MS_MAX).then(|| told.min(now))
}

/// Lock and lids, as long as they are not too old.
pub(crate) fn closures(body: &[u8], recorded_at: Option<Timestamp>, now: Timestamp) -> Result<Closures, Unreadable> {
    let told = told_closures(body, recorded_at.unwrap_or(now))?;
    let fresh = recorded_at.is_some_and(|t| now.millis_since(t) <= STATE_AGE_MS_MAX);
    Ok(if fresh { told } else { nothing_of(told) })
}
/// Whether the car tells its lock, its tailgate and four doors at all, however long ago.
pub(crate) fn can_be_watched(body: &[u8], recorded_at: Option<Timestamp>) -> bool {
    let Some(at) = recorded_at else { return false };
    told_closures(body, at).is_ok_and(|c| {
        let doors_told = c.doors.iter().all(|(_, door)| door.value != LidState::Unknown);
        c.central_lock.value != LockState::Unknown && c.lid.value != LidState::Unknown && doors_told
    })
}
fn told_closures(body: &[u8], read_at: Timestamp) -> Result<Closures, Unreadable> {
    let json = Json::parse(body).filter(|j| matches!(j, Json::Object(_))).ok_or("security")?;
    let central_lock = match json.get("isLocked").and_then(Json::truth) {
        Some(true) => LockState::Locked,
        Some(false) => LockState::Unlocked,
        None => LockState::Unknown,
    };
    let mut doors: Vec<(&'static str, Reading<LidState>)> =
        DOORS.iter().map(|(theirs, ours)| (*ours, lid(&json, "doors", theirs).unwrap_or(UNKNOWN_LID))).collect();
    // Only some cars have a lid in front.
    if let Some(front) = lid(&json, "storage", "front") {
        doors.push(("hood", front));
    }
    Ok(Closures {
        central_lock: untimed(central_lock),
        lid: lid(&json, "storage", "rear").unwrap_or(UNKNOWN_LID),
        doors,
        read_at,
    })
}
fn nothing_of(told: Closures) -> Closures {
    Closures {
        central_lock: untimed(LockState::Unknown),
        lid: UNKNOWN_LID,
        doors: told.doors.into_iter().map(|(name, _)| (name, UNKNOWN_LID)).collect(),
        read_at: told.read_at,
    }
}
const UNKNOWN_LID: Reading<LidState> = untimed(LidState::Unknown);
/// When a state began, this vendor does not say: only when it was recorded.
const fn untimed<T>(value: T) -> Reading<T> {
    Reading { value, changed_at: None }
}
/// The part of this type in a list; `None`: it is not in it. In it twice is unknown: two answers to one question are none.
fn lid(json: &Json, list: &str, kind: &str) -> Option<Reading<LidState>> {
    let parts = json.get(list).and_then(Json::list)?;
    let is = |part: &&Json| part.get("type").and_then(Json::text).is_some_and(|t| t.eq_ignore_ascii_case(kind));
    let mut matching = parts.iter().filter(is);
    let (first, second) = (matching.next()?, matching.next());
    let status = first.get("status").and_then(Json::text).filter(|_| second.is_none());
    Some(untimed(match status.map(str::to_ascii_uppercase).as_deref() {
        Some("OPEN") => LidState::Open,
        Some("CLOSED") => LidState::Closed,
        _ => LidState::Unknown,
    }))
}

/// Latitude and longitude by name, under v3 in `value` or beside it.
pub(crate) fn located(body: &[u8], taken_at: Option<Timestamp>, now: Timestamp) -> Result<Located, Unreadable> {
    located_in(&Json::parse(body).ok_or("location")?, taken_at, now)
}
fn located_in(json: &Json, taken_at: Option<Timestamp>, now: Timestamp) -> Result<Located, Unreadable> {
    const WHAT: Unreadable = "location";
    let degrees = |name| match json.get(name) {
        Some(Json::Number(n)) => Ok(*n),
        _ => Err(WHAT),
    };
    let (latitude, longitude) = (degrees("latitude")?, degrees("longitude")?);
    // 0° N 0° E is open sea: some clouds write it when they know nothing.
    if latitude == 0.0 && longitude == 0.0 {
        return Err(WHAT);
    }
    Ok(Located {
        position: Position::new(latitude, longitude, POSITION_ACCURACY_M).map_err(|_| WHAT)?,
        taken_at,
        // Whatever the maker has kept, from a trip or from a parking place.
        last_parked_only: false,
        read_at: now,
    })
}

/// The signal `location-preciselocation` of v3; its time stands beside it, in milliseconds or in words.
pub(crate) fn located_v3(body: &[u8], now: Timestamp) -> Result<Located, Unreadable> {
    const WHAT: Unreadable = "location signal";
    let json = Json::parse(body).ok_or(WHAT)?;
    let signal = json.get("data").unwrap_or(&json);
    let attributes = signal.get("attributes").ok_or(WHAT)?;
    let word = |name: &str, inner: &str| attributes.get(name).and_then(|s| s.get(inner)).and_then(Json::text);
    if attributes.get("code").and_then(Json::text) != Some(POSITION_SIGNAL)
        || word("status", "value") != Some("SUCCESS")
    {
        return Err(WHAT);
    }
    let told = signal.get("meta").and_then(|m| m.get("oemUpdatedAt"));
    let taken_at = told.and_then(moment).and_then(|t| not_ahead(t, now));
    located_in(attributes.get("body").ok_or(WHAT)?, taken_at, now)
}
pub(crate) const POSITION_SIGNAL: &str = "location-preciselocation";
#[expect(clippy::cast_possible_truncation, reason = "checked to be within 0 to 4·10^15 just before")]
fn moment(json: &Json) -> Option<Timestamp> {
    match json {
        Json::Number(ms) if (0.0..=4e15).contains(ms) => Some(Timestamp::from_unix_millis(*ms as i64)),
        Json::Text(text) if text.len() <= TIME_BYTES_MAX => Timestamp::parse_rfc3339(text).ok(),
        _ => None,
    }
}

pub(crate) fn vehicles(body: &[u8]) -> Result<Vec<VehicleId>, Unreadable> {
    let json = Json::parse(body).ok_or("vehicles")?;
    let list = json.get("vehicles").and_then(Json::list).ok_or("vehicles")?;
    let count = json.get("paging").and_then(|p| p.get("count")).and_then(Json::number);
    if list.len() > VEHICLES_MAX || count.is_some_and(|n| n > list.len() as f64) {
        return Err("more vehicles than one person's account has");
    }
    list.iter().map(|id| id.text().and_then(VehicleId::parse).ok_or("vehicles: id")).collect()
}
pub(crate) fn vin(body: &[u8]) -> Result<Vin, Unreadable> {
    let json = Json::parse(body).ok_or("vin")?;
    json.get("vin").and_then(Json::text).and_then(|t| Vin::parse(t).ok()).ok_or("vin")
}

/// What a car is called.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub make: String,
    pub model: Option<String>,
    pub model_year: Option<u16>,
}
/// Of v2.0 (members at the top) or v3 (under `data.attributes`). Another car's attributes are no answer.
pub(crate) fn attributes(body: &[u8], id: &VehicleId) -> Result<Attributes, Unreadable> {
    const WHAT: Unreadable = "attributes";
    let json = Json::parse(body).ok_or(WHAT)?;
    let data = json.get("data").unwrap_or(&json);
    if data.get("id").and_then(Json::text) != Some(id.expose()) {
        return Err("attributes: another car's");
    }
    let told = data.get("attributes").unwrap_or(data);
    Ok(Attributes {
        make: told.get("make").and_then(short_text).ok_or(WHAT)?,
        model: told.get("model").and_then(short_text),
        model_year: told.get("year").and_then(Json::number).and_then(whole_year),
    })
}
/// A text fit to be shown: not empty, bounded, without control characters.
fn short_text(json: &Json) -> Option<String> {
    let text = json.text()?.trim();
    let fit = !text.is_empty() && text.len() <= TEXT_MAX && !text.chars().any(char::is_control);
    fit.then(|| text.to_owned())
}
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a whole year just before")]
fn whole_year(n: f64) -> Option<u16> {
    (n.fract() == 0.0 && (1980.0..=2100.0).contains(&n)).then_some(n as u16)
}

/// Which of the permissions that are needed the owner has not given, in the vendor's words.
pub(crate) fn missing_permissions(body: &[u8], needed: &[&str]) -> Result<Vec<String>, Unreadable> {
    let json = Json::parse(body).ok_or("permissions")?;
    let given = json.get("permissions").and_then(Json::list).ok_or("permissions")?;
    let has = |name: &str| given.iter().filter_map(Json::text).any(|g| g == name);
    Ok(needed.iter().filter(|n| !has(n)).map(|n| (*n).to_owned()).collect())
}

/// Whether the car can be locked and unlocked from the cloud, by the vendor's word about its make, model and country.
pub(crate) fn capable(body: &[u8], permission: &str) -> bool {
    let Some(json) = Json::parse(body) else { return false };
    let Some(all) = json.get("capabilities").and_then(Json::list) else { return false };
    let of = |c: &&Json| c.get("permission").and_then(Json::text) == Some(permission);
    let mut told = all.iter().filter(of).peekable();
    told.peek().is_some() && told.all(|c| c.get("capable").and_then(Json::truth) == Some(true))
}

#[cfg(test)]
mod tests;
