//! Data keys lie in a file of their own, and a destroyed key is gone from it.

use std::os::unix::fs::PermissionsExt as _;

use parcelshelf_core::time::Timestamp;
use parcelshelf_store::Engine as _;
use parcelshelf_store::StoreError;
use parcelshelf_store::keys::{KeyFile, KeyStore, MemoryKeys, WRAPPED_BYTES_MAX, Wrapped};
use parcelshelf_store::sqlite::{Options, SqliteEngine};

fn day(n: i64) -> Timestamp {
    Timestamp::from_unix_seconds(n * 86_400)
}
fn of(epoch: u32, bytes: &[u8]) -> Wrapped {
    Wrapped { epoch, bytes: bytes.to_vec() }
}

/// What holds for both kinds of key store.
async fn promises(keys: &dyn KeyStore) {
    assert_eq!(keys.get(b"d-1").await.expect("reads"), None);
    assert!(keys.put_new(b"d-1", &of(1, b"wrapped one")).await.expect("stores"));
    assert!(keys.put_new(b"d-2", &of(1, b"wrapped two")).await.expect("stores"));
    assert!(!keys.put_new(b"d-1", &of(2, b"another")).await.expect("answers"), "an existing key is never replaced");
    assert_eq!(keys.get(b"d-1").await.expect("reads"), Some(of(1, b"wrapped one")));
    assert_eq!(keys.count().await.expect("counts"), 2);

    assert!(!keys.is_destroyed(b"d-2").await.expect("answers"));
    assert!(keys.destroy(b"d-2", day(10)).await.expect("destroys"));
    assert!(!keys.destroy(b"d-2", day(20)).await.expect("answers"), "it is gone already");
    assert_eq!(keys.get(b"d-2").await.expect("reads"), None);
    assert_eq!(keys.count().await.expect("counts"), 1);
    assert!(keys.is_destroyed(b"d-2").await.expect("answers"));
    assert!(!keys.put_new(b"d-2", &of(1, b"again")).await.expect("answers"), "what was erased does not come back");
    assert!(!keys.destroy(b"never there", day(11)).await.expect("answers"));
    assert_eq!(keys.destroyed(b"").await.expect("lists"), [b"d-2".to_vec(), b"never there".to_vec()]);
    assert_eq!(keys.destroyed(b"d-2").await.expect("lists"), [b"never there".to_vec()]);
    assert_eq!(keys.forget_destroyed(day(11)).await.expect("forgets"), 1, "the first word counts");
    assert_eq!(keys.destroyed(b"").await.expect("lists"), [b"never there".to_vec()]);

    assert!(keys.put_new(b"at the bound", &of(1, &[1; WRAPPED_BYTES_MAX])).await.expect("stores"));
    for (id, wrapped) in [(vec![1; 257], vec![1]), (vec![1], vec![1; WRAPPED_BYTES_MAX + 1])] {
        assert!(matches!(keys.put_new(&id, &of(1, &wrapped)).await, Err(StoreError::Corrupt { .. })));
    }
    assert_eq!(keys.count().await.expect("counts"), 2);

    let old = keys.not_of_epoch(2, b"").await.expect("lists");
    assert_eq!(old.iter().map(|(id, _)| id.as_slice()).collect::<Vec<_>>(), [&b"at the bound"[..], b"d-1"]);
    keys.rewrap(vec![(b"d-1".to_vec(), of(2, b"anew")), (b"gone".to_vec(), of(2, b"nothing"))]).await.expect("puts");
    assert_eq!(keys.get(b"d-1").await.expect("reads"), Some(of(2, b"anew")), "nothing old is kept in memory");
    assert_eq!(keys.get(b"gone").await.expect("reads"), None, "wrapping anew makes no key");
    assert_eq!(keys.not_of_epoch(2, b"at the bound").await.expect("lists"), []);
}

