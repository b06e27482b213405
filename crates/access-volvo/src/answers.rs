//! What the maker's answers mean. Pure: bytes and times in, the port's words out. Unknown counts as no, unlisted as unknown.

use parcelshelf_access::{Closures, LidState, Located, LockState, Reachability, Reading};
use parcelshelf_core::area::Position;
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;

use crate::json::Json;

/// Metres to assume for a position; the maker gives none.
pub(crate) const POSITION_ACCURACY_M: f64 = 25.0;
/// Cars of one account. More belong to a fleet, which is linked differently, and would use up the quota in one go.
pub(crate) const VEHICLES_MAX: usize = 16;
const TEXT_MAX: usize = 100;

/// Doors and hood: the maker's name and ours, in the maker's order.
const DOORS: [(&str, &str); 5] = [
    ("frontLeftDoor", "front_left"),
    ("frontRightDoor", "front_right"),
    ("rearLeftDoor", "rear_left"),
    ("rearRightDoor", "rear_right"),
    ("hood", "hood"),
];

/// The node that every answer of this API has.
fn data(body: &[u8]) -> Option<Json> {
    match Json::parse(body)? {
        Json::Object(members) => {
            let mut found = members.into_iter().filter(|(name, _)| name == "data").map(|(_, value)| value);
            match (found.next(), found.next()) {
                (Some(value), None) => Some(value),
                _ => None,
            }
        }
        _ => None,
    }
}

/// An answer without a readable member of this name.
pub(crate) type Unreadable = &'static str;

pub(crate) fn closures(body: &[u8], read_at: Timestamp) -> Result<Closures, Unreadable> {
    let data = data(body).filter(|d| matches!(d, Json::Object(_))).ok_or("doors")?;
    Ok(Closures {
        central_lock: reading(&data, "centralLock", LockState::Unknown, |word| match word {
            "LOCKED" => LockState::Locked,
            "UNLOCKED" => LockState::Unlocked,
            _ => LockState::Unknown,
        }),
        lid: lid(&data, "tailgate"),
        doors: DOORS.iter().map(|(theirs, ours)| (*ours, lid(&data, theirs))).collect(),
        read_at,
    })
}
fn lid(data: &Json, name: &str) -> Reading<LidState> {
    reading(data, name, LidState::Unknown, |word| match word {
        "OPEN" => LidState::Open,
        "AJAR" => LidState::Ajar,
        "CLOSED" => LidState::Closed,
        _ => LidState::Unknown,
    })
}
fn reading<T>(data: &Json, name: &str, unknown: T, word: impl Fn(&str) -> T) -> Reading<T> {
    let field = data.get(name);
    let value = field.and_then(|f| f.get("value")).and_then(Json::text);
    Reading {
        value: value.map_or(unknown, |v| word(&v.to_ascii_uppercase())),
        changed_at: field.and_then(|f| f.get("timestamp")).and_then(time),
    }
}
/// A time of this API; missing, empty or unreadable is none.
fn time(json: &Json) -> Option<Timestamp> {
    json.text().and_then(|t| Timestamp::parse_rfc3339(t).ok())
}

/// GeoJSON (RFC 7946): longitude first.
pub(crate) fn located(body: &[u8], read_at: Timestamp) -> Result<Located, Unreadable> {
    const WHAT: Unreadable = "location";
    let data = data(body).ok_or(WHAT)?;
    let coordinates = data.get("geometry").and_then(|g| g.get("coordinates")).and_then(Json::list).ok_or(WHAT)?;
    let [longitude, latitude, ..] = coordinates else { return Err(WHAT) };
    let (Json::Number(longitude), Json::Number(latitude)) = (longitude, latitude) else { return Err(WHAT) };
    // 0° N 0° E is open sea: some clouds write it when they know nothing.
    if *longitude == 0.0 && *latitude == 0.0 {
        return Err(WHAT);
    }
    Ok(Located {
        position: Position::new(*latitude, *longitude, POSITION_ACCURACY_M).map_err(|_| WHAT)?,
        taken_at: data.get("properties").and_then(|p| p.get("timestamp")).and_then(time),
        last_parked_only: true,
        read_at,
    })
}

pub(crate) fn reachability(body: &[u8]) -> Result<Reachability, Unreadable> {
    let data = data(body).ok_or("command-accessibility")?;
    let status = data.get("availabilityStatus").ok_or("command-accessibility")?;
    let word = |name: &str| status.get(name).and_then(Json::text).unwrap_or_default().to_ascii_uppercase();
    Ok(match word("value").as_str() {
        "AVAILABLE" => Reachability::Available,
        "UNAVAILABLE" => match word("unavailableReason").as_str() {
            "NO_INTERNET" => Reachability::NoConnection,
            "POWER_SAVING_MODE" => Reachability::Asleep,
            "CAR_IN_USE" => Reachability::InUse,
            _ => Reachability::Busy,
        },
        _ => Reachability::Unknown,
    })
}

pub(crate) fn vehicles(body: &[u8]) -> Result<Vec<Vin>, Unreadable> {
    let data = data(body).ok_or("vehicles")?;
    let list = data.list().ok_or("vehicles")?;
    if list.len() > VEHICLES_MAX {
        return Err("more vehicles than one person's account has");
    }
    list.iter()
        .map(|v| v.get("vin").and_then(Json::text).and_then(|t| Vin::parse(t).ok()).ok_or("vehicles: vin"))
        .collect()
}

/// What the details of a car say, beside its VIN.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    pub model: Option<String>,
    pub model_year: Option<u16>,
    pub colour: Option<String>,
}
pub(crate) fn details(body: &[u8], vin: &Vin) -> Result<Details, Unreadable> {
    let data = data(body).ok_or("details")?;
    if data.get("vin").and_then(Json::text).is_some_and(|told| !told.eq_ignore_ascii_case(vin.expose())) {
        return Err("details: another car's");
    }
    Ok(Details {
        model: data.get("descriptions").and_then(|d| d.get("model")).and_then(short_text),
        model_year: data.get("modelYear").and_then(Json::number).and_then(whole_year),
        colour: data.get("externalColour").and_then(short_text),
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

/// Which of our commands the car has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abilities {
    pub unlock: bool,
    pub lock: bool,
    pub flash: bool,
}
pub(crate) fn abilities(body: &[u8]) -> Result<Abilities, Unreadable> {
    let data = data(body).ok_or("commands")?;
    let list = data.list().ok_or("commands")?;
    let has = |name: &str| {
        list.iter().filter_map(|c| c.get("command").and_then(Json::text)).any(|c| c.eq_ignore_ascii_case(name))
    };
    Ok(Abilities { unlock: has("UNLOCK"), lock: has("LOCK"), flash: has("FLASH") })
}

#[cfg(test)]
mod tests;
