//! The maker's API: Connected Vehicle v2 and Location v1, in the published shapes.

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use parcelshelf_core::time::{Timer as _, Timestamp};
use parcelshelf_core::vehicle::Vin;
use serde_json::{Map, Value, json};

use super::Cloud;
use super::car::{Closure, Order, Stamped};
use super::fault::{Effect, Hears, Target};
use super::identity::Caller;
use super::world::{CommandAnswer, Entry, ReadyAs, World};
use crate::wire::Scissors;

const OPERATION_HEADER: &str = "vcc-api-operationid";

/// What a path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    List,
    Read(Target),
    Command(Order),
}
impl Asked {
    const fn method(self) -> Method {
        match self {
            Self::List | Self::Read(_) => Method::GET,
            Self::Command(_) => Method::POST,
        }
    }
    /// Scopes of the endpoint; all are needed.
    const fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::List | Self::Read(Target::Details) => &["conve:vehicle_relation"],
            Self::Read(Target::Commands) => &["conve:commands"],
            Self::Read(Target::Accessibility) => &["conve:command_accessibility"],
            Self::Read(Target::Doors) => &["conve:doors_status", "conve:lock_status"],
            Self::Read(Target::Windows) => &["conve:windows_status"],
            Self::Read(Target::Location) => &["location:read"],
            Self::Command(Order::Unlock) => &["conve:unlock"],
            Self::Command(Order::Lock | Order::LockReducedGuard) => &["conve:lock"],
            Self::Command(_) => &["conve:honk_flash"],
            // No path leads here.
            Self::Read(Target::Order(_) | Target::AnyOrder) => &[],
        }
    }
}

/// The path's meaning and its VIN part; a trailing slash changes nothing.
fn route(path: &str) -> Option<(Asked, Option<&str>)> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    Some(match parts.as_slice() {
        ["connected-vehicle", "v2", "vehicles"] => (Asked::List, None),
        ["connected-vehicle", "v2", "vehicles", vin] => (Asked::Read(Target::Details), Some(*vin)),
        ["connected-vehicle", "v2", "vehicles", vin, "commands"] => (Asked::Read(Target::Commands), Some(*vin)),
        ["connected-vehicle", "v2", "vehicles", vin, "command-accessibility"] => {
            (Asked::Read(Target::Accessibility), Some(*vin))
        }
        ["connected-vehicle", "v2", "vehicles", vin, "doors"] => (Asked::Read(Target::Doors), Some(*vin)),
        ["connected-vehicle", "v2", "vehicles", vin, "windows"] => (Asked::Read(Target::Windows), Some(*vin)),
        ["connected-vehicle", "v2", "vehicles", vin, "commands", command] => {
            (Asked::Command(Order::parse_path(command)?), Some(*vin))
        }
        ["location", "v1", "vehicles", vin, "location"] => (Asked::Read(Target::Location), Some(*vin)),
        _ => return None,
    })
}

