//! A store in memory that takes its time: before and after every verb others get their turns, as many as the seed says.
//!
//! Whoever runs several parties in one thread gets from each seed another order in which their reads and commits follow
//! each other, and from the same seed the same order again. A schedule that goes wrong can be played once more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parcelshelf_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::memory::MemoryEngine;
use crate::{Batch, CommitError, Committed, Engine, Job, JournalEntry, ListQuery, Page, Row, StoreError, StoredAnswer};

/// Turns that others get before a verb, and after it: at most.
const TURNS_MAX: u8 = 3;

/// [`MemoryEngine`] that lets others go first.
#[derive(Debug)]
pub struct Unhurried {
    store: MemoryEngine,
    seed: u64,
    drawn: AtomicU64,
}

impl Unhurried {
    /// An empty store.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { store: MemoryEngine::default(), seed, drawn: AtomicU64::new(0) }
    }

    async fn others(&self) {
        let n = self.drawn.fetch_add(1, Ordering::Relaxed);
        let drawn = Sha256::new().chain_update(self.seed.to_be_bytes()).chain_update(n.to_be_bytes()).finalize();
        for _ in 0..drawn[0] % (TURNS_MAX + 1) {
            tokio::task::yield_now().await;
        }
    }
    async fn in_between<T>(&self, verb: impl Future<Output = T>) -> T {
        self.others().await;
        let done = verb.await;
        self.others().await;
        done
    }
}

#[async_trait::async_trait]
impl Engine for Unhurried {
    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        self.in_between(self.store.commit(batch)).await
    }
    async fn get(&self, table: &str, id: &[u8]) -> Result<Option<Row>, StoreError> {
        self.in_between(self.store.get(table, id)).await
    }
    async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        self.in_between(self.store.list(query)).await
    }
    async fn read_stream(&self, stream: &str, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, StoreError> {
        self.store.read_stream(stream, from, limit).await
    }
    async fn stream_len(&self, stream: &str) -> Result<u64, StoreError> {
        self.store.stream_len(stream).await
    }
    async fn journal(
        &self,
        table: &str,
        id: &[u8],
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        self.in_between(self.store.journal(table, id, after_seq, limit)).await
    }
    async fn journal_all(&self, after_seq: u64, limit: u32) -> Result<Vec<JournalEntry>, StoreError> {
        self.store.journal_all(after_seq, limit).await
    }
    async fn claim(&self, queue: &str, now: Timestamp, lease: Duration, limit: u32) -> Result<Vec<Job>, StoreError> {
        self.in_between(self.store.claim(queue, now, lease, limit)).await
    }
    async fn next_due(&self, queue: &str) -> Result<Option<Timestamp>, StoreError> {
        self.store.next_due(queue).await
    }
    async fn replay(&self, principal: &str, key: &str) -> Result<Option<StoredAnswer>, StoreError> {
        self.in_between(self.store.replay(principal, key)).await
    }
    async fn forget_answers(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.store.forget_answers(before).await
    }
    async fn forget_journal(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.store.forget_journal(before).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// In which order two who read five times each get their answers.
    fn order(seed: u64) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (store, told) = (Arc::new(Unhurried::new(seed)), Arc::new(Mutex::new(String::new())));
            let reader = |name: char| {
                let (store, told) = (Arc::clone(&store), Arc::clone(&told));
                tokio::spawn(async move {
                    for _ in 0..5 {
                        store.get("row", b"1").await.unwrap();
                        told.lock().unwrap().push(name);
                    }
                })
            };
            for reader in ['a', 'b'].map(reader) {
                reader.await.unwrap();
            }
            told.lock().unwrap().clone()
        })
    }

    #[test]
    fn each_seed_has_an_order_of_its_own_and_the_same_one_again() {
        let orders: std::collections::BTreeSet<String> = (0..40).map(order).collect();
        assert!(orders.len() > 20, "{orders:?}");
        assert!((0..40).all(|seed| order(seed) == order(seed)));
    }
}
