//! Routes of carriers and depots.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use parcelshelf_edge::json::{StrictJson, StrictPath, StrictQuery};
use parcelshelf_edge::problem::Problem;
use parcelshelf_opening::readiness::Question;
use parcelshelf_protocol::proof::HttpRequest;
use serde_json::Value;

use super::bodies::{
    AcceptedOut, CarrierCert, CarrierOut, ChangesAfter, ChangesOut, DeviceOut, Done, HealthOut, MakerHealth,
    NewDelegation, NewDevice, OrderIn, ReadyOut, Slot, SlotWord, StatusOut, fits,
};
use super::owners::{delivery_of, thumb_of};
use super::{Answer, PublicUrl, State, header, problem};
use crate::Keyholder;
use crate::carriers::{CallHeaders, Caller};
use crate::failure::again;

/// A signed call's headers.
pub(super) struct Signed(CallHeaders);
impl<S: Send + Sync> FromRequestParts<S> for Signed {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let call = header(parts, "authorization").and_then(|a| a.strip_prefix("Bearer ")).filter(|c| fits(c));
        let cert = header(parts, "parcelshelf-certificate").filter(|c| fits(c));
        match (call, cert) {
            (Some(call), Some(cert)) => Ok(Self(CallHeaders { call: call.to_owned(), cert: cert.to_owned() })),
            _ => Err(Problem::new(401, "call_missing", "carriers sign their calls")
                .detail("send Authorization: Bearer <psh-call> and Parcelshelf-Certificate: <delegation certificate>")),
        }
    }
}

pub(super) async fn caller(
    k: &Keyholder,
    signed: &Signed,
    method: &Method,
    url: &PublicUrl,
    body: &[u8],
) -> Answer<Caller> {
    let request = HttpRequest { method: method.as_str(), url: &url.0, body };
    k.caller(&signed.0, &request).await.map_err(problem)
}

/// Admits a carrier: the operator's signature on the certificate says so, whoever brings it.
#[utoipa::path(post, path = "/v1/carriers", request_body = CarrierCert, responses((status = 201, body = CarrierOut)))]
pub(super) async fn admit(
    axum::extract::State(k): State,
    StrictJson { value, .. }: StrictJson<CarrierCert>,
) -> Answer<(StatusCode, Json<CarrierOut>)> {
    let cert = again!(k.admit(&value.cert))?;
    Ok((StatusCode::CREATED, Json(CarrierOut { carrier: cert.claims().sub().to_string() })))
}

/// Which makers' cars this keyholder opens, and whether each maker's cloud answers now. Says nothing of any car.
#[utoipa::path(get, path = "/v1/makers/health", responses((status = 200, body = HealthOut)))]
pub(super) async fn health(axum::extract::State(k): State) -> Json<HealthOut> {
    let makers = k.makers.health().into_iter();
    Json(HealthOut { makers: makers.map(|(maker, down)| MakerHealth { maker: maker.to_owned(), down }).collect() })
}

/// An admitted carrier, by its root's thumbprint: its name and domain as the operator checked them, the entry of its admission
/// in the log, and whether it was removed or is stopped.
#[utoipa::path(get, path = "/v1/carriers/{carrier}", params(("carrier" = String, Path)),
    responses((status = 200, body = Value)))]
pub(super) async fn carrier(
    axum::extract::State(k): State,
    StrictPath(carrier): StrictPath<String>,
) -> Answer<Json<Value>> {
    Ok(Json(k.carrier_json(thumb_of(&carrier)?).await.map_err(problem)?))
}

/// Takes an order: a stopped carrier goes on once two people say so, or a key is revoked. Whoever brings it, it proves itself.
#[utoipa::path(post, path = "/v1/orders", request_body = OrderIn, responses((status = 200, body = Done)))]
pub(super) async fn order(
    axum::extract::State(k): State,
    StrictJson { value, .. }: StrictJson<OrderIn>,
) -> Answer<Json<Done>> {
    again!(k.obey(&value.order))?;
    Ok(Json(Done { done: true }))
}

/// Enrols a courier's device that a certified depot vouches for.
#[utoipa::path(post, path = "/v1/devices", request_body = NewDevice, responses((status = 201, body = DeviceOut)))]
pub(super) async fn enrol(
    axum::extract::State(k): State,
    StrictJson { value, .. }: StrictJson<NewDevice>,
) -> Answer<(StatusCode, Json<DeviceOut>)> {
    let carrier = thumb_of(&value.carrier)?;
    let device = again!(k.enrol(&value.device_cert, &value.depot_cert, carrier))?;
    Ok((StatusCode::CREATED, Json(DeviceOut { device: device.to_string() })))
}

