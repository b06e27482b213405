//! Link 2: a device proves that it is the one, for one request (DPoP, RFC 9449, with the keyholder's nonce).

use parcelshelf_core::reason::Action;
use parcelshelf_core::time::Timestamp;
use subtle::ConstantTimeEq as _;

use crate::cert::device_thumbprint_of;
use crate::encoding::{Hash, Thumbprint, TokenId, sha256};
use crate::json::Object;
use crate::jws::{self, JWS_MAX, Naming, Sign, Unverified, VerifyingKey};
use crate::nonce::{self, FreshNonce, NonceKey};
use crate::refused::{Kind, Refused};
use crate::text::{htu, token};
use crate::verified::verified;

/// `typ` in the header (RFC 9449 §4.2).
pub const TYP: &str = "dpop+jwt";
const URL_MAX: usize = 512;

/// The HTTP request that a proof or a call is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HttpRequest<'a> {
    /// Upper case, such as `POST`.
    pub method: &'a str,
    /// The public URL; `?` and `#` and what follows them are not covered.
    pub url: &'a str,
    /// The exact bytes.
    pub body: &'a [u8],
}

/// The claims of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofClaims {
    pub jti: TokenId,
    pub htm: String,
    pub htu: String,
    /// Phones' clocks are wrong: never compared. Freshness is the nonce's.
    pub iat: Timestamp,
    /// The keyholder's nonce.
    pub nonce: String,
    /// SHA-256 of the last link: of link 1, or of link 0 where there is no delegation.
    pub ath: Hash,
    pub act: Action,
    /// SHA-256 of the body.
    pub bh: Hash,
}
impl ProofClaims {
    /// The claims for one request.
    #[must_use]
    pub fn new(
        jti: TokenId,
        request: &HttpRequest<'_>,
        nonce: &str,
        last_link: &str,
        act: Action,
        iat: Timestamp,
    ) -> Self {
        Self {
            jti,
            htm: request.method.to_owned(),
            htu: htu(request.url).to_owned(),
            iat,
            nonce: nonce.to_owned(),
            ath: sha256(last_link),
            act,
            bh: sha256(request.body),
        }
    }
}

verified! {
    /// A proof by the very device that the last link names, for this request. Whether its nonce is fresh is asked
    /// apart, for a proof seen before gets its attempt's answer again.
    VerifiedProof(ProofClaims),
}

/// Which device must have signed: the thumbprint in `cnf` of the last link, and the hash of its sealing key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExpectedDevice {
    pub cnf: Thumbprint,
    /// SHA-256 of the device's sealing key.
    pub seal: Hash,
}

/// Proofs, made and checked.
#[derive(Debug)]
pub enum Proof {}
impl Proof {
    /// # Errors
    /// `proof_…` codes of form and bounds, and [`Refused::SigningFailed`].
    pub fn sign(c: &ProofClaims, key: &dyn Sign) -> Result<String, Refused> {
        let payload = Object::new()
            .text("jti", c.jti)
            .text("htm", &c.htm)
            .text("htu", &c.htu)
            .seconds("iat", c.iat)
            .text("nonce", &c.nonce)
            .text("ath", c.ath)
            .text("act", c.act)
            .text("bh", c.bh)
            .end();
        let jws = jws::sign(TYP, Naming::Jwk, &payload, key)?;
        Parsed::parse(&jws)?;
        Ok(jws)
    }
    /// Checks a proof for one request and action.
    ///
    /// # Errors
    /// `proof_…` codes, in the order: form, device, signature, token, method, URL, action, body.
    pub fn verify(
        jws: &str,
        device: &ExpectedDevice,
        last_link: &Hash,
        act: Action,
        request: &HttpRequest<'_>,
    ) -> Result<VerifiedProof, Refused> {
        Parsed::parse(jws)?.verify(device, last_link, act, Some(request))
    }
}

impl VerifiedProof {
    /// Checks that the nonce is this keyholder's, for this device, token and action, and still fresh.
    ///
    /// # Errors
    /// [`Refused::NonceMalformed`], [`Refused::NonceForeign`], [`Refused::NonceExpired`].
    pub fn fresh(&self, key: &NonceKey, device: Thumbprint, now: Timestamp) -> Result<FreshNonce, Refused> {
        nonce::check(key, &self.claims.nonce, &nonce::Bound { device, ath: self.claims.ath, act: self.claims.act }, now)
    }
}

/// A proof whose form was checked, signature not yet.
pub(crate) struct Parsed<'a>(&'a str, Unverified<'a>, ProofClaims);
impl<'a> Parsed<'a> {
    pub(crate) fn parse(jws: &'a str) -> Result<Self, Refused> {
        let mut u = Unverified::parse(Kind::Proof, TYP, Naming::Jwk, jws, JWS_MAX)?;
        let m = &mut u.claims;
        let claims = ProofClaims {
            jti: m.parsed("jti", TokenId::parse)?,
            htm: token(m, "htm", 16)?,
            htu: token(m, "htu", URL_MAX)?,
            iat: m.seconds("iat")?,
            nonce: token(m, "nonce", 128)?,
            ath: m.hash("ath")?,
            act: m.parsed("act", parcelshelf_core::reason::Action::parse)?,
            bh: m.hash("bh")?,
        };
        u.end()?;
        Ok(Self(jws, u, claims))
    }
    /// Which link the proof says it is for.
    pub(crate) const fn last_link(&self) -> Hash {
        self.2.ath
    }
    /// `request` is absent offline, where the request is long gone and `bh` alone is left.
    pub(crate) fn verify(
        self,
        device: &ExpectedDevice,
        last_link: &Hash,
        act: Action,
        request: Option<&HttpRequest<'_>>,
    ) -> Result<VerifiedProof, Refused> {
        let Self(jws, u, claims) = self;
        let key: &VerifyingKey = u.header_key()?;
        if device_thumbprint_of(key, device.seal) != device.cnf {
            return Err(Refused::ProofWrongDevice);
        }
        u.verify(key)?;
        if claims.ath != *last_link {
            return Err(Refused::ProofWrongToken);
        }
        if let Some(request) = request {
            if claims.htm != request.method {
                return Err(Refused::ProofWrongMethod);
            }
            if claims.htu != htu(request.url) {
                return Err(Refused::ProofWrongUrl);
            }
        }
        if claims.act != act {
            return Err(Refused::ProofWrongAction);
        }
        if request.is_some_and(|r| !bool::from(sha256(r.body).as_bytes().ct_eq(claims.bh.as_bytes()))) {
            return Err(Refused::ProofWrongBody);
        }
        Ok(VerifiedProof::new(jws, claims))
    }
}
