//! A case bundle: everything that proves how one delivery went, in one file that anyone can check offline.
//!
//! One canonical encoding: compact JSON with members in a fixed order. Nothing in it is unbound: every byte is covered by
//! a signature, a commitment or a hash that is checked, so that no byte can change. What a carrier signed is there exactly
//! where one took part.
//! The format and the order of checks are those of `docs/protocol/bundle.md`.
//!
//! The owner exports it; [`verify`] tells what it proves, and under which [`Anchors`]: whoever reads a case must decide
//! whether these are the keyholder and the operator he knows.

mod check;
mod form;
mod verdict;

use core::fmt;

use parcelshelf_log::record::{Opening, Record};

use crate::encoding::Hash;
use crate::jws::VerifyingKey;
use crate::keys::KeysClaims;
use crate::records::Event;
use crate::refused::Refused;
use crate::webauthn::Assertion;

pub use self::check::verify;
pub use self::verdict::{By, Moment, Standing, Verdict};

/// Most bytes of a bundle: what one sealed box holds.
pub const BUNDLE_MAX: usize = crate::seal::Purpose::Bundle.content_max();
/// Most records.
pub const RECORDS_MAX: usize = 128;
/// Most delegations, proofs, devices, passkeys each.
pub const MESSAGES_MAX: usize = 16;

/// What a verdict rests on: whose keyholder, whose log, whose operator, whose wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchors {
    pub aud: String,
    /// The log's verifier key, `NAME+HASH+KEY`.
    pub log: String,
    pub operator: VerifyingKey,
    pub rp_id: String,
    pub wallet_origin: String,
}
impl Anchors {
    /// As a keyholder publishes them of itself; whose operator it is, only whoever judges can know.
    #[must_use]
    pub fn published(keys: &KeysClaims, operator: &VerifyingKey) -> Self {
        Self {
            aud: keys.iss.clone(),
            log: keys.log.clone(),
            operator: operator.clone(),
            rp_id: keys.rp_id.clone(),
            wallet_origin: keys.wallet_origin.clone(),
        }
    }
}

/// A courier's device: its certificate and the depot's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEvidence {
    pub depot_cert: String,
    pub device_cert: String,
}

/// How a passkey came to be the wallet's: the exact bytes of a statement of type `wallet` or `passkey`, and the assertion
/// that confirmed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyEvidence {
    pub statement: Vec<u8>,
    pub assertion: Assertion,
}

/// A record: its exact bytes, the fields that are shown, and the proof that the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordEvidence {
    pub bytes: Vec<u8>,
    /// In the order of the record's fields: none but the chain's for a record of another delivery.
    pub openings: Vec<Opening>,
    pub index: u64,
    /// RFC 6962 audit path from the leaf to the root of the bundle's checkpoint.
    pub inclusion: Vec<Hash>,
}
impl RecordEvidence {
    /// Evidence of a record, with those of `openings` that a bundle shows: for a record of the case the fields of its
    /// [`Event`], for another only its place in the chain.
    ///
    /// `chained`: the record is shown as part of the access point's chain, with `chain_seq` and `chain_prev`.
    #[must_use]
    pub fn select(
        record: &Record,
        openings: &[Opening],
        of_this_case: bool,
        chained: bool,
        index: u64,
        inclusion: Vec<Hash>,
    ) -> Self {
        let shown = |o: &&Opening| match o.name.as_str() {
            "chain_seq" | "chain_prev" => chained,
            name => of_this_case && shown_of(openings).contains(&name),
        };
        let openings = openings.iter().filter(shown).cloned().collect();
        Self { bytes: record.bytes().to_vec(), openings, index, inclusion }
    }
}
/// The fields that a bundle shows of a record with these openings.
fn shown_of(openings: &[Opening]) -> Vec<&'static str> {
    let kind = openings.iter().find(|o| o.name == "kind").map_or("", |o| o.value.as_str());
    let mut names = vec!["kind", "at"];
    names.extend(Event::field_names(kind).unwrap_or_default());
    names
}

/// What is a carrier's in a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarrierEvidence {
    /// Of its root.
    pub cert: String,
    pub delegation_cert: String,
    /// One per delegation's device, in the order of first delegation.
    pub devices: Vec<DeviceEvidence>,
    pub request: String,
    /// In the order of their records.
    pub delegations: Vec<String>,
}

/// A case bundle, as exported.
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle {
    pub anchors: Anchors,
    /// The keyholder's `psh-keys+jwt`.
    pub keys: String,
    /// None where a guest's or the owner's own device acted.
    pub carrier: Option<CarrierEvidence>,
    /// From the wallet's first passkey to the one that confirmed the grant.
    pub passkeys: Vec<PasskeyEvidence>,
    pub grant: String,
    /// Of the grant.
    pub assertion: Assertion,
    pub accepted: String,
    /// In the order of the records that name them first.
    pub proofs: Vec<String>,
    /// First one of each key that the case rests on (keyholder's keys, carrier and devices if any, passkeys; in the order of
    /// the bundle), then the access point's chain from the acceptance of the grant on, without a gap.
    pub records: Vec<RecordEvidence>,
    /// The log's signed checkpoint.
    pub checkpoint: String,
}

impl Bundle {
    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        form::encode(self).into_bytes()
    }
    /// Reads the one encoding. Checks no signature: see [`verify`].
    ///
    /// # Errors
    /// `bundle_too_long`, `bundle_not_canonical`.
    pub fn parse_canonical(bytes: &[u8]) -> Result<Self, Refused> {
        form::parse(bytes)
    }
}
impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bundle({} records, <redacted>)", self.records.len())
    }
}