/// What goes back, before it is written.
enum Reply {
    Data(Value),
    Failed(StatusCode, &'static str, String, Option<u64>),
    Nothing,
    Garbage,
    Later(Value, u32),
}
fn failed(status: StatusCode, message: &'static str, description: impl Into<String>) -> Reply {
    Reply::Failed(status, message, description.into(), None)
}
fn not_found(description: impl Into<String>) -> Reply {
    failed(StatusCode::NOT_FOUND, "NOT_FOUND", description)
}

/// Every request under the maker's API.
pub async fn handle(
    State(cloud): State<Cloud>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let operation = operation_id(&cloud, &headers);
    let (reply, held_ms) = {
        let now = cloud.now();
        let mut world = cloud.world();
        world.record.requests += 1;
        let reply = match now < world.down_until {
            true => http_fault(503),
            false => decide(&mut world, &method, uri.path(), &headers, &body, now),
        };
        let held_ms = match route(uri.path()) {
            Some((asked, Some(vin))) => world.hold_back(vin, matches!(asked, Asked::Command(_))),
            _ => 0,
        };
        (reply, held_ms)
    };
    if held_ms > 0 {
        cloud.clock.sleep(std::time::Duration::from_millis(held_ms)).await;
    }
    let mut response = match reply {
        Reply::Data(data) => ok(&data),
        Reply::Failed(status, message, description, retry_after_s) => {
            let mut response = (status, axum::Json(error_body(message, &description))).into_response();
            if let Some(seconds) = retry_after_s {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Reply::Nothing => {
            scissors.cut();
            StatusCode::OK.into_response()
        }
        Reply::Garbage => {
            ([(header::CONTENT_TYPE, "application/json")], "{\"data\":{\"invokeStatus\":").into_response()
        }
        Reply::Later(data, seconds) => {
            cloud.clock.sleep(std::time::Duration::from_secs(u64::from(seconds))).await;
            ok(&data)
        }
    };
    if let Ok(value) = HeaderValue::from_str(&operation) {
        response.headers_mut().insert(OPERATION_HEADER, value);
    }
    response
}

fn ok(data: &Value) -> Response {
    axum::Json(json!({ "data": data })).into_response()
}
/// The published shape of an error.
pub fn error_body(message: &str, description: &str) -> Value {
    json!({"error": {"message": message, "description": description}})
}

/// The caller's own id if it is a UUID, else a fresh one (RFC 9562 version 4).
fn operation_id(cloud: &Cloud, headers: &HeaderMap) -> String {
    let theirs = headers.get(OPERATION_HEADER).and_then(|v| v.to_str().ok());
    if let Some(id) = theirs.filter(|id| is_uuid(id)) {
        return id.to_owned();
    }
    let mut bytes = parcelshelf_core::time::random::<16>(&*cloud.entropy);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// One fixed order: path, method, media types, application key, token, quota, scope, relation, fault, answer.
fn decide(world: &mut World, method: &Method, path: &str, headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Reply {
    let Some((asked, vin)) = route(path) else { return not_found("no such resource") };
    if let Err(reply) = well_formed(asked, method, headers, body) {
        return reply;
    }
    let caller = match authenticated(world, headers, now) {
        Ok(caller) => caller,
        Err(reply) => return reply,
    };
    if let Err(wait_s) = world.charge(&caller.owner, &caller.client_id, matches!(asked, Asked::Command(_)), now) {
        let description = "the quota of this user and application is used up".to_owned();
        return Reply::Failed(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", description, Some(wait_s));
    }
    let refused = world.owners.get(&caller.owner).map(|o| &o.refused_scopes);
    let has = |scope: &str| caller.scopes.contains(scope) && refused.is_none_or(|r| !r.contains(scope));
    if let Some(missing) = asked.scopes().iter().find(|s| !has(s)) {
        return failed(StatusCode::FORBIDDEN, "FORBIDDEN", format!("scope {missing} is missing"));
    }
    let Some(vin) = vin else {
        return Reply::Data(world.vins_of(&caller.owner).map(|vin| json!({"vin": vin})).collect());
    };
    let Ok(vin) = Vin::parse(vin) else { return failed(StatusCode::BAD_REQUEST, "BAD_REQUEST", "invalid VIN") };
    let vin = vin.expose();
    if world.car(vin).is_none_or(|entry| entry.file.owner != caller.owner) {
        // The same words for a car of somebody else and for no car at all.
        return failed(StatusCode::FORBIDDEN, "FORBIDDEN", "no relation between this user and this vehicle");
    }
    match asked {
        Asked::Command(order) => command(world, vin, order, &caller, now),
        Asked::Read(target) => read(world, vin, target, &caller, now),
        Asked::List => not_found("no such resource"),
    }
}

fn well_formed(asked: Asked, method: &Method, headers: &HeaderMap, body: &Bytes) -> Result<(), Reply> {
    if *method != asked.method() {
        return Err(failed(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "method not allowed here"));
    }
    let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    if let Some(accept) = text(header::ACCEPT)
        && !["application/json", "*/*", "application/*"].iter().any(|t| accept.contains(t))
    {
        return Err(failed(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", "only application/json is produced"));
    }
    if *method == Method::POST {
        let json = text(header::CONTENT_TYPE).is_some_and(|t| t.to_ascii_lowercase().starts_with("application/json"));
        if !json {
            let description = "content type application/json is required";
            return Err(failed(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", description));
        }
        if !body.is_empty() && serde_json::from_slice::<Map<String, Value>>(body).is_err() {
            return Err(failed(StatusCode::BAD_REQUEST, "BAD_REQUEST", "the body is no JSON object"));
        }
    }
    Ok(())
}

fn authenticated(world: &World, headers: &HeaderMap, now: Timestamp) -> Result<Caller, Reply> {
    let unauthorized = |description: &str| failed(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", description);
    let key = headers.get("vcc-api-key").and_then(|v| v.to_str().ok());
    let application = key.and_then(|key| world.clients.iter().find(|c| c.vcc_api_key == key));
    let Some(application) = application else { return Err(unauthorized("missing or invalid vcc-api-key")) };
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    token
        .and_then(|token| world.identity.caller(token, now))
        .filter(|caller| caller.client_id == application.client_id)
        .ok_or_else(|| unauthorized("missing, invalid or expired access token"))
}

fn command(world: &mut World, vin: &str, order: Order, caller: &Caller, now: Timestamp) -> Reply {
    let Some(entry) = world.car(vin) else { return not_found("no such vehicle") };
    if !entry.file.commands.iter().any(|name| name == order.name()) {
        return not_found(format!("{} is not supported by this vehicle", order.name()));
    }
    let ready_as = entry.file.ready_as;
    let result = |word: &str, ready_until: Option<Timestamp>| {
        let mut data = json!({"vin": vin, "invokeStatus": word, "message": ""});
        if order == Order::Unlock && ready_as != ReadyAs::Absent {
            data["readyToUnlock"] = json!(ready_until.is_some());
            data["readyToUnlockUntil"] = match (ready_until, ready_as) {
                (Some(until), ReadyAs::EpochMs) => json!(until.unix_millis()),
                (Some(until), _) => json!(until.millis_since(now) / 1_000),
                (None, _) => json!(0),
            };
        }
        data
    };
    match world.command(vin, order, &caller.owner, now) {
        None => not_found("no such vehicle"),
        Some(CommandAnswer::Status { word, ready_until }) => Reply::Data(result(word, ready_until)),
        Some(CommandAnswer::LaterStatus { word, ready_until, after_real_s }) => {
            Reply::Later(result(word, ready_until), after_real_s)
        }
        Some(CommandAnswer::Http(code)) => http_fault(code),
        Some(CommandAnswer::Nothing) => Reply::Nothing,
        Some(CommandAnswer::Garbage) => Reply::Garbage,
    }
}
fn http_fault(code: u16) -> Reply {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let message = match code {
        422 => "UNPROCESSABLE_ENTITY",
        429 => "TOO_MANY_REQUESTS",
        401 => "UNAUTHORIZED",
        403 => "FORBIDDEN",
        404 => "NOT_FOUND",
        503 => "SERVICE_UNAVAILABLE",
        504 => "GATEWAY_TIMEOUT",
        _ => "ERROR",
    };
    Reply::Failed(status, message, "simulated fault".to_owned(), (code == 429).then_some(30))
}

fn read(world: &mut World, vin: &str, target: Target, caller: &Caller, now: Timestamp) -> Reply {
    world.live(vin, now);
    let effect = world.fault_on_reading(vin, target);
    let Some(entry) = world.car(vin) else { return not_found("no such vehicle") };
    let data = match target {
        Target::Details => details(entry),
        Target::Commands => commands(entry),
        Target::Accessibility => accessibility(entry),
        Target::Doors => {
            let mut data = closures(entry, &Closure::LIDS);
            data["centralLock"] = field(entry, entry.car.lock.value.code(), entry.car.lock.changed_at);
            data
        }
        Target::Windows => closures(entry, &Closure::GLASS),
        Target::Location if !entry.file.publishes_position => {
            return not_found("location is not published for this vehicle");
        }
        Target::Location => location(entry),
        Target::Order(_) | Target::AnyOrder => return not_found("no such resource"),
    };
    let reply = faulty(effect, data);
    let told = matches!(reply, Reply::Data(_) | Reply::Later(..));
    if target == Target::Location && told {
        world.record.position_read(now, vin, &caller.owner);
    }
    reply
}
fn faulty(effect: Option<Effect>, data: Value) -> Reply {
    match effect.map(|e| e.hears) {
        None | Some(Hears::Status(_)) => Reply::Data(data),
        Some(Hears::Http(code)) => http_fault(code),
        Some(Hears::Nothing) => Reply::Nothing,
        Some(Hears::Garbage) => Reply::Garbage,
        Some(Hears::TruthAfterSeconds(s)) => Reply::Later(data, s),
    }
}

fn details(entry: &Entry) -> Value {
    let file = &entry.file;
    let images = "https://images.invalid/vehicle";
    json!({
        "vin": entry.vin.expose(),
        "modelYear": file.model_year,
        "gearbox": "AUTOMATIC",
        "fuelType": file.fuel,
        "externalColour": file.colour,
        "images": {"exteriorImageUrl": format!("{images}/exterior.png"), "internalImageUrl": format!("{images}/interior.png")},
        "descriptions": {"model": file.model, "upholstery": "CHARCOAL", "steering": "LEFT"},
    })
}
fn commands(entry: &Entry) -> Value {
    entry
        .file
        .commands
        .iter()
        .filter_map(|name| Order::parse_name(name))
        .map(|o| json!({"command": o.name(), "href": format!("/v2/vehicles/{}/commands/{}", entry.vin.expose(), o.path())}))
        .collect()
}
fn accessibility(entry: &Entry) -> Value {
    let (value, reason, at) = entry.accessible;
    let mut status = field(entry, value, at);
    if let Some(reason) = reason {
        status["unavailableReason"] = json!(reason);
    }
    json!({ "availabilityStatus": status })
}
fn field(entry: &Entry, value: &str, at: Timestamp) -> Value {
    if entry.file.without_timestamps {
        json!({ "value": value })
    } else {
        json!({"value": value, "timestamp": at.to_rfc3339()})
    }
}
fn closures(entry: &Entry, which: &[Closure]) -> Value {
    let fields: Map<String, Value> = which
        .iter()
        .map(|c| {
            let Stamped { value, changed_at } = entry.car.closure(*c);
            (wire_name(*c).to_owned(), field(entry, value.code(), changed_at))
        })
        .collect();
    Value::Object(fields)
}
const fn wire_name(closure: Closure) -> &'static str {
    match closure {
        Closure::FrontLeftDoor => "frontLeftDoor",
        Closure::FrontRightDoor => "frontRightDoor",
        Closure::RearLeftDoor => "rearLeftDoor",
        Closure::RearRightDoor => "rearRightDoor",
        Closure::Hood => "hood",
        Closure::Tailgate => "tailgate",
        Closure::TankLid => "tankLid",
        Closure::FrontLeftWindow => "frontLeftWindow",
        Closure::FrontRightWindow => "frontRightWindow",
        Closure::RearLeftWindow => "rearLeftWindow",
        Closure::RearRightWindow => "rearRightWindow",
        Closure::Sunroof => "sunroof",
    }
}
/// GeoJSON: longitude first, altitude third; the heading is a text.
fn location(entry: &Entry) -> Value {
    let parked = &entry.car.parked;
    let mut properties = json!({"heading": parked.heading_deg.to_string()});
    if !entry.file.without_timestamps {
        properties["timestamp"] = json!(parked.at.to_rfc3339());
    }
    json!({
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": "Point", "coordinates": [parked.longitude, parked.latitude, 0.0]},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_what_is_published_with_or_without_a_trailing_slash() {
        for (path, asked) in [
            ("/connected-vehicle/v2/vehicles", Some(Asked::List)),
            ("/connected-vehicle/v2/vehicles/", Some(Asked::List)),
            ("/connected-vehicle/v2/vehicles/V", Some(Asked::Read(Target::Details))),
            ("/connected-vehicle/v2/vehicles/V/doors/", Some(Asked::Read(Target::Doors))),
            ("/connected-vehicle/v2/vehicles/V/commands", Some(Asked::Read(Target::Commands))),
            ("/connected-vehicle/v2/vehicles/V/commands/unlock", Some(Asked::Command(Order::Unlock))),
            (
                "/connected-vehicle/v2/vehicles/V/commands/lock-reduced-guard",
                Some(Asked::Command(Order::LockReducedGuard)),
            ),
            ("/location/v1/vehicles/V/location", Some(Asked::Read(Target::Location))),
            ("/connected-vehicle/v2/vehicles/V/commands/trunk", None),
            ("/connected-vehicle/v1/vehicles", None),
            ("/location/v1/vehicles/V", None),
            ("/connected-vehicle/v2/vehicles//", Some(Asked::Read(Target::Details))),
        ] {
            assert_eq!(route(path).map(|(asked, _)| asked), asked, "{path}");
        }
    }
}
