// A signed envelope around a sealed box: base mode does not say who sealed, the envelope does.

import type { Bytes } from './bytes';
import { Unverified, type VerifyingKey } from './jws';
import { Refused } from './refused';
import { open, type SealKeyPair } from './seal';
import { parseSealPurpose, type SealPurpose } from './sealkey';
import { audience, token } from './text';

const ENVELOPE_MAX = 256 * 1024;

export interface VerifiedEnvelope {
  readonly iss: string;
  /** A device's thumbprint or a wallet's id. */
  readonly aud: string;
  readonly delivery: string;
  readonly seq: number;
  readonly purpose: SealPurpose;
  readonly iatMs: number;
  readonly box: Bytes;
}

/** Checks form, signature, sender and recipient. */
export async function verifyEnvelope(
  jws: string,
  messageKey: VerifyingKey,
  keyholder: string,
  recipient: string,
): Promise<VerifiedEnvelope> {
  const u = new Unverified('envelope', 'psh-sealed+jwt', 'kid', jws, ENVELOPE_MAX);
  const m = u.claims;
  const claims = {
    iss: audience(m, 'iss'),
    aud: token(m, 'aud', 256),
    delivery: token(m, 'delivery', 256),
    seq: m.int('seq', 0, 2 ** 53),
    purpose: m.parsed('purpose', parseSealPurpose),
    iatMs: m.timeMs('iat'),
    box: m.bytes('box', 1, ENVELOPE_MAX),
  };
  m.end();
  await u.verify(messageKey);
  if (claims.iss !== keyholder) throw Refused.of('envelope', 'wrong_issuer');
  if (claims.aud !== recipient) throw Refused.of('envelope', 'wrong_audience');
  return claims;
}
export async function openEnvelope(
  e: VerifiedEnvelope,
  key: SealKeyPair,
  purpose: SealPurpose,
  delivery: string,
): Promise<Bytes> {
  if (e.purpose !== purpose || e.delivery !== delivery) throw Refused.of('envelope', 'wrong_subject');
  return open(key, purpose, { sender: e.iss, recipient: e.aud, delivery: e.delivery, seq: e.seq }, e.box);
}
