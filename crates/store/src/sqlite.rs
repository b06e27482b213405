//! The embedded engine: SQLite with one writer that commits whatever queued up as one transaction.
//!
//! Each batch runs in a savepoint of its own, so that a refused batch does not hurt its neighbours; everybody is answered
//! after the transaction's `COMMIT`, which is durable (`WAL`, `synchronous=FULL`). Readers have connections of their own
//! and see committed data only.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use parcelshelf_core::time::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::apply;
use crate::migrate;
use crate::{
    Batch, CommitError, Committed, Engine, Job, JournalEntry, ListQuery, PAGE_ROWS_MAX, Page, Row, StoreError,
    StoredAnswer,
};

/// A batch and who waits for it.
type Waiting = (Box<Batch>, oneshot::Sender<Result<Committed, CommitError>>);

/// Batches that may wait for the writer; beyond it, committers wait for a place.
const QUEUE: usize = 1024;
/// Batches in one transaction. Above, latency grows and throughput does not.
const GROUP_MAX: usize = 256;
/// Connections for reading.
const READERS: usize = 4;
/// Another process may hold the file's lock for a moment (a backup); longer is an error.
const BUSY: Duration = Duration::from_secs(5);

/// A durable step, as [`Options::on_step`] hears of it.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// The transaction with these journal kinds is complete and not yet committed.
    BeforeCommit { journal_kinds: &'a [String] },
    /// It is on the disk; nobody has been answered yet.
    AfterCommit { journal_kinds: &'a [String] },
}

/// Called on the writer's thread around every `COMMIT`.
pub type OnStep = Arc<dyn Fn(Step<'_>) + Send + Sync>;

#[derive(Clone, Default)]
pub struct Options {
    /// For tests that stop or kill the process at an exact point. `None` in production.
    pub on_step: Option<OnStep>,
}
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("on_step", &self.on_step.is_some()).finish()
    }
}

/// An open store.
pub struct SqliteEngine {
    writer: mpsc::Sender<Work>,
    thread: Mutex<Option<JoinHandle<()>>>,
    readers: Arc<Readers>,
}
impl fmt::Debug for SqliteEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteEngine")
    }
}

enum Work {
    Commit(Box<Batch>, oneshot::Sender<Result<Committed, CommitError>>),
    Claim {
        queue: String,
        now: Timestamp,
        lease: Duration,
        limit: u32,
        answer: oneshot::Sender<Result<Vec<Job>, StoreError>>,
    },
    Forget {
        before: Timestamp,
        answer: oneshot::Sender<Result<u64, StoreError>>,
    },
    Close,
}

struct Readers {
    idle: Mutex<Vec<Connection>>,
    places: Semaphore,
}

