// What only a keyholder checks, for the vectors: the browser never holds the secret of nonces and never gets a carrier's call.

import { readFileSync } from 'node:fs';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 as digest } from '@noble/hashes/sha2.js';
import { b64, concat, equal, fromB64, utf8, type Bytes } from '$lib/protocol/bytes';
import type { VerifiedCert } from '$lib/protocol/cert';
import { bytesOf, parseHash, parseId, sha256, type Hash } from '$lib/protocol/hash';
import { checkTime, lifetime, posted, Unverified, VerifyingKey } from '$lib/protocol/jws';
import type { HttpRequest } from '$lib/protocol/proof';
import { Refused } from '$lib/protocol/refused';
import { audience, htu, token } from '$lib/protocol/text';
import type { Passkey } from '$lib/protocol/webauthn';

export type Vector = any;
export function vectors(name: string): Vector {
  return JSON.parse(readFileSync(new URL(`../../../../vectors/${name}.json`, import.meta.url), 'utf8'));
}
export function bytes(text: string): Bytes {
  const out = fromB64(text);
  if (!out) throw new Error(`a vector's binary value is not base64url: ${text.slice(0, 20)}`);
  return out;
}
export function passkeysOf(list: [string, string][]): Passkey[] {
  return list.map(([id, jwk]) => ({ credentialId: bytes(id), key: VerifyingKey.parseJwk(jwk) }));
}
/** The verdict's code: `ok`, or that of the one check that refused. Any other error is a fault of ours. */
export async function code(check: () => unknown): Promise<string> {
  try {
    await check();
    return 'ok';
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
}

const CALL_MAX_SECONDS = 60;
export async function verifyCall(
  jws: string,
  cert: VerifiedCert,
  aud: string,
  request: HttpRequest,
  nowMs: number,
): Promise<void> {
  const u = new Unverified('call', 'psh-call+jwt', 'kid', jws);
  const m = u.claims;
  const iss = m.parsed('iss', parseHash);
  const audienceSaid = audience(m, 'aud');
  m.parsed('jti', parseId);
  const life = lifetime(m, CALL_MAX_SECONDS);
  const [method, url, bh] = [token(m, 'htm', 16), token(m, 'htu', 512), m.hash('bh')];
  m.end();
  if (cert.claims.role !== 'delegation') throw new Refused('cert_wrong_role');
  await u.verify(cert.claims.key);
  if (iss !== cert.claims.iss) throw Refused.of('call', 'wrong_issuer');
  if (audienceSaid !== aud) throw Refused.of('call', 'wrong_audience');
  checkTime(posted(nowMs), 'call', life.startMs, life);
  if (method !== request.method) throw new Refused('call_wrong_method');
  if (url !== htu(request.url)) throw new Refused('call_wrong_url');
  if (bh !== sha256(request.body)) throw new Refused('call_wrong_body');
}

const FRESH_MS = 20_000;
/** Checks a nonce of the keyholder's; `used` are the random parts of spent ones. */
export function checkNonce(key: Bytes, nonce: string, bound: { device: Hash; ath: Hash; act: string }, nowMs: number): string {
  const all = nonce.length === 54 ? fromB64(nonce) : null;
  if (!all) throw new Refused('nonce_malformed');
  const [said, tag] = [all.subarray(0, 24), all.subarray(24)];
  const mac = hmac(digest, key, concat(utf8('psh-nonce-v1\0'), said, bytesOf(bound.device), bytesOf(bound.ath), utf8(bound.act)));
  if (!equal(mac.subarray(0, 16), tag)) throw new Refused('nonce_foreign');
  const issuedMs = Number(new DataView(said.buffer, said.byteOffset).getBigUint64(0));
  if (nowMs < issuedMs || nowMs >= issuedMs + FRESH_MS) throw new Refused('nonce_expired');
  return b64(said.subarray(8));
}
