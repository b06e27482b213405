//! The log: leaves wait in a stream, one sequencer makes tiles and checkpoints of them.
//!
//! An entry is appended in the transaction of its event, so that nothing happened that the log does not hold. Tiles,
//! leaf positions and the tree's size commit together; a crash between two steps repeats nothing and loses nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parcelshelf_log::note::Checkpoint;
use parcelshelf_log::sequencer::{Pacer, plan};
use parcelshelf_log::tile::{FromTiles, TileId, TileKind, Tiles, Upper, WithUpper};
use parcelshelf_log::tree::{self, Frontier};
use parcelshelf_protocol::encoding::{b64, from_b64, sha256};
use parcelshelf_protocol::jws::Sign as _;
use parcelshelf_protocol::keys::{Keys, KeysClaims};
use parcelshelf_protocol::records::Event;
use parcelshelf_store::Version;
use serde_json::json;
use tokio::sync::{Notify, watch};

use crate::config::PaddingConfig;
use crate::db::{COMMON_KEY, Change, Index, LEAVES, Stored};
use crate::failure::Failure;
use crate::rows::{KeysRow, LeafRow, TileRow, TreeRow};
use crate::{Broken, Keyholder};

/// Entries integrated in one transaction: each is a row, besides the tiles that grow.
const STEP_ENTRIES: u32 = 200;
/// Published keys are signed anew when they have less than this left.
const KEYS_LEFT_MS: i64 = 30 * 86_400_000;
const KEYS_DAYS: i64 = 365;
/// Levels of tiles: a tree of 2^48 leaves.
const LEVELS: u8 = 6;
const TREE: &[u8] = b"log";
const CURRENT: &[u8] = b"current";

/// Wakes the sequencer, and keeps what proofs ask for again and again.
#[derive(Debug, Default)]
pub(crate) struct Logbook {
    waiting: Notify,
    upper: Upper,
}
impl Logbook {
    /// Leaves wait.
    pub fn ring(&self) {
        self.waiting.notify_one();
    }
}

impl Keyholder {
    /// Publishes the keyholder's keys, with a leaf, unless they are published.
    pub(crate) async fn begin(&self) -> Result<(), Broken> {
        let start = |f: Failure| Broken::Start(f.to_string());
        let current = self.db.get::<KeysRow>(CURRENT).await?;
        let now = self.host.now();
        if let Some(row) = &current {
            let log = self.keys.log.verifier().line();
            let same = Keys::verify(&row.value.jws, &log, &self.config.aud, parcelshelf_protocol::jws::Moment::Any)
                .is_ok_and(|k| {
                    let c = k.claims();
                    c.message.thumb() == self.keys.message.verifying_key().thumb()
                        && c.seal.hash() == self.keys.seal.public().hash()
                        && c.rp_id == self.config.rp_id
                        && c.wallet_origin == self.config.wallet_origin
                });
            if same && row.value.exp_ms - now.unix_millis() > KEYS_LEFT_MS {
                return Ok(());
            }
        }
        let exp = now.plus_seconds(KEYS_DAYS * 86_400);
        let claims = KeysClaims {
            iss: self.config.aud.clone(),
            iat: now,
            exp,
            message: self.keys.message.verifying_key().clone(),
            seal: self.keys.seal.public().clone(),
            log: self.keys.log.verifier().line(),
            rp_id: self.config.rp_id.clone(),
            wallet_origin: self.config.wallet_origin.clone(),
        };
        let keys = Keys::sign(&claims, &self.keys.log_key).map_err(|e| Broken::Keys(e.to_string()))?;
        let mut change = Change::new(&self.db, &self.host);
        let entry = change.record(Event::KeyAdded { keys: sha256(keys.jws()) }, COMMON_KEY).await.map_err(start)?;
        let row = KeysRow { v: 1, jws: keys.jws().to_owned(), entry: b64(entry), exp_ms: exp.unix_millis() };
        change.put(&entry, Version::Absent, &row, Index::new());
        change.put(CURRENT, current.map_or(Version::Absent, |c| c.version), &row, Index::new());
        change.commit().await.map_err(start)?;
        Ok(())
    }

