//! One suite, two engines.

use parcelshelf_store::Engine as _;
use parcelshelf_store::conformance;
use parcelshelf_store::memory::MemoryEngine;
use parcelshelf_store::sqlite::{Options, SqliteEngine};
use parcelshelf_store::unhurried::Unhurried;

#[tokio::test]
async fn the_embedded_engine_conforms() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = SqliteEngine::open(&folder.path().join("store.db"), Options::default()).expect("opens");
    conformance::all(&engine).await;
    engine.close().await;
}

#[tokio::test]
async fn the_memory_engine_conforms() {
    conformance::all(&MemoryEngine::default()).await;
}

#[tokio::test]
async fn the_unhurried_engine_conforms() {
    conformance::all(&Unhurried::new(7)).await;
}
