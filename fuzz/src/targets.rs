//! What a stranger's bytes meet first: every parser, with what must hold of whatever it takes. The same functions run under
//! libFuzzer (`scripts/fuzz.sh`) and over the committed corpora in `cargo test -p parcelshelf-protocol`.
//!
//! None may panic, none may take long, and: one spelling means that what was read is written again as it was; two
//! libraries for signatures give one answer; what a proof shows is really in the tree.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a target that panics has found something")]

use parcelshelf_core::area::{Area, Cell};
use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::reason::Action;
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;
use parcelshelf_log::cosign::{WitnessSigner, WitnessVerifier, cosigned};
use parcelshelf_log::note::{Checkpoint, LogSigner, LogVerifier};
use parcelshelf_log::proof::PublicProof;
use parcelshelf_log::record::Record;
use parcelshelf_log::shown::ShownRecord;
use parcelshelf_log::suite::{self, Suite as _};
use parcelshelf_log::tile::{TileId, unbundled};
use parcelshelf_log::tree::{self, leaf_hash, verify_consistency, verify_inclusion};
use parcelshelf_log::witness::AddCheckpoint;
use parcelshelf_protocol::accepted::Accepted;
use parcelshelf_protocol::bundle::{self, Bundle};
use parcelshelf_protocol::cert::Cert;
use parcelshelf_protocol::content::{Description, Occupant, Phone, Place, Rule};
use parcelshelf_protocol::delegation::Delegation;
use parcelshelf_protocol::encoding::{Hash, Thumbprint, b64, from_b64};
use parcelshelf_protocol::envelope::Envelope;
use parcelshelf_protocol::grant::Grant;
use parcelshelf_protocol::jws::{Moment, Sign as _, SigningKey, VerifyingKey};
use parcelshelf_protocol::keys::Keys;
use parcelshelf_protocol::label;
use parcelshelf_protocol::nonce::{self, Bound, NonceKey};
use parcelshelf_protocol::order::Order;
use parcelshelf_protocol::records::Entry;
use parcelshelf_protocol::request::Ticket;
use parcelshelf_protocol::seal::{self, Context, Purpose, SealKeyPair, SealPublicKey};
use parcelshelf_protocol::statement::Statement;
use parcelshelf_protocol::webauthn::Assertion;
use parcelshelf_second::PureRust;

/// Name and what it does with bytes. The corpus of each lies in `fuzz/corpus/<name>`.
pub const TARGETS: [(&str, fn(&[u8])); 17] = [
    ("messages", messages),
    ("bundle", bundle),
    ("assertion", assertion),
    ("statement", statement),
    ("contents", contents),
    ("values", values),
    ("nonce", nonce_target),
    ("sealed", sealed),
    ("note", note),
    ("add_checkpoint", add_checkpoint),
    ("tile", tile),
    ("record", record),
    ("public_proof", public_proof),
    ("shown_record", shown_record),
    ("tree", tree_target),
    ("signatures", signatures),
    ("maker_json", maker_json),
];

#[allow(dead_code, unreachable_pub, clippy::all, reason = "one maker's reader of hostile JSON; the others' are alike")]
#[path = "../../crates/access-volvo/src/json.rs"]
mod json;

fn text(data: &[u8]) -> &str {
    std::str::from_utf8(data).unwrap_or_default()
}
fn signing_key() -> SigningKey {
    SigningKey::from_scalar(&[7; 32]).unwrap()
}
/// The same by both libraries.
fn twice<T: PartialEq + std::fmt::Debug>(ask: impl Fn() -> T) -> T {
    let (first, second) = (ask(), suite::with(&PureRust, &ask));
    assert_eq!(first, second, "two libraries, two answers");
    first
}

/// Every signed message, and the ticket of three.
pub fn messages(data: &[u8]) {
    let (jws, key) = (text(data), signing_key());
    let key = key.verifying_key();
    let _ = twice(|| Grant::verify(jws).map(|g| g.claims().clone()));
    let _ = Delegation::peek(jws);
    let _ = Cert::peek_issuer(jws);
    let _ = Accepted::peek(jws);
    let _ = Order::peek_carrier(jws);
    if let Ok(log) = Keys::peek_log(jws) {
        let _ = twice(|| Keys::verify(jws, &log, "https://gateway.example", Moment::Any).is_ok());
    }
    let _ = Envelope::verify(jws, key, "https://gateway.example", "recipient");
    let _ = Ticket::verify(jws, key, "https://gateway.example", Moment::Any);
}

/// A case: one spelling, one verdict, and the explanation of it can be written.
pub fn bundle(data: &[u8]) {
    if let Ok(read) = Bundle::parse_canonical(data) {
        assert_eq!(read.encode(), data);
    }
    if let Ok(verdict) = twice(|| bundle::verify(data, None)) {
        assert!(!verdict.explain().is_empty());
    }
}

