//! What goes on without anybody asking: waiting for owners, following legs, ending windows. Every job is a row: a process
//! that dies leaves its jobs to the next, when their leases are over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::reason::Reason;
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_delivery::delivery::Event;
use parcelshelf_delivery::readiness::Slot;
use parcelshelf_store::Job;
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::board::may_be_open;
use crate::db::{
    ACCEPT, Change, DELIVERIES, DeliveryRow, ERASE, Failure, HOOK, READY, ReadyPart, Stored, WATCH, WINDOW, again,
    apply,
};
use crate::gateway::NotDone;
use crate::model::rounded_up;
use crate::{Carrier, feed, hooks, retention};

/// A job's worker is taken for dead after this long; calls end after 35 s.
const LEASE: Duration = Duration::from_secs(45);
/// Leases end at a kept time, too: when exactly a courier set out is not to be read from who worked at what.
pub(crate) fn lease(now: Timestamp) -> Duration {
    now.until(rounded_up(now.plus_millis(i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX))))
}
/// Looking for due jobs.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Shortest pause between two looks that nothing has asked for.
pub(crate) const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Long polls under way at once.
const AT_ONCE: usize = 256;
/// Whether an owner has answered is asked this often, besides the feed.
pub(crate) const ASK_ACCEPTED_S: i64 = 3_600;
/// How a leg stands is asked this often, besides the feed.
pub(crate) const ASK_STATUS_S: i64 = 900;
/// After the gateway did not answer.
const BACK_OFF: Duration = Duration::from_secs(2);

/// A sleeping car was woken: asked again after this.
const WAKING: Duration = Duration::from_secs(8);

/// The gateway has no grant for a delivery.
const GONE: &str = "delivery_unknown";
/// The owner has taken it back, with everything that was kept of it.
const WITHDRAWN: &str = "withdrawn";

const QUEUES: [&str; 5] = [ACCEPT, WATCH, WINDOW, READY, ERASE];

/// Starts a worker per queue.
pub(crate) fn start(carrier: &Arc<Carrier>, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
    let mut all: Vec<_> = QUEUES.map(|queue| tokio::spawn(work(Arc::clone(carrier), queue, stop.clone()))).into();
    all.push(tokio::spawn(retention::forget(Arc::clone(carrier), stop.clone())));
    all.push(tokio::spawn(hooks::work(Arc::clone(carrier), stop.clone())));
    all.push(tokio::spawn(feed::read(Arc::clone(carrier), stop.clone())));
    all
}

/// Tells workers that there may be something to do before they would look by themselves.
#[derive(Debug, Default)]
pub(crate) struct Bells(BTreeMap<&'static str, Notify>);
impl Bells {
    pub fn new() -> Self {
        Self(QUEUES.into_iter().chain([HOOK]).map(|queue| (queue, Notify::new())).collect())
    }
    /// A job of this queue was written, or a place is free again.
    pub fn ring(&self, queue: &str) {
        if let Some(bell) = self.0.get(queue) {
            bell.notify_one();
        }
    }
    pub async fn rung(&self, queue: &str) {
        match self.0.get(queue) {
            Some(bell) => bell.notified().await,
            None => std::future::pending().await,
        }
    }
}

async fn work(carrier: Arc<Carrier>, queue: &'static str, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let free = u32::try_from(places.available_permits()).unwrap_or(0).min(64);
        let due = carrier.engine.next_due(queue).await.ok().flatten();
        let is_due = due.is_some_and(|at| at <= carrier.host.now());
        let jobs = match is_due && free > 0 {
            true => {
                let now = carrier.host.now();
                carrier.engine.claim(queue, now, lease(now), free).await.unwrap_or_default()
            }
            false => Vec::new(),
        };
        let claimed = !jobs.is_empty();
        for job in jobs {
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { break };
            let carrier = Arc::clone(&carrier);
            tokio::spawn(async move {
                carrier.do_job(queue, &job).await;
                drop(place);
                carrier.bells.ring(queue);
            });
        }
        let pause = match due {
            // More may be due than was claimed at once.
            _ if claimed => Duration::ZERO,
            Some(at) if free > 0 => carrier.host.now().until(at).clamp(PAUSE_MIN, LOOK_EVERY),
            _ => LOOK_EVERY,
        };
        tokio::select! {
            biased;
            () = carrier.bells.rung(queue) => {}
            () = carrier.host.sleep(pause) => {}
            stopped = async { stop.wait_for(|s| *s).await.is_ok() } => {
                tracing::debug!(queue, stopped, "no more jobs are taken");
                return;
            }
        }
    }
}

