//! Going through a log from outside: every entry, every tile and the root, from nothing or from where one was before.
//!
//! Pure: whoever audits fetches bytes and hands them in. What was checked is remembered as [`Position`], a few hashes, so
//! that going on later costs only what is new and shows by itself that nothing before it has changed.

use std::collections::BTreeMap;

use crate::Hash;
use crate::tile::{TileId, TileKind, WIDTH, unbundled};
use crate::tree::{Frontier, leaf_hash};

/// What is wrong with a log, precisely.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Complaint {
    #[error("{0} does not hold entries of 32 bytes, or another number of them than its name says")]
    NotEntries(String),
    #[error("{0} differs from the hashes of the entries: at position {1} of the tile")]
    OtherTile(String, usize),
    #[error("the checkpoint of {0} leaves has another root than the entries that are served")]
    OtherRoot(u64),
    #[error("the checkpoint has {new} leaves, but {old} were there before: the log went back")]
    WentBack { old: u64, new: u64 },
    #[error("entries that were there before are not the ones that the log is built on now")]
    OtherPast,
}

/// How far a log was checked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Position(Frontier);

impl Position {
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.0.size()
    }
    /// Complete subtrees on the right edge, largest first: what to store.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        self.0.peaks()
    }
    /// As stored; `None` unless there are as many peaks as that size has.
    #[must_use]
    pub fn from_parts(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        Frontier::from_parts(size, peaks).map(Self)
    }
    #[must_use]
    pub fn root(&self) -> Hash {
        self.0.root()
    }
}

/// Goes from a position to a checkpoint's size.
#[derive(Debug)]
pub struct Walk {
    at: Frontier,
    to: u64,
    /// Hash tiles as they must be: first known position and hashes from there on.
    expected: BTreeMap<(u8, u64), (usize, Vec<u8>)>,
}

impl Walk {
    /// # Errors
    /// [`Complaint::WentBack`].
    pub fn new(from: &Position, to: u64) -> Result<Self, Complaint> {
        if to < from.size() {
            return Err(Complaint::WentBack { old: from.size(), new: to });
        }
        Ok(Self { at: from.0.clone(), to, expected: BTreeMap::new() })
    }

    /// Bundles of entries still to be handed in, in this order.
    pub fn bundles(&self) -> impl Iterator<Item = TileId> + use<> {
        let (from, to) = (self.at.size(), self.to);
        let numbers = if from == to { 0..0 } else { from / WIDTH..to.div_ceil(WIDTH) };
        numbers.map(move |number| {
            let width = u16::try_from((to - number * WIDTH).min(WIDTH)).unwrap_or(256);
            TileId { kind: TileKind::Entries, number, width }
        })
    }

    /// Takes the next bundle. Entries of it that were checked before are passed over here: the root covers them.
    ///
    /// # Errors
    /// [`Complaint::NotEntries`].
    pub fn entries(&mut self, id: TileId, bytes: &[u8]) -> Result<(), Complaint> {
        let entries = unbundled(bytes).filter(|e| e.len() == usize::from(id.width));
        let entries = entries.ok_or_else(|| Complaint::NotEntries(id.path()))?;
        let known = usize::try_from(self.at.size() - id.number * WIDTH).unwrap_or(usize::MAX);
        let Self { at, expected, .. } = self;
        for entry in entries.iter().skip(known) {
            at.append(leaf_hash(entry), |level, index, hash| {
                if level.is_multiple_of(8) {
                    let first = (index % WIDTH) as usize;
                    let tile = expected.entry((level / 8, index / WIDTH)).or_insert((first, Vec::new()));
                    tile.1.extend_from_slice(&hash);
                }
            });
        }
        Ok(())
    }

    /// Hash tiles that became complete, or are the last of their level, since this was asked last.
    pub fn tiles(&mut self) -> Vec<(TileId, Expected)> {
        let done = self.at.size() == self.to;
        let full = |(first, bytes): &(usize, Vec<u8>)| *first + bytes.len() / 32 == 256;
        let ready: Vec<_> = self.expected.iter().filter(|(_, t)| done || full(t)).map(|(key, _)| *key).collect();
        let take = |key: (u8, u64)| {
            let (first, bytes) = self.expected.remove(&key)?;
            let width = u16::try_from(first + bytes.len() / 32).unwrap_or(256);
            let id = TileId { kind: TileKind::Hashes { level: key.0 }, number: key.1, width };
            Some((id, Expected { id, first, bytes }))
        };
        ready.into_iter().filter_map(take).collect()
    }

    /// The position reached, if all was handed in and the root is this.
    ///
    /// # Errors
    /// [`Complaint::OtherRoot`]; [`Complaint::OtherPast`] when nothing is new and yet the root is another.
    pub fn finish(self, root: &Hash, from: &Position) -> Result<Position, Complaint> {
        if self.at.size() == self.to && self.at.root() == *root {
            return Ok(Position(self.at));
        }
        if from.size() == self.to { Err(Complaint::OtherPast) } else { Err(Complaint::OtherRoot(self.to)) }
    }
}

