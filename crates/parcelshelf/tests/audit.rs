//! `parcelshelf audit` as a process, against logs that lie.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/served.rs"]
mod served;

use std::path::Path;
use std::sync::{Arc, Mutex};

use parcelshelf_log::cosign::WitnessSigner;
use parcelshelf_log::tile::TileKind;
use serde_json::Value;
use served::{Log, serve};

struct Audit {
    log: Arc<Mutex<Log>>,
    url: String,
    key: String,
    dir: tempfile::TempDir,
}
impl Audit {
    async fn of(size: u64) -> Self {
        let log = Arc::new(Mutex::new(Log::of(size)));
        let key = log.lock().unwrap().signer.verifier().line();
        Self { url: serve(Arc::clone(&log)).await, log, key, dir: tempfile::tempdir().unwrap() }
    }
    fn change(&self, how: impl FnOnce(&mut Log)) {
        how(&mut self.log.lock().unwrap());
    }
    fn state(&self) -> &Path {
        self.dir.path()
    }
    /// Exit status and report.
    async fn run(&self, more: &[&str]) -> (i32, Value) {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_parcelshelf"));
        command.args(["audit", &self.url, "--json", "--log-only", "--key", &self.key]).args(more);
        let done = command.output().await.unwrap();
        (done.status.code().unwrap(), serde_json::from_slice(&done.stdout).unwrap())
    }
    async fn complaint(&self, more: &[&str]) -> String {
        let (code, report) = self.run(more).await;
        assert_eq!(code, 1, "{report}");
        report["complaint"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_grows_is_audited_from_nothing_and_then_only_what_is_new() {
    let audit = Audit::of(70_000).await;
    let state = audit.state().join("state").to_string_lossy().into_owned();
    let (code, report) = audit.run(&["--state", &state]).await;
    assert_eq!((code, &report["size"], &report["new"]), (0, &70_000.into(), &70_000.into()), "{report}");
    audit.change(|log| log.grow(70_777, 0));
    let (code, report) = audit.run(&["--state", &state]).await;
    assert_eq!((code, &report["size"], &report["new"]), (0, &70_777.into(), &777.into()), "{report}");
    let (code, report) = audit.run(&["--state", &state]).await;
    assert_eq!((code, &report["new"]), (0, &0.into()), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_auditor_detects_a_changed_a_removed_a_renumbered_and_a_withheld_record() {
    let audit = Audit::of(1_000).await;
    let entries = (TileKind::Entries, 2);
    let good = audit.log.lock().unwrap().tiles[&entries].clone();
    audit.change(|log| log.tiles.get_mut(&entries).unwrap()[34 * 5 + 9] ^= 1);
    assert!(audit.complaint(&[]).await.contains("tile/0/002 differs"), "changed");
    audit.change(|log| drop(log.tiles.insert(entries, good[34..].to_vec())));
    assert!(audit.complaint(&[]).await.contains("tile/entries/002"), "removed");
    let renumbered = [&good[34..68], &good[..34], &good[68..]].concat();
    audit.change(|log| drop(log.tiles.insert(entries, renumbered)));
    assert!(audit.complaint(&[]).await.contains("at position 0"), "renumbered");
    audit.change(|log| drop(log.tiles.remove(&entries)));
    assert!(audit.complaint(&[]).await.contains("tile/entries/002 is withheld"));
    audit.change(|log| *log = Log::of(1_000));
    assert_eq!(audit.run(&[]).await.0, 0, "and the true log holds");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_auditor_detects_a_fork_and_a_rollback_by_what_it_found_before() {
    let audit = Audit::of(1_000).await;
    let state = audit.state().join("state").to_string_lossy().into_owned();
    assert_eq!(audit.run(&["--state", &state]).await.0, 0);
    let kept = std::fs::read(&state).unwrap();
    let fork = || {
        let mut log = Log::of(600);
        log.grow(1_200, 1);
        log
    };
    audit.change(|log| *log = fork());
    // The tile above: it holds what the entries before were.
    let found = audit.complaint(&["--state", &state]).await;
    assert!(found.contains("tile/1/000.p/4 differs"), "two histories with one key: {found}");
    audit.change(|log| {
        *log = Log::of(600);
        log.grow(1_000, 1);
    });
    assert!(audit.complaint(&["--state", &state]).await.contains("before"), "the same size, another past");
    audit.change(|log| *log = Log::of(900));
    assert!(audit.complaint(&["--state", &state]).await.contains("went back"));
    assert_eq!(std::fs::read(&state).unwrap(), kept, "a complaint does not move the state");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_auditor_demands_the_cosignature_that_it_was_told_of_and_the_right_key() {
    let audit = Audit::of(300).await;
    let witness = WitnessSigner::from_seed("witness.example", &[3; 32]).unwrap();
    let key = witness.verifier().line();
    assert!(audit.complaint(&["--witness", &key]).await.contains("cosigned by 0"));
    audit.change(|log| log.lines = witness.cosign(&log.checkpoint(), 1_790_000_000));
    let (code, report) = audit.run(&["--witness", &key]).await;
    assert_eq!((code, &report["cosigned"][0]["time"]), (0, &1_790_000_000.into()), "{report}");
    audit.change(|log| log.signer = parcelshelf_log::note::LogSigner::from_seed(served::ORIGIN, &[8; 32]).unwrap());
    assert!(audit.complaint(&[]).await.contains("checkpoint"), "signed with another key");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_read_is_no_complaint() {
    let mut audit = Audit::of(3).await;
    audit.url = String::from("http://127.0.0.1:1/log");
    assert_eq!(audit.run(&[]).await.0, 2);
    assert_eq!(audit.run(&["--witness", "no key"]).await.0, 2);
}
