//! Witnesses of the log: who cosigns its checkpoints, and what the keyholder hears from them about its own past.
//!
//! A store that was restored from a backup has forgotten blocks and uses that happened since. The log alone cannot tell;
//! a witness can, for it remembers a longer history. So a keyholder with witnesses opens and locates nothing until they
//! have confirmed where it stands, and a history that went back makes every grant void that was signed before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::problem::Problem;
use parcelshelf_exchange::{Client, get, post};
use parcelshelf_log::cosign::{WITNESSES_MAX, WitnessVerifier, with_line};
use parcelshelf_log::note::Checkpoint;
use parcelshelf_log::witness::{AddCheckpoint, origin_hash};
use parcelshelf_protocol::encoding::b64;
use parcelshelf_protocol::records::{Event, Word};
use parcelshelf_store::Version;
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::Keyholder;
use crate::config::LogConfig;
use crate::db::{Change, Index};
use crate::failure::{Failure, again, broken};
use crate::rows::{GrantRow, PublishedRow, RollbackRow};

/// A witness that does not answer by then is not waited for.
const DEADLINE: Duration = Duration::from_secs(5);
/// Longest answer: a checkpoint with its signatures.
const ANSWER_MAX: usize = 8 * 1024;
/// At most one checkpoint per this much time is sent.
const PACE: Duration = Duration::from_secs(1);
/// Who did not answer is asked again after this.
const RETRY: Duration = Duration::from_secs(2);
const REST: Duration = Duration::from_secs(600);
const ROW: &[u8] = b"log";
/// What owner and carrier read where a grant became void.
const ROLLED_BACK: &str = "log_rolled_back";

struct Witness {
    url: String,
    key: WitnessVerifier,
    /// Size of the newest checkpoint that it has cosigned, as far as it has told us.
    size: AtomicU64,
}

/// All witnesses of this log, and whether they have confirmed its history.
pub(crate) struct Witnesses {
    all: Vec<Arc<Witness>>,
    quorum: usize,
    client: Client,
    confirmed: AtomicBool,
    /// Unix milliseconds: grants signed up to then are void.
    void_until: AtomicI64,
    bell: Notify,
}

impl Witnesses {
    /// # Errors
    /// A text that says what is wrong with the configuration.
    pub fn new(config: &LogConfig, client: Client) -> Result<Self, String> {
        if let Some(padding) = &config.padding {
            padding.check()?;
        }
        let quorum = usize::from(config.quorum);
        let count = config.witnesses.len();
        if count > WITNESSES_MAX || (count > 0 && !(1..=count).contains(&quorum)) {
            return Err(format!("log: at most {WITNESSES_MAX} witnesses, and a quorum of 1 to as many as there are"));
        }
        let mut all: Vec<Arc<Witness>> = Vec::new();
        for w in &config.witnesses {
            let key = WitnessVerifier::parse(&w.key).map_err(|_| format!("{} is not a witness's key", w.key))?;
            if all.iter().any(|known| known.key.name() == key.name()) {
                return Err(format!("{} is named twice: a quorum counts each witness once", key.name()));
            }
            let url = w.url.trim_end_matches('/').to_owned();
            get(&url).map_err(|_| format!("{url} is not an address"))?;
            all.push(Arc::new(Witness { url, key, size: AtomicU64::new(0) }));
        }
        Ok(Self {
            confirmed: AtomicBool::new(all.is_empty()),
            all,
            quorum,
            client,
            void_until: AtomicI64::new(i64::MIN),
            bell: Notify::new(),
        })
    }
    /// A new checkpoint was signed.
    pub fn ring(&self) {
        self.bell.notify_one();
    }
}

/// What a witness remembers of this log.
enum Remembered {
    Nothing,
    Newest(Checkpoint),
}

