//! A process of its own that commits numbered batches and says on its standard output which ones were acknowledged.
//!
//! A test starts its own binary again with one ignored test as the child. Each batch is spread over every kind of thing
//! that a batch can hold, so that half a batch would show.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use parcelshelf_core::time::Timestamp;
use parcelshelf_store::sqlite::{Fate, OnStep, Options, SqliteEngine, Step};
use parcelshelf_store::{Append, Batch, Engine, JobWrite, JournalWrite, Put, Version};

const VARIABLE: &str = "PARCELSHELF_STORE_TEST_CHILD";

/// What the child is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orders {
    /// The number of the first batch.
    pub first: u64,
    /// The child ends by itself after so many.
    pub count: u64,
    /// How many commit at the same time, each the next batch only when its last one was acknowledged.
    pub writers: u64,
    pub manner: Manner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Through the engine.
    Engine,
    /// Through the engine, and dies in the transaction with the last batch, before its `COMMIT`.
    DieBefore,
    /// As above, right after the `COMMIT`, when nobody has been told yet.
    DieAfter,
    /// The control: the bare database, not asked to flush. What a careless store would do.
    Careless,
}

/// The words by which a batch is found in raw bytes.
pub fn marker(number: u64) -> String {
    format!("batch-{number:08}.")
}

/// The line that acknowledges a batch.
pub fn acknowledged(line: &str) -> Option<u64> {
    line.strip_prefix("ack ")?.trim_end().parse().ok()
}

pub fn batch(number: u64) -> Batch {
    let id = number.to_be_bytes().to_vec();
    let state = marker(number).into_bytes();
    let put = |table: &str| Put {
        table: table.to_owned(),
        id: id.clone(),
        expected: Version::Absent,
        state: state.clone(),
        index: [(String::from("by_number"), id.clone())].into(),
    };
    let event = |kind: &str| JournalWrite {
        table: String::from("left"),
        id: id.clone(),
        kind: kind.to_owned(),
        event: state.clone(),
    };
    let append = |stream: &str| Append { stream: stream.to_owned(), bytes: id.clone() };
    Batch {
        puts: vec![put("left"), put("right")],
        journal: vec![event("begun"), event("ended")],
        appends: vec![append("log"), append("mirror")],
        jobs: vec![JobWrite {
            queue: String::from("send"),
            id: id.clone(),
            run_at: Timestamp::EPOCH,
            payload: state.clone(),
        }],
        ..Batch::default()
    }
}

/// Arguments for this test binary that run its ignored test `child`, and the variable that tells it what to do.
pub fn prepare(command: &mut Command, store: &Path, orders: Orders) {
    let Orders { first, count, writers, manner } = orders;
    let text = format!("{first} {count} {writers} {manner:?} {}", store.display());
    command.args(["--ignored", "--exact", "child", "--nocapture", "--test-threads=1"]).env(VARIABLE, text);
}

/// The child itself.
pub fn run() {
    let text = std::env::var(VARIABLE).expect("only the tests in this file start the child");
    let parts: Vec<&str> = text.splitn(5, ' ').collect();
    let number = |n: usize| parts[n].parse::<u64>().expect("a number");
    let manner = [Manner::Engine, Manner::DieBefore, Manner::DieAfter, Manner::Careless]
        .into_iter()
        .find(|m| format!("{m:?}") == parts[3])
        .expect("a manner");
    let orders = Orders { first: number(0), count: number(1), writers: number(2), manner };
    let store = Path::new(parts[4]);
    // The test harness may have begun a line.
    say("\n");
    if manner == Manner::Careless { careless(store, orders) } else { commit_all(store, orders) }
}

/// One line, one `write`.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("the parent reads");
}

fn commit_all(store: &Path, Orders { first, count, writers, manner }: Orders) {
    let end = first + count;
    let last = marker(end - 1);
    let seen = std::sync::atomic::AtomicU64::new(0);
    let on_step: OnStep = Arc::new(move |step| {
        let before = matches!(step, Step::BeforeCommit { .. });
        let due = if before { Manner::DieBefore } else { Manner::DieAfter };
        if before {
            seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        if manner == due && seen.load(std::sync::atomic::Ordering::Relaxed) == count {
            eprintln!("dying at {last}");
            std::process::abort();
        }
        Fate::Goes
    });
    let options = Options { on_step: (manner != Manner::Engine).then_some(on_step), ..Options::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    runtime.block_on(async {
        let engine = Arc::new(SqliteEngine::open(store, options).expect("opens"));
        let mut running = tokio::task::JoinSet::new();
        for writer in 0..writers {
            let engine = Arc::clone(&engine);
            running.spawn(async move {
                let mut number = first + writer;
                while number < end {
                    engine.commit(batch(number)).await.expect("commits");
                    say(&format!("ack {number}\n"));
                    number += writers;
                }
            });
        }
        running.join_all().await;
        engine.close().await;
    });
}

fn careless(store: &Path, Orders { first, count, .. }: Orders) {
    let bare = rusqlite::Connection::open(store).expect("opens");
    bare.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; CREATE TABLE t (n INTEGER, state TEXT)")
        .expect("a table");
    for number in first..first + count {
        bare.execute("INSERT INTO t VALUES (?1, ?2)", rusqlite::params![number, marker(number)]).expect("inserts");
        say(&format!("ack {number}\n"));
    }
}
