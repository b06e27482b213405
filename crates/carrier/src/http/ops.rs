//! What dispatch looks at and does. Nothing here knows a place; nothing here opens.
//!
//! Whom a parcel is for is looked up one by one, with a reason, and every look is a journal entry that staff cannot
//! remove and a lead can read.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use parcelshelf_core::id::{CourierId, DeliveryId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_delivery::delivery::Event;
use parcelshelf_edge::json::{StrictJson, StrictPath, StrictQuery};
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::b64;
use parcelshelf_store::{ListQuery, Version};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::auth::{Principal, problem};
use super::bodies::{CourierIn, DeliverySeen, RecipientSeen};
use super::courier::courier_of;
use super::routes::{delivery_of, seen};
use crate::Carrier;
use crate::board::{self, Seen, Why};
use crate::db::{
    ACKNOWLEDGED, AcknowledgedRow, COURIERS, Change, CourierRow, DELIVERIES, DeliveryRow, Failure, Index, MAY_BE_OPEN,
    Stored, SwitchRow, again, apply,
};
use crate::people::{StaffId, StaffRole};

/// Deliveries of one state on a board.
const PER_STATE: u32 = 500;
const COURIERS_MAX: u32 = 500;
const SWITCH: &str = "switch";
const CARS: &[u8] = b"cars";
/// Everybody's looks at personal data, in one journal.
const LOOKS: &str = "look";
const ALL: &[u8] = b"all";
/// What is not over.
const OPEN_STATES: [&str; 6] = ["requested", "accepted", "loaded", "leg", "at_stop", "falling_back"];

