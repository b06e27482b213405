// Guests: whom the owner lets into a house with no carrier in between. An invitation's secret stays on the device that made it,
// until something is signed: only with it can the answer and the six digits be held against each other. A door's code is known to
// all of the owner's devices, and whoever stands there and has read it asks.

import { answered } from '$lib/api';
import { b64, concat, fromB64, randomBytes } from '$lib/protocol/bytes';
import { deviceThumbprint } from '$lib/protocol/cert';
import { guestNameBytes, ruleBytes, ruleCommitment } from '$lib/protocol/content';
import { grantChallenge, signGrant, type GrantClaims } from '$lib/protocol/grant';
import { parseHash, type Hash } from '$lib/protocol/hash';
import {
  inviteDigits, inviteTag, knockTag, makeInvitation, parseDoorSign, parseInvitation, type DoorSign, type Invitation,
} from '$lib/protocol/invite';
import { generateSigningPair, signerOf, VerifyingKey, type Window } from '$lib/protocol/jws';
import { confirm } from '$lib/protocol/passkey';
import { seal } from '$lib/protocol/seal';
import { SealPublicKey } from '$lib/protocol/sealkey';
import type { AccessClass } from '$lib/protocol/text';
import { areaAround } from './cars';
import { forget, keep, kept } from './db';
import { account, api, keys, openedJson, wire } from './gateway';
import type { Vehicle } from './model';
import type { Terms } from './rules';

/** Which words the owner reads above the button; a change of their meaning changes its name. */
const TEMPLATE = { once: 'guest-1', weekly: 'guest-rule-1' } as const;
const CLOCKS_MS = 60_000;

export interface Guest {
  readonly invitation: string;
  readonly name: string;
  readonly until: string;
  /** Of the device that answered, while nothing is signed. */
  readonly answer: { readonly device: string; readonly tag: string } | null;
  readonly granted: { readonly delivery?: string; readonly rule?: string } | null;
  /** The door whose code they have read; the others were invited. */
  readonly door_sign: string | null;
}
/** A code that hangs at a door. */
export interface Hanging {
  readonly door_sign: string;
  readonly vehicle: string;
  readonly secret: string;
}
export interface GuestList {
  readonly guests: Guest[];
  readonly door_signs: Hanging[];
}
export async function guests(): Promise<GuestList> {
  const { envelope } = answered(await api.GET('/v1/wallet/invitations'));
  return openedJson<GuestList>(envelope, account().wallet);
}

const place = (id: string) => `invitation/${id}`;
/** The secret, if this device made the invitation. */
export async function secretOf(id: string): Promise<Invitation | null> {
  const text = await kept<string>(place(id));
  return text ? parseInvitation(text) : null;
}
/** Signed for, or taken back: nobody needs it any more. */
export async function forgetSecret(id: string): Promise<void> {
  await forget(place(id)).catch(() => undefined);
}
export async function invite(name: string): Promise<Invitation> {
  const invitation = makeInvitation();
  const { iss, seal: keyholder } = (await keys()).claims;
  const context = { sender: account().wallet, recipient: iss, delivery: invitation.id, seq: 0 };
  const box = b64(await seal(keyholder, 'guest_name', context, guestNameBytes(name)));
  // Before it is sent: an answer that is lost must not leave one that nobody can use.
  await keep(place(invitation.id), invitation.text);
  answered(await api.POST('/v1/wallet/invitations', { body: { invitation: invitation.id, box } }));
  return invitation;
}
/** What the guest gets, as a code on this screen or in a message. */
export async function linkOf(invitation: Invitation): Promise<string> {
  return `${await stopHost()}/g#${invitation.text}`;
}
async function stopHost(): Promise<string> {
  const { stop } = (await (await fetch('/.well-known/parcelshelf', { cache: 'no-store' })).json()) as { stop: string };
  return stop;
}
export async function withdraw(id: string): Promise<void> {
  const params = { path: { invitation: id } };
  answered(await api.POST('/v1/wallet/invitations/{invitation}/withdraw', { params, body: {} }));
  await forgetSecret(id);
}

/** The code for one door, as it is printed. */
export async function doorLink(hanging: Hanging): Promise<string> {
  return `${await stopHost()}/w#${hanging.secret}`;
}
export async function putUp(vehicle: string): Promise<void> {
  answered(await api.POST('/v1/wallet/door-signs', { body: { vehicle } }));
}
export async function takeDown(sign: string): Promise<void> {
  const params = { path: { door_sign: sign } };
  answered(await api.POST('/v1/wallet/door-signs/{door_sign}/take-down', { params, body: {} }));
}

