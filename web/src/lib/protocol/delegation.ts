// Link 1: a carrier passes a grant on, narrowed, to one courier's device at one stop.

import { area } from './area';
import type { VerifiedCert } from './cert';
import { deliveryOf, isDelegated, opens, scopeOf, type SignedGrant } from './grant';
import { parseHash, parseId, sha256, type Hash, type Id } from './hash';
import { checkTime, cnf, Unverified, window, type Moment } from './jws';
import { checkNarrows, type Scope } from './narrow';
import { Refused } from './refused';
import type { RequestClaims } from './request';
import { audience, DISCLOSE, oneOf, PURPOSES } from './text';

const WINDOW_MAX_SECONDS = 3_600;
const LABELS_MAX = 16;

export interface DelegationClaims extends Scope {
  /** Thumbprint of the carrier's root. */
  readonly iss: Hash;
  readonly aud: string;
  readonly jti: Id;
  readonly iatMs: number;
  /** SHA-256 of link 0. */
  readonly par: Hash;
  readonly delivery: Id;
  /** The courier's device. */
  readonly cnf: Hash;
  /** Label hashes of what goes in and what comes out; at least one in all. */
  readonly put: readonly Hash[];
  readonly take: readonly Hash[];
}
export interface VerifiedDelegation {
  readonly jws: string;
  readonly hash: Hash;
  readonly claims: DelegationClaims;
}
/** A delegation whose form was checked, signature not yet. */
export interface ParsedDelegation extends VerifiedDelegation {
  readonly u: Unverified;
}

/** Reads a delegation without checking its signature: the keyholder will say whether it is good. */
export function parseDelegation(jws: string): ParsedDelegation {
  const u = new Unverified('delegation', 'psh-delegation+jwt', 'kid', jws);
  const m = u.claims;
  const iss = m.parsed('iss', parseHash);
  const aud = audience(m, 'aud');
  const jti = m.parsed('jti', parseId);
  const iatMs = m.timeMs('iat');
  const life = window(m, WINDOW_MAX_SECONDS);
  const claims: DelegationClaims = {
    iss, aud, jti, iatMs, window: life,
    par: m.hash('par'),
    delivery: m.parsed('delivery', parseId),
    cnf: cnf(m),
    purpose: m.parsed('purpose', oneOf(PURPOSES)),
    opens: opens(m),
    // Up to 2^31 is well-formed, so that more than the grant's is refused as widening.
    uses: m.int('uses', 0, 2 ** 31),
    area: area(m),
    disclose: m.parsed('disclose', oneOf(DISCLOSE)),
    put: m.list('put', 0, LABELS_MAX, parseHash),
    take: m.list('take', 0, LABELS_MAX, parseHash),
  };
  if (claims.put.length === 0 && claims.take.length === 0) throw m.wrong();
  m.end();
  return { jws, hash: sha256(jws), claims, u };
}

/** Checks a delegation under the grant it hangs on. `cert` is the delegation key's, verified down from the operator's key. */
export async function verifyDelegation(
  link: ParsedDelegation,
  cert: VerifiedCert,
  grant: SignedGrant,
  moment: Moment,
): Promise<VerifiedDelegation> {
  const { claims, u } = link;
  if (cert.claims.role !== 'delegation') throw new Refused('cert_wrong_role');
  await u.verify(cert.claims.key);
  if (claims.iss !== cert.claims.iss) throw Refused.of('delegation', 'wrong_issuer');
  const g = grant.claims;
  if (!isDelegated(g.purpose)) throw new Refused('delegation_not_allowed');
  if (g.cnf !== claims.iss) throw new Refused('grant_wrong_carrier');
  if (claims.aud !== g.aud) throw Refused.of('delegation', 'wrong_audience');
  if (claims.par !== grant.hash) throw new Refused('delegation_wrong_parent');
  const only = deliveryOf(g);
  if (only !== null && only !== claims.delivery) throw new Refused('delegation_wrong_delivery');
  checkNarrows(scopeOf(g), claims);
  checkTime(moment, 'delegation', claims.iatMs, claims.window);
  return { jws: link.jws, hash: link.hash, claims };
}

/** Whether nothing is put in or taken out that the owner was not asked about. */
export function checkAnnounced(claims: DelegationClaims, request: RequestClaims): void {
  const announced = (labels: readonly Hash[], kind: 'put' | 'take'): boolean =>
    labels.every((l) => request.items.some((i) => i.kind === kind && i.label === l));
  if (!announced(claims.put, 'put') || !announced(claims.take, 'take')) throw new Refused('delegation_widens_labels');
}
