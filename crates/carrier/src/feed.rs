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
/// In a busy city something changes all the time, and each question costs a signature here and three checks there: on
/// average one in so many milliseconds takes everything together.
const PACE_MS: u64 = 5_000;
/// After a quiet time so many questions come without a rest: a single delivery is heard of at once.
const AT_ONCE: u64 = 8;

/// How fast questions follow each other: a bucket of [`AT_ONCE`] that gains one every [`PACE_MS`].
#[derive(Debug)]
struct Pace {
    left_ms: u64,
    at: Duration,
}
impl Pace {
    const FULL_MS: u64 = AT_ONCE * PACE_MS;

    const fn full(now: Duration) -> Self {
        Self { left_ms: Self::FULL_MS, at: now }
    }
    /// A question has been answered at `now`: how long to rest before the next one.
    fn rest(&mut self, now: Duration) -> Duration {
        let gained = u64::try_from(now.saturating_sub(self.at).as_millis()).unwrap_or(Self::FULL_MS);
        let has = self.left_ms.saturating_add(gained).min(Self::FULL_MS);
        // What is owed is waited for; it is gained while waiting.
        let rest = PACE_MS.saturating_sub(has);
        self.left_ms = has.saturating_sub(PACE_MS);
        self.at = now + Duration::from_millis(rest);
        Duration::from_millis(rest)
    }
}

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
        let mut pace = Pace::full(carrier.host.clock.uptime());
        loop {
            let pause = match carrier.ask_changes(&after).await {
                Ok(answer) => match carrier.take_changes(&answer).await {
                    Ok(()) => {
                        answer["next"].as_str().unwrap_or_default().clone_into(&mut after);
                        pace.rest(carrier.host.clock.uptime())
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
        let mut accepted = None;
        if let Some(jws) = change["accepted"].as_str() {
            match self.verified(id, jws).await {
                Ok(verified) => accepted = Some(verified),
                // The keyholder's keys could not be had or kept now: the same change is asked for again. The job that asks
                // besides would do so in an hour.
                Err(NotDone::Later) => {
                    let title = "the keyholder's keys cannot be checked now";
                    return Err(parcelshelf_edge::problem::Problem::unavailable("keys_unavailable", title, 2));
                }
                Err(NotDone::Refused(code)) => tracing::warn!(code, "an acceptance does not hold"),
            }
        }
        let answer = accepted.as_ref().map(|a| (a.jws(), a.claims().window));
        match again!(self.take_news(id, answer, None, change)) {
            // Not ours, or of a store that was lost: nothing to keep it in.
            Err(problem) if problem.code() == "delivery_unknown" => Ok(()),
            done => done,
        }
    }

    /// Every delivery of which news may have been missed is asked for now.
    async fn ask_for_each(&self) -> Result<(), parcelshelf_edge::problem::Problem> {
        let states =
            [("requested", ACCEPT), ("accepted", WATCH), ("loaded", WATCH), ("leg", WATCH), ("at_stop", WATCH)];
        for (state, queue) in states {
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

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_single_delivery_is_heard_of_at_once_and_a_busy_city_in_bunches() {
        let mut pace = Pace::full(s(100));
        let first: Vec<Duration> = (0..AT_ONCE).map(|_| pace.rest(s(100))).collect();
        assert!(first.iter().all(Duration::is_zero), "{first:?}");
        let mut now = s(100);
        for _ in 0..100 {
            let rest = pace.rest(now);
            assert_eq!(rest, Duration::from_millis(PACE_MS), "in the long run one in so long");
            now += rest;
        }
        // Quiet for a minute: the bucket is full again, and not fuller.
        now += s(60);
        let again = (0..=AT_ONCE).map(|_| pace.rest(now)).filter(Duration::is_zero).count();
        assert_eq!(again, usize::try_from(AT_ONCE).unwrap());
    }
}
