//! Records: ordered lists of individually salted fields.
//!
//! The bytes of a record hold commitments only. Who may read a field gets its [`Opening`]: name, salt, value. Erasing
//! salts and values leaves the log valid and the record meaningless.
//!
//! ```text
//! commitment = SHA-256("psh-field-v1" ‖ 0x00 ‖ u16be(len(name)) ‖ name ‖ salt[32] ‖ value)
//! bytes      = {"v":1,"fields":[["<name>","<commitment, 43 characters of base64url>"],…]}   without white space
//! entry      = SHA-256("psh-record-v1" ‖ 0x00 ‖ bytes)                                       32 bytes, the log's entry
//! salt       = SHA-256("psh-salt-v1" ‖ 0x00 ‖ seed[32] ‖ name)                               the seed is never disclosed
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::{Hash, sha256};

/// Most fields of a record.
pub const FIELDS_MAX: usize = 32;
/// Longest name of a field.
pub const NAME_BYTES_MAX: usize = 32;
/// Longest value of a field.
pub const VALUE_BYTES_MAX: usize = 16 * 1024;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $code:literal),+ $(,)?) => {
        /// What a record tells of.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Kind { $($(#[$doc])* $variant),+ }
        impl Kind {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The value of the field `kind`.
            #[must_use]
            pub const fn code(self) -> &'static str { match self { $(Self::$variant => $code),+ } }
            #[must_use]
            pub fn parse(code: &str) -> Option<Self> { Self::ALL.iter().copied().find(|k| k.code() == code) }
        }
    };
}

kinds! {
    /// One of the keyholder's own keys.
    KeyAdded = "key_added",
    KeyReplaced = "key_replaced",
    KeyRemoved = "key_removed",
    CarrierAdmitted = "carrier_admitted",
    /// With everything below its root.
    CarrierRemoved = "carrier_removed",
    /// One of its delegation keys or depots, with everything below it.
    KeyRevoked = "key_revoked",
    /// The brake: nothing is located or opened for it.
    CarrierStopped = "carrier_stopped",
    /// One of two people has said that it may go on.
    CarrierReleaseSaid = "carrier_release_said",
    CarrierReleased = "carrier_released",
    DeviceEnrolled = "device_enrolled",
    WalletCreated = "wallet_created",
    PasskeyAdded = "passkey_added",
    VehicleLinked = "vehicle_linked",
    VehicleUnlinked = "vehicle_unlinked",
    PossessionProved = "possession_proved",
    /// Who had linked a car before was told of another wallet; also where there was nobody to tell.
    LinkTold = "link_told",
    LinkConfirmed = "link_confirmed",
    LinkRefused = "link_refused",
    /// An owner was told the cells around where their own car stands.
    AreaShown = "area_shown",
    Consented = "consented",
    /// Somebody who proved possession of a car has stopped everything for it.
    OccupantStopped = "occupant_stopped",
    OccupantLifted = "occupant_lifted",
    /// One of the wallets that share a car or a door has stopped everything there.
    Halted = "halted",
    /// Another one asks for the end of that.
    HaltLiftAsked = "halt_lift_asked",
    /// Whoever stopped wants it to stay.
    HaltKept = "halt_kept",
    HaltLifted = "halt_lifted",
    /// A standing rule; each delivery under it has its own `grant_accepted`.
    RuleAccepted = "rule_accepted",
    RuleEnded = "rule_ended",
    GrantAccepted = "grant_accepted",
    DelegationAccepted = "delegation_accepted",
    Blocked = "blocked",
    Unblocked = "unblocked",
    ReadyAsked = "ready_asked",
    PlaceDisclosed = "place_disclosed",
    Described = "described",
    Signalled = "signalled",
    /// Durable before the command leaves.
    OpenIntended = "open_intended",
    Outcome = "outcome",
    Joined = "joined",
    LockIntended = "lock_intended",
    Locked = "locked",
    Alarm = "alarm",
    AlarmAcknowledged = "alarm_acknowledged",
    StaffAccess = "staff_access",
    Erased = "erased",
    /// Which files a page host shows from here on.
    PagesServed = "pages_served",
}

/// Why bytes are not a record, or an opening does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotARecord {
    #[error("a record is written in one way only")]
    NotCanonical,
    #[error("names are 1 to 32 of a to z and _, each once; at most 32 fields; values at most 16 KiB")]
    Bounds,
    #[error("the opening does not match the commitment")]
    WrongOpening,
    #[error("the record has no such field")]
    NoSuchField,
}

