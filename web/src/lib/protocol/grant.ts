// Link 0: what an owner permits. Signed by a key that the wallet makes for this one grant and throws away; the authority is
// the passkey's assertion over the signed grant.

import { area } from './area';
import { domainHash, parseHash, parseId, sha256, type Hash, type Id } from './hash';
import { ObjectWriter, type Members } from './json';
import { checkTime, cnf, signJws, Unverified, window, type Moment, type Signer, type Window } from './jws';
import type { Scope } from './narrow';
import { Refused } from './refused';
import type { VerifiedRequest } from './request';
import {
  audience, CLASSES, DAYS, DISCLOSE, isAscendingIn, isToken, isWord, oneOf, PURPOSES,
  type AccessClass, type Day, type Disclose, type Purpose,
} from './text';
import { verifyAssertion, type Assertion, type Passkey, type RelyingParty } from './webauthn';

export const TYP = 'psh-grant+jwt';
/** Longest windows, seconds. */
export const WINDOW_MAX_SECONDS = 86_400;
const STANDING_MAX_SECONDS = 90 * 86_400;
const REHEARSAL_MAX_SECONDS = 900;
const MERCHANTS_MAX = 32;

/** The weekly hours of a standing rule, in a named zone. */
export interface Schedule {
  /** IANA name. */
  readonly zone: string;
  readonly days: readonly Day[];
  /** `HH:MM`, local. */
  readonly from: string;
  readonly to: string;
}
/** `iss` is the header key's thumbprint and `uses` always 1: neither is a choice. */
export interface GrantClaims {
  readonly aud: string;
  readonly jti: Id;
  readonly iatMs: number;
  readonly window: Window;
  /** Who may use it: the carrier's root; for guests and rehearsals the device itself. */
  readonly cnf: Hash;
  /** Hash of the request that this answers; null for standing rules, guests, rehearsals. */
  readonly request: Hash | null;
  /** One delivery; or in weekly hours every delivery of named merchants, or a guest, whose rule names none. */
  readonly scoped: { readonly delivery: Id } | { readonly merchants: readonly string[]; readonly schedule: Schedule };
  readonly accessPoint: Id;
  readonly purpose: Purpose;
  readonly opens: readonly AccessClass[];
  readonly area: readonly string[];
  readonly disclose: Disclose;
  /** Hash of the wallet's sealing key for this grant. */
  readonly seal: Hash;
  readonly ruleCommitment: Hash;
  /** Which text the owner read. */
  readonly text: { readonly template: string; readonly lang: string };
}
export interface SignedGrant {
  readonly jws: string;
  readonly hash: Hash;
  readonly claims: GrantClaims;
}

/** What the passkey's assertion must carry as challenge. */
export function grantChallenge(jws: string): Hash {
  return domainHash('psh-grant-v1', jws);
}
export function isDelegated(purpose: Purpose): boolean {
  return purpose === 'delivery' || purpose === 'pickup' || purpose === 'service';
}
/** The one delivery that a grant is for; null for a standing rule. */
export function deliveryOf(claims: GrantClaims): Id | null {
  return 'delivery' in claims.scoped ? claims.scoped.delivery : null;
}
export function scopeOf(claims: Omit<Scope, 'uses'>): Scope {
  const { purpose, opens, disclose } = claims;
  return { purpose, opens, uses: 1, area: claims.area, disclose, window: claims.window };
}

/** Signs with a key made for this grant. What was signed is read again, so that nothing malformed leaves. */
export async function signGrant(claims: GrantClaims, signer: Signer): Promise<SignedGrant> {
  return verifyGrant(await signJws(TYP, 'jwk', payload(claims, signer.key.thumb), signer));
}
/** A grant whose form was checked, signature not yet. */
export function parseGrant(jws: string): { readonly u: Unverified; readonly claims: GrantClaims } {
  const u = new Unverified('grant', TYP, 'jwk', jws);
  const claims = readClaims(u.claims, u.headerKey().thumb);
  u.claims.end();
  return { u, claims };
}
/** Checks form, bounds and the signature by the key in the header. */
export async function verifyGrant(jws: string): Promise<SignedGrant> {
  const { u, claims } = parseGrant(jws);
  await u.verify(u.headerKey());
  return { jws, hash: sha256(jws), claims };
}
/** Checks that one of the owner's passkeys confirmed exactly this grant, for this keyholder, at this moment. */
export async function confirmGrant(
  grant: SignedGrant,
  assertion: Assertion,
  passkeys: readonly Passkey[],
  rp: RelyingParty,
  aud: string,
  moment: Moment,
): Promise<void> {
  if (grant.claims.aud !== aud) throw Refused.of('grant', 'wrong_audience');
  checkTime(moment, 'grant', grant.claims.iatMs, grant.claims.window);
  await verifyAssertion(assertion, grantChallenge(grant.jws), passkeys, rp);
}

