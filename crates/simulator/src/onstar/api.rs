//! The maker's API as its app calls it: garage, commands of two generations, request URLs, the digital twin. Errors have
//! empty bodies.

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use parcelshelf_core::time::{Entropy, Timer as _, Timestamp, random};
use parcelshelf_core::vehicle::Vin;
use serde_json::{Map, Value, json};

use super::fault::{Command, Effect, Hears, Target};
use super::garage::{self, Query};
use super::identity::Caller;
use super::world::{Api, Request, Standing, Told, Wish, World};
use super::{Cloud, login};
use crate::wire::Scissors;

/// What a path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Garage,
    AccountVehicles,
    Command(Api, Command),
    Poll,
    Position,
    Health,
    /// A path of the old API that works no more.
    Retired,
}

/// The path's meaning and its VIN or request id.
fn route(path: &str) -> Option<(Asked, &str)> {
    let parts: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').skip(1).collect();
    Some(match parts.as_slice() {
        ["mbff", "garage", "v1"] => (Asked::Garage, ""),
        ["veh", "cmd", "v3", "requests", id] | ["api", "v1", "account", "vehicles", _, "requests", id] => {
            (Asked::Poll, *id)
        }
        ["veh", "cmd", "v3", command, vin] => match Command::parse(command)? {
            Command::Location => return None,
            command => (Asked::Command(Api::V3, command), *vin),
        },
        ["api", "v1", "account", "vehicles"] => (Asked::AccountVehicles, ""),
        ["api", "v1", "account", "vehicles", vin, "commands", command] => {
            (Asked::Command(Api::V1, Command::parse(command)?), *vin)
        }
        ["veh", "datadelivery", "digitaltwin", "v1", "vehicles", vin] => (Asked::Position, *vin),
        ["api", "v1", "vh", "vehiclehealth", "v1", "healthstatus", vin] => (Asked::Health, *vin),
        ["api", "v1", ..] => (Asked::Retired, ""),
        _ => return None,
    })
}

/// What goes back, before it is written.
enum Reply {
    Data(Value),
    /// Status, seconds of `Retry-After`.
    Empty(u16, Option<u64>),
    /// 400 of the new API: the one error that has a body.
    BadRequest(String),
    Nothing,
    Garbage,
    Late(Value, u32),
    Retired,
}

/// What every request brings along.
struct Call<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    body: &'a Bytes,
    origin: &'a str,
    now: Timestamp,
    entropy: &'a dyn Entropy,
}

/// A cloud that hangs gives up on a request after this; clients have given up long before.
const HANGS_FOR: std::time::Duration = std::time::Duration::from_secs(120);

