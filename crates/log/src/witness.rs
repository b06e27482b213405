//! What a log asks of a witness and what a witness decides (C2SP `tlog-witness`). Pure: the service keeps and signs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Hash;
use crate::note::{Checkpoint, LogVerifier, NOTE_BYTES_MAX};
use crate::tree::{empty_root, verify_consistency};

/// Most hashes of a consistency proof in a request.
pub const PROOF_MAX: usize = 63;
/// Longest request: `old`, the proof, an empty line, the checkpoint.
pub const REQUEST_MAX: usize = NOTE_BYTES_MAX + 32 + PROOF_MAX * 45;

/// The body of `POST …/add-checkpoint`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddCheckpoint {
    /// Size of the newest checkpoint that this witness has cosigned, as the log believes.
    pub old: u64,
    /// From there to the new one.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub note: String,
}

impl AddCheckpoint {
    /// The one spelling.
    #[must_use]
    pub fn text(&self) -> String {
        let proof: String = self.proof.iter().map(|h| format!("{}\n", STANDARD.encode(h))).collect();
        format!("old {}\n{proof}\n{}", self.old, self.note)
    }
    /// Reads the one spelling; checks no signature.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok().filter(|t| t.len() <= REQUEST_MAX)?;
        let (head, note) = text.split_once("\n\n")?;
        let mut lines = head.split('\n');
        let old = lines.next()?.strip_prefix("old ")?.parse().ok()?;
        let hash = |line: &str| STANDARD.decode(line).ok()?.try_into().ok();
        let proof: Vec<Hash> = lines.map(hash).collect::<Option<_>>()?;
        let request = Self { old, proof, note: note.to_owned() };
        (request.proof.len() <= PROOF_MAX && request.text() == text).then_some(request)
    }
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCosigned {
    #[error("no such log is known here")]
    UnknownLog,
    #[error("not signed by a key known for this log, or not in the one form")]
    NotSigned,
    #[error("the old size is above the checkpoint's")]
    OldAboveNew,
    /// The log goes on from another size than the newest cosigned one.
    #[error("the newest cosigned checkpoint has another size or root")]
    Conflict { newest: u64 },
    #[error("the checkpoint does not continue the newest cosigned one")]
    Inconsistent,
}
impl NotCosigned {
    /// HTTP status as in the specification.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::UnknownLog => 404,
            Self::NotSigned => 403,
            Self::OldAboveNew => 400,
            Self::Conflict { .. } => 409,
            Self::Inconsistent => 422,
        }
    }
}

/// Origin of the checkpoint in a note, to look up its log; says nothing about its truth.
#[must_use]
pub fn origin_of(note: &str) -> Option<&str> {
    note.split('\n').next()
}

/// Under which name a witness serves a log's newest checkpoint: SHA-256 of the origin, lower-case hexadecimal.
#[must_use]
pub fn origin_hash(origin: &str) -> String {
    crate::sha256(&[origin.as_bytes()]).iter().map(|b| format!("{b:02x}")).collect()
}

