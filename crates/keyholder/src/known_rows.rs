//! Rows that were checked and read before, by their MAC: the same bytes need no second look.
//!
//! A row is looked up by table, id and the MAC that it carries now, so nothing here can be stale; whoever changes a row in
//! the file without our key gets what the MAC stands for, or nothing.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::db::{MAC_BYTES, RowType};

/// Rows in one half; the older half is forgotten when the younger is full. A row takes some 10 KB at most, mostly 2.
const HALF: usize = 4_096;

type Known = (Vec<u8>, Arc<dyn Any + Send + Sync>);

#[derive(Default)]
struct State {
    young: HashMap<(&'static str, Vec<u8>), Known>,
    old: HashMap<(&'static str, Vec<u8>), Known>,
}

#[derive(Default)]
pub(crate) struct KnownRows(Mutex<State>);

impl KnownRows {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get<T: RowType>(&self, id: &[u8], mac: &[u8]) -> Option<T> {
        let mut state = self.state();
        let key = (T::TABLE, id.to_vec());
        if !state.young.contains_key(&key) {
            let known = state.old.remove(&key)?;
            state.put(key.clone(), known);
        }
        let value = state.young.get(&key).filter(|(of, _)| of == mac).map(|(_, value)| Arc::clone(value));
        drop(state);
        value?.downcast_ref::<T>().cloned()
    }

    pub fn put<T: RowType>(&self, id: &[u8], state: &[u8], value: &T) {
        if let Some((mac, _)) = state.split_at_checked(MAC_BYTES) {
            self.state().put((T::TABLE, id.to_vec()), (mac.to_vec(), Arc::new(value.clone())));
        }
    }
}

impl State {
    fn put(&mut self, key: (&'static str, Vec<u8>), known: Known) {
        if self.young.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::NonceRow;

    #[test]
    fn a_row_is_known_by_its_proof_and_forgotten_in_time() {
        let known = KnownRows::default();
        let (row, mac) = (NonceRow { v: 1, expires_ms: 7 }, [1; MAC_BYTES]);
        known.put(b"a", &[&mac[..], b"content"].concat(), &row);
        assert_eq!(known.get::<NonceRow>(b"a", &mac).map(|r| r.expires_ms), Some(7));
        assert!(known.get::<NonceRow>(b"a", &[2; MAC_BYTES]).is_none(), "other bytes are read anew");
        assert!(known.get::<NonceRow>(b"b", &mac).is_none());
        for n in 0..2 * HALF as u64 {
            known.put(&n.to_be_bytes(), &mac, &row);
        }
        assert!(known.get::<NonceRow>(b"a", &mac).is_none());
    }
}
