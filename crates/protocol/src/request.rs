//! What a carrier asks an owner for, and the ticket in which it travels to the wallet.

use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::reason::{Fallback, Purpose};
use parcelshelf_core::time::{Timestamp, Window};

use crate::cert::{Cert, Role, VerifiedCert};
use crate::encoding::{Hash, Thumbprint, TokenId, b64};
use crate::json::{Members, Object};
use crate::jws::{self, JWS_MAX, Moment, Naming, Sign, Unverified, VerifyingKey};
use crate::refused::{Fault, Kind, Refused};
use crate::text::{audience, is_token, token};
use crate::verified::verified;

/// `typ` in the header.
pub const TYP: &str = "psh-request+jwt";
/// Longest life of a request, seconds: 30 days.
pub const MAX_SECONDS: i64 = 30 * 86_400;
/// Longest window that may be asked for, seconds: 24 hours.
pub const WINDOW_MAX_SECONDS: i64 = 86_400;
/// Most items of one request.
pub const ITEMS_MAX: usize = 16;

/// Which way an item goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// Into the car.
    Put,
    /// Out of it.
    Take,
}
impl Direction {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Take => "take",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        match code {
            "put" => Some(Self::Put),
            "take" => Some(Self::Take),
            _ => None,
        }
    }
}

/// One parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub direction: Direction,
    /// Length, width, height in millimetres, 1 to 5,000 each.
    pub size_mm: [u32; 3],
    /// 0 to 1,000,000 grams.
    pub weight_g: u32,
    /// Value in the currency's smallest unit, 0 to 2^40.
    pub value_minor: u64,
    /// ISO 4217, three upper-case letters.
    pub currency: String,
    /// Salted hash of the label, see [`label`](crate::label).
    pub label: Hash,
}

/// Who sent it, as the carrier says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merchant {
    /// Printable ASCII, 1 to 64.
    pub id: String,
    /// 1 to 64 bytes.
    pub name: String,
}

/// The claims of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestClaims {
    /// Thumbprint of the carrier's root.
    pub iss: Thumbprint,
    pub aud: String,
    pub jti: TokenId,
    pub iat: Timestamp,
    /// The request can be answered until then.
    pub exp: Timestamp,
    pub delivery: DeliveryId,
    /// The carrier's name; the wallet shows the one from its admission.
    pub carrier: String,
    pub merchant: Merchant,
    pub purpose: Purpose,
    /// 1 to 16 items.
    pub items: Vec<Item>,
    /// When the courier wants to come.
    pub window: Window,
    /// What happens instead, in order of preference; at least one.
    pub fallbacks: Vec<Fallback>,
    /// The recipient's initials, 1 to 8 bytes, so that an owner sees whose parcel it is.
    pub initials: String,
    /// Last digits of the order number, 1 to 6.
    pub order_digits: String,
    /// Salt of the label hashes.
    pub salt: [u8; 16],
}

verified! {
    /// A request whose signature was checked.
    VerifiedRequest(RequestClaims),
}

/// Requests, made and checked.
#[derive(Debug)]
pub enum Request {}
impl Request {
    /// # Errors
    /// Those of [`Request::verify`], and [`Refused::SigningFailed`].
    pub fn sign(claims: &RequestClaims, key: &dyn Sign) -> Result<VerifiedRequest, Refused> {
        let jws = jws::sign(TYP, Naming::Kid, &payload(claims), key)?;
        let (u, claims) = parse(&jws)?;
        u.verify(key.verifying_key())?;
        Ok(VerifiedRequest::new(&jws, claims))
    }
    /// Checks a request by the certified delegation key that must have signed it.
    ///
    /// # Errors
    /// `request_…` codes.
    pub fn verify(jws: &str, delegation: &VerifiedCert, aud: &str, moment: Moment) -> Result<VerifiedRequest, Refused> {
        let (u, claims) = parse(jws)?;
        if delegation.claims().role() != Role::Delegation {
            return Err(Refused::CertWrongRole);
        }
        u.verify(&delegation.claims().key)?;
        if claims.iss != delegation.claims().issuer {
            return Err(Refused::of(Kind::Request, Fault::WrongIssuer));
        }
        if claims.aud != aud {
            return Err(Refused::of(Kind::Request, Fault::WrongAudience));
        }
        let life = Window::new(claims.iat, claims.exp).map_err(|_| Refused::of(Kind::Request, Fault::WrongLifetime))?;
        moment.check(Kind::Request, claims.iat, &life)?;
        Ok(VerifiedRequest::new(jws, claims))
    }
}

fn payload(c: &RequestClaims) -> String {
    let items = c.items.iter().map(|i| {
        let [l, w, h] = i.size_mm;
        Object::new()
            .text("kind", i.direction.code())
            .raw("size_mm", &format!("[{l},{w},{h}]"))
            .int("weight_g", i64::from(i.weight_g))
            .raw("value_minor", &i.value_minor.to_string())
            .text("currency", &i.currency)
            .text("label", i.label)
            .end()
    });
    Object::new()
        .text("iss", c.iss)
        .text("aud", &c.aud)
        .text("jti", c.jti)
        .seconds("iat", c.iat)
        .seconds("exp", c.exp)
        .text("delivery", c.delivery)
        .text("carrier", &c.carrier)
        .raw("merchant", &Object::new().text("id", &c.merchant.id).text("name", &c.merchant.name).end())
        .text("purpose", c.purpose)
        .raws("items", items)
        .raw("window", &Object::new().seconds("nbf", c.window.start()).seconds("exp", c.window.end()).end())
        .texts("fallbacks", &c.fallbacks)
        .text("initials", &c.initials)
        .text("order_digits", &c.order_digits)
        .text("salt", b64(c.salt))
        .end()
}

