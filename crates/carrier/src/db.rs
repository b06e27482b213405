//! Rows, and changes that commit with their journal entry, their jobs and the answer to an idempotency key.
//!
//! A delivery's row and a courier's row are sealed as a whole under a data key of their own, and so is every answer that is
//! kept for a repeated request: whoever destroys the key has erased them, in every copy. What stays readable are random ids,
//! the state and the shipment by which rows are found, and the journal of codes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use parcelshelf_core::id::{CourierId, DeliveryId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_delivery::delivery::{Delivery, Effect, Event, IllegalTransition};
use parcelshelf_edge::idempotency::Key;
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::{b64, from_b64};
use parcelshelf_store::{Batch, Check, CommitError, JobWrite, JournalWrite, ListQuery, Put, StoreError, Version};
use parcelshelf_vault::{Row as Sealed, VaultError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Carrier;
use crate::http::courier::{DoorIn, DoorState};
use crate::jobs::ASK_STATUS_S;
use crate::model::{DeliveryPart, STEP_MINUTES};
use crate::people::{STAFF, StaffRole};

pub(crate) const DELIVERIES: &str = "delivery";
pub(crate) const COURIERS: &str = "courier";
/// Who has taken care of what may be open at a car; by the delivery.
pub(crate) const ACKNOWLEDGED: &str = "acknowledged";
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
/// Erases what is past its deadline.
pub(crate) const ERASE: &str = "erase";
/// Tells the merchant.
pub(crate) const HOOK: &str = "hook";
/// What answers are sealed as.
const ANSWER: &str = "answer";

/// Whose data key seals a row; `None`: nothing in it is about a person.
pub(crate) fn owner(table: &str, id: &[u8]) -> Option<String> {
    matches!(table, DELIVERIES | COURIERS | STAFF).then(|| format!("{table}/{}", b64(id)))
}

macro_rules! rows {
    ($($(#[$doc:meta])+ $name:ident in $table:literal
        { $($(#[$fdoc:meta])* $field:ident: $ty:ty),+ $(,)? })+) => {$(
        $(#[$doc])+
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name { pub v: u8, $($(#[$fdoc])* pub $field: $ty),+ }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    )+
    /// Every table with its fields: what docs/retention.md must explain.
    pub(crate) const TABLES: &[(&str, &[&str])] = &[$(($table, &[$(stringify!($field)),+])),+];};
}

rows! {
    /// A delivery.
    DeliveryRow in "delivery" {
        shipment: String,
        /// Which merchant's key posted it.
        merchant: String,
        state: DeliveryPart,
        personal: Personal,
        request: String,
        /// Salt of the label hashes, base64url.
        salt: String,
        accepted: Option<String>,
        leg: Option<LegPart>,
        /// What the gateway said last.
        access: AccessPart,
        /// Whether the car is ready, as it was said last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ready: Option<ReadyPart>,
        /// Nothing of it is erased while this stands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hold: Option<HoldPart>,
        /// It is being erased: what comes now comes too late.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        erasing: bool,
        /// Who has its parcels in the van, also after they had to go elsewhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        carried_by: Option<String>,
        /// The standing rule under which it is still to be announced.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        announce: Option<String>,
        /// The owner's answer is a standing rule: what comes later can be announced under it.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        standing: bool,
        /// What the merchant was told by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hook: Option<HookPart>,
    }
    /// A courier.
    CourierRow in "courier" {
        name: String,
        /// SHA-256 of the courier's token, base64url.
        token: String,
        /// Thumbprint of the device that a depot has certified.
        device: Option<String>,
        /// Since when on shift.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shift_ms: Option<i64>,
        /// The route: cars by their deliveries, and other stops.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        stops: Vec<StopPart>,
        /// Is being erased: nothing is given to them any more.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        erasing: bool,
    }
    /// Somebody of the staff.
    StaffRow in "staff" {
        name: String,
        role: StaffRole,
        /// SHA-256 of an invitation that is open, base64url.
        invitation: Option<String>,
        invited_until_ms: i64,
        credential: Option<String>,
        jwk: Option<String>,
        removed: bool,
    }
    /// A session of a courier or of staff; the id is the hash of its token.
    SessionRow in "session" {
        courier: Option<String>,
        staff: Option<String>,
        /// What the person logged in with: when that is replaced, the session is over.
        with: String,
        expires_ms: i64,
    }
    /// Who has taken care of what may be open at a car; the id is the delivery's.
    AcknowledgedRow in "acknowledged" {
        /// Of what the gateway said; what it says next wants a person again.
        seq: u64,
        staff: String,
        at_ms: i64,
    }
    /// Whether couriers set out to cars.
    SwitchRow in "switch" {
        on: bool,
        staff: String,
        at_ms: i64,
    }
    /// The keyholder's published keys; the id is `keyholder`.
    KeysRow in "keys" {
        jws: String,
        /// The log key that was seen first, which everything later must name.
        log: String,
    }
}

impl CourierRow {
    pub fn index(&self) -> Index {
        Index::from([("token".to_owned(), from_b64(&self.token).unwrap_or_default())])
    }
}

/// One stop of a courier's route, as it is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopPart {
    pub id: String,
    pub delivery: Option<String>,
    pub door: Option<DoorIn>,
    pub state: DoorState,
}
impl fmt::Debug for StopPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StopPart(<redacted>)")
    }
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldPart {
    /// Rounded.
    pub since_ms: i64,
    /// Which key put it on.
    pub by: String,
}

/// What a merchant's endpoint has taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HookPart {
    pub told: Option<String>,
    /// In vain, for what is newer than `told`.
    pub tries: u32,
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

/// Who gets it, and where it goes if not into the car.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Personal {
    pub recipient: String,
    pub fallback_address: String,
    /// In the order of the parcels.
    pub labels: Vec<String>,
}
impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Personal(<redacted>)")
    }
}

/// A row as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Stored<T> {
    pub id: Vec<u8>,
    pub version: Version,
    pub value: T,
}

impl Stored<DeliveryRow> {
    /// A row whose version must still hold.
    pub fn check(&self) -> Check {
        Check { table: DELIVERIES.to_owned(), id: self.id.clone(), version: self.version }
    }
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
impl From<VaultError> for Failure {
    fn from(e: VaultError) -> Self {
        match e {
            VaultError::Erased => Self::Problem(erased()),
            VaultError::Store(e) => e.into(),
            other @ VaultError::Kms(_) => Self::Problem(Problem::internal(&other)),
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

pub(crate) fn erased() -> Problem {
    Problem::new(410, "erased", "this was erased").detail("nothing more is kept of it, and nothing can be added")
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
        match self.engine.get(table, id).await? {
            Some(row) => self.read(table, row).await,
            None => Ok(None),
        }
    }
    /// `None` for a row whose key is gone: it was erased, and this is an old copy of it.
    async fn read<T: for<'de> Deserialize<'de>>(
        &self,
        table: &str,
        row: parcelshelf_store::Row,
    ) -> Result<Option<Stored<T>>, Failure> {
        let version = row.expected();
        let content = match self.vault.open_row(table, &row.id, &row.state).await? {
            Sealed::Open(content) => content,
            Sealed::Erased => return Ok(None),
            Sealed::Broken => return Err(broken("a row cannot be opened")),
        };
        let value = serde_json::from_slice(&content).map_err(|_| broken("a row is not what this version writes"))?;
        Ok(Some(Stored { id: row.id, version, value }))
    }
    pub(crate) async fn rows<T: for<'de> Deserialize<'de>>(
        &self,
        query: ListQuery,
    ) -> Result<(Vec<Stored<T>>, Option<Vec<u8>>), Failure> {
        let table = query.table.clone();
        let page = self.engine.list(query).await?;
        let mut rows = Vec::with_capacity(page.rows.len());
        for row in page.rows {
            rows.extend(self.read(&table, row).await?);
        }
        Ok((rows, page.next))
    }

    /// The answer that a repeated request got before.
    pub(crate) async fn earlier(&self, key: &Key) -> Result<Option<axum::response::Response>, Problem> {
        let Some(mut stored) = key.stored(&*self.engine).await? else { return Ok(None) };
        let opened = self.vault.open_row(ANSWER, &key.name(), &stored.body).await;
        match opened.map_err(|e| Problem::internal(&e))? {
            Sealed::Open(body) => stored.body = body.to_vec(),
            Sealed::Erased => return Err(erased()),
            Sealed::Broken => return Err(Problem::unavailable("store_unavailable", "an answer cannot be read", 60)),
        }
        key.replay(stored).map(Some)
    }

    pub(crate) async fn delivery(&self, id: DeliveryId) -> Result<Stored<DeliveryRow>, Failure> {
        Ok(self.row(DELIVERIES, id.as_bytes()).await?.ok_or_else(no_delivery)?)
    }
    pub(crate) async fn courier(&self, id: CourierId) -> Result<Stored<CourierRow>, Failure> {
        let none = || Problem::new(404, "courier_unknown", "there is no such courier");
        Ok(self.row(COURIERS, id.as_bytes()).await?.ok_or_else(none)?)
    }
}

impl Carrier {
    /// What goes on somebody's van goes with the version of who that is: nobody is erased with a parcel in their hands.
    pub(crate) async fn goes_to(&self, change: &mut Change<'_>, courier: CourierId) -> Result<(), Failure> {
        let stored = self.courier(courier).await?;
        if stored.value.erasing {
            return Err(Problem::new(409, "courier_leaves", "this courier is being erased").into());
        }
        change.batch.checks.push(Check { table: COURIERS.to_owned(), id: stored.id, version: stored.version });
        Ok(())
    }
}

/// Everything that one step changes.
pub(crate) struct Change<'a> {
    carrier: &'a Carrier,
    pub batch: Batch,
    /// Whose data key seals the answer.
    answer_of: Option<(String, Vec<u8>)>,
}

impl<'a> Change<'a> {
    pub fn new(carrier: &'a Carrier) -> Self {
        Self { carrier, batch: Batch { at: Some(carrier.kept_now()), ..Batch::default() }, answer_of: None }
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
    /// The answer that a repeated request gets; `of`: whose it is, so that it is erased with it.
    pub fn answer(&mut self, key: Option<&Key>, of: (&str, &[u8]), status: u16, body: &Value) {
        let at = self.carrier.kept_now();
        self.batch.answer = key.map(|k| k.answer(status, body.to_string().into_bytes(), at));
        self.answer_of = key.and_then(|k| Some((owner(of.0, of.1)?, k.name())));
    }
    /// What is written so far, sealed for whom it is about.
    async fn seal(&mut self) -> Result<(), Failure> {
        let vault = &self.carrier.vault;
        for put in &mut self.batch.puts {
            if let Some(owner) = owner(&put.table, &put.id) {
                put.state = vault.seal_row(&owner, &put.table, &put.id, &put.state).await?;
            }
        }
        if let (Some(answer), Some((owner, name))) = (&mut self.batch.answer, &self.answer_of) {
            answer.answer.body = vault.seal_row(owner, ANSWER, name, &answer.answer.body).await?;
        }
        Ok(())
    }
    pub async fn commit(mut self) -> Result<(), Failure> {
        self.seal().await?;
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
                let deadline = change.carrier.config.retention.after_end(change.carrier.kept_now());
                change.job(ERASE, &stored.id, deadline);
            }
            Effect::PlanFallback { .. } => {}
        }
    }
    change.journal(DELIVERIES, &stored.id, event.code(), &serde_json::json!({}));
    change.carrier.plan_to_tell(change, &stored.id, &stored.value, now);
    Ok(effects)
}
