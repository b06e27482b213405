//! Keys and compact signed messages: ES256 (RFC 7515, RFC 7518), and EdDSA for the keyholder's log key only.
//!
//! The algorithm is the key's, never the header's: the header must say what the key says. Headers have exactly the
//! members of their kind, so `crit`, `jku`, `x5c`, `zip` and `b64` cannot appear.

use core::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    ParsedPublicKey,
};
use aws_lc_rs::{agreement, rand::SystemRandom};
use parcelshelf_core::time::{Entropy, Timestamp, Window};
use parcelshelf_log::suite;
use zeroize::Zeroizing;

use crate::encoding::{Thumbprint, b64, from_b64, sha256};
use crate::json::{self, Members, Object};
use crate::refused::{Fault, Kind, Refused};

/// Most characters of a signed message.
pub const JWS_MAX: usize = 16 * 1024;
/// How far ahead another party's clock may run, seconds.
pub const LEEWAY_SECONDS: i64 = 60;

/// When a message with a window is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// It was just handed in: its window may lie ahead, but must not be over.
    Posted(Timestamp),
    /// It is being used: its window must contain now.
    Used(Timestamp),
    /// Windows do not matter: a lid must be locked, or an old case is read.
    Any,
}
impl Moment {
    /// Checks when a message was made and whether its window fits, `nbf` before `exp`.
    pub(crate) fn check(self, kind: Kind, iat: Timestamp, window: &Window) -> Result<(), Refused> {
        let now = match self {
            Self::Any => return Ok(()),
            Self::Posted(now) | Self::Used(now) => now,
        };
        if iat > now.plus_seconds(LEEWAY_SECONDS) {
            return Err(Refused::of(kind, Fault::NotYet));
        }
        if matches!(self, Self::Used(_)) && now < window.start() {
            return Err(Refused::of(kind, Fault::NotYet));
        }
        if now >= window.end() { Err(Refused::of(kind, Fault::Expired)) } else { Ok(()) }
    }
}

/// A public key of P-256, checked to lie on the curve.
#[derive(Clone)]
pub struct VerifyingKey {
    point: [u8; 65],
    thumb: Thumbprint,
    parsed: ParsedPublicKey,
}

impl VerifyingKey {
    /// Reads an uncompressed point (SEC 1: `04 ‖ x ‖ y`).
    ///
    /// # Errors
    /// [`Refused::KeyMalformed`] for another form, or a point that is not on the curve.
    pub fn from_point(point: &[u8]) -> Result<Self, Refused> {
        let point: [u8; 65] = point.try_into().map_err(|_| Refused::KeyMalformed)?;
        if point[0] != 4 {
            return Err(Refused::KeyMalformed);
        }
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| Refused::KeyMalformed)?;
        if suite::chosen().is_some_and(|s| !s.is_p256_point(&point)) {
            return Err(Refused::KeyMalformed);
        }
        let thumb = Thumbprint::from_bytes(*sha256(jwk_json(&point)).as_bytes());
        Ok(Self { point, thumb, parsed })
    }
    /// Reads a JWK of exactly `crv`, `kty`, `x`, `y` (RFC 7517, RFC 7518 §6.2).
    ///
    /// # Errors
    /// [`Refused::KeyMalformed`] for anything else.
    pub fn parse_jwk(json: &[u8]) -> Result<Self, Refused> {
        if json.len() > 256 {
            return Err(Refused::KeyMalformed);
        }
        let members = json::parse(Kind::Cert, json).map_err(|_| Refused::KeyMalformed)?;
        Self::from_members(members).map_err(|_| Refused::KeyMalformed)
    }
    pub(crate) fn from_members(mut m: Members) -> Result<Self, Refused> {
        let wrong = m.fault(Fault::WrongKey);
        m.word("crv", "P-256", wrong)?;
        m.word("kty", "EC", wrong)?;
        let mut point = [4; 65];
        point[1..33].copy_from_slice(&m.bytes_of::<32>("x")?);
        point[33..].copy_from_slice(&m.bytes_of::<32>("y")?);
        m.end()?;
        Self::from_point(&point).map_err(|_| wrong)
    }
    /// The JWK in its one spelling here: the members that RFC 7638 hashes, in their order.
    #[must_use]
    pub fn to_jwk(&self) -> String {
        jwk_json(&self.point)
    }
    /// The name of the key (RFC 7638, SHA-256).
    #[must_use]
    pub const fn thumb(&self) -> Thumbprint {
        self.thumb
    }
    /// SEC 1 uncompressed: `04 ‖ x ‖ y`.
    #[must_use]
    pub const fn point(&self) -> &[u8; 65] {
        &self.point
    }
    /// Whether `signature` (r ‖ s) is this key's over SHA-256 of `message`. Either of the two values of `s` is good:
    /// phones and passkeys make both.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        match suite::chosen() {
            Some(suite) => suite.es256_holds(&self.point, message, signature),
            None => self.parsed.verify_sig(message, signature).is_ok(),
        }
    }
}
impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.point == other.point
    }
}
impl Eq for VerifyingKey {}
impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.thumb)
    }
}

