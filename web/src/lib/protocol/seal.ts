// Sealing: HPKE base mode (RFC 9180) with X-Wing, HKDF-SHA256 and AES-256-GCM, padded to fixed sizes, for lengths are
// fingerprints. `info` names version and purpose, `aad` binds sender, recipient, delivery and sequence, so that a box cannot
// be moved to another place and still open.

import { concat, randomBytes, u64be, utf8, type Bytes } from './bytes';
import type { PrivateKey } from './hpke';
import { Refused } from './refused';
import { boxLength, ENC_BYTES, LENGTH_BYTES, SealPublicKey, SIZES, TAG_BYTES, type SealPurpose } from './sealkey';

const VERSION = 1;
const library = () => import('./hpke');

/** Whom a box is from and for: ASCII without spaces, so that the zero bytes between the parts cannot be forged. */
export interface Context {
  readonly sender: string;
  readonly recipient: string;
  /** The delivery, or what stands in its place. */
  readonly delivery: string;
  /** 0 where a relation has one box only. */
  readonly seq: number;
}
function aadOf(context: Context): Bytes {
  const parts = [context.sender, context.recipient, context.delivery];
  if (!parts.every((p) => /^[\x21-\x7e]{0,256}$/.test(p))) throw new Refused('box_malformed');
  const zero = new Uint8Array(1);
  return concat(...parts.flatMap((p) => [utf8(p), zero]), u64be(context.seq));
}
const infoOf = (purpose: SealPurpose): Bytes => utf8(`psh-seal-v1/${purpose}`);

/** An X-Wing key pair. */
export class SealKeyPair {
  readonly public: SealPublicKey;
  /** For IndexedDB, which keeps the browser's own keys without showing them. */
  readonly private: PrivateKey;
  private constructor(publicKey: SealPublicKey, privateKey: PrivateKey) {
    this.public = publicKey;
    this.private = privateKey;
  }
  /** A fresh one: the browser's own where it can, else 32 bytes in memory. */
  static async generate(): Promise<SealKeyPair> {
    const { generateNative } = await library();
    const native = await generateNative();
    return SealKeyPair.from(native ? { native } : { seed: randomBytes(32) });
  }
  /** From the 32-byte seed of draft-connolly-cfrg-xwing-kem. */
  static fromSeed(seed: Bytes): Promise<SealKeyPair> {
    return SealKeyPair.from({ seed });
  }
  /** From what `private` was. */
  static async from(key: PrivateKey): Promise<SealKeyPair> {
    const { nativePublic, publicOfSeed } = await library();
    const bytes = 'native' in key ? await nativePublic(key.native) : await publicOfSeed(key.seed);
    return new SealKeyPair(new SealPublicKey(bytes), key);
  }
  /** Whether the private half cannot be read by any script. */
  get isNative(): boolean {
    return 'native' in this.private;
  }
}

/** Seals `content` for the holder of `to`. */
export async function seal(to: SealPublicKey, purpose: SealPurpose, context: Context, content: Uint8Array): Promise<Bytes> {
  const length = boxLength(purpose, content.length);
  if (length === null) throw new Refused('box_too_large');
  const padded = new Uint8Array(length - 1 - ENC_BYTES - TAG_BYTES);
  new DataView(padded.buffer).setUint32(0, content.length);
  padded.set(content, LENGTH_BYTES);
  const aad = aadOf(context);
  const { sealBytes } = await library();
  const { enc, ct } = await sealBytes(to.bytes, infoOf(purpose), aad, padded);
  return concat(Uint8Array.of(VERSION), enc, ct);
}

/** Opens a box. The caller names purpose and context; a box made for others does not open. */
export async function open(key: SealKeyPair, purpose: SealPurpose, context: Context, box: Bytes): Promise<Bytes> {
  const [unit, most] = SIZES[purpose];
  const paddedLength = box.length - 1 - ENC_BYTES - TAG_BYTES;
  if (paddedLength <= 0 || box[0] !== VERSION || paddedLength % unit !== 0 || paddedLength / unit > most) {
    throw new Refused('box_malformed');
  }
  const aad = aadOf(context);
  const { openBytes } = await library();
  const [enc, ct] = [box.slice(1, 1 + ENC_BYTES), box.slice(1 + ENC_BYTES)];
  const padded = await openBytes(key.private, enc, infoOf(purpose), aad, ct).catch(() => {
    throw new Refused('box_not_for_this');
  });
  const length = new DataView(padded.buffer, padded.byteOffset).getUint32(0);
  const end = LENGTH_BYTES + length;
  // One content has one padded form: as few units as hold it, zeros after it.
  if (end > padded.length || boxLength(purpose, length) !== box.length || padded.subarray(end).some((b) => b !== 0)) {
    throw new Refused('box_wrong_padding');
  }
  return padded.slice(LENGTH_BYTES, end);
}
