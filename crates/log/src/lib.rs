//! The log: what a keyholder records, and how others check that it shows everybody the same history.
//!
//! What it is: [`record`]s of individually salted fields and the chain of an access point's records; constant-size
//! leaves; the Merkle [`tree`] of RFC 6962; [`tile`]s of C2SP `tlog-tiles`; [`note`]s and checkpoints of `signed-note` and
//! `tlog-checkpoint`; witnesses' [`cosign`]atures and what they decide on ([`witness`]); the public [`proof`] of one
//! leaf; the pure [`sequencer`] that says which tiles to write; the library that checks signatures ([`suite`]). What it is not: it stores nothing, reads no
//! clock and draws no salt; the keyholder does.
//!
//! The three types to know: [`Record`](record::Record) (commitments to fields; its exact bytes are stored and hashed),
//! [`Opening`](record::Opening) (what lets one party read one field), [`Checkpoint`](note::Checkpoint) (origin, size and
//! root, signed).
//!
//! ```
//! use parcelshelf_log::record::{Kind, RecordBuilder};
//! use parcelshelf_log::tree;
//! let built = RecordBuilder::new(Kind::Erased, [7; 32]).field("at", "2026-11-20T15:00:00.000Z").build().unwrap();
//! let entry = built.record.entry();
//! assert_eq!(tree::root(&[tree::leaf_hash(&entry)]), tree::leaf_hash(&entry));
//! ```

pub mod audit;
pub mod cosign;
pub mod note;
pub mod proof;
pub mod record;
pub mod sequencer;
pub mod shown;
pub mod suite;
pub mod tile;
pub mod tree;
pub mod witness;

/// A SHA-256 value.
pub type Hash = [u8; 32];

pub(crate) fn sha256(parts: &[&[u8]]) -> Hash {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}