/// A hash tile as the entries make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    id: TileId,
    first: usize,
    bytes: Vec<u8>,
}
impl Expected {
    /// # Errors
    /// [`Complaint::OtherTile`] with the first position that differs.
    pub fn check(&self, served: &[u8]) -> Result<(), Complaint> {
        let wrong = |at| Err(Complaint::OtherTile(self.id.path(), at));
        if served.len() != usize::from(self.id.width) * 32 {
            return wrong(served.len() / 32);
        }
        let own = served.get(self.first * 32..).unwrap_or_default();
        match own.chunks(32).zip(self.bytes.chunks(32)).position(|(a, b)| a != b) {
            Some(at) => wrong(self.first + at),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequencer::plan;
    use crate::tile::TileId;

    #[derive(Default)]
    struct Log {
        tiles: BTreeMap<(TileKind, u64), Vec<u8>>,
        frontier: Frontier,
    }
    impl Log {
        fn grow(&mut self, to: u64) {
            while self.frontier.size() < to {
                let from = self.frontier.size();
                let more: Vec<Hash> = (from..to.min(from + 300)).map(|n| crate::sha256(&[&n.to_be_bytes()])).collect();
                let planned = plan(&self.frontier, &more, |kind, number| self.tiles.get(&(kind, number)).cloned());
                self.frontier = planned.frontier;
                self.tiles.extend(planned.tiles.into_iter().map(|(id, bytes)| ((id.kind, id.number), bytes)));
            }
        }
        fn serves(&self, id: TileId) -> Vec<u8> {
            let each = if id.kind == TileKind::Entries { 34 } else { 32 };
            let mut bytes = self.tiles[&(id.kind, id.number)].clone();
            bytes.truncate(usize::from(id.width) * each);
            bytes
        }
        fn audited(&self, from: &Position) -> Result<(Position, usize), Complaint> {
            let mut walk = Walk::new(from, self.frontier.size())?;
            let mut tiles = 0;
            for id in walk.bundles() {
                walk.entries(id, &self.serves(id))?;
                for (id, expected) in walk.tiles() {
                    expected.check(&self.serves(id))?;
                    tiles += 1;
                }
                assert!(walk.expected.len() <= 2, "what is whole is handed out, not kept");
            }
            walk.finish(&self.frontier.root(), from).map(|p| (p, tiles))
        }
    }

    #[test]
    fn step_by_step_or_at_once_the_same_position() {
        let (mut log, mut at) = (Log::default(), Position::default());
        for size in [0, 1, 255, 256, 257, 700, 700, 66_000, 66_048] {
            log.grow(size);
            at = log.audited(&at).unwrap().0;
            assert_eq!(log.audited(&Position::default()).unwrap().0, at, "{size}");
            assert_eq!(at.root(), log.frontier.root(), "{size}");
            assert_eq!(Position::from_parts(at.size(), at.peaks().to_vec()), Some(at.clone()), "{size}");
        }
        assert_eq!(log.audited(&Position::default()).unwrap().1, 258 + 2 + 1, "every hash tile was looked at");
        assert_eq!(Position::from_parts(7, vec![[0; 32]; 2]), None);
    }

    #[test]
    fn the_auditor_detects_a_removed_a_changed_and_a_renumbered_record() {
        let mut log = Log::default();
        log.grow(700);
        let entries = (TileKind::Entries, 1);
        let good = log.tiles[&entries].clone();
        let complaint = |log: &Log| log.audited(&Position::default()).unwrap_err();
        let tile = |at| Complaint::OtherTile(String::from("tile/0/001"), at);
        log.tiles.get_mut(&entries).unwrap()[34 * 7 + 5] ^= 1;
        assert_eq!(complaint(&log), tile(7), "changed");
        let (before, after) = good.split_at(34 * 3);
        log.tiles.insert(entries, [before, &after[34..]].concat());
        assert_eq!(complaint(&log), Complaint::NotEntries(String::from("tile/entries/001")), "removed");
        let mut swapped = good.clone();
        swapped.copy_within(34 * 9..34 * 10, 34 * 10);
        swapped[34 * 9..34 * 10].copy_from_slice(&good[34 * 10..34 * 11]);
        log.tiles.insert(entries, swapped);
        assert_eq!(complaint(&log), tile(9), "renumbered");
    }

    #[test]
    fn the_auditor_tells_how_much_of_a_tile_is_there() {
        let mut log = Log::default();
        log.grow(700);
        for (hashes, key) in [(5, (TileKind::Hashes { level: 0 }, 1)), (1, (TileKind::Hashes { level: 1 }, 0))] {
            let whole = log.tiles[&key].clone();
            log.tiles.insert(key, whole[..32 * hashes].to_vec());
            let told = log.audited(&Position::default()).unwrap_err();
            assert!(matches!(&told, Complaint::OtherTile(_, at) if *at == hashes), "{told}");
            log.tiles.insert(key, whole);
        }
    }

    #[test]
    fn the_auditor_detects_a_log_that_went_back_or_has_another_past() {
        let mut log = Log::default();
        log.grow(700);
        let at = log.audited(&Position::default()).unwrap().0;
        let mut shorter = Log::default();
        shorter.grow(600);
        assert_eq!(shorter.audited(&at).unwrap_err(), Complaint::WentBack { old: 700, new: 600 });
        let mut peaks = at.peaks().to_vec();
        peaks[0][0] ^= 1;
        let other = Position::from_parts(700, peaks).unwrap();
        assert_eq!(log.audited(&other).unwrap_err(), Complaint::OtherPast);
        log.grow(800);
        assert_eq!(log.audited(&other).unwrap_err(), Complaint::OtherRoot(800));
    }
}
