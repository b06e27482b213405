//! A keyholder's log as its readers see it: what it serves, and what a witness has seen of it.
//!
//! A gateway that shows two histories shows each of them to somebody. A wallet therefore takes the newest checkpoint from a
//! witness, not from the gateway, remembers it, and asks the log to prove that everything it was ever shown lies in that
//! one tree: [`Watch`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use parcelshelf_exchange::{Client, Silence, get};
use parcelshelf_log::Hash;
use parcelshelf_log::cosign::WitnessVerifier;
use parcelshelf_log::note::{Checkpoint, LogVerifier, NOTE_BYTES_MAX, NotANote};
use parcelshelf_log::proof::PublicProof;
use parcelshelf_log::tile::{FromTiles, TileId, TileKind, Tiles, WIDTH};
use parcelshelf_log::tree::{MissingHash, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion};
use parcelshelf_log::witness::origin_hash;

const DEADLINE: Duration = Duration::from_secs(20);
/// Bytes of a full tile of hashes.
const TILE_BYTES: usize = 256 * 32;
/// Rounds of fetching: a proof asks for at most two tiles per level of tiles.
const ROUNDS_MAX: usize = 16;

/// What is wrong, and so who has to answer for it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    #[error("{0}: no answer: {1}")]
    NoAnswer(String, Silence),
    #[error("{0}: answered with {1}")]
    Status(String, u16),
    #[error("{0}: an answer in another form than a log's")]
    Form(String),
    #[error("the checkpoint does not hold: {0}")]
    Checkpoint(#[from] NotANote),
    #[error("the witness hands out a checkpoint that it has not cosigned")]
    NotCosigned,
    #[error("{0} is withheld: the checkpoint covers it, and there is none")]
    Withheld(String),
    #[error("the log had {old} leaves and has {new} now: it went back")]
    WentBack { old: u64, new: u64 },
    #[error("the log shows two histories: the tree of {old} leaves is not the beginning of the one of {new}")]
    Fork { old: u64, new: u64 },
    #[error("the log does not hold this leaf at {index}")]
    NotIncluded { index: u64 },
}

/// Reads one log.
#[derive(Debug)]
pub struct LogReader {
    client: Client,
    base: String,
    log: LogVerifier,
}

impl LogReader {
    /// `url`: where the log is served, such as `https://gateway.example/log`.
    #[must_use]
    pub fn new(client: &Client, url: &str, log: LogVerifier) -> Self {
        Self { client: client.clone(), base: url.trim_end_matches('/').to_owned(), log }
    }

    /// What the log itself serves as its newest checkpoint, with every signature line.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn checkpoint(&self) -> Result<(String, Checkpoint), Trouble> {
        let note = note_at(&self.client, &format!("{}/checkpoint", self.base)).await?;
        let checkpoint = Checkpoint::verify(&note, &self.log)?;
        Ok((note, checkpoint))
    }

    /// The public proof of a leaf under the log's newest checkpoint, checked.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn prove(&self, leaf: Hash, index: u64) -> Result<PublicProof, Trouble> {
        let (note, checkpoint) = self.checkpoint().await?;
        if index >= checkpoint.size {
            return Err(Trouble::NotIncluded { index });
        }
        let inclusion = self.with_tiles(checkpoint.size, |t| inclusion_proof(t, index, checkpoint.size)).await?;
        if !verify_inclusion(&leaf, index, checkpoint.size, &inclusion, &checkpoint.root) {
            return Err(Trouble::NotIncluded { index });
        }
        Ok(PublicProof { leaf, index, inclusion, note })
    }

    /// Asks the log to prove that the older of two signed trees is the beginning of the newer one.
    ///
    /// # Errors
    /// [`Trouble::Fork`] when it is not.
    pub async fn continues(&self, one: &Checkpoint, other: &Checkpoint) -> Result<(), Trouble> {
        let (old, new) = if one.size <= other.size { (one, other) } else { (other, one) };
        let proof = if old.size == 0 || old.size == new.size {
            Vec::new()
        } else {
            self.with_tiles(new.size, |t| consistency_proof(t, old.size, new.size)).await?
        };
        if verify_consistency(old.size, new.size, &proof, &old.root, &new.root) {
            Ok(())
        } else {
            Err(Trouble::Fork { old: old.size, new: new.size })
        }
    }

    /// Fetches the tiles that a proof asks for until it can be made.
    async fn with_tiles(
        &self,
        size: u64,
        make: impl Fn(&FromTiles<'_, Fetched>) -> Result<Vec<Hash>, MissingHash>,
    ) -> Result<Vec<Hash>, Trouble> {
        let mut tiles = Fetched::default();
        for _ in 0..ROUNDS_MAX {
            if let Ok(proof) = make(&FromTiles(&tiles)) {
                return Ok(proof);
            }
            for (level, number) in tiles.wanted.take() {
                let id = tile(level, number, size);
                let url = format!("{}/{}", self.base, id.path());
                let (status, bytes) = fetched(&self.client, &url, TILE_BYTES).await?;
                match status {
                    200 if bytes.len() == usize::from(id.width) * 32 => {}
                    200 => return Err(Trouble::Form(url)),
                    404 => return Err(Trouble::Withheld(id.path())),
                    other => return Err(Trouble::Status(url, other)),
                }
                tiles.have.insert((level, number), bytes.to_vec());
            }
        }
        Err(Trouble::Form(self.base.clone()))
    }
}

