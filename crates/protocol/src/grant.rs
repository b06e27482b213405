//! Link 0: what an owner permits.
//!
//! A grant is signed by a key that the wallet makes for this one grant and throws away; the key stands in the header
//! and means nothing by itself. The authority is the passkey's assertion over the signed grant
//! ([`SignedGrant::confirm`]).

use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::area::Area;
use parcelshelf_core::id::{AccessPointId, DeliveryId, GrantId};
use parcelshelf_core::reason::Purpose;
use parcelshelf_core::time::{Timestamp, Window};

use crate::encoding::{Hash, Thumbprint, domain_hash};
use crate::json::{Members, Object};
use crate::jws::{self, JWS_MAX, Moment, Naming, Sign, Unverified, VerifyingKey};
use crate::narrow::Scope;
use crate::refused::{Fault, Kind, Refused};
use crate::request::VerifiedRequest;
use crate::text::{audience, is_token, is_word};
use crate::verified::verified;
use crate::webauthn::{self, Assertion, Passkey, RelyingParty};

/// `typ` in the header.
pub const TYP: &str = "psh-grant+jwt";
/// Longest window of a grant for one delivery, seconds: 24 hours.
pub const WINDOW_MAX_SECONDS: i64 = 86_400;
/// Longest life of a standing rule, seconds: 90 days.
pub const STANDING_MAX_SECONDS: i64 = 90 * 86_400;
/// Longest window of a rehearsal, seconds: 15 minutes.
pub const REHEARSAL_MAX_SECONDS: i64 = 900;
/// Most merchants of a standing rule.
pub const MERCHANTS_MAX: usize = 32;

/// When the place is disclosed to the courier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Disclose {
    /// When this is the next stop.
    NextStop,
    /// When the courier enters the area.
    Area,
}
impl Disclose {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NextStop => "next_stop",
            Self::Area => "area",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        match code {
            "next_stop" => Some(Self::NextStop),
            "area" => Some(Self::Area),
            _ => None,
        }
    }
}

/// A day of the week.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}
impl Weekday {
    /// Monday first.
    pub const ALL: [Self; 7] =
        [Self::Monday, Self::Tuesday, Self::Wednesday, Self::Thursday, Self::Friday, Self::Saturday, Self::Sunday];
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Monday => "mon",
            Self::Tuesday => "tue",
            Self::Wednesday => "wed",
            Self::Thursday => "thu",
            Self::Friday => "fri",
            Self::Saturday => "sat",
            Self::Sunday => "sun",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.code() == code)
    }
    /// 1 = Monday to 7 = Sunday (ISO 8601).
    #[must_use]
    pub const fn iso(self) -> u8 {
        self as u8 + 1
    }
}

/// The weekly hours of a standing rule, in a named zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// IANA name, such as `Europe/Stockholm`. Whether the zone exists is the reader's to know.
    pub zone: String,
    /// Ascending, each once, at least one.
    pub days: Vec<Weekday>,
    /// Minutes after local midnight; `from < to ≤ 1440`.
    pub from_minute: u16,
    pub to_minute: u16,
}

/// What a grant is for: one delivery; or in weekly hours every delivery of named merchants, or one guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scoped {
    Delivery(DeliveryId),
    Standing {
        /// Ids of merchants, ascending, each once, 1 to 32; none in a guest's rule.
        merchants: Vec<String>,
        schedule: Schedule,
    },
}

/// Which text the owner read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextShown {
    /// Name and version of the template, lower case.
    pub template: String,
    /// BCP 47 tag.
    pub lang: String,
}

/// The claims of a grant. `iss` is the header key's thumbprint, `uses` is always 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantClaims {
    pub aud: String,
    pub jti: GrantId,
    pub iat: Timestamp,
    pub window: Window,
    /// Who may use it: the carrier's root; for guests and rehearsals the device itself.
    pub cnf: Thumbprint,
    /// SHA-256 of the request that this answers; absent for standing rules, guests, rehearsals.
    pub request: Option<Hash>,
    pub scoped: Scoped,
    pub access_point: AccessPointId,
    pub purpose: Purpose,
    /// Ascending, each once, at least one.
    pub opens: Vec<AccessClass>,
    pub area: Area,
    pub disclose: Disclose,
    /// SHA-256 of the wallet's sealing key for this grant.
    pub seal: Hash,
    /// Commitment to cars and finer place, see [`content::Rule`](crate::content::Rule).
    pub rule_commitment: Hash,
    pub text: TextShown,
}

