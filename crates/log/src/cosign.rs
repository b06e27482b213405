//! Cosignatures of checkpoints by witnesses (C2SP `tlog-cosignature`, version 1: Ed25519 with a time).
//!
//! A witness signs that it saw this checkpoint at this time, as the newest of a log that only ever grew.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::note::{Checkpoint, LogVerifier, NotANote, ed25519_holds, good_name, key_id, key_line, split};

/// Signature type of a timestamped Ed25519 cosignature.
const COSIGNATURE_TYPE: u8 = 0x04;
/// Time and signature.
const COSIGNATURE_BYTES: usize = 8 + 64;
/// Most witnesses whose lines one checkpoint carries here.
pub const WITNESSES_MAX: usize = 16;

/// A witness's verifier key: name and Ed25519 public key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WitnessVerifier {
    name: String,
    id: [u8; 4],
    key: [u8; 32],
}

impl WitnessVerifier {
    /// # Errors
    /// [`NotANote::Key`] for a name that is empty, too long, or holds a plus sign or white space.
    pub fn new(name: &str, key: [u8; 32]) -> Result<Self, NotANote> {
        if !good_name(name) {
            return Err(NotANote::Key);
        }
        Ok(Self { name: name.to_owned(), id: key_id(name, COSIGNATURE_TYPE, &key), key })
    }
    /// Reads `NAME+HASH+KEY`, where the key begins with 0x04.
    ///
    /// # Errors
    /// [`NotANote::Key`].
    pub fn parse(text: &str) -> Result<Self, NotANote> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NotANote::Key);
        };
        let bytes = STANDARD.decode(key).map_err(|_| NotANote::Key)?;
        let Some((&COSIGNATURE_TYPE, key)) = bytes.split_first() else { return Err(NotANote::Key) };
        let verifier = Self::new(name, key.try_into().map_err(|_| NotANote::Key)?)?;
        if verifier.line() == text { Ok(verifier) } else { Err(NotANote::Key) }
    }
    /// `NAME+HASH+KEY`.
    #[must_use]
    pub fn line(&self) -> String {
        key_line(&self.name, self.id, COSIGNATURE_TYPE, &self.key)
    }
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The time (Unix seconds) at which this witness cosigned the checkpoint of `note`; `None` without a line of it that
    /// holds. With several lines, the newest that holds.
    ///
    /// # Errors
    /// [`NotANote::Form`] when `note` is none.
    pub fn cosigned_at(&self, note: &str) -> Result<Option<u64>, NotANote> {
        let (text, signatures) = split(note)?;
        let own = signatures.iter().filter(|(name, id, _)| *name == self.name && *id == self.id);
        Ok(own.filter_map(|(_, _, bytes)| self.holds(text, bytes)).max())
    }

    fn holds(&self, text: &str, timed: &[u8]) -> Option<u64> {
        let (time, signature) = timed.split_first_chunk::<8>()?;
        let time = u64::from_be_bytes(*time);
        let right = timed.len() == COSIGNATURE_BYTES && time <= i64::MAX.unsigned_abs();
        (right && ed25519_holds(&self.key, &message(time, text), signature)).then_some(time)
    }
}

/// What a cosignature covers.
fn message(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// Cosigns checkpoints. Does not print.
pub struct WitnessSigner {
    pair: Ed25519KeyPair,
    verifier: WitnessVerifier,
}
impl std::fmt::Debug for WitnessSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WitnessSigner({})", self.verifier.name)
    }
}
impl WitnessSigner {
    /// From the 32-byte seed of RFC 8032.
    ///
    /// # Errors
    /// [`NotANote::Key`] for a bad name.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NotANote> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NotANote::Key)?;
        let key = pair.public_key().as_ref().try_into().map_err(|_| NotANote::Key)?;
        Ok(Self { pair, verifier: WitnessVerifier::new(name, key)? })
    }
    #[must_use]
    pub const fn verifier(&self) -> &WitnessVerifier {
        &self.verifier
    }
    /// The signature line for this checkpoint at `time` (Unix seconds), with its line feed.
    #[must_use]
    pub fn cosign(&self, checkpoint: &Checkpoint, time: u64) -> String {
        let signature = self.pair.sign(message(time, &checkpoint.text()).as_bytes());
        let bytes = [&self.verifier.id[..], &time.to_be_bytes(), signature.as_ref()].concat();
        format!("\u{2014} {} {}\n", self.verifier.name, STANDARD.encode(bytes))
    }
}

/// One witness has cosigned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cosigned {
    pub witness: String,
    /// Unix seconds, by the witness's clock.
    pub time: u64,
}