/// Tiles fetched so far, and what was asked for and is not there yet.
#[derive(Default)]
struct Fetched {
    have: BTreeMap<(u8, u64), Vec<u8>>,
    wanted: RefCell<Vec<(u8, u64)>>,
}
impl Tiles for Fetched {
    fn hashes(&self, level: u8, number: u64) -> Option<&[u8]> {
        let found = self.have.get(&(level, number)).map(Vec::as_slice);
        if found.is_none() {
            self.wanted.borrow_mut().push((level, number));
        }
        found
    }
}

/// The tile as wide as a tree of this size has it. Proofs ask for tiles that the tree has; one hash is the least.
fn tile(level: u8, number: u64, size: u64) -> TileId {
    let hashes = size.checked_shr(u32::from(level) * 8).unwrap_or(0);
    let width = hashes.saturating_sub(number.saturating_mul(WIDTH)).clamp(1, WIDTH);
    TileId { kind: TileKind::Hashes { level }, number, width: u16::try_from(width).unwrap_or(256) }
}

async fn fetched(client: &Client, url: &str, max: usize) -> Result<(u16, Bytes), Trouble> {
    let request = get(url).map_err(|_| Trouble::Form(url.to_owned()))?;
    let answer = client.send(request, DEADLINE, max).await.map_err(|s| Trouble::NoAnswer(url.to_owned(), s))?;
    match (answer.status.as_u16(), answer.body) {
        (200, None) => Err(Trouble::Form(url.to_owned())),
        (status, body) => Ok((status, body.unwrap_or_default())),
    }
}
async fn note_at(client: &Client, url: &str) -> Result<String, Trouble> {
    match fetched(client, url, NOTE_BYTES_MAX).await? {
        (200, bytes) => String::from_utf8(bytes.to_vec()).map_err(|_| Trouble::Form(url.to_owned())),
        (status, _) => Err(Trouble::Status(url.to_owned(), status)),
    }
}

/// A log through the eyes of a witness; remembers the newest tree that it saw.
#[derive(Debug)]
pub struct Watch {
    log: LogReader,
    witness: WitnessVerifier,
    url: String,
    newest: Option<Checkpoint>,
}

impl Watch {
    /// `newest`: what was remembered from the last time.
    #[must_use]
    pub fn new(log: LogReader, witness: WitnessVerifier, url: &str, newest: Option<Checkpoint>) -> Self {
        Self { log, witness, url: url.trim_end_matches('/').to_owned(), newest }
    }
    /// To be kept for the next time.
    #[must_use]
    pub const fn newest(&self) -> Option<&Checkpoint> {
        self.newest.as_ref()
    }

    /// The newest tree that the witness has seen. It must go on from the one that was remembered, by the log's own proof.
    ///
    /// # Errors
    /// [`Trouble::WentBack`], [`Trouble::Fork`] above all; what was remembered stays then.
    pub async fn look(&mut self) -> Result<&Checkpoint, Trouble> {
        let url = format!("{}/{}/checkpoint", self.url, origin_hash(self.log.log.name()));
        let note = note_at(&self.log.client, &url).await?;
        let seen = Checkpoint::verify(&note, &self.log.log)?;
        if self.witness.cosigned_at(&note)?.is_none() {
            return Err(Trouble::NotCosigned);
        }
        if let Some(old) = &self.newest {
            if seen.size < old.size {
                return Err(Trouble::WentBack { old: old.size, new: seen.size });
            }
            self.log.continues(old, &seen).await?;
        }
        Ok(self.newest.insert(seen))
    }

    /// Whether a checkpoint that the gateway has shown (in a bundle, say) is of the history that the witness has seen.
    ///
    /// # Errors
    /// [`Trouble::Fork`] when it is not; [`Trouble::WentBack`] while the witness has not seen as much yet: look again.
    pub async fn agrees(&self, shown: &Checkpoint) -> Result<(), Trouble> {
        let size = self.newest.as_ref().map_or(0, |n| n.size);
        match &self.newest {
            Some(newest) if shown.size <= newest.size => self.log.continues(shown, newest).await,
            _ => Err(Trouble::WentBack { old: shown.size, new: size }),
        }
    }
}
