//! What is inside sealed boxes. None of these prints.

use core::fmt;

use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::area::Position;
use parcelshelf_core::id::VehicleId;
use parcelshelf_core::time::Timestamp;

use crate::encoding::{Hash, b64, domain_hash};
use crate::json::{self, Members, Object, Value};
use crate::refused::{Fault, Kind, Refused};
use crate::seal::{Purpose, SealPublicKey};
use crate::text::token;

macro_rules! silent {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(concat!(stringify!($name), "(<redacted>)")) }
        }
    )+};
}
silent!(Place, PhotoKey, Phone, Rule, Description, Occupant, GuestName, ForGuest, Picture);

/// Where a car stands, and what it looks like from afar.
#[derive(Clone, PartialEq)]
pub struct Place {
    pub position: Position,
    /// When the position was taken, if the maker says.
    pub taken_at: Option<Timestamp>,
    /// When the maker was asked.
    pub read_at: Timestamp,
    pub colour: Option<String>,
    pub model: Option<String>,
    pub class: AccessClass,
    /// The wallet's key for this grant: what the courier photographs is sealed to it.
    pub seal: SealPublicKey,
}
impl Place {
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        position_to(Object::new(), &self.position)
            .nullable("taken_at", self.taken_at)
            .text("read_at", self.read_at)
            .nullable("colour", self.colour.as_ref())
            .nullable("model", self.model.as_ref())
            .text("class", self.class.code())
            .text("seal", &self.seal)
            .end()
            .into_bytes()
    }
    /// # Errors
    /// `content_…` codes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let mut m = json::parse(Kind::Content, bytes)?;
        let place = Self {
            position: position_from(&mut m)?,
            taken_at: m.nullable("taken_at", |t| Timestamp::parse_rfc3339(t).ok())?,
            read_at: m.parsed("read_at", |t| Timestamp::parse_rfc3339(t).ok())?,
            colour: m.nullable("colour", |t| words(t, 64))?,
            model: m.nullable("model", |t| words(t, 64))?,
            class: m.parsed("class", AccessClass::parse)?,
            seal: m.parsed("seal", SealPublicKey::parse)?,
        };
        m.end()?;
        Ok(place)
    }
}

/// What the courier photographs at something that is not located is sealed to this: with a car's place the key comes in
/// [`Place`].
#[derive(Clone, PartialEq)]
pub struct PhotoKey {
    /// The wallet's key for this grant.
    pub seal: SealPublicKey,
}
impl PhotoKey {
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Object::new().text("seal", &self.seal).end().into_bytes()
    }
    /// # Errors
    /// `content_…` codes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let mut m = json::parse(Kind::Content, bytes)?;
        let key = Self { seal: m.parsed("seal", SealPublicKey::parse)? };
        m.end()?;
        Ok(key)
    }
}

/// One picture of a recording: when it was asked for, in milliseconds since 1970 as eight bytes, most significant first, and
/// then the picture as the camera gave it, a JPEG or a PNG.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Between 1970 and 9999.
    pub at: Timestamp,
    pub bytes: Vec<u8>,
}
impl Picture {
    /// Most bytes of a picture.
    pub const BYTES_MAX: usize = Purpose::Recording.content_max() - 8;
    /// Whether these bytes begin as one of the two kinds that there are.
    #[must_use]
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(&[0xff, 0xd8, 0xff]) || bytes.starts_with(b"\x89PNG\r\n\x1a\n")
    }
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.at.unix_millis().to_be_bytes()[..], &self.bytes].concat()
    }
    /// # Errors
    /// `content_…` codes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let wrong = Refused::of(Kind::Content, Fault::WrongMember);
        let (at, bytes) = bytes.split_first_chunk::<8>().ok_or(wrong)?;
        let ms = i64::from_be_bytes(*at);
        if !(0..=Timestamp::MAX.unix_millis()).contains(&ms) || !Self::begins(bytes) || bytes.len() > Self::BYTES_MAX {
            return Err(wrong);
        }
        Ok(Self { at: Timestamp::from_unix_millis(ms), bytes: bytes.to_vec() })
    }
}

/// Where a phone is, with the nonce of the proof it came with.
#[derive(Clone, PartialEq)]
pub struct Phone {
    pub position: Position,
    pub nonce: String,
}
impl Phone {
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        position_to(Object::new(), &self.position).text("nonce", &self.nonce).end().into_bytes()
    }
    /// # Errors
    /// `content_…` codes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let mut m = json::parse(Kind::Content, bytes)?;
        let phone = Self { position: position_from(&mut m)?, nonce: token(&mut m, "nonce", 128)? };
        m.end()?;
        Ok(phone)
    }
}

