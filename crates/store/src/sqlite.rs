//! The embedded engine: SQLite with one writer that commits whatever queued up as one transaction.
//!
//! Each batch runs in a savepoint of its own, so that a refused batch does not hurt its neighbours; everybody is answered
//! after the transaction's `COMMIT`, which is durable (`WAL`, `synchronous=FULL`). Readers have connections of their own
//! and see committed data only.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use parcelshelf_core::time::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::apply;
use crate::held::Held;
use crate::migrate;
use crate::whole::{Ledger, Running, Whole};
use crate::writer::{Task, Work, Writer};
use crate::{
    Batch, CommitError, Committed, Conflict, Engine, Job, JournalEntry, ListQuery, Page, Row, StoreError, StoredAnswer,
};

/// Batches that may wait for the writer; beyond it, committers wait for a place.
const QUEUE: usize = 1024;
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

/// What becomes of a commit, as a test wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Goes,
    /// It fails as on a full disk: nothing of it is kept, everybody in it is told, and the process goes on. Before a
    /// commit only: what is on the disk has not failed.
    Fails,
}

/// Called on the writer's thread around every `COMMIT`.
pub type OnStep = Arc<dyn Fn(Step<'_>) -> Fate + Send + Sync>;

#[derive(Clone, Default)]
pub struct Options {
    /// For tests that stop or kill the process at an exact point. `None` in production.
    pub on_step: Option<OnStep>,
    /// How the store proves that nobody else has written to it; `None`: it does not.
    pub whole: Option<Whole>,
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
    readers: Readers,
    held: Arc<Held>,
    altered: bool,
}
impl fmt::Debug for SqliteEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteEngine")
    }
}

struct Readers {
    idle: Mutex<Vec<Connection>>,
    places: Semaphore,
}
impl Readers {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rows held in memory, bytes.
const HELD_BYTES: usize = 64 << 20;
/// Pages that the writer keeps, KiB: nobody else writes, so they stay good. A reader's are void after every commit.
const WRITER_PAGES_KIB: i64 = 16 << 10;
/// The log is folded into the file when it has so many pages of 4 KiB: a page that changes often is then written back once.
const FOLDED_AFTER_PAGES: i64 = 8_192;

impl SqliteEngine {
    /// Opens or creates the store at `path`, and brings its schema up to date. The file is readable by its owner only.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be opened, was written by a newer version, or is not a store.
    pub fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        create_private(path).map_err(|e| StoreError::Engine(Box::new(e)))?;
        let mut connection = connect(path, false)?;
        migrate::run(&mut connection)?;
        let whole =
            options.whole.as_ref().map(|whole| Running::begin(&connection, whole)).transpose().map_err(engine)?;
        let altered = whole.as_ref().is_some_and(Running::is_altered);
        let readers = (0..READERS).map(|_| connect(path, true)).collect::<Result<Vec<_>, _>>()?;
        let (writer, work) = mpsc::channel(QUEUE);
        let held = Arc::new(Held::new(HELD_BYTES));
        let holding = Arc::clone(&held);
        let thread = std::thread::Builder::new()
            .name(String::from("store-writer"))
            .spawn(move || Writer::new(connection, options.on_step, holding, whole).run(work))
            .map_err(|e| StoreError::Engine(Box::new(e)))?;
        Ok(Self {
            writer,
            thread: Mutex::new(Some(thread)),
            readers: Readers { idle: Mutex::new(readers), places: Semaphore::new(READERS) },
            held,
            altered,
        })
    }

    /// Reads on the caller's thread: a bounded read from the page cache takes less than handing it to another thread and
    /// back, which was the largest part of what a delivery cost.
    async fn read<T>(&self, what: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let _place = self.readers.places.acquire().await.map_err(|_| StoreError::Closed)?;
        let connection = self.readers.idle().pop().ok_or(StoreError::Closed)?;
        let result = what(&connection);
        self.readers.idle().push(connection);
        result.map_err(engine)
    }