    /// The keys in force.
    pub(crate) async fn published_keys(&self) -> Result<KeysRow, Failure> {
        let row = self.db.get::<KeysRow>(CURRENT).await?;
        Ok(row.ok_or_else(|| crate::failure::broken("the published keys are missing"))?.value)
    }

    async fn tree(&self) -> Result<Stored<TreeRow>, Failure> {
        let none = TreeRow { v: 1, size: 0, checkpoint: None, checkpoint_size: 0 };
        let row = self.db.get::<TreeRow>(TREE).await?;
        Ok(row.unwrap_or(Stored { value: none, id: TREE.to_vec(), version: Version::Absent }))
    }

    /// The signed checkpoint with its size, once there is one.
    pub(crate) async fn checkpoint(&self) -> Result<Option<(String, u64)>, Failure> {
        let tree = self.tree().await?.value;
        Ok(tree.checkpoint.map(|text| (text, tree.checkpoint_size)))
    }

    /// A tile's bytes at the asked width.
    pub(crate) async fn tile(&self, id: TileId) -> Result<Option<Vec<u8>>, Failure> {
        let Some(row) = self.db.get::<TileRow>(&tile_key(id.kind, id.number)).await? else { return Ok(None) };
        let Some(mut bytes) = from_b64(&row.value.bytes) else { return Ok(None) };
        if row.value.width < id.width {
            return Ok(None);
        }
        bytes.truncate(usize::from(id.width) * item_bytes(id.kind));
        Ok(Some(bytes))
    }

    /// Audit paths of these leaves in the tree of `size` leaves.
    pub(crate) async fn inclusion(&self, indexes: &[u64], size: u64) -> Result<Vec<Vec<[u8; 32]>>, Failure> {
        let mut tiles = Loaded::default();
        self.load_edge(&mut tiles, size).await?;
        for index in indexes {
            for level in 0..LEVELS {
                self.load(&mut tiles, TileKind::Hashes { level }, index >> (8 * u32::from(level)) >> 8).await?;
            }
        }
        let path = |index: &u64| {
            tree::inclusion_proof(&WithUpper { tiles: &tiles, upper: &self.log.upper }, *index, size)
                .map_err(|_| crate::failure::broken("a tile of the log is missing"))
        };
        indexes.iter().map(path).collect()
    }

    /// How many leaves the tree has.
    pub(crate) async fn tree_size(&self) -> Result<u64, Failure> {
        Ok(self.tree().await?.value.size)
    }

    /// The root of the tree of the first `size` leaves, which must be there.
    pub(crate) async fn root_at(&self, size: u64) -> Result<[u8; 32], Failure> {
        let mut edge = Loaded::default();
        self.load_edge(&mut edge, size).await?;
        tree::root_of(&FromTiles(&edge), size).map_err(|_| crate::failure::broken("a tile of the log is missing"))
    }

    /// Proves that the tree of `old` leaves is a prefix of that of `new`.
    pub(crate) async fn consistency(&self, old: u64, new: u64) -> Result<Vec<[u8; 32]>, Failure> {
        let mut tiles = Loaded::default();
        self.load_edge(&mut tiles, new).await?;
        for index in [old.saturating_sub(1), old] {
            for level in 0..LEVELS {
                self.load(&mut tiles, TileKind::Hashes { level }, index >> (8 * u32::from(level)) >> 8).await?;
            }
        }
        tree::consistency_proof(&WithUpper { tiles: &tiles, upper: &self.log.upper }, old, new)
            .map_err(|_| crate::failure::broken("a tile of the log is missing"))
    }

    /// The tiles on the right edge of a tree, and the full ones before them.
    async fn load_edge(&self, into: &mut Loaded, size: u64) -> Result<(), Failure> {
        for level in 0..LEVELS {
            let number = size >> (8 * u32::from(level)) >> 8;
            self.load(into, TileKind::Hashes { level }, number).await?;
            if let Some(before) = number.checked_sub(1) {
                self.load(into, TileKind::Hashes { level }, before).await?;
            }
        }
        Ok(())
    }

    async fn load(&self, into: &mut Loaded, kind: TileKind, number: u64) -> Result<(), Failure> {
        if let Some(row) = self.db.get::<TileRow>(&tile_key(kind, number)).await?
            && !into.0.contains_key(&(kind, number))
            && let Some(bytes) = from_b64(&row.value.bytes)
        {
            into.0.insert((kind, number), (bytes, row.version));
        }
        Ok(())
    }

