//! Rows held in memory as they stand on the disk, so that reading one that was read or written lately costs no statement.
//!
//! Only committed rows get in: the writer puts its rows here after their `COMMIT` and before anybody is answered, and a
//! reader may leave what it has read only if nothing was committed since it began to read. So a row held here is never
//! older than the last commit that was answered.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Batch, Put, Row, Version};

/// What one row costs besides its bytes: two allocations and a place in the table.
const ROW_OVERHEAD_BYTES: usize = 160;

/// Which commit a reader began after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

#[derive(Debug, Clone)]
struct Kept {
    version: u64,
    state: Vec<u8>,
    /// Its index keys, where they are known: of rows that were written, not read.
    index: Option<BTreeMap<String, Vec<u8>>>,
}

/// Two halves: what is asked for lives in the young one; when that is full it becomes the old one, and the old is forgotten.
#[derive(Default)]
struct State {
    generation: u64,
    young: HashMap<Vec<u8>, Kept>,
    young_bytes: usize,
    old: HashMap<Vec<u8>, Kept>,
}

/// The rows. Bounded by the bytes given at the start.
pub(crate) struct Held {
    half_bytes: usize,
    state: Mutex<State>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

/// Table and id in one key. Names have at most 64 bytes, so their length is one.
fn key(table: &str, id: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + table.len() + id.len());
    key.push(u8::try_from(table.len()).unwrap_or(u8::MAX));
    key.extend_from_slice(table.as_bytes());
    key.extend_from_slice(id);
    key
}

impl State {
    fn put(&mut self, key: Vec<u8>, kept: Kept, half_bytes: usize) {
        self.remove(&key);
        let bytes = size(&key, &kept);
        if bytes > half_bytes / 8 {
            return;
        }
        if self.young_bytes + bytes > half_bytes {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        self.young.insert(key, kept);
    }
    fn remove(&mut self, key: &[u8]) {
        if let Some(kept) = self.young.remove(key) {
            self.young_bytes -= size(key, &kept);
        }
        self.old.remove(key);
    }
}

fn size(key: &[u8], kept: &Kept) -> usize {
    let index: usize = kept.index.iter().flatten().map(|(name, key)| name.len() + key.len() + ROW_OVERHEAD_BYTES).sum();
    key.len() + kept.state.len() + index + ROW_OVERHEAD_BYTES
}

impl Held {
    pub fn new(bytes_max: usize) -> Self {
        Self { half_bytes: bytes_max / 2, state: Mutex::default() }
    }
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row, or what to bring along with it after having read it.
    pub fn get(&self, table: &str, id: &[u8]) -> Result<Row, Generation> {
        let key = key(table, id);
        let mut state = self.state();
        if let Some(kept) = state.young.get(&key) {
            return Ok(Row { id: id.to_vec(), version: kept.version, state: kept.state.clone() });
        }
        let Some(kept) = state.old.remove(&key) else { return Err(Generation(state.generation)) };
        let row = Row { id: id.to_vec(), version: kept.version, state: kept.state.clone() };
        state.put(key, kept, self.half_bytes);
        Ok(row)
    }

    /// The first `bytes` of the row's state, if it is held with this version.
    pub fn beginning(&self, table: &str, id: &[u8], version: Version, bytes: usize) -> Option<Vec<u8>> {
        let key = key(table, id);
        let state = self.state();
        let kept = state.young.get(&key).or_else(|| state.old.get(&key))?;
        (Version::Is(kept.version) == version).then(|| kept.state[..kept.state.len().min(bytes)].to_vec())
    }

    /// Whether the row that this write replaces has the same index keys, so that they may stay. False if nobody knows.
    pub fn keeps_index(&self, put: &Put) -> bool {
        let key = key(&put.table, &put.id);
        let state = self.state();
        let kept = state.young.get(&key).or_else(|| state.old.get(&key));
        kept.is_some_and(|kept| Version::Is(kept.version) == put.expected && kept.index.as_ref() == Some(&put.index))
    }

    /// Leaves a row that was read from the disk, unless something was committed meanwhile.
    pub fn leave(&self, table: &str, row: &Row, began: Generation) {
        let mut state = self.state();
        if state.generation == began.0 {
            let kept = Kept { version: row.version, state: row.state.clone(), index: None };
            state.put(key(table, &row.id), kept, self.half_bytes);
        }
    }

