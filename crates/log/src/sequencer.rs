//! The sequencer: which tiles new entries make, and when a checkpoint is due. The keyholder stores and signs.

use std::collections::BTreeMap;

use crate::Hash;
use crate::tile::{TileId, TileKind, WIDTH, bundled};
use crate::tree::{Frontier, leaf_hash};

/// At most one checkpoint per this much real time, and only when entries wait.
pub const CHECKPOINT_EVERY_MS: u64 = 1_000;
/// Most entries integrated in one step; more wait for the next.
pub const STEP_ENTRIES_MAX: usize = 4 * 256;

/// What one step changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Hash tiles and entry bundles, the widest version of each.
    pub tiles: BTreeMap<TileId, Vec<u8>>,
    pub frontier: Frontier,
}

/// Plans how `entries` are appended to the tree of `frontier`. `tile` gives the stored bytes of the widest version of a
/// tile (hash tile or bundle), for the partial ones on the right edge.
#[must_use]
pub fn plan(frontier: &Frontier, entries: &[Hash], tile: impl Fn(TileKind, u64) -> Option<Vec<u8>>) -> Plan {
    let mut frontier = frontier.clone();
    let mut growing: BTreeMap<(TileKind, u64), Vec<u8>> = BTreeMap::new();
    let mut grow = |kind: TileKind, index: u64, bytes: &[u8]| {
        let number = index / WIDTH;
        let entry = growing.entry((kind, number)).or_insert_with(|| {
            if index.is_multiple_of(WIDTH) { Vec::new() } else { tile(kind, number).unwrap_or_default() }
        });
        entry.extend_from_slice(bytes);
    };
    for entry in entries {
        grow(TileKind::Entries, frontier.size(), &bundled(entry));
        frontier.append(leaf_hash(entry), |level, index, hash| {
            if level.is_multiple_of(8) {
                grow(TileKind::Hashes { level: level / 8 }, index, &hash);
            }
        });
    }
    let tiles = growing.into_iter().map(|((kind, number), bytes)| {
        let each = if kind == TileKind::Entries { 34 } else { 32 };
        let width = u16::try_from(bytes.len() / each).unwrap_or(256);
        (TileId { kind, number, width }, bytes)
    });
    Plan { tiles: tiles.collect(), frontier }
}

/// Says when a checkpoint is due, in real milliseconds of a monotonic clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pacer {
    last_ms: Option<u64>,
}
impl Pacer {
    /// How long to wait before the next checkpoint may be signed: zero when it is due now.
    #[must_use]
    pub fn wait_ms(&self, now_ms: u64) -> u64 {
        self.last_ms.map_or(0, |last| (last + CHECKPOINT_EVERY_MS).saturating_sub(now_ms))
    }
    /// A checkpoint was signed.
    pub const fn signed(&mut self, now_ms: u64) {
        self.last_ms = Some(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tile::{FromTiles, Tiles, Upper, WithUpper, unbundled};
    use crate::tree;

    #[derive(Default)]
    struct Stored(BTreeMap<(TileKind, u64), Vec<u8>>);
    impl Tiles for Stored {
        fn hashes(&self, level: u8, number: u64) -> Option<&[u8]> {
            self.0.get(&(TileKind::Hashes { level }, number)).map(Vec::as_slice)
        }
    }

    fn entries(from: u64, to: u64) -> Vec<Hash> {
        (from..to).map(|n| crate::sha256(&[&n.to_be_bytes()])).collect()
    }

    #[test]
    fn tiles_give_the_same_tree_however_they_were_grown() {
        let sizes = [0, 1, 2, 255, 256, 257, 300, 511, 512, 1000, 66_000];
        let (mut stored, mut frontier) = (Stored::default(), Frontier::default());
        // Kept while the log grows, as a service keeps it.
        let upper = Upper::default();
        for pair in sizes.windows(2) {
            for start in (pair[0]..pair[1]).step_by(STEP_ENTRIES_MAX) {
                let more = entries(start, (start + STEP_ENTRIES_MAX as u64).min(pair[1]));
                let planned = plan(&frontier, &more, |kind, number| stored.0.get(&(kind, number)).cloned());
                frontier = planned.frontier;
                for (id, bytes) in planned.tiles {
                    stored.0.insert((id.kind, id.number), bytes);
                }
            }
            let size = pair[1];
            let tree = FromTiles(&stored);
            assert_eq!(tree::root_of(&tree, size), Ok(frontier.root()), "{size}");
            assert_eq!(Frontier::of(&tree, size), Ok(frontier.clone()), "{size}");
            let kept = WithUpper { tiles: &stored, upper: &upper };
            for index in (0..size).step_by(1 + size as usize / 50).chain([size - 1]) {
                let proof = tree::inclusion_proof(&tree, index, size).unwrap();
                let leaf = leaf_hash(&entries(index, index + 1)[0]);
                assert!(tree::verify_inclusion(&leaf, index, size, &proof, &frontier.root()), "{size}");
                assert_eq!(tree::inclusion_proof(&kept, index, size), Ok(proof), "{index} of {size}");
            }
            for old in [1, size / 2, size - 1] {
                let proof = tree::consistency_proof(&tree, old, size);
                assert!(proof.is_ok());
                assert_eq!(tree::consistency_proof(&kept, old, size), proof, "from {old} to {size}");
            }
        }
        let last = stored.0.get(&(TileKind::Entries, 66_000 / 256)).unwrap();
        assert_eq!(unbundled(last), Some(entries(66_000 / 256 * 256, 66_000)));
    }

    #[test]
    fn at_most_one_checkpoint_a_second() {
        let mut pacer = Pacer::default();
        assert_eq!(pacer.wait_ms(5), 0);
        pacer.signed(5);
        assert_eq!((pacer.wait_ms(6), pacer.wait_ms(1004), pacer.wait_ms(1005)), (999, 1, 0));
    }
}