impl Carrier {
    async fn do_job(&self, queue: &'static str, job: &Job) {
        let Ok(id) = <[u8; 16]>::try_from(job.id.as_slice()).map(DeliveryId::from_bytes) else { return };
        let done = match queue {
            ACCEPT => self.await_owner(id).await,
            WATCH => self.follow(id).await,
            READY => self.ask_whether_ready(id).await,
            ERASE => self.erase_in_time(id).await,
            _ => again!(self.window_over(id)),
        };
        let done = match done {
            // Erased meanwhile, by whoever did not know of this job.
            Err(problem) if problem.code() == "delivery_unknown" => again!(self.no_more(queue, id)),
            done => done,
        };
        if let Err(problem) = done {
            tracing::warn!(queue, code = problem.code(), "a job is tried again");
        }
    }

    /// When a poll that brought nothing is asked again: the feed brings news sooner. Kept times are rounded, except where
    /// a leg ends.
    async fn poll_again(&self, queue: &str, id: DeliveryId, leg_ends: Option<Timestamp>) -> Result<(), Failure> {
        let by_itself = self.kept_now().plus_seconds(if queue == ACCEPT { ASK_ACCEPTED_S } else { ASK_STATUS_S });
        let mut change = Change::new(self);
        change.job(queue, id.as_bytes(), leg_ends.map_or(by_itself, |end| end.min(by_itself)));
        change.commit().await
    }
    /// Nobody answered: again in a moment.
    async fn soon_again(&self, queue: &str, id: DeliveryId) -> Result<(), Failure> {
        self.host.sleep(BACK_OFF).await;
        let mut change = Change::new(self);
        change.job(queue, id.as_bytes(), self.kept_now());
        change.commit().await
    }
    async fn no_more(&self, queue: &str, id: DeliveryId) -> Result<(), Failure> {
        let mut change = Change::new(self);
        change.job_done(queue, id.as_bytes());
        change.commit().await
    }

    async fn await_owner(&self, id: DeliveryId) -> Result<(), parcelshelf_edge::problem::Problem> {
        let stored = again!(self.delivery(id))?;
        if stored.value.state.phase != "requested" {
            return again!(self.no_more(ACCEPT, id));
        }
        if let Some(rule) = &stored.value.announce {
            return self.announce_under(id, &stored.value.request, rule).await;
        }
        match self.ask_accepted(id).await {
            Ok(Some((accepted, standing))) => {
                again!(self.take_acceptance(id, accepted.jws(), accepted.claims().window, standing))
            }
            Ok(None) => again!(self.poll_again(ACCEPT, id, None)),
            Err(NotDone::Later) => again!(self.soon_again(ACCEPT, id)),
            Err(NotDone::Refused(code)) => {
                // A carrier that is not admitted yet is told so here; it does not get better by asking fast.
                tracing::warn!(code, "the gateway does not say whether the owner has answered");
                again!(self.poll_again(ACCEPT, id, None))
            }
        }
    }

    /// Tells the keyholder of a delivery that its owner may have allowed in advance. If not, the owner is asked as always.
    async fn announce_under(
        &self,
        id: DeliveryId,
        request: &str,
        rule: &str,
    ) -> Result<(), parcelshelf_edge::problem::Problem> {
        match self.announce(id, request, rule).await {
            Ok(accepted) => again!(self.take_acceptance(id, accepted.jws(), accepted.claims().window, true)),
            Err(NotDone::Later) => again!(self.soon_again(ACCEPT, id)),
            Err(NotDone::Refused(code)) => {
                tracing::info!(code, "a delivery was not allowed in advance; its owner is asked");
                again!(self.ask_the_owner(id))
            }
        }
    }
    async fn ask_the_owner(&self, id: DeliveryId) -> Result<(), Failure> {
        let mut stored = self.delivery(id).await?;
        let mut change = Change::new(self);
        stored.value.announce = None;
        change.delivery(&stored);
        change.journal(DELIVERIES, &stored.id, "not_announced", &json!({}));
        change.job(ACCEPT, &stored.id, self.kept_now().plus_seconds(ASK_ACCEPTED_S));
        self.plan_to_tell(&mut change, &stored.id, &stored.value, self.host.now());
        change.commit().await
    }