/// Who of `witnesses` cosigned the checkpoint of this note; each at most once.
///
/// # Errors
/// [`NotANote::Form`] when `note` is none.
pub fn cosigned(note: &str, witnesses: &[WitnessVerifier]) -> Result<Vec<Cosigned>, NotANote> {
    let mut all: Vec<Cosigned> = Vec::new();
    for witness in witnesses {
        let again = all.iter().any(|c| c.witness == witness.name);
        if let Some(time) = witness.cosigned_at(note)?.filter(|_| !again) {
            all.push(Cosigned { witness: witness.name.clone(), time });
        }
    }
    Ok(all)
}

/// The note with the log's own signature and exactly these witnesses' lines, in this order: no byte of it can change.
///
/// # Errors
/// [`NotANote`]: also for a line too many, and for one that does not hold.
pub fn verify_exactly(note: &str, log: &LogVerifier, witnesses: &[WitnessVerifier]) -> Result<Checkpoint, NotANote> {
    let checkpoint = Checkpoint::verify(note, log)?;
    let (text, signatures) = split(note)?;
    let Some(((name, ..), lines)) = signatures.split_first() else { return Err(NotANote::Form) };
    if *name != log.name() || lines.len() != witnesses.len() || witnesses.len() > WITNESSES_MAX {
        return Err(NotANote::Form);
    }
    let fits = |((name, id, bytes), w): (&(&str, [u8; 4], Vec<u8>), &WitnessVerifier)| {
        *name == w.name && *id == w.id && w.holds(text, bytes).is_some()
    };
    if lines.iter().zip(witnesses).all(fits) { Ok(checkpoint) } else { Err(NotANote::Signature) }
}

/// The note with the log's own signature alone.
///
/// # Errors
/// [`NotANote`].
pub fn own_note(note: &str, log: &LogVerifier) -> Result<String, NotANote> {
    let (text, signatures) = split(note)?;
    for (name, id, signature) in signatures {
        let line = STANDARD.encode([&id[..], &signature].concat());
        let own = format!("{text}\n\u{2014} {name} {line}\n");
        if name == log.name() && Checkpoint::verify_alone(&own, log).is_ok() {
            return Ok(own);
        }
    }
    Err(NotANote::Signature)
}

