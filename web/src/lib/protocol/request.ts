// What a carrier asks an owner for, and the ticket in which it travels to the wallet.

import { bytesOfLength, type Bytes } from './bytes';
import { verifyCert, type VerifiedCert } from './cert';
import { parseHash, parseId, sha256, type Hash, type Id } from './hash';
import type { Members } from './json';
import { checkTime, JWS_MAX, lifetime, Unverified, VerifyingKey, window, type Moment, type Window } from './jws';
import { Refused } from './refused';
import { audience, FALLBACKS, oneOf, PURPOSES, token, type Fallback, type Purpose } from './text';

const MAX_SECONDS = 30 * 86_400;
const WINDOW_MAX_SECONDS = 86_400;
const ITEMS_MAX = 16;

export interface Item {
  /** Into the car, or out of it. */
  readonly kind: 'put' | 'take';
  /** Length, width, height in millimetres. */
  readonly sizeMm: readonly [number, number, number];
  readonly weightG: number;
  /** In the currency's smallest unit. */
  readonly valueMinor: number;
  readonly currency: string;
  readonly label: Hash;
}
export interface RequestClaims {
  /** Thumbprint of the carrier's root. */
  readonly iss: Hash;
  readonly aud: string;
  readonly jti: Id;
  readonly life: Window;
  readonly delivery: Id;
  /** The wallet shows the name from the carrier's certificate, not this. */
  readonly carrier: string;
  /** The carrier's claim, and shown as such. */
  readonly merchant: { readonly id: string; readonly name: string };
  readonly purpose: Purpose;
  readonly items: readonly Item[];
  readonly window: Window;
  readonly fallbacks: readonly Fallback[];
  readonly initials: string;
  readonly orderDigits: string;
  readonly salt: Bytes;
}
export interface VerifiedRequest {
  readonly jws: string;
  readonly hash: Hash;
  readonly claims: RequestClaims;
}
export interface Ticket {
  readonly request: VerifiedRequest;
  readonly delegationCert: VerifiedCert;
  readonly carrierCert: VerifiedCert;
}

export async function verifyRequest(
  jws: string,
  delegation: VerifiedCert,
  aud: string,
  moment: Moment,
): Promise<VerifiedRequest> {
  const u = new Unverified('request', 'psh-request+jwt', 'kid', jws);
  const claims = readClaims(u.claims);
  if (delegation.claims.role !== 'delegation') throw new Refused('cert_wrong_role');
  await u.verify(delegation.claims.key);
  if (claims.iss !== delegation.claims.iss) throw Refused.of('request', 'wrong_issuer');
  if (claims.aud !== aud) throw Refused.of('request', 'wrong_audience');
  checkTime(moment, 'request', claims.life.startMs, claims.life);
  return { jws, hash: sha256(jws), claims };
}

/** Checks `<request>~<delegation cert>~<carrier cert>` down from the operator's key. */
export async function verifyTicket(text: string, operator: VerifyingKey, aud: string, moment: Moment): Promise<Ticket> {
  if (text.length > 3 * JWS_MAX + 2) throw Refused.of('ticket', 'too_long');
  const parts = text.split('~', 4);
  if (parts.length !== 3) throw Refused.of('ticket', 'not_compact');
  const [request, delegation, carrier] = parts as [string, string, string];
  const carrierCert = await verifyCert(carrier, operator, 'carrier', aud, moment);
  const delegationCert = await verifyCert(delegation, carrierCert.claims.key, 'delegation', aud, moment);
  return { request: await verifyRequest(request, delegationCert, aud, moment), delegationCert, carrierCert };
}

function readClaims(m: Members): RequestClaims {
  const iss = m.parsed('iss', parseHash);
  const aud = audience(m, 'aud');
  const jti = m.parsed('jti', parseId);
  const life = lifetime(m, MAX_SECONDS);
  const delivery = m.parsed('delivery', parseId);
  const carrier = m.text('carrier', 1, 64);
  const who = m.object('merchant');
  const merchant = { id: token(who, 'id', 64), name: who.text('name', 1, 64) };
  who.end();
  const purpose = m.parsed('purpose', oneOf(PURPOSES));
  const items = m.objects('items', 1, ITEMS_MAX).map(item);
  const asked = m.object('window');
  const when = window(asked, WINDOW_MAX_SECONDS);
  asked.end();
  const fallbacks = m.list('fallbacks', 1, FALLBACKS.length, oneOf(FALLBACKS));
  const initials = m.text('initials', 1, 8);
  const orderDigits = m.parsed('order_digits', (t) => (/^[0-9]{1,6}$/.test(t) ? t : null));
  const salt = m.parsed('salt', bytesOfLength(16));
  m.end();
  return {
    iss, aud, jti, life, delivery, carrier, merchant, purpose, items, window: when, fallbacks, initials, orderDigits, salt,
  };
}

function item(m: Members): Item {
  const kind = m.parsed('kind', oneOf(['put', 'take'] as const));
  const sizeMm = m.values('size_mm', 3, 3).map((v) => m.asInt(v, 1, 5_000)) as [number, number, number];
  const weightG = m.int('weight_g', 0, 1_000_000);
  const valueMinor = m.int('value_minor', 0, 2 ** 40);
  const currency = m.parsed('currency', (t) => (/^[A-Z]{3}$/.test(t) ? t : null));
  const label = m.hash('label');
  m.end();
  return { kind, sizeMm, weightG, valueMinor, currency, label };
}
