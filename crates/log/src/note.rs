//! Signed notes and checkpoints (C2SP `signed-note`, `tlog-checkpoint`), Ed25519.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{Hash, sha256, suite};

/// Signature type of Ed25519 in `signed-note`.
const ED25519_TYPE: u8 = 0x01;
/// Longest name of a log or origin.
const NAME_BYTES_MAX: usize = 128;
/// Longest checkpoint with its signatures.
pub const NOTE_BYTES_MAX: usize = 8 * 1024;

/// Why a note was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotANote {
    #[error("a signed note has a text, an empty line, and signature lines")]
    Form,
    #[error("a verifier key is NAME+HASH+KEY")]
    Key,
    #[error("no valid signature by this key")]
    Signature,
    #[error("a checkpoint is origin, size and root, in one spelling")]
    Checkpoint,
}

/// Signs checkpoints. Does not print.
pub struct LogSigner {
    name: String,
    pair: Ed25519KeyPair,
    verifier: LogVerifier,
}
impl std::fmt::Debug for LogSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogSigner({})", self.name)
    }
}

/// A verifier key: the log's name and its Ed25519 public key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogVerifier {
    name: String,
    id: [u8; 4],
    key: [u8; 32],
}

/// First four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key).
pub(crate) fn key_id(name: &str, kind: u8, key: &[u8; 32]) -> [u8; 4] {
    let hash = sha256(&[name.as_bytes(), b"\n", &[kind], key]);
    [hash[0], hash[1], hash[2], hash[3]]
}
/// `NAME+HASH+KEY`.
pub(crate) fn key_line(name: &str, id: [u8; 4], kind: u8, key: &[u8; 32]) -> String {
    let id: String = id.iter().map(|b| format!("{b:02x}")).collect();
    format!("{name}+{id}+{}", STANDARD.encode([&[kind][..], key].concat()))
}
pub(crate) fn ed25519_holds(key: &[u8; 32], text: &str, signature: &[u8]) -> bool {
    suite::ed25519_holds(key, text.as_bytes(), signature)
}

pub(crate) fn good_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b'+')
}

impl LogVerifier {
    /// # Errors
    /// [`NotANote::Key`] for a name that is empty, too long, or holds a plus sign or white space.
    pub fn new(name: &str, key: [u8; 32]) -> Result<Self, NotANote> {
        if !good_name(name) {
            return Err(NotANote::Key);
        }
        Ok(Self { name: name.to_owned(), id: key_id(name, ED25519_TYPE, &key), key })
    }
    /// Reads `NAME+HASH+KEY`.
    ///
    /// # Errors
    /// [`NotANote::Key`].
    pub fn parse(text: &str) -> Result<Self, NotANote> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NotANote::Key);
        };
        let bytes = STANDARD.decode(key).map_err(|_| NotANote::Key)?;
        let Some((&ED25519_TYPE, key)) = bytes.split_first() else { return Err(NotANote::Key) };
        let verifier = Self::new(name, key.try_into().map_err(|_| NotANote::Key)?)?;
        if verifier.line() == text { Ok(verifier) } else { Err(NotANote::Key) }
    }
    /// `NAME+HASH+KEY`.
    #[must_use]
    pub fn line(&self) -> String {
        key_line(&self.name, self.id, ED25519_TYPE, &self.key)
    }
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
    #[must_use]
    pub const fn key(&self) -> &[u8; 32] {
        &self.key
    }
    fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        ed25519_holds(&self.key, text, signature)
    }
}

impl LogSigner {
    /// From the 32-byte seed of RFC 8032.
    ///
    /// # Errors
    /// [`NotANote::Key`] for a bad name.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NotANote> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NotANote::Key)?;
        let key = pair.public_key().as_ref().try_into().map_err(|_| NotANote::Key)?;
        Ok(Self { name: name.to_owned(), pair, verifier: LogVerifier::new(name, key)? })
    }
    #[must_use]
    pub const fn verifier(&self) -> &LogVerifier {
        &self.verifier
    }
    /// A note with one signature. `text` ends with a line feed.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        let signature = self.pair.sign(text.as_bytes());
        let line = STANDARD.encode([&self.verifier.id[..], signature.as_ref()].concat());
        format!("{text}\n\u{2014} {} {line}\n", self.name)
    }
}

