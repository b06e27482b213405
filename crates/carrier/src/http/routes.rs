//! Handlers. Each POST is answered again the same when its idempotency key comes again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use parcelshelf_core::id::{CourierId, DeliveryId, ParcelId, ShipmentId};
use parcelshelf_core::reason::{Fallback, Reason};
use parcelshelf_delivery::delivery::Event;
use parcelshelf_edge::idempotency::{IdempotencyKey, Key};
use parcelshelf_edge::json::{Nothing, StrictJson, StrictPath, StrictQuery};
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::{Thumbprint, b64, from_b64};
use parcelshelf_store::{ListQuery, Version};
use serde_json::{Value, json};

use super::auth::{Principal, forbidden, problem, token_index};
use super::bodies::{
    AccessSeen, CancelIn, CourierIn, CourierOut, DeliveriesSeen, DeliverySeen, DeviceIn, EntryOut, JournalOut, LegOut,
    Listing, NewCourier, NewShipment, OutcomeIn, OutcomeWord, ParcelIn, ParcelSeen, ReadySeen, RecipientSeen,
    ShipmentSeen, WindowOut,
};
use crate::Carrier;
use crate::db::{COURIERS, Change, CourierRow, DELIVERIES, DeliveryRow, Failure, Stored, again, apply, no_delivery};
use crate::shipments::tail;

pub(super) type C = State<Arc<Carrier>>;
pub(super) type Answer = Result<Response, Problem>;

pub(super) fn delivery_of(text: &str) -> Result<DeliveryId, Problem> {
    DeliveryId::parse(text).map_err(|_| no_delivery())
}
pub(super) fn wrong(what: &'static str) -> Problem {
    Problem::new(422, "body_wrong_member", what)
}
pub(super) fn bounded(text: &str, max: usize, what: &'static str) -> Result<(), Problem> {
    let fits = (1..=max).contains(&text.len()) && !text.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(wrong(what)) }
}

/// Posts a shipment: one delivery into one car, with one to eight parcels.
#[utoipa::path(post, path = "/v1/shipments", request_body = NewShipment, security(("key" = [])),
    responses((status = 201, body = Value)))]
pub(super) async fn ship(
    State(c): C,
    who: Principal,
    key: IdempotencyKey,
    StrictJson { value, bytes }: StrictJson<NewShipment>,
) -> Answer {
    let key = key.bind(&who.name(), "ship", &bytes);
    let merchant = who.merchant()?;
    if let Some(earlier) = c.earlier(&key).await? {
        return Ok(earlier);
    }
    bounded(&value.recipient.name, 200, "a recipient's name has 1 to 200 characters")?;
    bounded(&value.recipient.fallback_address, 500, "a fallback address has 1 to 500 characters")?;
    bounded(&value.merchant.id, 64, "a merchant's id has 1 to 64 characters")?;
    bounded(&value.merchant.name, 64, "a merchant's name has 1 to 64 characters")?;
    if value.parcels.iter().any(|p| p.flags.len() > 8) || value.parcels.len() > 8 || value.fallbacks.len() > 4 {
        return Err(wrong("at most eight parcels, eight flags each, four fallbacks"));
    }
    let answer = again!(c.ship(&merchant, &value, &key))?;
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// A shipment and its deliveries.
#[utoipa::path(get, path = "/v1/shipments/{shipment}", params(("shipment" = String, Path)), security(("key" = [])),
    responses((status = 200, body = ShipmentSeen)))]
pub(super) async fn shipment(State(c): C, who: Principal, StrictPath(shipment): StrictPath<String>) -> Answer {
    let none = || Problem::new(404, "shipment_unknown", "there is no such shipment");
    let id = ShipmentId::parse(&shipment).map_err(|_| none())?;
    let query = ListQuery {
        table: DELIVERIES.to_owned(),
        index: "shipment".to_owned(),
        prefix: id.as_bytes().to_vec(),
        cursor: None,
        limit: 10,
    };
    let (rows, _) = c.rows::<DeliveryRow>(query).await.map_err(problem)?;
    let seen: Vec<DeliverySeen> = rows.iter().filter(|r| may_see(&who, r)).map(|r| as_seen_by(&c, r, &who)).collect();
    if seen.is_empty() {
        return Err(none());
    }
    Ok(Json(ShipmentSeen { shipment, deliveries: seen }).into_response())
}

/// Deliveries, by state.
#[utoipa::path(get, path = "/v1/deliveries", params(Listing), security(("key" = [])),
    responses((status = 200, body = DeliveriesSeen)))]
