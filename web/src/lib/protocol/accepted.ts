// The keyholder's answer to a grant. A carrier relies on this alone; a wallet keeps it as a receipt.

import { area } from './area';
import type { Bytes } from './bytes';
import { opens, WINDOW_MAX_SECONDS } from './grant';
import { parseHash, parseId, type Hash, type Id } from './hash';
import { checkTime, cnf, Unverified, window, type Moment, type VerifyingKey } from './jws';
import type { Scope } from './narrow';
import { Refused } from './refused';
import { audience, DISCLOSE, oneOf, PURPOSES } from './text';

export interface AcceptedClaims extends Scope {
  readonly iss: string;
  /** Thumbprint of the carrier's root, or of the device that the grant names. */
  readonly aud: Hash;
  readonly iatMs: number;
  /** SHA-256 of link 0. */
  readonly grant: Hash;
  readonly delivery: Id;
  readonly cnf: Hash;
  /** The log's entry for the accepted grant. */
  readonly leaf: Bytes;
}

/** `whose`: for whom it must be; null where the caller holds it against the grant. */
export async function verifyAccepted(
  jws: string,
  messageKey: VerifyingKey,
  keyholder: string,
  whose: Hash | null,
  moment: Moment,
): Promise<AcceptedClaims> {
  const u = new Unverified('accepted', 'psh-accepted+jwt', 'kid', jws);
  const m = u.claims;
  const iss = audience(m, 'iss');
  const aud = m.parsed('aud', parseHash);
  const iatMs = m.timeMs('iat');
  const grant = m.hash('grant');
  const delivery = m.parsed('delivery', parseId);
  const usedBy = cnf(m);
  const purpose = m.parsed('purpose', oneOf(PURPOSES));
  const classes = opens(m);
  const cells = area(m);
  const uses = m.int('uses', 1, 1);
  const disclose = m.parsed('disclose', oneOf(DISCLOSE));
  const life = window(m, WINDOW_MAX_SECONDS);
  const leaf = m.bytes('leaf', 1, 64);
  m.end();
  await u.verify(messageKey);
  if (iss !== keyholder) throw Refused.of('accepted', 'wrong_issuer');
  if (whose !== null && aud !== whose) throw Refused.of('accepted', 'wrong_audience');
  if (usedBy !== aud) throw Refused.of('accepted', 'wrong_subject');
  checkTime(moment, 'accepted', iatMs, life);
  return { iss, aud, iatMs, grant, delivery, cnf: usedBy, purpose, opens: classes, area: cells, uses, disclose, window: life, leaf };
}
