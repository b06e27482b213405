//! The second engine: everything in memory, for tests and simulation. It runs the same conformance suite, so the port
//! never bends to one engine's habits.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use parcelshelf_core::time::Timestamp;

use crate::cursor::Stretch;
use crate::{
    Batch, Check, CommitError, Committed, Conflict, Engine, JOURNAL_FORGOTTEN_MAX, Job, JournalEntry, ListQuery,
    PAGE_ROWS_MAX, Page, Put, Row, StoreError, StoredAnswer, Version, limits, page,
};

type Id = (String, Vec<u8>);

/// An empty store in memory.
#[derive(Default)]
pub struct MemoryEngine(Mutex<State>);
impl fmt::Debug for MemoryEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryEngine")
    }
}

#[derive(Default)]
struct State {
    rows: BTreeMap<Id, Stored>,
    journal: Vec<JournalEntry>,
    journal_forgotten: u64,
    streams: BTreeMap<String, Vec<Vec<u8>>>,
    jobs: BTreeMap<Id, StoredJob>,
    answers: BTreeMap<(String, String), StoredAnswer>,
}

struct Stored {
    version: u64,
    state: Vec<u8>,
    index: BTreeMap<String, Vec<u8>>,
}

struct StoredJob {
    run_at: Timestamp,
    lease_until: Timestamp,
    attempts: u32,
    payload: Vec<u8>,
}
impl StoredJob {
    /// When it can be claimed: due, and its lease over.
    fn ready(&self) -> Timestamp {
        self.run_at.max(self.lease_until)
    }
}

impl MemoryEngine {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn expect(&self, table: &str, id: &[u8], version: Version) -> Result<(), Conflict> {
        let found = self.rows.get(&(table.to_owned(), id.to_vec())).map(|r| r.version);
        let holds = match version {
            Version::Absent => found.is_none(),
            Version::Is(expected) => found == Some(expected),
        };
        if holds { Ok(()) } else { Err(Conflict { table: table.to_owned(), id: id.to_vec() }) }
    }

    /// Writes the rows of a batch, or puts back what it has written so far.
    fn write_rows(&mut self, checks: &[Check], puts: Vec<Put>, deletes: Vec<Check>) -> Result<(), Conflict> {
        let mut before: Vec<(Id, Option<Stored>)> = Vec::new();
        let result = self.try_write_rows(checks, puts, deletes, &mut before);
        if result.is_err() {
            for (id, stored) in before.into_iter().rev() {
                match stored {
                    Some(stored) => self.rows.insert(id, stored),
                    None => self.rows.remove(&id),
                };
            }
        }
        result
    }

    fn try_write_rows(
        &mut self,
        checks: &[Check],
        puts: Vec<Put>,
        deletes: Vec<Check>,
        before: &mut Vec<(Id, Option<Stored>)>,
    ) -> Result<(), Conflict> {
        for Check { table, id, version } in checks {
            self.expect(table, id, *version)?;
        }
        for put in puts {
            self.expect(&put.table, &put.id, put.expected)?;
            let version = match put.expected {
                Version::Absent => 1,
                Version::Is(version) => version + 1,
            };
            let id = (put.table, put.id);
            let replaced = self.rows.insert(id.clone(), Stored { version, state: put.state, index: put.index });
            before.push((id, replaced));
        }
        for Check { table, id, version } in deletes {
            self.expect(&table, &id, version)?;
            let id = (table, id);
            let removed = self.rows.remove(&id);
            before.push((id, removed));
        }
        Ok(())
    }

    fn apply(&mut self, batch: Batch) -> Result<Committed, CommitError> {
        if let Some(write) = &batch.answer
            && let Some(stored) = self.answers.get(&(write.principal.clone(), write.key.clone()))
        {
            return Err(CommitError::Replayed(stored.clone()));
        }
        self.write_rows(&batch.checks, batch.puts, batch.deletes)?;
        // Nothing below can be refused.
        let at = batch.at.unwrap_or(Timestamp::EPOCH);
        let mut committed = Committed::default();
        for write in batch.journal {
            let seq = self.journal_forgotten + self.journal.len() as u64 + 1;
            committed.journal.push(seq);
            self.journal.push(JournalEntry {
                seq,
                table: write.table,
                id: write.id,
                kind: write.kind,
                event: write.event,
                at,
            });
        }
        for append in batch.appends {
            let stream = self.streams.entry(append.stream).or_default();
            committed.appended.push(stream.len() as u64);
            stream.push(append.bytes);
        }
        for done in batch.jobs_done {
            self.jobs.remove(&done);
        }
        for job in batch.jobs {
            let stored =
                StoredJob { run_at: job.run_at, lease_until: Timestamp::EPOCH, attempts: 0, payload: job.payload };
            self.jobs.insert((job.queue, job.id), stored);
        }
        if let Some(write) = batch.answer {
            self.answers.insert((write.principal, write.key), write.answer);
        }
        Ok(committed)
    }
}