fn jwk_json(point: &[u8; 65]) -> String {
    Object::new()
        .text("crv", "P-256")
        .text("kty", "EC")
        .text("x", b64(&point[1..33]))
        .text("y", b64(&point[33..]))
        .end()
}

/// Whoever can sign with one ES256 key: a key in memory, a hardware module, a phone.
pub trait Sign: Send + Sync {
    /// The public half.
    fn verifying_key(&self) -> &VerifyingKey;
    /// Signs SHA-256 of `message`; the result is r ‖ s (RFC 7518 §3.4).
    ///
    /// # Errors
    /// [`Refused::SigningFailed`] when the key is out of reach.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], Refused>;
}

/// An ES256 key in memory. Does not print.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    public: VerifyingKey,
}

impl SigningKey {
    /// From the 32 bytes of the private scalar, big-endian.
    ///
    /// # Errors
    /// [`Refused::KeyMalformed`] for zero and for values not below the group's order.
    pub fn from_scalar(scalar: &[u8; 32]) -> Result<Self, Refused> {
        let bad = |_| Refused::KeyMalformed;
        let private = agreement::PrivateKey::from_private_key(&agreement::ECDH_P256, scalar).map_err(bad)?;
        let point = private.compute_public_key().map_err(|_| Refused::KeyMalformed)?;
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, scalar, point.as_ref())
                .map_err(bad)?;
        Self::from_pair(pair)
    }
    /// From PKCS #8 (RFC 5208, RFC 5958), DER.
    ///
    /// # Errors
    /// [`Refused::KeyMalformed`] for anything but a P-256 key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Refused> {
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(|_| Refused::KeyMalformed)?;
        Self::from_pair(pair)
    }
    /// A fresh key from the caller's randomness.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        loop {
            // A draw is no scalar with probability 2^-32; another draw follows.
            let scalar = Zeroizing::new(parcelshelf_core::time::random::<32>(entropy));
            if let Ok(key) = Self::from_scalar(&scalar) {
                return key;
            }
        }
    }
    fn from_pair(pair: EcdsaKeyPair) -> Result<Self, Refused> {
        let public = VerifyingKey::from_point(pair.public_key().as_ref())?;
        Ok(Self { pair, public })
    }
}
impl Sign for SigningKey {
    fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], Refused> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| Refused::SigningFailed)?;
        signature.as_ref().try_into().map_err(|_| Refused::SigningFailed)
    }
}
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.thumb())
    }
}

/// Whoever can sign with the keyholder's Ed25519 log key (RFC 8032).
pub trait SignLog: Send + Sync {
    /// The 32 bytes of the public key.
    fn public_key(&self) -> [u8; 32];
    /// # Errors
    /// [`Refused::SigningFailed`] when the key is out of reach.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], Refused>;
}

/// An Ed25519 key in memory. Does not print.
pub struct LogSigningKey(Ed25519KeyPair, [u8; 32]);

impl LogSigningKey {
    /// From the 32-byte seed (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// [`Refused::KeyMalformed`] if the library refuses the seed.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, Refused> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Refused::KeyMalformed)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| Refused::KeyMalformed)?;
        Ok(Self(pair, public))
    }
}
impl SignLog for LogSigningKey {
    fn public_key(&self) -> [u8; 32] {
        self.1
    }
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], Refused> {
        self.0.sign(message).as_ref().try_into().map_err(|_| Refused::SigningFailed)
    }
}
impl fmt::Debug for LogSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogSigningKey({})", b64(self.1))
    }
}

/// Whether `signature` is `key`'s Ed25519 signature over `message`.
#[must_use]
pub fn log_key_verifies(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    suite::ed25519_holds(key, message, signature)
}

/// How a header names the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Naming {
    /// `kid`: the thumbprint of a key that the verifier has.
    Kid,
    /// `jwk`: the key itself.
    Jwk,
    /// Not at all; EdDSA by the log key.
    Log,
}

/// A message whose parts are well-formed, signature not yet checked.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    kind: Kind,
    signed: &'a str,
    signature: [u8; 64],
    kid: Option<Thumbprint>,
    jwk: Option<VerifyingKey>,
    pub(crate) claims: Members,
}

