//! Whoever writes to the file while it is closed is noticed at the next start, and at every one after it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use parcelshelf_core::time::Timestamp;
use parcelshelf_store::sqlite::{Options, SqliteEngine};
use parcelshelf_store::whole::Whole;
use parcelshelf_store::{Append, Batch, Check, Engine, JobWrite, JournalWrite, Put, Version};
use rusqlite::Connection;

fn whole() -> Whole {
    Whole { key: [7; 32], binding_bytes: 4, accept: false }
}
fn open(path: &Path, whole: Whole) -> SqliteEngine {
    SqliteEngine::open(path, Options { whole: Some(whole), ..Options::default() }).unwrap()
}
fn put(id: &[u8], expected: Version, state: &[u8], index: &[(&str, &[u8])]) -> Put {
    let index = index.iter().map(|(name, key)| ((*name).to_owned(), key.to_vec())).collect();
    Put { table: "grant".into(), id: id.to_vec(), expected, state: state.to_vec(), index }
}
fn job(id: &[u8]) -> JobWrite {
    JobWrite { queue: "recover".into(), id: id.to_vec(), run_at: Timestamp::EPOCH, payload: b"p".to_vec() }
}

/// A store in which everything has happened that a store can do.
async fn lived(path: &Path) {
    let store = open(path, whole());
    assert!(!store.is_altered(), "a new store");
    let first = Batch {
        puts: vec![put(b"a", Version::Absent, b"mac1 one", &[("by", b"x")]), put(b"b", Version::Absent, b"mac2", &[])],
        appends: vec![Append { stream: "leaves".into(), bytes: b"leaf".to_vec() }],
        jobs: vec![job(b"a"), job(b"b")],
        journal: vec![JournalWrite { table: "grant".into(), id: b"a".to_vec(), kind: "k".into(), event: vec![] }],
        ..Batch::default()
    };
    store.commit(first).await.unwrap();
    let second = Batch {
        puts: vec![put(b"a", Version::Is(1), b"mac3 two", &[("by", b"y")])],
        deletes: vec![Check { table: "grant".into(), id: b"b".to_vec(), version: Version::Is(1) }],
        jobs: vec![job(b"a")],
        jobs_done: vec![("recover".into(), b"b".to_vec())],
        ..Batch::default()
    };
    store.commit(second).await.unwrap();
    // A batch that is refused, half applied, leaves no trace in the sum.
    let refused = Batch {
        puts: vec![put(b"c", Version::Absent, b"mac4", &[]), put(b"a", Version::Is(1), b"mac5", &[])],
        ..Batch::default()
    };
    store.commit(refused).await.unwrap_err();
    store.claim("recover", Timestamp::from_unix_seconds(9), std::time::Duration::from_secs(60), 5).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_store_that_nobody_else_wrote_to_is_whole_however_it_was_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    lived(&path).await;
    let again = open(&path, whole());
    assert!(!again.is_altered());
    again.commit(Batch { puts: vec![put(b"d", Version::Absent, b"mac6", &[])], ..Batch::default() }).await.unwrap();
    // As if killed: nothing is closed, the log beside the file is what there is.
    for name in ["a.db", "a.db-wal"] {
        std::fs::copy(dir.path().join(name), dir.path().join(name.replace('a', "b"))).ok();
    }
    assert!(!open(&dir.path().join("b.db"), whole()).is_altered());
}

#[tokio::test]
async fn every_kind_of_change_by_somebody_else_is_noticed_and_stays_noticed() {
    let sabotage: [(&str, &str); 9] = [
        ("a row put back", "UPDATE rows SET state = CAST('mac1 one' AS BLOB) WHERE id = CAST('a' AS BLOB)"),
        ("an older version", "UPDATE rows SET version = 1"),
        ("a row removed", "DELETE FROM rows"),
        ("a row added", "INSERT INTO rows (tab, id, version, state) VALUES ('grant', x'00', 1, x'01020304')"),
        ("an index key removed", "DELETE FROM row_index"),
        ("an entry of a stream removed", "DELETE FROM streams"),
        ("a job removed", "DELETE FROM jobs"),
        ("the proof removed", "DELETE FROM whole"),
        ("the proof made up", "UPDATE whole SET tag = zeroblob(32)"),
    ];
    for (what, sql) in sabotage {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        lived(&path).await;
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        for round in 0..2_u8 {
            let store = open(&path, whole());
            assert!(store.is_altered(), "{what}");
            // The service may go on with what is still allowed; that does not make it whole.
            let more = Batch { puts: vec![put(&[b'z', round], Version::Absent, b"mac7", &[])], ..Batch::default() };
            store.commit(more).await.unwrap();
            store.close().await;
        }
        let accepted = open(&path, Whole { accept: true, ..whole() });
        assert!(!accepted.is_altered(), "an operator has looked");
        accepted.close().await;
        assert!(!open(&path, whole()).is_altered(), "{what}: accepted once");
    }
}

#[tokio::test]
async fn whoever_does_not_know_the_key_cannot_prove_anything() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    lived(&path).await;
    assert!(open(&path, Whole { key: [8; 32], ..whole() }).is_altered());
}

/// What somebody added would act with our hand, so no operator can accept it: it has to be taken out.
#[tokio::test]
async fn a_trigger_that_somebody_put_into_the_file_is_noticed_until_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    lived(&path).await;
    let sql = "CREATE TRIGGER theirs AFTER UPDATE ON rows BEGIN DELETE FROM jobs; END";
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    assert!(open(&path, whole()).is_altered());
    assert!(open(&path, Whole { accept: true, ..whole() }).is_altered(), "not even on somebody's word");
    Connection::open(&path).unwrap().execute_batch("DROP TRIGGER theirs").unwrap();
    assert!(!open(&path, whole()).is_altered());
}
