//! Commits through the engine against a floor in the same run: bare SQLite, one `INSERT` of the same bytes for each
//! batch, as durable as the engine (`WAL`, `synchronous=FULL`).
//!
//! With one writer the floor is one transaction for each insert; with 16 and 64 writers it is stated twice: against
//! single inserts (what grouping gains) and against inserts in transactions of 16 and 64 (what the port costs). The ratios
//! come from short rounds that take turns, so that a disk that slows down does so for both.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use parcelshelf_core::time::Timestamp;
use parcelshelf_store::sqlite::{Options, SqliteEngine};
use parcelshelf_store::{Append, Batch, Engine, JournalWrite, Put, Version};
use rusqlite::Connection;
use tokio::runtime::Runtime;

const WRITERS: [u64; 3] = [1, 16, 64];
const STATE: usize = 400;
const EVENT: usize = 150;
const LEAF: usize = 50;
/// Rounds from which the medians are taken.
const ROUNDS: usize = 9;

/// The elapsed time of `work`.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time; nothing is decided by it")]
fn elapsed(work: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    work();
    start.elapsed()
}

/// A typical transition: one row with two index keys, one entry of the journal, one leaf of the log.
fn transition(number: u64) -> Batch {
    let id = number.to_be_bytes().to_vec();
    let table = || String::from("delivery");
    Batch {
        at: Some(Timestamp::EPOCH),
        puts: vec![Put {
            table: table(),
            id: id.clone(),
            expected: Version::Absent,
            state: vec![1; STATE],
            index: [(String::from("by_day"), vec![2; 10]), (String::from("by_state"), vec![3; 4])].into(),
        }],
        journal: vec![JournalWrite { table: table(), id, kind: String::from("announced"), event: vec![4; EVENT] }],
        appends: vec![Append { stream: String::from("log"), bytes: vec![5; LEAF] }],
        ..Batch::default()
    }
}

struct Engines {
    runtime: Runtime,
    engine: Arc<SqliteEngine>,
    next: u64,
}

impl Engines {
    fn open(path: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
        let engine = SqliteEngine::open(path, Options::default()).expect("opens");
        Self { runtime, engine: Arc::new(engine), next: 0 }
    }

    /// Commits `count` batches by so many writers; each waits for its last one.
    fn commit(&mut self, count: u64, writers: u64) -> Duration {
        let (first, end) = (self.next, self.next + count);
        self.next = end;
        let engine = &self.engine;
        elapsed(|| {
            self.runtime.block_on(async {
                let mut running = tokio::task::JoinSet::new();
                for writer in 0..writers.min(count) {
                    let engine = Arc::clone(engine);
                    running.spawn(async move {
                        let mut number = first + writer;
                        while number < end {
                            engine.commit(transition(number)).await.expect("commits");
                            number += writers;
                        }
                    });
                }
                running.join_all().await;
            });
        })
    }
}

/// Bare SQLite.
struct Floor(Connection);

impl Floor {
    fn open(path: &Path) -> Self {
        let bare = Connection::open(path).expect("opens");
        bare.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (n INTEGER PRIMARY KEY, bytes BLOB)",
        )
        .expect("a table");
        Self(bare)
    }

    /// Inserts `count` times the bytes of a transition, `group` of them in each transaction.
    fn insert(&self, count: u64, group: u64) -> Duration {
        let bytes = vec![1_u8; STATE + EVENT + LEAF];
        elapsed(|| {
            let mut left = count;
            while left > 0 {
                let transaction = self.0.unchecked_transaction().expect("begins");
                for _ in 0..left.min(group) {
                    let mut insert = transaction.prepare_cached("INSERT INTO t (bytes) VALUES (?1)").expect("prepared");
                    insert.execute([&bytes]).expect("inserts");
                }
                left -= left.min(group);
                transaction.commit().expect("commits");
            }
        })
    }
}

fn benchmarks(criterion: &mut Criterion, engines: &RefCell<Engines>, floor: &Floor) {
    let mut group = criterion.benchmark_group("commits");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_millis(2500));
    group.throughput(Throughput::Elements(1));
    for writers in WRITERS {
        group.bench_function(BenchmarkId::new("engine", writers), |b| {
            b.iter_custom(|count| engines.borrow_mut().commit(count, writers));
        });
        group.bench_function(BenchmarkId::new("floor", writers), |b| {
            b.iter_custom(|count| floor.insert(count, writers));
        });
    }
    group.finish();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(clippy::print_stdout, reason = "the ratios are what this benchmark is for")]
fn ratios(engines: &RefCell<Engines>, floor: &Floor) {
    println!("writers  engine/s  single/s  engine:single  grouped/s  engine:grouped   (medians of {ROUNDS} rounds)");
    for writers in WRITERS {
        let (count, singles) = (40 * writers, 60);
        let per_second = |count: u32, time: Duration| f64::from(count) / time.as_secs_f64();
        let count_u32 = u32::try_from(count).expect("small");
        let (mut engine, mut single, mut grouped) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            engine.push(per_second(count_u32, engines.borrow_mut().commit(count, writers)));
            single.push(per_second(singles, floor.insert(u64::from(singles), 1)));
            grouped.push(per_second(count_u32, floor.insert(count, writers)));
        }
        let ratio = |below: &[f64]| median(engine.iter().zip(below).map(|(e, b)| e / b).collect());
        let (to_single, to_grouped) = (ratio(&single), ratio(&grouped));
        let (engine, single, grouped) = (median(engine), median(single), median(grouped));
        println!("{writers:>7}  {engine:>8.0}  {single:>8.0}  {to_single:>13.2}  {grouped:>9.0}  {to_grouped:>14.2}");
    }
}

fn main() {
    // Beside the build output, which is on a disk; the folder for temporary files may be memory, where a flush is free.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let engines = RefCell::new(Engines::open(&folder.path().join("engine.db")));
    let floor = Floor::open(&folder.path().join("floor.db"));
    let mut criterion = Criterion::default().configure_from_args().without_plots();
    benchmarks(&mut criterion, &engines, &floor);
    criterion.final_summary();
    if !std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        ratios(&engines, &floor);
    }
}
