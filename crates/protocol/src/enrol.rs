//! A courier's phone at the depot: what it shows to be certified, and the six digits that both screens show.
//!
//! The digits cover the device's two keys and the keyholder's log key, so that neither a page that shows other keys nor a
//! front that shows another keyholder goes unnoticed by two people who look at both screens.

use crate::cert::device_thumbprint;
use crate::encoding::{Thumbprint, b64, domain_hash, from_b64, sha256};
use crate::jws::VerifyingKey;
use crate::refused::Refused;
use crate::seal::SealPublicKey;

const VERSION: &str = "psh-enrol-1";

/// A device's public keys, as its screen shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    pub key: VerifyingKey,
    pub seal: SealPublicKey,
}

impl Enrolment {
    /// `psh-enrol-1~<x ‖ y of the signing key>~<sealing key>`, both base64url.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{VERSION}~{}~{}", b64(&self.key.point()[1..]), self.seal)
    }
    /// # Errors
    /// [`Refused::KeyMalformed`], [`Refused::SealKeyMalformed`].
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let mut parts = text.trim().split('~');
        let (Some(VERSION), Some(key), Some(seal), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refused::KeyMalformed);
        };
        let point = from_b64(key).ok_or(Refused::KeyMalformed)?;
        let key = VerifyingKey::from_point(&[&[4][..], &point].concat())?;
        Ok(Self { key, seal: SealPublicKey::parse(seal).ok_or(Refused::SealKeyMalformed)? })
    }
    /// The device's name over both keys.
    #[must_use]
    pub fn device(&self) -> Thumbprint {
        device_thumbprint(&self.key, &self.seal)
    }
}

/// Six digits: the first four bytes of `H("psh-enrol-v1", device ‖ SHA-256(log line))`, big-endian, modulo 1,000,000.
/// `log` is the verifier line of the keyholder's log.
#[must_use]
pub fn six_digits(device: Thumbprint, log: &str) -> String {
    let hash = domain_hash("psh-enrol-v1", &[device.as_bytes(), sha256(log).as_bytes()]);
    let [a, b, c, d, ..] = *hash.as_bytes();
    format!("{:06}", u32::from_be_bytes([a, b, c, d]) % 1_000_000)
}
