//! What a keyholder records, field by field: the contract between whoever writes the log and whoever reads a case.
//!
//! These are the kinds that a case bundle can hold; the log has more, which concern no delivery.
//!
//! An [`Entry`] becomes a list of named texts ([`Entry::fields`]), each of which the log salts and commits to by itself;
//! a reader who was given openings gets the entry back ([`Entry::read`]). Names and order are fixed here.

use parcelshelf_core::actuation::{LockProof, Refusal};
use parcelshelf_core::id::{AccessPointId, AttemptId, DeliveryId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_log::record::{self, Built, ChainHead, NotARecord, RecordBuilder};

use crate::encoding::{Hash, Thumbprint};
use crate::refused::{Fault, Kind, Refused};

/// What became of one command, as recorded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CommandOutcome {
    /// The car showed that it opened, or the maker said so.
    Opened,
    /// It did not happen and cannot happen any more.
    DidNotHappen(Refusal),
    /// It may have happened. Counts as spent.
    Unknown,
}
impl CommandOutcome {
    /// `opened`, `unknown`, or `did_not_happen:` and the refusal's code.
    #[must_use]
    pub fn code(self) -> String {
        match self {
            Self::Opened => String::from("opened"),
            Self::Unknown => String::from("unknown"),
            Self::DidNotHappen(refusal) => format!("did_not_happen:{}", refusal.code()),
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        match code {
            "opened" => Some(Self::Opened),
            "unknown" => Some(Self::Unknown),
            other => Refusal::parse(other.strip_prefix("did_not_happen:")?).map(Self::DidNotHappen),
        }
    }
}

macro_rules! events {
    ($($(#[$doc:meta])+ $variant:ident = $kind:literal { $($(#[$fdoc:meta])* $field:ident: $ty:ty),+ $(,)? }),+ $(,)?) => {
        /// Something that happened.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])+ $variant { $($(#[$fdoc])* $field: $ty),+ }),+
        }
        impl Event {
            /// All kinds, as the field `kind` spells them.
            pub const KINDS: &'static [&'static str] = &[$($kind),+];
            /// The field `kind`.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $kind),+ }
            }
            /// Names of the event's own fields, in their order; `None` for a kind that is not in a bundle.
            #[must_use]
            pub fn field_names(kind: &str) -> Option<Vec<&'static str>> {
                match kind {
                    $($kind => Some(vec![$(stringify!($field)),+]),)+
                    _ => None,
                }
            }
            fn own_fields(&self) -> Vec<(&'static str, String)> {
                match self {
                    $(Self::$variant { $($field),+ } => vec![$((stringify!($field), $field.write())),+]),+
                }
            }
            fn read(kind: &str, fields: &mut Fields<'_>) -> Option<Self> {
                match kind {
                    $($kind => Some(Self::$variant { $($field: Text::read(fields.next(stringify!($field))?)?),+ }),)+
                    _ => None,
                }
            }
        }
    };
}

