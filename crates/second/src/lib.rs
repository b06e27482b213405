//! A second opinion on signatures, by code that shares nothing with the first.
//!
//! What it is: [`PureRust`], the verification port of `parcelshelf-log` ([`Suite`]) answered by `p256` (RustCrypto) and
//! `ed25519-dalek` instead of AWS-LC, which is C and assembly. `parcelshelf verify` asks both and says so. What it is
//! not: it signs nothing, seals nothing, and no service uses it, for it is several times slower.
//!
//! ```
//! use parcelshelf_log::suite::{self, Suite as _};
//! use parcelshelf_second::PureRust;
//! assert_eq!(suite::with(&PureRust, || suite::chosen().map(|s| s.name())), Some(PureRust.name()));
//! ```

use ed25519_dalek::Verifier as _;
use parcelshelf_log::suite::Suite;

/// `p256` and `ed25519-dalek`.
#[derive(Clone, Copy, Debug)]
pub struct PureRust;

impl Suite for PureRust {
    fn name(&self) -> &'static str {
        "p256 and ed25519-dalek"
    }
    fn is_p256_point(&self, point: &[u8; 65]) -> bool {
        point[0] == 4 && p256::ecdsa::VerifyingKey::from_sec1_bytes(point).is_ok()
    }
    fn es256_holds(&self, point: &[u8; 65], message: &[u8], signature: &[u8; 64]) -> bool {
        let Ok(key) = p256::ecdsa::VerifyingKey::from_sec1_bytes(point) else { return false };
        let Ok(signature) = p256::ecdsa::Signature::from_slice(signature) else { return false };
        point[0] == 4 && key.verify(message, &signature).is_ok()
    }
    fn ed25519_holds(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let Ok(parsed) = ed25519_dalek::VerifyingKey::from_bytes(key) else { return false };
        // RFC 8032 §5.1.3 knows one encoding of a point; this library would read others, too.
        let one_spelling = parsed.to_edwards().compress().to_bytes() == *key;
        one_spelling && parsed.verify(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }
}
