//! What the courier app asks for: a session for a code, the shift, the route. No answer holds a place or a key.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use parcelshelf_core::id::CourierId;
use parcelshelf_edge::cookie;
use parcelshelf_edge::idempotency::{IdempotencyKey, Key};
use parcelshelf_edge::json::{Nothing, StrictJson, StrictPath};
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::b64;
use parcelshelf_store::ListQuery;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::auth::{Principal, courier_by_code, forbidden, problem, token_index};
use super::bodies::{CourierOut, DeliverySeen};
use super::routes::{bounded, delivery_of, seen, wrong};
use super::sites::Site;
use crate::Carrier;
use crate::db::{COURIERS, Change, DELIVERIES, DeliveryRow, Failure, StopPart, Stored, again};
use crate::people::{COOKIE, Who};

/// Stops of one route: what a van does in a day, twice over.
const STOPS_MAX: usize = 300;
/// Deliveries into cars on one van.
const DELIVERIES_MAX: u32 = 300;

type C = State<Arc<Carrier>>;
type Answer = Result<Response, Problem>;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodeIn {
    #[schema(min_length = 43, max_length = 43)]
    code: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CourierIs {
    courier: String,
}
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShiftIn {
    on: bool,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShiftOut {
    on: bool,
}

/// A stop in the order of the route: a delivery into a car, or a door.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopIn {
    /// A delivery into a car.
    #[serde(default, deserialize_with = "there")]
    #[schema(min_length = 22, max_length = 22)]
    delivery: Option<String>,
    /// Somebody's door.
    #[serde(default, deserialize_with = "there")]
    door: Option<DoorIn>,
}
/// A member that is there is no `null`: it could stand for either of two.
fn there<'de, D: Deserializer<'de>, T: Deserialize<'de>>(input: D) -> Result<Option<T>, D::Error> {
    T::deserialize(input).map(Some)
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DoorIn {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(min_length = 1, max_length = 500)]
    address: String,
    #[serde(default)]
    #[schema(max_length = 500)]
    note: String,
    #[schema(minimum = 1, maximum = 100)]
    parcels: u32,
}
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteIn {
    #[schema(max_items = 300)]
    stops: Vec<StopIn>,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DoorState {
    Planned,
    Done,
    /// Nobody there, or it could not be handed over.
    NotDone,
}
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DoorDoneIn {
    state: DoorState,
}

/// The route as the courier sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RouteOut {
    courier: String,
    name: String,
    /// Since when on shift, rounded to a quarter of an hour.
    shift_since: Option<String>,
    /// A depot has enrolled this courier's phone for cars.
    device: bool,
    /// Operations lets nobody set out to cars now.
    cars_on_hold: bool,
    stops: Vec<StopOut>,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StopOut {
    stop: String,
    car: Option<CarStop>,
    door: Option<DoorStop>,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CarStop {
    #[serde(flatten)]
    delivery: DeliverySeen,
    /// Fallbacks that were agreed, best first.
    fallbacks: Vec<String>,
    /// The window in which the car may be opened.
    access: Option<super::bodies::WindowOut>,
    area: Option<AreaOut>,
}
/// Where a car may stand: whole cells of about five square kilometres.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AreaOut {
    cells: Vec<String>,
    /// The middle of the cells, to two digits: about a kilometre.
    latitude: f64,
    longitude: f64,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DoorStop {
    name: String,
    address: String,
    note: String,
    parcels: u32,
    state: DoorState,
}

/// A courier's page begins a session with the code that was shown at hiring.
#[utoipa::path(post, path = "/v1/courier/sessions", request_body = CodeIn, responses((status = 201, body = CourierIs)))]
pub(crate) async fn begin(
    State(c): C,
    Extension(site): Extension<Site>,
    headers: HeaderMap,
    StrictJson { value, .. }: StrictJson<CodeIn>,
) -> Answer {
    let origin = c.sites.origin(site).filter(|_| site == Site::Courier).ok_or_else(forbidden)?;
    if !cookie::asked(&headers, origin) {
        return Err(forbidden());
    }
    let unknown =
        || Problem::new(403, "code_unknown", "this code does not log in").detail("ask dispatch for a new one");
    let (id, with) = courier_by_code(&c, &value.code).await?.ok_or_else(unknown)?;
    let set = again!(c.begin_session(Who::Courier(id), &with))?;
    let body = Json(CourierIs { courier: id.to_string() });
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, set)], body).into_response())
}

/// Ends the session of a courier's or staff's page.
#[utoipa::path(delete, path = "/v1/session", responses((status = 204)))]
pub(crate) async fn end(State(c): C, Extension(site): Extension<Site>, headers: HeaderMap) -> Answer {
    let origin = c.sites.origin(site).ok_or_else(forbidden)?;
    if let Some(token) = cookie::token(&headers, COOKIE, origin) {
        again!(c.end_session(token))?;
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie::cleared(COOKIE))]).into_response())
}

/// A new code for a courier, shown once. The old one and its sessions end.
#[utoipa::path(post, path = "/v1/couriers/{courier}/code", params(("courier" = String, Path)), request_body = Nothing,
    security(("key" = [])), responses((status = 201, body = CourierOut)))]
