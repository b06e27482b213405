//! Tiles of height 8, as in C2SP `tlog-tiles`.
//!
//! A tile at level `L`, number `N` holds up to 256 hashes of subtrees of level `8·L`, from `N·256` on. Entry bundles hold
//! the entries of one level-0 tile, each with its length as two bytes, big-endian.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Hash;
use crate::tree::{Subtrees, node_hash};

/// Hashes in a full tile.
pub const WIDTH: u64 = 256;
/// Levels of subtrees per level of tiles.
const HEIGHT: u8 = 8;
/// Highest level of tiles: a tree of 2^48 leaves.
const LEVEL_MAX: u8 = 5;

/// Which tile.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TileId {
    pub kind: TileKind,
    pub number: u64,
    /// 1 to 256 hashes or entries; 256 is a full tile.
    pub width: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TileKind {
    Hashes { level: u8 },
    Entries,
}

impl TileId {
    /// Path below the log's address, such as `tile/0/x001/234.p/17` or `tile/entries/000`.
    #[must_use]
    pub fn path(&self) -> String {
        let kind = match self.kind {
            TileKind::Hashes { level } => level.to_string(),
            TileKind::Entries => String::from("entries"),
        };
        let mut groups = vec![format!("{:03}", self.number % 1000)];
        let mut rest = self.number / 1000;
        while rest > 0 {
            groups.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        groups.reverse();
        let partial = if u64::from(self.width) < WIDTH { format!(".p/{}", self.width) } else { String::new() };
        format!("tile/{kind}/{}{partial}", groups.join("/"))
    }

    /// Reads a path in its only spelling.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("tile/")?;
        let (kind, rest) = rest.split_once('/')?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes { level: level.parse().ok().filter(|l| *l <= LEVEL_MAX)? },
        };
        let (numbers, width) = match rest.split_once(".p/") {
            Some((numbers, width)) => (numbers, width.parse().ok().filter(|w| (1..256).contains(w))?),
            None => (rest, 256),
        };
        let mut number: u64 = 0;
        for group in numbers.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            number = number.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        // One spelling: what was read must be what would be written.
        Some(Self { kind, number, width }).filter(|id| id.path() == path)
    }
}

/// Where tiles are read from. The bytes of a hash tile are its hashes, one after another.
pub trait Tiles {
    /// The widest stored version of the tile with this level and number.
    fn hashes(&self, level: u8, number: u64) -> Option<&[u8]>;
}

/// Reads subtrees from tiles.
#[derive(Debug)]
pub struct FromTiles<'a, T: ?Sized>(pub &'a T);

impl<T: Tiles + ?Sized> Subtrees for FromTiles<'_, T> {
    fn subtree(&self, level: u8, index: u64) -> Option<Hash> {
        let (tile_level, inside) = (level / HEIGHT, level % HEIGHT);
        let first = index << inside;
        let tile = self.0.hashes(tile_level, first / WIDTH)?;
        let at = (first % WIDTH) as usize;
        let mut hashes = hashes_of(tile, at, 1 << inside)?;
        while hashes.len() > 1 {
            hashes = joined(&hashes);
        }
        hashes.first().copied()
    }
}

/// So many hashes of a tile, from one on.
fn hashes_of(tile: &[u8], at: usize, count: usize) -> Option<Vec<Hash>> {
    (at..at + count).map(|i| tile.get(i * 32..(i + 1) * 32)?.try_into().ok()).collect()
}
/// The level above these hashes.
fn joined(hashes: &[Hash]) -> Vec<Hash> {
    hashes.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect()
}

/// Subtrees inside full tiles above the leaves' own. A full tile never changes, there are few above the leaves, and every proof in a
/// large log asks for some of them: kept, a proof in a log of a million costs hardly more than in one of ten thousand.
#[derive(Default)]
pub struct Upper(Mutex<BTreeMap<(u8, u64), Inside>>);
/// The subtrees inside one tile.
type Inside = Arc<[Hash]>;
impl core::fmt::Debug for Upper {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Upper(..)")
    }
}
/// Tiles kept: 8 kB each, enough for every upper tile of a log of 67 million.
const UPPER_MAX: usize = 1_024;