pub(super) async fn deliveries(State(c): C, who: Principal, StrictQuery(listing): StrictQuery<Listing>) -> Answer {
    who.reads()?;
    let bad_cursor = || Problem::new(400, "query_wrong", "the cursor is not one of ours");
    let cursor = match &listing.cursor {
        Some(text) => Some(from_b64(text).filter(|c| c.len() <= 300).ok_or_else(bad_cursor)?),
        None => None,
    };
    let query = ListQuery {
        table: DELIVERIES.to_owned(),
        index: if listing.state.is_some() { "state".to_owned() } else { String::new() },
        prefix: listing.state.clone().unwrap_or_default().into_bytes(),
        cursor,
        limit: listing.limit.unwrap_or(100).clamp(1, 500),
    };
    let (rows, next) = c.rows::<DeliveryRow>(query).await.map_err(problem)?;
    let deliveries = rows.iter().map(|r| as_seen_by(&c, r, &who)).collect();
    Ok(Json(DeliveriesSeen { deliveries, next: next.map(b64) }).into_response())
}

/// One delivery.
#[utoipa::path(get, path = "/v1/deliveries/{delivery}", params(("delivery" = String, Path)), security(("key" = [])),
    responses((status = 200, body = DeliverySeen)))]
pub(super) async fn delivery(State(c): C, who: Principal, StrictPath(delivery): StrictPath<String>) -> Answer {
    let row = c.delivery(delivery_of(&delivery)?).await.map_err(problem)?;
    if !may_see(&who, &row) {
        return Err(no_delivery());
    }
    Ok(Json(as_seen_by(&c, &row, &who)).into_response())
}

/// What happened to a delivery, with times rounded to a quarter of an hour.
#[utoipa::path(get, path = "/v1/deliveries/{delivery}/journal", params(("delivery" = String, Path)),
    security(("key" = [])), responses((status = 200, body = JournalOut)))]
pub(super) async fn journal(State(c): C, who: Principal, StrictPath(delivery): StrictPath<String>) -> Answer {
    who.reads()?;
    let id = delivery_of(&delivery)?;
    c.delivery(id).await.map_err(problem)?;
    let entries = c.engine.journal(DELIVERIES, id.as_bytes(), 0, 500).await.map_err(|e| Problem::store(&e))?;
    let entry = |e: &parcelshelf_store::JournalEntry| EntryOut {
        seq: e.seq,
        kind: e.kind.clone(),
        at: e.at.to_rfc3339(),
        event: serde_json::from_slice(&e.event).unwrap_or_default(),
    };
    Ok(Json(JournalOut { entries: entries.iter().map(entry).collect() }).into_response())
}

/// Hires a courier; the token is shown once.
#[utoipa::path(post, path = "/v1/couriers", request_body = NewCourier, security(("key" = [])),
    responses((status = 201, body = CourierOut)))]
pub(super) async fn hire(
    State(c): C,
    who: Principal,
    key: IdempotencyKey,
    StrictJson { value, bytes }: StrictJson<NewCourier>,
) -> Answer {
    who.dispatch()?;
    let key = key.bind(&who.name(), "hire", &bytes);
    if let Some(earlier) = c.earlier(&key).await? {
        return Ok(earlier);
    }
    bounded(&value.name, 200, "a name has 1 to 200 characters")?;
    let (id, token) = (CourierId::from_bytes(c.host.random()), b64(c.host.random::<32>()));
    let row = CourierRow {
        v: 2,
        name: value.name.clone(),
        token: b64(token_index(&token)),
        device: None,
        shift_ms: None,
        stops: Vec::new(),
        erasing: false,
    };
    let mut change = Change::new(&c);
    change.put(COURIERS, id.as_bytes(), Version::Absent, &row, row.index());
    change.journal(COURIERS, id.as_bytes(), "hired", &json!({}));
    let answer = json!({"courier": id.to_string(), "token": token, "url": c.log_in_url(&token)});
    // The token is not kept: a repeated request says so instead of showing it again.
    let again = json!({"courier": id.to_string(), "token": null, "url": null});
    change.answer(Some(&key), (COURIERS, id.as_bytes()), 201, &again);
    change.commit().await.map_err(problem)?;
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Says which certified device a courier uses.
#[utoipa::path(post, path = "/v1/couriers/{courier}/device", params(("courier" = String, Path)),
    request_body = DeviceIn, security(("key" = [])), responses((status = 200, body = Value)))]
