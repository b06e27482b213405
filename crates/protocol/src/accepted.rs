//! The keyholder's answer to a grant. A carrier relies on this alone.

use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::area::Area;
use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::reason::Purpose;
use parcelshelf_core::time::{Timestamp, Window};

use crate::encoding::{Hash, Thumbprint, b64};
use crate::grant::{self, Disclose, VerifiedGrant, WINDOW_MAX_SECONDS};
use crate::json::Object;
use crate::jws::{self, JWS_MAX, Moment, Naming, Sign, Unverified, VerifyingKey};
use crate::narrow::Scope;
use crate::refused::{Fault, Kind, Refused};
use crate::text::audience;
use crate::verified::verified;

/// `typ` in the header.
pub const TYP: &str = "psh-accepted+jwt";
/// Most bytes of a log leaf's entry.
pub const LEAF_MAX: usize = 64;

/// The claims of an acceptance: what the carrier may delegate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedClaims {
    /// The keyholder.
    pub iss: String,
    /// Thumbprint of the carrier's root.
    pub aud: Thumbprint,
    pub iat: Timestamp,
    /// SHA-256 of link 0, which a delegation names as `par`.
    pub grant: Hash,
    pub delivery: DeliveryId,
    /// Who may use the grant; equals `aud`.
    pub cnf: Thumbprint,
    pub purpose: Purpose,
    pub opens: Vec<AccessClass>,
    pub area: Area,
    pub disclose: Disclose,
    pub window: Window,
    /// The log's entry for the accepted grant, 1 to 64 bytes.
    pub leaf: Vec<u8>,
}
impl AcceptedClaims {
    /// The answer to a grant that was verified. `delivery` and `window` are the grant's own, or under a standing rule
    /// those of the announcement, which the keyholder has narrowed to the rule.
    #[must_use]
    pub fn answer(grant: &VerifiedGrant, delivery: DeliveryId, window: Window, leaf: Vec<u8>, now: Timestamp) -> Self {
        let g = grant.claims();
        Self {
            iss: g.aud.clone(),
            aud: g.cnf,
            iat: now,
            grant: grant.hash(),
            delivery,
            cnf: g.cnf,
            purpose: g.purpose,
            opens: g.opens.clone(),
            area: g.area.clone(),
            disclose: g.disclose,
            window,
            leaf,
        }
    }
    /// What a delegation must stay within.
    #[must_use]
    pub fn scope(&self) -> Scope<'_> {
        Scope {
            purpose: self.purpose,
            opens: &self.opens,
            uses: 1,
            area: &self.area,
            disclose: self.disclose,
            window: &self.window,
        }
    }
}

verified! {
    /// An acceptance whose signature by the keyholder's message key was checked.
    VerifiedAccepted(AcceptedClaims),
}

/// Acceptances, made and checked.
#[derive(Debug)]
pub enum Accepted {}
impl Accepted {
    /// # Errors
    /// Those of [`Accepted::verify`], and [`Refused::SigningFailed`].
    pub fn sign(c: &AcceptedClaims, key: &dyn Sign) -> Result<VerifiedAccepted, Refused> {
        let payload = Object::new()
            .text("iss", &c.iss)
            .text("aud", c.aud)
            .seconds("iat", c.iat)
            .text("grant", c.grant)
            .text("delivery", c.delivery)
            .raw("cnf", &Object::new().text("jkt", c.cnf).end())
            .text("purpose", c.purpose)
            .texts("opens", c.opens.iter().map(|o| o.code()))
            .texts("area", c.area.cells())
            .int("uses", 1)
            .text("disclose", c.disclose.code())
            .seconds("nbf", c.window.start())
            .seconds("exp", c.window.end())
            .text("leaf", b64(&c.leaf))
            .end();
        let jws = jws::sign(TYP, Naming::Kid, &payload, key)?;
        Self::verify(&jws, key.verifying_key(), &c.iss, c.aud, Moment::Any)
    }
    /// Checks an acceptance by the keyholder's published message key.
    ///
    /// # Errors
    /// `accepted_…` codes.
    pub fn verify(
        jws: &str,
        message_key: &VerifyingKey,
        keyholder: &str,
        carrier: Thumbprint,
        moment: Moment,
    ) -> Result<VerifiedAccepted, Refused> {
        let (u, claims) = parse(jws)?;
        u.verify(message_key)?;
        let no = |fault| Err(Refused::of(Kind::Accepted, fault));
        if claims.iss != keyholder {
            return no(Fault::WrongIssuer);
        }
        if claims.aud != carrier {
            return no(Fault::WrongAudience);
        }
        if claims.cnf != claims.aud {
            return no(Fault::WrongSubject);
        }
        moment.check(Kind::Accepted, claims.iat, &claims.window)?;
        Ok(VerifiedAccepted::new(jws, claims))
    }
    /// Reads an acceptance again that was verified when it came.
    ///
    /// # Errors
    /// `accepted_…` codes of form and bounds.
    pub fn peek(jws: &str) -> Result<AcceptedClaims, Refused> {
        parse(jws).map(|(_, claims)| claims)
    }
}

fn parse(jws: &str) -> Result<(Unverified<'_>, AcceptedClaims), Refused> {
    let mut u = Unverified::parse(Kind::Accepted, TYP, Naming::Kid, jws, JWS_MAX)?;
    let m = &mut u.claims;
    let iss = audience(m, "iss")?;
    let aud = m.parsed("aud", Thumbprint::parse)?;
    let iat = m.seconds("iat")?;
    let grant = m.hash("grant")?;
    let delivery = m.parsed("delivery", |t| DeliveryId::parse(t).ok())?;
    let cnf = grant::cnf(m)?;
    let purpose = m.parsed("purpose", Purpose::parse)?;
    let opens = grant::opens(m)?;
    let area = grant::area(m)?;
    m.int("uses", 1..=1)?;
    let disclose = m.parsed("disclose", Disclose::parse)?;
    let window = jws::window(m, WINDOW_MAX_SECONDS)?;
    let leaf = m.bytes("leaf", 1..=LEAF_MAX)?;
    let claims = AcceptedClaims { iss, aud, iat, grant, delivery, cnf, purpose, opens, area, disclose, window, leaf };
    u.end()?;
    Ok((u, claims))
}