type C = State<Arc<Carrier>>;
type Answer = Result<Response, Problem>;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BoardOut {
    now: String,
    deliveries: Vec<DeliverySeen>,
    exceptions: Vec<ExceptionOut>,
    couriers: Vec<CourierLine>,
    /// Empty where the gateway does not answer.
    makers: Vec<MakerLine>,
    gateway_answers: bool,
    cars_on_hold: Option<HoldOut>,
    /// There are more than these.
    more: bool,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExceptionOut {
    /// `lid`, `no_next_step`, `window_at_risk`, `not_ready`, `silent_courier`.
    kind: &'static str,
    delivery: Option<String>,
    courier: Option<String>,
    /// What the gateway said last, for a lid.
    access: Option<String>,
    since: Option<String>,
    /// Send it back when acknowledging.
    seq: Option<u64>,
    acknowledged: Option<AcknowledgedOut>,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AcknowledgedOut {
    by: String,
    at: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CourierLine {
    courier: String,
    name: String,
    on_shift: bool,
    device: bool,
    parcels_under_way: usize,
    /// Seconds since the page or phone was heard; unknown after a start.
    heard_s_ago: Option<i64>,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MakerLine {
    maker: String,
    /// `up` or `down`.
    state: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HoldOut {
    by: String,
    since: String,
}
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcknowledgeIn {
    seq: u64,
}
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldIn {
    on: bool,
}
/// Why somebody looks up whom a parcel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LookReason {
    Fallback,
    CallRecipient,
    Complaint,
    Claim,
}
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookIn {
    reason: LookReason,
}
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct After {
    #[serde(default)]
    after: u64,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LooksOut {
    looks: Vec<LookOut>,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LookOut {
    seq: u64,
    at: String,
    by: String,
    delivery: String,
    reason: String,
}

/// Everything that is under way, and what needs a person.
#[utoipa::path(get, path = "/v1/ops/board", security(("key" = [])), responses((status = 200, body = BoardOut)))]
pub(crate) async fn board(State(c): C, who: Principal) -> Answer {
    who.reads()?;
    Ok(Json(c.board().await.map_err(problem)?).into_response())
}

impl Carrier {
    async fn board(&self) -> Result<BoardOut, Failure> {
        let now = self.host.now();
        let (mut rows, mut more) = (Vec::new(), false);
        for state in OPEN_STATES {
            let (page, next) = self.rows::<DeliveryRow>(by_state(state)).await?;
            rows.extend(page);
            more |= next.is_some();
        }
        // What is over for the carrier may still stand open at the car.
        let mut open = ListQuery { index: MAY_BE_OPEN.to_owned(), prefix: vec![1], ..by_state("") };
        loop {
            let (page, next) = self.rows::<DeliveryRow>(open.clone()).await?;
            rows.extend(page.into_iter().filter(|r| r.value.state.phase == "ended"));
            // All of it, however much there is: whoever stands in no list here is looked after by nobody.
            let Some(next) = next else { break };
            open.cursor = Some(next);
        }
        let mut exceptions = Vec::new();
        for row in &rows {
            exceptions.extend(self.exceptions_of(row, now).await?);
        }
        let couriers = self.courier_lines(&rows, now).await?;
        for line in &couriers {
            let Ok(id) = CourierId::parse(&line.courier) else { continue };
            let heard = self.live.heard(id);
            if board::is_silent(line.parcels_under_way > 0, heard, now) {
                exceptions.push(ExceptionOut::of(Why::SilentCourier, None, Some(line.courier.clone()), heard));
            }
        }
        let health = self.makers(now).await;
        Ok(BoardOut {
            now: now.to_rfc3339(),
            deliveries: rows.iter().map(|r| seen(r, false)).collect(),
            exceptions,
            couriers,
            gateway_answers: health.is_some(),
            makers: health.unwrap_or_default(),
            cars_on_hold: match self.car_switch().await? {
                Some(row) if row.value.on => Some(self.switch_out(&row.value).await?),
                _ => None,
            },
            more,
        })
    }

    async fn exceptions_of(&self, row: &Stored<DeliveryRow>, now: Timestamp) -> Result<Vec<ExceptionOut>, Failure> {
        let Ok(id) = <[u8; 16]>::try_from(row.id.as_slice()).map(DeliveryId::from_bytes) else { return Ok(Vec::new()) };
        let (state, access) = (&row.value.state, &row.value.access);
        let facts = Seen {
            phase: &state.phase,
            access: &access.state,
            access_since: self.live.since(id, access.seq),
            access_ends: state.access_end_ms.map(Timestamp::from_unix_millis),
            carried: row.value.carried_by.is_some(),
            ready: row.value.ready.as_ref().map(|r| r.answer.as_str()),
        };
        let mut all = Vec::new();
        for (why, since) in board::of_delivery(&facts, now) {
            let mut exception = ExceptionOut::of(why, Some(id.to_string()), row.value.carried_by.clone(), since);
            if why == Why::Lid {
                exception.access = Some(access.state.clone());
                exception.seq = Some(access.seq);
                exception.acknowledged = self.acknowledged(id, access.seq).await?;
            }
            all.push(exception);
        }
        Ok(all)
    }

    async fn acknowledged(&self, id: DeliveryId, seq: u64) -> Result<Option<AcknowledgedOut>, Failure> {
        let row = self.row::<AcknowledgedRow>(ACKNOWLEDGED, id.as_bytes()).await?.filter(|r| r.value.seq == seq);
        let Some(row) = row else { return Ok(None) };
        let at = Timestamp::from_unix_millis(row.value.at_ms).to_rfc3339();
        Ok(Some(AcknowledgedOut { by: self.staff_name(&row.value.staff).await?, at }))
    }

    async fn staff_name(&self, id: &str) -> Result<String, Failure> {
        let Some(id) = StaffId::parse(id) else { return Ok(id.to_owned()) };
        // Also of somebody who has left.
        let row = self.row::<crate::db::StaffRow>(crate::people::STAFF, id.as_bytes()).await?;
        Ok(row.map_or_else(|| id.to_string(), |r| r.value.name))
    }

    async fn courier_lines(&self, rows: &[Stored<DeliveryRow>], now: Timestamp) -> Result<Vec<CourierLine>, Failure> {
        let query = ListQuery {
            table: COURIERS.to_owned(),
            index: String::new(),
            prefix: Vec::new(),
            cursor: None,
            limit: COURIERS_MAX,
        };
        let mut under_way: BTreeMap<&str, usize> = BTreeMap::new();
        for row in rows.iter().filter(|r| matches!(r.value.state.phase.as_str(), "leg" | "at_stop")) {
            *under_way.entry(row.value.carried_by.as_deref().unwrap_or_default()).or_default() +=
                row.value.state.parcels.len();
        }
        let line = |stored: &Stored<CourierRow>| {
            let courier = b64(&stored.id);
            let heard = CourierId::parse(&courier).ok().and_then(|id| self.live.heard(id));
            CourierLine {
                name: stored.value.name.clone(),
                on_shift: stored.value.shift_ms.is_some(),
                device: stored.value.device.is_some(),
                parcels_under_way: under_way.get(courier.as_str()).copied().unwrap_or(0),
                heard_s_ago: heard.map(|at| now.millis_since(at) / 1_000),
                courier,
            }
        };
        Ok(self.rows::<CourierRow>(query).await?.0.iter().map(line).collect())
    }

    /// What the gateway says of the makers' clouds; asked for at most every quarter of a minute.
    async fn makers(&self, now: Timestamp) -> Option<Vec<MakerLine>> {
        let said = match self.live.health(now) {
            Some(kept) => kept,
            None => {
                let asked = self.ask_makers().await;
                self.live.keep_health(asked.clone(), now);
                asked
            }
        };
        let lines = said?["makers"].as_array().cloned().unwrap_or_default();
        let line = |m: &Value| {
            Some(MakerLine {
                maker: m["maker"].as_str()?.chars().take(40).collect(),
                state: if m["down"] == json!(true) { "down" } else { "up" }.to_owned(),
            })
        };
        Some(lines.iter().filter_map(line).collect())
    }

    pub(crate) async fn car_switch(&self) -> Result<Option<Stored<SwitchRow>>, Failure> {
        self.row(SWITCH, CARS).await
    }
    async fn switch_out(&self, row: &SwitchRow) -> Result<HoldOut, Failure> {
        let since = Timestamp::from_unix_millis(row.at_ms).to_rfc3339();
        Ok(HoldOut { by: self.staff_name(&row.staff).await?, since })
    }
    async fn set_car_switch(&self, on: bool, staff: StaffId) -> Result<(), Failure> {
        let version = self.car_switch().await?.map_or(Version::Absent, |s| s.version);
        let row = SwitchRow { v: 1, on, staff: staff.to_string(), at_ms: self.kept_now().unix_millis() };
        let mut change = Change::new(self);
        change.put(SWITCH, CARS, version, &row, Index::new());
        change.journal(SWITCH, CARS, if on { "cars_held" } else { "cars_resumed" }, &json!({"by": staff.to_string()}));
        change.commit().await
    }

    async fn acknowledge(&self, id: DeliveryId, seq: u64, staff: StaffId) -> Result<(), Failure> {
        let delivery = self.delivery(id).await?;
        if delivery.value.access.seq != seq {
            return Err(Problem::new(409, "moved_on", "the gateway has said something new; look again").into());
        }
        let before = self.row::<AcknowledgedRow>(ACKNOWLEDGED, id.as_bytes()).await?;
        let row = AcknowledgedRow { v: 1, seq, staff: staff.to_string(), at_ms: self.kept_now().unix_millis() };
        let mut change = Change::new(self);
        let version = before.map_or(Version::Absent, |s| s.version);
        change.put(ACKNOWLEDGED, id.as_bytes(), version, &row, Index::new());
        change.journal(DELIVERIES, id.as_bytes(), "acknowledged", &json!({"by": staff.to_string()}));
        change.commit().await
    }

    async fn reassign(&self, id: DeliveryId, to: CourierId, by: &str) -> Result<(), Failure> {
        let mut stored = self.delivery(id).await?;
        let now = self.host.now();
        let mut change = Change::new(self);
        self.goes_to(&mut change, to).await?;
        // Off the van it is on, whether its courier has set out or not; then onto the other.
        if stored.value.state.courier.as_deref() != Some(to.to_string().as_str())
            && stored.value.state.courier.is_some()
        {
            apply(&mut change, &mut stored, Event::Unloaded, now)?;
        }
        apply(&mut change, &mut stored, Event::Loaded { courier: to }, now)?;
        change.delivery(&stored);
        change.journal(DELIVERIES, &stored.id, "reassigned", &json!({ "by": by }));
        change.commit().await
    }

    /// Taking out everything is a look at a person, too.
    pub(super) async fn note_export(&self, stored: &Stored<DeliveryRow>, who: &Principal) -> Result<(), Failure> {
        let mut change = Change::new(self);
        if let Principal::Staff(staff, _) = who {
            note_look(&mut change, &stored.id, *staff, &json!("export"));
        }
        change.journal(DELIVERIES, &stored.id, "exported", &json!({"by": who.name()}));
        change.commit().await
    }

    async fn look_up(&self, id: DeliveryId, reason: LookReason, staff: StaffId) -> Result<RecipientSeen, Failure> {
        let stored = self.delivery(id).await?;
        let personal = stored.value.personal.clone();
        let mut change = Change::new(self);
        // First noted, then shown.
        note_look(&mut change, &stored.id, staff, &json!(reason));
        change.journal(
            DELIVERIES,
            &stored.id,
            "recipient_looked_up",
            &json!({"by": staff.to_string(), "reason": reason}),
        );
        change.commit().await?;
        Ok(RecipientSeen { name: personal.recipient, fallback_address: personal.fallback_address })
    }
}

/// One entry of the journal that leads read.
fn note_look(change: &mut Change<'_>, delivery: &[u8], staff: StaffId, reason: &Value) {
    let event = json!({"by": staff.to_string(), "delivery": b64(delivery), "reason": reason});
    change.journal(LOOKS, ALL, "recipient", &event);
}

impl ExceptionOut {
    fn of(why: Why, delivery: Option<String>, courier: Option<String>, since: Option<Timestamp>) -> Self {
        Self {
            kind: why.code(),
            delivery,
            courier,
            access: None,
            since: since.map(|t| t.to_rfc3339()),
            seq: None,
            acknowledged: None,
        }
    }
}

fn by_state(state: &str) -> ListQuery {
    ListQuery {
        table: DELIVERIES.to_owned(),
        index: "state".to_owned(),
        prefix: state.as_bytes().to_vec(),
        cursor: None,
        limit: PER_STATE,
    }
}

/// Takes care, by name, of what may be open at a car.
#[utoipa::path(post, path = "/v1/ops/deliveries/{delivery}/acknowledge", params(("delivery" = String, Path)),
    request_body = AcknowledgeIn, security(("key" = [])), responses((status = 204)))]
pub(crate) async fn acknowledge(
    State(c): C,
    who: Principal,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { value, .. }: StrictJson<AcknowledgeIn>,
) -> Answer {
    let staff = who.person(StaffRole::Dispatcher)?;
    let id = delivery_of(&delivery)?;
    again!(c.acknowledge(id, value.seq, staff))?;
    Ok(axum::http::StatusCode::NO_CONTENT.into_response())
}

/// Gives a delivery to another courier, also when the first has set out.
#[utoipa::path(post, path = "/v1/ops/deliveries/{delivery}/reassign", params(("delivery" = String, Path)),
    request_body = CourierIn, security(("key" = [])), responses((status = 200, body = DeliverySeen)))]
pub(crate) async fn reassign(
    State(c): C,
    who: Principal,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { value, .. }: StrictJson<CourierIn>,
) -> Answer {
    who.dispatch()?;
    let (id, to) = (delivery_of(&delivery)?, courier_of(&value.courier)?);
    c.courier(to).await.map_err(problem)?;
    again!(c.reassign(id, to, &who.name()))?;
    let row = c.delivery(id).await.map_err(problem)?;
    Ok(Json(seen(&row, false)).into_response())
}

/// Whom a parcel is for. The look is noted before it is answered.
#[utoipa::path(post, path = "/v1/ops/deliveries/{delivery}/recipient", params(("delivery" = String, Path)),
    request_body = LookIn, security(("key" = [])), responses((status = 200, body = RecipientSeen)))]