/// Many at once share a flush; each hears of its own.
#[tokio::test]
async fn keys_that_come_together_are_each_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = std::sync::Arc::new(KeyFile::open(&folder.path().join("keys.db")).expect("opens"));
    let all = (0..64_u8).map(|n| {
        let keys = std::sync::Arc::clone(&keys);
        tokio::spawn(async move { keys.put_new(&[n / 2], &of(1, &[n])).await.expect("stores") })
    });
    let mut new = 0;
    for one in all.collect::<Vec<_>>() {
        new += u32::from(one.await.expect("runs"));
    }
    assert_eq!((new, keys.count().await.expect("counts")), (32, 32), "each name once");
}

#[tokio::test]
async fn one_process_has_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.db");
    let first = KeyFile::open(&path).expect("opens");
    let second = KeyFile::open(&path).expect_err("it is taken");
    let why = std::error::Error::source(&second).expect("a cause").to_string();
    assert!(why.contains("stop the service first"), "{why}");
    drop(first);
    KeyFile::open(&path).expect("opens when it is free");
}

/// A file of the first version: its keys are wrapped by what is called epoch 0.
#[tokio::test]
async fn a_file_of_the_first_version_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.db");
    let before = rusqlite::Connection::open(&path).expect("opens");
    before
        .execute_batch(
            "PRAGMA application_id=1347636017;
             CREATE TABLE keys (id BLOB PRIMARY KEY, wrapped BLOB NOT NULL) WITHOUT ROWID;
             INSERT INTO keys VALUES (CAST('d-1' AS BLOB), CAST('old' AS BLOB));",
        )
        .expect("writes");
    drop(before);
    for _ in 0..2 {
        let keys = KeyFile::open(&path).expect("opens");
        assert_eq!(keys.get(b"d-1").await.expect("reads"), Some(of(0, b"old")));
    }
}

#[tokio::test]
async fn both_key_stores_keep_the_same_promises() {
    let folder = tempfile::tempdir().expect("a folder");
    promises(&KeyFile::open(&folder.path().join("keys.db")).expect("opens")).await;
    promises(&MemoryKeys::default()).await;
}

#[tokio::test]
async fn keys_survive_in_their_own_file_which_only_the_owner_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, path) = (folder.path().join("store.db"), folder.path().join("keys.db"));
    let engine = SqliteEngine::open(&data, Options::default()).expect("opens");
    let keys = KeyFile::open(&path).expect("opens");
    assert!(keys.put_new(b"d-1", &of(1, b"wrapped-needle")).await.expect("stores"));
    drop(keys);
    engine.close().await;
    assert_eq!(std::fs::metadata(&path).expect("exists").permissions().mode() & 0o777, 0o600);
    let contains = |path: &std::path::Path, needle: &[u8]| {
        std::fs::read(path).expect("readable").windows(needle.len()).any(|w| w == needle)
    };
    assert!(contains(&path, b"wrapped-needle"));
    assert!(!contains(&data, b"wrapped-needle"), "a copy of the data holds no key");
    let keys = KeyFile::open(&path).expect("opens again");
    assert_eq!(keys.get(b"d-1").await.expect("reads"), Some(of(1, b"wrapped-needle")));
}

#[tokio::test]
async fn a_destroyed_key_is_in_no_file_any_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.db");
    let keys = KeyFile::open(&path).expect("opens");
    for n in 0..100_u8 {
        assert!(
            keys.put_new(&[n], &of(1, &[b"needle-".as_slice(), &[b'a' + n / 10, b'0' + n % 10]].concat()))
                .await
                .expect("stores")
        );
    }
    let found = |needle: &[u8]| {
        let files = std::fs::read_dir(folder.path()).expect("a folder").map(|f| f.expect("a file").path());
        files.filter(|f| std::fs::read(f).expect("readable").windows(needle.len()).any(|w| w == needle)).count()
    };
    assert_eq!(found(b"needle-e7"), 1, "the search finds a key that is there");
    assert!(keys.destroy(&[47], day(1)).await.expect("destroys"));
    assert_eq!(found(b"needle-e7"), 0);
    assert_eq!(found(b"needle-e8"), 1, "the others are untouched");
}

#[tokio::test]
async fn the_other_store_is_no_key_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    SqliteEngine::open(&path, Options::default()).expect("opens").close().await;
    let refused = KeyFile::open(&path);
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
}