impl<'a> Unverified<'a> {
    /// Sizes, parts, header, payload; in that order.
    pub(crate) fn parse(kind: Kind, typ: &str, naming: Naming, jws: &'a str, max: usize) -> Result<Self, Refused> {
        let no = |fault| Refused::of(kind, fault);
        if jws.len() > max {
            return Err(no(Fault::TooLong));
        }
        let (signed, signature) = jws.rsplit_once('.').ok_or(no(Fault::NotCompact))?;
        let (header, payload) = signed.split_once('.').ok_or(no(Fault::NotCompact))?;
        if payload.contains('.') {
            return Err(no(Fault::NotCompact));
        }
        let header = from_b64(header).ok_or(no(Fault::NotBase64Url))?;
        let payload = from_b64(payload).ok_or(no(Fault::NotBase64Url))?;
        let signature = from_b64(signature).ok_or(no(Fault::NotBase64Url))?;

        let mut h = json::parse(kind, &header)?;
        let alg = if naming == Naming::Log { "EdDSA" } else { "ES256" };
        h.word("alg", alg, no(Fault::WrongAlgorithm))?;
        h.word("typ", typ, no(Fault::WrongType))?;
        let kid = if naming == Naming::Kid { Some(h.parsed("kid", Thumbprint::parse)?) } else { None };
        let jwk = if naming == Naming::Jwk { Some(VerifyingKey::from_members(h.object("jwk")?)?) } else { None };
        h.end().map_err(|_| no(Fault::UnknownHeader))?;

        let signature = signature.try_into().map_err(|_| no(Fault::BadSignature))?;
        let claims = json::parse(kind, &payload)?;
        Ok(Self { kind, signed, signature, kid, jwk, claims })
    }
    /// The key in the header, for kinds whose header carries it.
    pub(crate) fn header_key(&self) -> Result<&VerifyingKey, Refused> {
        self.jwk.as_ref().ok_or(Refused::of(self.kind, Fault::WrongKey))
    }
    /// Checks the signature by a key the verifier has chosen, and that the header names that very key.
    pub(crate) fn verify(&self, key: &VerifyingKey) -> Result<(), Refused> {
        if self.kid.is_some_and(|kid| kid != key.thumb()) || self.jwk.as_ref().is_some_and(|jwk| jwk != key) {
            return Err(Refused::of(self.kind, Fault::WrongKey));
        }
        if crate::known::holds(key, self.signed.as_bytes(), &self.signature) {
            Ok(())
        } else {
            Err(Refused::of(self.kind, Fault::BadSignature))
        }
    }
    pub(crate) fn verify_log(&self, key: &[u8; 32]) -> Result<(), Refused> {
        if log_key_verifies(key, self.signed.as_bytes(), &self.signature) {
            Ok(())
        } else {
            Err(Refused::of(self.kind, Fault::BadSignature))
        }
    }
}

/// Signs a payload under a header that names the key by `kid` or carries it.
pub(crate) fn sign(typ: &str, naming: Naming, payload: &str, key: &dyn Sign) -> Result<String, Refused> {
    let public = key.verifying_key();
    let header = match naming {
        // RFC 9449 shows `typ` first; the order is free.
        Naming::Jwk => Object::new().text("alg", "ES256").text("typ", typ).raw("jwk", &public.to_jwk()).end(),
        Naming::Kid | Naming::Log => {
            Object::new().text("alg", "ES256").text("typ", typ).text("kid", public.thumb()).end()
        }
    };
    let signed = format!("{}.{}", b64(header), b64(payload));
    let signature = key.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", b64(signature)))
}

/// Signs a payload with the log key.
pub(crate) fn sign_log(typ: &str, payload: &str, key: &dyn SignLog) -> Result<String, Refused> {
    let header = Object::new().text("alg", "EdDSA").text("typ", typ).end();
    let signed = format!("{}.{}", b64(header), b64(payload));
    let signature = key.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", b64(signature)))
}

/// `nbf` and `exp` as a window that is not empty and at most so long.
pub(crate) fn window(m: &mut Members, max_seconds: i64) -> Result<Window, Refused> {
    let (nbf, exp) = (m.seconds("nbf")?, m.seconds("exp")?);
    check_window(nbf, exp, max_seconds).ok_or(m.fault(Fault::WrongLifetime))
}
/// `iat` and `exp` of a kind without `nbf`.
pub(crate) fn lifetime(m: &mut Members, max_seconds: i64) -> Result<Window, Refused> {
    let (iat, exp) = (m.seconds("iat")?, m.seconds("exp")?);
    check_window(iat, exp, max_seconds).ok_or(m.fault(Fault::WrongLifetime))
}
fn check_window(start: Timestamp, end: Timestamp, max_seconds: i64) -> Option<Window> {
    let window = Window::new(start, end).ok()?;
    (window.millis() <= max_seconds * 1000).then_some(window)
}

impl Unverified<'_> {
    /// Refuses claims that nobody asked for.
    pub(crate) fn end(&mut self) -> Result<(), Refused> {
        self.claims.check_end()
    }
}
