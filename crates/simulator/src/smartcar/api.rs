//! The vendor's API v2.0, and what is known of v3, in the published shapes.

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use parcelshelf_core::time::{Timer as _, Timestamp};
use serde_json::{Value, json};

use super::Cloud;
use super::car::{Closure, Lid, Lock, Order};
use super::fault::{Effect, Error, Hears, Target};
use super::file::StorageTold;
use super::identity::Caller;
use super::oauth;
use super::world::{CommandAnswer, Entry, Kept, World, uuid_of};
use crate::wire::Scissors;

/// Readings of one batch.
const BATCH_MAX: usize = 20;
/// Seconds told with a simulated 429.
const RETRY_AFTER_S: u64 = 30;

/// What a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    List,
    User,
    Compatibility,
    Read(Target),
    Command,
    Batch,
    Disconnect,
    V3Vehicle,
    V3Signals(Option<String>),
}

/// The path's meaning and its id part; a trailing slash changes nothing. POST and DELETE have paths of their own.
fn route(method: &Method, path: &str) -> Result<(Asked, Option<String>), &'static str> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let asked = match (method.as_str(), parts.as_slice()) {
        ("GET", ["v2.0", "vehicles"]) => Asked::List,
        ("GET", ["v2.0", "user"]) => Asked::User,
        ("GET", ["v2.0", "compatibility"]) => Asked::Compatibility,
        ("GET", ["v2.0", "vehicles", _]) => Asked::Read(Target::Attributes),
        ("GET", ["v2.0", "vehicles", _, "vin"]) => Asked::Read(Target::Vin),
        ("GET", ["v2.0", "vehicles", _, "permissions"]) => Asked::Read(Target::Permissions),
        ("GET", ["v2.0", "vehicles", _, "location"]) => Asked::Read(Target::Location),
        ("GET", ["v2.0", "vehicles", _, "security"]) => Asked::Read(Target::Security),
        ("POST", ["v2.0", "vehicles", _, "security"]) => Asked::Command,
        ("POST", ["v2.0", "vehicles", _, "batch"]) => Asked::Batch,
        ("DELETE", ["v2.0", "vehicles", _, "application"]) => Asked::Disconnect,
        ("GET", ["v3", "vehicles", _]) => Asked::V3Vehicle,
        ("GET", ["v3", "vehicles", _, "signals"]) => Asked::V3Signals(None),
        ("GET", ["v3", "vehicles", _, "signals", code]) => Asked::V3Signals(Some((*code).to_owned())),
        (_, ["v2.0" | "v3", ..]) => return Err("path"),
        _ => return Err("version"),
    };
    Ok((asked, parts.get(2).map(|id| (*id).to_owned())))
}

/// What goes back, before it is written.
#[derive(Debug)]
enum Reply {
    Data(Value, Option<Kept>, bool),
    Failed(Error, String, Option<u64>),
    Nothing,
    Garbage,
    Later(Box<Reply>, u32),
}
fn data(value: Value) -> Reply {
    Reply::Data(value, None, false)
}
fn failed(name: &str, description: impl Into<String>) -> Reply {
    Reply::Failed(Error::named(name).unwrap_or_else(|| Error::of_status(500)), description.into(), None)
}
fn fault(error: Error) -> Reply {
    Reply::Failed(error, "simulated fault".to_owned(), (error.status == 429).then_some(RETRY_AFTER_S))
}

