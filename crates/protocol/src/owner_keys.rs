//! Keys that an owner's devices derive from one seed (HKDF-SHA256, RFC 5869), so that a new device with the seed can
//! open everything that was ever sealed to the owner.

use hkdf::Hkdf;
use parcelshelf_core::id::GrantId;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Seed of the X-Wing key that belongs to one grant: `HKDF(seed, info = "psh-seal-v1" ‖ 0 ‖ jti)`, `jti` as its 22
/// characters, no salt.
#[must_use]
pub fn grant_seal_seed(seed: &[u8; 32], jti: GrantId) -> Zeroizing<[u8; 32]> {
    derive(seed, &format!("psh-seal-v1\0{jti}"))
}

/// Seed of the wallet's account key: `HKDF(seed, info = "psh-account-v1")`, no salt.
#[must_use]
pub fn account_seed(seed: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    derive(seed, "psh-account-v1")
}

fn derive(seed: &[u8; 32], info: &str) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    // 32 bytes are far below HKDF's 255 blocks, the only thing that can fail.
    let filled = Hkdf::<Sha256>::new(None, seed).expand(info.as_bytes(), &mut *out);
    debug_assert!(filled.is_ok());
    out
}
