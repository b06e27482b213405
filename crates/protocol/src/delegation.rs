//! Link 1: a carrier passes a grant on, narrowed, to one courier's device at one stop.

use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::area::Area;
use parcelshelf_core::id::{DelegationId, DeliveryId};
use parcelshelf_core::reason::Purpose;
use parcelshelf_core::time::{Timestamp, Window};

use crate::cert::{Role, VerifiedCert};
use crate::encoding::{Hash, Thumbprint};
use crate::grant::{self, Disclose, VerifiedGrant};
use crate::json::Object;
use crate::jws::{self, JWS_MAX, Moment, Naming, Sign, Unverified};
use crate::narrow::{self, Scope};
use crate::refused::{Fault, Kind, Refused};
use crate::request::{Direction, RequestClaims};
use crate::text::audience;
use crate::verified::verified;

/// `typ` in the header.
pub const TYP: &str = "psh-delegation+jwt";
/// Longest window, seconds: 60 minutes.
pub const WINDOW_MAX_SECONDS: i64 = 3_600;
/// Most labels in each direction.
pub const LABELS_MAX: usize = 16;

/// The claims of a delegation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegationClaims {
    /// Thumbprint of the carrier's root.
    pub iss: Thumbprint,
    pub aud: String,
    pub jti: DelegationId,
    pub iat: Timestamp,
    pub window: Window,
    /// SHA-256 of link 0.
    pub par: Hash,
    pub delivery: DeliveryId,
    /// The courier's device.
    pub cnf: Thumbprint,
    pub purpose: Purpose,
    pub opens: Vec<AccessClass>,
    /// 0 (look only) or 1.
    pub uses: u32,
    pub area: Area,
    pub disclose: Disclose,
    /// Label hashes of what goes in, at most 16.
    pub put: Vec<Hash>,
    /// Label hashes of what comes out, at most 16. At least one label in `put` or `take`.
    pub take: Vec<Hash>,
}
impl DelegationClaims {
    #[must_use]
    pub fn scope(&self) -> Scope<'_> {
        Scope {
            purpose: self.purpose,
            opens: &self.opens,
            uses: self.uses,
            area: &self.area,
            disclose: self.disclose,
            window: &self.window,
        }
    }
    /// Whether nothing is to be put in or taken out that the owner was not asked about: each label is an item's of the
    /// request, in its direction.
    ///
    /// # Errors
    /// [`Refused::DelegationWidensLabels`].
    pub fn check_announced(&self, request: &RequestClaims) -> Result<(), Refused> {
        let announced = |labels: &[Hash], direction| {
            labels.iter().all(|l| request.items.iter().any(|i| i.direction == direction && i.label == *l))
        };
        if announced(&self.put, Direction::Put) && announced(&self.take, Direction::Take) {
            Ok(())
        } else {
            Err(Refused::DelegationWidensLabels)
        }
    }
    /// Checks labels that were scanned: at least one, each listed in `put` or `take`.
    ///
    /// # Errors
    /// [`Refused::LabelNotListed`].
    pub fn check_scanned(&self, labels: &[Hash]) -> Result<(), Refused> {
        let listed = |l: &Hash| self.put.contains(l) || self.take.contains(l);
        if !labels.is_empty() && labels.iter().all(listed) { Ok(()) } else { Err(Refused::LabelNotListed) }
    }
}

verified! {
    /// A delegation whose signature, certificate, grant and narrowing were checked.
    VerifiedDelegation(DelegationClaims),
}

