// The Merkle tree of RFC 6962 §2.1, and its proofs (RFC 9162 §2.1.3, §2.1.4).

import { equal, type Bytes } from '../bytes';
import { sha256Bytes } from '../hash';

const PROOF_HASHES_MAX = 64;
const LEAF = new Uint8Array(1);
const NODE = Uint8Array.of(1);

export function leafHash(entry: Uint8Array): Bytes {
  return sha256Bytes(LEAF, entry);
}
export function nodeHash(left: Uint8Array, right: Uint8Array): Bytes {
  return sha256Bytes(NODE, left, right);
}
export function treeRoot(leaves: readonly Bytes[]): Bytes {
  if (leaves.length === 0) return sha256Bytes();
  if (leaves.length === 1) return leaves[0]!;
  let left = 1;
  while (left * 2 < leaves.length) left *= 2;
  return nodeHash(treeRoot(leaves.slice(0, left)), treeRoot(leaves.slice(left)));
}

// Sizes go up to 2^53, beyond what the bit operators can do.
const isOdd = (n: number): boolean => n % 2 === 1;
const half = (n: number): number => Math.floor(n / 2);

export function verifyInclusion(leaf: Bytes, index: number, size: number, proof: readonly Bytes[], root: Bytes): boolean {
  if (index >= size || proof.length > PROOF_HASHES_MAX) return false;
  let [node, last, hash] = [index, size - 1, leaf];
  for (const sibling of proof) {
    if (last === 0) return false;
    if (isOdd(node) || node === last) {
      hash = nodeHash(sibling, hash);
      while (!isOdd(node) && node !== 0) [node, last] = [half(node), half(last)];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equal(hash, root);
}

export function verifyConsistency(
  old: number,
  size: number,
  proof: readonly Bytes[],
  oldRoot: Bytes,
  root: Bytes,
): boolean {
  if (old > size || proof.length > PROOF_HASHES_MAX) return false;
  if (old === size) return proof.length === 0 && equal(oldRoot, root);
  if (old === 0) return proof.length === 0 && equal(oldRoot, treeRoot([]));
  let [node, last] = [old - 1, size - 1];
  while (isOdd(node)) [node, last] = [half(node), half(last)];
  const path = [...proof];
  const first = node === 0 ? oldRoot : path.shift();
  if (!first) return false;
  let [ofOld, ofNew] = [first, first];
  for (const sibling of path) {
    if (last === 0) return false;
    if (isOdd(node) || node === last) {
      ofOld = nodeHash(sibling, ofOld);
      ofNew = nodeHash(sibling, ofNew);
      while (!isOdd(node) && node !== 0) [node, last] = [half(node), half(last)];
    } else {
      ofNew = nodeHash(ofNew, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equal(ofOld, oldRoot) && equal(ofNew, root);
}