impl SqliteEngine {
    /// Opens or creates the store at `path`, and brings its schema up to date. The file is readable by its owner only.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be opened, was written by a newer version, or is not a store.
    pub fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        create_private(path).map_err(|e| StoreError::Engine(Box::new(e)))?;
        let mut connection = connect(path, false)?;
        migrate::run(&mut connection)?;
        let readers = (0..READERS).map(|_| connect(path, true)).collect::<Result<Vec<_>, _>>()?;
        let (writer, work) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name(String::from("store-writer"))
            .spawn(move || Writer { connection, options }.run(work))
            .map_err(|e| StoreError::Engine(Box::new(e)))?;
        Ok(Self {
            writer,
            thread: Mutex::new(Some(thread)),
            readers: Arc::new(Readers { idle: Mutex::new(readers), places: Semaphore::new(READERS) }),
        })
    }

    /// Waits until everything queued is committed, then closes.
    pub async fn close(&self) {
        let _ = self.writer.send(Work::Close).await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _place = self.readers.places.acquire().await.map_err(|_| StoreError::Closed)?;
        let readers = Arc::clone(&self.readers);
        tokio::task::spawn_blocking(move || {
            let take = || readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let connection = take().pop().ok_or(StoreError::Closed)?;
            let result = what(&connection);
            take().push(connection);
            result.map_err(engine)
        })
        .await
        .map_err(|e| StoreError::Engine(Box::new(e)))?
    }

    async fn ask<T>(&self, work: Work, answer: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
        self.writer.send(work).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

pub(crate) fn engine(error: rusqlite::Error) -> StoreError {
    StoreError::Engine(Box::new(error))
}

/// Creates the file with mode 0600 before SQLite would create it with another.
pub(crate) fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn connect(path: &Path, read_only: bool) -> Result<Connection, StoreError> {
    let access = if read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let connection =
        Connection::open_with_flags(PathBuf::from(path), access | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(engine)?;
    connection.busy_timeout(BUSY).map_err(engine)?;
    connection.set_prepared_statement_cache_capacity(64);
    if !read_only {
        let mode: String = connection.query_row("PRAGMA journal_mode=WAL", [], |r| r.get(0)).map_err(engine)?;
        if mode != "wal" {
            return Err(StoreError::Corrupt {
                table: String::from("(file)"),
                what: "write-ahead logging is not available",
            });
        }
        connection.pragma_update(None, "synchronous", "FULL").map_err(engine)?;
        connection.pragma_update(None, "secure_delete", true).map_err(engine)?;
    }
    Ok(connection)
}

struct Writer {
    connection: Connection,
    options: Options,
}

impl Writer {
    fn run(mut self, mut work: mpsc::Receiver<Work>) {
        while let Some(first) = work.blocking_recv() {
            let mut batches = Vec::new();
            let mut next = Some(first);
            let mut closing = false;
            while let Some(now) = next.take() {
                match now {
                    Work::Commit(batch, answer) => batches.push((batch, answer)),
                    Work::Claim { queue, now, lease, limit, answer } => {
                        let _ =
                            answer.send(apply::claim(&mut self.connection, &queue, now, lease, limit).map_err(engine));
                    }
                    Work::Forget { before, answer } => {
                        let _ = answer.send(apply::forget(&self.connection, before).map_err(engine));
                    }
                    Work::Close => closing = true,
                }
                if !closing && batches.len() < GROUP_MAX {
                    next = work.try_recv().ok();
                }
            }
            self.commit(batches);
            if closing {
                return;
            }
        }
    }

    /// One transaction for all batches; everybody is answered after the commit.
    fn commit(&mut self, batches: Vec<Waiting>) {
        if batches.is_empty() {
            return;
        }
        let (batches, answers): (Vec<_>, Vec<_>) = batches.into_iter().unzip();
        let results = self.transact(&batches);
        match results {
            Ok(results) => {
                for (answer, result) in answers.into_iter().zip(results) {
                    let _ = answer.send(result);
                }
            }
            Err(error) => {
                tracing::error!(error = %error, "the store could not commit");
                let error = Arc::new(error);
                for answer in answers {
                    let _ = answer.send(Err(StoreError::Engine(Box::new(Arc::clone(&error))).into()));
                }
            }
        }
    }

    fn transact(&mut self, batches: &[Box<Batch>]) -> rusqlite::Result<Vec<Result<Committed, CommitError>>> {
        let mut transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut results = Vec::with_capacity(batches.len());
        let mut kinds = Vec::new();
        for batch in batches {
            let savepoint = transaction.savepoint()?;
            let result = apply::batch(&savepoint, batch);
            if result.is_ok() {
                savepoint.commit()?;
                kinds.extend(batch.journal.iter().map(|j| j.kind.clone()));
            } else {
                // Dropped without commit: rolled back to where it began.
                savepoint.finish()?;
            }
            results.push(result);
        }
        if let Some(on_step) = &self.options.on_step {
            on_step(Step::BeforeCommit { journal_kinds: &kinds });
        }
        transaction.commit()?;
        if let Some(on_step) = &self.options.on_step {
            on_step(Step::AfterCommit { journal_kinds: &kinds });
        }
        Ok(results)
    }
}

#[async_trait::async_trait]
impl Engine for SqliteEngine {
    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        crate::limits::check(&batch)?;
        let (answer, result) = oneshot::channel();
        self.writer.send(Work::Commit(Box::new(batch), answer)).await.map_err(|_| StoreError::Closed)?;
        result.await.map_err(|_| StoreError::Closed)?
    }

    async fn get(&self, table: &str, id: &[u8]) -> Result<Option<Row>, StoreError> {
        let (table, id) = (table.to_owned(), id.to_vec());
        self.read(move |c| {
            c.prepare_cached("SELECT version, state FROM rows WHERE tab = ?1 AND id = ?2")?
                .query_row(params![table, id], |r| Ok(Row { id: id.clone(), version: r.get(0)?, state: r.get(1)? }))
                .optional()
        })
        .await
    }

    async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        self.read(move |c| apply::list(c, &query)).await
    }

    async fn read_stream(&self, stream: &str, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, StoreError> {
        let stream = stream.to_owned();
        self.read(move |c| {
            c.prepare_cached("SELECT bytes FROM streams WHERE stream = ?1 AND pos >= ?2 ORDER BY pos LIMIT ?3")?
                .query_map(params![stream, from, limit], |r| r.get(0))?
                .collect()
        })
        .await
    }

    async fn stream_len(&self, stream: &str) -> Result<u64, StoreError> {
        let stream = stream.to_owned();
        self.read(move |c| apply::stream_len(c, &stream)).await
    }

    async fn journal(
        &self,
        table: &str,
        id: &[u8],
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let (table, id) = (table.to_owned(), id.to_vec());
        self.read(move |c| {
            c.prepare_cached(
                "SELECT seq, tab, id, kind, event, at_ms FROM journal \
                 WHERE tab = ?1 AND id = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4",
            )?
            .query_map(params![table, id, after_seq, limit.min(PAGE_ROWS_MAX)], apply::journal_entry)?
            .collect()
        })
        .await
    }

    async fn journal_all(&self, after_seq: u64, limit: u32) -> Result<Vec<JournalEntry>, StoreError> {
        self.read(move |c| {
            c.prepare_cached(
                "SELECT seq, tab, id, kind, event, at_ms FROM journal WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            )?
            .query_map(params![after_seq, limit.min(PAGE_ROWS_MAX)], apply::journal_entry)?
            .collect()
        })
        .await
    }

    async fn claim(&self, queue: &str, now: Timestamp, lease: Duration, limit: u32) -> Result<Vec<Job>, StoreError> {
        let (answer, result) = oneshot::channel();
        self.ask(Work::Claim { queue: queue.to_owned(), now, lease, limit, answer }, result).await
    }

    async fn next_due(&self, queue: &str) -> Result<Option<Timestamp>, StoreError> {
        let queue = queue.to_owned();
        self.read(move |c| {
            let earliest: Option<i64> = c
                .prepare_cached("SELECT MIN(MAX(run_at_ms, lease_until_ms)) FROM jobs WHERE queue = ?1")?
                .query_row(params![queue], |r| r.get(0))?;
            Ok(earliest.map(Timestamp::from_unix_millis))
        })
        .await
    }

    async fn replay(&self, principal: &str, key: &str) -> Result<Option<StoredAnswer>, StoreError> {
        let (principal, key) = (principal.to_owned(), key.to_owned());
        self.read(move |c| apply::answer(c, &principal, &key)).await
    }

    async fn forget_answers(&self, before: Timestamp) -> Result<u64, StoreError> {
        let (answer, result) = oneshot::channel();
        self.ask(Work::Forget { before, answer }, result).await
    }
}
