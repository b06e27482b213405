//! Durable state behind one narrow port.
//!
//! What it is: [`Engine`], a port of a few verbs over rows, a journal, append-only streams, jobs and idempotent answers,
//! with two engines that run one conformance suite (`sqlite`: embedded, one group-committing writer; `memory`: for
//! tests), and [`keys`], a store of data keys that no backup and no history holds. What it is not: it knows no word of
//! the domain. Repositories in domain words are written once, in each service, above this port. It encrypts nothing:
//! what must not be read in the file is sealed before it comes here.
//!
//! The three types to know: [`Batch`] (everything that one transition changes, committed whole or not at all),
//! [`Row`] (current state with its version), [`Conflict`] (somebody else was first: read again and decide again).
//!
//! ```
//! use parcelshelf_store::memory::MemoryEngine;
//! use parcelshelf_store::{Batch, CommitError, Engine, JournalWrite, Put, StoreError, Version};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), CommitError> {
//! let store = MemoryEngine::default();
//! let created = Put {
//!     table: String::from("delivery"),
//!     id: b"d-1".to_vec(),
//!     expected: Version::Absent,
//!     state: b"{\"v\":1,\"state\":\"announced\"}".to_vec(),
//!     index: [(String::from("by_day"), b"2026-11-23".to_vec())].into(),
//! };
//! let announced = JournalWrite {
//!     table: String::from("delivery"),
//!     id: b"d-1".to_vec(),
//!     kind: String::from("announced"),
//!     event: b"{}".to_vec(),
//! };
//! store.commit(Batch { puts: vec![created.clone()], journal: vec![announced], ..Batch::default() }).await?;
//!
//! let row = store.get("delivery", b"d-1").await?.expect("it was committed");
//! assert_eq!(row.version, 1);
//! // Whoever decided on an older version is told so, and nothing changes.
//! let late = store.commit(Batch { puts: vec![created], ..Batch::default() }).await;
//! assert!(matches!(late, Err(CommitError::Conflict(_))));
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use parcelshelf_core::time::Timestamp;

mod apply;
pub mod backup;
#[cfg(feature = "conformance")]
pub mod conformance;
mod cursor;
mod debug;
mod held;
pub mod keys;
mod limits;
pub mod memory;
mod migrate;
pub mod sqlite;
pub mod storage;
pub mod unhurried;
pub mod whole;
mod writer;

/// Longest id or index key, bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// Largest state, event, payload or answer, bytes.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Longest name of a table, index, queue, stream or kind of event, bytes; the shortest has 1.
pub const NAME_BYTES_MAX: usize = 64;
/// Most rows, journal entries or jobs in one answer.
pub const PAGE_ROWS_MAX: u32 = 500;
/// Most entries of a stream in one answer: sixteen full tiles of the log.
pub const STREAM_ENTRIES_MAX: u32 = 4096;
/// Most journal entries removed at once: the writer is held up for milliseconds, not seconds.
pub const JOURNAL_FORGOTTEN_MAX: u32 = 1_000;
/// Most index keys of one row.
pub const INDEX_KEYS_MAX: usize = 16;
/// Most changes in one batch.
pub const BATCH_CHANGES_MAX: usize = 256;

/// The port. All writes go through [`Engine::commit`]; a commit that returned `Ok` is on the disk.
#[async_trait::async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Applies the whole batch in one transaction, or nothing of it.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when an expected version does not hold, [`CommitError::Replayed`] when the idempotency
    /// key was used before (this is looked at first), [`CommitError::TooLarge`] when a bound is passed,
    /// [`CommitError::Store`] when the engine fails (then nothing of the batch is stored, or the process cannot go on).
    ///
    /// A caller that stops waiting does not stop the commit.
    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError>;
    /// Lets what is under way end and closes. Later calls answer [`StoreError::Closed`] where there is something to close.
    async fn close(&self) {}
    /// Whether somebody else has written to the store since this service closed it; false where nothing proves it either
    /// way ([`whole`]).
    fn is_altered(&self) -> bool {
        false
    }
    /// The current row, `None` if there is none.
    ///
    /// # Errors
    /// Like every reading verb: [`StoreError`] when the engine fails or is closed.
    async fn get(&self, table: &str, id: &[u8]) -> Result<Option<Row>, StoreError>;
    /// Rows in the order of one index (or of ids, index `""`).
    async fn list(&self, query: ListQuery) -> Result<Page, StoreError>;
    /// Entries of an append-only stream from position `from` on, at most `limit` and never more than
    /// [`STREAM_ENTRIES_MAX`]: a longer stretch is read in several steps.
    async fn read_stream(&self, stream: &str, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, StoreError>;
    /// Number of entries of a stream.
    async fn stream_len(&self, stream: &str) -> Result<u64, StoreError>;
    /// The journal of one row after `after_seq`, oldest first, at most [`PAGE_ROWS_MAX`] entries.
    async fn journal(
        &self,
        table: &str,
        id: &[u8],
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError>;
    /// The whole journal after `after_seq`, oldest first: the outbox reads this. At most [`PAGE_ROWS_MAX`] entries.
    ///
    /// Sequence numbers rise in the order of commits and have no gaps: a reader that remembers the last one misses nothing.
    async fn journal_all(&self, after_seq: u64, limit: u32) -> Result<Vec<JournalEntry>, StoreError>;
    /// Takes up to `limit` jobs that are due and not leased, those that can be claimed longest first, and leases them
    /// until `now + lease`. The lease is durable when this returns; a job that is neither done nor replaced by then can
    /// be claimed again, so every job is carried out at least once.
    async fn claim(&self, queue: &str, now: Timestamp, lease: Duration, limit: u32) -> Result<Vec<Job>, StoreError>;
    /// When the earliest job of a queue can next be claimed (due, and its lease over).
    async fn next_due(&self, queue: &str) -> Result<Option<Timestamp>, StoreError>;
    /// The stored answer to an idempotency key of one principal.
    async fn replay(&self, principal: &str, key: &str) -> Result<Option<StoredAnswer>, StoreError>;
    /// Removes idempotency answers stored before `before`; returns how many.
    async fn forget_answers(&self, before: Timestamp) -> Result<u64, StoreError>;
    /// Removes journal entries from the oldest on, as long as they were written before `before`, and at most
    /// [`JOURNAL_FORGOTTEN_MAX`] of them; returns how many. Sequence numbers are never given again.
    async fn forget_journal(&self, before: Timestamp) -> Result<u64, StoreError>;
}

/// Everything that one transition changes.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Domain time of the transition; stored with journal entries ([`Timestamp::EPOCH`] if there is none).
    pub at: Option<Timestamp>,
    /// Rows that were read for the decision but are not written: their versions must still hold.
    pub checks: Vec<Check>,
    pub puts: Vec<Put>,
    /// Rows to remove, after all puts. The journal keeps what happened to them.
    pub deletes: Vec<Check>,
    pub journal: Vec<JournalWrite>,
    /// Entries for append-only streams, such as the leaves of the log.
    pub appends: Vec<Append>,
    pub jobs: Vec<JobWrite>,
    /// (queue, id) of jobs to remove; a missing one is no error. Applied before [`Batch::jobs`], so a worker may say that
    /// its job is done and write the next one under the same name.
    pub jobs_done: Vec<(String, Vec<u8>)>,
    /// The answer to a request with an idempotency key; the batch applies only if that key has no answer yet.
    pub answer: Option<AnswerWrite>,
}

