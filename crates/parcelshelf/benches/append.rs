//! Durable appends to a log: salted record, sealed openings, sealed row with its MAC, leaf, tiles, signed checkpoint, on a store on
//! disk, as a keyholder writes them; beside its floor, rows of the same size without anything around them.
//!
//! At most 256 writers wait at once; each waits until its append is on the disk. An append counts once a signed checkpoint
//! covers it; at most one is signed a second, and the last one as soon as everything is in. The goal is 15,000 a second on two
//! cores. `cargo bench -p parcelshelf --bench append`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use parcelshelf_core::time::Entropy;
use parcelshelf_edge::clock::SystemEntropy;
use parcelshelf_log::Hash;
use parcelshelf_log::note::{Checkpoint, LogSigner};
use parcelshelf_log::record::{ChainHead, Kind, RecordBuilder};
use parcelshelf_log::sequencer::plan;
use parcelshelf_log::tile::{TileId, TileKind};
use parcelshelf_log::tree::Frontier;
use parcelshelf_protocol::encoding::b64;
use parcelshelf_store::keys::MemoryKeys;
use parcelshelf_store::sqlite::Options;
use parcelshelf_store::storage::Storage;
use parcelshelf_store::{Append, Batch, Engine, Put, Version};
use parcelshelf_vault::{Epochs, Vault};

const WRITERS: u64 = 256;
const APPENDS: u64 = 60_000;
const GOAL: u64 = 15_000;
const LEAVES: &str = "leaves";
/// As a keyholder takes them: each is a row, and a batch holds 256 changes.
const STEP_ENTRIES: u32 = 200;

fn put(table: &str, id: &[u8], expected: Version, state: Vec<u8>) -> Put {
    Put { table: table.to_owned(), id: id.to_vec(), expected, state, index: BTreeMap::new() }
}

/// Under which keys a keyholder's rows lie: the vault's own code, with data keys that were made before.
struct Seals {
    vault: Vault,
    row_mac: hmac::Key,
}
impl Seals {
    async fn new() -> Self {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let kms = Arc::new(Epochs::derived(&[7; 32], Arc::clone(&entropy)));
        let vault = Vault::new(kms, Arc::new(MemoryKeys::default()), entropy);
        for n in 0..WRITERS {
            vault.seal(&owner(n), b"", b"").await.expect("a data key");
        }
        Self { vault, row_mac: hmac::Key::new(hmac::HMAC_SHA256, &[8; 32]) }
    }
}
fn owner(writer: u64) -> String {
    format!("delivery/{writer:022}")
}

/// What one event writes: a record of eight fields, each with its salt, its openings sealed, the row with both sealed once more
/// for its owner and under the store's MAC; and its leaf.
async fn record(seals: &Seals, writer: u64, n: u64) -> Batch {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).expect("the machine has randomness");
    let builder = RecordBuilder::new(Kind::OpenIntended, seed)
        .field("at", "2026-11-23T15:00:00.000Z")
        .field("delivery", "AAAAAAAAAAAAAAAAAAAAAA")
        .field("attempt", "AAAAAAAAAAAAAAAAAAAAAA")
        .field("command", 1)
        .field("proof", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let built = ChainHead { seq: n, hash: seed }.onto(builder).build().expect("a record");
    let (owner, entry) = (owner(writer), built.record.entry());
    let openings: Vec<_> = built.openings.iter().map(|o| serde_json::json!([o.name, b64(o.salt), o.value])).collect();
    let openings = serde_json::to_vec(&openings).expect("plain data");
    let sealed = seals.vault.seal(&owner, &entry, &openings).await.expect("it seals");
    let row = serde_json::json!({"v": 1, "bytes": b64(built.record.bytes()), "openings_sealed": b64(sealed)});
    let row = seals.vault.seal_row(&owner, "record", &entry, row.to_string().as_bytes()).await.expect("it seals");
    let mac = hmac::sign(&seals.row_mac, &row);
    bare(&entry, [mac.as_ref(), &row].concat())
}
/// The rows themselves.
fn bare(entry: &Hash, state: Vec<u8>) -> Batch {
    Batch {
        puts: vec![put("record", entry, Version::Absent, state)],
        appends: vec![Append { stream: LEAVES.to_owned(), bytes: entry.to_vec() }],
        ..Batch::default()
    }
}

