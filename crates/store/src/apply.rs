//! The statements, each in one place. Everything here runs inside a transaction that the caller owns.
//!
//! A statement that changes rows, their index, streams or jobs tells the [`Ledger`] what went and what came; whoever adds one
//! does the same, or the store does not prove itself at its next start (`tests/whole.rs` draws histories and looks).

use std::time::Duration;

use parcelshelf_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params};

use crate::cursor::Stretch;
use crate::held::Held;
use crate::whole::{Element, Ledger};
use crate::{
    AnswerWrite, Append, Batch, Check, CommitError, Committed, Conflict, Job, JobWrite, JournalEntry, JournalWrite,
    ListQuery, PAGE_ROWS_MAX, Page, Put, Row, StoreError, StoredAnswer, Version, limits, page,
};

/// Applies one batch. The caller rolls back on error. `held` knows rows as they are committed.
pub(crate) fn batch(c: &Connection, batch: &Batch, held: &Held, ledger: Ledger<'_>) -> Result<Committed, CommitError> {
    if let Some(write) = &batch.answer
        && let Some(stored) = answer(c, &write.principal, &write.key).map_err(fail)?
    {
        return Err(CommitError::Replayed(stored));
    }
    for check in &batch.checks {
        expect(c, check)?;
    }
    for put in &batch.puts {
        write_row(c, put, held, ledger)?;
    }
    for delete in &batch.deletes {
        expect(c, delete)?;
        remove_row(c, delete, ledger).map_err(fail)?;
        // A row of the same name may come in the same transaction, with the same version and other index keys.
        held.forget(&delete.table, &delete.id);
    }
    record(c, batch, ledger).map_err(fail)
}

/// What has no version to check and cannot be refused.
fn record(c: &Connection, batch: &Batch, ledger: Ledger<'_>) -> rusqlite::Result<Committed> {
    let at = batch.at.unwrap_or(Timestamp::EPOCH);
    let mut committed = Committed::default();
    for entry in &batch.journal {
        committed.journal.push(write_journal(c, entry, at)?);
    }
    for append in &batch.appends {
        committed.appended.push(write_append(c, append, ledger)?);
    }
    for (queue, id) in &batch.jobs_done {
        remove_job(c, queue, id, ledger)?;
    }
    for job in &batch.jobs {
        write_job(c, job, ledger)?;
    }
    if let Some(write) = &batch.answer {
        write_answer(c, write)?;
    }
    Ok(committed)
}

fn fail(error: rusqlite::Error) -> CommitError {
    CommitError::Store(StoreError::Engine(Box::new(error)))
}

fn expect(c: &Connection, check: &Check) -> Result<(), CommitError> {
    let version: Option<u64> = c
        .prepare_cached("SELECT version FROM rows WHERE tab = ?1 AND id = ?2")
        .and_then(|mut s| s.query_row(params![check.table, check.id], |r| r.get(0)).optional())
        .map_err(fail)?;
    let holds = match (check.version, version) {
        (Version::Absent, None) => true,
        (Version::Is(expected), Some(found)) => expected == found,
        _ => false,
    };
    if holds { Ok(()) } else { Err(Conflict { table: check.table.clone(), id: check.id.clone() }.into()) }
}

fn write_row(c: &Connection, put: &Put, held: &Held, ledger: Ledger<'_>) -> Result<(), CommitError> {
    let conflict = || Conflict { table: put.table.clone(), id: put.id.clone() }.into();
    let written = match put.expected {
        Version::Absent => insert_row(c, put, ledger).map_err(fail)?,
        // No row ever gets so far, and SQLite's integers do not.
        Version::Is(version) => match i64::try_from(version) {
            Ok(version) => update_row(c, put, version, held, ledger).map_err(fail)?,
            Err(_) => false,
        },
    };
    if !written {
        return Err(conflict());
    }
    // The version was as expected, so the row before is the committed one.
    if held.keeps_index(put) { Ok(()) } else { write_index(c, put, ledger).map_err(fail) }
}

/// Whether there was none.
fn insert_row(c: &Connection, put: &Put, ledger: Ledger<'_>) -> rusqlite::Result<bool> {
    let changed = c
        .prepare_cached("INSERT INTO rows (tab, id, version, state) VALUES (?1, ?2, 1, ?3) ON CONFLICT DO NOTHING")?
        .execute(params![put.table, put.id, put.state])?;
    if changed == 1 {
        ledger.added(Element::Row { tab: &put.table, id: &put.id, version: 1, state: &put.state });
    }
    Ok(changed == 1)
}

