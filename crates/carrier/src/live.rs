//! What a board needs to the second and a store must not keep: when a courier was last heard, since when a car's state is
//! what it is. In memory only; after a start nothing is known, and what may be open counts as open for long.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use parcelshelf_core::id::{CourierId, DeliveryId};
use parcelshelf_core::time::Timestamp;
use serde_json::Value;

/// Couriers and deliveries that are remembered at most; the oldest go first.
const KEPT: usize = 10_000;
/// Makers' health is asked for this often at most.
const HEALTH_MS: i64 = 15_000;

#[derive(Debug, Default)]
pub(crate) struct Live {
    heard: Mutex<BTreeMap<CourierId, Timestamp>>,
    access: Mutex<BTreeMap<DeliveryId, (u64, Timestamp)>>,
    health: Mutex<Option<(Timestamp, Option<Value>)>>,
}

fn bounded<K: Ord + Copy, V>(map: &mut BTreeMap<K, V>, at: impl Fn(&V) -> Timestamp) {
    while map.len() > KEPT {
        let Some(oldest) = map.iter().min_by_key(|(_, v)| at(v)).map(|(k, _)| *k) else { return };
        map.remove(&oldest);
    }
}

impl Live {
    pub fn hear(&self, courier: CourierId, now: Timestamp) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.insert(courier, now);
        bounded(&mut heard, |at| *at);
    }
    pub fn heard(&self, courier: CourierId) -> Option<Timestamp> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).get(&courier).copied()
    }
    /// The gateway said something new of this delivery.
    pub fn access(&self, delivery: DeliveryId, seq: u64, now: Timestamp) {
        let mut access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        access.insert(delivery, (seq, now));
        bounded(&mut access, |(_, at)| *at);
    }
    /// Since when that is so, if it was heard since the start.
    pub fn since(&self, delivery: DeliveryId, seq: u64) -> Option<Timestamp> {
        let access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        access.get(&delivery).filter(|(s, _)| *s == seq).map(|(_, at)| *at)
    }
    /// What was said of the makers, if it is fresh.
    pub fn health(&self, now: Timestamp) -> Option<Option<Value>> {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.as_ref().filter(|(at, _)| now.millis_since(*at) < HEALTH_MS).map(|(_, said)| said.clone())
    }
    pub fn keep_health(&self, said: Option<Value>, now: Timestamp) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, said));
    }
}
