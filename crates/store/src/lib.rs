//! Durable state behind one narrow port.
//!
//! What it is: [`Engine`], a port of a few verbs over rows, a journal, append-only streams, jobs and idempotent answers,
//! with two engines that run one conformance suite (`sqlite`: embedded, one group-committing writer; `memory`: for
//! tests), and [`keys`], a store of data keys that no backup and no history holds. What it is not: it knows no word of
//! the domain. Repositories in domain words are written once, in each service, above this port.
//!
//! The three types to know: [`Batch`] (everything that one transition changes, committed whole or not at all),
//! [`Row`] (current state with its version), [`Conflict`] (somebody else was first: read again and decide again).

use std::collections::BTreeMap;
use std::time::Duration;

use parcelshelf_core::time::Timestamp;

mod apply;
pub mod conformance;
mod cursor;
pub mod keys;
mod limits;
pub mod memory;
mod migrate;
pub mod sqlite;

/// Longest id or index key, bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// Largest state, event, payload or answer, bytes.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Most rows in one page.
pub const PAGE_ROWS_MAX: u32 = 500;
/// Most changes in one batch.
pub const BATCH_CHANGES_MAX: usize = 256;

/// The port. All writes go through [`Engine::commit`]; a commit that returned `Ok` is on the disk.
#[async_trait::async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Applies the whole batch in one transaction, or nothing of it.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when an expected version does not hold, [`CommitError::Replayed`] when the idempotency
    /// key was used before, [`CommitError::Store`] when the engine fails (then nothing of the batch is stored, or the
    /// process cannot go on).
    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError>;
    /// The current row, `None` if there is none.
    async fn get(&self, table: &str, id: &[u8]) -> Result<Option<Row>, StoreError>;
    /// Rows in the order of one index (or of ids, index `""`).
    async fn list(&self, query: ListQuery) -> Result<Page, StoreError>;
    /// Entries of an append-only stream from position `from` on, at most `limit`.
    async fn read_stream(&self, stream: &str, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, StoreError>;
    /// Number of entries of a stream.
    async fn stream_len(&self, stream: &str) -> Result<u64, StoreError>;
    /// The journal of one row, oldest first.
    async fn journal(
        &self,
        table: &str,
        id: &[u8],
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError>;
    /// The whole journal after `after_seq`, oldest first: the outbox reads this.
    async fn journal_all(&self, after_seq: u64, limit: u32) -> Result<Vec<JournalEntry>, StoreError>;
    /// Takes up to `limit` jobs that are due and not leased, and leases them until `now + lease`.
    async fn claim(&self, queue: &str, now: Timestamp, lease: Duration, limit: u32) -> Result<Vec<Job>, StoreError>;
    /// When the earliest job of a queue can next be claimed (due, and its lease over).
    async fn next_due(&self, queue: &str) -> Result<Option<Timestamp>, StoreError>;
    /// The stored answer to an idempotency key of one principal.
    async fn replay(&self, principal: &str, key: &str) -> Result<Option<StoredAnswer>, StoreError>;
    /// Removes idempotency answers stored before `before`; returns how many.
    async fn forget_answers(&self, before: Timestamp) -> Result<u64, StoreError>;
}

/// Everything that one transition changes.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Domain time of the transition; stored with journal entries.
    pub at: Option<Timestamp>,
    /// Rows that were read for the decision but are not written: their versions must still hold.
    pub checks: Vec<Check>,
    pub puts: Vec<Put>,
    pub deletes: Vec<Check>,
    pub journal: Vec<JournalWrite>,
    /// Entries for append-only streams, such as the leaves of the log.
    pub appends: Vec<Append>,
    pub jobs: Vec<JobWrite>,
    pub jobs_done: Vec<(String, Vec<u8>)>,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    pub table: String,
    pub id: Vec<u8>,
    pub expected: Version,
    /// Versioned JSON, or any bytes.
    pub state: Vec<u8>,
    /// Index name → key; replaces the row's earlier keys. Keys sort bytewise and need not be unique.
    pub index: BTreeMap<String, Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalWrite {
    pub table: String,
    pub id: Vec<u8>,
    pub kind: String,
    pub event: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    pub stream: String,
    pub bytes: Vec<u8>,
}

/// Creates or replaces a job (same queue and id).
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    pub request_hash: [u8; 32],
    pub status: u16,
    pub body: Vec<u8>,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub rows: Vec<Row>,
    pub next: Option<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    pub seq: u64,
    pub table: String,
    pub id: Vec<u8>,
    pub kind: String,
    pub event: Vec<u8>,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub queue: String,
    pub id: Vec<u8>,
    pub run_at: Timestamp,
    pub payload: Vec<u8>,
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

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("engine failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("store is shut down")]
    Closed,
    #[error("row of {table} is not what this version writes: {what}")]
    Corrupt { table: String, what: &'static str },
}
