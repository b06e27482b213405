//! A signed envelope around a sealed box: base mode does not say who sealed, the envelope does.

use parcelshelf_core::time::{Entropy, Timestamp};
use zeroize::Zeroizing;

use crate::encoding::b64;
use crate::json::Object;
use crate::jws::{self, Naming, Sign, Unverified, VerifyingKey};
use crate::refused::{Fault, Kind, Refused};
use crate::seal::{self, Context, Purpose, SealKeyPair, SealPublicKey};
use crate::text::{audience, token};
use crate::verified::verified;

/// `typ` in the header.
pub const TYP: &str = "psh-sealed+jwt";
/// Most characters: a box of two times 64 KiB, encoded twice.
pub const ENVELOPE_MAX: usize = 256 * 1024;

/// The claims of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeClaims {
    /// The keyholder.
    pub iss: String,
    /// The recipient: a device's thumbprint or a wallet's id.
    pub aud: String,
    /// The delivery, or what stands in its place (see [`Context::delivery`]).
    pub delivery: String,
    pub seq: u64,
    pub purpose: Purpose,
    pub iat: Timestamp,
    /// The sealed box.
    pub sealed: Vec<u8>,
}

verified! {
    /// An envelope whose signature by the keyholder's message key was checked.
    VerifiedEnvelope(EnvelopeClaims),
}

/// Envelopes, made and checked.
#[derive(Debug)]
pub enum Envelope {}
impl Envelope {
    /// Seals `content` for `to` and signs the box. The context's sender is the keyholder.
    ///
    /// # Errors
    /// [`Refused::BoxTooLarge`], [`Refused::BoxMalformed`], [`Refused::SigningFailed`].
    pub fn seal(
        entropy: &dyn Entropy,
        to: &SealPublicKey,
        purpose: Purpose,
        context: &Context<'_>,
        content: &[u8],
        now: Timestamp,
        key: &dyn Sign,
    ) -> Result<String, Refused> {
        let sealed = seal::seal(entropy, to, purpose, context, content)?;
        let payload = Object::new()
            .text("iss", context.sender)
            .text("aud", context.recipient)
            .text("delivery", context.delivery)
            .raw("seq", &context.seq.to_string())
            .text("purpose", purpose.code())
            .seconds("iat", now)
            .text("box", b64(sealed))
            .end();
        jws::sign(TYP, Naming::Kid, &payload, key)
    }
    /// Checks form, signature, sender and recipient.
    ///
    /// # Errors
    /// `envelope_…` codes.
    pub fn verify(
        jws: &str,
        message_key: &VerifyingKey,
        keyholder: &str,
        recipient: &str,
    ) -> Result<VerifiedEnvelope, Refused> {
        let mut u = Unverified::parse(Kind::Envelope, TYP, Naming::Kid, jws, ENVELOPE_MAX)?;
        let m = &mut u.claims;
        let claims = EnvelopeClaims {
            iss: audience(m, "iss")?,
            aud: token(m, "aud", 256)?,
            delivery: token(m, "delivery", 256)?,
            seq: u64::try_from(m.int("seq", 0..=1 << 53)?).map_err(|_| m.wrong())?,
            purpose: m.parsed("purpose", Purpose::parse)?,
            iat: m.seconds("iat")?,
            sealed: m.bytes("box", 1..=ENVELOPE_MAX)?,
        };
        u.end()?;
        u.verify(message_key)?;
        let no = |fault| Err(Refused::of(Kind::Envelope, fault));
        if claims.iss != keyholder {
            return no(Fault::WrongIssuer);
        }
        if claims.aud != recipient {
            return no(Fault::WrongAudience);
        }
        Ok(VerifiedEnvelope::new(jws, claims))
    }
}
impl VerifiedEnvelope {
    /// Opens the box.
    ///
    /// # Errors
    /// `box_…` codes; `envelope_wrong_member` if the envelope is for another purpose or delivery than expected.
    pub fn open(&self, key: &SealKeyPair, purpose: Purpose, delivery: &str) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let c = &self.claims;
        if c.purpose != purpose || c.delivery != delivery {
            return Err(Refused::of(Kind::Envelope, Fault::WrongSubject));
        }
        let context = Context { sender: &c.iss, recipient: &c.aud, delivery: &c.delivery, seq: c.seq };
        seal::open(key, purpose, &context, &c.sealed)
    }
}