    /// These are on the disk now, all of one transaction.
    pub fn committed(&self, batches: impl IntoIterator<Item = Batch>) {
        let mut state = self.state();
        state.generation += 1;
        for batch in batches {
            for put in batch.puts {
                let version = match put.expected {
                    Version::Absent => 1,
                    Version::Is(before) => before + 1,
                };
                state.put(
                    key(&put.table, &put.id),
                    Kept { version, state: put.state, index: Some(put.index) },
                    self.half_bytes,
                );
            }
            for delete in batch.deletes {
                state.remove(&key(&delete.table, &delete.id));
            }
        }
    }

    /// Not what somebody expected: it is read anew.
    pub fn forget(&self, table: &str, id: &[u8]) {
        let mut state = self.state();
        state.generation += 1;
        state.remove(&key(table, id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Check;

    fn put(id: &[u8], expected: Version, state: &[u8]) -> Batch {
        let put = Put { table: "t".to_owned(), id: id.to_vec(), expected, state: state.to_vec(), index: [].into() };
        Batch { puts: vec![put], ..Batch::default() }
    }
    fn row(id: &[u8], version: u64, state: &[u8]) -> Row {
        Row { id: id.to_vec(), version, state: state.to_vec() }
    }

    #[test]
    fn what_was_committed_is_held_with_its_new_version() {
        let held = Held::new(1 << 20);
        assert!(held.get("t", b"a").is_err());
        held.committed([put(b"a", Version::Absent, b"one")]);
        assert_eq!(held.get("t", b"a"), Ok(row(b"a", 1, b"one")));
        held.committed([put(b"a", Version::Is(1), b"two")]);
        assert_eq!(held.get("t", b"a"), Ok(row(b"a", 2, b"two")));
        assert!(held.get("u", b"a").is_err(), "another table has its own rows");
        let gone = Check { table: "t".to_owned(), id: b"a".to_vec(), version: Version::Is(2) };
        held.committed([Batch { deletes: vec![gone], ..Batch::default() }]);
        assert!(held.get("t", b"a").is_err());
    }

    #[test]
    fn a_slow_reader_does_not_leave_what_was_overwritten_meanwhile() {
        let held = Held::new(1 << 20);
        let began = held.get("t", b"a").unwrap_err();
        held.committed([put(b"a", Version::Is(1), b"new")]);
        held.leave("t", &row(b"a", 1, b"old"), began);
        assert_eq!(held.get("t", b"a"), Ok(row(b"a", 2, b"new")));
        // Also when the row was removed, of which nothing is held.
        let began = held.get("t", b"b").unwrap_err();
        let gone = Check { table: "t".to_owned(), id: b"b".to_vec(), version: Version::Is(1) };
        held.committed([Batch { deletes: vec![gone], ..Batch::default() }]);
        held.leave("t", &row(b"b", 1, b"old"), began);
        assert!(held.get("t", b"b").is_err());
    }

    #[test]
    fn index_keys_stay_only_if_the_very_row_before_had_the_same() {
        let held = Held::new(1 << 20);
        let write = |expected, key: &[u8]| {
            let mut batch = put(b"a", expected, b"state");
            batch.puts[0].index = [("by".to_owned(), key.to_vec())].into();
            batch
        };
        let keeps = |expected, key: &[u8]| held.keeps_index(&write(expected, key).puts[0]);
        assert!(!keeps(Version::Is(1), b"k"), "nothing is known");
        held.committed([write(Version::Absent, b"k")]);
        assert!(keeps(Version::Is(1), b"k"));
        assert!(!keeps(Version::Is(1), b"other") && !keeps(Version::Is(2), b"k") && !keeps(Version::Absent, b"k"));
        held.forget("t", b"a");
        let began = held.get("t", b"a").unwrap_err();
        held.leave("t", &row(b"a", 1, b"state"), began);
        assert!(!keeps(Version::Is(1), b"k"), "a row that was read does not tell its keys");
    }

    #[test]
    fn memory_is_bounded_and_what_is_asked_for_stays() {
        let held = Held::new(64 * 1024);
        held.committed([put(b"hot", Version::Absent, b"asked for again and again")]);
        for n in 0..10_000_u32 {
            held.committed([put(&n.to_be_bytes(), Version::Absent, &[7; 100])]);
            assert!(held.get("t", b"hot").is_ok(), "after {n}");
        }
        let state = held.state();
        assert!(state.young_bytes <= 32 * 1024);
        assert!(state.young.len() + state.old.len() < 64 * 1024 / 256);
        drop(state);
        held.committed([put(b"huge", Version::Absent, &[7; 60_000])]);
        assert!(held.get("t", b"huge").is_err(), "one row does not push everything else out");
    }
}
