//! How long what is kept, and how it goes: by its deadline, or because somebody asks.
//!
//! A delivery is marked first, in a transaction that reads its hold: whoever puts a hold on afterwards is told that nothing is
//! left to hold. Then the data key is destroyed, durably; from then on the row is bytes without meaning, here and in every
//! backup. Removing the row is tidying up, and is done again at the next start if it was cut off, or if an old copy was restored.

use std::sync::Arc;
use std::time::Duration;

use parcelshelf_core::id::{CourierId, DeliveryId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::from_b64;
use parcelshelf_store::{Check, JOURNAL_FORGOTTEN_MAX, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::Carrier;
use crate::board::may_be_open;
use crate::db::{
    ACCEPT, ACKNOWLEDGED, COURIERS, Change, DELIVERIES, DeliveryRow, ERASE, Failure, HOOK, HoldPart, READY, Stored,
    WATCH, WINDOW, again, broken, erased, no_delivery, owner,
};
use crate::model::rounded_up;

const DAY_S: i64 = 86_400;
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
/// A held delivery is looked at again after this.
const HELD_AGAIN_S: i64 = DAY_S;

/// Deadlines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// A delivery, after its end: claims for a lost parcel are made within weeks.
    pub deliveries_days: u32,
    /// A delivery that never ended, after its window.
    pub unfinished_days: u32,
    /// Codes, random ids and rounded times.
    pub journal_days: u32,
    /// Answers kept for repeated requests: a phone without signal repeats within a day, or never.
    pub answers_hours: u32,
    /// No backup is kept for longer. So long the names of what was erased are remembered, to erase it again in a restored one.
    pub backups_days: u32,
}
impl Default for Retention {
    fn default() -> Self {
        Self { deliveries_days: 90, unfinished_days: 365, journal_days: 400, answers_hours: 24, backups_days: 400 }
    }
}
impl Retention {
    pub(crate) fn after_end(&self, end: Timestamp) -> Timestamp {
        end.plus_seconds(i64::from(self.deliveries_days) * DAY_S)
    }
    pub(crate) fn unfinished(&self, window_end: Timestamp) -> Timestamp {
        rounded_up(window_end).plus_seconds(i64::from(self.unfinished_days) * DAY_S)
    }
}

/// Removes what is over, until `stop`; first what an interruption or a restored copy has left of what was erased.
pub(crate) async fn forget(carrier: Arc<Carrier>, mut stop: watch::Receiver<bool>) {
    let mut tidied = false;
    loop {
        if !tidied {
            match carrier.tidy().await {
                Ok(()) => {
                    tracing::info!("what was erased is tidied up");
                    tidied = true;
                }
                Err(Failure::Problem(p)) => tracing::warn!(code = p.code(), "what was erased is not tidied up yet"),
                Err(Failure::Conflict) => {}
            }
        }
        if let Err(problem) = carrier.sweep().await {
            tracing::warn!(code = problem.code(), "what is over could not be removed now");
        }
        tokio::select! {
            biased;
            () = carrier.host.sleep(SWEEP_EVERY) => {}
            stopped = async { stop.wait_for(|s| *s).await.is_ok() } => {
                tracing::debug!(stopped, "nothing more is forgotten");
                return;
            }
        }
    }
}

fn ended(row: &DeliveryRow) -> bool {
    row.state.phase == "ended"
}
/// Whether a deadline has to wait: for a hold, or for a lid that may be open.
fn waits(row: &DeliveryRow) -> bool {
    row.hold.is_some() || !row.erasing && may_be_open(&row.access.state)
}
fn held() -> Problem {
    Problem::new(409, "held", "a legal hold keeps this").detail("whoever put it on has to take it off first")
}

/// For whom everything is taken out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Export {
    Carriers,
    Merchants,
}
/// What a merchant gets of a delivery's row, and of its state. Everything else is the carrier's own, also what is added later: it
/// may tell where about a car stands, or when somebody drove there.
const MERCHANTS: [&str; 4] = ["shipment", "merchant", "state", "personal"];
const MERCHANTS_STATE: [&str; 6] = ["phase", "start_ms", "end_ms", "end", "fallbacks", "parcels"];

fn only(members: &mut Value, these: &[&str]) {
    if let Some(members) = members.as_object_mut() {
        members.retain(|name, _| these.contains(&name.as_str()));
    }
}

impl Carrier {
    async fn sweep(&self) -> Result<(), Problem> {
        let failed = |error: StoreError| Problem::store(&error);
        let (now, r) = (self.kept_now(), &self.config.retention);
        let ago = |seconds: i64| now.plus_seconds(-seconds);
        self.engine.forget_answers(ago(i64::from(r.answers_hours) * 3_600)).await.map_err(failed)?;
        let journal = ago(i64::from(r.journal_days) * DAY_S);
        // A busy hour writes more than goes at once.
        while self.engine.forget_journal(journal).await.map_err(failed)? >= u64::from(JOURNAL_FORGOTTEN_MAX) {}
        self.vault.keys().forget_destroyed(ago(i64::from(r.backups_days) * DAY_S)).await.map_err(failed)?;
        while !again!(self.sweep_sessions())? {}
        Ok(())
    }