/// Lets its holder read one field.
#[derive(Clone, PartialEq, Eq)]
pub struct Opening {
    pub name: String,
    pub salt: Hash,
    pub value: String,
}
impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opening({}, <redacted>)", self.name)
    }
}
impl Opening {
    #[must_use]
    pub fn commitment(&self) -> Hash {
        let length = u16::try_from(self.name.len()).unwrap_or(u16::MAX).to_be_bytes();
        sha256(&[b"psh-field-v1\0", &length, self.name.as_bytes(), &self.salt, self.value.as_bytes()])
    }
}

/// A record: its exact bytes, parsed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    bytes: Vec<u8>,
    fields: Vec<(String, Hash)>,
}

/// A fresh record with all its openings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Built {
    pub record: Record,
    pub openings: Vec<Opening>,
}

/// Collects the fields of a record.
#[derive(Debug, Clone)]
pub struct RecordBuilder {
    seed: Hash,
    fields: Vec<(String, String)>,
}

impl RecordBuilder {
    /// `seed`: 32 random bytes, drawn for this record and never disclosed; each field's salt is derived from it.
    #[must_use]
    pub fn new(kind: Kind, seed: Hash) -> Self {
        Self { seed, fields: vec![(String::from("kind"), String::from(kind.code()))] }
    }
    #[must_use]
    pub fn field(mut self, name: &str, value: impl ToString) -> Self {
        self.fields.push((name.to_owned(), value.to_string()));
        self
    }
    #[must_use]
    pub fn field_if_any(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }
    /// # Errors
    /// [`NotARecord::Bounds`].
    pub fn build(self) -> Result<Built, NotARecord> {
        let openings: Vec<Opening> = self
            .fields
            .into_iter()
            .map(|(name, value)| {
                let salt = sha256(&[b"psh-salt-v1\0", &self.seed, name.as_bytes()]);
                Opening { name, salt, value }
            })
            .collect();
        let fields: Vec<(String, Hash)> = openings.iter().map(|o| (o.name.clone(), o.commitment())).collect();
        if openings.iter().any(|o| o.value.len() > VALUE_BYTES_MAX) {
            return Err(NotARecord::Bounds);
        }
        check(&fields)?;
        Ok(Built { record: Record { bytes: encode(&fields), fields }, openings })
    }
}

fn check(fields: &[(String, Hash)]) -> Result<(), NotARecord> {
    let good_name =
        |n: &str| (1..=NAME_BYTES_MAX).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let distinct = (1..fields.len()).all(|i| fields[..i].iter().all(|(n, _)| *n != fields[i].0));
    if fields.is_empty() || fields.len() > FIELDS_MAX || !distinct || !fields.iter().all(|(n, _)| good_name(n)) {
        return Err(NotARecord::Bounds);
    }
    Ok(())
}

fn encode(fields: &[(String, Hash)]) -> Vec<u8> {
    let all: Vec<String> =
        fields.iter().map(|(name, hash)| format!("[\"{name}\",\"{}\"]", URL_SAFE_NO_PAD.encode(hash))).collect();
    format!("{{\"v\":1,\"fields\":[{}]}}", all.join(",")).into_bytes()
}

impl Record {
    /// Reads the one encoding.
    ///
    /// # Errors
    /// [`NotARecord`] for any other bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotARecord> {
        let parsed: serde_json::Value = serde_json::from_slice(bytes).map_err(|_| NotARecord::NotCanonical)?;
        let list = parsed["fields"].as_array().ok_or(NotARecord::NotCanonical)?;
        let mut fields = Vec::with_capacity(list.len().min(FIELDS_MAX));
        for field in list.iter().take(FIELDS_MAX + 1) {
            let name = field[0].as_str().ok_or(NotARecord::NotCanonical)?;
            let hash = field[1].as_str().and_then(|h| URL_SAFE_NO_PAD.decode(h).ok()).and_then(|h| h.try_into().ok());
            fields.push((name.to_owned(), hash.ok_or(NotARecord::NotCanonical)?));
        }
        check(&fields)?;
        if encode(&fields) != bytes {
            return Err(NotARecord::NotCanonical);
        }
        Ok(Self { bytes: bytes.to_vec(), fields })
    }
    /// What is stored and hashed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// The log's entry.
    #[must_use]
    pub fn entry(&self) -> Hash {
        sha256(&[b"psh-record-v1\0", &self.bytes])
    }
    /// What the next record of the chain names as `chain_prev`.
    #[must_use]
    pub fn chain_hash(&self) -> Hash {
        sha256(&[&self.bytes])
    }
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.fields.iter().map(|(n, _)| n.as_str()).collect()
    }
    /// Checks that an opening is of this record.
    ///
    /// # Errors
    /// [`NotARecord::NoSuchField`], [`NotARecord::WrongOpening`].
    pub fn check(&self, opening: &Opening) -> Result<(), NotARecord> {
        let (_, commitment) = self.fields.iter().find(|(n, _)| *n == opening.name).ok_or(NotARecord::NoSuchField)?;
        if *commitment == opening.commitment() { Ok(()) } else { Err(NotARecord::WrongOpening) }
    }
}