pub(super) async fn assign_device(
    State(c): C,
    who: Principal,
    key: IdempotencyKey,
    StrictPath(courier): StrictPath<String>,
    StrictJson { value, bytes }: StrictJson<DeviceIn>,
) -> Answer {
    who.dispatch()?;
    let key = key.bind(&who.name(), &format!("device/{courier}"), &bytes);
    if let Some(earlier) = c.earlier(&key).await? {
        return Ok(earlier);
    }
    let id =
        CourierId::parse(&courier).map_err(|_| Problem::new(404, "courier_unknown", "there is no such courier"))?;
    let device = Thumbprint::parse(&value.device).ok_or_else(|| wrong("a device's thumbprint has 43 characters"))?;
    let answer = again!(set_device(&c, id, device, &key))?;
    Ok(Json(answer).into_response())
}

async fn set_device(c: &Carrier, id: CourierId, device: Thumbprint, key: &Key) -> Result<Value, Failure> {
    let stored = c.courier(id).await?;
    let mut row = stored.value;
    row.device = Some(device.to_string());
    let mut change = Change::new(c);
    change.put(COURIERS, &stored.id, stored.version, &row, row.index());
    change.journal(COURIERS, &stored.id, "device_assigned", &json!({}));
    let answer = json!({"courier": id.to_string(), "device": device.to_string()});
    change.answer(Some(key), (COURIERS, id.as_bytes()), 200, &answer);
    change.commit().await?;
    Ok(answer)
}

/// One event of the machine, from a request with an idempotency key.
async fn step(c: &Carrier, id: DeliveryId, event: Event, key: &Key) -> Result<Value, Failure> {
    let mut stored = c.delivery(id).await?;
    let mut change = Change::new(c);
    if let Event::Loaded { courier } = event {
        c.goes_to(&mut change, courier).await?;
    }
    apply(&mut change, &mut stored, event, c.host.now())?;
    change.delivery(&stored);
    let answer = json!({"delivery": id.to_string(), "state": stored.value.state.phase, "end": stored.value.state.end});
    change.answer(Some(key), (DELIVERIES, id.as_bytes()), 200, &answer);
    change.commit().await?;
    Ok(answer)
}

/// A step that dispatch, or the courier who has the delivery, may take.
async fn stepped(
    c: &Carrier,
    who: &Principal,
    key: IdempotencyKey,
    route: &str,
    id: DeliveryId,
    body: &[u8],
    event: Event,
) -> Answer {
    let key = key.bind(&who.name(), &format!("{route}/{id}"), body);
    if let Some(earlier) = c.earlier(&key).await? {
        return Ok(earlier);
    }
    Ok(Json(again!(step(c, id, event, &key))?).into_response())
}

/// The courier who has it, or dispatch.
async fn has_it(c: &Carrier, who: &Principal, id: DeliveryId) -> Result<Stored<DeliveryRow>, Problem> {
    let row = c.delivery(id).await.map_err(problem)?;
    match who {
        Principal::Dispatch(_) => Ok(row),
        Principal::Staff(..) => who.dispatch().map(|()| row),
        Principal::Courier(courier) => {
            // After its end nobody has it; what is repeated then changes nothing.
            let over = row.value.state.phase == "ended";
            if carries(*courier, &row) || over { Ok(row) } else { Err(forbidden()) }
        }
        Principal::Merchant(_) => Err(forbidden()),
    }
}

/// Puts a delivery on a courier's van.
#[utoipa::path(post, path = "/v1/deliveries/{delivery}/load", params(("delivery" = String, Path)),
    request_body = CourierIn, security(("key" = [])), responses((status = 200, body = Value)))]
pub(super) async fn load(
    State(c): C,
    who: Principal,
    key: IdempotencyKey,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { value, bytes }: StrictJson<CourierIn>,
) -> Answer {
    who.dispatch()?;
    let courier = CourierId::parse(&value.courier).map_err(|_| wrong("a courier's id has 22 characters"))?;
    c.courier(courier).await.map_err(problem)?;
    stepped(&c, &who, key, "load", delivery_of(&delivery)?, &bytes, Event::Loaded { courier }).await
}

/// Takes a delivery off the van, for another courier.
#[utoipa::path(post, path = "/v1/deliveries/{delivery}/unload", params(("delivery" = String, Path)),
    request_body = Nothing, security(("key" = [])), responses((status = 200, body = Value)))]
pub(super) async fn unload(
    State(c): C,
    who: Principal,
    key: IdempotencyKey,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { bytes, .. }: StrictJson<Nothing>,
) -> Answer {
    who.dispatch()?;
    stepped(&c, &who, key, "unload", delivery_of(&delivery)?, &bytes, Event::Unloaded).await
}

/// The courier sets out for this stop: the answer is the stop page's address.
#[utoipa::path(post, path = "/v1/deliveries/{delivery}/leg", params(("delivery" = String, Path)),
    request_body = Nothing, security(("key" = [])), responses((status = 201, body = LegOut)))]
