//! Rows, and changes that commit with their journal entry, their jobs and the answer to an idempotency key.

use std::collections::{BTreeMap, BTreeSet};

use parcelshelf_core::id::{CourierId, DeliveryId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_delivery::delivery::{Delivery, Effect, Event, IllegalTransition};
use parcelshelf_edge::idempotency::Key;
use parcelshelf_edge::problem::Problem;
use parcelshelf_store::{Batch, CommitError, JobWrite, JournalWrite, ListQuery, Put, StoreError, Version};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Carrier;
use crate::jobs::ASK_STATUS_S;
use crate::model::{DeliveryPart, STEP_MINUTES};

pub(crate) const DELIVERIES: &str = "delivery";
pub(crate) const COURIERS: &str = "courier";
/// Deliveries at whose car something may be open.
pub(crate) const MAY_BE_OPEN: &str = "may_be_open";
/// Waits for the owner's answer.
pub(crate) const ACCEPT: &str = "accept";
/// Follows a leg.
pub(crate) const WATCH: &str = "watch";
/// Ends what was not done in its window.
pub(crate) const WINDOW: &str = "window";
/// Asks whether the car is ready.
pub(crate) const READY: &str = "ready";

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveryRow {
    pub v: u8,
    pub shipment: String,
    /// Which merchant's key posted it.
    pub merchant: String,
    pub state: DeliveryPart,
    /// Recipient, fallback address, labels.
    pub personal_sealed: String,
    pub request: String,
    /// Salt of the label hashes, base64url.
    pub salt: String,
    pub accepted: Option<String>,
    pub leg: Option<LegPart>,
    /// What the gateway said last.
    pub access: AccessPart,
    /// Whether the car is ready, as it was said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<ReadyPart>,
    /// Who has its parcels in the van, also after they had to go elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_by: Option<String>,
}

/// The answer to one question whether the car is ready. Why not, only the owner hears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadyPart {
    pub slot: String,
    pub answer: String,
}

/// A delegation that was signed: stored before it is sent, and sent again in the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LegPart {
    pub jws: String,
    /// The gateway has it.
    pub posted: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessPart {
    pub seq: u64,
    pub state: String,
    pub reason: Option<String>,
}

/// A courier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CourierRow {
    pub v: u8,
    pub name_sealed: String,
    /// SHA-256 of the courier's token, base64url.
    pub token: String,
    /// Thumbprint of the device that a depot has certified.
    pub device: Option<String>,
    /// Since when on shift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift_ms: Option<i64>,
    /// Stops besides cars, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stops_sealed: Option<String>,
}
impl CourierRow {
    pub fn index(&self) -> Index {
        Index::from([("token".to_owned(), parcelshelf_protocol::encoding::from_b64(&self.token).unwrap_or_default())])
    }
}

/// What is sealed of a delivery.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Personal {
    pub recipient: String,
    pub fallback_address: String,
    /// In the order of the parcels.
    pub labels: Vec<String>,
}

/// A row as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Stored<T> {
    pub id: Vec<u8>,
    pub version: Version,
    pub value: T,
}

/// Why a change did not happen.
#[derive(Debug)]
pub(crate) enum Failure {
    Problem(Problem),
    /// Somebody else was first: read and decide again.
    Conflict,
}
impl From<Problem> for Failure {
    fn from(p: Problem) -> Self {
        Self::Problem(p)
    }
}
impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        Self::Problem(Problem::store(&e))
    }
}
impl From<CommitError> for Failure {
    fn from(e: CommitError) -> Self {
        match e {
            CommitError::Conflict(_) | CommitError::Replayed(_) => Self::Conflict,
            CommitError::Store(e) => e.into(),
            other @ CommitError::TooLarge(_) => Self::Problem(Problem::internal(&other)),
        }
    }
}
impl From<IllegalTransition> for Failure {
    fn from(e: IllegalTransition) -> Self {
        Self::Problem(Problem::new(409, e.code(), "this does not fit the delivery's state").detail(e.to_string()))
    }
}