/// Where the chain of one wallet and access point stands. Its fields go into the next record as `chain_seq` and
/// `chain_prev`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChainHead {
    /// Number of records so far.
    pub seq: u64,
    /// Of the last record; zeros before the first.
    pub hash: Hash,
}
impl ChainHead {
    /// The head after this record.
    #[must_use]
    pub fn after(&self, record: &Record) -> Self {
        Self { seq: self.seq + 1, hash: record.chain_hash() }
    }
    /// Puts the place in the chain into a record.
    #[must_use]
    pub fn onto(&self, record: RecordBuilder) -> RecordBuilder {
        record.field("chain_seq", self.seq).field("chain_prev", URL_SAFE_NO_PAD.encode(self.hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built() -> Built {
        let builder = RecordBuilder::new(Kind::OpenIntended, [3; 32]).field("attempt", "a").field("command", 1);
        ChainHead::default().onto(builder).build().unwrap()
    }

    #[test]
    fn a_record_has_one_encoding() {
        let Built { record, openings } = built();
        assert_eq!(Record::parse(record.bytes()), Ok(record.clone()));
        for opening in &openings {
            assert_eq!(record.check(opening), Ok(()));
        }
        for at in 0..record.bytes().len() {
            for bit in 0..8 {
                let mut bytes = record.bytes().to_vec();
                bytes[at] ^= 1 << bit;
                match Record::parse(&bytes) {
                    Err(_) => {}
                    Ok(other) => assert_ne!(other.entry(), record.entry(), "byte {at}, bit {bit}"),
                }
            }
        }
    }

    #[test]
    fn an_opening_fits_its_own_field_only() {
        let Built { record, openings } = built();
        let mut other = openings[1].clone();
        other.value.push('x');
        assert_eq!(record.check(&other), Err(NotARecord::WrongOpening));
        let mut renamed = openings[1].clone();
        renamed.name = String::from("command");
        assert_eq!(record.check(&renamed), Err(NotARecord::WrongOpening));
        renamed.name = String::from("nothing");
        assert_eq!(record.check(&renamed), Err(NotARecord::NoSuchField));
    }

    #[test]
    fn names_are_bounded_and_distinct() {
        for name in ["kind", "", "Upper", "with space"] {
            let builder = RecordBuilder::new(Kind::Alarm, [0; 32]).field(name, "x");
            assert_eq!(builder.build(), Err(NotARecord::Bounds), "{name:?}");
        }
    }

    #[test]
    fn a_value_has_sixteen_kibibytes_at_most_and_is_not_printed() {
        for (bytes, fits) in [(VALUE_BYTES_MAX, true), (VALUE_BYTES_MAX + 1, false), (VALUE_BYTES_MAX + 2, false)] {
            let builder = RecordBuilder::new(Kind::Alarm, [0; 32]).field("reason", "x".repeat(bytes));
            assert_eq!(builder.build().is_ok(), fits, "{bytes}");
        }
        assert_eq!(format!("{:?}", built().openings[1]), "Opening(attempt, <redacted>)");
    }

    #[test]
    fn the_same_value_has_another_commitment_in_another_record() {
        let one = RecordBuilder::new(Kind::Alarm, [1; 32]).build().unwrap();
        let two = RecordBuilder::new(Kind::Alarm, [2; 32]).build().unwrap();
        assert_ne!(one.record.entry(), two.record.entry());
    }
}