/** Checks a grant for one delivery against the request that it answers. */
export function checkAnswers(grant: SignedGrant, request: VerifiedRequest): void {
  const [c, r] = [grant.claims, request.claims];
  if (c.request !== request.hash || deliveryOf(c) !== r.delivery) throw new Refused('grant_wrong_request');
  if (c.cnf !== r.iss) throw new Refused('grant_wrong_carrier');
  const inside = r.window.startMs <= c.window.startMs && c.window.endMs <= r.window.endMs;
  if (c.purpose !== r.purpose || !inside) throw new Refused('grant_widens_request');
}
/** Checks that a standing rule covers a request. Whether its weekly hours do is the zone's calendar to say. */
export function checkCovers(grant: SignedGrant, request: VerifiedRequest): void {
  const [c, r] = [grant.claims, request.claims];
  if (!('merchants' in c.scoped) || !c.scoped.merchants.includes(r.merchant.id)) {
    throw new Refused('grant_wrong_request');
  }
  if (c.cnf !== r.iss) throw new Refused('grant_wrong_carrier');
  const inside = c.window.startMs <= r.window.startMs && r.window.endMs <= c.window.endMs;
  if (c.purpose !== r.purpose || !inside) throw new Refused('grant_widens_request');
}

function payload(c: GrantClaims, issuer: Hash): string {
  const o = new ObjectWriter()
    .text('iss', issuer)
    .text('aud', c.aud)
    .text('jti', c.jti)
    .timeMs('iat', c.iatMs)
    .timeMs('nbf', c.window.startMs)
    .timeMs('exp', c.window.endMs)
    .raw('cnf', new ObjectWriter().text('jkt', c.cnf).end())
    .opt('request', c.request);
  if ('delivery' in c.scoped) {
    o.text('delivery', c.scoped.delivery);
  } else {
    const { zone, days, from, to } = c.scoped.schedule;
    if (c.scoped.merchants.length > 0) o.texts('merchants', c.scoped.merchants);
    o.raw(
      'schedule',
      new ObjectWriter().text('zone', zone).texts('days', days).text('from', from).text('to', to).end(),
    );
  }
  return o
    .text('access_point', c.accessPoint)
    .text('purpose', c.purpose)
    .texts('opens', c.opens)
    .int('uses', 1)
    .texts('area', c.area)
    .text('disclose', c.disclose)
    .text('seal', c.seal)
    .text('rule_commitment', c.ruleCommitment)
    .raw('text', new ObjectWriter().text('template', c.text.template).text('lang', c.text.lang).end())
    .end();
}

function readClaims(m: Members, issuer: Hash): GrantClaims {
  if (m.parsed('iss', parseHash) !== issuer) throw m.fault('wrong_issuer');
  const aud = audience(m, 'aud');
  const jti = m.parsed('jti', parseId);
  const iatMs = m.timeMs('iat');
  const usedBy = cnf(m);
  const request = m.optParsed('request', parseHash);
  const scoped = readScoped(m);
  const accessPoint = m.parsed('access_point', parseId);
  const purpose = m.parsed('purpose', oneOf(PURPOSES));
  const oneDelivery = 'delivery' in scoped;
  const longest =
    purpose === 'rehearsal' ? REHEARSAL_MAX_SECONDS : oneDelivery ? WINDOW_MAX_SECONDS : STANDING_MAX_SECONDS;
  const life = window(m, longest);
  const classes = opens(m);
  m.int('uses', 1, 1);
  const cells = area(m);
  const disclose = m.parsed('disclose', oneOf(DISCLOSE));
  const seal = m.hash('seal');
  const ruleCommitment = m.hash('rule_commitment');
  const shown = m.object('text');
  const template = shown.parsed('template', (t) => (isWord(t, 64) ? t : null));
  const lang = shown.parsed('lang', (t) => (/^[A-Za-z0-9-]{1,35}$/.test(t) ? t : null));
  shown.end();
  // A request is answered by a grant for its one delivery; nothing else has a request.
  // A rule is for a carrier's merchants or for one guest, never for rehearsals.
  const named = !oneDelivery && scoped.merchants.length > 0;
  const fits = oneDelivery || (purpose !== 'rehearsal' && named === isDelegated(purpose));
  if ((request !== null) !== (oneDelivery && isDelegated(purpose)) || !fits) throw m.wrong();
  return {
    aud, jti, iatMs, window: life, cnf: usedBy, request, scoped, accessPoint, purpose, opens: classes, area: cells, disclose,
    seal, ruleCommitment, text: { template, lang },
  };
}

function readScoped(m: Members): GrantClaims['scoped'] {
  if (m.has('delivery')) return { delivery: m.parsed('delivery', parseId) };
  const merchants = m.has('merchants') ? m.list('merchants', 1, MERCHANTS_MAX, (t) => (isToken(t, 64) ? t : null)) : [];
  const s = m.object('schedule');
  const zone = s.parsed('zone', (t) => (/^[A-Za-z0-9/_+-]{1,64}$/.test(t) ? t : null));
  const days = s.list('days', 1, 7, oneOf(DAYS));
  const from = s.parsed('from', clock);
  const to = s.parsed('to', clock);
  s.end();
  // Merchants are ASCII, so that the order of texts is the order of bytes.
  const ordered = merchants.every((x, i) => i === 0 || merchants[i - 1]! < x) && isAscendingIn(DAYS, days);
  if (!ordered || from >= to) throw m.wrong();
  return { merchants, schedule: { zone, days, from, to } };
}
/** `HH:MM` from `00:00` to `24:00`. */
function clock(text: string): string | null {
  return /^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$/.test(text) ? text : null;
}

/** Access classes, ascending, each once. */
export function opens(m: Members): AccessClass[] {
  const list = m.list('opens', 1, CLASSES.length, oneOf(CLASSES));
  if (!isAscendingIn(CLASSES, list)) throw m.wrong();
  return list;
}
