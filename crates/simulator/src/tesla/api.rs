//! The Fleet API of one region, in the published shapes.

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parcelshelf_core::time::{Timer as _, Timestamp};
use parcelshelf_core::vehicle::Vin;
use serde_json::{Map, Value, json};

use super::Cloud;
use super::car::{Answer, Closure, Event, Lid, Lock, No, Order, Trip};
use super::fault::{Hears, Target};
use super::identity::Caller;
use super::signed::Came;
use super::world::{Charge, Entry, Told, World};
use crate::wire::Scissors;

/// What a path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    List,
    FleetStatus,
    Vehicle,
    VehicleData,
    WakeUp,
    Command(Order),
    Signed,
}

impl Asked {
    const fn is_command(self) -> bool {
        matches!(self, Self::Command(_) | Self::Signed)
    }
}

/// The path's meaning and its VIN part.
fn route(path: &str) -> Option<(Asked, &str)> {
    let parts: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').skip(1).collect();
    let ["api", "1", "vehicles", rest @ ..] = parts.as_slice() else { return None };
    Some(match rest {
        [] => (Asked::List, ""),
        ["fleet_status"] => (Asked::FleetStatus, ""),
        [vin] => (Asked::Vehicle, vin),
        [vin, "vehicle_data"] => (Asked::VehicleData, vin),
        [vin, "wake_up"] => (Asked::WakeUp, vin),
        [vin, "signed_command"] => (Asked::Signed, vin),
        [vin, "command", "door_lock"] => (Asked::Command(Order::Lock), vin),
        [vin, "command", "door_unlock"] => (Asked::Command(Order::Unlock), vin),
        [vin, "command", "flash_lights"] => (Asked::Command(Order::Flash), vin),
        [vin, "command", "honk_horn"] => (Asked::Command(Order::Honk), vin),
        [vin, "command", "actuate_trunk"] => (Asked::Command(Order::RearTrunk), vin),
        _ => return None,
    })
}

/// What goes back, before it is written.
enum Reply {
    /// The whole body.
    Data(Value),
    Failed(u16, String, Option<u64>),
    Nothing,
    Garbage,
    Late(Value, u32),
}
fn failed(status: u16, error: impl Into<String>) -> Reply {
    Reply::Failed(status, error.into(), (status == 429).then_some(30))
}
const ASLEEP: &str = "vehicle unavailable: vehicle is offline or asleep";

/// What every request brings along.
struct Call<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    body: &'a Bytes,
    now: Timestamp,
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
    let (reply, held_ms) = {
        let now = cloud.now();
        let mut world = cloud.world();
        world.record.requests += 1;
        let call = Call { method: &method, uri: &uri, headers: &headers, body: &body, now };
        let reply = if now < world.down_until { failed(503, "service unavailable") } else { decide(&mut world, &call) };
        let held_ms = match route(uri.path()) {
            Some((asked, vin)) => world.hold_back(vin, asked.is_command()),
            None => 0,
        };
        (reply, held_ms)
    };
    if held_ms > 0 {
        cloud.clock.sleep(std::time::Duration::from_millis(held_ms)).await;
    }
    match reply {
        Reply::Data(data) => axum::Json(data).into_response(),
        Reply::Failed(status, error, retry_after_s) => {
            let body = json!({"response": null, "error": error, "error_description": ""});
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, axum::Json(body)).into_response();
            if let Some(seconds) = retry_after_s {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                response.headers_mut().insert("ratelimit-reset", HeaderValue::from(seconds));
            }
            response
        }
        Reply::Nothing => {
            scissors.cut();
            StatusCode::OK.into_response()
        }
        Reply::Garbage => ([(header::CONTENT_TYPE, "application/json")], "{\"response\":{\"result\":").into_response(),
        Reply::Late(data, seconds) => {
            cloud.clock.sleep(std::time::Duration::from_secs(u64::from(seconds))).await;
            axum::Json(data).into_response()
        }
    }
}

