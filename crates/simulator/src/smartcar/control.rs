//! The control path `/__sim/`: hands, keys, sleep, faults, clock, and the record.
//!
//! Not part of the maker's cloud. Every POST needs a JSON content type, so that a page in somebody's browser cannot play
//! with a simulator on the same machine without the browser asking first.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::car::{Answer, Bolt, Closure, Event};
use super::fault::FAULTS_PER_CAR_MAX;
use super::file::{BadWorld, CarFile, FaultFile, parse_fault, place};
use super::record::PAGE_MAX;
use super::{Cloud, pages};

/// Longest step of the clock: about a year.
const ADVANCE_S_MAX: u32 = 366 * 86_400;

pub fn routes() -> Router<Cloud> {
    Router::new()
        .route("/__sim/help", get(help))
        .route("/__sim/cars", get(cars).post(add_car))
        .route("/__sim/cars/{vin}", get(car))
        .route("/__sim/cars/{vin}/hand", post(hand))
        .route("/__sim/cars/{vin}/faults", post(add_fault).delete(clear_faults))
        .route("/__sim/owners/{login}/revoke", post(revoke))
        .route("/__sim/owners/{login}/scopes", post(refuse_scopes))
        .route("/__sim/clock", get(clock))
        .route("/__sim/clock/advance", post(advance))
        .route("/__sim/outage", post(outage))
        .route("/__sim/record", get(record))
        .route("/__sim/summary", get(summary))
}

fn no(status: StatusCode, message: &str, description: &str) -> Response {
    (status, axum::Json(json!({"error": {"message": message, "description": description}}))).into_response()
}
fn bad(why: &BadWorld) -> Response {
    no(StatusCode::BAD_REQUEST, "BAD_REQUEST", &why.to_string())
}
fn no_car() -> Response {
    no(StatusCode::NOT_FOUND, "NOT_FOUND", "no such vehicle")
}
#[expect(clippy::result_large_err, reason = "the error is the response itself, made once per request")]
fn parse<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, Response> {
    let json = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    if !json.is_some_and(|t| t.to_ascii_lowercase().starts_with("application/json")) {
        return Err(no(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", "application/json is required"));
    }
    serde_json::from_slice(body).map_err(|e| no(StatusCode::BAD_REQUEST, "BAD_REQUEST", &e.to_string()))
}

async fn help(State(cloud): State<Cloud>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], pages::help(&cloud.origin)).into_response()
}

