//! Whether somebody else has written to the file while it was closed.
//!
//! A row that carries a MAC of its service cannot be made up. It can be put back: yesterday's row, with yesterday's MAC, says
//! that a grant was never used. So the writer keeps one number over everything that decides (rows, their index, streams, jobs):
//! the sum, modulo 2^256, of a keyed hash of each. A change takes the old hash away and adds the new one, which costs the
//! same however large the store is (an additive multiset hash under a key, Clarke et al. 2003). With each commit a MAC of the
//! sum is stored; the sum itself never is, because two sums would tell what one row adds. When the file is opened the sum is
//! counted afresh and must have that MAC.
//!
//! The file's schema must be ours to the letter: a trigger that somebody added would write in our name.
//!
//! What it does not see: that the whole file was replaced by an older copy of itself (a witness of the log sees that), and
//! what is changed under a running process.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use crate::migrate;

/// How a store proves that nobody else has written to it.
#[derive(Clone)]
pub struct Whole {
    /// Known to the service alone, and to no backup.
    pub key: [u8; 32],
    /// So many bytes at the beginning of a row's state bind all of it, as a MAC does; the rest is not hashed again.
    pub binding_bytes: u16,
    /// The store is taken as it is, whoever wrote it: an operator has looked.
    pub accept: bool,
}
impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Whole(<redacted>)")
    }
}

/// A number of 256 bits, least significant part first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum([u64; 4]);
impl Sum {
    fn of(hash: &[u8]) -> Self {
        let mut parts = [0; 4];
        for (part, bytes) in parts.iter_mut().zip(hash.chunks_exact(8)) {
            *part = bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
        }
        Self(parts)
    }
    fn plus(mut self, other: Self) -> Self {
        let mut carry = false;
        for (a, b) in self.0.iter_mut().zip(other.0) {
            let (sum, over) = a.overflowing_add(b);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            (*a, carry) = (sum, over || over_again);
        }
        self
    }
    fn minus(self, other: Self) -> Self {
        // Two's complement: the inverse, and one.
        self.plus(Self(other.0.map(|part| !part))).plus(Self([1, 0, 0, 0]))
    }
}

/// The sum as it is on the disk, and as the transaction under way will leave it.
#[derive(Debug, Default)]
struct Sums {
    committed: Sum,
    pending: Sum,
}

/// The running sum of an open store.
#[derive(Clone)]
pub(crate) struct Running {
    key: [u8; 32],
    sums: Arc<Mutex<Sums>>,
    /// While the file is not as this store left it, no new proof is written: the next start must notice as well.
    altered: bool,
}

/// Where a piece of a transaction began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(Sum);