/// Whether there was one with this version.
fn update_row(c: &Connection, put: &Put, version: i64, held: &Held, ledger: Ledger<'_>) -> rusqlite::Result<bool> {
    let (tab, id) = (&put.table, &put.id);
    let before: Option<Vec<u8>> = match ledger.binding_bytes() {
        None => None,
        Some(bytes) => match held.beginning(tab, id, put.expected, bytes) {
            Some(beginning) => Some(beginning),
            None => c
                .prepare_cached("SELECT substr(state, 1, ?4) FROM rows WHERE tab = ?1 AND id = ?2 AND version = ?3")?
                .query_row(params![tab, id, version, bytes], |r| r.get(0))
                .optional()?
                .flatten(),
        },
    };
    let changed = c
        .prepare_cached(
            "UPDATE rows SET version = version + 1, state = ?3 WHERE tab = ?1 AND id = ?2 AND version = ?4",
        )?
        .execute(params![tab, id, put.state, version])?;
    if changed == 1 {
        ledger.gone(Element::Row { tab, id, version, state: before.as_deref().unwrap_or_default() });
        ledger.added(Element::Row { tab, id, version: version + 1, state: &put.state });
    }
    Ok(changed == 1)
}

fn write_index(c: &Connection, put: &Put, ledger: Ledger<'_>) -> rusqlite::Result<()> {
    if put.expected != Version::Absent {
        remove_index(c, &put.table, &put.id, ledger)?;
    }
    for (name, key) in &put.index {
        c.prepare_cached("INSERT INTO row_index (tab, name, key, id) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![put.table, name, key, put.id])?;
        ledger.added(Element::Key { tab: &put.table, name, key, id: &put.id });
    }
    Ok(())
}

fn remove_index(c: &Connection, tab: &str, id: &[u8], ledger: Ledger<'_>) -> rusqlite::Result<()> {
    let mut statement = c.prepare_cached("DELETE FROM row_index WHERE tab = ?1 AND id = ?2 RETURNING name, key")?;
    let mut gone = statement.query(params![tab, id])?;
    while let Some(row) = gone.next()? {
        let (name, key): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        ledger.gone(Element::Key { tab, name: &name, key: &key, id });
    }
    Ok(())
}

fn remove_row(c: &Connection, row: &Check, ledger: Ledger<'_>) -> rusqlite::Result<()> {
    let (tab, id) = (&row.table, &row.id);
    remove_index(c, tab, id, ledger)?;
    let bytes = ledger.binding_bytes().unwrap_or(0);
    let mut statement =
        c.prepare_cached("DELETE FROM rows WHERE tab = ?1 AND id = ?2 RETURNING version, substr(state, 1, ?3)")?;
    let mut gone = statement.query(params![tab, id, bytes])?;
    while let Some(row) = gone.next()? {
        let (version, state): (i64, Option<Vec<u8>>) = (row.get(0)?, row.get(1)?);
        ledger.gone(Element::Row { tab, id, version, state: state.as_deref().unwrap_or_default() });
    }
    Ok(())
}

fn write_journal(c: &Connection, entry: &JournalWrite, at: Timestamp) -> rusqlite::Result<u64> {
    c.prepare_cached("INSERT INTO journal (tab, id, kind, event, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![entry.table, entry.id, entry.kind, entry.event, at.unix_millis()])?;
    Ok(c.last_insert_rowid().unsigned_abs())
}

fn write_answer(c: &Connection, write: &AnswerWrite) -> rusqlite::Result<()> {
    let a = &write.answer;
    c.prepare_cached(
        "INSERT INTO answers (principal, key, request_hash, status, body, at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![write.principal, write.key, a.request_hash, a.status, a.body, a.at.unix_millis()])
    .map(drop)
}

fn write_append(c: &Connection, append: &Append, ledger: Ledger<'_>) -> rusqlite::Result<u64> {
    let position = stream_len(c, &append.stream)?;
    c.prepare_cached("INSERT INTO streams (stream, pos, bytes) VALUES (?1, ?2, ?3)")?.execute(params![
        append.stream,
        position,
        append.bytes
    ])?;
    ledger.added(Element::Entry { stream: &append.stream, pos: bound(position), bytes: &append.bytes });
    Ok(position)
}

/// Streams are dense from 0, so the length is one more than the last position.
pub(crate) fn stream_len(c: &Connection, stream: &str) -> rusqlite::Result<u64> {
    let last: Option<u64> =
        c.prepare_cached("SELECT MAX(pos) FROM streams WHERE stream = ?1")?.query_row(params![stream], |r| r.get(0))?;
    Ok(last.map_or(0, |p| p + 1))
}

/// A job as it stands, besides its name.
struct JobBefore {
    run_at_ms: i64,
    lease_until_ms: i64,
    attempts: i64,
    payload: Vec<u8>,
}
impl JobBefore {
    fn read(r: &SqlRow<'_>) -> rusqlite::Result<Self> {
        Ok(Self { run_at_ms: r.get(0)?, lease_until_ms: r.get(1)?, attempts: r.get(2)?, payload: r.get(3)? })
    }
    fn is_gone(&self, queue: &str, id: &[u8], ledger: Ledger<'_>) {
        let Self { run_at_ms, lease_until_ms, attempts, ref payload } = *self;
        ledger.gone(Element::Job { queue, id, run_at_ms, lease_until_ms, attempts, payload });
    }
}

fn remove_job(c: &Connection, queue: &str, id: &[u8], ledger: Ledger<'_>) -> rusqlite::Result<()> {
    let gone = c
        .prepare_cached(
            "DELETE FROM jobs WHERE queue = ?1 AND id = ?2 RETURNING run_at_ms, lease_until_ms, attempts, payload",
        )?
        .query_row(params![queue, id], JobBefore::read)
        .optional()?;
    if let Some(job) = gone {
        job.is_gone(queue, id, ledger);
    }
    Ok(())
}

fn write_job(c: &Connection, job: &JobWrite, ledger: Ledger<'_>) -> rusqlite::Result<()> {
    remove_job(c, &job.queue, &job.id, ledger)?;
    let run_at_ms = job.run_at.unix_millis();
    c.prepare_cached("INSERT INTO jobs (queue, id, run_at_ms, payload) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        job.queue,
        job.id,
        run_at_ms,
        job.payload
    ])?;
    ledger.added(Element::Job {
        queue: &job.queue,
        id: &job.id,
        run_at_ms,
        lease_until_ms: 0,
        attempts: 0,
        payload: &job.payload,
    });
    Ok(())
}

/// When a job can be claimed: due, and its lease over. The text equals the index `jobs_by_time`, so that it is used.
macro_rules! ready {
    () => {
        "max(run_at_ms, lease_until_ms)"
    };
}

pub(crate) fn claim(
    c: &Connection,
    queue: &str,
    now: Timestamp,
    lease: Duration,
    limit: u32,
    ledger: Ledger<'_>,
) -> rusqlite::Result<Vec<Job>> {
    let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
    let due: Vec<(Vec<u8>, JobBefore)> = c
        .prepare_cached(concat!(
            "SELECT run_at_ms, lease_until_ms, attempts, payload, id FROM jobs WHERE queue = ?1 AND ",
            ready!(),
            " <= ?2 ORDER BY ",
            ready!(),
            ", id LIMIT ?3"
        ))?
        .query_map(params![queue, now.unix_millis(), limits::page(limit)], |r| Ok((r.get(4)?, JobBefore::read(r)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let lease_until_ms = now.plus_millis(lease_ms).unix_millis();
    let mut jobs = Vec::with_capacity(due.len());
    for (id, before) in due {
        let attempts = u32::try_from(before.attempts).unwrap_or(u32::MAX).saturating_add(1);
        c.prepare_cached("UPDATE jobs SET lease_until_ms = ?3, attempts = ?4 WHERE queue = ?1 AND id = ?2")?
            .execute(params![queue, id, lease_until_ms, attempts])?;
        before.is_gone(queue, &id, ledger);
        let JobBefore { run_at_ms, payload, .. } = before;
        let after = i64::from(attempts);
        let payload_now = &payload;
        ledger.added(Element::Job { queue, id: &id, run_at_ms, lease_until_ms, attempts: after, payload: payload_now });
        let run_at = Timestamp::from_unix_millis(run_at_ms);
        jobs.push(Job { queue: queue.to_owned(), id, run_at, payload, attempts });
    }
    Ok(jobs)
}

pub(crate) fn next_due(c: &Connection, queue: &str) -> rusqlite::Result<Option<Timestamp>> {
    c.prepare_cached(concat!("SELECT ", ready!(), " FROM jobs WHERE queue = ?1 ORDER BY ", ready!(), " LIMIT 1"))?
        .query_row(params![queue], |r| r.get(0).map(Timestamp::from_unix_millis))
        .optional()
}

pub(crate) fn forget(c: &Connection, before: Timestamp) -> rusqlite::Result<u64> {
    let removed = c.prepare_cached("DELETE FROM answers WHERE at_ms < ?1")?.execute(params![before.unix_millis()])?;
    Ok(removed as u64)
}

pub(crate) fn answer(c: &Connection, principal: &str, key: &str) -> rusqlite::Result<Option<StoredAnswer>> {
    c.prepare_cached("SELECT request_hash, status, body, at_ms FROM answers WHERE principal = ?1 AND key = ?2")?
        .query_row(params![principal, key], |r| {
            Ok(StoredAnswer {
                request_hash: r.get(0)?,
                status: r.get(1)?,
                body: r.get(2)?,
                at: Timestamp::from_unix_millis(r.get(3)?),
            })
        })
        .optional()
}

fn journal_entry(r: &SqlRow<'_>) -> rusqlite::Result<JournalEntry> {
    Ok(JournalEntry {
        seq: r.get(0)?,
        table: r.get(1)?,
        id: r.get(2)?,
        kind: r.get(3)?,
        event: r.get(4)?,
        at: Timestamp::from_unix_millis(r.get(5)?),
    })
}

/// Rows by id: the keys are the ids.
const BY_ID: &str = "SELECT id, id, version, state FROM rows \
    WHERE tab = ?1 AND ?2 = '' AND id >= ?3 AND (id, id) >= (?3, ?4) AND id < ?5 ORDER BY id LIMIT ?6";
/// Rows by an index. `CROSS JOIN` keeps the order of the loops: along the index, then to the row.
const BY_INDEX: &str = "SELECT i.key, i.id, r.version, r.state \
    FROM row_index i CROSS JOIN rows r ON r.tab = i.tab AND r.id = i.id \
    WHERE i.tab = ?1 AND i.name = ?2 AND (i.key, i.id) >= (?3, ?4) AND i.key < ?5 ORDER BY i.key, i.id LIMIT ?6";

pub(crate) fn list(c: &Connection, query: &ListQuery) -> rusqlite::Result<Page> {
    let limit = query.limit.clamp(1, PAGE_ROWS_MAX);
    let Stretch { key, id, end } = Stretch::new(&query.prefix, query.cursor.as_deref());
    let sql = if query.index.is_empty() { BY_ID } else { BY_INDEX };
    let found: Vec<(Vec<u8>, Row)> = c
        .prepare_cached(sql)?
        .query_map(params![query.table, query.index, key, id, end, limit + 1], |r| {
            Ok((r.get(0)?, Row { id: r.get(1)?, version: r.get(2)?, state: r.get(3)? }))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(page(found, limit))
}

/// A number for a comparison: SQLite's integers end at 2^63 - 1, and nothing stored is larger.
fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn row(c: &Connection, table: &str, id: &[u8]) -> rusqlite::Result<Option<Row>> {
    c.prepare_cached("SELECT version, state FROM rows WHERE tab = ?1 AND id = ?2")?
        .query_row(params![table, id], |r| Ok(Row { id: id.to_vec(), version: r.get(0)?, state: r.get(1)? }))
        .optional()
}

pub(crate) fn stream(c: &Connection, stream: &str, from: u64, limit: u32) -> rusqlite::Result<Vec<Vec<u8>>> {
    c.prepare_cached("SELECT bytes FROM streams WHERE stream = ?1 AND pos >= ?2 ORDER BY pos LIMIT ?3")?
        .query_map(params![stream, bound(from), limits::stretch(limit)], |r| r.get(0))?
        .collect()
}

pub(crate) fn journal(
    c: &Connection,
    table: &str,
    id: &[u8],
    after: u64,
    limit: u32,
) -> rusqlite::Result<Vec<JournalEntry>> {
    c.prepare_cached(
        "SELECT seq, tab, id, kind, event, at_ms FROM journal \
         WHERE tab = ?1 AND id = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4",
    )?
    .query_map(params![table, id, bound(after), limits::page(limit)], journal_entry)?
    .collect()
}

pub(crate) fn journal_all(c: &Connection, after: u64, limit: u32) -> rusqlite::Result<Vec<JournalEntry>> {
    c.prepare_cached("SELECT seq, tab, id, kind, event, at_ms FROM journal WHERE seq > ?1 ORDER BY seq LIMIT ?2")?
        .query_map(params![bound(after), limits::page(limit)], journal_entry)?
        .collect()
}