/// Integrates what waits; signs at most once a second, and when everything is in. How many checkpoints it took.
#[expect(clippy::disallowed_methods, reason = "a bench reads the machine's clock")]
async fn sequence(engine: Arc<dyn Engine>) -> u64 {
    let signer = LogSigner::from_seed("gateway.example/log", &[9; 32]).expect("a name");
    let mut frontier = Frontier::default();
    let mut tiles: BTreeMap<(TileKind, u64), (Vec<u8>, u64)> = BTreeMap::new();
    let (mut signed, mut last) = (0_u64, Instant::now());
    while frontier.size() < APPENDS {
        let waiting = engine.read_stream(LEAVES, frontier.size(), STEP_ENTRIES).await.expect("the stream");
        if waiting.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        let entries: Vec<Hash> = waiting.into_iter().map(|e| e.try_into().expect("32 bytes")).collect();
        let made = plan(&frontier, &entries, |kind, number| tiles.get(&(kind, number)).map(|(b, _)| b.clone()));
        let index = (frontier.size()..).zip(&entries);
        let mut puts: Vec<Put> =
            index.map(|(i, e)| put("leaf", e, Version::Absent, i.to_be_bytes().to_vec())).collect();
        for (TileId { kind, number, .. }, bytes) in made.tiles {
            let version = tiles.get(&(kind, number)).map_or(0, |(_, v)| *v);
            let expected = if version == 0 { Version::Absent } else { Version::Is(version) };
            puts.push(put("tile", format!("{kind:?}/{number}").as_bytes(), expected, bytes.clone()));
            tiles.insert((kind, number), (bytes, version + 1));
        }
        frontier = made.frontier;
        if last.elapsed() >= Duration::from_secs(1) || frontier.size() >= APPENDS {
            let origin = String::from("gateway.example/log");
            let checkpoint = Checkpoint { origin, size: frontier.size(), root: frontier.root() };
            let expected = if signed == 0 { Version::Absent } else { Version::Is(signed) };
            puts.push(put("checkpoint", b"log", expected, signer.sign(&checkpoint.text()).into_bytes()));
            (signed, last) = (signed + 1, Instant::now());
        }
        engine.commit(Batch { puts, ..Batch::default() }).await.expect("it commits");
    }
    signed
}

/// Appends of all writers, until the last is durable (and, with a log, covered).
#[expect(clippy::disallowed_methods, reason = "a bench reads the machine's clock")]
async fn run(with_log: bool) -> (Duration, u64) {
    let seals = Arc::new(Seals::new().await);
    let dir = tempfile::tempdir().expect("a folder");
    let engine = Storage::Disk.engine(dir.path(), "bench", Options::default()).expect("a store");
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (engine, next, seals) = (Arc::clone(&engine), Arc::clone(&next), Arc::clone(&seals));
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= APPENDS {
                        return;
                    }
                    let batch = if with_log {
                        record(&seals, writer, n).await
                    } else {
                        bare(&parcelshelf_log::tree::leaf_hash(&n.to_be_bytes()), vec![7; 1_600])
                    };
                    engine.commit(batch).await.expect("it commits");
                }
            })
        })
        .collect();
    let sequencer = with_log.then(|| tokio::spawn(sequence(Arc::clone(&engine))));
    for writer in writers {
        writer.await.expect("nobody panicked");
    }
    let checkpoints = match sequencer {
        Some(sequencer) => sequencer.await.expect("nobody panicked"),
        None => 0,
    };
    let took = start.elapsed();
    engine.close().await;
    (took, checkpoints)
}

#[expect(clippy::print_stdout, reason = "the comparison is what the bench is for")]
#[tokio::main]
async fn main() {
    let rate = |took: Duration| APPENDS as f64 / took.as_secs_f64();
    let (floor, _) = run(false).await;
    let (ours, checkpoints) = run(true).await;
    println!(
        "{APPENDS} durable appends by {WRITERS} writers: {:.0}/s with salts, record, seals, leaf, tiles and {checkpoints} \
         checkpoints",
        rate(ours)
    );
    println!("floor, the same rows alone: {:.0}/s; ratio {:.2}", rate(floor), ours.as_secs_f64() / floor.as_secs_f64());
    println!("goal {GOAL}/s: {}", if rate(ours) >= GOAL as f64 { "met" } else { "NOT met" });
}