pub(crate) async fn new_code(
    State(c): C,
    who: Principal,
    StrictPath(courier): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer {
    who.dispatch()?;
    let id = courier_of(&courier)?;
    let token = b64(c.host.random::<32>());
    again!(c.set_code(id, &token))?;
    let url = c.log_in_url(&token);
    Ok((StatusCode::CREATED, Json(CourierOut { courier, token: Some(token), url })).into_response())
}

pub(super) fn courier_of(text: &str) -> Result<CourierId, Problem> {
    CourierId::parse(text).map_err(|_| Problem::new(404, "courier_unknown", "there is no such courier"))
}

/// Begins or ends the shift.
#[utoipa::path(post, path = "/v1/courier/shift", request_body = ShiftIn, security(("key" = [])),
    responses((status = 200, body = ShiftOut)))]
pub(crate) async fn shift(
    State(c): C,
    who: Principal,
    key: IdempotencyKey,
    StrictJson { value, bytes }: StrictJson<ShiftIn>,
) -> Answer {
    let id = who.courier()?;
    let key = key.bind(&who.name(), "shift", &bytes);
    if let Some(earlier) = c.earlier(&key).await? {
        return Ok(earlier);
    }
    again!(c.set_shift(id, value.on, &key))?;
    Ok(Json(ShiftOut { on: value.on }).into_response())
}

/// The courier's own route.
#[utoipa::path(get, path = "/v1/courier/route", security(("key" = [])), responses((status = 200, body = RouteOut)))]
pub(crate) async fn route(State(c): C, who: Principal) -> Answer {
    let id = who.courier()?;
    Ok(Json(c.route_of(id).await.map_err(problem)?).into_response())
}

/// Says in which order a courier goes, and which doors lie between the cars.
#[utoipa::path(post, path = "/v1/couriers/{courier}/route", params(("courier" = String, Path)), request_body = RouteIn,
    security(("key" = [])), responses((status = 200, body = RouteOut)))]
pub(crate) async fn plan(
    State(c): C,
    who: Principal,
    StrictPath(courier): StrictPath<String>,
    StrictJson { value, .. }: StrictJson<RouteIn>,
) -> Answer {
    who.dispatch()?;
    let id = courier_of(&courier)?;
    if value.stops.len() > STOPS_MAX {
        return Err(wrong("at most 300 stops"));
    }
    for stop in &value.stops {
        match (&stop.delivery, &stop.door) {
            (Some(delivery), None) => delivery_of(delivery).map(drop)?,
            (None, Some(door)) => {
                bounded(&door.name, 200, "a name has 1 to 200 characters")?;
                bounded(&door.address, 500, "an address has 1 to 500 characters")?;
                let note = door.note.len() <= 500 && (1..=100).contains(&door.parcels);
                note.then_some(()).ok_or_else(|| wrong("a note has up to 500 characters, a door 1 to 100 parcels"))?;
            }
            _ => return Err(wrong("a stop is a delivery or a door")),
        }
    }
    again!(c.set_stops(id, &value.stops))?;
    Ok(Json(c.route_of(id).await.map_err(problem)?).into_response())
}

/// What became of a stop at a door.
#[utoipa::path(post, path = "/v1/courier/doors/{stop}", params(("stop" = String, Path)), request_body = DoorDoneIn,
    security(("key" = [])), responses((status = 200, body = DoorDoneOut)))]
