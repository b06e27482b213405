// Keys and compact signed messages: ES256 (RFC 7515, RFC 7518), and EdDSA for the keyholder's log key only. The algorithm is
// the key's, never the header's; headers have exactly the members of their kind.

import { b64, bytesOfLength, concat, fromB64, utf8, type Bytes } from './bytes';
import { parseHash, sha256, type Hash } from './hash';
import { Members, ObjectWriter, parse } from './json';
import { Refused, type Kind } from './refused';

/** Most characters of a signed message. */
export const JWS_MAX = 16 * 1024;
const LEEWAY_MS = 60_000;

/** A half-open span of time, in milliseconds since 1970: the start inside, the end outside. */
export interface Window {
  readonly startMs: number;
  readonly endMs: number;
}
export function encloses(outer: Window, inner: Window): boolean {
  return outer.startMs <= inner.startMs && inner.endMs <= outer.endMs;
}

/** When a message with a window is looked at: just handed in, being used, or where windows do not matter. */
export type Moment = { readonly way: 'posted' | 'used'; readonly nowMs: number } | { readonly way: 'any' };
export const posted = (nowMs: number): Moment => ({ way: 'posted', nowMs });
export const used = (nowMs: number): Moment => ({ way: 'used', nowMs });
export const ANY: Moment = { way: 'any' };

export function checkTime(moment: Moment, kind: Kind, iatMs: number, window: Window): void {
  if (moment.way === 'any') return;
  if (iatMs > moment.nowMs + LEEWAY_MS) throw Refused.of(kind, 'not_yet');
  if (moment.way === 'used' && moment.nowMs < window.startMs) throw Refused.of(kind, 'not_yet');
  if (moment.nowMs >= window.endMs) throw Refused.of(kind, 'expired');
}

/** `nbf` and `exp` as a window that is not empty and at most so long. */
export function window(m: Members, maxSeconds: number): Window {
  return checkWindow(m, m.timeMs('nbf'), m.timeMs('exp'), maxSeconds);
}
/** `iat` and `exp` of a kind without `nbf`. */
export function lifetime(m: Members, maxSeconds: number): Window {
  return checkWindow(m, m.timeMs('iat'), m.timeMs('exp'), maxSeconds);
}
export function checkWindow(m: Members, startMs: number, endMs: number, maxSeconds: number): Window {
  if (startMs >= endMs || endMs - startMs > maxSeconds * 1000) throw m.fault('wrong_lifetime');
  return { startMs, endMs };
}

// The curve P-256 (FIPS 186): y² = x³ − 3x + b over the field of p.
const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

function isOnCurve(x: Bytes, y: Bytes): boolean {
  const number = (bytes: Bytes): bigint => bytes.reduce((n, b) => (n << 8n) | BigInt(b), 0n);
  const [nx, ny] = [number(x), number(y)];
  if (nx >= P || ny >= P) return false;
  return (ny * ny - (nx * nx * nx - 3n * nx + B)) % P === 0n;
}

/** A public key of P-256, checked to lie on the curve. */
export class VerifyingKey {
  /** The JWK in its one spelling: the members that RFC 7638 hashes, in their order. */
  readonly jwk: string;
  /** The name of the key. */
  readonly thumb: Hash;
  private readonly point: Bytes;
  private imported: Promise<CryptoKey> | null = null;

  private constructor(x: Bytes, y: Bytes) {
    this.point = concat(Uint8Array.of(4), x, y);
    this.jwk = new ObjectWriter().text('crv', 'P-256').text('kty', 'EC').text('x', b64(x)).text('y', b64(y)).end();
    this.thumb = sha256(this.jwk);
  }
  /** SEC 1: `04 ‖ x ‖ y`. */
  static fromPoint(point: Uint8Array): VerifyingKey {
    const [x, y] = [point.slice(1, 33) as Bytes, point.slice(33) as Bytes];
    if (point.length !== 65 || point[0] !== 4 || !isOnCurve(x, y)) throw new Refused('key_malformed');
    return new VerifyingKey(x, y);
  }
  static fromMembers(m: Members): VerifyingKey {
    const wrong = m.fault('wrong_key');
    m.word('crv', 'P-256', wrong);
    m.word('kty', 'EC', wrong);
    const x = m.parsed('x', bytesOfLength(32));
    const y = m.parsed('y', bytesOfLength(32));
    m.end();
    if (!isOnCurve(x, y)) throw wrong;
    return new VerifyingKey(x, y);
  }
  static parseJwk(json: string): VerifyingKey {
    try {
      if (json.length <= 256) return VerifyingKey.fromMembers(parse('cert', utf8(json)));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
    throw new Refused('key_malformed');
  }
  equals(other: VerifyingKey): boolean {
    return this.jwk === other.jwk;
  }
  /** Whether `signature` (r ‖ s) is this key's over SHA-256 of `message`. Either value of `s` is good. */
  async verifies(message: Bytes, signature: Bytes): Promise<boolean> {
    this.imported ??= crypto.subtle.importKey('raw', this.point, { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify']);
    return crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, await this.imported, signature, message);
  }
}

/** Whoever can sign with one ES256 key. */
export interface Signer {
  readonly key: VerifyingKey;
  sign(message: Bytes): Promise<Bytes>;
}
/** Signs with a key of the browser's; the private half need not be extractable. */
export async function signerOf(pair: CryptoKeyPair): Promise<Signer> {
  const key = VerifyingKey.fromPoint(new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey)));
  return {
    key,
    sign: async (message) =>
      new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, message)),
  };
}
/** A fresh signing key that cannot be taken out of the browser. */
export function generateSigningPair(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']);
}