interface Shown {
  readonly device: Hash;
  readonly seal: SealPublicKey;
}
/** Reads the keys that a guest's page has sent; null if they are none. */
export function shownBy(text: string): Shown | null {
  const [version, point, sealing, ...rest] = text.split('~');
  const bytes = fromB64(point ?? '');
  const sealKey = SealPublicKey.parse(sealing ?? '');
  if (version !== 'psh-enrol-1' || rest.length > 0 || bytes?.length !== 64 || !sealKey) return null;
  const half = (from: number) => b64(concat(bytes.slice(from, from + 32)));
  const key = VerifyingKey.parseJwk(JSON.stringify({ crv: 'P-256', kty: 'EC', x: half(0), y: half(32) }));
  return { device: deviceThumbprint(key.thumb, sealKey.hash), seal: sealKey };
}
/** The device that answered, if whoever answered had the link and these digits are the ones that its page shows. */
export async function paired(guest: Guest, invitation: Invitation, digits: string): Promise<Shown | null> {
  const shown = guest.answer && shownBy(guest.answer.device);
  if (!shown || !parseHash(guest.answer.tag)) return null;
  const { log } = (await keys()).claims;
  const holds = guest.answer.tag === inviteTag(invitation, shown.device) && digits === inviteDigits(invitation, shown.device, log);
  return holds ? shown : null;
}

/** Who stands at this door now and has read its code; whoever has not is not among them. */
export function atDoor(told: GuestList, vehicle: string): { guest: Guest; shown: Shown }[] {
  const hanging = told.door_signs.find((one) => one.vehicle === vehicle);
  const sign: DoorSign | null = hanging ? parseDoorSign(hanging.secret) : null;
  return told.guests.flatMap((guest) => {
    const shown = guest.answer && shownBy(guest.answer.device);
    if (!sign || guest.door_sign !== sign.id || guest.granted || !shown) return [];
    return guest.answer.tag === knockTag(sign, shown.device, guest.invitation) ? [{ guest, shown }] : [];
  });
}

/** Once in this window, or by weekly hours: the passkey confirms exactly that, for exactly this device. */
export async function letIn(shown: Shown, car: Vehicle, when: Window | Terms): Promise<void> {
  const published = (await keys()).claims;
  const { wallet, credentialId } = account();
  const weekly = 'schedule' in when;
  const area = await areaAround(car.vehicle);
  const { access_point } = answered(await api.POST('/v1/wallet/access-points', { body: { carrier: shown.device } }));
  const [jti, delivery] = [b64(randomBytes(16)), b64(randomBytes(16))];
  const rule = { salt: randomBytes(16), vehicles: [car.vehicle] };
  const claims: GrantClaims = {
    aud: published.iss,
    jti,
    iatMs: Math.floor((Date.now() - CLOCKS_MS) / 1000) * 1000,
    window: weekly ? when.life : when,
    cnf: shown.device,
    request: null,
    scoped: weekly ? { merchants: [], schedule: when.schedule } : { delivery },
    accessPoint: access_point,
    purpose: 'guest',
    opens: [(car.class ?? car.opens[0]) as AccessClass],
    area,
    disclose: 'next_stop',
    // What is sealed for a guest is sealed to their own device.
    seal: shown.seal.hash,
    ruleCommitment: ruleCommitment(rule),
    text: { template: weekly ? TEMPLATE.weekly : TEMPLATE.once, lang: document.documentElement.lang || 'en' },
  };
  const grant = await signGrant(claims, await signerOf(await generateSigningPair()));
  const { assertion } = await confirm(published.rpId, grantChallenge(grant.jws), null, [credentialId]);
  const context = { sender: wallet, recipient: published.iss, delivery: weekly ? jti : delivery, seq: 0 };
  const body = {
    grant: grant.jws,
    assertion: wire(assertion),
    seal_key: shown.seal.text,
    rule_box: b64(await seal(published.seal, 'rule', context, ruleBytes(rule))),
  };
  if (weekly) answered(await api.POST('/v1/rules', { body }));
  else answered(await api.POST('/v1/grants', { body }));
}