/// Every request under the vendor's API.
pub async fn handle(
    State(cloud): State<Cloud>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request_id = uuid_of(&hex(&parcelshelf_core::time::random::<16>(&*cloud.entropy)));
    let (mut reply, held_ms, now) = {
        let now = cloud.now();
        let mut world = cloud.world();
        world.record.requests += 1;
        let asked = Request { method: &method, path: uri.path(), query: uri.query(), headers: &headers, body: &body };
        let reply = match now < world.down_until {
            true => fault(Error::of_status(503)),
            false => decide(&mut world, &asked, now),
        };
        let vin = route(&method, uri.path()).ok().and_then(|(_, id)| world.vin_of_id(&id?));
        let held_ms = vin.map_or(0, |vin| world.hold_back(&vin, method == Method::POST));
        (reply, held_ms, now)
    };
    if held_ms > 0 {
        cloud.clock.sleep(std::time::Duration::from_millis(held_ms)).await;
    }
    if let Reply::Later(truth, seconds) = reply {
        cloud.clock.sleep(std::time::Duration::from_secs(u64::from(seconds))).await;
        reply = *truth;
    }
    let mut response = match reply {
        Reply::Data(value, kept, without_age) => {
            let mut response = axum::Json(value).into_response();
            if let Some(kept) = kept {
                set(&mut response, "sc-unit-system", "metric");
                set(&mut response, "sc-fetched-at", &now.to_rfc3339());
                if !without_age {
                    set(&mut response, "sc-data-age", &kept.at.to_rfc3339());
                }
            }
            response
        }
        Reply::Failed(error, description, retry_after_s) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, axum::Json(error_body(&error, &description, &request_id))).into_response();
            if let Some(seconds) = retry_after_s {
                set(&mut response, "retry-after", &seconds.to_string());
            }
            response
        }
        Reply::Nothing => {
            scissors.cut();
            StatusCode::OK.into_response()
        }
        // Nothing is later than late.
        Reply::Garbage | Reply::Later(..) => {
            ([(header::CONTENT_TYPE, "application/json")], "{\"status\":\"succ").into_response()
        }
    };
    set(&mut response, "sc-request-id", &request_id);
    response
}
fn set(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The published shape of an error.
fn error_body(error: &Error, description: &str, request_id: &str) -> Value {
    let or_null = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
    json!({
        "type": error.kind,
        "code": or_null(error.code),
        "description": description,
        "docURL": "https://smartcar.com/docs/errors",
        "statusCode": error.status,
        "requestId": request_id,
        "resolution": {"type": or_null(error.resolution)},
    })
}

struct Request<'a> {
    method: &'a Method,
    path: &'a str,
    query: Option<&'a str>,
    headers: &'a HeaderMap,
    body: &'a Bytes,
}

/// One fixed order: path, media type, token, quota, relation, then what was asked.
fn decide(world: &mut World, request: &Request<'_>, now: Timestamp) -> Reply {
    let (asked, id) = match route(request.method, request.path) {
        Ok(found) => found,
        Err(name) => return failed(name, "no such resource"),
    };
    if asked == Asked::Compatibility {
        return compatibility(world, request);
    }
    let body = match (request.method == Method::POST).then(|| json_body(request)) {
        Some(None) => return failed("validation", "a JSON object is required"),
        Some(body) => body.unwrap_or_default(),
        None => Value::Null,
    };
    let Some(caller) = caller(world, request.headers, now) else {
        return failed("authentication", "missing, invalid or expired access token");
    };
    let command = asked == Asked::Command;
    if let Err(wait_s) = world.charge(&caller.owner, &caller.client_id, command, now) {
        let error = Error::named("rate_limit").unwrap_or_else(|| Error::of_status(429));
        return Reply::Failed(error, "the quota of this vehicle is used up".to_owned(), Some(wait_s));
    }
    let connected = world.connected(&caller.client_id, &caller.owner);
    match asked {
        Asked::List => {
            let paging = json!({"count": connected.len(), "offset": 0});
            return data(json!({"vehicles": connected, "paging": paging}));
        }
        Asked::User => return data(json!({"id": uuid_of(&format!("user {}", caller.owner))})),
        _ => {}
    }
    let id = id.unwrap_or_default();
    // The same words for a car of somebody else and for no car at all.
    let Some(vin) = connected.contains(&id).then(|| world.vin_of_id(&id)).flatten() else {
        return failed("permission", "no access to this vehicle");
    };
    match asked {
        Asked::Read(target) => read(world, &vin, target, &caller, now),
        Asked::Command => command_of(world, &vin, &body, &caller, now),
        Asked::Batch => batch(world, &vin, &body, &caller, now),
        Asked::Disconnect => {
            world.disconnect(&caller.client_id, &caller.owner, &vin);
            data(json!({"status": "success"}))
        }
        Asked::V3Vehicle => v3_vehicle(world, &vin, &caller, now),
        Asked::V3Signals(code) => v3_signals(world, &vin, code.as_deref(), &caller, now),
        Asked::List | Asked::User | Asked::Compatibility => failed("path", "no such resource"),
    }
}