fn parse(jws: &str) -> Result<(Unverified<'_>, RequestClaims), Refused> {
    let mut u = Unverified::parse(Kind::Request, TYP, Naming::Kid, jws, JWS_MAX)?;
    let m = &mut u.claims;
    let iss = m.parsed("iss", Thumbprint::parse)?;
    let aud = audience(m, "aud")?;
    let jti = m.parsed("jti", TokenId::parse)?;
    let life = jws::lifetime(m, MAX_SECONDS)?;
    let delivery = m.parsed("delivery", |t| DeliveryId::parse(t).ok())?;
    let carrier = m.text("carrier", 1..=64)?;
    let mut who = m.object("merchant")?;
    let merchant = Merchant { id: token(&mut who, "id", 64)?, name: who.text("name", 1..=64)? };
    who.end()?;
    let purpose = m.parsed("purpose", Purpose::parse)?;
    let items = m.objects("items", 1..=ITEMS_MAX)?.into_iter().map(item).collect::<Result<_, _>>()?;
    let mut asked = m.object("window")?;
    let window = jws::window(&mut asked, WINDOW_MAX_SECONDS)?;
    asked.end()?;
    let fallbacks = m.list("fallbacks", 1..=Fallback::ALL.len(), Fallback::parse)?;
    let claims = RequestClaims {
        iss,
        aud,
        jti,
        iat: life.start(),
        exp: life.end(),
        delivery,
        carrier,
        merchant,
        purpose,
        items,
        window,
        fallbacks,
        initials: m.text("initials", 1..=8)?,
        order_digits: m.parsed("order_digits", |t| {
            (is_token(t, 6) && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.to_owned())
        })?,
        salt: m.bytes_of("salt")?,
    };
    u.end()?;
    Ok((u, claims))
}

fn item(mut m: Members) -> Result<Item, Refused> {
    let direction = m.parsed("kind", Direction::parse)?;
    let sizes = m.values("size_mm", 3..=3)?;
    let mut size_mm = [0; 3];
    for (to, value) in size_mm.iter_mut().zip(sizes) {
        *to = match value {
            crate::json::Value::Int(n @ 1..=5_000) => u32::try_from(n).map_err(|_| m.wrong())?,
            crate::json::Value::Float(_) => return Err(m.fault(Fault::NotAnInteger)),
            _ => return Err(m.wrong()),
        };
    }
    let item = Item {
        direction,
        size_mm,
        weight_g: u32::try_from(m.int("weight_g", 0..=1_000_000)?).map_err(|_| m.wrong())?,
        value_minor: u64::try_from(m.int("value_minor", 0..=1 << 40)?).map_err(|_| m.wrong())?,
        currency: m.parsed("currency", |t| {
            (t.len() == 3 && t.bytes().all(|b| b.is_ascii_uppercase())).then(|| t.to_owned())
        })?,
        label: m.hash("label")?,
    };
    m.end()?;
    Ok(item)
}

/// What the wallet gets in the fragment of a link: `<request>~<delegation cert>~<carrier cert>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub request: VerifiedRequest,
    pub delegation_cert: VerifiedCert,
    pub carrier_cert: VerifiedCert,
}
impl Ticket {
    /// Most characters: three signed messages and two tildes.
    pub const MAX: usize = 3 * JWS_MAX + 2;

    /// Joins three signed messages.
    #[must_use]
    pub fn join(request: &str, delegation_cert: &str, carrier_cert: &str) -> String {
        format!("{request}~{delegation_cert}~{carrier_cert}")
    }
    /// The three messages, unverified.
    ///
    /// # Errors
    /// `ticket_too_long`, `ticket_not_compact`.
    pub fn split(text: &str) -> Result<[&str; 3], Refused> {
        if text.len() > Self::MAX {
            return Err(Refused::of(Kind::Ticket, Fault::TooLong));
        }
        let parts: Vec<&str> = text.split('~').collect();
        parts.try_into().map_err(|_| Refused::of(Kind::Ticket, Fault::NotCompact))
    }
    /// Checks all three down from the operator's key.
    ///
    /// # Errors
    /// `ticket_…`, `cert_…` and `request_…` codes.
    pub fn verify(text: &str, operator: &VerifyingKey, aud: &str, moment: Moment) -> Result<Self, Refused> {
        let [request, delegation, carrier] = Self::split(text)?;
        let carrier_cert = Cert::verify(carrier, operator, Role::Carrier, aud, moment)?;
        let delegation_cert = Cert::verify(delegation, &carrier_cert.claims().key, Role::Delegation, aud, moment)?;
        let request = Request::verify(request, &delegation_cert, aud, moment)?;
        Ok(Self { request, delegation_cert, carrier_cert })
    }
}
