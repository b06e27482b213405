//! A carrier's call to the gateway: no shared secret, each call signed for at most 60 seconds (RFC 7523 claims with
//! method, URL and body hash as in RFC 9449).

use parcelshelf_core::time::Timestamp;

use crate::cert::{Role, VerifiedCert};
use crate::encoding::{Hash, Thumbprint, TokenId, sha256};
use crate::json::Object;
use crate::jws::{self, JWS_MAX, Moment, Naming, Sign, Unverified};
use crate::proof::HttpRequest;
use crate::refused::{Fault, Kind, Refused};
use crate::text::{audience, htu, token};
use crate::verified::verified;

/// `typ` in the header.
pub const TYP: &str = "psh-call+jwt";
/// Longest life, seconds.
pub const MAX_SECONDS: i64 = 60;

/// The claims of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallClaims {
    /// Thumbprint of the carrier's root.
    pub iss: Thumbprint,
    pub aud: String,
    pub jti: TokenId,
    pub iat: Timestamp,
    pub exp: Timestamp,
    pub htm: String,
    pub htu: String,
    pub bh: Hash,
}

verified! {
    /// A call by a certified delegation key for this very request.
    VerifiedCall(CallClaims),
}

/// Calls, made and checked.
#[derive(Debug)]
pub enum Call {}
impl Call {
    /// Signs one request, good for 60 seconds.
    ///
    /// # Errors
    /// [`Refused::SigningFailed`].
    pub fn sign(
        root: Thumbprint,
        aud: &str,
        jti: TokenId,
        request: &HttpRequest<'_>,
        now: Timestamp,
        key: &dyn Sign,
    ) -> Result<String, Refused> {
        let payload = Object::new()
            .text("iss", root)
            .text("aud", aud)
            .text("jti", jti)
            .seconds("iat", now)
            .seconds("exp", now.plus_seconds(MAX_SECONDS))
            .text("htm", request.method)
            .text("htu", htu(request.url))
            .text("bh", sha256(request.body))
            .end();
        jws::sign(TYP, Naming::Kid, &payload, key)
    }
    /// Checks a call for the request in which it came.
    ///
    /// # Errors
    /// `call_…` codes, in the order: form, signature, issuer, audience, time, method, URL, body.
    pub fn verify(
        jws: &str,
        delegation: &VerifiedCert,
        aud: &str,
        request: &HttpRequest<'_>,
        now: Timestamp,
    ) -> Result<VerifiedCall, Refused> {
        let mut u = Unverified::parse(Kind::Call, TYP, Naming::Kid, jws, JWS_MAX)?;
        let m = &mut u.claims;
        let iss = m.parsed("iss", Thumbprint::parse)?;
        let audience = audience(m, "aud")?;
        let jti = m.parsed("jti", TokenId::parse)?;
        let life = jws::lifetime(m, MAX_SECONDS)?;
        let claims = CallClaims {
            iss,
            aud: audience,
            jti,
            iat: life.start(),
            exp: life.end(),
            htm: token(m, "htm", 16)?,
            htu: token(m, "htu", 512)?,
            bh: m.hash("bh")?,
        };
        u.end()?;
        if delegation.claims().role() != Role::Delegation {
            return Err(Refused::CertWrongRole);
        }
        u.verify(&delegation.claims().key)?;
        if claims.iss != delegation.claims().issuer {
            return Err(Refused::of(Kind::Call, Fault::WrongIssuer));
        }
        if claims.aud != aud {
            return Err(Refused::of(Kind::Call, Fault::WrongAudience));
        }
        Moment::Posted(now).check(Kind::Call, claims.iat, &life)?;
        if claims.htm != request.method {
            return Err(Refused::CallWrongMethod);
        }
        if claims.htu != htu(request.url) {
            return Err(Refused::CallWrongUrl);
        }
        if claims.bh != sha256(request.body) {
            return Err(Refused::CallWrongBody);
        }
        Ok(VerifiedCall::new(jws, claims))
    }
}