/** Whether `signature` is this Ed25519 key's over `message`. */
export async function ed25519Verifies(key: Bytes, message: Bytes, signature: Bytes): Promise<boolean> {
  try {
    const imported = await crypto.subtle.importKey('raw', key, 'Ed25519', true, ['verify']);
    return await crypto.subtle.verify('Ed25519', imported, signature, message);
  } catch {
    return false;
  }
}

/** How a header names the key: its thumbprint, the key itself, or not at all (EdDSA by the log key). */
export type Naming = 'kid' | 'jwk' | 'log';

/** A message whose parts are well-formed, signature not yet checked. */
export class Unverified {
  private readonly kind: Kind;
  private readonly signed: Bytes;
  private readonly signature: Bytes;
  private readonly kid: Hash | null;
  private readonly jwk: VerifyingKey | null;
  readonly claims: Members;

  /** Sizes, parts, header, payload; in that order. */
  constructor(kind: Kind, typ: string, naming: Naming, jws: string, max: number = JWS_MAX) {
    if (jws.length > max) throw Refused.of(kind, 'too_long');
    const parts = jws.split('.', 4);
    if (parts.length !== 3) throw Refused.of(kind, 'not_compact');
    const [header, payload, signature] = parts.map((part) => {
      const bytes = fromB64(part);
      if (!bytes) throw Refused.of(kind, 'not_base64url');
      return bytes;
    }) as [Bytes, Bytes, Bytes];

    const h = parse(kind, header);
    h.word('alg', naming === 'log' ? 'EdDSA' : 'ES256', Refused.of(kind, 'wrong_algorithm'));
    h.word('typ', typ, Refused.of(kind, 'wrong_type'));
    this.kid = naming === 'kid' ? h.parsed('kid', parseHash) : null;
    this.jwk = naming === 'jwk' ? VerifyingKey.fromMembers(h.object('jwk')) : null;
    try {
      h.end();
    } catch {
      throw Refused.of(kind, 'unknown_header');
    }
    if (signature.length !== 64) throw Refused.of(kind, 'bad_signature');
    this.kind = kind;
    this.signed = utf8(jws.slice(0, jws.lastIndexOf('.')));
    this.signature = signature;
    this.claims = parse(kind, payload);
  }
  /** The key in the header, for kinds whose header carries it. */
  headerKey(): VerifyingKey {
    if (!this.jwk) throw Refused.of(this.kind, 'wrong_key');
    return this.jwk;
  }
  /** Checks the signature by a key the verifier has chosen, and that the header names that very key. */
  async verify(key: VerifyingKey): Promise<void> {
    if ((this.kid !== null && this.kid !== key.thumb) || (this.jwk && !this.jwk.equals(key))) {
      throw Refused.of(this.kind, 'wrong_key');
    }
    if (!(await key.verifies(this.signed, this.signature))) throw Refused.of(this.kind, 'bad_signature');
  }
  async verifyLog(key: Bytes): Promise<void> {
    if (!(await ed25519Verifies(key, this.signed, this.signature))) throw Refused.of(this.kind, 'bad_signature');
  }
}

/** Signs a payload under a header that names the key by `kid` or carries it. */
export async function signJws(typ: string, naming: 'kid' | 'jwk', payload: string, signer: Signer): Promise<string> {
  const header = new ObjectWriter().text('alg', 'ES256').text('typ', typ);
  if (naming === 'jwk') header.raw('jwk', signer.key.jwk);
  else header.text('kid', signer.key.thumb);
  const signed = `${b64(utf8(header.end()))}.${b64(utf8(payload))}`;
  return `${signed}.${b64(await signer.sign(utf8(signed)))}`;
}

/** `cnf: {jkt}` (RFC 7800, RFC 9449 §6.1). */
export function cnf(m: Members): Hash {
  const inner = m.object('cnf');
  const jkt = inner.parsed('jkt', parseHash);
  inner.end();
  return jkt;
}