/// Decides again after conflicts, a few times.
macro_rules! again {
    ($attempt:expr) => {{
        let mut tries = 0;
        loop {
            match $attempt.await {
                Ok(done) => break Ok(done),
                Err($crate::db::Failure::Problem(problem)) => break Err(problem),
                Err($crate::db::Failure::Conflict) if tries < 12 => tries += 1,
                Err($crate::db::Failure::Conflict) => {
                    break Err(parcelshelf_edge::problem::Problem::unavailable("busy", "too many at once here", 1));
                }
            }
        }
    }};
}
pub(crate) use again;

pub(crate) fn broken(what: &'static str) -> Failure {
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Broken(&'static str);
    Failure::Problem(Problem::internal(&Broken(what)))
}

pub(crate) fn no_delivery() -> Problem {
    Problem::new(404, "delivery_unknown", "there is no such delivery")
}

impl Carrier {
    /// Now, as it may be kept.
    pub(crate) fn kept_now(&self) -> Timestamp {
        self.host.now().rounded_down_to_minutes(STEP_MINUTES)
    }

    pub(crate) async fn row<T: for<'de> Deserialize<'de>>(
        &self,
        table: &str,
        id: &[u8],
    ) -> Result<Option<Stored<T>>, Failure> {
        let Some(row) = self.engine.get(table, id).await? else { return Ok(None) };
        let version = row.expected();
        let value = serde_json::from_slice(&row.state).map_err(|_| broken("a row is not what this version writes"))?;
        Ok(Some(Stored { id: row.id, version, value }))
    }
    pub(crate) async fn rows<T: for<'de> Deserialize<'de>>(
        &self,
        query: ListQuery,
    ) -> Result<(Vec<Stored<T>>, Option<Vec<u8>>), Failure> {
        let page = self.engine.list(query).await?;
        let read = |row: parcelshelf_store::Row| {
            let version = row.expected();
            let value =
                serde_json::from_slice(&row.state).map_err(|_| broken("a row is not what this version writes"))?;
            Ok(Stored { id: row.id, version, value })
        };
        let rows = page.rows.into_iter().map(read).collect::<Result<_, Failure>>()?;
        Ok((rows, page.next))
    }

    pub(crate) async fn delivery(&self, id: DeliveryId) -> Result<Stored<DeliveryRow>, Failure> {
        Ok(self.row(DELIVERIES, id.as_bytes()).await?.ok_or_else(no_delivery)?)
    }
    pub(crate) async fn courier(&self, id: CourierId) -> Result<Stored<CourierRow>, Failure> {
        let none = || Problem::new(404, "courier_unknown", "there is no such courier");
        Ok(self.row(COURIERS, id.as_bytes()).await?.ok_or_else(none)?)
    }
    pub(crate) fn personal(&self, stored: &Stored<DeliveryRow>) -> Result<Personal, Failure> {
        let content = self.vault.open(&stored.id, &stored.value.personal_sealed);
        content
            .and_then(|c| serde_json::from_slice(&c).ok())
            .ok_or_else(|| broken("what is sealed of a delivery cannot be read"))
    }
}

/// Everything that one step changes.
pub(crate) struct Change<'a> {
    carrier: &'a Carrier,
    pub batch: Batch,
}

