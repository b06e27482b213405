//! What was committed is there after the file was closed and opened again; the schema is brought up to date once.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parcelshelf_core::time::Timestamp;
use parcelshelf_store::keys::KeyFile;
use parcelshelf_store::sqlite::{Fate, OnStep, Options, SqliteEngine, Step};
use parcelshelf_store::{
    AnswerWrite, Append, Batch, CommitError, Engine, JobWrite, JournalWrite, Put, StoreError, StoredAnswer, Version,
};
use rusqlite::Connection;

use crate::observe::observe;

fn open(path: &Path) -> SqliteEngine {
    SqliteEngine::open(path, Options::default()).expect("opens")
}

fn ms(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis)
}

/// One of everything.
fn everything() -> Batch {
    let text = String::from;
    Batch {
        at: Some(ms(1)),
        puts: vec![Put {
            table: text("delivery"),
            id: b"d-1".to_vec(),
            expected: Version::Absent,
            state: b"announced".to_vec(),
            index: [(text("by_day"), b"2026-11-23".to_vec())].into(),
        }],
        journal: vec![JournalWrite {
            table: text("delivery"),
            id: b"d-1".to_vec(),
            kind: text("announced"),
            event: b"{}".to_vec(),
        }],
        appends: vec![Append { stream: text("log"), bytes: b"leaf".to_vec() }; 2],
        jobs: vec![JobWrite { queue: text("send"), id: b"j".to_vec(), run_at: ms(5), payload: b"p".to_vec() }],
        answer: Some(AnswerWrite {
            principal: text("merchant"),
            key: text("k1"),
            answer: StoredAnswer { request_hash: [3; 32], status: 201, body: b"b".to_vec(), at: ms(1) },
        }),
        ..Batch::default()
    }
}

fn migrations(path: &Path) -> Vec<(i64, Vec<u8>)> {
    let file = Connection::open(path).expect("opens");
    let mut rows = file.prepare("SELECT number, checksum FROM migrations ORDER BY number").expect("a table");
    rows.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).expect("rows").map(|row| row.expect("a row")).collect()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

#[tokio::test]
async fn everything_survives_and_the_schema_is_made_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let engine = open(&path);
    engine.commit(everything()).await.expect("a first batch");
    assert_eq!(engine.claim("send", ms(5), Duration::from_millis(10), 1).await.expect("claims").len(), 1);
    let before = observe(&engine).await;
    assert_eq!((before.journal.len(), before.streams["log"].0, before.due["send"]), (1, 2, Some(ms(15))));
    engine.close().await;
    let schema = migrations(&path);
    assert!(!schema.is_empty());

    for _ in 0..2 {
        let engine = open(&path);
        assert_eq!(before.difference(&observe(&engine).await), None);
        engine.close().await;
        assert_eq!(migrations(&path), schema, "applied once, never again");
    }
    // Numbers go on where they ended.
    let engine = open(&path);
    let Err(CommitError::Replayed(_)) = engine.commit(everything()).await else { panic!("the key was answered") };
    let next = Batch { puts: Vec::new(), answer: None, ..everything() };
    let committed = engine.commit(next).await.expect("nothing to refuse");
    assert_eq!((committed.journal, committed.appended), (vec![2], vec![2, 3]));
    engine.close().await;
}

#[tokio::test]
async fn a_closed_store_says_so_and_leaves_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let engine = open(&path);
    engine.commit(everything()).await.expect("a first batch");
    assert!(with_suffix(&path, "-wal").exists(), "while open there is a log");
    engine.close().await;
    engine.close().await;
    assert!(matches!(engine.commit(everything()).await, Err(CommitError::Store(StoreError::Closed))));
    assert!(matches!(engine.get("delivery", b"d-1").await, Err(StoreError::Closed)));
    assert!(matches!(engine.claim("send", ms(9), Duration::ZERO, 1).await, Err(StoreError::Closed)));
    assert!(!with_suffix(&path, "-wal").exists(), "the log was folded into the file: one file is a whole copy");
}