pub(super) async fn leg(
    State(c): C,
    who: Principal,
    key: IdempotencyKey,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { bytes, .. }: StrictJson<Nothing>,
) -> Answer {
    let id = delivery_of(&delivery)?;
    let Principal::Courier(courier) = who else { return Err(forbidden()) };
    has_it(&c, &who, id).await?;
    if c.cars_on_hold().await.map_err(problem)? {
        return Err(Problem::new(409, "cars_on_hold", "no courier sets out to cars now")
            .detail("operations has stopped deliveries into cars; go on with other stops, or use the fallback"));
    }
    let key = key.bind(&who.name(), &format!("leg/{id}"), &bytes);
    let answer = match c.earlier(&key).await? {
        // The same address again, while the leg lives.
        Some(_) => c.hand_in(id, None).await?,
        None => c.start_leg(id, courier, &key).await?,
    };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// The courier is at the stop.
#[utoipa::path(post, path = "/v1/deliveries/{delivery}/arrived", params(("delivery" = String, Path)),
    request_body = Nothing, security(("key" = [])), responses((status = 200, body = Value)))]
pub(super) async fn arrived(
    State(c): C,
    who: Principal,
    key: IdempotencyKey,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { bytes, .. }: StrictJson<Nothing>,
) -> Answer {
    let id = delivery_of(&delivery)?;
    has_it(&c, &who, id).await?;
    stepped(&c, &who, key, "arrived", id, &bytes, Event::Arrived).await
}

/// What became of a parcel.
#[utoipa::path(post, path = "/v1/deliveries/{delivery}/parcels/{parcel}/outcome",
    params(("delivery" = String, Path), ("parcel" = String, Path)), request_body = OutcomeIn, security(("key" = [])),
    responses((status = 200, body = Value)))]
pub(super) async fn outcome(
    State(c): C,
    who: Principal,
    key: IdempotencyKey,
    StrictPath((delivery, parcel)): StrictPath<(String, String)>,
    StrictJson { value, bytes }: StrictJson<OutcomeIn>,
) -> Answer {
    let id = delivery_of(&delivery)?;
    let no_parcel = || Problem::new(404, "no_such_parcel", "the delivery has no such parcel");
    let parcel = ParcelId::parse(&parcel).map_err(|_| no_parcel())?;
    has_it(&c, &who, id).await?;
    let unknown = || wrong("the reason is not one of the known codes");
    let event = match (value.outcome, value.reason.as_deref()) {
        (OutcomeWord::Done, None) if value.fallback.is_none() => Event::ParcelDone { parcel },
        (OutcomeWord::Done, _) => return Err(wrong("a parcel that is done has neither reason nor fallback")),
        (OutcomeWord::NotDone, reason) => Event::ParcelNotDone {
            parcel,
            reason: reason.and_then(Reason::parse).ok_or_else(unknown)?,
            to: match value.fallback.as_deref() {
                Some(code) => Some(Fallback::parse(code).ok_or_else(|| wrong("the fallback is unknown"))?),
                None => None,
            },
        },
    };
    stepped(&c, &who, key, &format!("outcome/{parcel}"), id, &bytes, event).await
}

/// The courier leaves the stop; parcels without an outcome fall back.
#[utoipa::path(post, path = "/v1/deliveries/{delivery}/finish", params(("delivery" = String, Path)),
    request_body = Nothing, security(("key" = [])), responses((status = 200, body = Value)))]
pub(super) async fn finish(
    State(c): C,
    who: Principal,
    key: IdempotencyKey,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { bytes, .. }: StrictJson<Nothing>,
) -> Answer {
    let id = delivery_of(&delivery)?;
    let row = has_it(&c, &who, id).await?;
    if matches!(row.value.state.phase.as_str(), "ended" | "falling_back") {
        // Every parcel has its outcome: leaving is no event any more.
        return Ok(Json(json!({
            "delivery": delivery, "state": row.value.state.phase, "end": row.value.state.end,
        }))
        .into_response());
    }
    stepped(&c, &who, key, "finish", id, &bytes, Event::StopLeft).await
}

/// Nothing goes into the car: every parcel takes its fallback.
#[utoipa::path(post, path = "/v1/deliveries/{delivery}/cancel", params(("delivery" = String, Path)),
    request_body = CancelIn, security(("key" = [])), responses((status = 200, body = Value)))]
pub(super) async fn cancel(
    State(c): C,
    who: Principal,
    key: IdempotencyKey,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { value, bytes }: StrictJson<CancelIn>,
) -> Answer {
    who.dispatch()?;
    let reason = Reason::parse(&value.reason).ok_or_else(|| wrong("the reason is not one of the known codes"))?;
    stepped(&c, &who, key, "cancel", delivery_of(&delivery)?, &bytes, Event::Stopped { reason }).await
}