impl Upper {
    /// The subtrees of this full tile: 128 of two hashes, 64 of four, and so on to two of 128. `None` while it is not full.
    fn inside(&self, tiles: &(impl Tiles + ?Sized), level: u8, number: u64) -> Option<Inside> {
        // Nothing is half-written when a thread dies: a tile is in it or not.
        if let Some(kept) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(level, number)) {
            return Some(Arc::clone(kept));
        }
        let mut hashes = hashes_of(tiles.hashes(level, number)?, 0, WIDTH as usize)?;
        let mut all = Vec::with_capacity(WIDTH as usize - 2);
        while hashes.len() > 2 {
            hashes = joined(&hashes);
            all.extend_from_slice(&hashes);
        }
        let all: Inside = all.into();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= UPPER_MAX {
            // The oldest of the lowest: who asks for it pays once more.
            kept.pop_first();
        }
        kept.insert((level, number), Arc::clone(&all));
        Some(all)
    }
}

/// Reads subtrees from tiles, and keeps those inside full upper ones.
#[derive(Debug)]
pub struct WithUpper<'a, T: ?Sized> {
    pub tiles: &'a T,
    /// Of the same log, always.
    pub upper: &'a Upper,
}
impl<T: Tiles + ?Sized> Subtrees for WithUpper<'_, T> {
    fn subtree(&self, level: u8, index: u64) -> Option<Hash> {
        let (tile_level, inside) = (level / HEIGHT, level % HEIGHT);
        let first = index << inside;
        if tile_level > 0
            && inside > 0
            && let Some(all) = self.upper.inside(self.tiles, tile_level, first / WIDTH)
        {
            // Before the level of `inside` stand 128 + 64 + … subtrees.
            let before = WIDTH - (WIDTH >> (inside - 1));
            return all.get((before + ((first % WIDTH) >> inside)) as usize).copied();
        }
        FromTiles(self.tiles).subtree(level, index)
    }
}

/// An entry as a bundle holds it.
#[must_use]
pub fn bundled(entry: &Hash) -> [u8; 34] {
    let mut bytes = [0; 34];
    bytes[1] = 32;
    bytes[2..].copy_from_slice(entry);
    bytes
}

/// The entries of a bundle; `None` unless each has 32 bytes.
#[must_use]
pub fn unbundled(bundle: &[u8]) -> Option<Vec<Hash>> {
    bundle
        .chunks(34)
        .map(|chunk| match chunk {
            [0, 32, entry @ ..] => entry.try_into().ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log whose tiles all have the same hashes, so that every one of them is there.
    struct Endless(Vec<u8>);
    impl Tiles for Endless {
        fn hashes(&self, _: u8, _: u64) -> Option<&[u8]> {
            Some(&self.0)
        }
    }

    #[test]
    fn subtrees_of_upper_tiles_are_kept_up_to_a_number_and_are_what_the_tiles_say() {
        let tiles = Endless((0..WIDTH * 32).map(|n| (n % 251) as u8).collect());
        let upper = Upper::default();
        let (kept, plain) = (WithUpper { tiles: &tiles, upper: &upper }, FromTiles(&tiles));
        for level in [0, 7, 8, 9, 12, 15, 16, 17, 23] {
            for index in [0, 1, 2, 127] {
                assert_eq!(kept.subtree(level, index), plain.subtree(level, index), "level {level}, index {index}");
            }
        }
        for tile in 0..UPPER_MAX as u64 + 10 {
            assert_eq!(kept.subtree(15, tile * 2 + 1), plain.subtree(15, 1));
        }
        assert_eq!(upper.0.lock().unwrap().len(), UPPER_MAX);
    }

    #[test]
    fn paths_as_in_the_specification() {
        for (kind, number, width, path) in [
            (TileKind::Hashes { level: 0 }, 1_234_067, 256, "tile/0/x001/x234/067"),
            (TileKind::Hashes { level: 1 }, 0, 1, "tile/1/000.p/1"),
            (TileKind::Entries, 1_000, 255, "tile/entries/x001/000.p/255"),
        ] {
            let id = TileId { kind, number, width };
            assert_eq!(id.path(), path);
            assert_eq!(TileId::parse(path), Some(id));
        }
        for wrong in [
            "tile/0/1",
            "tile/0/x000/001",
            "tile/6/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/00/000",
            "tile/0/001/x002",
            "tile/0/../000",
            "",
            "tile/entries/0000",
            "tile/0/+01",
            "tile/0/0001",
            "tile/0/01",
            "tile/0/-01",
            "tile/0/",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
        ] {
            assert_eq!(TileId::parse(wrong), None, "{wrong}");
        }
    }
}