    /// Keeps the owner's answer.
    async fn take_acceptance(&self, id: DeliveryId, jws: &str, window: Window, standing: bool) -> Result<(), Failure> {
        let mut stored = self.delivery(id).await?;
        let mut change = Change::new(self);
        if self.note_acceptance(&mut change, &mut stored, jws, window, standing)? {
            change.delivery(&stored);
        }
        change.commit().await
    }

    /// Adds the owner's answer; true if the delivery's row has changed.
    fn note_acceptance(
        &self,
        change: &mut Change<'_>,
        stored: &mut Stored<DeliveryRow>,
        jws: &str,
        window: Window,
        standing: bool,
    ) -> Result<bool, Failure> {
        change.job_done(ACCEPT, &stored.id);
        // The feed and the job may bring the same answer.
        if stored.value.state.phase != "requested" {
            return Ok(false);
        }
        match apply(change, stored, Event::Accepted { window }, self.host.now()) {
            Ok(_) => {
                stored.value.accepted = Some(jws.to_owned());
                (stored.value.standing, stored.value.announce) = (standing, None);
                let (_, at) = Slot::first(window, self.kept_now());
                change.job(READY, &stored.id, at);
                Ok(true)
            }
            // Cancelled, or its window is over.
            Err(Failure::Problem(p)) if p.code() == "wrong_state" => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Follows one leg: hands its delegation in if need be, and asks how it stands now and then, in case the feed has
    /// told nothing, until nothing more can come.
    async fn follow(&self, id: DeliveryId) -> Result<(), parcelshelf_edge::problem::Problem> {
        let stored = again!(self.delivery(id))?;
        let over = matches!(stored.value.access.state.as_str(), "ended" | "blocked");
        let phase = stored.value.state.phase.as_str();
        let (on_the_way, waits) = (matches!(phase, "leg" | "at_stop"), matches!(phase, "accepted" | "loaded"));
        if over || (!on_the_way && !waits && !may_be_open(&stored.value.access.state)) {
            return again!(self.no_more(WATCH, id));
        }
        if waits {
            return self.ask_once(id, stored.value.access.seq).await;
        }
        let unposted = stored.value.leg.as_ref().is_some_and(|l| !l.posted);
        // Whoever signed it is handing it in at this moment.
        if unposted && self.posting.is_under_way(id) {
            return again!(self.soon_again(WATCH, id));
        }
        if unposted && let Err(problem) = self.hand_in(id, None).await {
            // Refusals have ended the leg inside; patience comes back here.
            tracing::warn!(code = problem.code(), "a leg could not be handed in");
            return again!(self.soon_again(WATCH, id));
        }
        let leg_ends = stored.value.state.until_ms.map(Timestamp::from_unix_millis);
        let passed = leg_ends.is_some_and(|end| self.host.now() > end);
        if let Some(leg) = stored.value.leg.as_ref().filter(|_| passed && phase == "leg") {
            again!(self.end_leg(id, &leg.jws))?;
        }
        let heard = stored.value.access.seq;
        match self.ask_status(id).await {
            Ok(said) => {
                again!(self.take_news(id, None, Some(heard), &said))?;
                again!(self.poll_again(WATCH, id, leg_ends.filter(|_| !passed).map(|end| end.plus_millis(1))))
            }
            Err(NotDone::Later) => again!(self.soon_again(WATCH, id)),
            // Withdrawn, while nobody heard it. What may be open is not erased there: whatever was heard last, it is over.
            Err(NotDone::Refused(code)) if code == GONE => again!(self.keep_withdrawn(id)),
            Err(NotDone::Refused(code)) => {
                tracing::warn!(code, "the gateway does not say how a leg stands");
                again!(self.poll_again(WATCH, id, None))
            }
        }
    }

    /// Of a delivery that nobody drives to yet: what was said while nobody listened. The feed says what comes.
    async fn ask_once(&self, id: DeliveryId, heard: u64) -> Result<(), parcelshelf_edge::problem::Problem> {
        match self.ask_status(id).await {
            Ok(said) => again!(self.keep_status(id, heard, &said)),
            Err(NotDone::Later) => again!(self.soon_again(WATCH, id)),
            Err(NotDone::Refused(code)) if code == GONE => again!(self.keep_withdrawn(id)),
            Err(NotDone::Refused(code)) => {
                tracing::warn!(code, "the gateway does not say how a delivery stands");
                again!(self.poll_again(WATCH, id, None))
            }
        }
    }
    async fn keep_status(&self, id: DeliveryId, heard: u64, said: &Value) -> Result<(), Failure> {
        let mut stored = self.delivery(id).await?;
        let mut change = Change::new(self);
        self.note_status(id, &mut change, &mut stored, Some(heard), said).await?;
        if matches!(stored.value.state.phase.as_str(), "leg" | "at_stop") {
            // A courier has set out meanwhile: that leg has its own questions.
            return Ok(());
        }
        // With its version, for the same reason.
        change.delivery(&stored);
        change.job_done(WATCH, &stored.id);
        change.commit().await
    }
    /// The gateway knows nothing of it any more: its owner has erased it. It goes the other way that was agreed.
    async fn keep_withdrawn(&self, id: DeliveryId) -> Result<(), Failure> {
        let next = self.delivery(id).await?.value.access.seq.saturating_add(1);
        self.take_news(id, None, None, &json!({"seq": next, "state": "ended", "reason": WITHDRAWN})).await?;
        self.no_more(WATCH, id).await
    }

    /// Keeps what the gateway says of a delivery, if it is news: the owner's answer, where it comes with one, and how it stands,
    /// together. `heard`: it was asked, when this was the newest that was known.
    pub(crate) async fn take_news(
        &self,
        id: DeliveryId,
        accepted: Option<(&str, Window)>,
        heard: Option<u64>,
        said: &Value,
    ) -> Result<(), Failure> {
        let mut stored = self.delivery(id).await?;
        let mut change = Change::new(self);
        let mut news = false;
        if let Some((jws, window)) = accepted {
            let standing = said["standing"] == Value::Bool(true);
            news |= self.note_acceptance(&mut change, &mut stored, jws, window, standing)?;
        }
        news |= self.note_status(id, &mut change, &mut stored, heard, said).await?;
        if news {
            change.delivery(&stored);
        } else if accepted.is_none() {
            return Ok(());
        }
        change.commit().await
    }

    /// Adds how a delivery stands at the gateway; true if that is news.
    async fn note_status(
        &self,
        id: DeliveryId,
        change: &mut Change<'_>,
        stored: &mut Stored<DeliveryRow>,
        heard: Option<u64>,
        said: &Value,
    ) -> Result<bool, Failure> {
        let (seq, state) = (said["seq"].as_u64().unwrap_or(0), said["state"].as_str().unwrap_or_default());
        let reason = said["reason"].as_str();
        let went_back = heard.is_some_and(|heard| went_back(stored.value.access.seq, heard, said));
        if seq <= stored.value.access.seq && !went_back {
            return Ok(false);
        }
        if went_back {
            // It counts on from there: who took care of something then has not taken care of what gets that number now.
            self.forget_acknowledged(change, &stored.id).await?;
        }
        self.live.access(id, seq, self.host.now());
        stored.value.access.seq = seq;
        stored.value.access.state = state.to_owned();
        stored.value.access.reason = reason.map(str::to_owned);
        change.journal(DELIVERIES, &stored.id, &format!("access_{state}"), &json!({}));
        if state == "blocked" || (state == "ended" && reason == Some(WITHDRAWN)) {
            let stopped = Event::Stopped { reason: Reason::BlockedByOwner };
            match apply(change, stored, stopped, self.host.now()) {
                Ok(_) => {}
                Err(Failure::Problem(p)) if p.code() == "wrong_state" => {}
                Err(other) => return Err(other),
            }
        }
        Ok(true)
    }

    /// Asks what is due, keeps the word, and plans the next question.
    async fn ask_whether_ready(&self, id: DeliveryId) -> Result<(), parcelshelf_edge::problem::Problem> {
        let stored = again!(self.delivery(id))?;
        let state = &stored.value.state;
        let access = state.access_start_ms.zip(state.access_end_ms).and_then(|(start, end)| {
            Window::new(Timestamp::from_unix_millis(start), Timestamp::from_unix_millis(end)).ok()
        });
        let slot = match (state.phase.as_str(), access) {
            ("leg", Some(_)) => Some(Slot::TenMinutesBefore),
            ("accepted" | "loaded", Some(access)) if self.host.now() < access.start() => Some(Slot::EveningBefore),
            ("accepted" | "loaded", Some(_)) => Some(Slot::StartOfWindow),
            _ => None,
        };
        let (Some(slot), Some(access)) = (slot, access) else { return again!(self.no_more(READY, id)) };
        match self.ask_ready(id, slot).await {
            Ok(word) => {
                let wakes = slot == Slot::TenMinutesBefore && word == "later";
                again!(self.keep_ready(id, slot, &word, access, wakes))?;
                if wakes {
                    self.host.sleep(WAKING).await;
                    return again!(self.ready_now(id));
                }
                Ok(())
            }
            Err(NotDone::Later) => again!(self.soon_again(READY, id)),
            Err(NotDone::Refused(code)) => {
                tracing::warn!(code, "the gateway does not say whether a car is ready");
                again!(self.no_more(READY, id))
            }
        }
    }

    async fn keep_ready(
        &self,
        id: DeliveryId,
        slot: Slot,
        word: &str,
        access: Window,
        asked_again: bool,
    ) -> Result<(), Failure> {
        let mut stored = self.delivery(id).await?;
        let mut change = Change::new(self);
        let said = ReadyPart { slot: slot.code().to_owned(), answer: word.to_owned() };
        if stored.value.ready.as_ref() != Some(&said) {
            change.journal(DELIVERIES, &stored.id, &format!("ready_{word}"), &json!({"slot": slot.code()}));
            stored.value.ready = Some(said);
        }
        // With its version, always: a courier who sets out at this moment has a question of their own.
        change.delivery(&stored);
        let set_out = stored.value.state.phase == "leg" && slot != Slot::TenMinutesBefore;
        match slot.next(access) {
            _ if set_out => change.job(READY, id.as_bytes(), self.kept_now()),
            Some((_, at)) => change.job(READY, id.as_bytes(), at),
            None if asked_again => {}
            None => change.job_done(READY, id.as_bytes()),
        }
        change.commit().await
    }
    async fn ready_now(&self, id: DeliveryId) -> Result<(), Failure> {
        let mut change = Change::new(self);
        change.job(READY, id.as_bytes(), self.kept_now());
        change.commit().await
    }

    async fn window_over(&self, id: DeliveryId) -> Result<(), Failure> {
        let mut stored = self.delivery(id).await?;
        let mut change = Change::new(self);
        change.job_done(WINDOW, id.as_bytes());
        match apply(&mut change, &mut stored, Event::WindowPassed, self.host.now()) {
            Ok(_) => change.delivery(&stored),
            Err(Failure::Problem(p)) if p.code() == "wrong_state" => {}
            Err(other) => return Err(other),
        }
        change.commit().await
    }
}

/// Whether the keyholder counts from further back than what was known when it was asked: its store is an older copy, and what it
/// says now stands, as of a grant that is void since. Answers that overtook each other do not look like that.
fn went_back(kept: u64, heard: u64, said: &Value) -> bool {
    kept == heard && said["seq"].as_u64().is_some_and(|seq| seq < heard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_keyholder_that_was_set_back_counts_from_further_back_than_what_was_known_when_it_was_asked() {
        // Kept now, known when asked, answered.
        let table = [
            ((6, 6, 2), true, "an older copy of its store answers"),
            ((6, 6, 6), false, "nothing new"),
            ((6, 6, 7), false, "news, taken as such"),
            ((7, 6, 6), false, "the feed was faster than the answer"),
            ((7, 6, 2), false, "somebody was faster: asked again"),
        ];
        for ((kept, heard, seq), expected, why) in table {
            assert_eq!(went_back(kept, heard, &json!({"seq": seq})), expected, "{why}");
        }
        assert!(!went_back(6, 6, &json!({})), "what tells no number tells nothing");
    }
}
