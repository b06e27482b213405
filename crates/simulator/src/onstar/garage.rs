//! What the cloud says about cars at rest: the garage (GraphQL without an envelope), the old list, health, the position.

use parcelshelf_core::time::Timestamp;
use serde_json::{Map, Value, json};

use super::fault::Command;
use super::world::{Entry, Fix};

/// What a bare GraphQL query asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    List,
    Details(String),
}
/// Reads as much of GraphQL as the clients of this cloud write: one operation with one root member.
#[must_use]
pub fn parse(body: &str) -> Option<Query> {
    let body = body.trim_start();
    // A JSON envelope is what everybody else expects and this cloud does not.
    if !body.starts_with("query") {
        return None;
    }
    if let Some((_, rest)) = body.split_once("vehicleDetails(vin:") {
        let vin = rest.trim_start().strip_prefix('"')?.split('"').next()?;
        return Some(Query::Details(vin.to_owned()));
    }
    words(body).any(|w| w == "vehicles").then_some(Query::List)
}
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}
/// Only what was asked for by name, as GraphQL does.
#[must_use]
pub fn asked_for(value: Value, body: &str) -> Value {
    match value {
        Value::Object(members) => {
            let kept: Map<String, Value> = members
                .into_iter()
                .filter(|(name, _)| words(body).any(|w| w == name))
                .map(|(name, value)| (name, asked_for(value, body)))
                .collect();
            Value::Object(kept)
        }
        Value::Array(all) => all.into_iter().map(|v| asked_for(v, body)).collect(),
        other => other,
    }
}

/// The answer's shape: errors empty, the data under the root member.
#[must_use]
pub fn envelope(root: &str, data: &Value) -> Value {
    json!({"errors": [], "data": {root: data}, "extensions": null, "dataPresent": true})
}

#[must_use]
pub fn vehicle(entry: &Entry) -> Value {
    let vin = entry.vin.expose();
    json!({
        "vin": vin,
        "vehicleId": vin[11..].trim_start_matches('0'),
        "make": entry.file.make.name(),
        "model": entry.file.model(),
        "nickName": null,
        // A number in one answer, a text in the other.
        "year": entry.file.model_year.to_string(),
        "imageUrl": "https://images.invalid/vehicle.png",
        "onstarCapable": true,
        "vehicleType": "ICE",
        "roleCode": if entry.file.shared { "DRIVER" } else { "OWNER" },
        "onstarStatusCode": plan(entry),
        "onstarAccountNumber": "1000000001",
        "preDelivery": false,
        "orderNum": null,
        "orderStatus": null,
    })
}

const fn plan(entry: &Entry) -> &'static str {
    if entry.file.plan_ended { "EXPIRED" } else { "ACTIVE" }
}

#[must_use]
pub fn details(entry: &Entry, origin: &str) -> Value {
    let vin = entry.vin.expose();
    let commands: Vec<Value> = Command::ALL
        .into_iter()
        .filter(|c| *c != Command::Location)
        .map(|c| {
            json!({
                "name": c.code(),
                "url": format!("{origin}/veh/cmd/v3/{}/{vin}", c.code()),
                "serviceId": c.code().to_ascii_uppercase(),
                "isEligible": entry.allows(c),
                "inEligibleReason": if entry.allows(c) { Value::Null } else { json!("NOT_ENTITLED") },
                "metaData": null,
            })
        })
        .collect();
    json!({
        "vin": vin,
        "make": entry.file.make.name(),
        "model": entry.file.model(),
        "year": entry.file.model_year,
        "onstarCapable": true,
        "imageUrl": "https://images.invalid/vehicle.png",
        "permissions": {"userPermissions": ["REMOTE_COMMANDS", "LOCATION"]},
        "vehicleCommands": commands,
        "color": {"exteriorColor": entry.file.colour, "interiorTrimColor": "JET BLACK"},
        "onstarInfo": {
            "onStarStatus": plan(entry), "ownerAccount": !entry.file.shared, "isShared": entry.file.shared,
        },
    })
}