/// An expected version. `Version::Absent` means: there is no such row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Absent,
    Is(u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub table: String,
    pub id: Vec<u8>,
    pub version: Version,
}

/// Writes a row. The new version is the expected one plus 1, the first is 1.
#[derive(Clone, PartialEq, Eq)]
pub struct Put {
    pub table: String,
    pub id: Vec<u8>,
    pub expected: Version,
    /// Versioned JSON, or any bytes.
    pub state: Vec<u8>,
    /// Index name → key; replaces the row's earlier keys. Keys sort bytewise and need not be unique.
    pub index: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct JournalWrite {
    pub table: String,
    pub id: Vec<u8>,
    pub kind: String,
    pub event: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Append {
    pub stream: String,
    pub bytes: Vec<u8>,
}

/// Creates or replaces a job (same queue and id). A replaced job starts anew: no lease, no attempts.
#[derive(Clone, PartialEq, Eq)]
pub struct JobWrite {
    pub queue: String,
    pub id: Vec<u8>,
    pub run_at: Timestamp,
    pub payload: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerWrite {
    pub principal: String,
    pub key: String,
    pub answer: StoredAnswer,
}

/// An answer given before, with the hash of the request that got it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    pub request_hash: [u8; 32],
    pub status: u16,
    pub body: Vec<u8>,
    pub at: Timestamp,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    pub id: Vec<u8>,
    pub version: u64,
    pub state: Vec<u8>,
}

impl Row {
    /// The version to expect when writing this row back.
    #[must_use]
    pub const fn expected(&self) -> Version {
        Version::Is(self.version)
    }
}

/// A page request: rows whose key in `index` starts with `prefix`, after `cursor`.
#[derive(Clone, PartialEq, Eq)]
pub struct ListQuery {
    pub table: String,
    /// `""` lists by id.
    pub index: String,
    pub prefix: Vec<u8>,
    /// From [`Page::next`]; `None` starts at the beginning.
    pub cursor: Option<Vec<u8>>,
    /// 1 to [`PAGE_ROWS_MAX`]; larger values are clamped.
    pub limit: u32,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Page {
    pub rows: Vec<Row>,
    pub next: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct JournalEntry {
    pub seq: u64,
    pub table: String,
    pub id: Vec<u8>,
    pub kind: String,
    pub event: Vec<u8>,
    pub at: Timestamp,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Job {
    pub queue: String,
    pub id: Vec<u8>,
    pub run_at: Timestamp,
    pub payload: Vec<u8>,
    /// How often it was claimed since it was written, this time included: at least 1.
    pub attempts: u32,
}

/// What a commit assigned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    /// Positions of [`Batch::appends`] in their streams, in order.
    pub appended: Vec<u64>,
    /// Sequence numbers of [`Batch::journal`], in order.
    pub journal: Vec<u64>,
}

/// Somebody else was first. Read the row again and decide again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row of {table} changed in between")]
pub struct Conflict {
    pub table: String,
    pub id: Vec<u8>,
}

/// Why a batch was not applied.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The idempotency key has an answer already; nothing was changed.
    #[error("request was answered before")]
    Replayed(StoredAnswer),
    /// A key, value or batch over its bound; nothing was changed.
    #[error("{0}")]
    TooLarge(&'static str),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the engine gave no answer. No variant holds what was stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("engine failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// After `close`, or after a failure that only a restart can mend.
    #[error("store is shut down")]
    Closed,
    /// What is stored, or the file itself, is not what this version can read.
    #[error("row of {table} is not what this version writes: {what}")]
    Corrupt { table: String, what: &'static str },
}

/// A page from the rows after its beginning, in order, of which there is one more than it may hold if there is a next page.
fn page(mut found: Vec<(Vec<u8>, Row)>, limit: u32) -> Page {
    let limit = limit as usize;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = if more { found.last().map(|(key, row)| cursor::write(key, &row.id)) } else { None };
    Page { rows: found.into_iter().map(|(_, row)| row).collect(), next }
}