impl GrantClaims {
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
    /// The delivery, if the grant is for one.
    #[must_use]
    pub const fn delivery(&self) -> Option<DeliveryId> {
        match self.scoped {
            Scoped::Delivery(d) => Some(d),
            Scoped::Standing { .. } => None,
        }
    }
    /// Whether a carrier delegates under this grant; else the owner's or guest's own device signs the proof.
    #[must_use]
    pub const fn is_delegated(&self) -> bool {
        is_delegated(self.purpose)
    }
}
const fn is_delegated(purpose: Purpose) -> bool {
    matches!(purpose, Purpose::Delivery | Purpose::Pickup | Purpose::Service)
}

verified! {
    /// A grant signed by its own header key. Not yet confirmed by anybody.
    SignedGrant(GrantClaims),
    /// A grant that one of the owner's passkeys confirmed.
    VerifiedGrant(GrantClaims),
}

/// Grants, made and checked.
#[derive(Debug)]
pub enum Grant {}
impl Grant {
    /// Signs with a key made for this grant.
    ///
    /// # Errors
    /// Those of [`Grant::verify`], and [`Refused::SigningFailed`].
    pub fn sign(claims: &GrantClaims, key: &dyn Sign) -> Result<SignedGrant, Refused> {
        let payload = payload(claims, key.verifying_key());
        Self::verify(&jws::sign(TYP, Naming::Jwk, &payload, key)?)
    }
    /// Checks form, bounds and the signature by the key in the header.
    ///
    /// # Errors
    /// `grant_…` codes.
    pub fn verify(jws: &str) -> Result<SignedGrant, Refused> {
        Parsed::parse(jws)?.verify()
    }
}

/// A grant whose form was checked, signature not yet.
pub(crate) struct Parsed<'a>(&'a str, Unverified<'a>, GrantClaims);
impl<'a> Parsed<'a> {
    pub(crate) fn parse(jws: &'a str) -> Result<Self, Refused> {
        let mut u = Unverified::parse(Kind::Grant, TYP, Naming::Jwk, jws, JWS_MAX)?;
        let issuer = u.header_key()?.thumb();
        let claims = claims(&mut u.claims, issuer)?;
        u.end()?;
        Ok(Self(jws, u, claims))
    }
    pub(crate) fn verify(self) -> Result<SignedGrant, Refused> {
        self.1.verify(self.1.header_key()?)?;
        Ok(SignedGrant::new(self.0, self.2))
    }
}

impl SignedGrant {
    /// What the passkey's assertion must carry as challenge: `H("psh-grant-v1", signed characters)`.
    #[must_use]
    pub fn challenge(&self) -> Hash {
        challenge(&self.jws)
    }
    /// Checks that one of the owner's passkeys confirmed exactly this grant, for this keyholder, at this moment.
    ///
    /// # Errors
    /// `grant_wrong_audience`, `grant_not_yet`, `grant_expired`, `assertion_…` codes; in this order.
    pub fn confirm(
        self,
        assertion: &Assertion,
        passkeys: &[Passkey],
        rp: &RelyingParty,
        aud: &str,
        moment: Moment,
    ) -> Result<VerifiedGrant, Refused> {
        if self.claims.aud != aud {
            return Err(Refused::of(Kind::Grant, Fault::WrongAudience));
        }
        moment.check(Kind::Grant, self.claims.iat, &self.claims.window)?;
        webauthn::verify(assertion, &self.challenge(), passkeys, rp)?;
        Ok(VerifiedGrant::new(&self.jws, self.claims))
    }
}

