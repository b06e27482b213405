//! The server's REST interface, in its own shapes.

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Home;
use super::auth::Caller;
use super::world::{Fault, World};
use crate::wire::Scissors;

/// What goes back when nothing else does.
enum Refusal {
    /// Nobody answers: the house has no power, or its line is cut.
    Away,
    Unauthorized,
}

fn enter(home: &Home, world: &mut World, headers: &HeaderMap) -> Result<Caller, Refusal> {
    world.requests += 1;
    let now = home.now();
    if now < world.away_until {
        return Err(Refusal::Away);
    }
    world.logins.caller(headers, now).ok_or(Refusal::Unauthorized)
}
fn answer(scissors: &Scissors, decided: Result<Response, Refusal>) -> Response {
    match decided {
        Ok(response) => response,
        Err(Refusal::Away) => {
            scissors.cut();
            StatusCode::OK.into_response()
        }
        Err(Refusal::Unauthorized) => plain(StatusCode::UNAUTHORIZED, "401: Unauthorized"),
    }
}
fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
fn message(status: StatusCode, text: &str) -> Response {
    (status, axum::Json(json!({ "message": text }))).into_response()
}

pub async fn hello(State(home): State<Home>, ConnectInfo(s): ConnectInfo<Scissors>, headers: HeaderMap) -> Response {
    let entered = enter(&home, &mut home.world(), &headers);
    answer(&s, entered.map(|_| message(StatusCode::OK, "API running.")))
}

pub async fn config(State(home): State<Home>, ConnectInfo(s): ConnectInfo<Scissors>, headers: HeaderMap) -> Response {
    let entered = enter(&home, &mut home.world(), &headers);
    let told = json!({"state": "RUNNING", "version": "2025.1.4", "location_name": "Home", "components": ["cover"]});
    answer(&s, entered.map(|_| axum::Json(told).into_response()))
}

/// Only administrators may render a template.
pub async fn template(
    State(home): State<Home>,
    ConnectInfo(s): ConnectInfo<Scissors>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let entered = enter(&home, &mut home.world(), &headers);
    let rendered = |caller: Caller| match caller.admin {
        true => Ok(serde_json::from_slice::<Value>(&body).map_or_else(
            |_| message(StatusCode::BAD_REQUEST, "Data should be valid JSON."),
            |b| b["template"].as_str().unwrap_or_default().to_owned().into_response(),
        )),
        false => Err(Refusal::Unauthorized),
    };
    answer(&s, entered.and_then(rendered))
}

pub async fn state(
    State(home): State<Home>,
    ConnectInfo(s): ConnectInfo<Scissors>,
    Path(entity): Path<String>,
    headers: HeaderMap,
) -> Response {
    let mut world = home.world();
    let entered = enter(&home, &mut world, &headers);
    let told = world.state(&entity);
    drop(world);
    let found = || match told {
        Some(state) => axum::Json(state).into_response(),
        None => message(StatusCode::NOT_FOUND, "Entity not found."),
    };
    answer(&s, entered.map(|_| found()))
}

pub async fn service(
    State(home): State<Home>,
    ConnectInfo(s): ConnectInfo<Scissors>,
    Path((domain, service)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let decided = {
        let mut world = home.world();
        enter(&home, &mut world, &headers).map(|_| call(&home, &mut world, &domain, &service, &body))
    };
    match decided {
        Ok(Called::Answered(response)) => response,
        Ok(Called::Nothing) => answer(&s, Err(Refusal::Away)),
        Err(refusal) => answer(&s, Err(refusal)),
    }
}

enum Called {
    Answered(Response),
    Nothing,
}

fn call(home: &Home, world: &mut World, domain: &str, service: &str, body: &Bytes) -> Called {
    let service = match (domain, service) {
        ("cover", "open_cover") => "open_cover",
        ("cover", "close_cover") => "close_cover",
        _ => return Called::Answered(plain(StatusCode::BAD_REQUEST, "400: Bad Request")),
    };
    let Ok(data) = serde_json::from_slice::<Value>(body) else {
        return Called::Answered(message(StatusCode::BAD_REQUEST, "Data should be valid JSON."));
    };
    let (Some(entity), Some(1)) = (data["entity_id"].as_str(), data.as_object().map(serde_json::Map::len)) else {
        return Called::Answered(plain(StatusCode::BAD_REQUEST, "400: Bad Request"));
    };
    // What does not exist is called to nothing, and that is a success there.
    let Some(door) = world.cover(entity) else { return Called::Answered(axum::Json(json!([])).into_response()) };
    let (changed, fault) = door.command(service, home.now(), &*home.entropy);
    Called::Answered(match fault {
        None => axum::Json(changed).into_response(),
        Some(Fault::Drop { .. }) => return Called::Nothing,
        Some(Fault::Garbage { .. }) => "<html>trouble</html>".into_response(),
        Some(Fault::Status { status, .. }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            plain(status, "trouble")
        }
    })
}
