//! The public proof of one leaf (C2SP `tlog-proof`): leaf hash, inclusion, and a checkpoint with its cosignatures.
//!
//! Made from what a log serves to everybody; it tells that a leaf is there and who has seen the tree, and nothing of what
//! the record says. Whoever has the record's bytes and some of its openings lays them beside it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Hash;
use crate::cosign::{Cosigned, WitnessVerifier, cosigned};
use crate::note::{Checkpoint, LogVerifier, NOTE_BYTES_MAX, NotANote};
use crate::tree::{PROOF_HASHES_MAX, verify_inclusion};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// Longest proof: its lines and a checkpoint.
pub const PROOF_BYTES_MAX: usize = NOTE_BYTES_MAX + 128 + PROOF_HASHES_MAX * 45;

/// That a leaf is in a log. The extra line of the format holds the leaf's hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicProof {
    pub leaf: Hash,
    pub index: u64,
    /// RFC 6962 audit path, deepest first.
    pub inclusion: Vec<Hash>,
    /// The checkpoint with every signature line that it was served with.
    pub note: String,
}

/// What a proof shows to somebody who knows the log's key and some witnesses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    pub leaf: Hash,
    pub index: u64,
    pub checkpoint: Checkpoint,
    /// Which of the known witnesses have cosigned, and when.
    pub cosigned: Vec<Cosigned>,
}

/// Why a proof shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotProved {
    #[error("this is not a proof in its one spelling")]
    Form,
    #[error("the checkpoint does not hold: {0}")]
    Checkpoint(#[from] NotANote),
    #[error("the leaf is not in the tree under this checkpoint")]
    NotIncluded,
    #[error("{found} of the known witnesses have cosigned, {wanted} are wanted")]
    NotCosigned { found: usize, wanted: usize },
}

impl PublicProof {
    /// The one spelling.
    #[must_use]
    pub fn text(&self) -> String {
        let path: String = self.inclusion.iter().map(|h| format!("{}\n", STANDARD.encode(h))).collect();
        format!("{FIRST_LINE}\nextra {}\nindex {}\n{path}\n{}", STANDARD.encode(self.leaf), self.index, self.note)
    }

    /// Reads the one spelling; checks nothing yet.
    ///
    /// # Errors
    /// [`NotProved::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NotProved> {
        std::str::from_utf8(bytes).ok().and_then(Self::read).ok_or(NotProved::Form)
    }
    fn read(text: &str) -> Option<Self> {
        if text.len() > PROOF_BYTES_MAX {
            return None;
        }
        let (head, note) = text.split_once("\n\n")?;
        let hash = |line: &str| -> Option<Hash> { STANDARD.decode(line).ok()?.try_into().ok() };
        let mut lines = head.split('\n').skip(1);
        let leaf = hash(lines.next()?.strip_prefix("extra ")?)?;
        let index = lines.next()?.strip_prefix("index ")?.parse().ok()?;
        let inclusion: Vec<Hash> = lines.map(hash).collect::<Option<_>>()?;
        let read = Self { leaf, index, inclusion, note: note.to_owned() };
        (read.inclusion.len() <= PROOF_HASHES_MAX && read.text() == text).then_some(read)
    }

    /// Whether the leaf is in this log, as a quorum of these witnesses has seen it.
    ///
    /// # Errors
    /// [`NotProved`].
    pub fn verify(&self, log: &LogVerifier, witnesses: &[WitnessVerifier], quorum: usize) -> Result<Shown, NotProved> {
        let checkpoint = Checkpoint::verify(&self.note, log)?;
        if !verify_inclusion(&self.leaf, self.index, checkpoint.size, &self.inclusion, &checkpoint.root) {
            return Err(NotProved::NotIncluded);
        }
        let cosigned = cosigned(&self.note, witnesses)?;
        if cosigned.len() < quorum {
            return Err(NotProved::NotCosigned { found: cosigned.len(), wanted: quorum });
        }
        Ok(Shown { leaf: self.leaf, index: self.index, checkpoint, cosigned })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosign::WitnessSigner;
    use crate::note::LogSigner;
    use crate::tree::{leaf_hash, node_hash};

    const NAME: &str = "gateway.example/log";

    fn proof() -> (PublicProof, LogVerifier, WitnessVerifier) {
        let (a, b) = (leaf_hash(b"a"), leaf_hash(b"b"));
        let log = LogSigner::from_seed(NAME, &[9; 32]).unwrap();
        let witness = WitnessSigner::from_seed("witness.example", &[7; 32]).unwrap();
        let checkpoint = Checkpoint { origin: NAME.into(), size: 2, root: node_hash(&a, &b) };
        let note = log.sign(&checkpoint.text()) + &witness.cosign(&checkpoint, 1_790_000_000);
        let proof = PublicProof { leaf: b, index: 1, inclusion: vec![a], note };
        (proof, log.verifier().clone(), witness.verifier().clone())
    }

    #[test]
    fn a_leaf_is_shown_with_who_has_seen_the_tree() {
        let (proof, log, witness) = proof();
        assert!(proof.text().starts_with("c2sp.org/tlog-proof@v1\nextra "), "{}", proof.text());
        let read = PublicProof::parse(proof.text().as_bytes()).unwrap();
        assert_eq!(read, proof);
        let shown = read.verify(&log, std::slice::from_ref(&witness), 1).unwrap();
        assert_eq!((shown.index, shown.checkpoint.size, shown.cosigned[0].time), (1, 2, 1_790_000_000));
        let stranger = WitnessSigner::from_seed("witness.example", &[6; 32]).unwrap();
        let wanted = read.verify(&log, std::slice::from_ref(stranger.verifier()), 1);
        assert_eq!(wanted, Err(NotProved::NotCosigned { found: 0, wanted: 1 }));
        // One witness named twice is one witness.
        let twice = read.verify(&log, &[witness.clone(), witness], 2);
        assert_eq!(twice, Err(NotProved::NotCosigned { found: 1, wanted: 2 }));
    }

    #[test]
    fn after_any_change_of_any_bit_it_shows_nothing() {
        let (proof, log, witness) = proof();
        let mut bytes = proof.text().into_bytes();
        let shows = |bytes: &[u8]| {
            PublicProof::parse(bytes).and_then(|p| p.verify(&log, std::slice::from_ref(&witness), 1)).is_ok()
        };
        assert!(shows(&bytes));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                assert!(!shows(&bytes), "byte {at}, bit {bit}");
                bytes[at] ^= 1 << bit;
            }
        }
    }

    #[test]
    fn a_proof_has_a_longest_length() {
        let (mut proof, ..) = proof();
        proof.note = String::new();
        let rest = PROOF_BYTES_MAX - proof.text().len();
        for (more, fits) in [(0, true), (1, false), (2, false)] {
            proof.note = "x".repeat(rest + more);
            assert_eq!(PublicProof::parse(proof.text().as_bytes()).is_ok(), fits, "{more} too long");
        }
    }

    #[test]
    fn other_spellings_are_no_proofs() {
        let text = proof().0.text();
        for wrong in [
            text.replacen("index 1", "index 01", 1),
            text.replacen("index 1", "index +1", 1),
            text.replacen("@v1", "@v2", 1),
            text.replacen("extra ", "", 1),
            text.replacen('\n', "\r\n", 1),
            String::from("c2sp.org/tlog-proof@v1\n\n"),
            String::new(),
        ] {
            assert_eq!(PublicProof::parse(wrong.as_bytes()), Err(NotProved::Form), "{wrong}");
        }
    }
}
