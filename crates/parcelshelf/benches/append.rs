//! Durable appends to a log: salted record, sealed openings, leaf, tiles, signed checkpoint, on a store on disk, as a
//! keyholder writes them; beside its floor, the same rows without anything around them.
//!
//! At most 256 writers wait at once. An append counts once a signed checkpoint covers it. The goal is 15,000 a second on two
//! cores. `cargo bench -p parcelshelf --bench append`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use parcelshelf_log::Hash;
use parcelshelf_log::note::{Checkpoint, LogSigner};
use parcelshelf_log::record::{ChainHead, Kind, RecordBuilder};
use parcelshelf_log::sequencer::{STEP_ENTRIES_MAX, plan};
use parcelshelf_log::tile::{TileId, TileKind};
use parcelshelf_log::tree::Frontier;
use parcelshelf_store::sqlite::Options;
use parcelshelf_store::storage::Storage;
use parcelshelf_store::{Append, Batch, Engine, Put, Version};

const WRITERS: u64 = 256;
const APPENDS: u64 = 60_000;
const GOAL: u64 = 15_000;
const LEAVES: &str = "leaves";

fn put(table: &str, id: &[u8], expected: Version, state: Vec<u8>) -> Put {
    Put { table: table.to_owned(), id: id.to_vec(), expected, state, index: BTreeMap::new() }
}

/// What one event writes: a record of eight fields with its openings sealed, and its leaf.
fn record(key: &LessSafeKey, n: u64) -> Batch {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).expect("the machine has randomness");
    let builder = RecordBuilder::new(Kind::OpenIntended, seed)
        .field("at", "2026-11-23T15:00:00.000Z")
        .field("delivery", "AAAAAAAAAAAAAAAAAAAAAA")
        .field("attempt", "AAAAAAAAAAAAAAAAAAAAAA")
        .field("command", 1)
        .field("proof", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let built = ChainHead { seq: n, hash: seed }.onto(builder).build().expect("a record");
    let openings: Vec<_> =
        built.openings.iter().map(|o| serde_json::json!([o.name, o.salt.to_vec(), o.value])).collect();
    let mut sealed = serde_json::to_vec(&openings).expect("plain data");
    let nonce = Nonce::try_assume_unique_for_key(&seed[..12]).expect("twelve bytes");
    key.seal_in_place_append_tag(nonce, Aad::from(built.record.entry()), &mut sealed).expect("it seals");
    let state = [built.record.bytes(), &sealed].concat();
    bare(&built.record.entry(), state)
}
/// The rows themselves.
fn bare(entry: &Hash, state: Vec<u8>) -> Batch {
    Batch {
        puts: vec![put("record", entry, Version::Absent, state)],
        appends: vec![Append { stream: LEAVES.to_owned(), bytes: entry.to_vec() }],
        ..Batch::default()
    }
}

/// Integrates what waits and signs, once a second, until everything is covered.
async fn sequence(engine: Arc<dyn Engine>) {
    let signer = LogSigner::from_seed("gateway.example/log", &[9; 32]).expect("a name");
    let mut frontier = Frontier::default();
    let mut tiles: BTreeMap<(TileKind, u64), (Vec<u8>, u64)> = BTreeMap::new();
    let limit = u32::try_from(STEP_ENTRIES_MAX).expect("a small number");
    while frontier.size() < APPENDS {
        tokio::time::sleep(Duration::from_millis(200)).await;
        loop {
            let waiting = engine.read_stream(LEAVES, frontier.size(), limit).await.expect("the stream");
            if waiting.is_empty() {
                break;
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
            let checkpoint = Checkpoint {
                origin: String::from("gateway.example/log"),
                size: frontier.size(),
                root: frontier.root(),
            };
            let name = format!("{}", frontier.size());
            puts.push(put(
                "checkpoint",
                name.as_bytes(),
                Version::Absent,
                signer.sign(&checkpoint.text()).into_bytes(),
            ));
            engine.commit(Batch { puts, ..Batch::default() }).await.expect("it commits");
        }
    }
}

/// Appends of all writers, until the last is durable (and, with a log, covered).
#[expect(clippy::disallowed_methods, reason = "a bench reads the machine's clock")]
async fn run(with_log: bool) -> Duration {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = Storage::Disk.engine(dir.path(), "bench", Options::default()).expect("a store");
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (engine, next) = (Arc::clone(&engine), Arc::clone(&next));
            tokio::spawn(async move {
                let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("a key"));
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= APPENDS {
                        return;
                    }
                    let batch = if with_log {
                        record(&key, n)
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
    if let Some(sequencer) = sequencer {
        sequencer.await.expect("nobody panicked");
    }
    let took = start.elapsed();
    engine.close().await;
    took
}

#[expect(clippy::print_stdout, reason = "the comparison is what the bench is for")]
#[tokio::main]
async fn main() {
    let rate = |took: Duration| APPENDS as f64 / took.as_secs_f64();
    let floor = run(false).await;
    let ours = run(true).await;
    println!(
        "{APPENDS} appends by {WRITERS} writers: {:.0}/s with record, seal, leaf, tile and checkpoint",
        rate(ours)
    );
    println!("floor, the same rows alone: {:.0}/s; ratio {:.2}", rate(floor), ours.as_secs_f64() / floor.as_secs_f64());
    println!("goal {GOAL}/s: {}", if rate(ours) >= GOAL as f64 { "met" } else { "NOT met" });
}
