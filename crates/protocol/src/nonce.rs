//! Freshness without memory: a nonce is a time, some randomness and a MAC over what it is for.
//!
//! `nonce = u64be(time in ms) ‖ 16 random bytes ‖ first 16 bytes of HMAC-SHA256(key, "psh-nonce-v1" ‖ 0 ‖ time ‖ random
//! ‖ device ‖ ath ‖ act)`, in base64url: 54 characters. Whoever opens keeps the random parts of spent nonces for as
//! long as they are fresh ([`UsedNonces`]).

use core::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use parcelshelf_core::reason::Action;
use parcelshelf_core::time::{Entropy, Timestamp};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::encoding::{Hash, Thumbprint, b64, from_b64};
use crate::refused::Refused;

/// How long a nonce for a proof is fresh, seconds.
pub const FRESH_SECONDS: i64 = 20;
/// How long a challenge for a statement is fresh, seconds.
pub const CHALLENGE_SECONDS: i64 = 300;
/// Characters of a nonce.
pub const NONCE_CHARS: usize = 54;
const MAC_BYTES: usize = 16;

/// The keyholder's secret for nonces: 32 random bytes. Does not print.
pub struct NonceKey(Zeroizing<[u8; 32]>);
impl NonceKey {
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}
impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey(<redacted>)")
    }
}

/// What a nonce is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bound {
    pub device: Thumbprint,
    /// SHA-256 of the last link.
    pub ath: Hash,
    pub act: Action,
}

/// A nonce that was checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FreshNonce {
    /// The random part; what single use is counted by.
    pub id: [u8; 16],
    pub issued_at: Timestamp,
    /// From then on it need not be remembered.
    pub expires_at: Timestamp,
}
impl FreshNonce {
    /// Spends it.
    ///
    /// # Errors
    /// [`Refused::NonceReplayed`] if it was spent before.
    pub fn spend(&self, used: &mut dyn UsedNonces) -> Result<(), Refused> {
        if used.insert(self) { Ok(()) } else { Err(Refused::NonceReplayed) }
    }
}

/// Remembers spent nonces until they expire.
pub trait UsedNonces {
    /// `false` if it was there already.
    fn insert(&mut self, nonce: &FreshNonce) -> bool;
}
impl UsedNonces for std::collections::BTreeSet<[u8; 16]> {
    fn insert(&mut self, nonce: &FreshNonce) -> bool {
        Self::insert(self, nonce.id)
    }
}

/// Makes a nonce for one device, token and action.
#[must_use]
pub fn issue(key: &NonceKey, bound: &Bound, now: Timestamp, entropy: &dyn Entropy) -> String {
    make(key, now, parcelshelf_core::time::random(entropy), |mac| bound.feed(mac))
}

/// Checks a nonce of [`issue`].
///
/// # Errors
/// [`Refused::NonceMalformed`], [`Refused::NonceForeign`], [`Refused::NonceExpired`] (also for one from the future).
pub fn check(key: &NonceKey, nonce: &str, bound: &Bound, now: Timestamp) -> Result<FreshNonce, Refused> {
    look(key, nonce, now, FRESH_SECONDS, |mac| bound.feed(mac))
}

/// Makes a challenge for what an owner will confirm ([`statement`](crate::statement)); bound to nothing, for nothing is known of the owner yet.
#[must_use]
pub fn issue_challenge(key: &NonceKey, now: Timestamp, entropy: &dyn Entropy) -> String {
    make(key, now, parcelshelf_core::time::random(entropy), |_| {})
}

/// Checks a challenge of [`issue_challenge`].
///
/// # Errors
/// As for [`check`].
pub fn check_challenge(key: &NonceKey, nonce: &str, now: Timestamp) -> Result<FreshNonce, Refused> {
    look(key, nonce, now, CHALLENGE_SECONDS, |_| {})
}

impl Bound {
    fn feed(&self, mac: &mut Hmac<Sha256>) {
        mac.update(self.device.as_bytes());
        mac.update(self.ath.as_bytes());
        mac.update(self.act.code().as_bytes());
    }
}

fn make(key: &NonceKey, now: Timestamp, random: [u8; 16], feed: impl Fn(&mut Hmac<Sha256>)) -> String {
    // Timestamps are never negative.
    let time = now.unix_millis().unsigned_abs().to_be_bytes();
    let mut out = Vec::with_capacity(40);
    out.extend_from_slice(&time);
    out.extend_from_slice(&random);
    let tag = tag(key, &out, feed);
    out.extend_from_slice(&tag);
    b64(out)
}

fn look(
    key: &NonceKey,
    nonce: &str,
    now: Timestamp,
    fresh_seconds: i64,
    feed: impl Fn(&mut Hmac<Sha256>),
) -> Result<FreshNonce, Refused> {
    if nonce.len() != NONCE_CHARS {
        return Err(Refused::NonceMalformed);
    }
    let bytes: [u8; 40] = from_b64(nonce).and_then(|b| b.try_into().ok()).ok_or(Refused::NonceMalformed)?;
    let (said, mac) = bytes.split_at(24);
    if !bool::from(tag(key, said, feed).ct_eq(mac)) {
        return Err(Refused::NonceForeign);
    }
    let (time, id) = said.split_first_chunk::<8>().ok_or(Refused::NonceMalformed)?;
    let millis = i64::try_from(u64::from_be_bytes(*time)).map_err(|_| Refused::NonceForeign)?;
    let issued_at = Timestamp::from_unix_millis(millis);
    let expires_at = issued_at.plus_seconds(fresh_seconds);
    // Within one keyholder the clock made both; going back is a fault and fails closed.
    if now < issued_at || now >= expires_at {
        return Err(Refused::NonceExpired);
    }
    Ok(FreshNonce { id: id.try_into().map_err(|_| Refused::NonceMalformed)?, issued_at, expires_at })
}

fn tag(key: &NonceKey, said: &[u8], feed: impl Fn(&mut Hmac<Sha256>)) -> [u8; MAC_BYTES] {
    let mut out = [0; MAC_BYTES];
    // HMAC takes keys of any length (RFC 2104 §3), so that this never fails.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&*key.0) {
        mac.update(b"psh-nonce-v1\0");
        mac.update(said);
        feed(&mut mac);
        out.copy_from_slice(&mac.finalize().into_bytes()[..MAC_BYTES]);
    }
    out
}