impl VerifiedGrant {
    /// Checks a grant against the request it answers: same carrier, same delivery and purpose, and nothing asked for
    /// later than the request's window.
    ///
    /// # Errors
    /// [`Refused::GrantWrongRequest`], [`Refused::GrantWrongCarrier`], [`Refused::GrantWidensRequest`].
    pub fn check_answers(&self, request: &VerifiedRequest) -> Result<(), Refused> {
        let (c, r) = (&self.claims, request.claims());
        if c.request != Some(request.hash()) || c.delivery() != Some(r.delivery) {
            return Err(Refused::GrantWrongRequest);
        }
        if c.cnf != r.iss {
            return Err(Refused::GrantWrongCarrier);
        }
        if c.purpose != r.purpose || !r.window.encloses(&c.window) {
            return Err(Refused::GrantWidensRequest);
        }
        Ok(())
    }
    /// Checks that a standing rule covers a request (an announcement): same carrier, a named merchant, the same
    /// purpose, a window inside the rule's life. Whether the rule's weekly hours cover it needs the zone's calendar and
    /// is the caller's to judge.
    ///
    /// # Errors
    /// [`Refused::GrantWrongRequest`], [`Refused::GrantWrongCarrier`], [`Refused::GrantWidensRequest`].
    pub fn check_covers(&self, request: &VerifiedRequest) -> Result<(), Refused> {
        let (c, r) = (&self.claims, request.claims());
        let Scoped::Standing { merchants, .. } = &c.scoped else { return Err(Refused::GrantWrongRequest) };
        if !merchants.contains(&r.merchant.id) {
            return Err(Refused::GrantWrongRequest);
        }
        if c.cnf != r.iss {
            return Err(Refused::GrantWrongCarrier);
        }
        if c.purpose == r.purpose && c.window.encloses(&r.window) { Ok(()) } else { Err(Refused::GrantWidensRequest) }
    }
    /// Checks that `key` is the wallet's sealing key that the grant names.
    ///
    /// # Errors
    /// [`Refused::GrantWrongSealKey`].
    pub fn check_seal_key(&self, key: &crate::seal::SealPublicKey) -> Result<(), Refused> {
        if key.hash() == self.claims.seal { Ok(()) } else { Err(Refused::GrantWrongSealKey) }
    }
    /// Checks what was disclosed as rule against the commitment.
    ///
    /// # Errors
    /// [`Refused::GrantWrongRule`].
    pub fn check_rule(&self, rule: &crate::content::Rule) -> Result<(), Refused> {
        if rule.commitment() == self.claims.rule_commitment { Ok(()) } else { Err(Refused::GrantWrongRule) }
    }
}

/// The challenge for a grant's signed characters.
#[must_use]
pub fn challenge(jws: &str) -> Hash {
    domain_hash("psh-grant-v1", &[jws.as_bytes()])
}

fn payload(c: &GrantClaims, key: &VerifyingKey) -> String {
    let o = Object::new()
        .text("iss", key.thumb())
        .text("aud", &c.aud)
        .text("jti", c.jti)
        .seconds("iat", c.iat)
        .seconds("nbf", c.window.start())
        .seconds("exp", c.window.end())
        .raw("cnf", &Object::new().text("jkt", c.cnf).end())
        .opt("request", c.request);
    let o = match &c.scoped {
        Scoped::Delivery(d) => o.text("delivery", d),
        Scoped::Standing { merchants, schedule: s } => {
            let o = if merchants.is_empty() { o } else { o.texts("merchants", merchants) };
            let hours = Object::new()
                .text("zone", &s.zone)
                .texts("days", s.days.iter().map(|d| d.code()))
                .text("from", clock(s.from_minute))
                .text("to", clock(s.to_minute));
            o.raw("schedule", &hours.end())
        }
    };
    o.text("access_point", c.access_point)
        .text("purpose", c.purpose)
        .texts("opens", c.opens.iter().map(|o| o.code()))
        .int("uses", 1)
        .texts("area", c.area.cells())
        .text("disclose", c.disclose.code())
        .text("seal", c.seal)
        .text("rule_commitment", c.rule_commitment)
        .raw("text", &Object::new().text("template", &c.text.template).text("lang", &c.text.lang).end())
        .end()
}