events! {
    /// The keyholder's keys were published.
    KeyAdded = "key_added" {
        /// SHA-256 of the `psh-keys+jwt`.
        keys: Hash,
    },
    /// The operator admitted a carrier.
    CarrierAdmitted = "carrier_admitted" {
        /// Thumbprint of the carrier's root.
        carrier: Thumbprint,
        /// SHA-256 of its certificate.
        cert: Hash,
    },
    /// A depot enrolled a courier's device.
    DeviceEnrolled = "device_enrolled" {
        device: Thumbprint,
        /// SHA-256 of its certificate.
        cert: Hash,
        /// SHA-256 of the depot's.
        depot_cert: Hash,
    },
    /// A wallet got a passkey.
    PasskeyAdded = "passkey_added" {
        /// Thumbprint of the passkey's key.
        key: Thumbprint,
        /// SHA-256 of the statement's bytes.
        statement: Hash,
        /// SHA-256 of the assertion that confirmed it ([`Assertion::to_json`](crate::webauthn::Assertion::to_json)).
        assertion: Hash,
    },
    /// An owner's grant was accepted.
    GrantAccepted = "grant_accepted" {
        /// SHA-256 of link 0.
        grant: Hash,
        /// SHA-256 of the assertion that confirmed it.
        assertion: Hash,
        delivery: DeliveryId,
        access_point: AccessPointId,
    },
    /// A carrier's delegation was accepted.
    DelegationAccepted = "delegation_accepted" {
        /// SHA-256 of link 1.
        delegation: Hash,
        /// SHA-256 of the certificate of the key that signed it.
        cert: Hash,
        delivery: DeliveryId,
        device: Thumbprint,
    },
    /// A carrier asked whether the car is ready; reasons are not recorded.
    ReadyAsked = "ready_asked" {
        delivery: DeliveryId,
        /// `evening`, `window_start` or `ten_minutes`.
        slot: Word,
        /// `yes`, `no` or `later`.
        answer: Word,
    },
    /// The place went to a device.
    PlaceDisclosed = "place_disclosed" {
        delivery: DeliveryId,
        /// SHA-256 of the proof that asked.
        proof: Hash,
    },
    /// Plate and picture went to a device.
    Described = "described" {
        delivery: DeliveryId,
        proof: Hash,
    },
    /// The car was asked to show itself.
    Signalled = "signalled" {
        delivery: DeliveryId,
        proof: Hash,
    },
    /// A new proof of the same device joined an attempt that lives; no command was sent for it.
    Joined = "joined" {
        delivery: DeliveryId,
        attempt: AttemptId,
        proof: Hash,
    },
    /// A command to open is about to leave.
    OpenIntended = "open_intended" {
        delivery: DeliveryId,
        attempt: AttemptId,
        /// Counts the commands of one attempt from 1.
        command: u32,
        proof: Hash,
    },
    /// What became of that command.
    Outcome = "outcome" {
        delivery: DeliveryId,
        attempt: AttemptId,
        command: u32,
        outcome: CommandOutcome,
    },
    /// A command to lock is about to leave.
    LockIntended = "lock_intended" {
        delivery: DeliveryId,
        attempt: AttemptId,
        /// Counts the lock commands of one attempt from 1.
        command: u32,
    },
    /// How it is known that it is locked again.
    Locked = "locked" {
        delivery: DeliveryId,
        attempt: AttemptId,
        lock_proof: LockProof,
    },
    /// Something needs a person.
    Alarm = "alarm" {
        delivery: DeliveryId,
        attempt: AttemptId,
        /// A code.
        reason: Word,
    },
    /// The owner has seen the alarm.
    AlarmAcknowledged = "alarm_acknowledged" {
        delivery: DeliveryId,
        attempt: AttemptId,
    },
    /// The owner blocked something.
    Blocked = "blocked" {
        /// `delivery`, `carrier` or `all`.
        scope: Word,
    },
    /// The owner lifted a block.
    Unblocked = "unblocked" {
        scope: Word,
    },
    /// Someone of the operator's staff looked at something.
    StaffAccess = "staff_access" {
        what: Word,
    },
}

impl Event {
    /// The delivery it is about, if it is about one.
    #[must_use]
    pub const fn delivery(&self) -> Option<DeliveryId> {
        match self {
            Self::GrantAccepted { delivery, .. }
            | Self::DelegationAccepted { delivery, .. }
            | Self::ReadyAsked { delivery, .. }
            | Self::PlaceDisclosed { delivery, .. }
            | Self::Described { delivery, .. }
            | Self::OpenIntended { delivery, .. }
            | Self::Outcome { delivery, .. }
            | Self::Locked { delivery, .. }
            | Self::Joined { delivery, .. }
            | Self::LockIntended { delivery, .. }
            | Self::Signalled { delivery, .. }
            | Self::AlarmAcknowledged { delivery, .. }
            | Self::Alarm { delivery, .. } => Some(*delivery),
            _ => None,
        }
    }
}

/// An event and when it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub at: Timestamp,
    pub event: Event,
}
impl Entry {
    /// The fields in their order: `kind`, `at` (RFC 3339, UTC, milliseconds), then the event's own.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("kind", self.event.kind().to_owned()), ("at", self.at.write())];
        fields.extend(self.event.own_fields());
        fields
    }
    /// Builds the record: [`Entry::fields`], then for a record of an access point's chain `chain_seq` and `chain_prev`.
    /// `seed` is drawn for this record and never disclosed.
    ///
    /// # Errors
    /// None for entries of this module's kinds, all of which the log knows; the builder's own otherwise.
    pub fn build(&self, seed: [u8; 32], chain: Option<&ChainHead>) -> Result<Built, NotARecord> {
        let kind = record::Kind::parse(self.event.kind()).ok_or(NotARecord::Bounds)?;
        let builder = self
            .fields()
            .into_iter()
            .skip(1)
            .fold(RecordBuilder::new(kind, seed), |b, (name, value)| b.field(name, value));
        chain.map_or(builder.clone(), |head| head.onto(builder)).build()
    }
    /// Reads exactly the fields of [`Entry::fields`], in that order.
    ///
    /// # Errors
    /// `bundle_wrong_member` for anything else.
    pub fn read(fields: &[(&str, &str)]) -> Result<Self, Refused> {
        Self::try_read(fields).ok_or(Refused::of(Kind::Bundle, Fault::WrongMember))
    }
    fn try_read(fields: &[(&str, &str)]) -> Option<Self> {
        let mut fields = Fields(fields);
        let kind = fields.next("kind")?;
        let at = Timestamp::read(fields.next("at")?)?;
        let entry = Self { at, event: Event::read(kind, &mut fields)? };
        fields.0.is_empty().then_some(entry)
    }
}

