//! Which library says whether a signature holds.
//!
//! Ordinarily that is `aws-lc-rs`. Whoever reads a case may ask a second library the same questions: [`with`] runs a
//! verification under another [`Suite`], and two verdicts that differ are a defect of one of them. The choice holds for
//! the calling thread and for the duration of one call, so that no signature of a function carries it.

use std::cell::Cell;
use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};

/// Checks of the two kinds of signatures that this protocol knows.
pub trait Suite: Sync {
    /// Of the library, for people.
    fn name(&self) -> &'static str;
    /// Whether this is a point of P-256 in uncompressed form (SEC 1: `04 ‖ x ‖ y`).
    fn is_p256_point(&self, point: &[u8; 65]) -> bool;
    /// ECDSA over P-256 and SHA-256, signature r ‖ s; both values of s are good.
    fn es256_holds(&self, point: &[u8; 65], message: &[u8], signature: &[u8; 64]) -> bool;
    /// Ed25519 (RFC 8032 §5.1.7, without cofactor; a key in its one encoding, §5.1.3).
    fn ed25519_holds(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool;
}
impl fmt::Debug for dyn Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suite({})", self.name())
    }
}

/// What is used unless something else is asked for.
#[derive(Clone, Copy, Debug)]
pub struct AwsLc;
impl Suite for AwsLc {
    fn name(&self) -> &'static str {
        "aws-lc-rs"
    }
    fn is_p256_point(&self, point: &[u8; 65]) -> bool {
        // This library would also read the hybrid forms 06 and 07; the protocol has one spelling.
        point[0] == 4 && aws_lc_rs::signature::ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).is_ok()
    }
    fn es256_holds(&self, point: &[u8; 65], message: &[u8], signature: &[u8; 64]) -> bool {
        point[0] == 4 && UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
    }
    fn ed25519_holds(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
    }
}

thread_local! {
    static CHOSEN: Cell<Option<&'static dyn Suite>> = const { Cell::new(None) };
}

/// The suite that was asked for on this thread, if any.
#[must_use]
pub fn chosen() -> Option<&'static dyn Suite> {
    CHOSEN.get()
}

/// Runs `work` with every signature checked by `suite`.
pub fn with<T>(suite: &'static dyn Suite, work: impl FnOnce() -> T) -> T {
    /// Puts the earlier choice back, also when `work` panics.
    struct Back(Option<&'static dyn Suite>);
    impl Drop for Back {
        fn drop(&mut self) {
            CHOSEN.set(self.0);
        }
    }
    let _back = Back(CHOSEN.replace(Some(suite)));
    work()
}

/// Ed25519 by the chosen suite.
#[must_use]
pub fn ed25519_holds(key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    let Ok(signature) = signature.try_into() else { return false };
    chosen().map_or_else(|| AwsLc.ed25519_holds(key, message, signature), |s| s.ed25519_holds(key, message, signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Believes everything.
    struct Gullible;
    impl Suite for Gullible {
        fn name(&self) -> &'static str {
            "gullible"
        }
        fn is_p256_point(&self, _: &[u8; 65]) -> bool {
            true
        }
        fn es256_holds(&self, _: &[u8; 65], _: &[u8], _: &[u8; 64]) -> bool {
            true
        }
        fn ed25519_holds(&self, _: &[u8; 32], _: &[u8], _: &[u8; 64]) -> bool {
            true
        }
    }

    #[test]
    fn a_signature_of_p256_holds_for_its_message_and_its_point_in_one_form() {
        use aws_lc_rs::rand::SystemRandom;
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point: [u8; 65] = pair.public_key().as_ref().try_into().unwrap();
        let signature = pair.sign(&SystemRandom::new(), b"message").unwrap().as_ref().try_into().unwrap();
        assert!(AwsLc.is_p256_point(&point) && AwsLc.es256_holds(&point, b"message", &signature));
        assert!(!AwsLc.es256_holds(&point, b"massage", &signature));
        // The hybrid form says the same of y once more, and some libraries read it.
        let mut hybrid = point;
        hybrid[0] = 6 + (point[64] & 1);
        let mut beside = point;
        beside[64] ^= 1;
        for other in [hybrid, beside, [4; 65]] {
            assert!(!AwsLc.is_p256_point(&other) && !AwsLc.es256_holds(&other, b"message", &signature), "{}", other[0]);
        }
        let suite: &dyn Suite = &AwsLc;
        assert_eq!(format!("{suite:?}"), "Suite(aws-lc-rs)");
    }

    #[test]
    fn a_suite_counts_for_one_call_on_one_thread_and_goes_even_with_a_panic() {
        let holds = || ed25519_holds(&[1; 32], b"message", &[0; 64]);
        assert!(!holds());
        assert!(with(&Gullible, holds));
        assert!(with(&Gullible, || std::thread::spawn(move || !holds()).join().unwrap()));
        assert!(std::panic::catch_unwind(|| with(&Gullible, || panic!("on purpose"))).is_err());
        assert!(!holds() && chosen().is_none());
        assert!(with(&Gullible, || !ed25519_holds(&[1; 32], b"message", &[0; 63])), "the length is ours to check");
    }
}