fn page_limit(limit: u32) -> usize {
    limits::page(limit) as usize
}

#[async_trait::async_trait]
impl Engine for MemoryEngine {
    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        limits::check(&batch)?;
        self.state().apply(batch)
    }

    async fn get(&self, table: &str, id: &[u8]) -> Result<Option<Row>, StoreError> {
        let state = self.state();
        let stored = state.rows.get(&(table.to_owned(), id.to_vec()));
        Ok(stored.map(|r| Row { id: id.to_vec(), version: r.version, state: r.state.clone() }))
    }

    async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        let stretch = Stretch::new(&query.prefix, query.cursor.as_deref());
        let state = self.state();
        let mut found: Vec<(Vec<u8>, Row)> = state
            .rows
            .iter()
            .filter(|((table, _), _)| *table == query.table)
            .filter_map(|((_, id), r)| {
                let key = if query.index.is_empty() { id.clone() } else { r.index.get(&query.index)?.clone() };
                (key.starts_with(&query.prefix) && stretch.contains(&key, id))
                    .then(|| (key, Row { id: id.clone(), version: r.version, state: r.state.clone() }))
            })
            .collect();
        found.sort_by(|(a, ra), (b, rb)| (a, &ra.id).cmp(&(b, &rb.id)));
        Ok(page(found, query.limit.clamp(1, PAGE_ROWS_MAX)))
    }

    async fn read_stream(&self, stream: &str, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, StoreError> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let state = self.state();
        Ok(state
            .streams
            .get(stream)
            .into_iter()
            .flatten()
            .skip(from)
            .take(limits::stretch(limit) as usize)
            .cloned()
            .collect())
    }

    async fn stream_len(&self, stream: &str) -> Result<u64, StoreError> {
        Ok(self.state().streams.get(stream).map_or(0, Vec::len) as u64)
    }

    async fn journal(
        &self,
        table: &str,
        id: &[u8],
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let state = self.state();
        let of_row = state.journal.iter().filter(|e| e.table == table && e.id == id && e.seq > after_seq);
        Ok(of_row.take(page_limit(limit)).cloned().collect())
    }

    async fn journal_all(&self, after_seq: u64, limit: u32) -> Result<Vec<JournalEntry>, StoreError> {
        Ok(self.state().journal.iter().filter(|e| e.seq > after_seq).take(page_limit(limit)).cloned().collect())
    }

    async fn claim(&self, queue: &str, now: Timestamp, lease: Duration, limit: u32) -> Result<Vec<Job>, StoreError> {
        let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let mut state = self.state();
        let mut due: Vec<(&Id, &mut StoredJob)> =
            state.jobs.iter_mut().filter(|((q, _), job)| q == queue && job.ready() <= now).collect();
        due.sort_by_key(|((_, id), job)| (job.ready(), id.clone()));
        Ok(due
            .into_iter()
            .take(page_limit(limit))
            .map(|((queue, id), job)| {
                job.lease_until = now.plus_millis(lease_ms);
                job.attempts = job.attempts.saturating_add(1);
                Job {
                    queue: queue.clone(),
                    id: id.clone(),
                    run_at: job.run_at,
                    payload: job.payload.clone(),
                    attempts: job.attempts,
                }
            })
            .collect())
    }

    async fn next_due(&self, queue: &str) -> Result<Option<Timestamp>, StoreError> {
        let state = self.state();
        let of_queue = state.jobs.iter().filter(|((q, _), _)| q == queue);
        Ok(of_queue.map(|(_, job)| job.ready()).min())
    }

    async fn replay(&self, principal: &str, key: &str) -> Result<Option<StoredAnswer>, StoreError> {
        Ok(self.state().answers.get(&(principal.to_owned(), key.to_owned())).cloned())
    }

    async fn forget_answers(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut state = self.state();
        let all = state.answers.len();
        state.answers.retain(|_, answer| answer.at >= before);
        Ok((all - state.answers.len()) as u64)
    }

    async fn forget_journal(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut state = self.state();
        let over = state.journal.iter().take(JOURNAL_FORGOTTEN_MAX as usize).take_while(|e| e.at < before).count();
        state.journal.drain(..over);
        state.journal_forgotten += over as u64;
        Ok(over as u64)
    }
}