    /// Removes rows whose key was destroyed.
    async fn tidy(&self) -> Result<(), Failure> {
        let mut after = Vec::new();
        loop {
            let names = self.vault.keys().destroyed(&after).await?;
            let Some(last) = names.last() else { return Ok(()) };
            after.clone_from(last);
            for name in &names {
                let parts = core::str::from_utf8(name).ok().and_then(|n| n.split_once('/'));
                let Some((table, Some(id))) = parts.map(|(table, id)| (table, from_b64(id))) else { continue };
                if self.engine.get(table, &id).await?.is_some() {
                    again!(self.remove(table, &id, "again"))?;
                }
            }
        }
    }

    /// Removes a row and its jobs, whether or not it can be read.
    async fn remove(&self, table: &str, id: &[u8], why: &str) -> Result<(), Failure> {
        let mut change = Change::new(self);
        if table == DELIVERIES {
            // Also where the row is gone already: somebody may have planned something meanwhile.
            for queue in [ACCEPT, WATCH, WINDOW, READY, ERASE, HOOK] {
                change.job_done(queue, id);
            }
        }
        if let Some(row) = self.engine.get(table, id).await? {
            change.batch.deletes.push(Check { table: table.to_owned(), id: id.to_vec(), version: row.expected() });
            change.journal(table, id, "erased", &json!({"why": why}));
        }
        if table == COURIERS {
            change.batch.deletes.extend(self.sessions_of(id).await?);
        }
        // Who took care of its lid is asked for by nobody any more.
        if table == DELIVERIES {
            self.forget_acknowledged(&mut change, id).await?;
        }
        change.commit().await
    }

    /// With this change nobody has taken care of a delivery's lid.
    pub(crate) async fn forget_acknowledged(&self, change: &mut Change<'_>, id: &[u8]) -> Result<(), Failure> {
        if let Some(row) = self.engine.get(ACKNOWLEDGED, id).await? {
            let (table, id, version) = (ACKNOWLEDGED.to_owned(), id.to_vec(), row.expected());
            change.batch.deletes.push(Check { table, id, version });
        }
        Ok(())
    }

    async fn destroy(&self, table: &str, id: &[u8], why: &str) -> Result<(), Problem> {
        let name = owner(table, id).ok_or_else(erased)?;
        // The day is enough for deciding when the name may be forgotten.
        let day = self.kept_now().rounded_down_to_minutes(24 * 60);
        self.vault.destroy(&name, day).await.map_err(|e| Problem::internal(&e))?;
        again!(self.remove(table, id, why))
    }

    /// Erases a delivery that has ended, because somebody asks.
    pub(crate) async fn erase_delivery(&self, stored: &Stored<DeliveryRow>) -> Result<(), Problem> {
        if !ended(&stored.value) {
            return Err(Problem::new(409, "not_ended", "this delivery is under way").detail("cancel it first"));
        }
        if !again!(self.mark(&stored.id))? {
            return Err(held());
        }
        self.destroy(DELIVERIES, &stored.id, "asked").await
    }

    /// Decides that a delivery is erased, against whoever puts a hold on at this very moment. False: it is held.
    async fn mark(&self, id: &[u8]) -> Result<bool, Failure> {
        let Some(mut stored) = self.row::<DeliveryRow>(DELIVERIES, id).await? else {
            // A hold may lie in a row that cannot be read: a key that is merely not here is no erasure.
            let name = owner(DELIVERIES, id).ok_or_else(erased)?;
            let gone = self.engine.get(DELIVERIES, id).await?.is_none() || self.vault.is_erased(&name).await?;
            return if gone { Ok(true) } else { Err(broken("a delivery's key is missing and was not destroyed")) };
        };
        if stored.value.hold.is_some() || stored.value.erasing {
            return Ok(stored.value.erasing);
        }
        // Whoever watches over an open lid must not lose sight of it.
        if may_be_open(&stored.value.access.state) {
            let open = Problem::new(409, "maybe_open", "what was opened for this delivery is not known to be locked");
            return Err(open.detail("see to it first; then it can be erased").into());
        }
        stored.value.erasing = true;
        let mut change = Change::new(self);
        change.delivery(&stored);
        // Cut off after this, it is finished by its job.
        change.job(ERASE, id, self.kept_now());
        change.journal(DELIVERIES, id, "erasing", &json!({}));
        change.commit().await?;
        Ok(true)
    }

    /// Whether it was erased, as far as the key store remembers.
    pub(crate) async fn is_erased(&self, id: DeliveryId) -> Result<bool, Problem> {
        let name = owner(DELIVERIES, id.as_bytes()).ok_or_else(erased)?;
        self.vault.is_erased(&name).await.map_err(|e| Problem::internal(&e))
    }

