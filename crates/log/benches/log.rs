//! What a record in the log and a proof of it cost, each beside its floor in the same run.
//!
//! The floor is bare SHA-256: over as many bytes, in as many hashes, as the definition of the tree asks for, without the
//! tree, the tiles or the proof around it. `cargo bench -p parcelshelf-log --bench log`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use parcelshelf_log::Hash;
use parcelshelf_log::record::{Built, ChainHead, Kind, RecordBuilder};
use parcelshelf_log::sequencer::{Plan, plan};
use parcelshelf_log::tile::{FromTiles, TileId, TileKind, Tiles, Upper, WithUpper};
use parcelshelf_log::tree::{Frontier, inclusion_proof, verify_inclusion};
use sha2::{Digest as _, Sha256};

/// Entries that one step appends.
const STEP: u64 = 256;
/// Entries of the log in which something is proved: about a year of a small town.
const LOG: u64 = 100_000;
/// Bytes of a leaf: 0x00 ‖ entry. Of a node: 0x01 ‖ left ‖ right.
const LEAF_BYTES: usize = 33;
const NODE_BYTES: usize = 65;
/// A proof in a log of a million leaves takes at most so many times as long as in one of ten thousand.
const PROOF_GOAL: f64 = 1.5;

/// Runs one measurement through criterion and gives back an iteration's time in the fastest sample: whatever else runs on
/// the machine only adds to the others.
#[expect(clippy::disallowed_methods, reason = "a bench reads the machine's clock")]
fn measure<T>(c: &mut Criterion, name: &str, mut work: impl FnMut() -> T) -> Duration {
    let mut samples: Vec<Duration> = Vec::new();
    c.bench_function(name, |b| {
        b.iter_custom(|iterations| {
            let start = Instant::now();
            for _ in 0..iterations {
                black_box(work());
            }
            let took = start.elapsed();
            samples.push(took / u32::try_from(iterations).unwrap_or(u32::MAX));
            took
        });
    });
    samples.into_iter().min().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "the ratios are what the bench is for")]
fn compare(what: &str, ours: Duration, floor: Duration) {
    if floor.is_zero() {
        return; // filtered out on the command line
    }
    let ratio = ours.as_secs_f64() / floor.as_secs_f64();
    println!("ratio  {what:<34} {ours:>10.2?} / floor {floor:>10.2?} = {ratio:.2}");
}

#[expect(clippy::print_stdout, reason = "the ratio is what the bench is for")]
fn grown(small: Duration, large: Duration) {
    compare("proof p50 at 1,000,000 to 10,000", large, small);
    let ratio = large.as_secs_f64() / small.as_secs_f64();
    println!("goal {PROOF_GOAL}: {}", if ratio <= PROOF_GOAL { "met" } else { "NOT met" });
}

fn bare(hashes: usize, bytes: usize) -> Hash {
    let input = vec![7_u8; bytes];
    let mut last = [0; 32];
    for _ in 0..hashes {
        last = Sha256::digest(black_box(&input)).into();
    }
    last
}