/// One fixed order: path, method, token, region, relation to the car, quota, scope, the request itself.
fn decide(world: &mut World, call: &Call<'_>) -> Reply {
    let Some((asked, vin)) = route(call.uri.path()) else { return failed(404, "not_found") };
    let posted = !matches!(asked, Asked::List | Asked::Vehicle | Asked::VehicleData);
    if *call.method != (if posted { Method::POST } else { Method::GET }) {
        return failed(405, "method not allowed");
    }
    let Some(caller) = authenticated(world, call) else { return failed(401, "") };
    if let Some(base) = world.owners.get(&caller.owner).and_then(|o| o.served_at.as_deref()) {
        return failed(
            421,
            format!("user out of region, use base URL: {base}, see https://developer.tesla.com/docs/fleet-api"),
        );
    }
    match asked {
        Asked::List => return list(world, &caller, call),
        Asked::FleetStatus => return fleet_status(world, &caller, call),
        _ => {}
    }
    let own = |vin: &Vin| world.car(vin.expose()).is_some_and(|entry| entry.file.owner == caller.owner);
    let Some(vin) = Vin::parse(vin).ok().filter(own) else { return failed(404, "not_found") };
    let vin = vin.expose();
    let charge = match asked {
        Asked::WakeUp => Charge::Wake,
        Asked::Command(_) | Asked::Signed => Charge::Command,
        _ => Charge::Read,
    };
    if let Err(wait_s) = world.charge(vin, charge, call.now) {
        return Reply::Failed(429, "rate limit exceeded".to_owned(), Some(wait_s));
    }
    let needed = if asked.is_command() { "vehicle_cmds" } else { "vehicle_device_data" };
    if !given(world, &caller, needed) {
        return failed(403, "Unauthorized missing scopes");
    }
    world.live(vin, call.now);
    match asked {
        Asked::Command(order) => plain(world, vin, order, &caller, call),
        Asked::Signed => signed(world, vin, &caller, call),
        Asked::WakeUp => wake_up(world, vin, call.now),
        Asked::VehicleData => vehicle_data(world, vin, &caller, call),
        _ => vehicle(world, vin),
    }
}
fn authenticated(world: &World, call: &Call<'_>) -> Option<Caller> {
    let (scheme, token) = call.headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") { world.identity.caller(token.trim(), call.now) } else { None }
}
fn given(world: &World, caller: &Caller, scope: &str) -> bool {
    let refused = world.owners.get(&caller.owner).is_some_and(|o| o.refused_scopes.contains(scope));
    caller.scopes.contains(scope) && !refused
}
/// A number out of the digits of the VIN: stable, and of nobody's.
fn number(vin: &str) -> u64 {
    vin[11..].bytes().filter(u8::is_ascii_digit).fold(1_u64, |n, b| n * 10 + u64::from(b - b'0'))
}

