//! The opening side of HPKE with X-Wing, composed from aws-lc's ML-KEM-768, X25519, SHA3-256, HKDF and AES-256-GCM.
//!
//! The library that seals keeps a private key as its 32-byte seed and derives the whole key anew for each box; here it is
//! derived once. A keyholder opens several boxes for each delivery, each about four times as fast. What one side seals
//! the other opens: both are held against each other and against the published vectors.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::digest;
use aws_lc_rs::kem::{AlgorithmId, Ciphertext, DecapsulationKey, ML_KEM_768};
use hkdf::Hkdf;
use ml_kem::{FromSeed as _, MlKem768};
use sha2::Sha256;
use shake::{ExtendableOutput as _, Shake256, Update as _, XofReader as _};
use zeroize::{Zeroize as _, Zeroizing};

use super::ENC_BYTES;

/// RFC 9180 §5.1: KEM X-Wing, KDF HKDF-SHA256, AEAD AES-256-GCM.
const SUITE: &[u8] = b"HPKE\x64\x7a\x00\x01\x00\x02";
/// draft-connolly-cfrg-xwing-kem §5.3.
const LABEL: &[u8] = br"\.//^\";
/// Bytes of the ML-KEM-768 part of a ciphertext; the rest is an X25519 point.
const ML_KEM_BYTES: usize = ENC_BYTES - 32;

/// It did not open. Nobody is told more: why would help only a forger.
#[derive(Debug)]
pub struct NotOpened;

/// An X-Wing private key, derived in full.
pub struct Opener {
    ml_kem: DecapsulationKey<AlgorithmId>,
    x25519: PrivateKey,
    x25519_public: [u8; 32],
}

impl Opener {
    /// From the 32-byte seed (draft-connolly-cfrg-xwing-kem §5.2: SHAKE-256 makes the seeds of both halves).
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, NotOpened> {
        let mut halves = Zeroizing::new([0; 96]);
        let mut shake = Shake256::default();
        shake.update(seed);
        shake.finalize_xof().read(&mut *halves);
        let (for_ml_kem, for_x25519) = halves.split_at(64);
        let mut ml_kem_seed = ml_kem::Seed::try_from(for_ml_kem).map_err(|_| NotOpened)?;
        let (derived, _) = MlKem768::from_seed(&ml_kem_seed);
        ml_kem_seed.as_mut_slice().zeroize();
        let x25519 = PrivateKey::from_private_key(&X25519, for_x25519).map_err(|_| NotOpened)?;
        let x25519_public = x25519.compute_public_key().map_err(|_| NotOpened)?.as_ref().try_into();
        Ok(Self {
            ml_kem: DecapsulationKey::new(&ML_KEM_768, &expanded(&derived)).map_err(|_| NotOpened)?,
            x25519,
            x25519_public: x25519_public.map_err(|_| NotOpened)?,
        })
    }

    /// X-Wing's shared secret (draft-connolly-cfrg-xwing-kem §5.5), 32 bytes.
    fn shared_secret(&self, enc: &[u8; ENC_BYTES]) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let (for_ml_kem, point) = enc.split_at(ML_KEM_BYTES);
        let first = self.ml_kem.decapsulate(Ciphertext::from(for_ml_kem)).map_err(|_| NotOpened)?;
        let theirs = UnparsedPublicKey::new(&X25519, point);
        // A point of small order is refused here: the ML-KEM half would still hold, but nobody honest sends one.
        agreement::agree(&self.x25519, theirs, NotOpened, |second| {
            let mut all = digest::Context::new(&digest::SHA3_256);
            for part in [first.as_ref(), second, point, &self.x25519_public, LABEL] {
                all.update(part);
            }
            Ok(Zeroizing::new(all.finish().as_ref().to_vec()))
        })
    }

    /// Opens the one message of a base-mode context (RFC 9180 §6.1) in place. What remains in `sealed` is the content.
    pub fn open(
        &self,
        enc: &[u8; ENC_BYTES],
        info: &[u8],
        aad: &[u8],
        mut sealed: Zeroizing<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let (key, nonce) = schedule(&self.shared_secret(enc)?, info)?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| NotOpened)?);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let length = key.open_in_place(nonce, Aad::from(aad), &mut sealed).map_err(|_| NotOpened)?.len();
        sealed.truncate(length);
        Ok(sealed)
    }
}

/// FIPS 203 §7.1: decapsulation key ‖ encapsulation key ‖ its hash ‖ z; 2400 bytes.
#[expect(deprecated, reason = "keys travel as seeds; this form goes from one library's memory to another's")]
fn expanded(key: &ml_kem::DecapsulationKey768) -> Zeroizing<Vec<u8>> {
    use ml_kem::ExpandedKeyEncoding as _;
    let mut bytes = key.to_expanded_bytes();
    let copy = Zeroizing::new(bytes.to_vec());
    bytes.as_mut_slice().zeroize();
    copy
}

/// RFC 9180 §5.1, base mode: key and first nonce.
fn schedule(shared_secret: &[u8], info: &[u8]) -> Result<(Zeroizing<[u8; 32]>, [u8; 12]), NotOpened> {
    // Mode 0, then the hashes of a PSK id that there is not and of `info`.
    let mut context = vec![0];
    for (label, ikm) in [(&b"psk_id_hash"[..], &b""[..]), (b"info_hash", info)] {
        context.extend_from_slice(&extract(b"", label, ikm).0);
    }
    let (_, secret) = extract(shared_secret, b"secret", b"");
    let (mut key, mut nonce) = (Zeroizing::new([0; 32]), [0; 12]);
    expand(&secret, b"key", &context, &mut *key)?;
    expand(&secret, b"base_nonce", &context, &mut nonce)?;
    Ok((key, nonce))
}

/// RFC 9180 §4, `LabeledExtract`: the bytes, and the same as a key to expand.
fn extract(salt: &[u8], label: &[u8], ikm: &[u8]) -> ([u8; 32], Hkdf<Sha256>) {
    let (bytes, key) = Hkdf::extract(Some(salt), &[b"HPKE-v1", SUITE, label, ikm].concat());
    (bytes.into(), key)
}

/// RFC 9180 §4, `LabeledExpand` to the length of `out`.
fn expand(key: &Hkdf<Sha256>, label: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), NotOpened> {
    let length = u16::try_from(out.len()).map_err(|_| NotOpened)?.to_be_bytes();
    key.expand_multi_info(&[&length, b"HPKE-v1", SUITE, label, info], out).map_err(|_| NotOpened)
}
