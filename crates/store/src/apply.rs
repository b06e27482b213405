//! The statements, each in one place. Everything here runs inside a transaction that the caller owns.

use std::time::Duration;

use parcelshelf_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params};

use crate::cursor;
use crate::{
    Append, Batch, Check, CommitError, Committed, Conflict, Job, JobWrite, JournalEntry, ListQuery, PAGE_ROWS_MAX,
    Page, Put, Row, StoreError, StoredAnswer, Version,
};

/// Applies one batch. The caller rolls back on error.
pub(crate) fn batch(c: &Connection, batch: &Batch) -> Result<Committed, CommitError> {
    if let Some(write) = &batch.answer
        && let Some(stored) = answer(c, &write.principal, &write.key).map_err(fail)?
    {
        return Err(CommitError::Replayed(stored));
    }
    for check in &batch.checks {
        expect(c, check)?;
    }
    for put in &batch.puts {
        write_row(c, put)?;
    }
    for delete in &batch.deletes {
        expect(c, delete)?;
        remove_row(c, delete).map_err(fail)?;
    }
    let mut committed = Committed::default();
    for entry in &batch.journal {
        c.prepare_cached("INSERT INTO journal (tab, id, kind, event, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)")
            .and_then(|mut s| {
                s.execute(params![entry.table, entry.id, entry.kind, entry.event, at(batch).unix_millis()])
            })
            .map_err(fail)?;
        committed.journal.push(c.last_insert_rowid().unsigned_abs());
    }
    for append in &batch.appends {
        committed.appended.push(write_append(c, append).map_err(fail)?);
    }
    for job in &batch.jobs {
        write_job(c, job).map_err(fail)?;
    }
    for (queue, id) in &batch.jobs_done {
        c.prepare_cached("DELETE FROM jobs WHERE queue = ?1 AND id = ?2")
            .and_then(|mut s| s.execute(params![queue, id]))
            .map_err(fail)?;
    }
    if let Some(write) = &batch.answer {
        let a = &write.answer;
        c.prepare_cached(
            "INSERT INTO answers (principal, key, request_hash, status, body, at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .and_then(|mut s| {
            s.execute(params![write.principal, write.key, a.request_hash, a.status, a.body, a.at.unix_millis()])
        })
        .map_err(fail)?;
    }
    Ok(committed)
}

