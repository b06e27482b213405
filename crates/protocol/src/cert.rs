//! Certificates: who vouches for which key, for which use. The operator's key admits a carrier's root; the root
//! certifies delegation keys and depot keys; a depot certifies couriers' devices.

use parcelshelf_core::time::{Timestamp, Window};

use crate::encoding::{Thumbprint, TokenId, domain_hash};
use crate::json::Object;
use crate::jws::{self, JWS_MAX, Moment, Naming, Sign, Unverified, VerifyingKey};
use crate::known;
use crate::refused::{Fault, Kind, Refused};
use crate::seal::SealPublicKey;
use crate::text::{self, audience};
use crate::verified::verified;

/// `typ` in the header.
pub const TYP: &str = "psh-cert+jwt";
const DAY: i64 = 86_400;

/// What a certified key is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// A carrier's root, certified by the operator. At most 1,830 days.
    Carrier,
    /// Signs delegations and calls, certified by the root. At most 30 days.
    Delegation,
    /// Certifies devices, certified by the root. At most 400 days.
    Depot,
    /// A courier's phone, certified by a depot. At most 400 days.
    Device,
}
impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Carrier, Self::Delegation, Self::Depot, Self::Device];
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Carrier => "carrier",
            Self::Delegation => "delegation",
            Self::Depot => "depot",
            Self::Device => "device",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.code() == code)
    }
    /// Longest life of such a certificate, seconds.
    #[must_use]
    pub const fn max_seconds(self) -> i64 {
        match self {
            Self::Carrier => 1_830 * DAY,
            Self::Delegation => 30 * DAY,
            Self::Depot | Self::Device => 400 * DAY,
        }
    }
}

/// What a certificate says of its subject beyond the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The name people read (1 to 64 bytes) and the domain that was checked.
    Carrier {
        name: String,
        domain: String,
    },
    Delegation,
    Depot,
    /// The device's sealing key.
    Device {
        seal: SealPublicKey,
    },
}
impl Subject {
    #[must_use]
    pub const fn role(&self) -> Role {
        match self {
            Self::Carrier { .. } => Role::Carrier,
            Self::Delegation => Role::Delegation,
            Self::Depot => Role::Depot,
            Self::Device { .. } => Role::Device,
        }
    }
}

/// The claims of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertClaims {
    /// Thumbprint of the key that certifies.
    pub issuer: Thumbprint,
    /// The keyholder that this is for.
    pub aud: String,
    pub jti: TokenId,
    pub iat: Timestamp,
    pub window: Window,
    /// The certified key.
    pub key: VerifyingKey,
    pub subject: Subject,
}
impl CertClaims {
    /// The thumbprint that other messages use for the subject: of the key, or of the device (over both its keys).
    #[must_use]
    pub fn sub(&self) -> Thumbprint {
        match &self.subject {
            Subject::Device { seal } => device_thumbprint(&self.key, seal),
            _ => self.key.thumb(),
        }
    }
    #[must_use]
    pub const fn role(&self) -> Role {
        self.subject.role()
    }
}

/// One name over a device's two keys: `H("psh-device-v1", thumbprint ‖ SHA-256(sealing key))`.
#[must_use]
pub fn device_thumbprint(key: &VerifyingKey, seal: &SealPublicKey) -> Thumbprint {
    device_thumbprint_of(key, seal.hash())
}
pub(crate) fn device_thumbprint_of(key: &VerifyingKey, seal: crate::encoding::Hash) -> Thumbprint {
    Thumbprint::from_bytes(*domain_hash("psh-device-v1", &[key.thumb().as_bytes(), seal.as_bytes()]).as_bytes())
}

verified! {
    /// A certificate whose signature, role, audience and (if asked) time were checked.
    VerifiedCert(CertClaims),
}