/// The note with one more signature line, which is passed on as it came.
///
/// # Errors
/// [`NotANote::Form`] when `line` is not one signature line with its line feed.
pub fn with_line(note: &str, line: &str) -> Result<String, NotANote> {
    let (text, before) = split(note)?;
    let whole = format!("{note}{line}");
    let (same, after) = split(&whole)?;
    if same == text && after.len() == before.len() + 1 { Ok(whole) } else { Err(NotANote::Form) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::LogSigner;

    const ORIGIN: &str = "gateway.example/log";

    fn log() -> LogSigner {
        LogSigner::from_seed(ORIGIN, &[9; 32]).unwrap()
    }
    fn witness(seed: u8) -> WitnessSigner {
        WitnessSigner::from_seed(&format!("witness.example/{seed}"), &[seed; 32]).unwrap()
    }
    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: ORIGIN.to_owned(), size: 5, root: [1; 32] }
    }
    fn cosigned_note(times: &[(u8, u64)]) -> String {
        let start = log().sign(&checkpoint().text());
        times
            .iter()
            .fold(start, |note, (seed, time)| with_line(&note, &witness(*seed).cosign(&checkpoint(), *time)).unwrap())
    }

    #[test]
    fn two_witnesses_cosign_and_each_counts_once() {
        let note = cosigned_note(&[(1, 1_700_000_000), (2, 1_700_000_001), (1, 1_700_000_009)]);
        let known = [witness(1).verifier().clone(), witness(2).verifier().clone(), witness(1).verifier().clone()];
        let found = cosigned(&note, &known).unwrap();
        assert_eq!(found.iter().map(|c| c.time).collect::<Vec<_>>(), [1_700_000_009, 1_700_000_001]);
        assert_eq!(own_note(&note, log().verifier()), Ok(log().sign(&checkpoint().text())));
        assert_eq!(Checkpoint::verify(&note, log().verifier()), Ok(checkpoint()), "the log's reader passes over them");
        assert_eq!(witness(3).verifier().cosigned_at(&note), Ok(None));
    }

    #[test]
    fn no_byte_of_a_cosigned_checkpoint_can_change() {
        let note = cosigned_note(&[(1, 1_700_000_000), (2, 1_700_000_001)]);
        let known = [witness(1).verifier().clone(), witness(2).verifier().clone()];
        assert_eq!(verify_exactly(&note, log().verifier(), &known), Ok(checkpoint()));
        assert!(verify_exactly(&note, log().verifier(), &known[..1]).is_err(), "a line too many");
        assert!(verify_exactly(&cosigned_note(&[(2, 1), (1, 1)]), log().verifier(), &known).is_err(), "another order");
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut changed = note.as_bytes().to_vec();
                changed[at] ^= 1 << bit;
                let refused = String::from_utf8(changed)
                    .map_or(true, |note| verify_exactly(&note, log().verifier(), &known).is_err());
                assert!(refused, "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_logs_signature_is_no_cosignature_and_the_other_way_round() {
        let as_log = LogSigner::from_seed("witness.example/1", &[1; 32]).unwrap();
        let note = as_log.sign(&checkpoint().text());
        assert_eq!(witness(1).verifier().cosigned_at(&note), Ok(None), "same key, other type");
        let only = format!("{}\n{}", checkpoint().text(), witness(1).cosign(&checkpoint(), 7));
        assert_eq!(Checkpoint::verify(&only, as_log.verifier()), Err(NotANote::Signature));
        assert!(WitnessVerifier::parse(&as_log.verifier().line()).is_err());
        assert!(LogVerifier::parse(&witness(1).verifier().line()).is_err());
        assert_eq!(WitnessVerifier::parse(&witness(1).verifier().line()).as_ref(), Ok(witness(1).verifier()));
    }

    /// A time that no clock of ours can hold is none, whoever signed it.
    #[test]
    fn a_time_beyond_every_clock_is_none() {
        let last = i64::MAX.unsigned_abs();
        for (time, found) in [(last, Some(last)), (last + 1, None), (u64::MAX, None)] {
            assert_eq!(witness(1).verifier().cosigned_at(&cosigned_note(&[(1, time)])), Ok(found), "{time}");
        }
    }

    #[test]
    fn as_many_witnesses_as_fit_and_no_more() {
        for (count, fits) in [(16, true), (17, false)] {
            let times: Vec<(u8, u64)> = (0..count).map(|seed| (seed, 1_700_000_000)).collect();
            let known: Vec<_> = (0..count).map(|seed| witness(seed).verifier().clone()).collect();
            let found = verify_exactly(&cosigned_note(&times), log().verifier(), &known);
            assert_eq!(found.is_ok(), fits, "{count} witnesses");
        }
    }

    #[test]
    fn the_logs_own_line_is_found_behind_one_that_only_bears_its_name() {
        let (text, good) = (checkpoint().text(), log().sign(&checkpoint().text()));
        let (_, line) = good.split_once("\n\n").unwrap();
        let forged = LogSigner::from_seed(ORIGIN, &[8; 32]).unwrap().sign(&text);
        assert_eq!(own_note(&with_line(&forged, line).unwrap(), log().verifier()), Ok(good));
        assert_eq!(own_note(&forged, log().verifier()), Err(NotANote::Signature));
    }

    #[test]
    fn a_witness_is_known_by_its_name_and_does_not_print_its_key() {
        assert_eq!(witness(1).verifier().name(), "witness.example/1");
        assert_eq!(format!("{:?}", witness(1)), "WitnessSigner(witness.example/1)");
        for bad in ["", "a b", "a+b", "a\n", "\u{e4}", &"n".repeat(129)] {
            assert_eq!(WitnessVerifier::new(bad, [1; 32]), Err(NotANote::Key), "{bad:?}");
        }
        assert!(WitnessVerifier::new(&"n".repeat(128), [1; 32]).is_ok());
    }

    #[test]
    fn what_is_not_one_line_is_not_added() {
        let note = log().sign(&checkpoint().text());
        let line = witness(1).cosign(&checkpoint(), 7);
        for wrong in ["", "\n", "x\n", &line[..line.len() - 1], &format!("{line}{line}"), &format!("\n{line}")] {
            assert!(with_line(&note, wrong).is_err(), "{wrong:?}");
        }
    }

    /// Made by another implementation of Ed25519 and SHA-256 (Python's `cryptography`), from the specification's words.
    #[test]
    fn another_implementation_cosigns_the_same_bytes() {
        let key = "witness.example/1+f4031348+BIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
        let line = concat!(
            "\u{2014} witness.example/1 ",
            "9AMTSAAAAABlU/EAR8Wd0fjcRXTAFyQyMNz3RHrk3qnx8CzJf8hA",
            "qDRIsDXZr+O4k9PtMALlAY3vfWQBSciJkWi6dtFvVUtJBVF4Ag==\n",
        );
        assert_eq!(witness(1).verifier().line(), key);
        assert_eq!(witness(1).cosign(&checkpoint(), 1_700_000_000), line);
        let note = with_line(&log().sign(&checkpoint().text()), line).unwrap();
        assert_eq!(WitnessVerifier::parse(key).unwrap().cosigned_at(&note), Ok(Some(1_700_000_000)));
    }
}
