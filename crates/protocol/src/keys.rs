//! What a keyholder publishes: its keys, signed by its log key, which wallets and devices pin.

use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_log::note::LogVerifier;

use crate::json::Object;
use crate::jws::{self, JWS_MAX, Moment, Naming, SignLog, Unverified, VerifyingKey};
use crate::refused::{Fault, Kind, Refused};
use crate::seal::SealPublicKey;
use crate::text::{audience, domain, token};
use crate::verified::verified;

/// `typ` in the header.
pub const TYP: &str = "psh-keys+jwt";
/// Longest life, seconds: 400 days.
pub const MAX_SECONDS: i64 = 400 * 86_400;

/// The keys of a keyholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysClaims {
    /// Who they belong to: what `aud` is elsewhere.
    pub iss: String,
    pub iat: Timestamp,
    pub exp: Timestamp,
    /// Signs answers, envelopes.
    pub message: VerifyingKey,
    /// Others seal to it.
    pub seal: SealPublicKey,
    /// The log's verifier key, a line as in C2SP `signed-note`.
    pub log: String,
    /// The WebAuthn relying party: the wallet's host.
    pub rp_id: String,
    /// The wallet's origin.
    pub wallet_origin: String,
}

verified! {
    /// Keys whose signature by the log key was checked.
    VerifiedKeys(KeysClaims),
}

/// The keyholder's keys, made and checked.
#[derive(Debug)]
pub enum Keys {}
impl Keys {
    /// # Errors
    /// Those of [`Keys::verify`], and [`Refused::SigningFailed`].
    pub fn sign(claims: &KeysClaims, key: &dyn SignLog) -> Result<VerifiedKeys, Refused> {
        let payload = Object::new()
            .text("iss", &claims.iss)
            .seconds("iat", claims.iat)
            .seconds("exp", claims.exp)
            .raw("message", &claims.message.to_jwk())
            .text("seal", &claims.seal)
            .text("log", &claims.log)
            .text("rp_id", &claims.rp_id)
            .text("wallet_origin", &claims.wallet_origin)
            .end();
        let jws = jws::sign_log(TYP, &payload, key)?;
        Self::verify(&jws, &claims.log, &claims.iss, Moment::Any)
    }
    /// Checks published keys by the pinned log key, `log` (a verifier line), and the keyholder's name.
    ///
    /// # Errors
    /// `keys_…` codes.
    pub fn verify(jws: &str, log: &str, iss: &str, moment: Moment) -> Result<VerifiedKeys, Refused> {
        let mut u = Unverified::parse(Kind::Keys, TYP, Naming::Log, jws, JWS_MAX)?;
        let m = &mut u.claims;
        let issuer = audience(m, "iss")?;
        let iat = m.seconds("iat")?;
        let exp = m.seconds("exp")?;
        let claims = KeysClaims {
            iss: issuer,
            iat,
            exp,
            message: VerifyingKey::from_members(m.object("message")?)?,
            seal: m.parsed("seal", SealPublicKey::parse)?,
            log: m.text("log", 1..=512)?,
            rp_id: domain(m, "rp_id")?,
            wallet_origin: token(m, "wallet_origin", 200)?,
        };
        u.end()?;
        let no = |fault| Refused::of(Kind::Keys, fault);
        let window =
            Window::new(iat, exp).ok().filter(|w| w.millis() <= MAX_SECONDS * 1000).ok_or(no(Fault::WrongLifetime))?;
        u.verify_log(LogVerifier::parse(log).map_err(|_| no(Fault::WrongKey))?.key())?;
        if claims.log != log {
            return Err(no(Fault::WrongKey));
        }
        if claims.iss != iss {
            return Err(no(Fault::WrongIssuer));
        }
        moment.check(Kind::Keys, iat, &window)?;
        Ok(VerifiedKeys::new(jws, claims))
    }
    /// The pinned log key named inside keys that are seen for the first time (trust on first use, at linking and at
    /// enrolment), unverified: hand it to [`Keys::verify`] and pin it.
    ///
    /// # Errors
    /// `keys_…` codes.
    pub fn peek_log(jws: &str) -> Result<String, Refused> {
        let mut u = Unverified::parse(Kind::Keys, TYP, Naming::Log, jws, JWS_MAX)?;
        u.claims.text("log", 1..=512)
    }
}