    /// Integrates waiting entries once, so many at most; true if there were any.
    async fn integrate(&self, most: u32) -> Result<bool, Failure> {
        let tree = self.tree().await?;
        let size = tree.value.size;
        let entries = self.db.engine().read_stream(LEAVES, size, most).await?;
        if entries.is_empty() {
            return Ok(false);
        }
        let entries: Vec<[u8; 32]> = entries.into_iter().filter_map(|e| e.try_into().ok()).collect();
        let mut edge = Loaded::default();
        self.load_edge(&mut edge, size).await?;
        self.load(&mut edge, TileKind::Entries, size / 256).await?;
        let frontier = Frontier::of(&FromTiles(&edge), size)
            .map_err(|_| crate::failure::broken("a tile of the log is missing"))?;
        let made = plan(&frontier, &entries, |kind, number| edge.0.get(&(kind, number)).map(|(b, _)| b.clone()));
        let mut change = Change::new(&self.db, &self.host);
        for (index, entry) in (size..).zip(&entries) {
            change.put(entry, Version::Absent, &LeafRow { v: 1, index }, Index::new());
        }
        for (id, bytes) in &made.tiles {
            let version = edge.0.get(&(id.kind, id.number)).map_or(Version::Absent, |(_, v)| *v);
            let row = TileRow { v: 1, bytes: b64(bytes), width: id.width };
            change.put(&tile_key(id.kind, id.number), version, &row, Index::new());
        }
        let mut tree = tree;
        tree.value.size = made.frontier.size();
        change.update(&tree, Index::new());
        change.journal("log", TREE, "log_integrated", &json!({"size": tree.value.size}));
        change.commit().await?;
        Ok(true)
    }

    /// Integrates all that waits and signs for it.
    async fn catch_up(&self, pacer: &mut Pacer) -> Result<(), Failure> {
        while self.integrate(STEP_ENTRIES).await? {}
        if self.sign_checkpoint().await? {
            pacer.signed(ms(self.log_timer.uptime()));
            self.witnesses.ring();
        }
        Ok(())
    }

    /// Lets the log grow by exactly so many leaves and signs for them: what waits, filled up with leaves of nothing. What is
    /// more than that waits for the next time, so that from outside every step looks like every other.
    async fn grow_by(&self, leaves: u32) -> Result<(), Failure> {
        let size = self.tree().await?.value.size;
        let waiting = self.db.engine().read_stream(LEAVES, size, leaves).await?.len();
        let missing = usize::try_from(leaves).unwrap_or(0).saturating_sub(waiting);
        if missing > 0 {
            let mut change = Change::new(&self.db, &self.host);
            (0..missing).for_each(|_| change.pad());
            change.commit().await?;
        }
        self.integrate(leaves).await?;
        if self.sign_checkpoint().await? {
            self.witnesses.ring();
        }
        Ok(())
    }

    /// Signs a checkpoint if the tree has grown since the last one.
    async fn sign_checkpoint(&self) -> Result<bool, Failure> {
        let mut tree = self.tree().await?;
        if tree.value.checkpoint_size == tree.value.size {
            return Ok(false);
        }
        let size = tree.value.size;
        let root = self.root_at(size).await?;
        let checkpoint = Checkpoint { origin: self.keys.log.verifier().name().to_owned(), size, root };
        tree.value.checkpoint = Some(self.keys.log.sign(&checkpoint.text()));
        tree.value.checkpoint_size = size;
        let mut change = Change::new(&self.db, &self.host);
        change.update(&tree, Index::new());
        change.journal("log", TREE, "checkpoint_signed", &json!({"size": size}));
        change.commit().await?;
        Ok(true)
    }
}

/// Entries come in bunches; a moment's rest lets one step take them together.
const GATHER: Duration = Duration::from_millis(5);
/// A step that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(1);
/// Nothing waits: somebody rings when that changes.
const REST: Duration = Duration::from_secs(600);

