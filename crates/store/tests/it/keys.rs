//! Data keys lie in a file of their own, and a destroyed key is gone from it.

use std::os::unix::fs::PermissionsExt as _;

use parcelshelf_store::Engine as _;
use parcelshelf_store::StoreError;
use parcelshelf_store::keys::{KeyFile, KeyStore, MemoryKeys, WRAPPED_BYTES_MAX};
use parcelshelf_store::sqlite::{Options, SqliteEngine};

/// What holds for both kinds of key store.
async fn promises(keys: &dyn KeyStore) {
    assert_eq!(keys.get(b"d-1").await.expect("reads"), None);
    assert!(keys.put_new(b"d-1", b"wrapped one").await.expect("stores"));
    assert!(keys.put_new(b"d-2", b"wrapped two").await.expect("stores"));
    assert!(!keys.put_new(b"d-1", b"another").await.expect("answers"), "an existing key is never replaced");
    assert_eq!(keys.get(b"d-1").await.expect("reads").as_deref(), Some(&b"wrapped one"[..]));
    assert_eq!(keys.count().await.expect("counts"), 2);
    assert!(keys.destroy(b"d-2").await.expect("destroys"));
    assert!(!keys.destroy(b"d-2").await.expect("answers"), "it is gone already");
    assert_eq!(keys.get(b"d-2").await.expect("reads"), None);
    assert_eq!(keys.count().await.expect("counts"), 1);
    assert!(keys.put_new(b"at the bound", &[1; WRAPPED_BYTES_MAX]).await.expect("stores"));
    for (id, wrapped) in [(vec![1; 257], vec![1]), (vec![1], vec![1; WRAPPED_BYTES_MAX + 1])] {
        assert!(matches!(keys.put_new(&id, &wrapped).await, Err(StoreError::Corrupt { .. })));
    }
    assert_eq!(keys.count().await.expect("counts"), 2);
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
    assert!(keys.put_new(b"d-1", b"wrapped-needle").await.expect("stores"));
    drop(keys);
    engine.close().await;
    assert_eq!(std::fs::metadata(&path).expect("exists").permissions().mode() & 0o777, 0o600);
    let contains = |path: &std::path::Path, needle: &[u8]| {
        std::fs::read(path).expect("readable").windows(needle.len()).any(|w| w == needle)
    };
    assert!(contains(&path, b"wrapped-needle"));
    assert!(!contains(&data, b"wrapped-needle"), "a copy of the data holds no key");
    let keys = KeyFile::open(&path).expect("opens again");
    assert_eq!(keys.get(b"d-1").await.expect("reads").as_deref(), Some(&b"wrapped-needle"[..]));
}

#[tokio::test]
async fn a_destroyed_key_is_in_no_file_any_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.db");
    let keys = KeyFile::open(&path).expect("opens");
    for n in 0..100_u8 {
        assert!(
            keys.put_new(&[n], &[b"needle-".as_slice(), &[b'a' + n / 10, b'0' + n % 10]].concat())
                .await
                .expect("stores")
        );
    }
    let found = |needle: &[u8]| {
        let files = std::fs::read_dir(folder.path()).expect("a folder").map(|f| f.expect("a file").path());
        files.filter(|f| std::fs::read(f).expect("readable").windows(needle.len()).any(|w| w == needle)).count()
    };
    assert_eq!(found(b"needle-e7"), 1, "the search finds a key that is there");
    assert!(keys.destroy(&[47]).await.expect("destroys"));
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