pub fn assertion(data: &[u8]) {
    if let Ok(read) = Assertion::parse(data) {
        assert_eq!(Assertion::parse(read.to_json().as_bytes()).as_ref(), Ok(&read));
        let by_serde: Assertion = serde_json::from_slice(data).unwrap();
        assert_eq!(by_serde, read, "two readers of one text");
    }
}

pub fn statement(data: &[u8]) {
    if let Ok(read) = Statement::parse(data) {
        assert_eq!(Statement::parse(&read.to_bytes()), Ok(read));
    }
}

/// What lies in sealed boxes.
pub fn contents(data: &[u8]) {
    if let Ok(read) = Place::parse(data) {
        assert!(Place::parse(&read.to_bytes()).is_ok());
    }
    if let Ok(read) = Phone::parse(data) {
        assert!(Phone::parse(&read.to_bytes()).is_ok());
    }
    if let Ok(read) = Occupant::parse(data) {
        assert!(Occupant::parse(&read.to_bytes()).is_ok());
    }
    if let Ok(read) = Description::parse(data) {
        assert!(Description::parse(&read.to_bytes()).is_ok());
    }
    if let Ok(read) = Rule::parse(data) {
        assert_eq!(read.to_bytes(), data, "a rule has one spelling");
    }
}

/// Small texts: keys, ids, hashes, times, cells, VINs, labels, records' fields.
pub fn values(data: &[u8]) {
    let t = text(data);
    if let Some(bytes) = from_b64(t) {
        assert_eq!(b64(bytes), t);
    }
    if let Ok(key) = VerifyingKey::parse_jwk(data) {
        assert_eq!(VerifyingKey::parse_jwk(key.to_jwk().as_bytes()), Ok(key));
    }
    if let Some(hash) = Hash::parse(t) {
        assert_eq!(hash.to_string(), t);
    }
    if let Some(thumb) = Thumbprint::parse(t) {
        assert_eq!(thumb.to_string(), t);
    }
    if let Ok(id) = DeliveryId::parse(t) {
        assert_eq!(id.to_string(), t);
    }
    if let Ok(time) = Timestamp::parse_rfc3339(t) {
        assert_eq!(Timestamp::parse_rfc3339(&time.to_rfc3339()), Ok(time));
    }
    if let Ok(cell) = Cell::parse(t) {
        assert_eq!(cell.to_string(), t);
    }
    let _ = Area::parse(&t.split(',').collect::<Vec<_>>());
    if let Ok(vin) = Vin::parse(t) {
        assert_eq!(vin.expose(), t.to_ascii_uppercase());
        assert!(!vin.manufacturer_identifier().is_empty());
    }
    if let Ok(label) = label::normalise(t) {
        assert_eq!(label::normalise(&label), Ok(label));
    }
    let _ = SealPublicKey::parse(t);
    let fields: Vec<(&str, &str)> = t.lines().filter_map(|l| l.split_once('=')).collect();
    if let Ok(entry) = Entry::read(&fields) {
        let again = entry.build([1; 32], None).unwrap();
        let shown: Vec<(&str, &str)> = again.openings.iter().map(|o| (o.name.as_str(), o.value.as_str())).collect();
        assert_eq!(shown, fields, "a record's fields have one spelling");
    }
}

pub fn nonce_target(data: &[u8]) {
    let (key, now) = (NonceKey::from_bytes([5; 32]), Timestamp::from_unix_seconds(1_795_446_000));
    let bound = Bound { device: Thumbprint::from_bytes([1; 32]), ath: Hash::from_bytes([2; 32]), act: Action::Open };
    assert!(nonce::check(&key, text(data), &bound, now).is_err(), "nobody guesses a MAC");
    assert!(nonce::check_challenge(&key, text(data), now).is_err());
}

/// A box that nobody sealed to us does not open, whatever is in it.
pub fn sealed(data: &[u8]) {
    let key = SealKeyPair::from_seed(&[3; 32]).unwrap();
    let context = Context { sender: "s", recipient: "r", delivery: "d", seq: 0 };
    for purpose in [Purpose::Place, Purpose::Rule, Purpose::Bundle] {
        assert!(seal::open(&key, purpose, &context, data).is_err());
    }
}

fn log_and_witness() -> (LogSigner, WitnessSigner) {
    let log = LogSigner::from_seed("gateway.example/log", &[9; 32]).unwrap();
    (log, WitnessSigner::from_seed("witness.example", &[7; 32]).unwrap())
}

