//! Bounds of a batch, checked before anything is queued.

use crate::{
    BATCH_CHANGES_MAX, Batch, CommitError, INDEX_KEYS_MAX, KEY_BYTES_MAX, NAME_BYTES_MAX, PAGE_ROWS_MAX,
    STREAM_ENTRIES_MAX, VALUE_BYTES_MAX,
};

/// How many rows, entries or jobs an answer may hold.
pub(crate) fn page(limit: u32) -> u32 {
    limit.min(PAGE_ROWS_MAX)
}

/// How many entries of a stream an answer may hold.
pub(crate) fn stretch(limit: u32) -> u32 {
    limit.min(STREAM_ENTRIES_MAX)
}

/// # Errors
/// [`CommitError::TooLarge`] names the bound.
pub(crate) fn check(batch: &Batch) -> Result<(), CommitError> {
    let changes = batch.checks.len()
        + batch.puts.len()
        + batch.deletes.len()
        + batch.journal.len()
        + batch.appends.len()
        + batch.jobs.len()
        + batch.jobs_done.len();
    require(changes <= BATCH_CHANGES_MAX, "a batch has too many changes")?;
    for check in batch.checks.iter().chain(&batch.deletes) {
        name(&check.table)?;
        key(&check.id)?;
    }
    for put in &batch.puts {
        name(&put.table)?;
        key(&put.id)?;
        value(&put.state)?;
        require(put.index.len() <= INDEX_KEYS_MAX, "a row has too many index keys")?;
        for (index, indexed) in &put.index {
            name(index)?;
            key(indexed)?;
        }
    }
    for entry in &batch.journal {
        name(&entry.table)?;
        name(&entry.kind)?;
        key(&entry.id)?;
        value(&entry.event)?;
    }
    for append in &batch.appends {
        name(&append.stream)?;
        value(&append.bytes)?;
    }
    for job in &batch.jobs {
        name(&job.queue)?;
        key(&job.id)?;
        value(&job.payload)?;
    }
    for (queue, id) in &batch.jobs_done {
        name(queue)?;
        key(id)?;
    }
    if let Some(write) = &batch.answer {
        key(write.principal.as_bytes())?;
        key(write.key.as_bytes())?;
        value(&write.answer.body)?;
    }
    Ok(())
}

fn name(text: &str) -> Result<(), CommitError> {
    require(!text.is_empty() && text.len() <= NAME_BYTES_MAX, "a name is empty or too long")
}
fn key(bytes: &[u8]) -> Result<(), CommitError> {
    require(bytes.len() <= KEY_BYTES_MAX, "a key is too long")
}
fn value(bytes: &[u8]) -> Result<(), CommitError> {
    require(bytes.len() <= VALUE_BYTES_MAX, "a value is too large")
}
const fn require(holds: bool, bound: &'static str) -> Result<(), CommitError> {
    if holds { Ok(()) } else { Err(CommitError::TooLarge(bound)) }
}