    /// Runs `what` in a savepoint of the next transaction; returns its result after that transaction's `COMMIT`.
    async fn write<T, E>(
        &self,
        batch: Option<Batch>,
        what: impl FnOnce(&Connection, Option<&Batch>, Ledger<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let task = Task::new(batch, what, answer);
        self.writer.send(Work::Run(Box::new(task))).await.map_err(|_| StoreError::Closed)?;
        result.await.map_err(|_| StoreError::Closed)?
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
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(engine)?;
    connection.busy_timeout(BUSY).map_err(engine)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Plans do not depend on what is asked for: otherwise a statement is parsed anew for every new bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(engine)?;
    // What a transaction sets aside stays in memory: no copy of a page may lie in a temporary file.
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(engine)?;
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
        connection.pragma_update(None, "cache_size", -WRITER_PAGES_KIB).map_err(engine)?;
        connection.pragma_update(None, "wal_autocheckpoint", FOLDED_AFTER_PAGES).map_err(engine)?;
    }
    Ok(connection)
}

/// Whether nothing of a transaction with this failed `COMMIT` can ever show up, so that the writer may go on.
pub(crate) fn harmless(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy))
}

#[async_trait::async_trait]
impl Engine for SqliteEngine {
    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        crate::limits::check(&batch)?;
        let held = Arc::clone(&self.held);
        let apply = move |c: &Connection, batch: Option<&Batch>, ledger: Ledger<'_>| {
            batch.map_or_else(|| Ok(Committed::default()), |b| apply::batch(c, b, &held, ledger))
        };
        let done = self.write(Some(batch), apply).await;
        if let Err(CommitError::Conflict(Conflict { table, id })) = &done {
            // Whoever decides again must not be shown the same row, should the file know better.
            self.held.forget(table, id);
        }
        done
    }

    /// Lets running reads end, commits everything queued, then closes the file. Later calls answer
    /// [`StoreError::Closed`].
    async fn close(&self) {
        // Readers go first, so that the writer is the last connection and folds its log into the file.
        for _ in 0..READERS {
            if let Ok(place) = self.readers.places.acquire().await {
                place.forget();
            }
        }
        self.readers.places.close();
        self.readers.idle().clear();
        let _ = self.writer.send(Work::Close).await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    fn is_altered(&self) -> bool {
        self.altered
    }

    async fn get(&self, table: &str, id: &[u8]) -> Result<Option<Row>, StoreError> {
        let began = match self.held.get(table, id) {
            Ok(row) if !self.readers.places.is_closed() => return Ok(Some(row)),
            Ok(_) => return Err(StoreError::Closed),
            Err(began) => began,
        };
        let row = self.read(|c| apply::row(c, table, id)).await?;
        if let Some(row) = &row {
            self.held.leave(table, row, began);
        }
        Ok(row)
    }

    async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        self.read(|c| apply::list(c, &query)).await
    }

    async fn read_stream(&self, stream: &str, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(|c| apply::stream(c, stream, from, limit)).await
    }

    async fn stream_len(&self, stream: &str) -> Result<u64, StoreError> {
        self.read(|c| apply::stream_len(c, stream)).await
    }

    async fn journal(
        &self,
        table: &str,
        id: &[u8],
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        self.read(|c| apply::journal(c, table, id, after_seq, limit)).await
    }

    async fn journal_all(&self, after_seq: u64, limit: u32) -> Result<Vec<JournalEntry>, StoreError> {
        self.read(|c| apply::journal_all(c, after_seq, limit)).await
    }

    async fn claim(&self, queue: &str, now: Timestamp, lease: Duration, limit: u32) -> Result<Vec<Job>, StoreError> {
        let queue = queue.to_owned();
        self.write(None, move |c, _, ledger| apply::claim(c, &queue, now, lease, limit, ledger).map_err(engine)).await
    }

    async fn next_due(&self, queue: &str) -> Result<Option<Timestamp>, StoreError> {
        self.read(|c| apply::next_due(c, queue)).await
    }

    async fn replay(&self, principal: &str, key: &str) -> Result<Option<StoredAnswer>, StoreError> {
        self.read(|c| apply::answer(c, principal, key)).await
    }

    async fn forget_answers(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.write(None, move |c, _, _| apply::forget(c, before).map_err(engine)).await
    }
}