pub fn note(data: &[u8]) {
    let (log, witness) = log_and_witness();
    let (t, log, witness) = (text(data), log.verifier(), witness.verifier());
    if let Ok(checkpoint) = twice(|| Checkpoint::verify(t, log)) {
        assert!(t.starts_with(&checkpoint.text()));
    }
    let _ = twice(|| Checkpoint::verify_alone(t, log));
    if let Ok(by) = twice(|| cosigned(t, std::slice::from_ref(witness))) {
        assert!(by.len() <= 1);
    }
    if let Ok(key) = LogVerifier::parse(t) {
        assert_eq!(key.line(), t);
    }
    if let Ok(key) = WitnessVerifier::parse(t) {
        assert_eq!(key.line(), t);
    }
}

pub fn add_checkpoint(data: &[u8]) {
    if let Some(read) = AddCheckpoint::parse(data) {
        assert_eq!(read.text().as_bytes(), data);
    }
}

pub fn tile(data: &[u8]) {
    if let Some(id) = TileId::parse(text(data)) {
        assert_eq!(id.path().as_bytes(), data);
    }
    if let Some(entries) = unbundled(data) {
        let again: Vec<u8> = entries.iter().flat_map(parcelshelf_log::tile::bundled).collect();
        assert_eq!(again, data);
    }
}

pub fn record(data: &[u8]) {
    if let Ok(read) = Record::parse(data) {
        assert_eq!(read.bytes(), data);
        assert!(!read.names().is_empty());
    }
}

pub fn public_proof(data: &[u8]) {
    let (log, witness) = log_and_witness();
    if let Ok(read) = PublicProof::parse(data) {
        assert_eq!(read.text().as_bytes(), data);
        let known = [witness.verifier().clone()];
        if let Ok(shown) = twice(|| read.verify(log.verifier(), &known, 1)) {
            assert_eq!((shown.leaf, shown.cosigned.len()), (read.leaf, 1));
        }
    }
}

pub fn shown_record(data: &[u8]) {
    let (log, _) = log_and_witness();
    if let Ok(read) = ShownRecord::parse(data) {
        assert_eq!(read.text().as_bytes(), data);
        if read.verify(log.verifier(), &[], 0).is_ok() {
            assert_eq!(leaf_hash(&read.record.entry()), read.proof.leaf);
        }
    }
}

/// Proofs for any numbers: no overflow, no endless loop, and a proof that holds leads to the root from which it was made.
pub fn tree_target(data: &[u8]) {
    let Some((numbers, rest)) = data.split_at_checked(16) else { return };
    let number = |at: usize| u64::from_le_bytes(numbers[at..at + 8].try_into().unwrap());
    let path: Vec<[u8; 32]> = rest.chunks_exact(32).take(80).map(|h| h.try_into().unwrap()).collect();
    let (leaf, root) = ([1; 32], path.last().copied().unwrap_or_default());
    let _ = verify_inclusion(&leaf, number(0), number(8), &path, &root);
    let _ = verify_consistency(number(0), number(8), &path, &leaf, &root);
    // A small tree that is really there: nothing but its own leaves is in it.
    let leaves: Vec<[u8; 32]> = (0..=numbers[0] % 40).map(|n| leaf_hash(&[n])).collect();
    let (index, size, root) = (number(8) % 64, leaves.len() as u64, tree::root(&leaves));
    for leaf in [leaf_hash(&[numbers[1]]), leaf_hash(rest)] {
        if verify_inclusion(&leaf, index, size, &path, &root) {
            assert_eq!(leaves.get(usize::try_from(index).unwrap()), Some(&leaf));
        }
    }
}

/// Any key, message, signature: both libraries say the same.
pub fn signatures(data: &[u8]) {
    let Some((signature, rest)) = data.split_first_chunk::<64>() else { return };
    if let Some((point, message)) = rest.split_first_chunk::<65>() {
        let mut point = *point;
        point[0] = 4; // the only form that is read here
        let (first, second) = (suite::AwsLc, PureRust);
        assert_eq!(first.is_p256_point(&point), second.is_p256_point(&point));
        assert_eq!(first.es256_holds(&point, message, signature), second.es256_holds(&point, message, signature));
        // A key that is one, so that the signature is what is looked at.
        let good = *signing_key().verifying_key().point();
        assert_eq!(first.es256_holds(&good, message, signature), second.es256_holds(&good, message, signature));
    }
    if let Some((key, message)) = rest.split_first_chunk::<32>() {
        let ours = suite::AwsLc.ed25519_holds(key, message, signature);
        assert_eq!(ours, PureRust.ed25519_holds(key, message, signature));
    }
}

pub fn maker_json(data: &[u8]) {
    if let Some(read) = json::Json::parse(data) {
        let _ = (read.get("data"), read.get("value").and_then(json::Json::text), read.list());
    }
}
