// Link 2: a device proves that it is the one, for one request (DPoP, RFC 9449, with the keyholder's nonce).

import { b64, randomBytes } from './bytes';
import { deviceThumbprint } from './cert';
import { parseId, sha256, type Hash, type Id } from './hash';
import { ObjectWriter } from './json';
import { signJws, Unverified, type Signer } from './jws';
import { Refused } from './refused';
import { ACTIONS, htu, oneOf, token, type Action } from './text';

export const TYP = 'dpop+jwt';

/** The HTTP request that a proof is for. */
export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  /** The exact bytes. */
  readonly body: Uint8Array;
}
export interface ProofClaims {
  readonly jti: Id;
  readonly htm: string;
  readonly htu: string;
  /** Phones' clocks are wrong: never compared. */
  readonly iatMs: number;
  readonly nonce: string;
  /** SHA-256 of the last link. */
  readonly ath: Hash;
  readonly act: Action;
  readonly bh: Hash;
}
/** Which device must have signed: `cnf` of the last link, and the hash of its sealing key. */
export interface ExpectedDevice {
  readonly cnf: Hash;
  readonly seal: Hash;
}

export async function signProof(
  request: HttpRequest,
  nonce: string,
  lastLink: string,
  act: Action,
  nowMs: number,
  signer: Signer,
  jti: Id = b64(randomBytes(16)),
): Promise<string> {
  const payload = new ObjectWriter()
    .text('jti', jti)
    .text('htm', request.method)
    .text('htu', htu(request.url))
    .timeMs('iat', Math.max(0, nowMs))
    .text('nonce', nonce)
    .text('ath', sha256(lastLink))
    .text('act', act)
    .text('bh', sha256(request.body))
    .end();
  const jws = await signJws(TYP, 'jwk', payload, signer);
  parseProof(jws);
  return jws;
}

/** A proof whose form was checked, signature not yet. */
export function parseProof(jws: string): { readonly u: Unverified; readonly claims: ProofClaims } {
  const u = new Unverified('proof', TYP, 'jwk', jws);
  const m = u.claims;
  const claims = {
    jti: m.parsed('jti', parseId),
    htm: token(m, 'htm', 16),
    htu: token(m, 'htu', 512),
    iatMs: m.timeMs('iat'),
    nonce: token(m, 'nonce', 128),
    ath: m.hash('ath'),
    act: m.parsed('act', oneOf(ACTIONS)),
    bh: m.hash('bh'),
  };
  m.end();
  return { u, claims };
}

/** `request` is null offline, where the request is long gone and `bh` alone is left. */
export async function verifyProof(
  link: ReturnType<typeof parseProof>,
  device: ExpectedDevice,
  lastLink: Hash,
  act: Action,
  request: HttpRequest | null,
): Promise<ProofClaims> {
  const { u, claims } = link;
  const key = u.headerKey();
  if (deviceThumbprint(key.thumb, device.seal) !== device.cnf) throw new Refused('proof_wrong_device');
  await u.verify(key);
  if (claims.ath !== lastLink) throw new Refused('proof_wrong_token');
  if (request && claims.htm !== request.method) throw new Refused('proof_wrong_method');
  if (request && claims.htu !== htu(request.url)) throw new Refused('proof_wrong_url');
  if (claims.act !== act) throw new Refused('proof_wrong_action');
  if (request && claims.bh !== sha256(request.body)) throw new Refused('proof_wrong_body');
  return claims;
}