fn at(batch: &Batch) -> Timestamp {
    batch.at.unwrap_or(Timestamp::EPOCH)
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

fn write_row(c: &Connection, put: &Put) -> Result<(), CommitError> {
    let changed = match put.expected {
        Version::Absent => c
            .prepare_cached("INSERT INTO rows (tab, id, version, state) VALUES (?1, ?2, 1, ?3) ON CONFLICT DO NOTHING")
            .and_then(|mut s| s.execute(params![put.table, put.id, put.state])),
        Version::Is(version) => c
            .prepare_cached(
                "UPDATE rows SET version = version + 1, state = ?3 WHERE tab = ?1 AND id = ?2 AND version = ?4",
            )
            .and_then(|mut s| s.execute(params![put.table, put.id, put.state, version])),
    }
    .map_err(fail)?;
    if changed != 1 {
        return Err(Conflict { table: put.table.clone(), id: put.id.clone() }.into());
    }
    write_index(c, put).map_err(fail)
}

fn write_index(c: &Connection, put: &Put) -> rusqlite::Result<()> {
    if put.expected != Version::Absent {
        c.prepare_cached("DELETE FROM row_index WHERE tab = ?1 AND id = ?2")?.execute(params![put.table, put.id])?;
    }
    for (name, key) in &put.index {
        c.prepare_cached("INSERT INTO row_index (tab, name, key, id) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![put.table, name, key, put.id])?;
    }
    Ok(())
}

fn remove_row(c: &Connection, row: &Check) -> rusqlite::Result<()> {
    c.prepare_cached("DELETE FROM row_index WHERE tab = ?1 AND id = ?2")?.execute(params![row.table, row.id])?;
    c.prepare_cached("DELETE FROM rows WHERE tab = ?1 AND id = ?2")?.execute(params![row.table, row.id])?;
    Ok(())
}

fn write_append(c: &Connection, append: &Append) -> rusqlite::Result<u64> {
    let position = stream_len(c, &append.stream)?;
    c.prepare_cached("INSERT INTO streams (stream, pos, bytes) VALUES (?1, ?2, ?3)")?.execute(params![
        append.stream,
        position,
        append.bytes
    ])?;
    Ok(position)
}

/// Streams are dense from 0, so the length is one more than the last position.
pub(crate) fn stream_len(c: &Connection, stream: &str) -> rusqlite::Result<u64> {
    let last: Option<u64> =
        c.prepare_cached("SELECT MAX(pos) FROM streams WHERE stream = ?1")?.query_row(params![stream], |r| r.get(0))?;
    Ok(last.map_or(0, |p| p + 1))
}

fn write_job(c: &Connection, job: &JobWrite) -> rusqlite::Result<()> {
    c.prepare_cached(
        "INSERT INTO jobs (queue, id, run_at_ms, payload) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (queue, id) DO UPDATE SET run_at_ms = ?3, payload = ?4, lease_until_ms = 0, attempts = 0",
    )?
    .execute(params![job.queue, job.id, job.run_at.unix_millis(), job.payload])
    .map(drop)
}

pub(crate) fn claim(
    c: &mut Connection,
    queue: &str,
    now: Timestamp,
    lease: Duration,
    limit: u32,
) -> rusqlite::Result<Vec<Job>> {
    let transaction = c.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
    let jobs: Vec<Job> = transaction
        .prepare_cached(
            "SELECT id, run_at_ms, payload, attempts FROM jobs \
             WHERE queue = ?1 AND run_at_ms <= ?2 AND lease_until_ms <= ?2 ORDER BY run_at_ms, id LIMIT ?3",
        )?
        .query_map(params![queue, now.unix_millis(), limit.min(PAGE_ROWS_MAX)], |r| {
            Ok(Job {
                queue: queue.to_owned(),
                id: r.get(0)?,
                run_at: Timestamp::from_unix_millis(r.get(1)?),
                payload: r.get(2)?,
                attempts: r.get::<_, u32>(3)?.saturating_add(1),
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    for job in &jobs {
        transaction
            .prepare_cached("UPDATE jobs SET lease_until_ms = ?3, attempts = ?4 WHERE queue = ?1 AND id = ?2")?
            .execute(params![queue, job.id, now.plus_millis(lease_ms).unix_millis(), job.attempts])?;
    }
    transaction.commit()?;
    Ok(jobs)
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

pub(crate) fn journal_entry(r: &SqlRow<'_>) -> rusqlite::Result<JournalEntry> {
    Ok(JournalEntry {
        seq: r.get(0)?,
        table: r.get(1)?,
        id: r.get(2)?,
        kind: r.get(3)?,
        event: r.get(4)?,
        at: Timestamp::from_unix_millis(r.get(5)?),
    })
}

pub(crate) fn list(c: &Connection, query: &ListQuery) -> rusqlite::Result<Page> {
    let limit = query.limit.clamp(1, PAGE_ROWS_MAX);
    let (after_key, after_id) = cursor::read(query.cursor.as_deref());
    let end = cursor::after_prefix(&query.prefix);
    let mut found: Vec<(Vec<u8>, Row)> = if query.index.is_empty() {
        c.prepare_cached(
            "SELECT id, id, version, state FROM rows \
             WHERE tab = ?1 AND id >= ?2 AND (?3 IS NULL OR id < ?3) AND (?4 IS NULL OR id > ?4) ORDER BY id LIMIT ?5",
        )?
        .query_map(params![query.table, query.prefix, end, after_id, limit + 1], keyed_row)?
        .collect::<rusqlite::Result<_>>()?
    } else {
        c.prepare_cached(
            "SELECT i.key, i.id, r.version, r.state FROM row_index i JOIN rows r ON r.tab = i.tab AND r.id = i.id \
             WHERE i.tab = ?1 AND i.name = ?2 AND i.key >= ?3 AND (?4 IS NULL OR i.key < ?4) \
             AND (?5 IS NULL OR (i.key, i.id) > (?5, ?6)) ORDER BY i.key, i.id LIMIT ?7",
        )?
        .query_map(params![query.table, query.index, query.prefix, end, after_key, after_id, limit + 1], keyed_row)?
        .collect::<rusqlite::Result<_>>()?
    };
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = if more { found.last().map(|(key, row)| cursor::write(key, &row.id)) } else { None };
    Ok(Page { rows: found.into_iter().map(|(_, row)| row).collect(), next })
}

fn keyed_row(r: &SqlRow<'_>) -> rusqlite::Result<(Vec<u8>, Row)> {
    Ok((r.get(0)?, Row { id: r.get(1)?, version: r.get(2)?, state: r.get(3)? }))
}
