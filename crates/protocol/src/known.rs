//! Signatures that were checked before over the very same bytes by the very same key.
//!
//! A certificate or a link comes with every request of a stop, and checking it again costs fifty times what telling costs
//! that it is the same. Whether a signature holds is a fact that does not change: only good ones are remembered, under a
//! hash of key, message and signature. Everything that can change (time, blocks, uses, rows) is judged anew each time.
//! The same goes for whole certificates: reading one is checking a point to be on its curve, and a device's sealing key besides.
//! Off unless a process asks for it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use parcelshelf_log::suite;
use sha2::{Digest as _, Sha256};

use crate::cert::CertClaims;
use crate::jws::{JWS_MAX, VerifyingKey};

static MEMORY: OnceLock<Mutex<Generations>> = OnceLock::new();
static CERTS: OnceLock<Mutex<Certs>> = OnceLock::new();

/// Certificates in one generation: the carriers and couriers of a city. One takes some ten kilobytes at most.
const CERTS_EACH: usize = 1_024;

/// A certificate that was read, and the key by which its signature held.
pub(crate) struct KnownCert {
    pub issuer: VerifyingKey,
    pub claims: CertClaims,
}

/// Certificates by the hash of their characters, in two generations as well.
#[derive(Default)]
struct Certs {
    young: HashMap<[u8; 32], Arc<KnownCert>>,
    old: HashMap<[u8; 32], Arc<KnownCert>>,
}
impl Certs {
    fn get(&mut self, name: &[u8; 32]) -> Option<Arc<KnownCert>> {
        if let Some(known) = self.young.get(name) {
            return Some(Arc::clone(known));
        }
        // What is still asked for stays.
        let known = self.old.remove(name)?;
        self.keep(*name, Arc::clone(&known));
        Some(known)
    }
    fn keep(&mut self, name: [u8; 32], known: Arc<KnownCert>) {
        if self.young.len() >= CERTS_EACH {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, known);
    }
}

/// A certificate that held before, in the very same characters.
pub(crate) fn cert(jws: &str) -> Option<Arc<KnownCert>> {
    let memory = certs().filter(|_| jws.len() <= JWS_MAX)?;
    memory.lock().unwrap_or_else(PoisonError::into_inner).get(&Sha256::digest(jws).into())
}
/// Its signature has held by this key.
pub(crate) fn keep_cert(jws: &str, issuer: &VerifyingKey, claims: &CertClaims) {
    if let Some(memory) = certs() {
        let known = Arc::new(KnownCert { issuer: issuer.clone(), claims: claims.clone() });
        memory.lock().unwrap_or_else(PoisonError::into_inner).keep(Sha256::digest(jws).into(), known);
    }
}
/// None where nothing is remembered, or a second library is to say what it thinks.
fn certs() -> Option<&'static Mutex<Certs>> {
    CERTS.get().filter(|_| suite::chosen().is_none())
}

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

/// From now on this process remembers at least the last `count` signatures that held, 32 bytes each, and as many again; and the
/// certificates that are in use.
pub fn remember(count: usize) {
    CERTS.get_or_init(Mutex::default);
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
    use parcelshelf_core::time::{Timestamp, Window};

    use super::*;
    use crate::cert::{Cert, Role, Subject};
    use crate::encoding::TokenId;
    use crate::jws::{Moment, Sign as _, SigningKey};

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
    fn a_known_certificate_holds_for_what_it_says_alone() {
        let (issuer, other) = (key(7), key(8));
        let at = Timestamp::from_unix_seconds(1_800_000_000);
        let claims = CertClaims {
            issuer: issuer.verifying_key().thumb(),
            aud: String::from("keyholder"),
            jti: TokenId::from_bytes([1; 16]),
            iat: at,
            window: Window::new(at, at.plus_seconds(600)).unwrap(),
            key: other.verifying_key().clone(),
            subject: Subject::Delegation,
        };
        remember(8);
        let cert = Cert::sign(&claims, &issuer).unwrap();
        assert!(super::cert(cert.jws()).is_some(), "signing looks at what it made");
        let (by, role) = (issuer.verifying_key(), Role::Delegation);
        let used = |seconds| Moment::Used(at.plus_seconds(seconds));
        for _ in 0..2 {
            let again = Cert::verify(cert.jws(), by, role, "keyholder", used(5)).unwrap();
            assert_eq!(again, cert);
            let by_another = Cert::verify(cert.jws(), other.verifying_key(), role, "keyholder", used(5));
            assert_eq!(by_another.unwrap_err().code(), "cert_wrong_key", "its signature is asked first, as ever");
            assert!(Cert::verify(cert.jws(), by, Role::Depot, "keyholder", used(5)).is_err());
            assert!(Cert::verify(cert.jws(), by, role, "another", used(5)).is_err());
            assert!(Cert::verify(cert.jws(), by, role, "keyholder", used(700)).is_err());
            let bent = format!("{}A", &cert.jws()[..cert.jws().len() - 1]);
            assert!(bent == cert.jws() || Cert::verify(&bent, by, role, "keyholder", used(5)).is_err());
            assert!(Cert::verify(&format!("{} ", cert.jws()), by, role, "keyholder", used(5)).is_err());
        }
    }

    #[test]
    fn certificates_are_bounded_and_those_in_use_stay() {
        fn name(n: u64) -> [u8; 32] {
            Sha256::digest(n.to_be_bytes()).into()
        }
        let mut certs = Certs::default();
        let known = |n: u8| {
            let claims = CertClaims {
                issuer: key(7).verifying_key().thumb(),
                aud: String::new(),
                jti: TokenId::from_bytes([n; 16]),
                iat: Timestamp::EPOCH,
                window: Window::new(Timestamp::EPOCH, Timestamp::EPOCH.plus_seconds(1)).unwrap(),
                key: key(8).verifying_key().clone(),
                subject: Subject::Depot,
            };
            Arc::new(KnownCert { issuer: key(7).verifying_key().clone(), claims })
        };
        let one = known(1);
        certs.keep(name(0), Arc::clone(&one));
        for n in 1..3 * CERTS_EACH as u64 {
            certs.keep(name(n), Arc::clone(&one));
            assert!(certs.get(&name(0)).is_some(), "in use: {n}");
            assert!(certs.young.len() + certs.old.len() <= 2 * CERTS_EACH);
        }
        assert!(certs.get(&name(1)).is_none());
        let mut full = Certs::default();
        for n in 0..CERTS_EACH as u64 {
            full.keep(name(n), Arc::clone(&one));
        }
        assert!((0..CERTS_EACH as u64).all(|n| full.get(&name(n)).is_some()), "a generation holds what it says");
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_go_first() {
        let (memory, key) = (memory(4), key(7));
        for n in 0..40_u8 {
            assert!(remembered(&memory, key.verifying_key(), &[n], &key.sign(&[n]).unwrap()));
        }
        let memory = memory.into_inner().unwrap();
        assert!((4..=8).contains(&(memory.young.len() + memory.old.len())));
    }

    #[test]
    fn two_generations_are_known_and_none_before_them() {
        let mut memory = memory(2).into_inner().unwrap();
        for n in 1..=5 {
            memory.keep([n; 32]);
        }
        assert_eq!([1, 2, 3, 4, 5].map(|n| memory.knows(&[n; 32])), [false, false, true, true, true]);
    }
}