/// Delegations, made and checked.
#[derive(Debug)]
pub enum Delegation {}
impl Delegation {
    /// Signs with a delegation key. What the carrier has to keep within is the keyholder's acceptance: check
    /// [`narrow::check`] of its scope before signing.
    ///
    /// # Errors
    /// `delegation_…` codes of form and bounds, and [`Refused::SigningFailed`].
    pub fn sign(c: &DelegationClaims, key: &dyn Sign) -> Result<String, Refused> {
        let payload = Object::new()
            .text("iss", c.iss)
            .text("aud", &c.aud)
            .text("jti", c.jti)
            .seconds("iat", c.iat)
            .seconds("nbf", c.window.start())
            .seconds("exp", c.window.end())
            .text("par", c.par)
            .text("delivery", c.delivery)
            .raw("cnf", &Object::new().text("jkt", c.cnf).end())
            .text("purpose", c.purpose)
            .texts("opens", c.opens.iter().map(|o| o.code()))
            .int("uses", i64::from(c.uses))
            .texts("area", c.area.cells())
            .text("disclose", c.disclose.code())
            .texts("put", &c.put)
            .texts("take", &c.take)
            .end();
        let jws = jws::sign(TYP, Naming::Kid, &payload, key)?;
        Parsed::parse(&jws)?;
        Ok(jws)
    }
    /// Reads a delegation without checking its signature, for a stop page that got one from its carrier and will be
    /// told by the keyholder whether it is good.
    ///
    /// # Errors
    /// `delegation_…` codes of form and bounds.
    pub fn peek(jws: &str) -> Result<DelegationClaims, Refused> {
        Parsed::parse(jws).map(|p| p.2)
    }
    /// Checks a delegation under the grant it hangs on. `cert` is the delegation key's, verified down from the
    /// operator's key.
    ///
    /// # Errors
    /// `delegation_…` codes, [`Refused::GrantWrongCarrier`]; the order is that of `docs/protocol/chain.md`.
    pub fn verify(
        jws: &str,
        cert: &VerifiedCert,
        grant: &VerifiedGrant,
        moment: Moment,
    ) -> Result<VerifiedDelegation, Refused> {
        Parsed::parse(jws)?.verify(cert, grant, moment)
    }
}

/// A delegation whose form was checked, signature not yet.
pub(crate) struct Parsed<'a>(&'a str, Unverified<'a>, DelegationClaims);
impl<'a> Parsed<'a> {
    pub(crate) fn parse(jws: &'a str) -> Result<Self, Refused> {
        let mut u = Unverified::parse(Kind::Delegation, TYP, Naming::Kid, jws, JWS_MAX)?;
        let m = &mut u.claims;
        let iss = m.parsed("iss", Thumbprint::parse)?;
        let aud = audience(m, "aud")?;
        let jti = m.parsed("jti", |t| DelegationId::parse(t).ok())?;
        let iat = m.seconds("iat")?;
        let window = jws::window(m, WINDOW_MAX_SECONDS)?;
        let claims = DelegationClaims {
            iss,
            aud,
            jti,
            iat,
            window,
            par: m.hash("par")?,
            delivery: m.parsed("delivery", |t| DeliveryId::parse(t).ok())?,
            cnf: grant::cnf(m)?,
            purpose: m.parsed("purpose", Purpose::parse)?,
            opens: grant::opens(m)?,
            // Up to 2^31 is well-formed, so that more than the grant's is refused as widening.
            uses: u32::try_from(m.int("uses", 0..=1 << 31)?).map_err(|_| m.wrong())?,
            area: grant::area(m)?,
            disclose: m.parsed("disclose", Disclose::parse)?,
            put: m.list("put", 0..=LABELS_MAX, Hash::parse)?,
            take: m.list("take", 0..=LABELS_MAX, Hash::parse)?,
        };
        if claims.put.is_empty() && claims.take.is_empty() {
            return Err(m.wrong());
        }
        u.end()?;
        Ok(Self(jws, u, claims))
    }
    pub(crate) fn verify(
        self,
        cert: &VerifiedCert,
        grant: &VerifiedGrant,
        moment: Moment,
    ) -> Result<VerifiedDelegation, Refused> {
        let Self(jws, u, claims) = self;
        let no = |fault| Err(Refused::of(Kind::Delegation, fault));
        if cert.claims().role() != Role::Delegation {
            return Err(Refused::CertWrongRole);
        }
        u.verify(&cert.claims().key)?;
        if claims.iss != cert.claims().issuer {
            return no(Fault::WrongIssuer);
        }
        let g = grant.claims();
        if !g.is_delegated() {
            return Err(Refused::DelegationNotAllowed);
        }
        if g.cnf != claims.iss {
            return Err(Refused::GrantWrongCarrier);
        }
        if claims.aud != g.aud {
            return no(Fault::WrongAudience);
        }
        if claims.par != grant.hash() {
            return Err(Refused::DelegationWrongParent);
        }
        if g.delivery().is_some_and(|d| d != claims.delivery) {
            return Err(Refused::DelegationWrongDelivery);
        }
        narrow::check(&g.scope(), &claims.scope())?;
        moment.check(Kind::Delegation, claims.iat, &claims.window)?;
        Ok(VerifiedDelegation::new(jws, claims))
    }
}