fn summary(entry: &Entry) -> Value {
    let vin = entry.vin.expose();
    json!({
        "id": number(vin) + 100_000_000,
        "vehicle_id": number(vin),
        "vin": vin,
        "color": null,
        "access_type": if entry.file.shared { "DRIVER" } else { "OWNER" },
        "display_name": "simulated",
        "option_codes": null,
        "granular_access": {"hide_private": false},
        "tokens": null,
        "state": entry.car.state(),
        "in_service": false,
        "id_s": (number(vin) + 100_000_000).to_string(),
        "calendar_enabled": true,
        "api_version": null,
        "backseat_token": null,
        "backseat_token_updated_at": null,
    })
}
fn list(world: &mut World, caller: &Caller, call: &Call<'_>) -> Reply {
    if let Err(wait_s) = world.charge(&caller.owner, Charge::Read, call.now) {
        return Reply::Failed(429, "rate limit exceeded".to_owned(), Some(wait_s));
    }
    if !given(world, caller, "vehicle_device_data") {
        return failed(403, "Unauthorized missing scopes");
    }
    world.live_all(call.now);
    let asked = |name: &str, otherwise: usize| {
        let query = call.uri.query().unwrap_or_default();
        let found = url::form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name);
        found.and_then(|(_, v)| v.parse().ok()).filter(|n| (1..=1_000).contains(n)).unwrap_or(otherwise)
    };
    let (page, per_page) = (asked("page", 1), asked("per_page", 100));
    let all: Vec<Value> = world.vins_of(&caller.owner).filter_map(|vin| world.car(vin)).map(summary).collect();
    let shown: Vec<&Value> = all.iter().skip((page - 1) * per_page).take(per_page).collect();
    let next = (page * per_page < all.len()).then_some(page + 1);
    Reply::Data(json!({
        "response": shown,
        "pagination": {"previous": (page > 1).then(|| page - 1), "next": next, "current": page, "per_page": per_page, "count": all.len(), "pages": all.len().div_ceil(per_page)},
        "count": shown.len(),
    }))
}
fn fleet_status(world: &mut World, caller: &Caller, call: &Call<'_>) -> Reply {
    let asked: Option<Map<String, Value>> = serde_json::from_slice(call.body).ok();
    let Some(vins) = asked.as_ref().and_then(|a| a.get("vins")).and_then(Value::as_array) else {
        return failed(400, "invalid_request");
    };
    let (mut paired, mut unpaired, mut info) = (Vec::new(), Vec::new(), Map::new());
    let vins: Vec<String> = vins.iter().take(1_000).filter_map(Value::as_str).map(str::to_owned).collect();
    for vin in vins {
        let own = world.car(&vin).is_some_and(|entry| entry.file.owner == caller.owner);
        if !own {
            continue;
        }
        if let Some(effect) = world.fault_on(&vin, Target::FleetStatus) {
            return faulty(effect.hears, json!({}));
        }
        let Some(entry) = world.car(&vin) else { continue };
        (if entry.file.key_paired { &mut paired } else { &mut unpaired }).push(vin.clone());
        let told = json!({
            "firmware_version": "2025.44.25",
            "vehicle_command_protocol_required": entry.file.signed,
            "discounted_device_data": false,
            "fleet_telemetry_version": "1.1.0",
            "total_number_of_keys": 3,
        });
        info.insert(vin, told);
    }
    Reply::Data(json!({"response": {"key_paired_vins": paired, "unpaired_vins": unpaired, "vehicle_info": info}}))
}

/// An answer in the place of this one.
fn faulty(hears: Hears, data: Value) -> Reply {
    match hears {
        Hears::Http(code) => failed(code, "simulated fault"),
        Hears::Nothing => Reply::Nothing,
        Hears::Garbage => Reply::Garbage,
        Hears::TruthAfterSeconds(seconds) => Reply::Late(data, seconds),
        Hears::Odd => Reply::Data(json!({"response": {"odd": true}})),
        _ => Reply::Data(data),
    }
}
fn vehicle(world: &mut World, vin: &str) -> Reply {
    let effect = world.fault_on(vin, Target::Vehicle);
    let Some(entry) = world.car(vin) else { return failed(404, "not_found") };
    let data = json!({ "response": summary(entry) });
    effect.map_or_else(|| Reply::Data(data.clone()), |e| faulty(e.hears, data.clone()))
}
fn wake_up(world: &mut World, vin: &str, now: Timestamp) -> Reply {
    if let Some(effect) = world.fault_on(vin, Target::WakeUp) {
        return faulty(effect.hears, json!({}));
    }
    world.record.woken(now, vin);
    match world.befall(vin, Event::CallToWake, now) {
        None => failed(404, "not_found"),
        Some(Answer::Deaf) => failed(408, ASLEEP),
        Some(_) => {
            let Some(entry) = world.car(vin) else { return failed(404, "not_found") };
            let mut told = summary(entry);
            if told["state"] == "asleep" {
                told["state"] = json!("waking");
            }
            Reply::Data(json!({ "response": told }))
        }
    }
}