fn json_body(request: &Request<'_>) -> Option<Value> {
    let kind = request.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok())?;
    let json = kind.to_ascii_lowercase().starts_with("application/json");
    let body = serde_json::from_slice(request.body).ok().filter(Value::is_object);
    body.filter(|_| json)
}
fn caller(world: &World, headers: &HeaderMap, now: Timestamp) -> Option<Caller> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    world.identity.caller(token.trim(), now)
}
/// Whether the owner gave this permission and has not taken it back.
fn given(world: &World, caller: &Caller, permission: &str) -> bool {
    let refused = world.owners.get(&caller.owner).is_some_and(|o| o.refused_scopes.contains(permission));
    caller.scopes.contains(permission) && !refused
}
fn without(permission: &str) -> Reply {
    failed("permission", format!("the permission {permission} is missing"))
}

/// The vendor's table of what a car can do, for whoever has the application's own credentials.
fn compatibility(world: &World, request: &Request<'_>) -> Reply {
    if oauth::authenticated(world, request.headers).is_none() {
        return failed("authentication", "unknown client or wrong secret");
    }
    let query = request.query.unwrap_or_default();
    let parameter = |name: &str| {
        url::form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
    };
    let (Some(vin), Some(scope)) = (parameter("vin"), parameter("scope")) else {
        return failed("parameter", "vin and scope are required");
    };
    let Some(entry) = world.car(&vin.to_ascii_uppercase()) else {
        return data(json!({"compatible": false, "reason": "VEHICLE_NOT_COMPATIBLE", "capabilities": []}));
    };
    let capabilities: Vec<Value> = scope
        .split(' ')
        .filter_map(|permission| {
            let (endpoint, capable) = match permission {
                "read_vehicle_info" => ("/", true),
                "read_vin" => ("/vin", true),
                "read_location" => ("/location", entry.file.publishes_position),
                "read_security" => ("/security", true),
                "control_security" => ("/security", entry.file.capable),
                _ => return None,
            };
            let reason = if capable { Value::Null } else { json!("VEHICLE_NOT_COMPATIBLE") };
            Some(json!({"permission": permission, "endpoint": endpoint, "capable": capable, "reason": reason}))
        })
        .collect();
    data(json!({"compatible": true, "reason": null, "capabilities": capabilities}))
}

fn command_of(world: &mut World, vin: &str, body: &Value, caller: &Caller, now: Timestamp) -> Reply {
    let order = match body["action"].as_str() {
        Some("UNLOCK") => Order::Unlock,
        Some("LOCK") => Order::Lock,
        _ => return failed("parameter", "action is LOCK or UNLOCK"),
    };
    if !given(world, caller, "control_security") {
        return without("control_security");
    }
    if world.car(vin).is_none_or(|entry| !entry.file.capable) {
        return failed("vehicle_not_capable", "this vehicle cannot be locked or unlocked");
    }
    let success = || data(json!({"status": "success", "message": "Successfully sent request to vehicle"}));
    match world.command(vin, order, &caller.owner, now) {
        None => failed("permission", "no access to this vehicle"),
        Some(CommandAnswer::Success) => success(),
        Some(CommandAnswer::Error(error)) => fault(error),
        Some(CommandAnswer::Odd) => data(json!({"status": "pending", "message": "to be continued"})),
        Some(CommandAnswer::Nothing) => Reply::Nothing,
        Some(CommandAnswer::Garbage) => Reply::Garbage,
        Some(CommandAnswer::Later { error, after_s }) => {
            Reply::Later(Box::new(error.map_or_else(success, fault)), after_s)
        }
    }
}