/// What is watched: table, and its columns as SQL reads them from `{}`, which is `new`, `old` or nothing.
fn watched(binding_bytes: u16) -> [(&'static str, Vec<String>); 4] {
    let columns = |names: &[&str]| names.iter().map(|n| format!("{{}}{n}")).collect::<Vec<_>>();
    let mut rows = columns(&["tab", "id", "version"]);
    rows.push(format!("substr({{}}state, 1, {binding_bytes})"));
    [
        ("rows", rows),
        ("row_index", columns(&["tab", "name", "key", "id"])),
        ("streams", columns(&["stream", "pos", "bytes"])),
        ("jobs", columns(&["queue", "id", "run_at_ms", "lease_until_ms", "attempts", "payload"])),
    ]
}
fn of(columns: &[String], prefix: &str) -> String {
    columns.iter().map(|c| c.replace("{}", prefix)).collect::<Vec<_>>().join(", ")
}

/// Whether the file has our tables and nothing else: a trigger that somebody put there would change rows in our name.
fn is_our_schema(connection: &Connection) -> rusqlite::Result<bool> {
    type Entry = (String, String, String, Option<String>);
    let entries = |c: &Connection| -> rusqlite::Result<Vec<Entry>> {
        c.prepare("SELECT type, name, tbl_name, sql FROM main.sqlite_master ORDER BY type, name")?
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?
            .collect()
    };
    let mut fresh = Connection::open_in_memory()?;
    // What this version makes of nothing; a file of an earlier version was brought up to it before.
    Ok(migrate::run(&mut fresh).is_ok() && entries(&fresh)? == entries(connection)?)
}

impl Running {
    /// Counts the whole file and begins to watch the writer's connection.
    pub fn begin(connection: &Connection, whole: &Whole) -> rusqlite::Result<Self> {
        let mut running = Self { key: whole.key, sums: Arc::default(), altered: false };
        running.watch(connection, whole.binding_bytes)?;
        let counted = running.count(connection, whole.binding_bytes)?;
        *running.sums() = Sums { committed: counted, pending: counted };
        let proof: Option<Vec<u8>> =
            connection.query_row("SELECT tag FROM whole WHERE id = 1", [], |r| r.get(0)).optional()?;
        let ours = is_our_schema(connection)?;
        let untouched = ours
            && match proof {
                Some(tag) => tag == running.tag(counted),
                None => counted == Sum::default(),
            };
        let taken = whole.accept && ours;
        if !untouched && taken {
            running.write_proof(connection, counted)?;
        }
        running.altered = !untouched && !taken;
        Ok(running)
    }

    pub const fn is_altered(&self) -> bool {
        self.altered
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keyed hash of one row, entry or job.
    fn element<'a>(key: &[u8; 32], table: &str, values: impl Iterator<Item = ValueRef<'a>>) -> Sum {
        let mut hash = Sha256::new();
        hash.update(b"psh-whole-element-v1");
        hash.update(key);
        let mut part = |kind: u8, bytes: &[u8]| {
            hash.update([kind]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(0, table.as_bytes());
        for value in values {
            match value {
                ValueRef::Null => part(1, &[]),
                ValueRef::Integer(n) => part(2, &n.to_be_bytes()),
                ValueRef::Real(x) => part(3, &x.to_bits().to_be_bytes()),
                ValueRef::Text(text) => part(4, text),
                ValueRef::Blob(bytes) => part(5, bytes),
            }
        }
        Sum::of(&hash.finalize())
    }

    /// The stored proof: a hash under the key of a text of fixed length.
    fn tag(&self, sum: Sum) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(b"psh-whole-proof-v1");
        hash.update(self.key);
        for part in sum.0 {
            hash.update(part.to_be_bytes());
        }
        hash.finalize().to_vec()
    }

    /// Triggers of this connection alone tell every change.
    fn watch(&self, connection: &Connection, binding_bytes: u16) -> rusqlite::Result<()> {
        let (key, sums) = (self.key, Arc::clone(&self.sums));
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        // Temporary triggers count as direct: the file's own schema cannot call it.
        connection.create_scalar_function("whole_changed", -1, flags, move |context| {
            let added: bool = context.get(0)?;
            let table: String = context.get(1)?;
            let element = Self::element(&key, &table, (2..context.len()).map(|i| context.get_raw(i)));
            let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
            sums.pending = if added { sums.pending.plus(element) } else { sums.pending.minus(element) };
            Ok(rusqlite::types::Null)
        })?;
        for (table, columns) in watched(binding_bytes) {
            let (new, old) = (of(&columns, "new."), of(&columns, "old."));
            let added = format!("SELECT whole_changed(1, '{table}', {new});");
            let gone = format!("SELECT whole_changed(0, '{table}', {old});");
            connection.execute_batch(&format!(
                "CREATE TEMP TRIGGER whole_{table}_insert AFTER INSERT ON main.{table} BEGIN {added} END;
                 CREATE TEMP TRIGGER whole_{table}_delete AFTER DELETE ON main.{table} BEGIN {gone} END;
                 CREATE TEMP TRIGGER whole_{table}_update AFTER UPDATE ON main.{table} BEGIN {gone} {added} END;"
            ))?;
        }
        Ok(())
    }

    fn count(&self, connection: &Connection, binding_bytes: u16) -> rusqlite::Result<Sum> {
        let mut sum = Sum::default();
        for (table, columns) in watched(binding_bytes) {
            let mut statement = connection.prepare(&format!("SELECT {} FROM {table}", of(&columns, "")))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let values: Vec<ValueRef<'_>> = (0..columns.len()).map(|i| row.get_ref(i)).collect::<Result<_, _>>()?;
                sum = sum.plus(Self::element(&self.key, table, values.into_iter()));
            }
        }
        Ok(sum)
    }

    pub fn mark(&self) -> Mark {
        Mark(self.sums().pending)
    }
    /// What came since was rolled back.
    pub fn back_to(&self, mark: Mark) {
        self.sums().pending = mark.0;
    }
    /// Everything since the last commit was rolled back.
    pub fn rolled_back(&self) {
        let mut sums = self.sums();
        sums.pending = sums.committed;
    }
    /// Writes the proof into the transaction that is about to be committed.
    pub fn seal(&self, connection: &Connection) -> rusqlite::Result<()> {
        let pending = self.sums().pending;
        if self.altered || pending == self.sums().committed { Ok(()) } else { self.write_proof(connection, pending) }
    }
    fn write_proof(&self, connection: &Connection, sum: Sum) -> rusqlite::Result<()> {
        connection
            .prepare_cached("INSERT INTO whole (id, tag) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET tag = ?1")?
            .execute(params![self.tag(sum)])
            .map(drop)
    }
    pub fn committed(&self) {
        let mut sums = self.sums();
        sums.committed = sums.pending;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_away_leaves_what_was_there_before() {
        let (a, b) = (Sum([u64::MAX, 0, 7, u64::MAX]), Sum([3, u64::MAX, u64::MAX, 1]));
        assert_eq!(a.plus(b).minus(b), a);
        assert_eq!(b.minus(b), Sum::default());
        assert_eq!(a.plus(b), b.plus(a));
    }
}