fn vehicle_data(world: &mut World, vin: &str, caller: &Caller, call: &Call<'_>) -> Reply {
    let effect = world.fault_on(vin, Target::VehicleData);
    let query = call.uri.query().unwrap_or_default();
    let endpoints = url::form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == "endpoints");
    let endpoints: Vec<String> = endpoints.map(|(_, v)| v.split(';').map(str::to_owned).collect()).unwrap_or_default();
    let asked = |name: &str| endpoints.is_empty() || endpoints.iter().any(|e| e == name);
    // The place must be asked for by name since firmware 2023.38.
    let place = endpoints.iter().any(|e| e == "location_data") && given(world, caller, "vehicle_location");
    let Some(entry) = world.car(vin) else { return failed(404, "not_found") };
    if entry.file.remote_access_off {
        return failed(401, "mobile_access_disabled");
    }
    if !entry.car.hears() {
        return failed(408, ASLEEP);
    }
    let mut data = summary(entry);
    data["user_id"] = json!(1);
    if asked("drive_state") || place {
        data["drive_state"] = drive_state(entry, place, call.now);
    }
    if asked("vehicle_state") || asked("closures_state") {
        data["vehicle_state"] = vehicle_state(entry, call.now);
    }
    if asked("vehicle_config") {
        data["vehicle_config"] = vehicle_config(entry, call.now);
    }
    let reply = match effect {
        None => Reply::Data(json!({ "response": data })),
        Some(effect) => faulty(effect.hears, json!({ "response": data })),
    };
    if place && matches!(reply, Reply::Data(_) | Reply::Late(..)) {
        world.record.position_read(call.now, vin, &caller.owner);
    }
    reply
}
/// Seconds in one member, milliseconds in its neighbour, as the maker has it.
fn drive_state(entry: &Entry, place: bool, now: Timestamp) -> Value {
    let driving = entry.car.trip == Trip::Driving;
    let mut state = json!({
        "power": 0,
        "shift_state": if driving { json!("D") } else { Value::Null },
        "speed": if driving { json!(31) } else { Value::Null },
        "timestamp": now.unix_millis(),
    });
    if place {
        let parked = entry.car.parked;
        state["latitude"] = json!(parked.latitude);
        state["longitude"] = json!(parked.longitude);
        state["heading"] = json!(parked.heading_deg);
        state["gps_as_of"] = json!(now.unix_seconds() - 2);
        state["native_location_supported"] = json!(1);
        state["native_type"] = json!("wgs");
        state["native_latitude"] = json!(parked.latitude);
        state["native_longitude"] = json!(parked.longitude);
    }
    state
}
fn vehicle_state(entry: &Entry, now: Timestamp) -> Value {
    // Zero is shut; what is not is a number that says how far.
    let open = |closure: Closure| match entry.car.closure(closure).value {
        Lid::Closed => 0,
        Lid::Ajar => 2,
        Lid::Open => 16,
    };
    json!({
        "api_version": 77,
        "car_version": "2025.44.25",
        "locked": entry.car.lock.value == Lock::Locked,
        "df": open(Closure::FrontLeftDoor),
        "pf": open(Closure::FrontRightDoor),
        "dr": open(Closure::RearLeftDoor),
        "pr": open(Closure::RearRightDoor),
        "ft": open(Closure::Hood),
        "rt": open(Closure::Trunk),
        "is_user_present": entry.car.user_present,
        "valet_mode": entry.file.valet_mode,
        "odometer": 12_345.6,
        "timestamp": now.unix_millis(),
        "vehicle_name": "simulated",
    })
}
fn vehicle_config(entry: &Entry, now: Timestamp) -> Value {
    let car_type = match entry.file.model.as_str() {
        "S" => "models2",
        "X" => "modelx",
        "3" => "model3",
        "Y" => "modely",
        _ => "other",
    };
    json!({
        "can_actuate_trunks": entry.file.can_actuate_trunks,
        "car_type": car_type,
        "exterior_color": entry.file.colour,
        "plg": entry.file.powered_lid,
        "rhd": entry.file.right_hand_drive,
        "timestamp": now.unix_millis(),
    })
}

