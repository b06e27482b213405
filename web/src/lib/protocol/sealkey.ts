// Names and purposes of sealing: what can be known without the library that seals (seal.ts loads that when it is needed).

import { b64, fromB64, type Bytes } from './bytes';
import { sha256, type Hash } from './hash';
import { Refused } from './refused';
import { oneOf } from './text';

/** ML-KEM-768 ‖ X25519. */
export const SEAL_KEY_BYTES = 1216;
const ML_KEM_POLYNOMIALS = 1152;
const ML_KEM_Q = 3329;

/** An X-Wing public key. */
export class SealPublicKey {
  readonly bytes: Bytes;
  /** The name of the key: SHA-256 of its bytes. */
  readonly hash: Hash;
  readonly text: string;
  constructor(bytes: Bytes) {
    if (bytes.length !== SEAL_KEY_BYTES || !hasOneSpelling(bytes)) throw new Refused('seal_key_malformed');
    this.bytes = bytes;
    this.hash = sha256(bytes);
    this.text = b64(bytes);
  }
  static parse(text: string): SealPublicKey | null {
    const bytes = text.length === Math.ceil((SEAL_KEY_BYTES * 4) / 3) ? fromB64(text) : null;
    return bytes && hasOneSpelling(bytes) ? new SealPublicKey(bytes) : null;
  }
}
/** FIPS 203 §7.2: each coefficient of twelve bits is below q, else the same key could be written in two ways. */
function hasOneSpelling(bytes: Bytes): boolean {
  for (let i = 0; i < ML_KEM_POLYNOMIALS; i += 3) {
    const [a, b, c] = [bytes[i]!, bytes[i + 1]!, bytes[i + 2]!];
    if (((b & 15) << 8 | a) >= ML_KEM_Q || (c << 4 | b >> 4) >= ML_KEM_Q) return false;
  }
  return true;
}

export const SEAL_PURPOSES = ['place', 'photo_key', 'phone', 'rule', 'description', 'account', 'bundle', 'photo', 'recording', 'occupant', 'guest_name', 'invitation'] as const;
export type SealPurpose = (typeof SEAL_PURPOSES)[number];
export const parseSealPurpose = oneOf(SEAL_PURPOSES);

const KIB = 1024;
/** Bytes of one unit of padding, and how many there may be. */
export const SIZES: Record<SealPurpose, readonly [unit: number, most: number]> = {
  place: [4 * KIB, 1],
  photo_key: [4 * KIB, 1],
  phone: [4 * KIB, 1],
  rule: [4 * KIB, 1],
  occupant: [4 * KIB, 1],
  guest_name: [4 * KIB, 1],
  invitation: [4 * KIB, 5],
  description: [64 * KIB, 1],
  account: [64 * KIB, 2],
  bundle: [64 * KIB, 2],
  photo: [64 * KIB, 8],
  recording: [64 * KIB, 2],
};
export const LENGTH_BYTES = 4;
export const ENC_BYTES = 1120;
export const TAG_BYTES = 16;
/** Most bytes of content. */
export function contentMax(purpose: SealPurpose): number {
  const [unit, most] = SIZES[purpose];
  return unit * most - LENGTH_BYTES;
}
/** Bytes of a box whose content has so many bytes; null if that does not fit. */
export function boxLength(purpose: SealPurpose, length: number): number | null {
  if (length > contentMax(purpose)) return null;
  const [unit] = SIZES[purpose];
  return 1 + ENC_BYTES + Math.ceil((length + LENGTH_BYTES) / unit) * unit + TAG_BYTES;
}
