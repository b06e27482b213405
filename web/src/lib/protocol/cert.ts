// Certificates: who vouches for which key, for which use.

import { domainHash, bytesOf, parseHash, parseId, type Hash, type Id } from './hash';
import { checkTime, Unverified, VerifyingKey, window, type Moment, type Window } from './jws';
import { Refused } from './refused';
import { SealPublicKey } from './sealkey';
import { audience, domain, oneOf } from './text';

const DAY_SECONDS = 86_400;
const ROLES = ['carrier', 'delegation', 'depot', 'device'] as const;
export type Role = (typeof ROLES)[number];
const MAX_SECONDS: Record<Role, number> = {
  carrier: 1_830 * DAY_SECONDS,
  delegation: 30 * DAY_SECONDS,
  depot: 400 * DAY_SECONDS,
  device: 400 * DAY_SECONDS,
};

export interface CertClaims {
  /** Thumbprint of the key that certifies. */
  readonly iss: Hash;
  /** Thumbprint by which other messages name the subject. */
  readonly sub: Hash;
  readonly aud: string;
  readonly jti: Id;
  readonly iatMs: number;
  readonly window: Window;
  readonly role: Role;
  readonly key: VerifyingKey;
  /** Role `carrier`: the name that owners read, and the domain that was checked. */
  readonly name: string | null;
  readonly domain: string | null;
  /** Role `device`: its sealing key. */
  readonly seal: SealPublicKey | null;
}
export interface VerifiedCert {
  readonly jws: string;
  readonly claims: CertClaims;
}

/** One name over a device's two keys; `seal` is the hash of the sealing key. */
export function deviceThumbprint(signing: Hash, seal: Hash): Hash {
  return domainHash('psh-device-v1', bytesOf(signing), bytesOf(seal));
}

export async function verifyCert(
  jws: string,
  issuer: VerifyingKey,
  role: Role,
  aud: string,
  moment: Moment,
): Promise<VerifiedCert> {
  const [u, claims] = parseCert(jws);
  await u.verify(issuer);
  if (claims.iss !== issuer.thumb) throw Refused.of('cert', 'wrong_issuer');
  if (claims.aud !== aud) throw Refused.of('cert', 'wrong_audience');
  if (claims.role !== role) throw new Refused('cert_wrong_role');
  checkTime(moment, 'cert', claims.iatMs, claims.window);
  return { jws, claims };
}
/** What a certificate says, unverified: for showing, and for finding the key to verify it with. */
export function peekCert(jws: string): CertClaims {
  return parseCert(jws)[1];
}

function parseCert(jws: string): [Unverified, CertClaims] {
  const u = new Unverified('cert', 'psh-cert+jwt', 'kid', jws);
  const m = u.claims;
  const iss = m.parsed('iss', parseHash);
  const sub = m.parsed('sub', parseHash);
  const aud = audience(m, 'aud');
  const jti = m.parsed('jti', parseId);
  const iatMs = m.timeMs('iat');
  const role = m.parsed('role', oneOf(ROLES));
  const life = window(m, MAX_SECONDS[role]);
  const key = VerifyingKey.fromMembers(m.object('jwk'));
  const name = role === 'carrier' ? m.text('name', 1, 64) : null;
  const host = role === 'carrier' ? domain(m, 'domain') : null;
  const seal = role === 'device' ? m.parsed('seal', SealPublicKey.parse) : null;
  m.end();
  const named = seal ? deviceThumbprint(key.thumb, seal.hash) : key.thumb;
  if (sub !== named) throw Refused.of('cert', 'wrong_subject');
  return [u, { iss, sub, aud, jti, iatMs, window: life, role, key, name, domain: host, seal }];
}
