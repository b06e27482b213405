//! Routes of whoever sits in a car, without account.

use axum::Json;
use axum::http::StatusCode;
use parcelshelf_core::id::OccupantId;
use parcelshelf_edge::json::{Nothing, StrictJson, StrictPath};
use parcelshelf_edge::problem::Problem;
use serde_json::Value;

use super::bodies::Sealed;
use super::{Answer, State, problem};
use crate::failure::again;

fn occupant_of(text: &str) -> Answer<OccupantId> {
    OccupantId::parse(text).map_err(|_| Problem::new(404, "occupant_unknown", "this session is over or never began"))
}

/// Begins a proof that somebody stands at a car, by its VIN sealed to the keyholder. The same answer for every VIN.
#[utoipa::path(post, path = "/v1/occupants", request_body = Sealed, responses((status = 201, body = Value)))]
pub(super) async fn begin(
    axum::extract::State(k): State,
    StrictJson { value, .. }: StrictJson<Sealed>,
) -> Answer<(StatusCode, Json<Value>)> {
    Ok((StatusCode::CREATED, Json(again!(k.begin_occupant(&value.r#box))?)))
}

/// Which door is next; once possession is proved: which grants there are, of which carriers, for when.
#[utoipa::path(post, path = "/v1/occupants/{occupant}/check", params(("occupant" = String, Path)),
    request_body = Nothing, responses((status = 200, body = Value)))]
pub(super) async fn check(
    axum::extract::State(k): State,
    StrictPath(occupant): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer<Json<Value>> {
    Ok(Json(k.check_occupant(occupant_of(&occupant)?).await.map_err(problem)?))
}

/// Stops everything for this car for 30 days. To everybody else it looks like a car that does not answer.
#[utoipa::path(post, path = "/v1/occupants/{occupant}/stop", params(("occupant" = String, Path)),
    request_body = Nothing, responses((status = 200, body = Value)))]
pub(super) async fn stop(
    axum::extract::State(k): State,
    StrictPath(occupant): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer<Json<Value>> {
    Ok(Json(k.stop_by_occupant(occupant_of(&occupant)?).await.map_err(problem)?))
}

/// Lifts a stop, by a proof that began at least 72 hours after it.
#[utoipa::path(post, path = "/v1/occupants/{occupant}/lift", params(("occupant" = String, Path)),
    request_body = Nothing, responses((status = 200, body = Value)))]
pub(super) async fn lift(
    axum::extract::State(k): State,
    StrictPath(occupant): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer<Json<Value>> {
    Ok(Json(k.lift_by_occupant(occupant_of(&occupant)?).await.map_err(problem)?))
}
