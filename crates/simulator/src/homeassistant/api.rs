//! The server's REST interface, in its own shapes.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parcelshelf_core::time::Timer as _;
use serde_json::{Value, json};

use super::Home;
use super::auth::Caller;
use super::fault::{Hears, Target};
use super::world::World;
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

/// What a fault makes of the right answer.
fn heard(hears: Hears, truth: Response) -> Result<Response, Refusal> {
    match hears {
        Hears::Success | Hears::TruthAfterSeconds(_) => Ok(truth),
        Hears::Nothing => Err(Refusal::Away),
        Hears::Garbage => Ok("<html>trouble</html>".into_response()),
        Hears::Status(status) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Ok(plain(status, "trouble"))
        }
    }
}
/// The same, after so long.
async fn later(home: &Home, scissors: &Scissors, decided: Result<Response, Refusal>, held_ms: u64) -> Response {
    if held_ms > 0 {
        home.clock.sleep(Duration::from_millis(held_ms)).await;
    }
    answer(scissors, decided)
}

pub async fn state(
    State(home): State<Home>,
    ConnectInfo(s): ConnectInfo<Scissors>,
    Path(entity): Path<String>,
    headers: HeaderMap,
) -> Response {
    let (decided, held_ms) = {
        let mut world = home.world();
        match enter(&home, &mut world, &headers) {
            Ok(caller) => seen(&home, &mut world, &entity, &caller),
            Err(refusal) => (Err(refusal), 0),
        }
    };
    later(&home, &s, decided, held_ms).await
}
fn seen(home: &Home, world: &mut World, entity: &str, caller: &Caller) -> (Result<Response, Refusal>, u64) {
    let (told, hears, held_ms) = world.look(entity, caller, home.now());
    let truth = told
        .map_or_else(|| message(StatusCode::NOT_FOUND, "Entity not found."), |state| axum::Json(state).into_response());
    (heard(hears, truth), held_ms)
}

/// A picture that the camera makes now.
pub async fn still(
    State(home): State<Home>,
    ConnectInfo(s): ConnectInfo<Scissors>,
    Path(entity): Path<String>,
    headers: HeaderMap,
) -> Response {
    let (decided, held_ms) = {
        let mut world = home.world();
        match enter(&home, &mut world, &headers) {
            Ok(_) => shown(&home, &mut world, &entity),
            Err(refusal) => (Err(refusal), 0),
        }
    };
    later(&home, &s, decided, held_ms).await
}
fn shown(home: &Home, world: &mut World, entity: &str) -> (Result<Response, Refusal>, u64) {
    let Some((given, hears, held_ms)) = world.still(entity, home.now()) else {
        return (Ok(plain(StatusCode::NOT_FOUND, "404: Not Found")), 0);
    };
    let picture = given.map_or_else(
        || plain(StatusCode::INTERNAL_SERVER_ERROR, "500: Internal Server Error"),
        |png| ([(header::CONTENT_TYPE, "image/png")], png).into_response(),
    );
    (heard(hears, picture), held_ms)
}

pub async fn service(
    State(home): State<Home>,
    ConnectInfo(s): ConnectInfo<Scissors>,
    Path((domain, service)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (decided, held_ms) = {
        let mut world = home.world();
        match enter(&home, &mut world, &headers) {
            Ok(_) => call(&home, &mut world, &domain, &service, &body),
            Err(refusal) => (Err(refusal), 0),
        }
    };
    later(&home, &s, decided, held_ms).await
}

fn call(home: &Home, world: &mut World, domain: &str, service: &str, body: &Bytes) -> (Result<Response, Refusal>, u64) {
    let at_once = |response: Response| (Ok(response), 0);
    let Some(service) = Target::service(domain, service) else {
        return at_once(plain(StatusCode::BAD_REQUEST, "400: Bad Request"));
    };
    let Ok(data) = serde_json::from_slice::<Value>(body) else {
        return at_once(message(StatusCode::BAD_REQUEST, "Data should be valid JSON."));
    };
    let (Some(entity), Some(1)) = (data["entity_id"].as_str(), data.as_object().map(serde_json::Map::len)) else {
        return at_once(plain(StatusCode::BAD_REQUEST, "400: Bad Request"));
    };
    let called = match domain {
        "cover" => world.call(service, entity, home.now(), &*home.entropy),
        _ => world.call_front(service, entity, home.now(), &*home.entropy),
    };
    match called {
        Some((changed, hears, held_ms)) => (heard(hears, axum::Json(changed).into_response()), held_ms),
        // What does not exist is called to nothing, and that is a success there.
        None => at_once(axum::Json(json!([])).into_response()),
    }
}