/// Which car somebody without account sits in. Read on the windscreen.
#[derive(Clone, PartialEq, Eq)]
pub struct Occupant {
    pub vin: String,
}
impl Occupant {
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Object::new().text("vin", &self.vin).end().into_bytes()
    }
    /// # Errors
    /// `content_…` codes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let mut m = json::parse(Kind::Content, bytes)?;
        let said = Self { vin: token(&mut m, "vin", 32)? };
        m.end()?;
        Ok(said)
    }
}

/// How an owner calls a guest: shown to the owner's devices and to nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct GuestName {
    /// 1 to 64 bytes.
    pub name: String,
}
impl GuestName {
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Object::new().text("name", &self.name).end().into_bytes()
    }
    /// # Errors
    /// `content_…` codes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let mut m = json::parse(Kind::Content, bytes)?;
        let said = Self { name: m.text("name", 1..=64)? };
        m.end()?;
        Ok(said)
    }
}

/// What an owner has signed for a guest's device: its last link.
#[derive(Clone, PartialEq, Eq)]
pub struct ForGuest {
    /// Link 0. Whoever reads it checks that it names the own device.
    pub grant: String,
}
impl ForGuest {
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Object::new().text("grant", &self.grant).end().into_bytes()
    }
    /// # Errors
    /// `content_…` codes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let mut m = json::parse(Kind::Content, bytes)?;
        let told = Self { grant: m.text("grant", 1..=crate::jws::JWS_MAX)? };
        m.end()?;
        Ok(told)
    }
}

/// Which cars a grant is for, in order; under a commitment in the grant, disclosed to the keyholder only.
#[derive(Clone, PartialEq, Eq)]
pub struct Rule {
    /// 128 random bits, so that nobody can try cars.
    pub salt: [u8; 16],
    /// One to three.
    pub vehicles: Vec<VehicleId>,
}
impl Rule {
    /// The one spelling, over which the commitment is made. `place` is reserved for finer places and always `null`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Object::new()
            .text("salt", b64(self.salt))
            .texts("vehicles", &self.vehicles)
            .raw("place", "null")
            .end()
            .into_bytes()
    }
    /// `H("psh-rule-v1", bytes)`.
    #[must_use]
    pub fn commitment(&self) -> Hash {
        domain_hash("psh-rule-v1", &[&self.to_bytes()])
    }
    /// # Errors
    /// `content_…` codes; also for another spelling than [`Rule::to_bytes`]'s.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let mut m = json::parse(Kind::Content, bytes)?;
        let rule =
            Self { salt: m.bytes_of("salt")?, vehicles: m.list("vehicles", 1..=3, |t| VehicleId::parse(t).ok())? };
        if m.take("place") != Some(Value::Null) || rule.to_bytes() != bytes {
            return Err(m.wrong());
        }
        m.end()?;
        Ok(rule)
    }
}

/// How a car is recognised and opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Description {
    pub plate: String,
    pub colour: String,
    pub model: String,
    /// A few words: "hand under the tailgate's handle".
    pub opens_how: String,
    pub notes: String,
    /// The car films around itself.
    pub records_video: bool,
}
impl Description {
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Object::new()
            .text("plate", &self.plate)
            .text("colour", &self.colour)
            .text("model", &self.model)
            .text("opens_how", &self.opens_how)
            .text("notes", &self.notes)
            .bool("records_video", self.records_video)
            .end()
            .into_bytes()
    }
    /// # Errors
    /// `content_…` codes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let mut m = json::parse(Kind::Content, bytes)?;
        let d = Self {
            plate: m.text("plate", 1..=16)?,
            colour: m.text("colour", 1..=64)?,
            model: m.text("model", 1..=64)?,
            opens_how: m.text("opens_how", 0..=256)?,
            notes: m.text("notes", 0..=1024)?,
            records_video: m.bool("records_video")?,
        };
        m.end()?;
        Ok(d)
    }
}

fn words(text: &str, max: usize) -> Option<String> {
    (!text.is_empty() && text.len() <= max && json::is_plain(text)).then(|| text.to_owned())
}
fn position_to(o: Object, p: &Position) -> Object {
    let number = |v: f64| serde_json::Value::from(v).to_string();
    o.raw("lat", &number(p.latitude_deg()))
        .raw("lng", &number(p.longitude_deg()))
        .raw("accuracy_m", &number(p.accuracy_m()))
}
fn position_from(m: &mut Members) -> Result<Position, Refused> {
    let (lat, lng, accuracy) = (m.float("lat")?, m.float("lng")?, m.float("accuracy_m")?);
    Position::new(lat, lng, accuracy).map_err(|_| m.wrong())
}
