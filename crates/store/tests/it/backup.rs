//! Backups of a store in use, and their way back.

use std::os::unix::fs::PermissionsExt as _;

use parcelshelf_core::time::Timestamp;
use parcelshelf_store::sqlite::{Options, SqliteEngine};
use parcelshelf_store::whole::Whole;
use parcelshelf_store::{Batch, Check, Engine as _, JournalWrite, Put, Version, backup};

fn options() -> Options {
    Options { whole: Some(Whole { key: [7; 32], binding_bytes: 32, accept: false }), ..Options::default() }
}

fn written(id: &[u8], state: &[u8]) -> Batch {
    let journal =
        vec![JournalWrite { table: "t".into(), id: id.to_vec(), kind: "written".into(), event: b"{}".to_vec() }];
    let put = Put {
        table: "t".into(),
        id: id.to_vec(),
        expected: Version::Absent,
        state: state.to_vec(),
        index: [("by".to_owned(), id.to_vec())].into(),
    };
    Batch { at: Some(Timestamp::EPOCH), puts: vec![put], journal, ..Batch::default() }
}

#[tokio::test]
async fn a_backup_of_a_store_in_use_is_one_moment_of_it_and_comes_back_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let (live, copy) = (folder.path().join("live.db"), folder.path().join("copy.db"));
    let store = std::sync::Arc::new(SqliteEngine::open(&live, options()).expect("opens"));
    for n in 0..200_u16 {
        store.commit(written(&n.to_be_bytes(), &[1; 700])).await.expect("commits");
    }
    store.commit(written(b"removed", b"needle-that-was-removed")).await.expect("commits");
    let gone = Check { table: "t".into(), id: b"removed".to_vec(), version: Version::Is(1) };
    store.commit(Batch { deletes: vec![gone], ..Batch::default() }).await.expect("commits");
    // Commits go on all the while.
    let writing = std::sync::Arc::clone(&store);
    let writer = tokio::spawn(async move {
        for n in 200..400_u16 {
            writing.commit(written(&n.to_be_bytes(), &[2; 700])).await.expect("commits");
        }
    });
    let (from, to) = (live.clone(), copy.clone());
    let copied = tokio::task::spawn_blocking(move || backup::backup(&from, &to)).await.expect("runs").expect("copies");
    writer.await.expect("writes");
    assert!((200..=400).contains(&copied.rows), "{copied:?}");
    assert_eq!(std::fs::metadata(&copy).expect("there").permissions().mode() & 0o777, 0o600);
    let bytes = std::fs::read(&copy).expect("readable");
    assert!(!bytes.windows(6).any(|w| w == b"needle"), "what was removed is not in a backup");
    assert!(backup::backup(&live, &copy).is_err(), "a backup is not overwritten");
    assert!(backup::backup(&folder.path().join("none.db"), &folder.path().join("x.db")).is_err());

    assert!(backup::restore(&copy, &live).is_err(), "a store is not overwritten");
    store.close().await;
    let back = folder.path().join("back.db");
    assert_eq!(backup::restore(&copy, &back).expect("restores"), copied);
    let restored = SqliteEngine::open(&back, options()).expect("opens");
    assert!(!restored.is_altered(), "its own proof is in it");
    assert!(restored.get("t", &5_u16.to_be_bytes()).await.expect("reads").is_some());
    // Numbers of the journal go on where the backup was.
    let last = restored.journal_all(copied.rows, 500).await.expect("reads").last().map_or(copied.rows, |e| e.seq);
    let next = restored.commit(written(b"next", b"x")).await.expect("commits").journal;
    assert!(next[0] > last, "{next:?}");
    restored.close().await;
}

#[tokio::test]
async fn what_is_no_whole_backup_is_not_restored() {
    let folder = tempfile::tempdir().expect("a folder");
    let (live, copy, back) = (folder.path().join("l.db"), folder.path().join("c.db"), folder.path().join("b.db"));
    let store = SqliteEngine::open(&live, options()).expect("opens");
    for n in 0..200_u16 {
        store.commit(written(&n.to_be_bytes(), &[1; 700])).await.expect("commits");
    }
    backup::backup(&live, &copy).expect("copies");
    store.close().await;
    let whole = std::fs::read(&copy).expect("readable");
    let mut torn = whole.clone();
    torn[whole.len() / 2..].fill(0x5a);
    for bytes in [&b"not a store at all"[..], &whole[..whole.len() / 2], &torn, b""] {
        std::fs::write(&copy, bytes).expect("writes");
        assert!(backup::restore(&copy, &back).is_err());
        assert!(!back.exists());
    }
    std::fs::write(folder.path().join("b.db-wal"), b"").expect("writes");
    std::fs::write(&copy, &whole).expect("writes");
    assert!(backup::restore(&copy, &back).is_err(), "somebody's log lies there: it would be played into the backup");
}