/// Every request that is not for the control path.
pub async fn handle(
    State(cloud): State<Cloud>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let origin = reached_by(&headers, &cloud.origin);
    let now = cloud.now();
    if now < cloud.world().down_until {
        return empty(503, None);
    }
    if now < cloud.world().hangs_until {
        cloud.clock.sleep(HANGS_FOR).await;
        return empty(504, None);
    }
    if let Some(asked) = login::route(uri.path()) {
        let query = uri.query().unwrap_or_default();
        let call = login::Call { method: &method, query, headers: &headers, body: &body, origin: &origin, now };
        return login::answer(asked, &call, &mut cloud.world(), &*cloud.entropy);
    }
    let (reply, held_ms) = {
        let mut world = cloud.world();
        world.record.requests += 1;
        let call = Call {
            method: &method,
            uri: &uri,
            headers: &headers,
            body: &body,
            origin: &origin,
            now,
            entropy: &*cloud.entropy,
        };
        let reply = decide(&mut world, &call);
        let held_ms = match route(uri.path()) {
            Some((asked, vin)) => world.hold_back(vin, matches!(asked, Asked::Command(..))),
            None => 0,
        };
        (reply, held_ms)
    };
    if held_ms > 0 {
        cloud.clock.sleep(std::time::Duration::from_millis(held_ms)).await;
    }
    match reply {
        Reply::Data(data) => axum::Json(data).into_response(),
        Reply::Empty(status, retry_after_s) => empty(status, retry_after_s),
        Reply::BadRequest(path) => {
            let body = json!({"error": "Bad Request", "path": path, "status": 400});
            (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
        }
        Reply::Nothing => {
            scissors.cut();
            StatusCode::OK.into_response()
        }
        Reply::Garbage => ([(header::CONTENT_TYPE, "application/json")], "{\"requestId\":").into_response(),
        Reply::Late(data, seconds) => {
            cloud.clock.sleep(std::time::Duration::from_secs(u64::from(seconds))).await;
            axum::Json(data).into_response()
        }
        Reply::Retired => {
            let mut response = empty(404, None);
            response.extensions_mut().insert(hyper::ext::ReasonPhrase::from_static(b"api has been disabled"));
            response
        }
    }
}
fn empty(status: u16, retry_after_s: Option<u64>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
/// Request URLs are absolute: on the host that the caller asked, if it says one.
fn reached_by(headers: &HeaderMap, own: &str) -> String {
    let host = headers.get(header::HOST).and_then(|v| v.to_str().ok());
    let plain = |h: &&str| h.len() <= 255 && h.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    host.filter(plain).map_or_else(|| own.to_owned(), |host| format!("http://{host}"))
}

/// One fixed order: path, method, token, quota, relation to the car, the request itself.
fn decide(world: &mut World, call: &Call<'_>) -> Reply {
    let Some((asked, subject)) = route(call.uri.path()) else { return Reply::Empty(404, None) };
    if asked == Asked::Retired {
        return Reply::Retired;
    }
    let posted = matches!(asked, Asked::Garage | Asked::Command(..));
    if *call.method != (if posted { Method::POST } else { Method::GET }) {
        return Reply::Empty(405, None);
    }
    let Some(caller) = authenticated(world, call) else { return Reply::Empty(401, None) };
    if let Err(wait_s) = world.charge(&caller.owner, matches!(asked, Asked::Command(..)), call.now) {
        return Reply::Empty(429, Some(wait_s));
    }
    match asked {
        Asked::Garage => return garage(world, call, &caller),
        Asked::AccountVehicles => {
            let entries: Vec<_> = caller.vins.iter().filter_map(|vin| world.car(vin)).collect();
            return Reply::Data(garage::account_vehicles(&entries, call.origin));
        }
        Asked::Poll => return poll(world, call, &caller, subject),
        _ => {}
    }
    let Some(vin) = related(world, &caller, subject) else { return Reply::Empty(403, None) };
    match asked {
        Asked::Command(api, command) => order(world, call, &caller, &vin, (api, command)),
        Asked::Position => position(world, call, &caller, &vin),
        _ => reading(world, &vin, Target::Health, garage::health),
    }
}
fn authenticated(world: &World, call: &Call<'_>) -> Option<Caller> {
    let (scheme, token) = call.headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") { world.identity.caller(token.trim(), call.now) } else { None }
}
/// The car's VIN, if the token names it and it is still this owner's.
fn related(world: &World, caller: &Caller, subject: &str) -> Option<String> {
    let vin = Vin::parse(subject).ok()?.expose().to_owned();
    let own = world.car(&vin).is_some_and(|entry| entry.file.owner == caller.owner);
    (own && caller.vins.contains(&vin)).then_some(vin)
}

fn faulty(effect: Option<Effect>, data: Value) -> Reply {
    match effect.map(|e| e.hears) {
        Some(Hears::Http(code)) => Reply::Empty(code, (code == 429).then_some(30)),
        Some(Hears::Nothing) => Reply::Nothing,
        Some(Hears::Garbage) => Reply::Garbage,
        Some(Hears::LateBy(seconds)) => Reply::Late(data, seconds),
        _ => Reply::Data(data),
    }
}
fn reading(world: &mut World, vin: &str, target: Target, read: impl Fn(&super::world::Entry) -> Value) -> Reply {
    let effect = world.fault_on_reading(vin, target);
    world.car(vin).map_or(Reply::Empty(404, None), |entry| faulty(effect, read(entry)))
}

fn garage(world: &mut World, call: &Call<'_>, caller: &Caller) -> Reply {
    let kind = call.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let body = std::str::from_utf8(call.body).unwrap_or_default();
    let query = garage::parse(body).filter(|_| kind.to_ascii_lowercase().starts_with("text/plain"));
    match query {
        None => Reply::Empty(400, None),
        Some(Query::List) => {
            let all = caller.vins.iter().filter_map(|vin| world.car(vin)).map(garage::vehicle).collect();
            Reply::Data(garage::envelope("vehicles", &garage::asked_for(all, body)))
        }
        Some(Query::Details(vin)) => match related(world, caller, &vin) {
            None => Reply::Data(json!({
                "errors": [{"message": "vehicle not found"}], "data": {"vehicleDetails": null}, "dataPresent": false,
            })),
            Some(vin) => reading(world, &vin, Target::Details, |entry| {
                garage::envelope("vehicleDetails", &garage::asked_for(garage::details(entry, call.origin), body))
            }),
        },
    }
}

fn position(world: &mut World, call: &Call<'_>, caller: &Caller, vin: &str) -> Reply {
    let query = call.uri.query().unwrap_or_default();
    let asked = |name: &str, value: &str| {
        url::form_urlencoded::parse(query.as_bytes()).any(|(n, v)| n == name && v.eq_ignore_ascii_case(value))
    };
    if !asked("region", "na") {
        return Reply::Empty(400, None);
    }
    let effect = world.fault_on_reading(vin, Target::Position);
    let stale = effect.is_some_and(|e| e.hears == Hears::Stale);
    let Some(fix) = world.position(vin, asked("sms", "true"), stale, call.now) else { return Reply::Empty(404, None) };
    let reply = faulty(effect, garage::position(fix));
    if matches!(reply, Reply::Data(_) | Reply::Late(..)) {
        world.record.position_read(call.now, vin, &caller.owner);
    }
    reply
}

fn order(world: &mut World, call: &Call<'_>, caller: &Caller, vin: &str, (api, command): (Api, Command)) -> Reply {
    if world.car(vin).is_none_or(|entry| !entry.allows(command)) {
        return Reply::Empty(404, None);
    }
    let bad_request = || match api {
        Api::V3 => Reply::BadRequest(call.uri.path().to_owned()),
        Api::V1 => Reply::Empty(400, None),
    };
    let Some(horn) = horn_of(api, command, call.body) else { return bad_request() };
    let id: String = random::<12>(call.entropy).iter().map(|b| format!("{b:02x}")).collect();
    let wish = Wish { api, command, horn };
    match world.command(vin, wish, &caller.owner, id, call.now) {
        None => Reply::Empty(404, None),
        Some(Told::Http(400)) => bad_request(),
        Some(Told::Http(code)) => Reply::Empty(code, (code == 429).then_some(30)),
        Some(Told::Nothing) => Reply::Nothing,
        Some(Told::Garbage) => Reply::Garbage,
        Some(Told::Request { request, elsewhere, late_by_s }) => {
            let origin = if elsewhere { "https://elsewhere.invalid" } else { call.origin };
            let data = standing(&request, origin, call.now);
            if late_by_s > 0 { Reply::Late(data, late_by_s) } else { Reply::Data(data) }
        }
    }
}
/// Whether the body is this command's; for an alert, whether the horn is meant too.
fn horn_of(api: Api, command: Command, body: &[u8]) -> Option<bool> {
    let json: Map<String, Value> = if body.is_empty() { Map::new() } else { serde_json::from_slice(body).ok()? };
    let member = match command {
        Command::UnlockTrunk => "unlockTrunkRequest",
        Command::LockTrunk => "lockTrunkRequest",
        Command::Unlock => "unlockDoorRequest",
        Command::Lock => "lockDoorRequest",
        Command::Alert => {
            let alert = if api == Api::V3 { Some(&json) } else { json.get("alertRequest")?.as_object() };
            let action = alert?.get("action")?.as_array()?;
            return Some(action.iter().any(|a| a == "Honk"));
        }
        Command::CancelAlert | Command::Location => return Some(false),
    };
    json.get(member)?.as_object().map(|_| false)
}

fn poll(world: &mut World, call: &Call<'_>, caller: &Caller, id: &str) -> Reply {
    let Some(request) = world.request(id, &caller.owner, call.now) else { return Reply::Empty(404, None) };
    if !caller.vins.contains(&request.vin) {
        return Reply::Empty(403, None);
    }
    let effect = world.fault_on_reading(&request.vin, Target::Poll);
    let reply = faulty(effect, standing(&request, call.origin, call.now));
    let tells = matches!(request.standing(call.now), Standing::Success(Some(_)));
    if tells && matches!(reply, Reply::Data(_) | Reply::Late(..)) {
        world.record.position_read(call.now, &request.vin, &caller.owner);
    }
    reply
}

/// How a request stands, in the words of its generation.
fn standing(request: &Request, origin: &str, now: Timestamp) -> Value {
    let standing = request.standing(now);
    let Request { id, vin, wish, asked_at, .. } = request;
    let error = |why: &str| json!({"code": "ONS-300", "description": why});
    match wish.api {
        Api::V3 => {
            let (status, error) = match standing {
                Standing::InProgress => ("IN_PROGRESS", Value::Null),
                Standing::Success(_) => ("SUCCESS", Value::Null),
                Standing::Failure(why) => ("FAILURE", error(why)),
                Standing::Error => ("ERROR", error("simulated error")),
                Standing::Odd => ("ON_HOLD", Value::Null),
            };
            let url = format!("{origin}/veh/cmd/v3/requests/{id}");
            json!({"requestId": id, "requestTime": garage::time(*asked_at), "status": status, "url": url, "error": error})
        }
        Api::V1 => {
            let (status, body) = match standing {
                Standing::InProgress => ("inProgress", None),
                Standing::Success(None) => ("success", None),
                Standing::Success(Some(place)) => {
                    let location = json!({"lat": place.latitude.to_string(), "long": place.longitude.to_string()});
                    ("success", Some(json!({ "location": location })))
                }
                Standing::Failure(why) => ("failure", Some(json!({ "error": error(why) }))),
                Standing::Error => ("error", Some(json!({ "error": error("simulated error") }))),
                Standing::Odd => ("onHold", None),
            };
            let mut told = json!({
                "requestTime": garage::time(*asked_at),
                "url": format!("{origin}/api/v1/account/vehicles/{vin}/requests/{id}"),
                "status": status,
                "type": wish.command.code(),
            });
            if status != "inProgress" {
                told["completionTime"] = json!(garage::time(now));
            }
            if let Some(body) = body {
                told["body"] = body;
            }
            json!({ "commandResponse": told })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_what_the_clients_call() {
        for (path, asked) in [
            ("/mbff/garage/v1", Some(Asked::Garage)),
            ("/veh/cmd/v3/unlockTrunk/V", Some(Asked::Command(Api::V3, Command::UnlockTrunk))),
            ("/veh/cmd/v3/requests/abc", Some(Asked::Poll)),
            ("/veh/cmd/v3/location/V", None),
            ("/api/v1/account/vehicles", Some(Asked::AccountVehicles)),
            ("/api/v1/account/vehicles/V/commands/unlockDoor", Some(Asked::Command(Api::V1, Command::Unlock))),
            ("/api/v1/account/vehicles/V/requests/abc", Some(Asked::Poll)),
            ("/api/v1/account/subscribers", Some(Asked::Retired)),
            ("/api/v1/vh/vehiclehealth/v1/healthstatus/V", Some(Asked::Health)),
            ("/veh/datadelivery/digitaltwin/v1/vehicles/V", Some(Asked::Position)),
            ("/veh/cmd/v3/explode/V", None),
            ("/", None),
        ] {
            assert_eq!(route(path).map(|(asked, _)| asked), asked, "{path}");
        }
    }

    #[test]
    fn a_body_that_is_not_the_commands_own_is_refused() {
        for (api, command, body, horn) in [
            (Api::V3, Command::UnlockTrunk, r#"{"unlockTrunkRequest":{"delay":0}}"#, Some(false)),
            (Api::V3, Command::UnlockTrunk, r#"{"unlockDoorRequest":{"delay":0}}"#, None),
            (Api::V3, Command::UnlockTrunk, "", None),
            (Api::V3, Command::Alert, r#"{"action":["Flash"],"delay":0}"#, Some(false)),
            (Api::V3, Command::Alert, r#"{"alertRequest":{"action":["Flash"]}}"#, None),
            (Api::V1, Command::Alert, r#"{"alertRequest":{"action":["Honk","Flash"]}}"#, Some(true)),
            (Api::V3, Command::CancelAlert, "", Some(false)),
            (Api::V1, Command::Lock, "[]", None),
        ] {
            assert_eq!(horn_of(api, command, body.as_bytes()), horn, "{command:?} {body}");
        }
    }
}
