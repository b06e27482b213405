//! Signatures that were checked before over the very same bytes by the very same key.
//!
//! A certificate or a link comes with every request of a stop, and checking it again costs fifty times what telling costs
//! that it is the same. Whether a signature holds is a fact that does not change: only good ones are remembered, under a
//! hash of key, message and signature. Everything that can change (time, blocks, uses, rows) is judged anew each time.
//! Off unless a process asks for it.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use parcelshelf_log::suite;
use sha2::{Digest as _, Sha256};

use crate::jws::VerifyingKey;

static MEMORY: OnceLock<Mutex<Generations>> = OnceLock::new();

/// Two generations: when the younger one is full the older one goes.
struct Generations {
    each_max: usize,
    young: HashSet<[u8; 32]>,
    old: HashSet<[u8; 32]>,
}
impl Generations {
    fn knows(&self, name: &[u8; 32]) -> bool {
        self.young.contains(name) || self.old.contains(name)
    }
    fn keep(&mut self, name: [u8; 32]) {
        if self.young.len() >= self.each_max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name);
    }
}

/// From now on this process remembers at least the last `count` signatures that held. 32 bytes each, and as many again.
pub fn remember(count: usize) {
    MEMORY
        .get_or_init(|| Mutex::new(Generations { each_max: count.max(1), young: HashSet::new(), old: HashSet::new() }));
}

pub(crate) fn holds(key: &VerifyingKey, message: &[u8], signature: &[u8; 64]) -> bool {
    // Whoever asks a second library wants its answer, not one that is remembered.
    match MEMORY.get().filter(|_| suite::chosen().is_none()) {
        Some(memory) => remembered(memory, key, message, signature),
        None => key.verifies(message, signature),
    }
}

fn remembered(memory: &Mutex<Generations>, key: &VerifyingKey, message: &[u8], signature: &[u8; 64]) -> bool {
    // Key and signature have a fixed length: nothing can slide from one part into another.
    let mut name = Sha256::new();
    name.update(key.point());
    name.update(signature);
    name.update(message);
    let name: [u8; 32] = name.finalize().into();
    let locked = || memory.lock().unwrap_or_else(PoisonError::into_inner);
    if locked().knows(&name) {
        return true;
    }
    let holds = key.verifies(message, signature);
    if holds {
        locked().keep(name);
    }
    holds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jws::{Sign as _, SigningKey};

    fn key(n: u8) -> SigningKey {
        SigningKey::from_scalar(&[n; 32]).unwrap()
    }
    fn memory(each_max: usize) -> Mutex<Generations> {
        Mutex::new(Generations { each_max, young: HashSet::new(), old: HashSet::new() })
    }

    #[test]
    fn only_what_held_is_remembered_and_every_other_byte_is_checked_anew() {
        let (memory, key) = (memory(8), key(7));
        let signature = key.sign(b"message").unwrap();
        for _ in 0..3 {
            assert!(remembered(&memory, key.verifying_key(), b"message", &signature));
        }
        assert_eq!(memory.lock().unwrap().young.len(), 1);
        for at in 0..64 {
            let mut bent = signature;
            bent[at] ^= 1;
            assert!(!remembered(&memory, key.verifying_key(), b"message", &bent));
        }
        assert!(!remembered(&memory, key.verifying_key(), b"massage", &signature));
        assert!(!remembered(&memory, self::key(8).verifying_key(), b"message", &signature));
        assert_eq!(memory.lock().unwrap().young.len(), 1, "what does not hold is not remembered");
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_go_first() {
        let (memory, key) = (memory(4), key(7));
        for n in 0..40_u8 {
            assert!(remembered(&memory, key.verifying_key(), &[n], &key.sign(&[n]).unwrap()));
        }
        let memory = memory.into_inner().unwrap();
        assert!(memory.young.len() + memory.old.len() <= 8);
    }
}
