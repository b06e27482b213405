//! One after another, for each of many things: who comes second waits for the first, and then sees what it left.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// From then on what nobody waits for is let go.
const KEPT: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<Vec<u8>, Arc<tokio::sync::Mutex<()>>>>);
impl Turns {
    /// The turn of one thing. It holds as long as the guard of its lock lives.
    pub fn of(&self, thing: &[u8]) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() > KEPT {
            all.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(all.entry(thing.to_vec()).or_default())
    }
    /// Waits until every turn is over: nobody who has one is left in the middle.
    pub async fn over(&self) {
        let all: Vec<_> = self.0.lock().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect();
        for turn in all {
            drop(turn.lock().await);
        }
    }
}
