// Allowing: the carrier's request is read from the link's fragment and checked down from the operator's key; the grant is
// signed with a key made for it, confirmed by the passkey, and kept here before it is handed in.

import { answered, Problem, Silence } from '$lib/api';
import { b64, randomBytes } from '$lib/protocol/bytes';
import { ruleBytes, ruleCommitment } from '$lib/protocol/content';
import { checkAnswers, checkCovers, grantChallenge, signGrant, type GrantClaims, type SignedGrant } from '$lib/protocol/grant';
import { verifyAccepted } from '$lib/protocol/accepted';
import { sha256 } from '$lib/protocol/hash';
import { ANY, generateSigningPair, signerOf, used } from '$lib/protocol/jws';
import { grantSealKey } from '$lib/protocol/owner-keys';
import { confirm } from '$lib/protocol/passkey';
import { Refused } from '$lib/protocol/refused';
import { verifyTicket, type Ticket } from '$lib/protocol/request';
import { seal } from '$lib/protocol/seal';
import type { AccessClass, Disclose } from '$lib/protocol/text';
import { forgetSigned, keep, keepSigned, kept, signedHere, type KnownArea, type SignedHere } from './db';
import { account, api, keys, SeedMissing, wire } from './gateway';
import { operatorKey } from './operator';
import { RULE_TEMPLATE, type Terms } from './rules';

/** Which words the owner reads above the button; a change of their meaning changes its name. */
export const TEMPLATE = 'delivery-1';

export interface Asked {
  readonly ticket: Ticket;
  /** As the operator admitted it. */
  readonly carrierName: string;
  readonly carrierDomain: string;
}

/** Reads a ticket. `keyholder` and operator come from the gateway, so that a request for another gateway is refused. */
export async function readTicket(fragment: string): Promise<Asked> {
  const { claims } = await keys();
  const ticket = await verifyTicket(fragment, await operatorKey(), claims.iss, used(Date.now()));
  const { name, domain } = ticket.carrierCert.claims;
  return { ticket, carrierName: name ?? '', carrierDomain: domain ?? '' };
}

export interface Choice {
  vehicle: string;
  opens: AccessClass;
  area: { name: string; cells: string[] };
  disclose: Disclose;
  /** Later ones too, in these hours. */
  inAdvance?: Terms;
  lang: string;
}

/** Exactly what will be signed, but for the key: what the page shows is made from this. */
export async function drafted(asked: Asked, choice: Choice): Promise<Draft> {
  const { iss } = (await keys()).claims;
  const { wallet, seed } = account();
  if (!seed) throw new SeedMissing('this device has no seed');
  const request = asked.ticket.request.claims;
  const body = { carrier: request.iss };
  const { access_point } = answered(await api.POST('/v1/wallet/access-points', { body }));
  const jti = b64(randomBytes(16));
  const rule = { salt: randomBytes(16), vehicles: [choice.vehicle] };
  const sealing = await grantSealKey(seed, jti);
  const { inAdvance } = choice;
  const claims: GrantClaims = {
    aud: iss,
    jti,
    // Whole seconds and not before now: the keyholder's clock decides.
    iatMs: Date.now(),
    window: inAdvance?.life ?? request.window,
    cnf: request.iss,
    request: inAdvance ? null : asked.ticket.request.hash,
    scoped: inAdvance ? { merchants: [request.merchant.id], schedule: inAdvance.schedule } : { delivery: request.delivery },
    accessPoint: access_point,
    purpose: request.purpose,
    opens: [choice.opens],
    area: choice.area.cells,
    disclose: choice.disclose,
    seal: sealing.public.hash,
    ruleCommitment: ruleCommitment(rule),
    text: { template: inAdvance ? RULE_TEMPLATE : TEMPLATE, lang: choice.lang },
  };
  return { asked, choice, claims, rule: ruleBytes(rule), sealKey: sealing.public.text, wallet };
}
export interface Draft {
  readonly asked: Asked;
  readonly choice: Choice;
  readonly claims: GrantClaims;
  readonly rule: Uint8Array;
  readonly sealKey: string;
  readonly wallet: string;
}

