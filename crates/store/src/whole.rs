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

use std::cell::Cell;
use std::fmt;

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

/// The running sum of an open store, kept by the writer alone: as it is on the disk, and as the transaction under way will
/// leave it.
pub(crate) struct Running {
    key: [u8; 32],
    binding_bytes: u16,
    committed: Cell<Sum>,
    pending: Cell<Sum>,
    /// While the file is not as this store left it, no new proof is written: the next start must notice as well.
    altered: bool,
}

/// Something that decides, as it stands in its table: the columns that [`watched`] names, in that order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Element<'a> {
    /// `state`: all of it, or the bytes that bind it.
    Row {
        tab: &'a str,
        id: &'a [u8],
        version: i64,
        state: &'a [u8],
    },
    Key {
        tab: &'a str,
        name: &'a str,
        key: &'a [u8],
        id: &'a [u8],
    },
    Entry {
        stream: &'a str,
        pos: i64,
        bytes: &'a [u8],
    },
    Job {
        queue: &'a str,
        id: &'a [u8],
        run_at_ms: i64,
        lease_until_ms: i64,
        attempts: i64,
        payload: &'a [u8],
    },
}

/// Where statements say what they change. Nobody listens where a store proves nothing.
#[derive(Clone, Copy)]
pub(crate) struct Ledger<'a>(Option<&'a Running>);
impl<'a> Ledger<'a> {
    pub const fn of(running: Option<&'a Running>) -> Self {
        Self(running)
    }
    /// So many bytes of a row's state are wanted when it goes; `None` when nobody listens.
    pub fn binding_bytes(&self) -> Option<usize> {
        self.0.map(|r| usize::from(r.binding_bytes))
    }
    pub fn added(&self, element: Element<'_>) {
        if let Some(r) = self.0 {
            r.pending.set(r.pending.get().plus(r.of_element(element)));
        }
    }
    pub fn gone(&self, element: Element<'_>) {
        if let Some(r) = self.0 {
            r.pending.set(r.pending.get().minus(r.of_element(element)));
        }
    }
}

/// Where a piece of a transaction began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(Sum);

/// What is watched: table, and how its columns are read.
fn watched(binding_bytes: u16) -> [(&'static str, String); 4] {
    [
        ("rows", format!("tab, id, version, substr(state, 1, {binding_bytes})")),
        ("row_index", "tab, name, key, id".to_owned()),
        ("streams", "stream, pos, bytes".to_owned()),
        ("jobs", "queue, id, run_at_ms, lease_until_ms, attempts, payload".to_owned()),
    ]
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
    /// Counts the whole file.
    pub fn begin(connection: &Connection, whole: &Whole) -> rusqlite::Result<Self> {
        let zero = || Cell::new(Sum::default());
        let mut running = Self {
            key: whole.key,
            binding_bytes: whole.binding_bytes,
            committed: zero(),
            pending: zero(),
            altered: false,
        };
        let counted = running.count(connection)?;
        running.committed.set(counted);
        running.pending.set(counted);
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

    fn of_element(&self, element: Element<'_>) -> Sum {
        use ValueRef::{Blob, Integer};
        fn text(t: &str) -> ValueRef<'_> {
            ValueRef::Text(t.as_bytes())
        }
        let hash = |table: &str, values: &[ValueRef<'_>]| Self::element(&self.key, table, values.iter().copied());
        match element {
            Element::Row { tab, id, version, state } => {
                let bound = &state[..state.len().min(usize::from(self.binding_bytes))];
                // As SQLite has it: a part of nothing is NULL.
                let bound = if bound.is_empty() { ValueRef::Null } else { Blob(bound) };
                hash("rows", &[text(tab), Blob(id), Integer(version), bound])
            }
            Element::Key { tab, name, key, id } => hash("row_index", &[text(tab), text(name), Blob(key), Blob(id)]),
            Element::Entry { stream, pos, bytes } => hash("streams", &[text(stream), Integer(pos), Blob(bytes)]),
            Element::Job { queue, id, run_at_ms, lease_until_ms, attempts, payload } => {
                let (run_at, lease) = (Integer(run_at_ms), Integer(lease_until_ms));
                hash("jobs", &[text(queue), Blob(id), run_at, lease, Integer(attempts), Blob(payload)])
            }
        }
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

    fn count(&self, connection: &Connection) -> rusqlite::Result<Sum> {
        let mut sum = Sum::default();
        for (table, columns) in watched(self.binding_bytes) {
            let mut statement = connection.prepare(&format!("SELECT {columns} FROM {table}"))?;
            let width = statement.column_count();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let values: Vec<ValueRef<'_>> = (0..width).map(|i| row.get_ref(i)).collect::<Result<_, _>>()?;
                sum = sum.plus(Self::element(&self.key, table, values.into_iter()));
            }
        }
        Ok(sum)
    }

    pub fn mark(&self) -> Mark {
        Mark(self.pending.get())
    }
    /// What came since was rolled back.
    pub fn back_to(&self, mark: Mark) {
        self.pending.set(mark.0);
    }
    /// Everything since the last commit was rolled back.
    pub fn rolled_back(&self) {
        self.pending.set(self.committed.get());
    }
    /// Writes the proof into the transaction that is about to be committed.
    pub fn seal(&self, connection: &Connection) -> rusqlite::Result<()> {
        let pending = self.pending.get();
        if self.altered || pending == self.committed.get() { Ok(()) } else { self.write_proof(connection, pending) }
    }
    fn write_proof(&self, connection: &Connection, sum: Sum) -> rusqlite::Result<()> {
        connection
            .prepare_cached("INSERT INTO whole (id, tag) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET tag = ?1")?
            .execute(params![self.tag(sum)])
            .map(drop)
    }
    pub fn committed(&self) {
        self.committed.set(self.pending.get());
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