fn read(world: &mut World, vin: &str, target: Target, caller: &Caller, now: Timestamp) -> Reply {
    let needed = match target {
        Target::Attributes => "read_vehicle_info",
        Target::Vin => "read_vin",
        Target::Location => "read_location",
        Target::Security => "read_security",
        Target::Permissions | Target::Order(_) | Target::AnyOrder => "",
    };
    if !needed.is_empty() && !given(world, caller, needed) {
        return without(needed);
    }
    let effect = world.fault_on_reading(vin, target);
    let permissions: Vec<String> = caller.scopes.iter().filter(|s| given(world, caller, s)).cloned().collect();
    let Some(kept) = world.known(vin, now) else { return failed("permission", "no access to this vehicle") };
    let Some(entry) = world.car(vin) else { return failed("permission", "no access to this vehicle") };
    let without_age = entry.file.without_data_age;
    let truth = match target {
        Target::Attributes => data(attributes(entry)),
        Target::Vin => data(json!({"vin": entry.vin.expose()})),
        Target::Permissions => {
            let paging = json!({"count": permissions.len(), "offset": 0});
            data(json!({"permissions": permissions, "paging": paging}))
        }
        Target::Location if !entry.file.publishes_position => {
            failed("vehicle_not_capable", "this vehicle gives no position")
        }
        Target::Location => {
            let place = json!({"latitude": kept.place.latitude, "longitude": kept.place.longitude});
            Reply::Data(place, Some(kept), without_age)
        }
        Target::Security => Reply::Data(security(entry, &kept), Some(kept), without_age),
        Target::Order(_) | Target::AnyOrder => failed("path", "no such resource"),
    };
    let place_left = target == Target::Location && matches!(truth, Reply::Data(..));
    let reply = faulty(effect, truth);
    if place_left && matches!(reply, Reply::Data(..) | Reply::Later(..)) {
        world.record.position_read(now, vin, &caller.owner);
    }
    reply
}
fn faulty(effect: Option<Effect>, truth: Reply) -> Reply {
    match effect.map(|e| e.hears) {
        None | Some(Hears::Success) => truth,
        Some(Hears::Error(error)) => fault(error),
        Some(Hears::Odd) => data(json!({"status": "pending"})),
        Some(Hears::Nothing) => Reply::Nothing,
        Some(Hears::Garbage) => Reply::Garbage,
        Some(Hears::TruthAfterSeconds(s)) => Reply::Later(Box::new(truth), s),
    }
}

fn attributes(entry: &Entry) -> Value {
    let file = &entry.file;
    json!({"id": entry.id, "make": file.make, "model": file.model, "year": file.model_year})
}
fn security(entry: &Entry, kept: &Kept) -> Value {
    let status = |c: Closure| if kept.car.closure(c).value == Lid::Closed { "CLOSED" } else { "OPEN" };
    let part = |kind: &str, c: Closure| json!({"type": kind, "status": status(c)});
    let storage = match entry.file.storage {
        StorageTold::Told => json!([part("rear", Closure::Tailgate), part("front", Closure::Hood)]),
        StorageTold::Unknown => {
            json!([{"type": "rear", "status": "UNKNOWN"}, {"type": "front", "status": "UNKNOWN"}])
        }
        StorageTold::Empty => json!([]),
    };
    json!({
        "isLocked": kept.car.lock.value == Lock::Locked,
        "doors": [
            part("frontLeft", Closure::FrontLeftDoor),
            part("frontRight", Closure::FrontRightDoor),
            part("backLeft", Closure::RearLeftDoor),
            part("backRight", Closure::RearRightDoor),
        ],
        "windows": [],
        "sunroof": [],
        "storage": storage,
        "chargingPort": [],
    })
}

/// Several readings in one request, each with a status and headers of its own.
fn batch(world: &mut World, vin: &str, body: &Value, caller: &Caller, now: Timestamp) -> Reply {
    let Some(requests) = body["requests"].as_array().filter(|r| (1..=BATCH_MAX).contains(&r.len())) else {
        return failed("parameter", "requests is a list of 1 to 20");
    };
    let mut responses = Vec::new();
    for request in requests {
        let path = request["path"].as_str().unwrap_or_default();
        let target = match path.trim_matches('/') {
            "" => Some(Target::Attributes),
            "vin" => Some(Target::Vin),
            "permissions" => Some(Target::Permissions),
            "location" => Some(Target::Location),
            "security" => Some(Target::Security),
            _ => None,
        };
        let reply = target.map_or_else(|| failed("path", "no such resource"), |t| read(world, vin, t, caller, now));
        responses.push(match reply {
            Reply::Data(value, kept, without_age) => {
                let mut headers = json!({"sc-unit-system": "metric", "sc-fetched-at": now.to_rfc3339()});
                if let Some(kept) = kept.filter(|_| !without_age) {
                    headers["sc-data-age"] = json!(kept.at.to_rfc3339());
                }
                json!({"path": path, "code": 200, "headers": headers, "body": value})
            }
            Reply::Failed(error, description, _) => {
                let body = error_body(&error, &description, "00000000-0000-4000-8000-000000000000");
                json!({"path": path, "code": error.status, "headers": {"content-type": "application/json"}, "body": body})
            }
            Reply::Nothing | Reply::Garbage | Reply::Later(..) => {
                json!({"path": path, "code": 502, "headers": {"content-type": "application/json"}, "body": error_body(
                    &Error::of_status(502), "simulated fault", "00000000-0000-4000-8000-000000000000")})
            }
        });
    }
    data(json!({ "responses": responses }))
}