async fn cars(State(cloud): State<Cloud>) -> Response {
    let now = cloud.now();
    let mut world = cloud.world();
    world.live_all(now);
    let cars: Vec<Value> = world.cars().map(|(_, entry)| entry.to_json()).collect();
    axum::Json(json!({"cars": cars, "now": now.to_rfc3339()})).into_response()
}
async fn car(State(cloud): State<Cloud>, Path(vin): Path<String>) -> Response {
    let now = cloud.now();
    let mut world = cloud.world();
    world.live(&vin, now);
    world.car(&vin).map_or_else(no_car, |entry| axum::Json(entry.to_json()).into_response())
}
async fn add_car(State(cloud): State<Cloud>, headers: HeaderMap, body: Bytes) -> Response {
    let file: CarFile = match parse(&headers, &body) {
        Ok(file) => file,
        Err(response) => return response,
    };
    let now = cloud.now();
    let owner = file.owner.clone();
    match cloud.world().add_car(file, now) {
        Ok(vin) => (StatusCode::CREATED, axum::Json(json!({"vin": vin, "owner": owner}))).into_response(),
        Err(why) => bad(&why),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hand {
    action: String,
    closure: Option<String>,
    door: Option<String>,
    latitude: Option<f64>,
    longitude: Option<f64>,
}
impl Hand {
    pub(super) fn event(&self) -> Option<Event> {
        let any = || self.closure.as_deref().and_then(Closure::parse);
        let door = || self.door.as_deref().and_then(|d| Closure::parse(&format!("{d}_door")));
        Some(match self.action.as_str() {
            "open_tailgate" => Event::Open(Closure::Tailgate),
            "close_tailgate" => Event::Close(Closure::Tailgate),
            "leave_tailgate_ajar" => Event::LeaveAjar(Closure::Tailgate),
            "open_hood" => Event::Open(Closure::Hood),
            "close_hood" => Event::Close(Closure::Hood),
            "open_door" => Event::Open(door()?),
            "close_door" => Event::Close(door()?),
            "open" => Event::Open(any()?),
            "close" => Event::Close(any()?),
            "leave_ajar" => Event::LeaveAjar(any()?),
            "unlock_with_key" => Event::UnlockWithKey,
            "lock_with_key" => Event::LockWithKey,
            "jam_lock" => Event::Bolt(Bolt::Jammed),
            "jam_lock_unnoticed" => Event::Bolt(Bolt::JammedUnnoticed),
            "free_lock" => Event::Bolt(Bolt::Sound),
            "break_latch" => Event::Latch { broken: true },
            "mend_latch" => Event::Latch { broken: false },
            "sleep" => Event::Sleep,
            "wake" => Event::Wake,
            "lose_network" => Event::Network { online: false },
            "regain_network" => Event::Network { online: true },
            "remote_access_off" => Event::RemoteAccess { on: false },
            "remote_access_on" => Event::RemoteAccess { on: true },
            "drive_away" => Event::DriveAway,
            "park" => {
                let (latitude, longitude) = (self.latitude?, self.longitude?);
                Event::Park(place(latitude, longitude).ok()?)
            }
            _ => return None,
        })
    }
}
async fn hand(State(cloud): State<Cloud>, Path(vin): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let hand: Hand = match parse(&headers, &body) {
        Ok(hand) => hand,
        Err(response) => return response,
    };
    let Some(event) = hand.event() else {
        return no(StatusCode::BAD_REQUEST, "BAD_REQUEST", "unknown action or missing member; see /__sim/help");
    };
    let now = cloud.now();
    let mut world = cloud.world();
    match world.befall(&vin, event, now) {
        None => no_car(),
        Some(Answer::Impossible(why) | Answer::Refused(why)) => {
            no(StatusCode::CONFLICT, why, "this cannot be done to the car as it is")
        }
        Some(Answer::Done) => world.car(&vin).map_or_else(no_car, |entry| axum::Json(entry.to_json()).into_response()),
    }
}

async fn add_fault(State(cloud): State<Cloud>, Path(vin): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let file: FaultFile = match parse(&headers, &body) {
        Ok(file) => file,
        Err(response) => return response,
    };
    let fault = match parse_fault(&file) {
        Ok(fault) => fault,
        Err(why) => return bad(&why),
    };
    let mut world = cloud.world();
    let Some(faults) = world.faults_of(&vin) else { return no_car() };
    if faults.len() >= FAULTS_PER_CAR_MAX {
        return no(StatusCode::CONFLICT, "TOO_MANY", "a car has at most 64 faults");
    }
    faults.push(fault);
    axum::Json(json!({"faults": faults.len()})).into_response()
}
async fn clear_faults(State(cloud): State<Cloud>, Path(vin): Path<String>) -> Response {
    let mut world = cloud.world();
    let Some(faults) = world.faults_of(&vin) else { return no_car() };
    faults.clear();
    axum::Json(json!({"faults": 0})).into_response()
}

async fn revoke(State(cloud): State<Cloud>, Path(login): Path<String>) -> Response {
    let ended = cloud.world().identity.revoke(&login);
    axum::Json(json!({ "revoked": ended })).into_response()
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusedScopes {
    refused: Vec<String>,
}
async fn refuse_scopes(
    State(cloud): State<Cloud>,
    Path(login): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let wish: RefusedScopes = match parse(&headers, &body) {
        Ok(wish) => wish,
        Err(response) => return response,
    };
    if wish.refused.len() > 32 {
        return no(StatusCode::BAD_REQUEST, "BAD_REQUEST", "at most 32 scopes");
    }
    let mut world = cloud.world();
    let Some(owner) = world.owners.get_mut(&login) else {
        return no(StatusCode::NOT_FOUND, "NOT_FOUND", "no such owner");
    };
    owner.refused_scopes = wish.refused.into_iter().collect();
    axum::Json(json!({"refused": owner.refused_scopes})).into_response()
}

async fn clock(State(cloud): State<Cloud>) -> Response {
    axum::Json(json!({"now": cloud.now().to_rfc3339(), "ahead_ms": cloud.clock.ahead_ms()})).into_response()
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: u32,
}
async fn advance(State(cloud): State<Cloud>, headers: HeaderMap, body: Bytes) -> Response {
    let step: Advance = match parse(&headers, &body) {
        Ok(step) => step,
        Err(response) => return response,
    };
    if step.seconds > ADVANCE_S_MAX {
        return no(StatusCode::BAD_REQUEST, "BAD_REQUEST", "at most 366 days at once");
    }
    cloud.clock.advance_seconds(step.seconds);
    let now = cloud.now();
    cloud.world().live_all(now);
    axum::Json(json!({"now": now.to_rfc3339(), "ahead_ms": cloud.clock.ahead_ms()})).into_response()
}

/// From now on, for so many seconds, every request to the maker's API is answered with 503.
async fn outage(State(cloud): State<Cloud>, headers: HeaderMap, body: Bytes) -> Response {
    let step: Advance = match parse(&headers, &body) {
        Ok(step) => step,
        Err(response) => return response,
    };
    let until = cloud.now().plus_seconds(i64::from(step.seconds.min(ADVANCE_S_MAX)));
    cloud.world().down_until = until;
    axum::Json(json!({"down_until": until.to_rfc3339()})).into_response()
}

async fn record(State(cloud): State<Cloud>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let wanted = |name: &str| {
        url::form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
    };
    let number = |name: &str, otherwise: u64| wanted(name).map_or(Ok(otherwise), |v| v.parse::<u64>());
    let (Ok(after), Ok(limit)) = (number("after", 0), number("limit", PAGE_MAX as u64)) else {
        return no(StatusCode::BAD_REQUEST, "BAD_REQUEST", "after and limit are numbers");
    };
    let now = cloud.now();
    let mut world = cloud.world();
    world.live_all(now);
    let limit = usize::try_from(limit).unwrap_or(PAGE_MAX);
    axum::Json(world.record.page(after, limit, wanted("vin").as_deref())).into_response()
}
async fn summary(State(cloud): State<Cloud>) -> Response {
    let now = cloud.now();
    let mut world = cloud.world();
    world.live_all(now);
    let cars: Vec<Value> = world
        .cars()
        .map(|(vin, entry)| {
            let tally = world.record.tally(vin);
            json!({
                "vin": vin,
                "owner": entry.file.owner,
                "tailgate_openings": tally.tailgate_openings,
                "lid_openings": tally.lid_openings,
                "unlocks": tally.unlocks,
                "locks": tally.locks,
                "commands": tally.commands,
                "position_reads": tally.position_reads,
                "position_reads_at": tally.position_reads_at.iter().map(|t| t.to_rfc3339()).collect::<Vec<_>>(),
                "tailgate_opened_at": tally.tailgate_opened_at.iter().map(|t| t.to_rfc3339()).collect::<Vec<_>>(),
                "last_opened_at": tally.last_opened_at.map(|t| t.to_rfc3339()),
                "last_locked_at": tally.last_locked_at.map(|t| t.to_rfc3339()),
                "shut": entry.car.shut(),
                "locked": entry.car.lock.value == super::car::Lock::Locked,
                "shut_and_locked": entry.car.shut_and_locked(),
            })
        })
        .collect();
    let (requests, commands, tokens) = (world.record.requests, world.record.commands, world.record.token_requests);
    axum::Json(json!({"cars": cars, "requests": requests, "commands": commands, "token_requests": tokens, "now": now.to_rfc3339()}))
        .into_response()
}
