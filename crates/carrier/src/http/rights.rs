//! What a person may ask of a carrier: everything that is kept of a delivery, and that it goes. By the delivery's id only: no
//! name, address or label finds anything here. Whoever answers people, dispatch or the merchant, knows whose delivery it is.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse as _;
use parcelshelf_core::id::CourierId;
use parcelshelf_edge::idempotency::IdempotencyKey;
use parcelshelf_edge::json::{Nothing, StrictJson, StrictPath};
use parcelshelf_edge::problem::Problem;
use serde_json::json;

use super::auth::{Principal, problem};
use super::bodies::LegalHoldIn;
use super::routes::{Answer, C, delivery_of, may_see};
use crate::Carrier;
use crate::db::{DeliveryRow, Stored, again, no_delivery};
use crate::retention::Export;

/// Dispatch, or the merchant who posted it.
async fn answers_for(c: &Carrier, who: &Principal, delivery: &str) -> Result<Stored<DeliveryRow>, Problem> {
    if !matches!(who, Principal::Merchant(_)) {
        who.dispatch()?;
    }
    let row = c.delivery(delivery_of(delivery)?).await.map_err(problem)?;
    if may_see(who, &row) { Ok(row) } else { Err(no_delivery()) }
}

/// Puts a legal hold on a delivery, or takes it off: while it stands nothing of the delivery is erased.
#[utoipa::path(post, path = "/v1/deliveries/{delivery}/hold", params(("delivery" = String, Path)), request_body = LegalHoldIn,
    security(("key" = [])), responses((status = 200, body = serde_json::Value)))]
pub(super) async fn hold(
    State(c): C,
    who: Principal,
    _key: IdempotencyKey,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { value, .. }: StrictJson<LegalHoldIn>,
) -> Answer {
    who.dispatch()?;
    let (id, by) = (delivery_of(&delivery)?, who.name());
    Ok(Json(again!(c.hold(id, &by, value.held))?).into_response())
}

/// Everything that is kept of one delivery, as one document for the person whom it is about; for a merchant, its part of it.
#[utoipa::path(get, path = "/v1/deliveries/{delivery}/export", params(("delivery" = String, Path)),
    security(("key" = [])), responses((status = 200, body = serde_json::Value)))]
pub(super) async fn export(State(c): C, who: Principal, StrictPath(delivery): StrictPath<String>) -> Answer {
    let row = answers_for(&c, &who, &delivery).await?;
    let of = match who {
        Principal::Merchant(_) => Export::Merchants,
        _ => Export::Carriers,
    };
    // Everything about a person is looked at here: by whom is noted first.
    again!(c.note_export(&row, &who))?;
    Ok(Json(c.export(&row, of).await.map_err(problem)?).into_response())
}

/// Erases a delivery that has ended: for good, and in every backup. Asking again finds nothing.
#[utoipa::path(post, path = "/v1/deliveries/{delivery}/erase", params(("delivery" = String, Path)),
    request_body = Nothing, security(("key" = [])), responses((status = 200, body = serde_json::Value)))]
pub(super) async fn erase(
    State(c): C,
    who: Principal,
    _key: IdempotencyKey,
    StrictPath(delivery): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer {
    if !matches!(who, Principal::Merchant(_)) {
        who.dispatch()?;
    }
    // Asked again after an answer that got lost.
    if !c.is_erased(delivery_of(&delivery)?).await? {
        let row = answers_for(&c, &who, &delivery).await?;
        c.erase_delivery(&row).await?;
    }
    Ok(Json(json!({"delivery": delivery, "erased": true})).into_response())
}

/// Erases a courier who has left. What they carried stays, without a name; with a parcel in the van, or at a car, nobody leaves.
#[utoipa::path(post, path = "/v1/couriers/{courier}/erase", params(("courier" = String, Path)), request_body = Nothing,
    security(("key" = [])), responses((status = 200, body = serde_json::Value)))]
pub(super) async fn erase_courier(
    State(c): C,
    who: Principal,
    _key: IdempotencyKey,
    StrictPath(courier): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer {
    who.dispatch()?;
    let none = || Problem::new(404, "courier_unknown", "there is no such courier");
    c.erase_courier(CourierId::parse(&courier).map_err(|_| none())?).await?;
    Ok(Json(json!({"courier": courier, "erased": true})).into_response())
}
