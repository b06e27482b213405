// Bytes and their one spelling as text: base64url without padding, no white space, unused bits zero.

export type Bytes = Uint8Array<ArrayBuffer>;

const URL_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const STANDARD_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const URL_VALUES = values(URL_ALPHABET);
const STANDARD_VALUES = values(STANDARD_ALPHABET);

function values(alphabet: string): Int8Array {
  const out = new Int8Array(128).fill(-1);
  for (let i = 0; i < 64; i++) out[alphabet.charCodeAt(i)] = i;
  return out;
}

function encode(bytes: Uint8Array, alphabet: string): string {
  const parts: string[] = [];
  let text = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const word = (bytes[i]! << 16) | ((left > 1 ? bytes[i + 1]! : 0) << 8) | (left > 2 ? bytes[i + 2]! : 0);
    text += alphabet[word >> 18]! + alphabet[(word >> 12) & 63]!;
    if (left > 1) text += alphabet[(word >> 6) & 63]!;
    if (left > 2) text += alphabet[word & 63]!;
    if (text.length > 8_000) {
      parts.push(text);
      text = '';
    }
  }
  return parts.join('') + text;
}

function decode(text: string, table: Int8Array): Bytes | null {
  if (text.length % 4 === 1) return null;
  const out = new Uint8Array(Math.floor((text.length * 3) / 4));
  let word = 0;
  let bits = 0;
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const value = code < 128 ? table[code]! : -1;
    if (value < 0) return null;
    word = ((word << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = (word >> bits) & 0xff;
    }
  }
  // Unused bits must be zero, else one value would have several spellings.
  return (word & ((1 << bits) - 1)) === 0 ? out : null;
}

export function b64(bytes: Uint8Array): string {
  return encode(bytes, URL_ALPHABET);
}
/** Reads base64url in its only spelling; null for any other text. */
export function fromB64(text: string): Bytes | null {
  return decode(text, URL_VALUES);
}
/** Base64 with padding, as signed notes write it. */
export function b64Standard(bytes: Uint8Array): string {
  const text = encode(bytes, STANDARD_ALPHABET);
  return text + '='.repeat((4 - (text.length % 4)) % 4);
}
export function fromB64Standard(text: string): Bytes | null {
  const bytes = decode(text.replace(/={1,2}$/, ''), STANDARD_VALUES);
  return bytes && b64Standard(bytes) === text ? bytes : null;
}

export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text) as Bytes;
}
/** Strict UTF-8; null for anything else. A byte order mark stays and is refused by whoever reads on. */
export function fromUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
export function utf8Length(text: string): number {
  return utf8(text).length;
}

export function concat(...parts: Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((v, i) => v === b[i]);
}
/** Eight bytes, big-endian. */
export function u64be(n: number): Bytes {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(n));
  return out;
}
export function randomBytes(count: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(count));
}
/** A reader of base64url that stands for so many bytes. */
export function bytesOfLength(count: number): (text: string) => Bytes | null {
  return (text) => {
    const bytes = fromB64(text);
    return bytes?.length === count ? bytes : null;
  };
}