pub(crate) async fn door(
    State(c): C,
    who: Principal,
    key: IdempotencyKey,
    StrictPath(stop): StrictPath<String>,
    StrictJson { value, bytes }: StrictJson<DoorDoneIn>,
) -> Answer {
    let id = who.courier()?;
    let key = key.bind(&who.name(), &format!("door/{stop}"), &bytes);
    if let Some(earlier) = c.earlier(&key).await? {
        return Ok(earlier);
    }
    again!(c.door_done(id, &stop, value.state, &key))?;
    Ok(Json(DoorDoneOut { stop, state: value.state }).into_response())
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DoorDoneOut {
    stop: String,
    state: DoorState,
}

impl Carrier {
    /// In the fragment, so that no server sees it.
    pub(super) fn log_in_url(&self, code: &str) -> Option<String> {
        self.sites.origin(Site::Courier).map(|origin| format!("{origin}/#code={code}"))
    }

    async fn set_code(&self, id: CourierId, code: &str) -> Result<(), Failure> {
        let mut stored = self.courier(id).await?;
        stored.value.token = b64(token_index(code));
        let mut change = Change::new(self);
        change.put(COURIERS, &stored.id, stored.version, &stored.value, stored.value.index());
        change.journal(COURIERS, &stored.id, "code_replaced", &json!({}));
        change.commit().await
    }

    async fn set_shift(&self, id: CourierId, on: bool, key: &Key) -> Result<(), Failure> {
        let mut stored = self.courier(id).await?;
        stored.value.shift_ms = on.then(|| stored.value.shift_ms.unwrap_or_else(|| self.kept_now().unix_millis()));
        let mut change = Change::new(self);
        change.put(COURIERS, &stored.id, stored.version, &stored.value, stored.value.index());
        change.journal(COURIERS, &stored.id, if on { "shift_begun" } else { "shift_ended" }, &json!({}));
        change.answer(Some(key), (COURIERS, id.as_bytes()), 200, &json!({ "on": on }));
        change.commit().await
    }

    async fn set_stops(&self, id: CourierId, stops: &[StopIn]) -> Result<(), Failure> {
        let mut stored = self.courier(id).await?;
        let before = std::mem::take(&mut stored.value.stops);
        let kept: Vec<StopPart> = stops
            .iter()
            .map(|stop| {
                // A door that is named again stays what it is.
                let same = before.iter().find(|k| k.door.is_some() && k.door == stop.door);
                same.cloned().unwrap_or_else(|| StopPart {
                    id: b64(self.host.random::<16>()),
                    delivery: stop.delivery.clone(),
                    door: stop.door.clone(),
                    state: DoorState::Planned,
                })
            })
            .collect();
        stored.value.stops = kept;
        let mut change = Change::new(self);
        change.put(COURIERS, &stored.id, stored.version, &stored.value, stored.value.index());
        change.journal(COURIERS, &stored.id, "route_planned", &json!({"stops": stored.value.stops.len()}));
        change.commit().await
    }

    async fn door_done(&self, id: CourierId, stop: &str, state: DoorState, key: &Key) -> Result<(), Failure> {
        let mut stored = self.courier(id).await?;
        let none = || Problem::new(404, "stop_unknown", "there is no such stop");
        stored.value.stops.iter_mut().find(|s| s.id == stop && s.door.is_some()).ok_or_else(none)?.state = state;
        let mut change = Change::new(self);
        change.put(COURIERS, &stored.id, stored.version, &stored.value, stored.value.index());
        change.journal(COURIERS, &stored.id, "door_said", &json!({ "state": state }));
        change.answer(Some(key), (COURIERS, id.as_bytes()), 200, &json!({"stop": stop, "state": state}));
        change.commit().await
    }

    /// Deliveries that a courier has in the van.
    pub(crate) async fn carried(&self, id: CourierId) -> Result<Vec<Stored<DeliveryRow>>, Failure> {
        let query = ListQuery {
            table: DELIVERIES.to_owned(),
            index: "carried_by".to_owned(),
            prefix: id.as_bytes().to_vec(),
            cursor: None,
            limit: DELIVERIES_MAX,
        };
        Ok(self.rows(query).await?.0)
    }

    async fn route_of(&self, id: CourierId) -> Result<RouteOut, Failure> {
        let courier = self.courier(id).await?;
        let mut cars: Vec<_> = self.carried(id).await?.iter().map(|row| self.car_stop(row)).collect();
        let mut stops = Vec::new();
        for kept in courier.value.stops {
            match (kept.door, kept.delivery) {
                (Some(door), _) => stops.push(StopOut {
                    stop: kept.id,
                    car: None,
                    door: Some(DoorStop {
                        name: door.name,
                        address: door.address,
                        note: door.note,
                        parcels: door.parcels,
                        state: kept.state,
                    }),
                }),
                // What is over, or on another van meanwhile, is left out.
                (None, Some(delivery)) => {
                    if let Some(n) = cars.iter().position(|c| c.delivery.delivery == delivery) {
                        stops.push(StopOut { stop: kept.id, car: Some(cars.remove(n)), door: None });
                    }
                }
                (None, None) => {}
            }
        }
        // What was loaded and never planned comes last.
        stops.extend(cars.into_iter().map(|car| StopOut {
            stop: car.delivery.delivery.clone(),
            car: Some(car),
            door: None,
        }));
        let since = courier.value.shift_ms.map(parcelshelf_core::time::Timestamp::from_unix_millis);
        Ok(RouteOut {
            courier: id.to_string(),
            name: courier.value.name,
            shift_since: since.map(|t| t.to_rfc3339()),
            device: courier.value.device.is_some(),
            cars_on_hold: self.cars_on_hold().await?,
            stops,
        })
    }

    fn car_stop(&self, row: &Stored<DeliveryRow>) -> CarStop {
        let area = self.accepted(&row.value).ok().map(|accepted| {
            let centres: Vec<(f64, f64)> = accepted.area.cells().iter().map(|c| c.centre()).collect();
            let count = centres.len().max(1) as f64;
            let middle =
                |of: fn(&(f64, f64)) -> f64| (centres.iter().map(of).sum::<f64>() / count * 100.0).round() / 100.0;
            AreaOut { cells: accepted.area.to_strings(), latitude: middle(|c| c.0), longitude: middle(|c| c.1) }
        });
        let state = &row.value.state;
        CarStop {
            delivery: seen(row, true),
            fallbacks: state.fallbacks.clone(),
            access: state.access_start_ms.zip(state.access_end_ms).map(|(s, e)| super::bodies::WindowOut::of(s, e)),
            area,
        }
    }

    /// Whether operations lets nobody set out to cars.
    pub(crate) async fn cars_on_hold(&self) -> Result<bool, Failure> {
        Ok(self.car_switch().await?.is_some_and(|row| row.value.on))
    }
}