/// Decides on a request of the log `log`, whose newest cosigned checkpoint is `newest`: the checkpoint to keep, and only
/// then to cosign.
///
/// # Errors
/// [`NotCosigned`].
pub fn judge(
    newest: Option<&Checkpoint>,
    request: &AddCheckpoint,
    log: &LogVerifier,
) -> Result<Checkpoint, NotCosigned> {
    let new = Checkpoint::verify(&request.note, log).map_err(|_| NotCosigned::NotSigned)?;
    if request.old > new.size {
        return Err(NotCosigned::OldAboveNew);
    }
    let (size, root) = newest.map_or((0, empty_root()), |c| (c.size, c.root));
    if request.old != size || (new.size == size && new.root != root) {
        return Err(NotCosigned::Conflict { newest: size });
    }
    if verify_consistency(size, new.size, &request.proof, &root, &new.root) {
        Ok(new)
    } else {
        Err(NotCosigned::Inconsistent)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::note::LogSigner;
    use crate::tree::{Frontier, Subtrees, consistency_proof, leaf_hash};

    #[derive(Default)]
    struct Memory(BTreeMap<(u8, u64), Hash>);
    impl Subtrees for Memory {
        fn subtree(&self, level: u8, index: u64) -> Option<Hash> {
            self.0.get(&(level, index)).copied()
        }
    }
    struct Log {
        signer: LogSigner,
        tree: Memory,
        frontier: Frontier,
    }
    impl Log {
        fn of(salt: u8, size: u64) -> Self {
            let signer = LogSigner::from_seed("gateway.example/log", &[9; 32]).unwrap();
            let (mut tree, mut frontier) = (Memory::default(), Frontier::default());
            for n in 0..size {
                let salt = if n < 3 { 0 } else { salt };
                frontier.append(leaf_hash(&[salt, n as u8]), |l, i, h| assert!(tree.0.insert((l, i), h).is_none()));
            }
            Self { signer, tree, frontier }
        }
        fn asks(&self, old: u64) -> AddCheckpoint {
            let (size, root) = (self.frontier.size(), self.frontier.root());
            let checkpoint = Checkpoint { origin: String::from("gateway.example/log"), size, root };
            let proof = consistency_proof(&self.tree, old.min(size), size).unwrap();
            AddCheckpoint { old, proof, note: self.signer.sign(&checkpoint.text()) }
        }
    }

    #[test]
    fn a_growing_log_is_cosigned_and_every_request_has_one_spelling() {
        let mut newest = None;
        for size in [0, 1, 3, 3, 8, 21, 64] {
            let log = Log::of(0, size);
            let request = log.asks(newest.as_ref().map_or(0, |c: &Checkpoint| c.size));
            assert_eq!(AddCheckpoint::parse(request.text().as_bytes()).as_ref(), Some(&request));
            newest = Some(judge(newest.as_ref(), &request, log.signer.verifier()).unwrap());
        }
        assert_eq!(newest.map(|c| c.size), Some(64));
    }

    #[test]
    fn a_fork_a_rollback_and_a_stranger_are_refused() {
        let log = Log::of(0, 8);
        let key = log.signer.verifier();
        let eight = judge(None, &log.asks(0), key).unwrap();
        let fork = Log::of(1, 8);
        let refused = |request: &AddCheckpoint| judge(Some(&eight), request, key).unwrap_err();
        assert_eq!(refused(&fork.asks(8)).status(), 409, "the same size with another root");
        assert_eq!(refused(&Log::of(1, 12).asks(8)).status(), 422, "a longer fork");
        assert_eq!(refused(&Log::of(0, 5).asks(5)), NotCosigned::Conflict { newest: 8 }, "a rollback");
        assert_eq!(refused(&Log::of(0, 5).asks(8)).status(), 400, "a rollback that knows the size");
        assert_eq!(refused(&Log::of(0, 12).asks(3)), NotCosigned::Conflict { newest: 8 });
        let mut cut = Log::of(0, 12).asks(8);
        cut.proof.pop();
        assert_eq!(refused(&cut).status(), 422);
        let stranger = LogSigner::from_seed("gateway.example/log", &[8; 32]).unwrap();
        assert_eq!(judge(None, &log.asks(0), stranger.verifier()).unwrap_err().status(), 403);
    }

    #[test]
    fn a_log_is_looked_up_by_its_origin() {
        assert_eq!(origin_of(&Log::of(0, 8).asks(3).note), Some("gateway.example/log"));
        // FIPS 180-4, the example "abc".
        assert_eq!(origin_hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn other_spellings_are_no_requests() {
        let text = Log::of(0, 8).asks(3).text();
        for (from, to) in
            [("old 3", "old 03"), ("old 3", "old +3"), ("old 3", "Old 3"), ("old 3\n", "old 3\r\n"), ("=\n", "\n")]
        {
            assert_eq!(AddCheckpoint::parse(text.replacen(from, to, 1).as_bytes()), None, "{from} {to}");
        }
        let many = AddCheckpoint { old: 1, proof: vec![[0; 32]; PROOF_MAX + 1], note: String::from("x\n") };
        assert_eq!(AddCheckpoint::parse(many.text().as_bytes()), None);
        assert_eq!(AddCheckpoint::parse(&[0xff; 40]), None);
    }
}