/// A parcel reached its fallback.
#[utoipa::path(post, path = "/v1/deliveries/{delivery}/fallback-done", params(("delivery" = String, Path)),
    request_body = ParcelIn, security(("key" = [])), responses((status = 200, body = Value)))]
pub(super) async fn fallback_done(
    State(c): C,
    who: Principal,
    key: IdempotencyKey,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { value, bytes }: StrictJson<ParcelIn>,
) -> Answer {
    let id = delivery_of(&delivery)?;
    has_it(&c, &who, id).await?;
    let parcel = ParcelId::parse(&value.parcel).map_err(|_| wrong("a parcel's id has 22 characters"))?;
    stepped(&c, &who, key, "fallback-done", id, &bytes, Event::FallbackDone { parcel }).await
}

/// Who this carrier is.
#[utoipa::path(get, path = "/.well-known/parcelshelf", responses((status = 200, body = Value)))]
pub(super) async fn well_known(State(c): C) -> Json<Value> {
    Json(json!({
        "versions": [1],
        "role": "carrier",
        "name": c.config.name,
        "root": c.papers.root.to_string(),
        "carrier_cert": c.papers.carrier_cert,
        "gateway": c.config.gateway,
        "stop": c.config.stop_origin,
    }))
}

pub(super) fn may_see(who: &Principal, row: &Stored<DeliveryRow>) -> bool {
    match who {
        Principal::Dispatch(_) | Principal::Staff(..) => true,
        Principal::Merchant(name) => row.value.merchant == *name,
        Principal::Courier(id) => carries(*id, row),
    }
}
fn carries(courier: CourierId, row: &Stored<DeliveryRow>) -> bool {
    let id = Some(courier.to_string());
    row.value.state.courier == id || row.value.carried_by == id
}

/// A delivery; with whom it is for only where that is asked for.
pub(super) fn seen(row: &Stored<DeliveryRow>, with_person: bool) -> DeliverySeen {
    let s = &row.value.state;
    let personal = &row.value.personal;
    let labels = personal.labels.as_slice();
    let parcels = s.parcels.iter().enumerate().map(|(n, p)| ParcelSeen {
        parcel: p.parcel.clone(),
        direction: p.direction.clone(),
        state: p.state.clone(),
        reason: p.reason.clone(),
        fallback: p.fallback.clone(),
        size_mm: p.size_mm,
        tail: labels.get(n).map(|l| tail(l)).unwrap_or_default(),
    });
    DeliverySeen {
        delivery: b64(&row.id),
        shipment: row.value.shipment.clone(),
        state: s.phase.clone(),
        end: s.end.clone(),
        window: WindowOut::of(s.start_ms, s.end_ms),
        courier: s.courier.clone(),
        parcels: parcels.collect(),
        access: AccessSeen { state: row.value.access.state.clone(), reason: row.value.access.reason.clone() },
        ready: row.value.ready.as_ref().map(|r| ReadySeen { slot: r.slot.clone(), answer: r.answer.clone() }),
        consent_url: None,
        rule: rule_of(&row.value),
        recipient: with_person.then(|| RecipientSeen {
            name: personal.recipient.clone(),
            fallback_address: personal.fallback_address.clone(),
        }),
        held: row.value.hold.is_some().then_some(true),
    }
}

/// The hash of the standing rule that an acceptance names.
fn rule_of(row: &DeliveryRow) -> Option<String> {
    let jws = row.accepted.as_deref().filter(|_| row.standing)?;
    Some(parcelshelf_protocol::accepted::Accepted::peek(jws).ok()?.grant.to_string())
}

fn as_seen_by(c: &Carrier, row: &Stored<DeliveryRow>, who: &Principal) -> DeliverySeen {
    // Only dispatch's systems and the courier with the parcel need a name and an address; staff look it up, which is noted.
    let mut all = seen(row, matches!(who, Principal::Dispatch(_) | Principal::Courier(_)));
    if matches!(who, Principal::Merchant(_)) {
        // Where a car is, yes or no, is nothing for a shop.
        all.ready = None;
    }
    if !matches!(who, Principal::Dispatch(_) | Principal::Merchant(_)) {
        // Whoever carries it ships nothing.
        all.rule = None;
    }
    if row.value.state.phase == "requested" && matches!(who, Principal::Dispatch(_) | Principal::Merchant(_)) {
        all.consent_url = Some(c.consent_url(&row.value));
    }
    all
}