/// Size and root of a log, as its signer tells them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let root = STANDARD.decode(root).ok()?.try_into().ok()?;
        let checkpoint = Self { origin: origin.to_owned(), size: size.parse().ok()?, root };
        // One spelling, and no extension lines: our logs write none.
        (good_name(origin) && checkpoint.text() == text).then_some(checkpoint)
    }

    /// Checks a signed checkpoint of one log; signatures by others (witnesses) are passed over.
    ///
    /// # Errors
    /// [`NotANote`].
    pub fn verify(note: &str, log: &LogVerifier) -> Result<Self, NotANote> {
        let (text, signatures) = split(note)?;
        let signed = signatures
            .iter()
            .any(|(name, id, signature)| *name == log.name && *id == log.id && log.verifies(text, signature));
        if !signed {
            return Err(NotANote::Signature);
        }
        Self::parse(text).filter(|c| c.origin == log.name).ok_or(NotANote::Checkpoint)
    }

    /// As [`Checkpoint::verify`], for a note that carries the log's own signature and nothing else: then no byte of it
    /// can change.
    ///
    /// # Errors
    /// [`NotANote`].
    pub fn verify_alone(note: &str, log: &LogVerifier) -> Result<Self, NotANote> {
        let checkpoint = Self::verify(note, log)?;
        let (_, signatures) = split(note)?;
        if signatures.len() == 1 { Ok(checkpoint) } else { Err(NotANote::Form) }
    }
}

pub(crate) type SignatureLine<'a> = (&'a str, [u8; 4], Vec<u8>);

/// Text (with its last line feed) and signature lines.
pub(crate) fn split(note: &str) -> Result<(&str, Vec<SignatureLine<'_>>), NotANote> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NotANote::Form);
    }
    let at = note.rfind("\n\n").ok_or(NotANote::Form)?;
    let (text, rest) = (&note[..=at], &note[at + 2..]);
    let lines = rest.strip_suffix('\n').ok_or(NotANote::Form)?;
    let signatures = lines.split('\n').map(|line| {
        let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        good_name(name).then(|| (name, *id, signature.to_vec()))
    });
    Ok((text, signatures.collect::<Option<_>>().ok_or(NotANote::Form)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed() -> (LogSigner, String) {
        let signer = LogSigner::from_seed("gateway.example/log", &[9; 32]).unwrap();
        let checkpoint = Checkpoint { origin: String::from("gateway.example/log"), size: 5, root: [1; 32] };
        let note = signer.sign(&checkpoint.text());
        (signer, note)
    }

    #[test]
    fn a_checkpoint_verifies_and_no_byte_can_change() {
        let (signer, note) = signed();
        assert_eq!(Checkpoint::verify_alone(&note, signer.verifier()).map(|c| c.size), Ok(5));
        let bytes = note.as_bytes();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.to_vec();
                changed[at] ^= 1 << bit;
                let refused = String::from_utf8(changed)
                    .map_or(true, |note| Checkpoint::verify_alone(&note, signer.verifier()).is_err());
                assert!(refused, "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_published_implementation_reads_our_notes() {
        use signed_note::{Note, StandardVerifier, VerifierList};
        let (signer, note) = signed();
        let verifier = StandardVerifier::new(&signer.verifier().line()).unwrap();
        let list = VerifierList::new(vec![Box::new(verifier)]);
        let theirs = Note::from_bytes(note.as_bytes()).unwrap();
        let (verified, _) = theirs.verify(&list).unwrap();
        assert_eq!(verified.len(), 1);
    }

    #[test]
    fn a_log_is_known_by_its_name_and_key_and_does_not_print_what_signs() {
        for bad in ["", "a b", "a+b", "a\n", "\u{e4}", &"n".repeat(129)] {
            assert_eq!(LogVerifier::new(bad, [5; 32]), Err(NotANote::Key), "{bad:?}");
        }
        let log = LogVerifier::new(&"n".repeat(128), [5; 32]).unwrap();
        assert_eq!((log.name(), log.key()), ("n".repeat(128).as_str(), &[5; 32]));
        assert_eq!(format!("{:?}", signed().0), "LogSigner(gateway.example/log)");
    }

    #[test]
    fn a_note_has_eight_kibibytes_at_most() {
        for (bytes, fits) in [(NOTE_BYTES_MAX, true), (NOTE_BYTES_MAX + 1, false)] {
            let lines = "\n\n\u{2014} a AAAAAAAA\n";
            let note = "x".repeat(bytes - lines.len()) + lines;
            assert_eq!((note.len(), split(&note).is_ok()), (bytes, fits));
        }
    }

    #[test]
    fn another_log_did_not_sign_this() {
        let (_, note) = signed();
        let other = LogSigner::from_seed("gateway.example/log", &[8; 32]).unwrap();
        assert_eq!(Checkpoint::verify(&note, other.verifier()), Err(NotANote::Signature));
        assert_eq!(LogVerifier::parse(&other.verifier().line()).as_ref(), Ok(other.verifier()));
        assert!(LogVerifier::parse("a+b+c").is_err());
    }
}