/// The old list: numbers and booleans are texts, `unlock` and `lock` have their old names.
#[must_use]
pub fn account_vehicles(entries: &[&Entry], origin: &str) -> Value {
    let vehicles: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let vin = entry.vin.expose();
            let commands: Vec<Value> = Command::ALL
                .into_iter()
                .filter(|c| entry.allows(*c))
                .map(|c| {
                    let name = match c {
                        Command::Unlock => "unlockDoor",
                        Command::Lock => "lockDoor",
                        other => other.code(),
                    };
                    json!({
                        "name": name,
                        "description": name,
                        "url": format!("{origin}/api/v1/account/vehicles/{vin}/commands/{name}"),
                        "isPrivSessionRequired": "false",
                    })
                })
                .collect();
            json!({
                "vin": vin,
                "make": entry.file.make.name(),
                "model": entry.file.model(),
                "year": entry.file.model_year.to_string(),
                "unitType": "EMBEDDED",
                "primaryDriver": "true",
                "commands": {"command": commands},
            })
        })
        .collect();
    json!({"vehicles": {"size": vehicles.len().to_string(), "vehicle": vehicles}})
}

/// Health as of the last time the car was parked; it says nothing of locks.
#[must_use]
pub fn health(entry: &Entry) -> Value {
    let cts = entry.car.parked_at.to_rfc3339();
    json!({
        "name": "VEHICLE_HEALTH",
        "displayName": "Vehicle Health",
        "description": null,
        "status": "NO_ACTION_REQUIRED",
        "statusColor": "GREEN",
        "recommendedAction": null,
        "cts": cts,
        "diagnostics": [{
            "name": "OIL_SYSTEM",
            "displayName": "Oil Life",
            "status": "NO_ACTION_REQUIRED",
            "statusColor": "GREEN",
            "cts": cts,
            "diagnosticElements": [{
                "name": "OIL_LIFE", "displayName": "Oil Life", "status": "NO_ACTION_REQUIRED", "statusColor": "GREEN",
                "value": "87", "uom": "%", "cts": cts,
            }],
        }],
    })
}

/// The digital twin's position.
#[must_use]
pub fn position(fix: Fix) -> Value {
    let (lat, lng) = (fix.place.latitude, fix.place.longitude);
    let session = json!({"updatePending": if fix.pending { "PENDING" } else { "NONE" }});
    json!({"telemetry": {"data": {
        "session": session,
        "position": {"lat": lat, "lng": lng, "geohash": geohash(lat, lng)},
    }}})
}
/// Nine characters of base 32, each five bits, longitude first.
fn geohash(latitude: f64, longitude: f64) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let (mut lat, mut lng) = ((-90.0, 90.0), (-180.0, 180.0));
    let mut halve = |even: bool| {
        let (range, value): (&mut (f64, f64), f64) = if even { (&mut lng, longitude) } else { (&mut lat, latitude) };
        let middle = f64::midpoint(range.0, range.1);
        let upper = value >= middle;
        *(if upper { &mut range.0 } else { &mut range.1 }) = middle;
        usize::from(upper)
    };
    (0..9)
        .map(|n| {
            let index = (0..5).fold(0, |bits, bit| bits * 2 + halve((n * 5 + bit) % 2 == 0));
            char::from(ALPHABET[index])
        })
        .collect()
}

/// The old API's time of day has fractional seconds, without which one client cannot read it.
#[must_use]
pub fn time(at: Timestamp) -> String {
    at.to_rfc3339()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_queries_are_read_and_envelopes_are_not() {
        for (body, query) in [
            ("query getVehiclesMBFF {vehicles {vin make}}", Some(Query::List)),
            (
                "query d {vehicleDetails(vin: \"1G1FZ6S00L4000001\") {vin}}",
                Some(Query::Details("1G1FZ6S00L4000001".into())),
            ),
            ("{\"query\":\"query {vehicles {vin}}\"}", None),
            ("query {cars {vin}}", None),
            ("query d {vehicleDetails(vin: x", None),
            ("", None),
        ] {
            assert_eq!(parse(body), query, "{body}");
        }
        let full = json!({"vin": "V", "make": "M", "color": {"exteriorColor": "red", "interiorTrimColor": "x"}});
        let body = "query {vehicleDetails(vin: \"V\") {vin color {exteriorColor}}}";
        assert_eq!(asked_for(full, body), json!({"vin": "V", "color": {"exteriorColor": "red"}}));
    }

    #[test]
    fn geohashes_of_a_published_example() {
        assert_eq!(geohash(57.649_11, 10.407_44), "u4pruydqq");
    }
}
