//! The Merkle tree of RFC 6962 §2.1 (RFC 9162 §2.1): hashes, frontier, inclusion and consistency proofs.

use crate::{Hash, sha256};

/// Longest proof: a tree of 2^63 leaves.
pub const PROOF_HASHES_MAX: usize = 64;

/// SHA-256(0x00 ‖ entry).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry])
}
/// SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}
/// The root of the empty tree: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// The root over leaf hashes, by definition: slow and obviously right; for tests and small trees.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(split(many.len() as u64) as usize);
            node_hash(&root(left), &root(right))
        }
    }
}

/// The largest power of two below `n`, for `n` of at least 2.
const fn split(n: u64) -> u64 {
    1 << (63 - (n - 1).leading_zeros())
}

/// Hashes of complete subtrees: level 0 are leaf hashes, `(level, index)` covers leaves
/// `index << level .. (index + 1) << level`.
pub trait Subtrees {
    /// `None` if it is not stored.
    fn subtree(&self, level: u8, index: u64) -> Option<Hash>;
}

/// Some subtree that a proof needs is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash of the tree is missing: level {level}, index {index}")]
pub struct MissingHash {
    pub level: u8,
    pub index: u64,
}

/// The hash over leaves `start .. end`, where `start` is a multiple of the largest power of two in `end - start`'s range.
fn range(tree: &dyn Subtrees, start: u64, end: u64) -> Result<Hash, MissingHash> {
    let size = end - start;
    if size.is_power_of_two() {
        let level = size.trailing_zeros() as u8;
        let index = start >> level;
        return tree.subtree(level, index).ok_or(MissingHash { level, index });
    }
    let middle = start + split(size);
    Ok(node_hash(&range(tree, start, middle)?, &range(tree, middle, end)?))
}

/// The root of the tree of the first `size` leaves.
///
/// # Errors
/// [`MissingHash`].
pub fn root_of(tree: &dyn Subtrees, size: u64) -> Result<Hash, MissingHash> {
    if size == 0 { Ok(empty_root()) } else { range(tree, 0, size) }
}