/// Runs until `stop`: first asks where the log stands, then has every checkpoint cosigned.
pub(crate) async fn watch(k: Arc<Keyholder>, mut stop: watch::Receiver<bool>) {
    if k.witnesses.all.is_empty() {
        return;
    }
    let timer = Arc::clone(&k.log_timer);
    loop {
        let pause = match k.confirm().await {
            Ok(true) if k.cosign_newest().await => REST,
            Ok(_) => RETRY,
            Err(failure) => {
                tracing::error!(error = %failure, "the log's history could not be checked now");
                RETRY
            }
        };
        let next = async {
            if pause == REST {
                tokio::select! { () = k.witnesses.bell.notified() => {}, () = timer.sleep(REST) => {} }
                timer.sleep(PACE).await;
            } else {
                timer.sleep(pause).await;
            }
        };
        tokio::select! {
            biased;
            () = next => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

impl Keyholder {
    /// Reads what is known of earlier rollbacks.
    pub(crate) async fn remember_rollback(&self) -> Result<(), Failure> {
        if let Some(row) = self.db.get::<RollbackRow>(ROW).await? {
            self.witnesses.void_until.store(row.value.at_ms, Ordering::Release);
        }
        Ok(())
    }

    /// Refuses to locate and open while no quorum of witnesses has confirmed the log's history.
    pub(crate) fn log_is_confirmed(&self) -> Result<(), Failure> {
        if self.witnesses.confirmed.load(Ordering::Acquire) {
            return Ok(());
        }
        let why = "no witness has confirmed yet where the log stands";
        Err(Problem::unavailable("log_unconfirmed", why, 2).detail("locking works; ask again").into())
    }

    /// Refuses a grant that was signed before the log went back.
    pub(crate) fn not_void(&self, signed: Timestamp) -> Result<(), Failure> {
        // Grants tell whole seconds: those of the very second in which it was noticed count as older.
        if signed.unix_millis() > self.witnesses.void_until.load(Ordering::Acquire) {
            return Ok(());
        }
        let why = "the gateway's records went back to an earlier state: everything signed before is void";
        Err(Problem::new(409, ROLLED_BACK, why).detail("the owner has to sign again").into())
    }

    /// The newest checkpoint with the cosignatures of a quorum, and its size; without witnesses the newest one.
    pub(crate) async fn published(&self) -> Result<Option<(String, u64)>, Failure> {
        if self.witnesses.all.is_empty() {
            return self.checkpoint().await;
        }
        Ok(self.db.get::<PublishedRow>(ROW).await?.map(|row| (row.value.note, row.value.size)))
    }

    /// Asks the witnesses what they remember, unless they have confirmed; true if a quorum has.
    async fn confirm(&self) -> Result<bool, Failure> {
        if self.witnesses.confirmed.load(Ordering::Acquire) {
            return Ok(true);
        }
        let mut asked = JoinSet::new();
        for w in &self.witnesses.all {
            let (client, w, log) = (self.witnesses.client.clone(), Arc::clone(w), self.keys.log.verifier().clone());
            asked.spawn(async move { remembered(&client, &w, &log).await });
        }
        let mut heard = Vec::new();
        while let Some(answer) = asked.join_next().await {
            heard.extend(answer.ok().flatten());
        }
        if heard.len() < self.witnesses.quorum {
            tracing::warn!("no witness says where the log stands: nothing is located or opened");
            return Ok(false);
        }
        let mut ahead: Option<Checkpoint> = None;
        for answer in heard {
            if let Remembered::Newest(c) = answer
                && !self.continues(&c).await?
                && ahead.as_ref().is_none_or(|a| a.size < c.size)
            {
                ahead = Some(c);
            }
        }
        if let Some(ahead) = ahead {
            self.went_back(&ahead).await?;
        }
        self.witnesses.confirmed.store(true, Ordering::Release);
        Ok(true)
    }

    /// Whether the own tree has that checkpoint's as a prefix.
    async fn continues(&self, c: &Checkpoint) -> Result<bool, Failure> {
        let size = self.tree_size().await?;
        Ok(c.size <= size && self.root_at(c.size).await? == c.root)
    }

    /// Everything signed before now is void: blocks and uses since the backup are unknown.
    async fn went_back(&self, ahead: &Checkpoint) -> Result<(), Failure> {
        let known = self.db.get::<RollbackRow>(ROW).await?;
        let root = b64(ahead.root);
        if known.as_ref().is_some_and(|k| k.value.size == ahead.size && k.value.root == root) {
            tracing::error!("the log went back earlier and still has the same name: give it a new one (log_origin)");
            return Ok(());
        }
        let now = self.host.now();
        // In force at once; on the disk when every grant is done, so that a crash in between does it all again.
        self.witnesses.void_until.store(now.unix_millis(), Ordering::Release);
        metrics::counter!("log_rolled_back_total").increment(1);
        tracing::error!(witnessed = ahead.size, "the log went back: every grant signed before is void");
        for grant in self.db.list::<GrantRow>("wallet", &[]).await? {
            let done = grant.value.status.reason.as_deref() == Some(ROLLED_BACK);
            if done || grant.value.use_state.exp_ms < now.unix_millis() {
                continue;
            }
            let Ok(delivery) = DeliveryId::parse(&b64(&grant.id)) else { continue };
            again!(self.void(delivery)).map_err(Failure::Problem)?;
            self.tell_carrier(&grant.value, delivery);
        }
        let mut change = Change::new(&self.db, &self.host);
        let row = RollbackRow { v: 1, at_ms: now.unix_millis(), size: ahead.size, root };
        change.put(ROW, known.map_or(Version::Absent, |k| k.version), &row, Index::new());
        change.journal("log", ROW, ROLLED_BACK, &json!({"witnessed": ahead.size}));
        change.commit().await?;
        self.log.ring();
        Ok(())
    }

    async fn void(&self, delivery: DeliveryId) -> Result<(), Failure> {
        let mut grant = self.grant(delivery).await?;
        let state = self.grant_state(&grant)?;
        let scope = Word::new(ROLLED_BACK).ok_or_else(|| broken("a scope is not a word"))?;
        let mut change = Change::new(&self.db, &self.host);
        change.record_of(Event::Blocked { scope }, self.chain_of(&grant)?, delivery, None).await?;
        grant.value.use_state = crate::convert::use_part(state.block(change.now()));
        grant.value.status.say("blocked", Some(ROLLED_BACK));
        change.update(&grant, self.grant_index(&grant)?);
        change.commit().await?;
        Ok(())
    }

    /// Has the newest checkpoint cosigned by everybody; true if a quorum has done so, or there is nothing to cosign.
    async fn cosign_newest(self: &Arc<Self>) -> bool {
        match self.cosign_round().await {
            Ok(done) => done,
            Err(failure) => {
                tracing::error!(error = %failure, "a checkpoint could not be cosigned now");
                false
            }
        }
    }

    async fn cosign_round(self: &Arc<Self>) -> Result<bool, Failure> {
        let Some((note, size)) = self.checkpoint().await? else { return Ok(true) };
        let published = self.db.get::<PublishedRow>(ROW).await?;
        if published.as_ref().is_some_and(|p| p.value.size == size && p.value.cosigned == self.witnesses.all.len()) {
            return Ok(true);
        }
        let mut asked = JoinSet::new();
        for w in &self.witnesses.all {
            let (k, w, note) = (Arc::clone(self), Arc::clone(w), note.clone());
            asked.spawn(async move {
                let line = k.submit(&w, &note, size).await;
                line.inspect_err(|e| tracing::warn!(error = %e, "a checkpoint could not be sent")).ok().flatten()
            });
        }
        let mut lines = Vec::new();
        while let Some(line) = asked.join_next().await {
            lines.extend(line.ok().flatten());
        }
        lines.sort(); // by name, for every reader gets the same bytes
        if lines.len() >= self.witnesses.quorum {
            let cosigned = lines.iter().try_fold(note, |note, line| with_line(&note, line));
            let cosigned = cosigned.map_err(|_| broken("a cosignature is not one line"))?;
            let mut change = Change::new(&self.db, &self.host);
            let row = PublishedRow { v: 1, size, note: cosigned, cosigned: lines.len() };
            change.put(ROW, published.map_or(Version::Absent, |p| p.version), &row, Index::new());
            change.journal("log", ROW, "checkpoint_published", &json!({"size": size, "cosigned": lines.len()}));
            change.commit().await?;
        }
        Ok(lines.len() == self.witnesses.all.len())
    }

    /// Sends a checkpoint to one witness; its line, if it cosigns.
    async fn submit(&self, w: &Witness, note: &str, size: u64) -> Result<Option<String>, Failure> {
        // Twice: the first answer may be that it remembers another size than we thought.
        for _ in 0..2 {
            let old = w.size.load(Ordering::Acquire);
            if old > size {
                refused(w, "it remembers a longer log than ours");
                return Ok(None);
            }
            let body = AddCheckpoint { old, proof: self.consistency(old, size).await?, note: note.to_owned() }.text();
            let Ok(request) = post(&format!("{}/add-checkpoint", w.url), "text/plain; charset=utf-8", body) else {
                return Ok(None);
            };
            let Ok(answer) = self.witnesses.client.send(request, DEADLINE, ANSWER_MAX).await else {
                refused(w, "it does not answer");
                return Ok(None);
            };
            let text = answer.body.and_then(|b| String::from_utf8(b.to_vec()).ok()).unwrap_or_default();
            match answer.status.as_u16() {
                200 => return Ok(own_line(w, note, &text, size)),
                409 => match text.trim_end().parse::<u64>() {
                    Ok(newest) if newest != old => w.size.store(newest, Ordering::Release),
                    _ => {
                        refused(w, "it has seen another history under this log's name");
                        return Ok(None);
                    }
                },
                422 => {
                    refused(w, "it has seen another history under this log's name");
                    return Ok(None);
                }
                _ => {
                    refused(w, "it does not take this log's checkpoints");
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }
}

fn refused(w: &Witness, why: &'static str) {
    metrics::counter!("log_cosignatures_missing_total").increment(1);
    tracing::warn!(witness = w.key.name(), why, "a witness has not cosigned");
}

/// The line of this witness in its answer, if it holds for this checkpoint.
fn own_line(w: &Witness, note: &str, answer: &str, size: u64) -> Option<String> {
    let lines = answer.split_inclusive('\n').take(WITNESSES_MAX);
    let holds = |line: &&str| {
        with_line(note, line).is_ok_and(|whole| w.key.cosigned_at(&whole).is_ok_and(|time| time.is_some()))
    };
    let line = lines.into_iter().find(holds);
    if line.is_some() {
        w.size.store(size, Ordering::Release);
    } else {
        refused(w, "its cosignature does not hold");
    }
    line.map(str::to_owned)
}

/// What this witness remembers; `None` if it does not say.
async fn remembered(client: &Client, w: &Witness, log: &parcelshelf_log::note::LogVerifier) -> Option<Remembered> {
    let request = get(&format!("{}/{}/checkpoint", w.url, origin_hash(log.name()))).ok()?;
    let answer = client.send(request, DEADLINE, ANSWER_MAX).await.ok()?;
    match answer.status.as_u16() {
        404 => Some(Remembered::Nothing),
        200 => {
            let note = String::from_utf8(answer.body?.to_vec()).ok()?;
            let checkpoint = Checkpoint::verify(&note, log).ok()?;
            w.key.cosigned_at(&note).ok()??;
            w.size.store(checkpoint.size, Ordering::Release);
            Some(Remembered::Newest(checkpoint))
        }
        _ => None,
    }
}