fn claims(m: &mut Members, issuer: Thumbprint) -> Result<GrantClaims, Refused> {
    if m.parsed("iss", Thumbprint::parse)? != issuer {
        return Err(m.fault(Fault::WrongIssuer));
    }
    let aud = audience(m, "aud")?;
    let jti = m.parsed("jti", |t| GrantId::parse(t).ok())?;
    let iat = m.seconds("iat")?;
    let cnf = cnf(m)?;
    let request = m.opt_parsed("request", Hash::parse)?;
    let scoped = scoped(m)?;
    let access_point = m.parsed("access_point", |t| AccessPointId::parse(t).ok())?;
    let purpose = m.parsed("purpose", Purpose::parse)?;
    let longest = match (&scoped, purpose) {
        (_, Purpose::Rehearsal) => REHEARSAL_MAX_SECONDS,
        (Scoped::Standing { .. }, _) => STANDING_MAX_SECONDS,
        (Scoped::Delivery(_), _) => WINDOW_MAX_SECONDS,
    };
    let window = jws::window(m, longest)?;
    let opens = opens(m)?;
    m.int("uses", 1..=1)?;
    let area = area(m)?;
    let disclose = m.parsed("disclose", Disclose::parse)?;
    let seal = m.hash("seal")?;
    let rule_commitment = m.hash("rule_commitment")?;
    let mut shown = m.object("text")?;
    let text = TextShown {
        template: shown.parsed("template", |t| is_word(t, 64).then(|| t.to_owned()))?,
        lang: shown.parsed("lang", |t| {
            (is_token(t, 35) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')).then(|| t.to_owned())
        })?,
    };
    shown.end()?;
    // A request is answered by a grant for its one delivery; nothing else has a request.
    let one_delivery = matches!(scoped, Scoped::Delivery(_));
    // A rule is for a carrier's merchants or for one guest, never for rehearsals.
    let fits = match &scoped {
        Scoped::Delivery(_) => true,
        Scoped::Standing { merchants, .. } => {
            purpose != Purpose::Rehearsal && merchants.is_empty() != is_delegated(purpose)
        }
    };
    if request.is_some() != (one_delivery && is_delegated(purpose)) || !fits {
        return Err(m.wrong());
    }
    Ok(GrantClaims {
        aud,
        jti,
        iat,
        window,
        cnf,
        request,
        scoped,
        access_point,
        purpose,
        opens,
        area,
        disclose,
        seal,
        rule_commitment,
        text,
    })
}

fn scoped(m: &mut Members) -> Result<Scoped, Refused> {
    if m.has("delivery") {
        return m.parsed("delivery", |t| DeliveryId::parse(t).ok()).map(Scoped::Delivery);
    }
    let merchants = if m.has("merchants") {
        m.list("merchants", 1..=MERCHANTS_MAX, |t| is_token(t, 64).then(|| t.to_owned()))?
    } else {
        Vec::new()
    };
    let mut s = m.object("schedule")?;
    let schedule = Schedule {
        zone: s.parsed("zone", |t| is_zone(t).then(|| t.to_owned()))?,
        days: s.list("days", 1..=7, Weekday::parse)?,
        from_minute: s.parsed("from", minute)?,
        to_minute: s.parsed("to", minute)?,
    };
    s.end()?;
    let ordered = merchants.is_sorted_by(|a, b| a < b) && schedule.days.is_sorted_by(|a, b| a < b);
    if !ordered || schedule.from_minute >= schedule.to_minute {
        return Err(m.wrong());
    }
    Ok(Scoped::Standing { merchants, schedule })
}

fn is_zone(text: &str) -> bool {
    is_token(text, 64) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+'))
}
/// `HH:MM` from `00:00` to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (h, m) = text.split_once(':')?;
    let two =
        |t: &str| (t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse::<u16>().ok()).flatten();
    let (h, m) = (two(h)?, two(m)?);
    (m < 60 && h * 60 + m <= 1_440).then_some(h * 60 + m)
}
fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// `cnf: {jkt}` (RFC 7800, RFC 9449 §6.1).
pub(crate) fn cnf(m: &mut Members) -> Result<Thumbprint, Refused> {
    let mut cnf = m.object("cnf")?;
    let jkt = cnf.parsed("jkt", Thumbprint::parse)?;
    cnf.end()?;
    Ok(jkt)
}
/// Access classes, ascending in the order of [`AccessClass`], each once.
pub(crate) fn opens(m: &mut Members) -> Result<Vec<AccessClass>, Refused> {
    let opens = m.list("opens", 1..=AccessClass::ALL.len(), AccessClass::parse)?;
    if opens.is_sorted_by(|a, b| a < b) { Ok(opens) } else { Err(m.wrong()) }
}
pub(crate) fn area(m: &mut Members) -> Result<Area, Refused> {
    let cells = m.list("area", 1..=parcelshelf_core::area::AREA_CELLS_MAX, |t| Some(t.to_owned()))?;
    Area::parse(&cells).map_err(|_| m.wrong())
}