#[tokio::test]
async fn closing_waits_for_what_is_queued() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let engine = std::sync::Arc::new(open(&path));
    let append =
        Batch { appends: vec![Append { stream: String::from("log"), bytes: b"x".to_vec() }], ..Batch::default() };
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (engine, append) = (std::sync::Arc::clone(&engine), append.clone());
        running.spawn(async move { engine.commit(append).await });
    }
    tokio::task::yield_now().await;
    engine.close().await;
    let results = running.join_all().await;
    let acknowledged = results.iter().filter(|r| r.is_ok()).count() as u64;
    assert!(acknowledged > 0, "some were queued before");
    for error in results.into_iter().filter_map(Result::err) {
        assert!(matches!(error, CommitError::Store(StoreError::Closed)), "{error}");
    }
    let engine = open(&path);
    assert_eq!(engine.stream_len("log").await.expect("reads"), acknowledged);
    engine.close().await;
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_takes_no_place_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = open(&folder.path().join("store.db"));
    let entry = Append { stream: String::from("log"), bytes: vec![7; 1000] };
    for _ in 0..8 {
        let batch = Batch { appends: vec![entry.clone(); 256], ..Batch::default() };
        engine.commit(batch).await.expect("nothing to refuse");
    }
    for _ in 0..50 {
        // More than there are connections; each read is begun, and then nobody wants it.
        for _ in 0..8 {
            let _ = tokio::time::timeout(Duration::ZERO, engine.read_stream("log", 0, 4096)).await;
        }
        assert_eq!(engine.stream_len("log").await.expect("waits for a connection, and gets one"), 2048);
    }
    engine.close().await;
}

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let engine = open(&path);
    engine.commit(everything()).await.expect("a first batch");
    for suffix in ["", "-wal", "-shm"] {
        let file = with_suffix(&path, suffix);
        let mode = std::fs::metadata(&file).expect("exists while open").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix:?}");
    }
    engine.close().await;
}

fn refusal(path: &Path) -> &'static str {
    match SqliteEngine::open(path, Options::default()) {
        Err(StoreError::Corrupt { what, .. }) => what,
        other => panic!("a refusal was due, not {other:?}"),
    }
}

#[tokio::test]
async fn a_file_that_is_not_ours_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = |name: &str, sql: &str| {
        let path = folder.path().join(name);
        Connection::open(&path).and_then(|c| c.execute_batch(sql)).expect("a file of another program");
        path
    };
    let other = made("other.db", "CREATE TABLE notes (text TEXT)");
    assert_eq!(refusal(&other), "the file belongs to another program");
    let keys = folder.path().join("keys.db");
    drop(KeyFile::open(&keys).expect("opens"));
    assert_eq!(refusal(&keys), "the file belongs to another program");

    let ours = folder.path().join("ours.db");
    open(&ours).close().await;
    for (sql, what) in [
        ("INSERT INTO migrations VALUES (1000, x'00')", "the file was written by a newer version"),
        (
            "DELETE FROM migrations WHERE number = 1000; UPDATE migrations SET checksum = x'00'",
            "a schema version was edited after it had been applied",
        ),
    ] {
        made("ours.db", sql);
        assert_eq!(refusal(&ours), what);
    }
}

/// As on a full disk: everybody is told, nothing of it is there, and what comes next is judged by what is on the disk.
#[tokio::test]
async fn a_commit_that_fails_keeps_nothing_and_the_store_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let full = AtomicBool::new(true);
    let on_step: OnStep = Arc::new(move |step| match step {
        Step::BeforeCommit { .. } if full.swap(false, Ordering::Relaxed) => Fate::Fails,
        _ => Fate::Goes,
    });
    let options = Options { on_step: Some(on_step), ..Options::default() };
    let engine = SqliteEngine::open(&folder.path().join("store.db"), options).expect("opens");
    let before = observe(&engine).await;
    let failed = engine.commit(everything()).await;
    assert!(matches!(failed, Err(CommitError::Store(StoreError::Engine(_)))), "{failed:?}");
    assert!(observe(&engine).await == before, "something of it was kept");
    engine.commit(everything()).await.expect("there is room again");
    assert!(observe(&engine).await != before);
    engine.close().await;
}
