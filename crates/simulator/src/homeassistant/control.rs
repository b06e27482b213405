//! The control path `/__sim/`: hands at the doors, faults, the line to the house, the clock, and the record. Not part of the
//! server.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use parcelshelf_core::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Home;
use super::fault::{Fault, FaultFile};

/// Longest step of the clock, and longest outage: a day.
const STEP_S_MAX: u32 = 86_400;

const HELP: &str = "A simulated Home Assistant.
GET  /__sim/cars                     its doors
GET  /__sim/cars/NUMBER              one door
POST /__sim/cars/NUMBER/hand         {\"action\": \"press_button\" | \"block_doorway\" | \"clear_doorway\" | \"break_drive\" |
                                      \"mend_drive\" | \"lose_network\" | \"regain_network\" |
                                      \"freeze_state\" | \"thaw_state\"}; of a front door:
                                     {\"action\": \"open_door\" | \"shut_door\" | \"turn_key\" | \"bend_bolt\" | \"mend_bolt\" |
                                      \"lose_lock\" | \"regain_lock\" | \"lose_network\" | \"regain_network\" |
                                      \"freeze_camera\" | \"loop_camera\" | \"blind_camera\" | \"mend_camera\" | \"switch_light\"}
POST /__sim/cars/NUMBER/faults       {\"command\": \"open_cover\" | \"close_cover\" | \"unlock\" | \"lock\" | \"any\"
                                      (command) | \"cover\" | \"obstruction\" | \"house\" | \"bolt\" | \"contact\" |
                                      \"still\" (looks) | \"light\" (told and looked at), \"fault\": \"connection_drop_acted\" |
                                      \"500_not_acted\" | \"garbage_acted\" | \"success_late\" | \"slow\" | ...,
                                      \"times\": N | \"rate\": 0..1, \"after_s\": N, \"slow_s\": N}
POST /__sim/outage                   {\"seconds\": N}: nobody answers
POST /__sim/clock/advance            {\"seconds\": N}
POST /__sim/people/LOGIN/revoke      {}: every login of a person ends
GET  /__sim/clock                    what time it is there
GET  /__sim/summary                  what the doors themselves recorded
A login: GET /auth/authorize?...&login_hint=keyholder
";

pub fn routes() -> Router<Home> {
    Router::new()
        .route("/__sim/help", get(async || HELP))
        .route("/__sim/cars", get(doors))
        .route("/__sim/cars/{number}", get(door))
        .route("/__sim/cars/{number}/hand", post(hand))
        .route("/__sim/cars/{number}/faults", post(fault))
        .route("/__sim/outage", post(outage))
        .route("/__sim/clock", get(clock))
        .route("/__sim/clock/advance", post(advance))
        .route("/__sim/people/{login}/revoke", post(withdraw))
        .route("/__sim/summary", get(summary))
}

fn no(status: StatusCode, why: &str) -> Response {
    (status, axum::Json(json!({ "error": why }))).into_response()
}
/// JSON only, so that a page in somebody's browser cannot play with a simulator without the browser asking first.
#[expect(clippy::result_large_err, reason = "the error is the response itself, made once per request")]
fn parse<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, Response> {
    let json = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    if !json.is_some_and(|t| t.to_ascii_lowercase().starts_with("application/json")) {
        return Err(no(StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json is required"));
    }
    serde_json::from_slice(body).map_err(|e| no(StatusCode::BAD_REQUEST, &e.to_string()))
}

async fn doors(State(home): State<Home>) -> Response {
    let world = home.world();
    let mut all: Vec<Value> = world.doors.iter().map(super::world::Door::to_json).collect();
    all.extend(world.fronts.iter().map(super::front::Front::to_json));
    drop(world);
    axum::Json(json!({ "cars": all })).into_response()
}
async fn door(State(home): State<Home>, Path(number): Path<String>) -> Response {
    let mut world = home.world();
    let told = world.door(&number).map(|d| d.to_json()).or_else(|| world.front(&number).map(|d| d.to_json()));
    drop(world);
    told.map_or_else(|| no(StatusCode::NOT_FOUND, "no such door"), |d| axum::Json(d).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hand {
    action: String,
}
async fn hand(State(home): State<Home>, Path(number): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let hand: Hand = match parse(&headers, &body) {
        Ok(hand) => hand,
        Err(response) => return response,
    };
    let now = home.now();
    let mut world = home.world();
    if let Some(front) = world.front(&number) {
        return if front.hand(&hand.action, now, &*home.entropy) {
            axum::Json(front.to_json()).into_response()
        } else {
            no(StatusCode::BAD_REQUEST, "unknown action; see /__sim/help")
        };
    }
    let Some(door) = world.door(&number) else { return no(StatusCode::NOT_FOUND, "no such door") };
    if door.hand(&hand.action, now, &*home.entropy) {
        axum::Json(door.to_json()).into_response()
    } else {
        no(StatusCode::BAD_REQUEST, "unknown action; see /__sim/help")
    }
}

async fn fault(State(home): State<Home>, Path(number): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let planned: FaultFile = match parse(&headers, &body) {
        Ok(planned) => planned,
        Err(response) => return response,
    };
    let fault = match Fault::try_from(&planned) {
        Ok(fault) => fault,
        Err(not) => return no(StatusCode::BAD_REQUEST, &not.to_string()),
    };
    let planned = home.world().line(&number).map(|line| line.plan(vec![fault]));
    match planned {
        Some(true) => door(State(home), Path(number)).await,
        Some(false) => no(StatusCode::CONFLICT, "a door has at most 64 faults"),
        None => no(StatusCode::NOT_FOUND, "no such door"),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    seconds: u32,
}
async fn outage(State(home): State<Home>, headers: HeaderMap, body: Bytes) -> Response {
    let step: Step = match parse(&headers, &body) {
        Ok(step) => step,
        Err(response) => return response,
    };
    let until = home.now().plus_seconds(i64::from(step.seconds.min(STEP_S_MAX)));
    home.world().away_until = until;
    axum::Json(json!({"away_until": until.to_rfc3339()})).into_response()
}
async fn clock(State(home): State<Home>) -> Response {
    axum::Json(json!({"now": home.now().to_rfc3339()})).into_response()
}
async fn advance(State(home): State<Home>, headers: HeaderMap, body: Bytes) -> Response {
    let step: Step = match parse(&headers, &body) {
        Ok(step) => step,
        Err(response) => return response,
    };
    home.clock.advance_seconds(step.seconds.min(STEP_S_MAX));
    drop(home.world());
    axum::Json(json!({"now": home.now().to_rfc3339()})).into_response()
}
async fn withdraw(State(home): State<Home>, Path(login): Path<String>) -> Response {
    let ended = home.world().logins.withdraw(&login);
    axum::Json(json!({ "revoked": ended })).into_response()
}

async fn summary(State(home): State<Home>) -> Response {
    let now = home.now();
    let world = home.world();
    let at = |t: Option<Timestamp>| t.map(Timestamp::to_rfc3339);
    let mut cars: Vec<Value> = world
        .doors
        .iter()
        .map(|door| {
            let tally = &door.tally;
            json!({
                "vin": door.file.number,
                "door_openings": tally.openings,
                "door_opened_at": tally.opened_at.iter().map(|t| t.to_rfc3339()).collect::<Vec<_>>(),
                "last_shut_at": at(tally.shut_at),
                "last_hindered_at": at(tally.hindered_at),
                "commands": tally.commands,
                "position": door.drive.position,
                "shut_and_locked": door.drive.is_shut(),
            })
        })
        .collect();
    cars.extend(world.fronts.iter().map(super::front::Front::record));
    axum::Json(json!({"cars": cars, "requests": world.requests, "now": now.to_rfc3339()})).into_response()
}