/// A record like that of a command: eight fields, two of them its place in the chain.
fn record(head: &ChainHead, seed: Hash) -> Built {
    let builder = RecordBuilder::new(Kind::OpenIntended, seed)
        .field("at", "2026-11-23T15:00:00.000Z")
        .field("delivery", "AAAAAAAAAAAAAAAAAAAAAA")
        .field("attempt", "AAAAAAAAAAAAAAAAAAAAAA")
        .field("command", 1)
        .field("proof", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    head.onto(builder).build().expect("a record")
}

#[derive(Default)]
struct Stored(BTreeMap<(TileKind, u64), Vec<u8>>);
impl Stored {
    fn plan(&self, frontier: &Frontier, entries: &[Hash]) -> Plan {
        plan(frontier, entries, |kind, number| self.0.get(&(kind, number)).cloned())
    }
    fn keep(&mut self, tiles: BTreeMap<TileId, Vec<u8>>) {
        self.0.extend(tiles.into_iter().map(|(id, bytes)| ((id.kind, id.number), bytes)));
    }
}
impl Tiles for Stored {
    fn hashes(&self, level: u8, number: u64) -> Option<&[u8]> {
        self.0.get(&(TileKind::Hashes { level }, number)).map(Vec::as_slice)
    }
}

fn entries(from: u64, to: u64) -> Vec<Hash> {
    (from..to).map(|n| Sha256::digest(n.to_be_bytes()).into()).collect()
}

/// Median time of one inclusion proof from tiles, over leaves spread over a log of this size.
#[expect(clippy::disallowed_methods, reason = "a bench reads the machine's clock")]
fn proof_p50(size: u64) -> Duration {
    let (mut stored, mut frontier) = (Stored::default(), Frontier::default());
    for start in (0..size).step_by(1024) {
        let planned = stored.plan(&frontier, &entries(start, (start + 1024).min(size)));
        frontier = planned.frontier;
        stored.keep(planned.tiles);
    }
    // As a service proves it: what lies inside full upper tiles is kept.
    let upper = Upper::default();
    let (tree, root) = (WithUpper { tiles: &stored, upper: &upper }, frontier.root());
    let mut times: Vec<Duration> = (0..2_001_u64)
        .map(|n| {
            let index = n * 7_919 % size;
            let start = Instant::now();
            let proof = black_box(inclusion_proof(&tree, index, size).expect("all tiles are there"));
            let took = start.elapsed();
            let leaf = parcelshelf_log::tree::leaf_hash(&entries(index, index + 1)[0]);
            assert!(verify_inclusion(&leaf, index, size, &proof, &root), "the proof proves");
            took
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn main() {
    let mut c = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();

    // A record: per field one salt and one commitment, then the bytes for the entry and for the chain.
    let built = record(&ChainHead::default(), [3; 32]);
    let salted: Vec<usize> =
        built.openings.iter().map(|o| 13 + 2 + o.name.len() + o.salt.len() + o.value.len()).collect();
    let salts: Vec<usize> = built.openings.iter().map(|o| 12 + 32 + o.name.len()).collect();
    let floor = measure(&mut c, "floor: SHA-256 of a record", || {
        for bytes in salted.iter().chain(&salts) {
            black_box(bare(1, *bytes));
        }
        bare(2, built.record.bytes().len() + 14)
    });
    let ours = measure(&mut c, "build a record", || {
        let built = record(&ChainHead::default(), [3; 32]);
        (built.record.entry(), built.record.chain_hash())
    });
    compare("build a record", ours, floor);

    // Appending: one leaf hash per entry, and one node per subtree that becomes complete.
    let (mut stored, mut frontier) = (Stored::default(), Frontier::default());
    for start in (0..LOG).step_by(STEP as usize) {
        let planned = stored.plan(&frontier, &entries(start, (start + STEP).min(LOG)));
        frontier = planned.frontier;
        stored.keep(planned.tiles);
    }
    let more = entries(LOG, LOG + STEP);
    let mut nodes = 0;
    let mut after = frontier.clone();
    for entry in &more {
        after.append(parcelshelf_log::tree::leaf_hash(entry), |level, _, _| nodes += usize::from(level > 0));
    }
    let floor =
        measure(&mut c, "floor: SHA-256 of 256 appended", || (bare(more.len(), LEAF_BYTES), bare(nodes, NODE_BYTES)));
    let ours = measure(&mut c, "append 256 entries, with tiles", || stored.plan(&frontier, &more));
    compare("append 256 entries, with tiles", ours, floor);

    // Proving from tiles of height 8: a proof's hashes lie inside tiles, so most are computed anew from a tile's row.
    let (size, root) = (frontier.size(), frontier.root());
    let tree = FromTiles(&stored);
    let index = size / 3;
    let leaf = parcelshelf_log::tree::leaf_hash(&entries(index, index + 1)[0]);
    let proof = inclusion_proof(&tree, index, size).expect("all tiles are there");
    assert!(verify_inclusion(&leaf, index, size, &proof, &root), "the proof proves");
    let counted = Counted { tree: &tree, nodes: std::cell::Cell::new(0) };
    inclusion_proof(&counted, index, size).expect("all tiles are there");
    let needed = counted.nodes.get(); // a few more join what the right edge's tiles give

    let floor = measure(&mut c, "floor: SHA-256 of a proof's nodes", || bare(needed, NODE_BYTES));
    let ours = measure(&mut c, "prove inclusion from tiles", || {
        inclusion_proof(&tree, index, size).expect("all tiles are there")
    });
    compare("prove inclusion from tiles", ours, floor);

    let floor = measure(&mut c, "floor: SHA-256 of a path", || bare(proof.len(), NODE_BYTES));
    let ours = measure(&mut c, "verify inclusion", || verify_inclusion(&leaf, index, size, &proof, &root));
    compare("verify inclusion", ours, floor);
    c.final_summary();
    if std::env::args().all(|a| a != "--test") {
        // A log that is a hundred times as large: the goal is at most 1.5 times as long.
        grown(proof_p50(10_000), proof_p50(1_000_000));
    }
}

/// Counts the nodes that must be hashed to get subtrees out of tiles of height 8.
struct Counted<'a> {
    tree: &'a FromTiles<'a, Stored>,
    nodes: std::cell::Cell<usize>,
}
impl parcelshelf_log::tree::Subtrees for Counted<'_> {
    fn subtree(&self, level: u8, index: u64) -> Option<Hash> {
        self.nodes.set(self.nodes.get() + (1 << (level % 8)) - 1);
        parcelshelf_log::tree::Subtrees::subtree(self.tree, level, index)
    }
}
