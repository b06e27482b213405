//! One record of a log with the fields that somebody chose to show, and the [`PublicProof`] of its leaf.
//!
//! Each field is committed to by itself, so that "locked, observed, at five past three" can be shown without the delivery,
//! the attempt or anything else that the record says. One spelling, compact JSON:
//! `{"v":1,"record":"<b64>","openings":[{"name","salt","value"}…],"proof":"<text of the public proof>"}`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::cosign::WitnessVerifier;
use crate::note::LogVerifier;
use crate::proof::{NotProved, PROOF_BYTES_MAX, PublicProof, Shown};
use crate::record::{FIELDS_MAX, Opening, Record, VALUE_BYTES_MAX};
use crate::tree::leaf_hash;

/// Longest file: a record's commitments, its openings, each byte of a value escaped, and the proof.
pub const SHOWN_BYTES_MAX: usize = 8 * 1024 + FIELDS_MAX * 128 + 6 * VALUE_BYTES_MAX + 2 * PROOF_BYTES_MAX;

/// A record, some of its openings, and the proof that the log has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShownRecord {
    pub record: Record,
    /// In the order of the record's fields.
    pub openings: Vec<Opening>,
    pub proof: PublicProof,
}

/// Why a shown record shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotShown {
    #[error("this is not a shown record in its one spelling")]
    Form,
    #[error("an opening does not fit the record")]
    WrongOpening,
    #[error("the proof is of another leaf")]
    OtherLeaf,
    #[error(transparent)]
    Proof(#[from] NotProved),
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

impl ShownRecord {
    /// The one spelling.
    #[must_use]
    pub fn text(&self) -> String {
        let opening = |o: &Opening| {
            let salt = URL_SAFE_NO_PAD.encode(o.salt);
            format!("{{\"name\":{},\"salt\":\"{salt}\",\"value\":{}}}", quoted(&o.name), quoted(&o.value))
        };
        let openings: Vec<String> = self.openings.iter().map(opening).collect();
        let record = URL_SAFE_NO_PAD.encode(self.record.bytes());
        let proof = quoted(&self.proof.text());
        format!("{{\"v\":1,\"record\":\"{record}\",\"openings\":[{}],\"proof\":{proof}}}", openings.join(","))
    }

    /// Reads the one spelling; checks nothing yet.
    ///
    /// # Errors
    /// [`NotShown::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NotShown> {
        if bytes.len() > SHOWN_BYTES_MAX {
            return Err(NotShown::Form);
        }
        let json: Value = serde_json::from_slice(bytes).map_err(|_| NotShown::Form)?;
        let read = Self::read(&json).ok_or(NotShown::Form)?;
        // Whatever else was there (a member more, another order, white space) is not written again.
        if read.text().as_bytes() == bytes { Ok(read) } else { Err(NotShown::Form) }
    }
    fn read(json: &Value) -> Option<Self> {
        let record = Record::parse(&URL_SAFE_NO_PAD.decode(json["record"].as_str()?).ok()?).ok()?;
        let list = json["openings"].as_array().filter(|l| (1..=FIELDS_MAX).contains(&l.len()))?;
        let opening = |o: &Value| {
            let salt = URL_SAFE_NO_PAD.decode(o["salt"].as_str()?).ok()?.try_into().ok()?;
            Some(Opening { name: o["name"].as_str()?.to_owned(), salt, value: o["value"].as_str()?.to_owned() })
        };
        let openings = list.iter().map(opening).collect::<Option<_>>()?;
        Some(Self { record, openings, proof: PublicProof::parse(json["proof"].as_str()?.as_bytes()).ok()? })
    }

    /// Whether these fields stand in a record of this log, as a quorum of these witnesses has seen it.
    ///
    /// # Errors
    /// [`NotShown`].
    pub fn verify(&self, log: &LogVerifier, witnesses: &[WitnessVerifier], quorum: usize) -> Result<Shown, NotShown> {
        let names = self.record.names();
        let places: Vec<usize> = self.openings.iter().filter_map(|o| names.iter().position(|n| *n == o.name)).collect();
        let in_order = places.len() == self.openings.len() && places.is_sorted_by(|a, b| a < b);
        if !in_order || self.openings.iter().any(|o| self.record.check(o).is_err()) {
            return Err(NotShown::WrongOpening);
        }
        if leaf_hash(&self.record.entry()) != self.proof.leaf {
            return Err(NotShown::OtherLeaf);
        }
        Ok(self.proof.verify(log, witnesses, quorum)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::{Checkpoint, LogSigner};
    use crate::record::{Kind, RecordBuilder};

    fn shown(names: &[&str]) -> (ShownRecord, LogVerifier) {
        let built = RecordBuilder::new(Kind::Locked, [3; 32])
            .field("at", "2026-11-23T15:00:00.000Z")
            .field("delivery", "AAAAAAAAAAAAAAAAAAAAAA")
            .field("lock_proof", "observed")
            .build()
            .unwrap();
        let log = LogSigner::from_seed("gateway.example/log", &[9; 32]).unwrap();
        let leaf = leaf_hash(&built.record.entry());
        let note = log.sign(&Checkpoint { origin: "gateway.example/log".into(), size: 1, root: leaf }.text());
        let openings = built.openings.into_iter().filter(|o| names.contains(&o.name.as_str())).collect();
        let proof = PublicProof { leaf, index: 0, inclusion: Vec::new(), note };
        (ShownRecord { record: built.record, openings, proof }, log.verifier().clone())
    }

    #[test]
    fn some_fields_are_shown_and_the_others_are_not_in_the_file() {
        let (shown, log) = shown(&["kind", "lock_proof"]);
        let text = shown.text();
        assert_eq!(ShownRecord::parse(text.as_bytes()), Ok(shown.clone()));
        assert!(shown.verify(&log, &[], 0).is_ok());
        assert!(text.contains("observed") && !text.contains("AAAAAAAAAAAAAAAAAAAAAA"), "{text}");
    }

    #[test]
    fn after_any_change_of_any_bit_it_shows_nothing() {
        let (shown, log) = shown(&["kind", "at", "lock_proof"]);
        let mut bytes = shown.text().into_bytes();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                let shows = ShownRecord::parse(&bytes).and_then(|s| s.verify(&log, &[], 0));
                assert!(shows.is_err(), "byte {at}, bit {bit}");
                bytes[at] ^= 1 << bit;
            }
        }
    }

    #[test]
    fn a_file_has_a_longest_length() {
        let (mut shown, _) = shown(&["kind"]);
        let rest = SHOWN_BYTES_MAX - shown.text().len();
        let value = shown.openings[0].value.clone();
        for (more, fits) in [(0, true), (1, false), (2, false)] {
            shown.openings[0].value = value.clone() + &"x".repeat(rest + more);
            assert_eq!(ShownRecord::parse(shown.text().as_bytes()).is_ok(), fits, "{more} too long");
        }
    }

    #[test]
    fn fields_of_another_record_or_twice_or_in_another_order_are_refused() {
        let (good, log) = shown(&["kind", "lock_proof"]);
        let mut twice = good.clone();
        twice.openings.push(twice.openings[1].clone());
        assert_eq!(twice.verify(&log, &[], 0), Err(NotShown::WrongOpening));
        let mut swapped = good.clone();
        swapped.openings.swap(0, 1);
        assert_eq!(swapped.verify(&log, &[], 0), Err(NotShown::WrongOpening));
        let mut other = good.clone();
        other.openings[1].value = String::from("attested");
        assert_eq!(other.verify(&log, &[], 0), Err(NotShown::WrongOpening));
        let mut moved = good;
        moved.proof.leaf[0] ^= 1;
        assert_eq!(moved.verify(&log, &[], 0), Err(NotShown::OtherLeaf));
    }
}