/** Signs with a fresh key that nobody keeps, and has the passkey confirm the very bytes. */
export async function allow(draft: Draft): Promise<void> {
  const published = (await keys()).claims;
  const signer = await signerOf(await generateSigningPair());
  const grant: SignedGrant = await signGrant(draft.claims, signer);
  const rule = draft.choice.inAdvance !== undefined;
  (rule ? checkCovers : checkAnswers)(grant, draft.asked.ticket.request);
  const { assertion } = await confirm(published.rpId, grantChallenge(grant.jws), null, [account().credentialId]);
  const { delivery } = draft.asked.ticket.request.claims;
  const about = rule ? draft.claims.jti : delivery;
  const context = { sender: draft.wallet, recipient: published.iss, delivery: about, seq: 0 };
  const body = {
    grant: grant.jws,
    assertion: wire(assertion),
    seal_key: draft.sealKey,
    rule_box: b64(await seal(published.seal, 'rule', context, draft.rule)),
    request: draft.asked.ticket.request.jws,
    delegation_cert: draft.asked.ticket.delegationCert.jws,
    carrier_cert: draft.asked.ticket.carrierCert.jws,
  };
  const signed: SignedHere = {
    delivery,
    body: JSON.stringify(body),
    rule,
    jti: draft.claims.jti,
    carrier: draft.claims.cnf,
    accepted: null,
    at: Date.now(),
  };
  await keepSigned(signed);
  await handIn(signed);
  await rememberArea(draft.choice.area);
}

/** Whether this delivery was signed here and has no answer yet. */
export async function unanswered(delivery: string): Promise<SignedHere | null> {
  const signed = await signedHere(delivery);
  return signed && !signed.accepted ? signed : null;
}

const TRIES = 4;
/** Hands in the same bytes until there is an answer; they can be accepted only once. What is refused for good is forgotten. */
export async function handIn(signed: SignedHere): Promise<void> {
  const published = (await keys()).claims;
  const body = JSON.parse(signed.body);
  for (let tried = 1; ; tried += 1) {
    try {
      const { accepted } = signed.rule
        ? answered(await api.POST('/v1/rules', { body }))
        : answered(await api.POST('/v1/grants', { body }));
      if (!accepted) throw new Problem(502, 'not_accepted', 'the answer is empty', undefined);
      const said = await verifyAccepted(accepted, published.message, published.iss, signed.carrier, ANY);
      // Signed by the keyholder, for this carrier; but of this grant?
      if (said.grant !== sha256(body.grant) || said.delivery !== signed.delivery) throw Refused.of('accepted', 'wrong_subject');
      await keepSigned({ ...signed, accepted });
      return;
    } catch (error) {
      if (isFinal(error)) await forgetSigned(signed.delivery);
      const passing = error instanceof Silence || (error instanceof Problem && error.status >= 500);
      if (!passing || tried >= TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** tried));
    }
  }
}
/** Statuses of a refusal that says nothing about the grant: no session, too slow, too often. */
const LATER = new Set([401, 408, 425, 429]);
/** Whether these bytes will never be accepted, by the gateway's own word: what stands between has no codes. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof Problem) || error.code.startsWith('http_')) return false;
  return error.status >= 400 && error.status < 500 && !LATER.has(error.status);
}

const AREAS = 'areas';
const AREAS_MAX = 8;
export async function knownAreas(): Promise<KnownArea[]> {
  return (await kept<KnownArea[]>(AREAS)) ?? [];
}
async function rememberArea(area: { name: string; cells: string[] }): Promise<void> {
  const same = (one: KnownArea) => one.cells.join() === area.cells.join();
  const others = (await knownAreas()).filter((one) => !same(one));
  await keep(AREAS, [{ ...area, usedAt: Date.now() }, ...others].slice(0, AREAS_MAX));
}
