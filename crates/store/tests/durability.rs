//! A store whose process is killed holds every acknowledged batch whole, and no half of any other.

mod child;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use child::{Manner, Orders};
use parcelshelf_core::time::Timestamp;
use parcelshelf_store::sqlite::{Options, SqliteEngine};
use parcelshelf_store::{Engine, ListQuery};

#[test]
#[ignore = "the child of the tests in this file: commits until it is killed"]
fn child() {
    child::run();
}

fn start(store: &Path, orders: Orders) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    child::prepare(&mut command, store, orders);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the child starts")
}

/// Reads acknowledgements until there are `enough`, kills the child, and reads what it had still said.
fn kill_after(mut child: Child, enough: usize) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    for line in out.lines() {
        acknowledged.extend(child::acknowledged(&line.expect("text")));
        if acknowledged.len() == enough {
            child.kill().expect("SIGKILL");
        }
    }
    let status = child.wait().expect("it ended");
    assert_eq!(status.signal(), Some(9), "it was killed, and did not end by itself: {status}");
    assert!(acknowledged.len() >= enough, "it died after {} acknowledgements", acknowledged.len());
    acknowledged
}

async fn ids(engine: &dyn Engine, table: &str, index: &str) -> Vec<Vec<u8>> {
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let (table, index) = (table.to_owned(), index.to_owned());
        let query = ListQuery { table, index, prefix: Vec::new(), cursor, limit: 500 };
        let page = engine.list(query).await.expect("lists");
        for row in page.rows {
            let number = u64::from_be_bytes(row.id.as_slice().try_into().expect("a number"));
            assert_eq!(row.state, child::marker(number).into_bytes());
            ids.push(row.id);
        }
        cursor = page.next;
        if cursor.is_none() {
            return ids;
        }
    }
}

/// Numbers of all batches in the store, of which every part must be there. Claims the jobs until `now` + 1 s.
async fn whole_batches(store: &Path, now: Timestamp) -> BTreeSet<u64> {
    let engine = SqliteEngine::open(store, Options::default()).expect("opens after the crash");
    let left = ids(&engine, "left", "").await;
    for (table, index) in [("left", "by_number"), ("right", ""), ("right", "by_number")] {
        assert_eq!(ids(&engine, table, index).await, left, "{table} by {index:?}");
    }
    let mut told: BTreeMap<Vec<u8>, Vec<String>> = BTreeMap::new();
    let mut last = 0;
    loop {
        let page = engine.journal_all(last, 500).await.expect("reads");
        let Some(end) = page.last() else { break };
        assert_eq!(end.seq, last + page.len() as u64, "the journal has no gaps");
        last = end.seq;
        for entry in page {
            told.entry(entry.id).or_default().push(entry.kind);
        }
    }
    assert_eq!(told.keys().cloned().collect::<Vec<_>>(), left);
    assert!(told.values().all(|kinds| *kinds == ["begun", "ended"]));
    let mut streams = Vec::new();
    for stream in ["log", "mirror"] {
        let mut entries = Vec::new();
        while (entries.len() as u64) < engine.stream_len(stream).await.expect("reads") {
            entries.extend(engine.read_stream(stream, entries.len() as u64, u32::MAX).await.expect("reads"));
        }
        streams.push(entries);
    }
    assert_eq!(streams[0], streams[1], "both streams grew in the same order");
    streams[0].sort();
    assert_eq!(streams[0], left, "one entry each");
    let mut jobs = Vec::new();
    loop {
        let claimed = engine.claim("send", now, Duration::from_secs(1), 500).await.expect("claims");
        if claimed.is_empty() {
            break;
        }
        jobs.extend(claimed.into_iter().map(|job| job.id));
    }
    jobs.sort();
    assert_eq!(jobs, left, "one job each");
    engine.close().await;
    left.into_iter().map(|id| u64::from_be_bytes(id.try_into().expect("a number"))).collect()
}

async fn kill_again_and_again(writers: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store.db");
    let mut promised = BTreeSet::new();
    let mut there = BTreeSet::new();
    for round in 0..8_u64 {
        let first = round * 1_000_000;
        let orders = Orders { first, count: 1_000_000, writers, manner: Manner::Engine };
        let enough = 1 + 29 * usize::try_from(round).expect("small");
        promised.extend(kill_after(start(&store, orders), enough));
        let before = there.len();
        there = whole_batches(&store, Timestamp::from_unix_seconds(10 * i64::try_from(round).expect("small"))).await;
        let lost: Vec<_> = promised.difference(&there).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let unpromised = there.difference(&promised).filter(|n| **n >= first).count() as u64;
        assert!(unpromised <= writers, "each writer has at most one batch under way, found {unpromised}");
        eprintln!("{writers} writers, round {round}: {} new batches, {unpromised} unpromised", there.len() - before);
    }
    assert!(promised.len() > 800, "there was something to lose");
}

#[tokio::test]
async fn a_killed_store_keeps_what_it_acknowledged_to_one_writer() {
    kill_again_and_again(1).await;
}

#[tokio::test]
async fn a_killed_store_keeps_what_it_acknowledged_to_many_writers() {
    kill_again_and_again(16).await;
}

/// The two exact points: before the `COMMIT` nothing of the batch is there, after it all of it, told or not.
#[tokio::test]
async fn a_batch_is_there_from_its_commit_on() {
    for (manner, there) in [(Manner::DieBefore, 4), (Manner::DieAfter, 5)] {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join("store.db");
        let output = start(&store, Orders { first: 0, count: 5, writers: 1, manner }).wait_with_output().expect("ends");
        assert_eq!(
            output.status.signal(),
            Some(6),
            "{manner:?}: it died by its own hand, at the point that was ordered"
        );
        let said = String::from_utf8(output.stdout).expect("text");
        let acknowledged: Vec<u64> = said.lines().filter_map(child::acknowledged).collect();
        assert_eq!(acknowledged, [0, 1, 2, 3], "{manner:?}: the last batch was never acknowledged");
        assert_eq!(whole_batches(&store, Timestamp::EPOCH).await, (0..there).collect(), "{manner:?}");
    }
}

/// A power cut may leave the log cut anywhere after the last flush: what is left is whole batches, in order.
#[tokio::test]
async fn a_log_cut_anywhere_holds_whole_batches_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store.db");
    let orders = Orders { first: 0, count: 12, writers: 1, manner: Manner::DieAfter };
    start(&store, orders).wait_with_output().expect("ends");
    let log = std::fs::read(folder.path().join("store.db-wal")).expect("the log of the dead process");
    let mut seen = BTreeSet::new();
    let cuts = (0..log.len()).step_by(4120 / 2).chain([log.len()]);
    for cut in cuts {
        let copy = tempfile::tempdir().expect("a folder");
        let path = copy.path().join("store.db");
        std::fs::copy(&store, &path).expect("copied");
        std::fs::write(copy.path().join("store.db-wal"), &log[..cut]).expect("written");
        let there = whole_batches(&path, Timestamp::EPOCH).await;
        assert_eq!(there, (0..there.len() as u64).collect(), "cut at {cut}: the first batches, none left out");
        seen.insert(there.len());
    }
    assert_eq!(seen, (0..=12).collect(), "the cuts lay before, between and behind the batches");
}