pub(crate) async fn recipient(
    State(c): C,
    who: Principal,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { value, .. }: StrictJson<LookIn>,
) -> Answer {
    let staff = who.person(StaffRole::Dispatcher)?;
    let id = delivery_of(&delivery)?;
    Ok(Json(c.look_up(id, value.reason, staff).await.map_err(problem)?).into_response())
}

/// Who looked up whom, and why.
#[utoipa::path(get, path = "/v1/ops/looks", params(After), security(("key" = [])), responses((status = 200, body = LooksOut)))]
pub(crate) async fn looks(State(c): C, who: Principal, StrictQuery(query): StrictQuery<After>) -> Answer {
    who.at_least(StaffRole::Lead)?;
    let entries = c.engine.journal(LOOKS, ALL, query.after, 200).await.map_err(|e| Problem::store(&e))?;
    let mut looks = Vec::new();
    for entry in entries {
        let event: Value = serde_json::from_slice(&entry.event).unwrap_or_default();
        let text = |member: &str| event[member].as_str().unwrap_or_default().to_owned();
        looks.push(LookOut {
            seq: entry.seq,
            at: entry.at.to_rfc3339(),
            by: c.staff_name(&text("by")).await.map_err(problem)?,
            delivery: text("delivery"),
            reason: text("reason"),
        });
    }
    Ok(Json(LooksOut { looks }).into_response())
}

/// Stops that couriers set out to cars, or lets them again. What is under way goes on, and so does every lock.
#[utoipa::path(post, path = "/v1/ops/hold", request_body = HoldIn, security(("key" = [])), responses((status = 204)))]
pub(crate) async fn hold(State(c): C, who: Principal, StrictJson { value, .. }: StrictJson<HoldIn>) -> Answer {
    let staff = who.person(StaffRole::Dispatcher)?;
    again!(c.set_car_switch(value.on, staff))?;
    Ok(axum::http::StatusCode::NO_CONTENT.into_response())
}
