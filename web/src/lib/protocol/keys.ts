// What a keyholder publishes: its keys, signed by its log key, which wallets and devices pin.

import { sha256, type Hash } from './hash';
import { checkTime, checkWindow, Unverified, VerifyingKey, type Moment } from './jws';
import { LogVerifier } from './log/note';
import { Refused } from './refused';
import { SealPublicKey } from './sealkey';
import { audience, domain, token } from './text';

const TYP = 'psh-keys+jwt';
const MAX_SECONDS = 400 * 86_400;

export interface KeysClaims {
  /** Who they belong to: what `aud` is elsewhere. */
  readonly iss: string;
  readonly iatMs: number;
  readonly expMs: number;
  /** Signs answers and envelopes. */
  readonly message: VerifyingKey;
  /** Others seal to it. */
  readonly seal: SealPublicKey;
  /** The log's verifier key: what is pinned. */
  readonly log: string;
  readonly rpId: string;
  readonly walletOrigin: string;
}
export interface VerifiedKeys {
  readonly jws: string;
  readonly hash: Hash;
  readonly claims: KeysClaims;
}

/** Checks published keys by the pinned log key (a verifier line) and the keyholder's name. */
export async function verifyKeys(jws: string, log: string, iss: string, moment: Moment): Promise<VerifiedKeys> {
  const u = new Unverified('keys', TYP, 'log', jws);
  const m = u.claims;
  const issuer = audience(m, 'iss');
  const iatMs = m.timeMs('iat');
  const expMs = m.timeMs('exp');
  const claims: KeysClaims = {
    iss: issuer, iatMs, expMs,
    message: VerifyingKey.fromMembers(m.object('message')),
    seal: m.parsed('seal', SealPublicKey.parse),
    log: m.text('log', 1, 512),
    rpId: domain(m, 'rp_id'),
    walletOrigin: token(m, 'wallet_origin', 200),
  };
  m.end();
  const life = checkWindow(m, iatMs, expMs, MAX_SECONDS);
  const pinned = LogVerifier.parse(log);
  if (!pinned) throw Refused.of('keys', 'wrong_key');
  await u.verifyLog(pinned.key);
  if (claims.log !== log) throw Refused.of('keys', 'wrong_key');
  if (claims.iss !== iss) throw Refused.of('keys', 'wrong_issuer');
  checkTime(moment, 'keys', iatMs, life);
  return { jws, hash: sha256(jws), claims };
}

/** The log key named inside keys that are seen for the first time, unverified: hand it to `verifyKeys` and pin it. */
export function peekLog(jws: string): string {
  return new Unverified('keys', TYP, 'log', jws).claims.text('log', 1, 512);
}
