// The hashes of this protocol. They are computed here and not by the browser's asynchronous digest, because names of keys
// are needed in the middle of reading a message, and checking a case takes hundreds of small ones.

import { sha256 as digest } from '@noble/hashes/sha2.js';

import { b64, concat, fromB64, utf8, type Bytes } from './bytes';

/** 32 bytes as 43 characters of base64url: one spelling, so that two hashes are equal when their texts are. */
export type Hash = string;
/** 16 random bytes as 22 characters. */
export type Id = string;

export function sha256Bytes(...parts: (Uint8Array | string)[]): Bytes {
  return digest(concat(...parts.map((p) => (typeof p === 'string' ? utf8(p) : p)))) as Bytes;
}
export function sha256(...parts: (Uint8Array | string)[]): Hash {
  return b64(sha256Bytes(...parts));
}
/** `H(domain, parts…)` = SHA-256(domain ‖ 0x00 ‖ parts…). */
export function domainHash(domain: string, ...parts: (Uint8Array | string)[]): Hash {
  return sha256(domain, new Uint8Array(1), ...parts);
}

/** The text itself if it is the one spelling of so many bytes. */
function ofBytes(count: number): (text: string) => string | null {
  const length = Math.ceil((count * 4) / 3);
  return (text) => (text.length === length && fromB64(text)?.length === count ? text : null);
}
export const parseHash = ofBytes(32);
export const parseId = ofBytes(16);

/** The bytes of a hash or id that was read before. */
export function bytesOf(text: Hash | Id): Bytes {
  const bytes = fromB64(text);
  if (!bytes) throw new TypeError('not base64url');
  return bytes;
}
