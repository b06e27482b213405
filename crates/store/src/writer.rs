//! The one writer: a thread that runs whatever queued up as one transaction, each piece in a savepoint of its own, and
//! answers everybody after the `COMMIT`.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::held::Held;
use crate::sqlite::{Fate, OnStep, Step, harmless};
use crate::whole::{Ledger, Running};
use crate::{Batch, StoreError};

/// Pieces in one transaction. Above, latency grows and throughput does not.
const GROUP_MAX: usize = 256;

pub(crate) enum Work {
    Run(Box<dyn Piece>),
    Close,
}

/// A piece of a transaction.
pub(crate) trait Piece: Send {
    /// Whether it is kept; otherwise it is rolled back. Runs once.
    fn run(&mut self, c: &Connection, ledger: Ledger<'_>) -> bool;
    /// The batch that it applies, if it applies one.
    fn batch(&self) -> Option<&Batch>;
    /// The batch, if it was applied; afterwards it is gone.
    fn take_applied(&mut self) -> Option<Batch>;
    /// Answers with the result of `run`, or with the failure of the whole transaction.
    fn answer(self: Box<Self>, failed: Option<StoreError>);
}

pub(crate) struct Task<T, E, F> {
    batch: Option<Batch>,
    what: Option<F>,
    result: Option<Result<T, E>>,
    to: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Task<T, E, F> {
    pub(crate) const fn new(batch: Option<Batch>, what: F, to: oneshot::Sender<Result<T, E>>) -> Self {
        Self { batch, what: Some(what), result: None, to }
    }
}

impl<T, E, F> Piece for Task<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: FnOnce(&Connection, Option<&Batch>, Ledger<'_>) -> Result<T, E> + Send,
{
    fn run(&mut self, c: &Connection, ledger: Ledger<'_>) -> bool {
        self.result = self.what.take().map(|what| what(c, self.batch.as_ref(), ledger));
        matches!(self.result, Some(Ok(_)))
    }

    fn batch(&self) -> Option<&Batch> {
        self.batch.as_ref()
    }

    fn take_applied(&mut self) -> Option<Batch> {
        self.batch.take().filter(|_| matches!(self.result, Some(Ok(_))))
    }

    fn answer(self: Box<Self>, failed: Option<StoreError>) {
        let result = match (failed, self.result) {
            (Some(failed), _) => Err(failed.into()),
            (None, Some(result)) => result,
            (None, None) => Err(StoreError::Closed.into()),
        };
        // Nobody may be waiting any more; the piece is committed all the same.
        let _ = self.to.send(result);
    }
}

/// Why a transaction failed as a whole.
struct Failed {
    error: rusqlite::Error,
    /// Whether the writer must stop: after a failed flush nobody knows what is on the disk, and only recovery at the next
    /// start can tell.
    fatal: bool,
}
impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self { error, fatal: false }
    }
}

/// Bytes of the rows that a batch has written.
fn state_bytes(batch: &Batch) -> u64 {
    batch.puts.iter().map(|put| put.state.len() as u64).sum()
}

/// Runs a statement that is parsed once: these words come with every piece of work.
fn say(connection: &Connection, sql: &'static str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// An open transaction; rolled back when it is dropped uncommitted.
struct Open<'a> {
    connection: &'a Connection,
    committed: bool,
}
impl<'a> Open<'a> {
    fn begin(connection: &'a Connection) -> rusqlite::Result<Self> {
        say(connection, "BEGIN IMMEDIATE")?;
        Ok(Self { connection, committed: false })
    }
    fn commit(mut self) -> rusqlite::Result<()> {
        say(self.connection, "COMMIT")?;
        self.committed = true;
        Ok(())
    }
}
impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.committed && !self.connection.is_autocommit() {
            let _ = say(self.connection, "ROLLBACK");
        }
    }
}

pub(crate) struct Writer {
    connection: Connection,
    on_step: Option<OnStep>,
    held: Arc<Held>,
    whole: Option<Running>,
}

impl Writer {
    pub(crate) const fn new(
        connection: Connection,
        on_step: Option<OnStep>,
        held: Arc<Held>,
        whole: Option<Running>,
    ) -> Self {
        Self { connection, on_step, held, whole }
    }