impl<'a> Change<'a> {
    pub fn new(carrier: &'a Carrier) -> Self {
        Self { carrier, batch: Batch { at: Some(carrier.kept_now()), ..Batch::default() } }
    }
    pub fn put<T: Serialize>(&mut self, table: &str, id: &[u8], expected: Version, value: &T, index: Index) {
        // Rows are texts, numbers and lists of them, which JSON can write.
        let state = serde_json::to_vec(value).expect("rows are plain data");
        self.batch.puts.push(Put { table: table.to_owned(), id: id.to_vec(), expected, state, index });
    }
    /// Codes and ids only.
    pub fn journal(&mut self, table: &str, id: &[u8], kind: &str, event: &Value) {
        let (table, kind) = (table.to_owned(), kind.to_owned());
        self.batch.journal.push(JournalWrite { table, id: id.to_vec(), kind, event: event.to_string().into_bytes() });
    }
    pub fn delivery(&mut self, stored: &Stored<DeliveryRow>) {
        let index = delivery_index(&stored.value);
        self.put(DELIVERIES, &stored.id, stored.version, &stored.value, index);
    }
    pub fn job(&mut self, queue: &str, id: &[u8], run_at: Timestamp) {
        self.batch.jobs.push(JobWrite { queue: queue.to_owned(), id: id.to_vec(), run_at, payload: Vec::new() });
    }
    pub fn job_done(&mut self, queue: &str, id: &[u8]) {
        self.batch.jobs_done.push((queue.to_owned(), id.to_vec()));
    }
    /// The answer that a repeated request gets.
    pub fn answer(&mut self, key: Option<&Key>, status: u16, body: &Value) {
        let at = self.carrier.kept_now();
        self.batch.answer = key.map(|k| k.answer(status, body.to_string().into_bytes(), at));
    }
    pub async fn commit(self) -> Result<(), Failure> {
        let queues: BTreeSet<String> = self.batch.jobs.iter().map(|j| j.queue.clone()).collect();
        self.carrier.engine.commit(self.batch).await?;
        for queue in queues {
            self.carrier.bells.ring(&queue);
        }
        Ok(())
    }
}

pub(crate) type Index = BTreeMap<String, Vec<u8>>;

pub(crate) fn delivery_index(row: &DeliveryRow) -> Index {
    let shipment = parcelshelf_core::id::ShipmentId::parse(&row.shipment).map(|s| s.as_bytes().to_vec());
    let mut index = Index::from([
        ("state".to_owned(), row.state.phase.clone().into_bytes()),
        ("shipment".to_owned(), shipment.unwrap_or_default()),
    ]);
    if let Some(courier) = row.carried_by.as_deref().and_then(|c| CourierId::parse(c).ok()) {
        index.insert("carried_by".to_owned(), courier.as_bytes().to_vec());
    }
    if crate::board::may_be_open(&row.access.state) {
        index.insert(MAY_BE_OPEN.to_owned(), vec![1]);
    }
    index
}

/// Applies one event to a delivery's row, with its journal entry and jobs. What the effects ask for from outside (posting
/// a delegation) is the caller's, after the commit.
pub(crate) fn apply(
    change: &mut Change<'_>,
    stored: &mut Stored<DeliveryRow>,
    event: Event,
    now: Timestamp,
) -> Result<Vec<Effect>, Failure> {
    let id =
        DeliveryId::from_bytes(stored.id.clone().try_into().map_err(|_| broken("a delivery's id has not 16 bytes"))?);
    let machine: Delivery = stored.value.state.machine(id).ok_or_else(|| broken("a delivery's row is impossible"))?;
    let (machine, effects) = machine.handle(event, now)?;
    stored.value.state.update(machine);
    stored.value.carried_by = match event {
        // Somebody else's, or nobody's any more.
        Event::Unloaded => None,
        _ if stored.value.state.phase == "ended" => None,
        _ => stored.value.state.courier.clone().or_else(|| stored.value.carried_by.take()),
    };
    for effect in &effects {
        match effect {
            Effect::WatchWindow { until } => change.job(WINDOW, &stored.id, *until),
            // Whoever signed the delegation hands it in now; the job is there in case that was cut off.
            Effect::PostDelegation { .. } => {
                let in_case = now.rounded_down_to_minutes(STEP_MINUTES).plus_seconds(ASK_STATUS_S);
                change.job(WATCH, &stored.id, in_case);
                // The courier sets out: the last question.
                change.job(READY, &stored.id, now.rounded_down_to_minutes(STEP_MINUTES));
            }
            Effect::StopWatching => stored.value.leg = None,
            Effect::End(_) => {
                stored.value.leg = None;
                change.job_done(WINDOW, &stored.id);
                change.job_done(READY, &stored.id);
            }
            Effect::Notify(_) | Effect::PlanFallback { .. } => {}
        }
    }
    change.journal(DELIVERIES, &stored.id, event.code(), &serde_json::json!({}));
    Ok(effects)
}