struct Fields<'a>(&'a [(&'a str, &'a str)]);
impl<'a> Fields<'a> {
    fn next(&mut self, name: &str) -> Option<&'a str> {
        let ((n, value), rest) = self.0.split_first()?;
        self.0 = rest;
        (*n == name).then_some(*value)
    }
}

/// A code of lower-case letters, digits, `_` and `:`, 1 to 64 characters.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Word(String);
impl Word {
    /// `None` for any other text.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b':'));
        fits.then(|| Self(text.to_owned()))
    }
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A value with one spelling.
trait Text: Sized {
    fn write(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}
macro_rules! by_display {
    ($($ty:ty => $read:expr),+ $(,)?) => {$(
        impl Text for $ty {
            fn write(&self) -> String { self.to_string() }
            fn read(text: &str) -> Option<Self> { $read(text) }
        }
    )+};
}
by_display! {
    Hash => Hash::parse,
    Thumbprint => Thumbprint::parse,
    DeliveryId => |t| DeliveryId::parse(t).ok(),
    AttemptId => |t| AttemptId::parse(t).ok(),
    AccessPointId => |t| AccessPointId::parse(t).ok(),
}
macro_rules! by_code {
    ($($ty:ty),+) => {$(
        impl Text for $ty {
            fn write(&self) -> String { String::from(self.code()) }
            fn read(text: &str) -> Option<Self> { Self::parse(text) }
        }
    )+};
}
by_code!(CommandOutcome, LockProof);
impl Text for Word {
    fn write(&self) -> String {
        self.0.clone()
    }
    fn read(text: &str) -> Option<Self> {
        Self::new(text)
    }
}
impl Text for u32 {
    fn write(&self) -> String {
        self.to_string()
    }
    fn read(text: &str) -> Option<Self> {
        let n: Self = text.parse().ok()?;
        (n.to_string() == text).then_some(n)
    }
}
impl Text for Timestamp {
    fn write(&self) -> String {
        self.to_rfc3339()
    }
    fn read(text: &str) -> Option<Self> {
        let t = Self::parse_rfc3339(text).ok()?;
        (t.to_rfc3339() == text).then_some(t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_knows_every_kind() {
        for kind in Event::KINDS {
            assert!(record::Kind::parse(kind).is_some(), "{kind}");
        }
    }

    #[test]
    fn an_entry_is_read_as_it_was_written_and_in_no_other_way() {
        let entry = Entry {
            at: Timestamp::from_unix_millis(1_795_446_000_123),
            event: Event::Outcome {
                delivery: DeliveryId::from_bytes([1; 16]),
                attempt: AttemptId::from_bytes([2; 16]),
                command: 1,
                outcome: CommandOutcome::DidNotHappen(Refusal::WindowPassed),
            },
        };
        let fields = entry.fields();
        let texts: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        assert_eq!(Entry::read(&texts).as_ref(), Ok(&entry));
        for at in 0..texts.len() {
            let mut without = texts.clone();
            without.remove(at);
            assert!(Entry::read(&without).is_err(), "without {}", texts[at].0);
            let mut swapped = texts.clone();
            swapped.swap(at, (at + 1) % texts.len());
            assert!(Entry::read(&swapped).is_err());
        }
        for (name, value) in
            [("command", "01"), ("command", "+1"), ("at", "2026-11-23T16:00:00.123+01:00"), ("kind", "x")]
        {
            let other: Vec<(&str, &str)> =
                texts.iter().map(|(n, v)| if *n == name { (*n, value) } else { (*n, *v) }).collect();
            assert!(Entry::read(&other).is_err(), "{name}: {value}");
        }
    }
}