    /// Until the queue is closed, `Work::Close` comes, or a commit fails in a way that only a restart can mend.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        while let Some(first) = queue.blocking_recv() {
            let mut group = Vec::new();
            let mut next = Some(first);
            let mut closing = false;
            while let Some(work) = next.take() {
                match work {
                    Work::Run(piece) => group.push(piece),
                    Work::Close => closing = true,
                }
                if !closing && group.len() < GROUP_MAX {
                    next = queue.try_recv().ok().or_else(|| {
                        // Whoever is about to run may have something as well: one flush for all. Where nobody else wants
                        // the processor, this takes no time.
                        std::thread::yield_now();
                        queue.try_recv().ok()
                    });
                }
            }
            let alive = self.commit(group);
            if closing || !alive {
                return;
            }
        }
    }

    fn say(&self, sql: &'static str) -> rusqlite::Result<()> {
        say(&self.connection, sql)
    }

    /// One transaction for all pieces; everybody is answered after the commit. Returns whether the writer may go on.
    fn commit(&mut self, mut group: Vec<Box<dyn Piece>>) -> bool {
        if group.is_empty() {
            return true;
        }
        match self.transact(&mut group) {
            Ok(()) => {
                if let Some(whole) = &self.whole {
                    whole.committed();
                }
                let mut bytes = 0;
                let applied = group.iter_mut().filter_map(|piece| piece.take_applied());
                self.held.committed(applied.inspect(|batch| bytes += state_bytes(batch)));
                metrics::counter!("store_state_bytes_total").increment(bytes);
                for piece in group {
                    piece.answer(None);
                }
                true
            }
            Err(Failed { error, fatal }) => {
                if let Some(whole) = &self.whole {
                    whole.rolled_back();
                }
                tracing::error!(error = %error, fatal, "the store could not commit");
                let error = Arc::new(error);
                for piece in group {
                    piece.answer(Some(StoreError::Engine(Box::new(Arc::clone(&error)))));
                }
                !fatal
            }
        }
    }

    fn transact(&mut self, group: &mut [Box<dyn Piece>]) -> Result<(), Failed> {
        let open = Open::begin(&self.connection)?;
        let mut kinds = Vec::new();
        match group {
            // Alone, it is kept or rolled back with the transaction: pages need not be copied for it.
            [alone] => {
                if !alone.run(&self.connection, Ledger::of(self.whole.as_ref())) {
                    if let Some(whole) = &self.whole {
                        whole.rolled_back();
                    }
                    return Ok(());
                }
                self.hear(&**alone, &mut kinds);
            }
            several => {
                for piece in several {
                    self.piece(&mut **piece, &mut kinds)?;
                }
            }
        }
        if let Some(whole) = &self.whole {
            whole.seal(&self.connection)?;
        }
        let fate = self.on_step.as_ref().map(|on_step| on_step(Step::BeforeCommit { journal_kinds: &kinds }));
        if fate == Some(Fate::Fails) {
            let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
            return Err(Failed::from(rusqlite::Error::SqliteFailure(full, None)));
        }
        open.commit().map_err(|error| Failed { fatal: !harmless(&error), error })?;
        metrics::counter!("store_commits_total").increment(1);
        if let Some(on_step) = &self.on_step {
            on_step(Step::AfterCommit { journal_kinds: &kinds });
        }
        Ok(())
    }

    /// One piece among others, in a savepoint of its own.
    fn piece(&self, piece: &mut dyn Piece, kinds: &mut Vec<String>) -> rusqlite::Result<()> {
        self.say("SAVEPOINT piece")?;
        let mark = self.whole.as_ref().map(Running::mark);
        if piece.run(&self.connection, Ledger::of(self.whole.as_ref())) {
            self.hear(piece, kinds);
        } else {
            self.say("ROLLBACK TO piece")?;
            if let (Some(whole), Some(mark)) = (&self.whole, mark) {
                whole.back_to(mark);
            }
        }
        self.say("RELEASE piece")
    }

    fn hear(&self, piece: &dyn Piece, kinds: &mut Vec<String>) {
        if self.on_step.is_some() {
            kinds.extend(piece.batch().into_iter().flat_map(|b| &b.journal).map(|j| j.kind.clone()));
        }
    }
}