/// A command without a signature.
fn plain(world: &mut World, vin: &str, order: Order, caller: &Caller, call: &Call<'_>) -> Reply {
    let Some(entry) = world.car(vin) else { return failed(404, "not_found") };
    let body: Option<Map<String, Value>> =
        if call.body.is_empty() { Some(Map::new()) } else { serde_json::from_slice(call.body).ok() };
    let order = match (order, body) {
        (_, None) => return failed(400, "invalid_request"),
        (Order::RearTrunk, Some(body)) => match body.get("which_trunk").and_then(Value::as_str) {
            Some("rear") => Order::RearTrunk,
            Some("front") => Order::FrontTrunk,
            _ => return failed(400, "invalid_command"),
        },
        (order, Some(_)) => order,
    };
    let refused = if entry.file.remote_access_off {
        Some((401, "mobile_access_disabled"))
    } else if entry.file.signed {
        Some((403, "Tesla Vehicle Command Protocol required, please refer to the documentation"))
    } else if !entry.car.hears() {
        Some((408, ASLEEP))
    } else {
        None
    };
    if let Some((status, error)) = refused {
        world.turned_away(vin, order.code(), "plain", &caller.owner, &status.to_string(), call.now);
        return failed(status, error);
    }
    let result = |done: bool, reason: &str| json!({"response": {"result": done, "reason": reason}});
    let truth = |answer: Answer| match answer {
        Answer::Done => result(true, ""),
        Answer::Refused(no) => result(false, no.reason()),
        Answer::Deaf | Answer::Impossible(_) => result(false, No::NotSupported.reason()),
    };
    match world.command(vin, order, "plain", &caller.owner, call.now) {
        None => failed(404, "not_found"),
        Some(Told::Car(answer)) => Reply::Data(truth(answer)),
        Some(Told::Late(answer, seconds)) => Reply::Late(truth(answer), seconds),
        Some(Told::Said(Hears::Result(done), _)) => Reply::Data(result(done, if done { "" } else { "simulated" })),
        Some(Told::Said(Hears::Odd, _)) => Reply::Data(json!({"response": {"result": "queued", "reason": ""}})),
        // What only a signed answer can say.
        Some(Told::Said(..)) => failed(540, "vehicle error"),
        Some(Told::Http(code)) => failed(code, "simulated fault"),
        Some(Told::Nothing) => Reply::Nothing,
        Some(Told::Garbage) => Reply::Garbage,
    }
}

/// A signed message: the cloud carries it to the car, and the car's answer back.
fn signed(world: &mut World, vin: &str, caller: &Caller, call: &Call<'_>) -> Reply {
    let Some(entry) = world.car(vin) else { return failed(404, "not_found") };
    let refused = if entry.file.remote_access_off {
        Some((401, "mobile_access_disabled"))
    } else if !entry.file.signed {
        Some((422, "vehicle does not support signed commands"))
    } else if !entry.car.hears() {
        Some((408, ASLEEP))
    } else {
        None
    };
    if let Some((status, error)) = refused {
        world.turned_away(vin, "unread", "signed", &caller.owner, &status.to_string(), call.now);
        return failed(status, error);
    }
    let body: Option<Map<String, Value>> = serde_json::from_slice(call.body).ok();
    let message = body.as_ref().and_then(|b| b.get("routable_message")).and_then(Value::as_str);
    let Some(message) = message.and_then(|text| STANDARD.decode(text).ok()) else {
        return failed(400, "invalid_request");
    };
    let enrolled = world.clients.iter().find(|c| c.client_id == caller.client_id).and_then(super::ClientFile::point);
    let enrolled = enrolled.filter(|_| world.car(vin).is_some_and(|entry| entry.file.key_paired));
    let told = |reply: &[u8]| json!({"response": STANDARD.encode(reply)});
    match world.take_signed(vin, &message, enrolled.as_deref(), call.now) {
        None => failed(404, "not_found"),
        Some(Came::Nonsense) => failed(400, "invalid_request"),
        Some(Came::Handshake(reply)) => match world.fault_on(vin, Target::Handshake) {
            Some(effect) => faulty(effect.hears, told(&reply)),
            None => Reply::Data(told(&reply)),
        },
        Some(Came::Refused(fault, reply)) => {
            world.turned_away(vin, "refused", "signed", &caller.owner, &format!("fault_{fault}"), call.now);
            Reply::Data(told(&reply))
        }
        Some(Came::Command(heard)) => match world.command(vin, heard.order, "signed", &caller.owner, call.now) {
            None => failed(404, "not_found"),
            Some(Told::Car(answer)) => Reply::Data(told(&heard.to.answered(answer))),
            Some(Told::Late(answer, seconds)) => Reply::Late(told(&heard.to.answered(answer)), seconds),
            Some(Told::Said(hears, truth)) => Reply::Data(told(&heard.to.said(hears, truth))),
            Some(Told::Http(code)) => failed(code, "simulated fault"),
            Some(Told::Nothing) => Reply::Nothing,
            Some(Told::Garbage) => Reply::Garbage,
        },
    }
}
