// The library that seals, and X-Wing keys of two kinds: the browser's own, which nobody can take out, and plain ones in
// memory where the browser has no ML-KEM or where the key is derived from an owner's seed. Loaded when first needed.

import { Aes256Gcm, CipherSuite, HkdfSha256 } from '@hpke/core';
import { XWing } from '@hpke/hybridkem-x-wing';
import { sha3_256 } from '@noble/hashes/sha3.js';

import { concat, utf8, type Bytes } from './bytes';

const ML_KEM = { name: 'ML-KEM-768' };
const ML_KEM_CIPHERTEXT_BYTES = 1088;
/** draft-connolly-cfrg-xwing-kem §5.3. */
const LABEL = utf8('\\.//^\\');

/** ML-KEM in WebCrypto is newer than the types of it. */
interface Decapsulating {
  decapsulateBits(algorithm: { name: string }, key: CryptoKey, ciphertext: Bytes): Promise<ArrayBuffer>;
}

/** Both halves as keys of the browser's: they can be stored in IndexedDB and not be read by any script. */
export interface NativePair {
  readonly mlKem: CryptoKeyPair;
  readonly x25519: CryptoKeyPair;
}
export type PrivateKey = { readonly native: NativePair } | { readonly seed: Bytes };

/** X-Wing whose private key stays in the browser. Sealing is the library's own. */
class NativeXWing extends XWing {
  private readonly pair: NativePair;
  constructor(pair: NativePair) {
    super();
    this.pair = pair;
  }
  override async decap(params: { enc: ArrayBufferLike | ArrayBufferView }): Promise<ArrayBuffer> {
    const enc = bytesOf(params.enc);
    const forMlKem = enc.slice(0, ML_KEM_CIPHERTEXT_BYTES) as Bytes;
    const point = enc.slice(ML_KEM_CIPHERTEXT_BYTES) as Bytes;
    const subtle = crypto.subtle as SubtleCrypto & Decapsulating;
    const theirs = await subtle.importKey('raw', point, 'X25519', true, []);
    const first = new Uint8Array(await subtle.decapsulateBits(ML_KEM, this.pair.mlKem.privateKey, forMlKem));
    const second = await subtle.deriveBits({ name: 'X25519', public: theirs }, this.pair.x25519.privateKey, 256);
    const own = await subtle.exportKey('raw', this.pair.x25519.publicKey);
    const secret = sha3_256(concat(first, new Uint8Array(second), point, new Uint8Array(own), LABEL));
    return (secret as Bytes).buffer;
  }
}

function bytesOf(data: ArrayBufferLike | ArrayBufferView): Uint8Array {
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
}
function suite(kem: XWing = new XWing()): CipherSuite {
  return new CipherSuite({ kem, kdf: new HkdfSha256(), aead: new Aes256Gcm() });
}

/** A fresh pair of the browser's own; null where it has no ML-KEM-768 (Safari, Firefox before they do). */
export async function generateNative(): Promise<NativePair | null> {
  try {
    const mlKem = (await crypto.subtle.generateKey(ML_KEM, false, ['decapsulateBits', 'encapsulateBits'] as never)) as CryptoKeyPair;
    const x25519 = (await crypto.subtle.generateKey('X25519', false, ['deriveBits'])) as CryptoKeyPair;
    return { mlKem, x25519 };
  } catch {
    return null;
  }
}
export async function nativePublic(pair: NativePair): Promise<Bytes> {
  const raw = async (key: CryptoKey, format: string): Promise<Uint8Array> =>
    new Uint8Array(await crypto.subtle.exportKey(format as 'raw', key));
  return concat(await raw(pair.mlKem.publicKey, 'raw-public'), await raw(pair.x25519.publicKey, 'raw'));
}
/** The public half of a plain private key, which is its 32-byte seed. */
export async function publicOfSeed(seed: Bytes): Promise<Bytes> {
  const kem = new XWing();
  const pair = await kem.generateKeyPairDerand(seed.slice());
  return new Uint8Array(await kem.serializePublicKey(pair.publicKey));
}

export async function sealBytes(to: Bytes, info: Bytes, aad: Bytes, padded: Bytes): Promise<{ enc: Bytes; ct: Bytes }> {
  const s = suite();
  const recipientPublicKey = await s.kem.deserializePublicKey(to.slice().buffer);
  const { enc, ct } = await s.seal({ recipientPublicKey, info }, padded, aad);
  return { enc: new Uint8Array(enc), ct: new Uint8Array(ct) };
}
/** Throws when it does not open; nobody is told why. */
export async function openBytes(key: PrivateKey, enc: Bytes, info: Bytes, aad: Bytes, ct: Bytes): Promise<Bytes> {
  const s = 'native' in key ? suite(new NativeXWing(key.native)) : suite();
  const recipientKey =
    'native' in key ? key.native.x25519.privateKey : await s.kem.deserializePrivateKey(key.seed.slice().buffer);
  return new Uint8Array(await s.open({ recipientKey, enc: enc.slice().buffer, info }, ct, aad));
}