/// Certificates, made and checked.
#[derive(Debug)]
pub enum Cert {}
impl Cert {
    /// Certifies. `claims.issuer` must be the signer's thumbprint.
    ///
    /// # Errors
    /// Those of [`Cert::verify`], and [`Refused::SigningFailed`].
    pub fn sign(claims: &CertClaims, key: &dyn Sign) -> Result<VerifiedCert, Refused> {
        let o = Object::new()
            .text("iss", claims.issuer)
            .text("sub", claims.sub())
            .text("aud", &claims.aud)
            .text("jti", claims.jti)
            .seconds("iat", claims.iat)
            .seconds("nbf", claims.window.start())
            .seconds("exp", claims.window.end())
            .text("role", claims.role().code());
        let o = match &claims.subject {
            Subject::Carrier { name, domain } => o.text("name", name).text("domain", domain),
            _ => o,
        };
        let o = o.raw("jwk", &claims.key.to_jwk());
        let o = match &claims.subject {
            Subject::Device { seal } => o.text("seal", seal),
            _ => o,
        };
        let jws = jws::sign(TYP, Naming::Kid, &o.end(), key)?;
        Self::verify(&jws, key.verifying_key(), claims.role(), &claims.aud, Moment::Any)
    }
    /// Checks a certificate by the key that must have signed it.
    ///
    /// # Errors
    /// `cert_…` codes and [`Refused::CertWrongRole`].
    pub fn verify(
        jws: &str,
        issuer: &VerifyingKey,
        role: Role,
        aud: &str,
        moment: Moment,
    ) -> Result<VerifiedCert, Refused> {
        let claims = match known::cert(jws).filter(|known| known.issuer == *issuer) {
            Some(known) => known.claims.clone(),
            None => {
                let (unverified, claims) = parse(jws)?;
                unverified.verify(issuer)?;
                known::keep_cert(jws, issuer, &claims);
                claims
            }
        };
        let no = |fault| Err(Refused::of(Kind::Cert, fault));
        if claims.issuer != issuer.thumb() {
            return no(Fault::WrongIssuer);
        }
        if claims.aud != aud {
            return no(Fault::WrongAudience);
        }
        if claims.role() != role {
            return Err(Refused::CertWrongRole);
        }
        moment.check(Kind::Cert, claims.iat, &claims.window)?;
        Ok(VerifiedCert::new(jws, claims))
    }
    /// Whose certificate it says it is, unverified: for finding the key to verify it with.
    ///
    /// # Errors
    /// `cert_…` codes of form and bounds.
    pub fn peek_issuer(jws: &str) -> Result<Thumbprint, Refused> {
        match known::cert(jws) {
            Some(known) => Ok(known.claims.issuer),
            None => parse(jws).map(|(_, claims)| claims.issuer),
        }
    }
}
impl VerifiedCert {
    /// Checks the time again, for a certificate that was verified earlier.
    ///
    /// # Errors
    /// `cert_not_yet`, `cert_expired`.
    pub fn check(&self, moment: Moment) -> Result<(), Refused> {
        moment.check(Kind::Cert, self.claims.iat, &self.claims.window)
    }
    /// # Errors
    /// [`Refused::PathBroken`] unless `upper` issued this certificate.
    pub fn check_issued_by(&self, upper: &Self) -> Result<(), Refused> {
        if self.claims.issuer == upper.claims.key.thumb() { Ok(()) } else { Err(Refused::PathBroken) }
    }
}

fn parse(jws: &str) -> Result<(Unverified<'_>, CertClaims), Refused> {
    let mut u = Unverified::parse(Kind::Cert, TYP, Naming::Kid, jws, JWS_MAX)?;
    let m = &mut u.claims;
    let issuer = m.parsed("iss", Thumbprint::parse)?;
    let sub = m.parsed("sub", Thumbprint::parse)?;
    let aud = audience(m, "aud")?;
    let jti = m.parsed("jti", TokenId::parse)?;
    let iat = m.seconds("iat")?;
    let role = m.parsed("role", Role::parse)?;
    let window = jws::window(m, role.max_seconds())?;
    let key = VerifyingKey::from_members(m.object("jwk")?)?;
    let subject = match role {
        Role::Carrier => Subject::Carrier { name: m.text("name", 1..=64)?, domain: text::domain(m, "domain")? },
        Role::Delegation => Subject::Delegation,
        Role::Depot => Subject::Depot,
        Role::Device => Subject::Device { seal: m.parsed("seal", SealPublicKey::parse)? },
    };
    let claims = CertClaims { issuer, aud, jti, iat, window, key, subject };
    u.end()?;
    if sub != claims.sub() {
        return Err(Refused::of(Kind::Cert, Fault::WrongSubject));
    }
    Ok((u, claims))
}