/// Which deliveries have changed since a position, each with how it stands now; waits for the first one.
///
/// Begin without a position, and after `resync` ask for each open delivery once.
#[utoipa::path(get, path = "/v1/changes", params(ChangesAfter), security(("call" = [])),
    responses((status = 200, body = ChangesOut)))]
pub(super) async fn changes(
    axum::extract::State(k): State,
    signed: Signed,
    url: PublicUrl,
    StrictQuery(query): StrictQuery<ChangesAfter>,
) -> Answer<Json<Value>> {
    let caller = caller(&k, &signed, &Method::GET, &url, b"").await?;
    let wait = Duration::from_secs(query.wait.min(25));
    Ok(Json(k.changes(&caller, &query.after, wait).await.map_err(problem)?))
}

/// The acceptance of a delivery's grant, if there is one yet.
#[utoipa::path(get, path = "/v1/deliveries/{delivery}/accepted", params(("delivery" = String, Path)),
    security(("call" = [])), responses((status = 200, body = AcceptedOut)))]
pub(super) async fn accepted(
    axum::extract::State(k): State,
    signed: Signed,
    url: PublicUrl,
    StrictPath(delivery): StrictPath<String>,
) -> Answer<Json<AcceptedOut>> {
    let caller = caller(&k, &signed, &Method::GET, &url, b"").await?;
    let delivery = delivery_of(&delivery)?;
    let accepted = k.accepted(&caller, delivery).await.map_err(problem)?;
    let standing = accepted.as_ref().is_some_and(|(_, standing)| *standing);
    Ok(Json(AcceptedOut { accepted: accepted.map(|(jws, _)| jws), standing }))
}

/// Passes a grant on to one courier's device. The same one again changes nothing.
#[utoipa::path(post, path = "/v1/delegations", request_body = NewDelegation, security(("call" = [])),
    responses((status = 201, body = Done)))]
pub(super) async fn delegate(
    axum::extract::State(k): State,
    signed: Signed,
    url: PublicUrl,
    StrictJson { value, bytes }: StrictJson<NewDelegation>,
) -> Answer<(StatusCode, Json<Done>)> {
    let caller = caller(&k, &signed, &Method::POST, &url, &bytes).await?;
    if value.delegation_cert != caller.delegation_cert.jws() {
        return Err(Problem::new(400, "delegation_cert_differs", "the body names another certificate than the header"));
    }
    again!(k.delegate(&caller, &value.delegation))?;
    Ok((StatusCode::CREATED, Json(Done { done: true })))
}

/// What the carrier may know: no time, no place, no reason that helps to guess one.
#[utoipa::path(get, path = "/v1/deliveries/{delivery}/status", params(("delivery" = String, Path)),
    security(("call" = [])), responses((status = 200, body = StatusOut)))]
pub(super) async fn status(
    axum::extract::State(k): State,
    signed: Signed,
    url: PublicUrl,
    StrictPath(delivery): StrictPath<String>,
) -> Answer<Json<StatusOut>> {
    let caller = caller(&k, &signed, &Method::GET, &url, b"").await?;
    let delivery = delivery_of(&delivery)?;
    let s = k.status(&caller, delivery).await.map_err(problem)?;
    Ok(Json(StatusOut { seq: s.seq, state: s.state, reason: s.reason }))
}

/// Whether the car is ready: one word, the same one when asked again in the same slot.
#[utoipa::path(post, path = "/v1/deliveries/{delivery}/readiness", params(("delivery" = String, Path)),
    request_body = Slot, security(("call" = [])), responses((status = 200, body = ReadyOut)))]
pub(super) async fn ready(
    axum::extract::State(k): State,
    signed: Signed,
    url: PublicUrl,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { value, bytes }: StrictJson<Slot>,
) -> Answer<Json<ReadyOut>> {
    let bytes: Bytes = bytes;
    let caller = caller(&k, &signed, &Method::POST, &url, &bytes).await?;
    let question = match value.slot {
        SlotWord::EveningBefore => Question::EveningBefore,
        SlotWord::StartOfWindow => Question::StartOfWindow,
        SlotWord::TenMinutesBefore => Question::TenMinutesBefore,
    };
    let delivery = delivery_of(&delivery)?;
    Ok(Json(ReadyOut { answer: again!(k.ready(&caller, delivery, question))? }))
}