fn v3_vehicle(world: &mut World, vin: &str, caller: &Caller, now: Timestamp) -> Reply {
    match read(world, vin, Target::Attributes, caller, now) {
        Reply::Data(told, ..) => {
            let attributes = json!({"make": told["make"], "model": told["model"], "year": told["year"]});
            data(json!({"data": {"id": told["id"], "type": "vehicle", "attributes": attributes}}))
        }
        other => other,
    }
}
/// The signals that are known here; each tells when the maker renewed it, in milliseconds.
fn v3_signals(world: &mut World, vin: &str, code: Option<&str>, caller: &Caller, now: Timestamp) -> Reply {
    let mut signals = Vec::new();
    for (known, name, group, target) in [
        ("closure-islocked", "IsLocked", "Closure", Target::Security),
        ("location-preciselocation", "PreciseLocation", "Location", Target::Location),
    ] {
        if code.is_some_and(|wanted| wanted != known) {
            continue;
        }
        let (told, kept, without_age) = match read(world, vin, target, caller, now) {
            Reply::Data(told, Some(kept), without_age) => (told, kept, without_age),
            // A list leaves out what the car does not have.
            Reply::Failed(..) if code.is_none() => continue,
            other => return other,
        };
        let body = if target == Target::Security { json!({"value": told["isLocked"]}) } else { told };
        let mut meta = json!({"retrievedAt": now.unix_millis()});
        if !without_age {
            meta["oemUpdatedAt"] = json!(kept.at.unix_millis());
        }
        let id = world.car(vin).map(|e| e.id.clone()).unwrap_or_default();
        signals.push(json!({
            "id": known,
            "type": "signal",
            "attributes": {"code": known, "name": name, "group": group, "status": {"value": "SUCCESS"}, "body": body},
            "meta": meta,
            "links": {"self": format!("/vehicles/{id}/signals/{known}")},
        }));
    }
    match (code, signals.pop()) {
        (Some(_), Some(signal)) => data(signal),
        (Some(_), None) => failed("path", "no such signal"),
        (None, last) => {
            signals.extend(last);
            data(json!({ "data": signals }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_what_is_published_and_a_trailing_slash_changes_nothing() {
        for (method, path, asked) in [
            ("GET", "/v2.0/vehicles", Ok(Asked::List)),
            ("GET", "/v2.0/vehicles/", Ok(Asked::List)),
            ("GET", "/v2.0/vehicles/i/", Ok(Asked::Read(Target::Attributes))),
            ("GET", "/v2.0/vehicles/i/security", Ok(Asked::Read(Target::Security))),
            ("POST", "/v2.0/vehicles/i/security", Ok(Asked::Command)),
            ("DELETE", "/v2.0/vehicles/i/application", Ok(Asked::Disconnect)),
            ("GET", "/v3/vehicles/i/", Ok(Asked::V3Vehicle)),
            ("GET", "/v3/vehicles/i/signals", Ok(Asked::V3Signals(None))),
            ("GET", "/v2.0/vehicles/i/trunk", Err("path")),
            ("POST", "/v3/vehicles/i/security", Err("path")),
            ("GET", "/v1.0/vehicles", Err("version")),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(route(&method, path).map(|(asked, _)| asked), asked, "{method} {path}");
        }
    }
}