/// The sequencer of a log that grows at a constant rate. At the stop nothing is hurried: what waits is in the store and
/// comes in its turn after the next start.
async fn padded(keyholder: &Keyholder, by: PaddingConfig, mut stop: watch::Receiver<bool>) {
    let timer = &keyholder.log_timer;
    let mut beat = Beat::new(timer.uptime(), Duration::from_secs(u64::from(by.every_s)));
    loop {
        tokio::select! {
            biased;
            () = timer.sleep(beat.next.saturating_sub(timer.uptime())) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
        let _ = keyholder.grow_by(by.leaves).await.inspect_err(complain);
        beat.done(timer.uptime());
    }
}

/// When the next step of a log that grows at a constant rate is due: by the clock and not by when the last one ended, for how
/// long a step takes tells something, too.
#[derive(Debug, Clone, Copy)]
struct Beat {
    every: Duration,
    next: Duration,
}
impl Beat {
    fn new(now: Duration, every: Duration) -> Self {
        Self { every, next: now + every }
    }
    /// A step has ended. What was missed meanwhile is not made up for: that would be a burst after something.
    fn done(&mut self, now: Duration) {
        while self.next <= now {
            self.next += self.every;
        }
    }
}

/// Runs until `stop`; then integrates what waits and signs once more.
///
/// Nobody needs an entry before a checkpoint covers it, so that entries are integrated at the pace of checkpoints: one
/// set of tiles for everything that came in a second. That second is real time also in a simulated day, for it bounds
/// work, not waiting: hence a timer of its own.
pub(crate) async fn sequence(keyholder: Arc<Keyholder>, mut stop: watch::Receiver<bool>) {
    if let Some(padding) = keyholder.config.log.padding {
        return padded(&keyholder, padding, stop).await;
    }
    let timer = Arc::clone(&keyholder.log_timer);
    let mut pacer = Pacer::default();
    loop {
        let pause = match keyholder.catch_up(&mut pacer).await.inspect_err(complain) {
            Ok(()) => REST,
            Err(_) => RETRY,
        };
        tokio::select! {
            biased;
            () = keyholder.log.waiting.notified() => {
                let due = Duration::from_millis(pacer.wait_ms(ms(timer.uptime())));
                tokio::select! {
                    biased;
                    () = timer.sleep(due.max(GATHER)) => {}
                    _ = stop.wait_for(|s| *s) => {}
                }
            }
            () = timer.sleep(pause) => {}
            stopped = async { stop.wait_for(|s| *s).await.is_ok() } => {
                tracing::debug!(stopped, "the log is finished");
                break;
            }
        }
    }
    // The last checkpoint may be due only in a moment.
    timer.sleep(Duration::from_millis(pacer.wait_ms(ms(timer.uptime())))).await;
    let _ = keyholder.catch_up(&mut pacer).await.inspect_err(complain);
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
fn complain(failure: &Failure) {
    tracing::error!(error = %failure, "the log could not be continued now");
}
const fn item_bytes(kind: TileKind) -> usize {
    match kind {
        TileKind::Entries => 34,
        TileKind::Hashes { .. } => 32,
    }
}
fn tile_key(kind: TileKind, number: u64) -> Vec<u8> {
    match kind {
        TileKind::Entries => format!("e/{number}"),
        TileKind::Hashes { level } => format!("{level}/{number}"),
    }
    .into_bytes()
}

/// Tiles in memory with the versions of their rows.
#[derive(Default)]
struct Loaded(BTreeMap<(TileKind, u64), (Vec<u8>, Version)>);
impl Tiles for Loaded {
    fn hashes(&self, level: u8, number: u64) -> Option<&[u8]> {
        self.0.get(&(TileKind::Hashes { level }, number)).map(|(bytes, _)| bytes.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_due_by_the_clock_whatever_a_step_takes() {
        let ms = Duration::from_millis;
        let (begin, every) = (ms(12_345), ms(1_000));
        let mut beat = Beat::new(begin, every);
        // What each step took after it was due: nothing, something, exactly a beat, more than three, nothing again.
        for (took, due_next) in [(0, 2), (400, 3), (999, 4), (1_000, 6), (3_500, 10), (1, 11)] {
            let due = beat.next;
            beat.done(due + ms(took));
            assert_eq!(beat.next, begin + every * due_next, "after a step of {took} ms");
            assert!(beat.next > due + ms(took) && beat.next <= due + ms(took) + every);
        }
    }
}