    /// Erases a courier who has left. First it is written that nothing goes on their van any more, then it is looked whether
    /// something is on it: whoever is loaded in between is seen here, or refused there.
    pub(crate) async fn erase_courier(&self, id: CourierId) -> Result<(), Problem> {
        again!(self.mark_courier(id, true))?;
        if !again!(self.carried(id))?.is_empty() {
            again!(self.mark_courier(id, false))?;
            return Err(Problem::new(409, "courier_carries", "this courier has parcels")
                .detail("give their deliveries to others first; then they can be erased"));
        }
        self.destroy(COURIERS, id.as_bytes(), "asked").await
    }
    async fn mark_courier(&self, id: CourierId, erasing: bool) -> Result<(), Failure> {
        let mut stored = self.courier(id).await?;
        stored.value.erasing = erasing;
        let mut change = Change::new(self);
        change.put(COURIERS, &stored.id, stored.version, &stored.value, stored.value.index());
        change.journal(COURIERS, &stored.id, if erasing { "leaves" } else { "stays" }, &json!({}));
        change.commit().await
    }

    /// A deadline has come.
    pub(crate) async fn erase_in_time(&self, id: DeliveryId) -> Result<(), Problem> {
        if again!(self.wait_for_hold(id))? {
            return Ok(());
        }
        if again!(self.mark(id.as_bytes()))? {
            return self.destroy(DELIVERIES, id.as_bytes(), "deadline").await;
        }
        // A hold has come in between.
        again!(self.wait_for_hold(id)).map(drop)
    }
    /// Whether a hold keeps it; it is looked at again later then. Written together with the delivery's version: a hold
    /// that is lifted at this moment has planned its own look, which must not be put off by a day.
    async fn wait_for_hold(&self, id: DeliveryId) -> Result<bool, Failure> {
        let stored = self.row::<DeliveryRow>(DELIVERIES, id.as_bytes()).await?;
        let Some(stored) = stored.filter(|s| waits(&s.value)) else { return Ok(false) };
        let mut change = Change::new(self);
        change.delivery(&stored);
        change.job(ERASE, id.as_bytes(), self.kept_now().plus_seconds(HELD_AGAIN_S));
        change.commit().await?;
        Ok(true)
    }

    /// Puts a legal hold on, or takes it off.
    pub(crate) async fn hold(&self, id: DeliveryId, by: &str, on: bool) -> Result<Value, Failure> {
        let mut stored = self.delivery(id).await?;
        let answer = json!({"delivery": id.to_string(), "held": on});
        if stored.value.erasing {
            return Err(no_delivery().into());
        }
        if stored.value.hold.is_some() == on {
            return Ok(answer);
        }
        stored.value.hold = on.then(|| HoldPart { since_ms: self.kept_now().unix_millis(), by: by.to_owned() });
        let mut change = Change::new(self);
        change.delivery(&stored);
        change.journal(DELIVERIES, &stored.id, if on { "held" } else { "hold_lifted" }, &json!({}));
        if !on && ended(&stored.value) {
            change.job(ERASE, id.as_bytes(), self.config.retention.after_end(self.kept_now()));
        }
        change.commit().await?;
        Ok(answer)
    }

    /// Everything that is kept of one delivery, for the person whom it is about. A merchant gets what merchants may know: no
    /// area, no leg, nothing of whether a car is ready, and no journal, which they never see.
    pub(crate) async fn export(&self, stored: &Stored<DeliveryRow>, of: Export) -> Result<Value, Failure> {
        let entries = match of {
            Export::Carriers => {
                self.engine.journal(DELIVERIES, &stored.id, 0, parcelshelf_store::PAGE_ROWS_MAX).await?
            }
            Export::Merchants => Vec::new(),
        };
        let journal: Vec<Value> = entries
            .iter()
            .map(|e| {
                let event: Value = serde_json::from_slice(&e.event).unwrap_or_default();
                json!({"kind": e.kind, "at": e.at.to_rfc3339(), "event": event})
            })
            .collect();
        let mut kept = serde_json::to_value(&stored.value).map_err(|e| Failure::Problem(Problem::internal(&e)))?;
        if of == Export::Merchants {
            only(&mut kept, &MERCHANTS);
            only(&mut kept["state"], &MERCHANTS_STATE);
        }
        let r = &self.config.retention;
        Ok(json!({
            "format": "psh-carrier-export-v1",
            "carrier": self.config.name,
            "delivery": parcelshelf_protocol::encoding::b64(&stored.id),
            "kept": kept,
            "journal": journal,
            "deadlines": {"delivery_days_after_end": r.deliveries_days, "journal_days": r.journal_days,
                          "answers_hours": r.answers_hours, "backups_days": r.backups_days},
        }))
    }
}
