//! Reads what has changed at the gateway: one long poll for all deliveries.
//!
//! The position is kept in memory. After a start, or when the gateway does not know it any more, every open delivery is
//! asked for once, by the jobs that ask now and then anyway.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parcelshelf_core::id::DeliveryId;
use parcelshelf_store::ListQuery;
use serde_json::Value;
use tokio::sync::watch;

use crate::Carrier;
use crate::db::{ACCEPT, Change, DELIVERIES, DeliveryRow, Failure, WATCH, again};
use crate::gateway::NotDone;

/// Nobody answered.
const BACK_OFF: Duration = Duration::from_secs(2);
/// The gateway does not want to talk to us; that does not get better by asking fast.
const REFUSED: Duration = Duration::from_secs(30);
/// Deliveries looked at in one step after a start.
const PAGE: u32 = 200;

/// Deliveries whose delegation a request is handing in at this moment.
#[derive(Debug, Default)]
pub(crate) struct Posting(Mutex<BTreeSet<DeliveryId>>);
impl Posting {
    pub fn is_under_way(&self, id: DeliveryId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }
    /// Under way until the result is dropped.
    pub fn begin(&self, id: DeliveryId) -> UnderWay<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        UnderWay { all: self, id }
    }
}
pub(crate) struct UnderWay<'a> {
    all: &'a Posting,
    id: DeliveryId,
}
impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Reads until `stop`.
pub(crate) async fn read(carrier: Arc<Carrier>, mut stop: watch::Receiver<bool>) {
    let reading = async {
        let mut after = String::new();
        loop {
            let pause = match carrier.ask_changes(&after).await {
                Ok(answer) => match carrier.take_changes(&answer).await {
                    Ok(()) => {
                        answer["next"].as_str().unwrap_or_default().clone_into(&mut after);
                        continue;
                    }
                    Err(problem) => {
                        tracing::warn!(code = problem.code(), "changes could not be kept and are asked for again");
                        BACK_OFF
                    }
                },
                Err(NotDone::Later) => BACK_OFF,
                Err(NotDone::Refused(code)) => {
                    tracing::warn!(code, "the gateway does not say what has changed");
                    after.clear();
                    REFUSED
                }
            };
            carrier.host.sleep(pause).await;
        }
    };
    tokio::select! {
        biased;
        () = reading => {}
        _ = stop.wait_for(|s| *s) => tracing::debug!("no more changes are read"),
    }
}

impl Carrier {
    async fn take_changes(&self, answer: &Value) -> Result<(), parcelshelf_edge::problem::Problem> {
        if answer["resync"] == Value::Bool(true) {
            return self.ask_for_each().await;
        }
        let changes = answer["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
        // Each is a commit of its own; side by side they share a flush.
        let all = changes.iter().map(|change| self.take_change(change));
        for taken in futures_util::future::join_all(all).await {
            taken?;
        }
        Ok(())
    }

    async fn take_change(&self, change: &Value) -> Result<(), parcelshelf_edge::problem::Problem> {
        let Some(id) = change["delivery"].as_str().and_then(|d| DeliveryId::parse(d).ok()) else { return Ok(()) };
        if let Some(jws) = change["accepted"].as_str() {
            match self.verified(id, jws).await {
                Ok(accepted) => again!(self.take_acceptance(id, accepted.jws(), accepted.claims().window))?,
                // The keyholder's keys could not be had or kept now: the same change is asked for again. The job that asks
                // besides would do so in an hour.
                Err(NotDone::Later) => {
                    let title = "the keyholder's keys cannot be checked now";
                    return Err(parcelshelf_edge::problem::Problem::unavailable("keys_unavailable", title, 2));
                }
                Err(NotDone::Refused(code)) => tracing::warn!(code, "an acceptance does not hold"),
            }
        }
        match again!(self.take_status(id, change)) {
            // Not ours, or of a store that was lost: nothing to keep it in.
            Err(problem) if problem.code() == "delivery_unknown" => Ok(()),
            done => done,
        }
    }

    /// Every delivery of which news may have been missed is asked for now.
    async fn ask_for_each(&self) -> Result<(), parcelshelf_edge::problem::Problem> {
        for (state, queue) in [("requested", ACCEPT), ("leg", WATCH), ("at_stop", WATCH)] {
            let mut cursor = None;
            loop {
                let query = ListQuery {
                    table: DELIVERIES.to_owned(),
                    index: "state".to_owned(),
                    prefix: state.as_bytes().to_vec(),
                    cursor,
                    limit: PAGE,
                };
                let (rows, next) = again!(self.rows::<DeliveryRow>(query.clone()))?;
                let mut change = Change::new(self);
                for row in &rows {
                    change.job(queue, &row.id, self.kept_now());
                }
                change.commit().await.map_err(|f| match f {
                    Failure::Problem(p) => p,
                    Failure::Conflict => parcelshelf_edge::problem::Problem::unavailable("busy", "too many at once", 1),
                })?;
                match next {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
        }
        Ok(())
    }
}