/// The path from leaf `index` to the root of the first `size` leaves, deepest first (RFC 9162 §2.1.3.1).
///
/// # Errors
/// [`MissingHash`], also when `index` is not below `size`.
pub fn inclusion_proof(tree: &dyn Subtrees, index: u64, size: u64) -> Result<Vec<Hash>, MissingHash> {
    if index >= size {
        return Err(MissingHash { level: 0, index });
    }
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(range(tree, middle, end)?);
            end = middle;
        } else {
            path.push(range(tree, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Checks an inclusion proof (RFC 9162 §2.1.3.2).
#[must_use]
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size || proof.len() > PROOF_HASHES_MAX {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            if node & 1 == 0 {
                let skip = node.trailing_zeros().min(63);
                (node, last) = if node == 0 { (0, 0) } else { (node >> skip, last >> skip) };
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Proves that the tree of `old` leaves is a prefix of the tree of `new` leaves (RFC 9162 §2.1.4.1). Empty for equal
/// sizes and for an empty old tree.
///
/// # Errors
/// [`MissingHash`], also when `old` is greater than `new`.
pub fn consistency_proof(tree: &dyn Subtrees, old: u64, new: u64) -> Result<Vec<Hash>, MissingHash> {
    if old > new {
        return Err(MissingHash { level: 0, index: old });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let mut path = Vec::new();
    let (mut start, mut end, mut whole) = (0, new, true);
    while old != end {
        let middle = start + split(end - start);
        if old <= middle {
            path.push(range(tree, middle, end)?);
            end = middle;
        } else {
            path.push(range(tree, start, middle)?);
            start = middle;
            whole = false;
        }
    }
    if !whole {
        path.push(range(tree, start, end)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks a consistency proof (RFC 9162 §2.1.4.2).
#[must_use]
pub fn verify_consistency(old: u64, new: u64, proof: &[Hash], old_root: &Hash, new_root: &Hash) -> bool {
    if old > new || proof.len() > PROOF_HASHES_MAX {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty() && *old_root == empty_root();
    }
    let mut path = proof.iter();
    let (mut node, mut last) = (old - 1, new - 1);
    let skip = node.trailing_ones().min(63);
    (node, last) = (node >> skip, last >> skip);
    let first = if node == 0 { Some(old_root) } else { path.next() };
    let Some(first) = first else { return false };
    let (mut of_old, mut of_new) = (*first, *first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            of_old = node_hash(sibling, &of_old);
            of_new = node_hash(sibling, &of_new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            of_new = node_hash(&of_new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && of_old == *old_root && of_new == *new_root
}

/// The complete subtrees on the right edge, largest first: all that appending needs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frontier {
    size: u64,
    /// One hash per one-bit of `size`, from the highest.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// From a stored tree.
    ///
    /// # Errors
    /// [`MissingHash`].
    pub fn of(tree: &dyn Subtrees, size: u64) -> Result<Self, MissingHash> {
        let mut peaks = Vec::new();
        let mut start = 0;
        for level in (0..64_u8).rev().filter(|l| size >> l & 1 == 1) {
            peaks.push(tree.subtree(level, start >> level).ok_or(MissingHash { level, index: start >> level })?);
            start += 1 << level;
        }
        Ok(Self { size, peaks })
    }
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }
    /// The complete subtrees, largest first.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }
    /// As it was written down; `None` unless there is one peak per one-bit of the size.
    #[must_use]
    pub fn from_parts(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }
    /// Appends one leaf and tells every complete subtree that this makes, smallest first.
    pub fn append(&mut self, leaf: Hash, mut made: impl FnMut(u8, u64, Hash)) {
        let mut hash = leaf;
        made(0, self.size, hash);
        for level in 1..=self.size.trailing_ones() {
            // There is one peak per one-bit, so as many as there are trailing ones.
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            made(level as u8, self.size >> level, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return empty_root() };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Memory(BTreeMap<(u8, u64), Hash>);
    impl Subtrees for Memory {
        fn subtree(&self, level: u8, index: u64) -> Option<Hash> {
            self.0.get(&(level, index)).copied()
        }
    }

    fn leaves(n: u64) -> Vec<Hash> {
        (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }
    fn grown(n: u64) -> (Memory, Frontier) {
        let (mut memory, mut frontier) = (Memory::default(), Frontier::default());
        for leaf in leaves(n) {
            frontier.append(leaf, |level, index, hash| assert!(memory.0.insert((level, index), hash).is_none()));
        }
        (memory, frontier)
    }

    #[test]
    fn roots_are_those_of_the_definition() {
        // RFC 6962 test vector: the empty tree.
        let empty: String = empty_root().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(empty, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for n in 0..70 {
            let (memory, frontier) = grown(n);
            assert_eq!(frontier.root(), root(&leaves(n)), "{n}");
            assert_eq!(root_of(&memory, n), Ok(root(&leaves(n))), "{n}");
            assert_eq!(Frontier::of(&memory, n), Ok(frontier), "{n}");
        }
    }

    #[test]
    fn every_inclusion_up_to_forty_leaves() {
        let (memory, _) = grown(40);
        for size in 1..=40 {
            let root = root(&leaves(size));
            for index in 0..size {
                let proof = inclusion_proof(&memory, index, size).unwrap();
                let leaf = leaves(size)[index as usize];
                assert!(verify_inclusion(&leaf, index, size, &proof, &root), "{index} of {size}");
                for other in (0..size).filter(|o| *o != index) {
                    assert!(!verify_inclusion(&leaf, other, size, &proof, &root), "{index} as {other} of {size}");
                }
            }
        }
    }

    #[test]
    fn every_consistency_up_to_forty_leaves() {
        let (memory, _) = grown(40);
        for new in 0..=40 {
            for old in 0..=new {
                let proof = consistency_proof(&memory, old, new).unwrap();
                let (a, b) = (root(&leaves(old)), root(&leaves(new)));
                assert!(verify_consistency(old, new, &proof, &a, &b), "{old} to {new}");
                if old != new {
                    assert!(!verify_consistency(old, new, &proof, &b, &a), "{old} to {new}, swapped");
                }
            }
        }
    }

    #[test]
    fn a_hash_that_is_not_stored_is_named() {
        let (mut memory, frontier) = grown(6);
        memory.0.remove(&(1, 2)).unwrap();
        let missing = MissingHash { level: 1, index: 2 };
        assert_eq!(Frontier::of(&memory, 6), Err(missing));
        assert_eq!(root_of(&memory, 6), Err(missing));
        assert_eq!(Frontier::from_parts(6, frontier.peaks().to_vec()), Some(frontier));
    }

    proptest! {
        #[test]
        fn a_changed_proof_proves_nothing(size in 2..300u64, pick in any::<(u64, usize, u8)>()) {
            let (memory, frontier) = grown(size);
            let index = pick.0 % size;
            let mut proof = inclusion_proof(&memory, index, size).unwrap();
            let leaf = leaves(size)[index as usize];
            prop_assert!(verify_inclusion(&leaf, index, size, &proof, &frontier.root()));
            let at = pick.1 % proof.len();
            proof[at][usize::from(pick.2 % 32)] ^= 1 << (pick.2 % 8);
            prop_assert!(!verify_inclusion(&leaf, index, size, &proof, &frontier.root()));
        }
        #[test]
        fn a_fork_is_not_consistent(old in 1..100u64, more in 1..100u64) {
            let (memory, frontier) = grown(old + more);
            let mut forked = leaves(old);
            forked[0][0] ^= 1;
            let proof = consistency_proof(&memory, old, old + more).unwrap();
            prop_assert!(!verify_consistency(old, old + more, &proof, &root(&forked), &frontier.root()));
        }
    }
}
