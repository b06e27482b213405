// A guest's phone: keys of its own for one invitation, the answer to it, and what the owner has signed for them. The link is kept by
// whoever got it; here only the keys stay, and which opening is not over.

import { answered, createApi, type GatewayPaths } from '$lib/api';
import { GIVE_UP_MS, Unanswered } from '$lib/api/again';
import { database } from '$lib/offline/db';
import { b64, randomBytes, utf8, type Bytes } from '$lib/protocol/bytes';
import { guestNameBytes, parseForGuest, type Position } from '$lib/protocol/content';
import { openEnvelope, verifyEnvelope } from '$lib/protocol/envelope';
import { deliveryOf, verifyGrant, type GrantClaims } from '$lib/protocol/grant';
import { parseId, sha256, type Hash, type Id } from '$lib/protocol/hash';
import { inviteDigits, inviteTag, knockTag, parseDoorSign, parseInvitation } from '$lib/protocol/invite';
import type { KeysClaims } from '$lib/protocol/keys';
import { signProof } from '$lib/protocol/proof';
import { seal } from '$lib/protocol/seal';
import { SealPublicKey } from '$lib/protocol/sealkey';
import type { Attempt } from '../machine';
import { createDevice, enrolmentText, loadDevice, pinKeyholder, type Device } from './device';
import { Acting, fetchKeys, leavePhoto, Problem, send } from './session';

const WITHIN_MS = 15_000;
const api = createApi<GatewayPaths>();

/** What was signed for this phone. */
export interface LetIn {
  readonly link: string;
  readonly claims: GrantClaims;
}
/** An opening that is not over; without a name while nobody has answered, and then it may be open. */
export interface Begun {
  readonly delivery: string;
  readonly attempt: string | null;
  readonly sinceMs: number;
  /** What photos are sealed to: the owner's key, as it came with the opening. */
  readonly owner?: string;
}

/** This phone's keys under a name, made the first time, and the keyholder's. */
async function deviceFor(key: string): Promise<{ device: Device; keys: KeysClaims }> {
  const known = await loadDevice(key);
  const keys = await fetchKeys(known?.pin ?? null);
  return { device: known ?? (await createDevice(key)), keys };
}

/** What the guest does or waits for now; pure. */
export type Step = 'opening' | 'open' | 'shutting' | 'shut' | 'not' | 'unsure' | 'alarm';
export function stepOf(a: Pick<Attempt, 'state' | 'alarm'>): Step {
  if (a.alarm) return 'alarm';
  switch (a.state) {
    case 'intended':
    case 'sent':
    case 'ready':
      return 'opening';
    case 'open':
      return 'open';
    case 'locking':
      return 'shutting';
    case 'locked':
    case 'acknowledged':
      return 'shut';
    case 'did_not_happen':
      return 'not';
    default:
      return 'unsure';
  }
}

/** Somebody who asks at a door. */
interface Asked {
  readonly knock: Id;
  readonly who: string;
  /** Whether an answer came: without one the same is asked again, and whoever opens to it opens to this page. */
  readonly heard: boolean;
}

export class Guest {
  private constructor(
    /** Under which this phone and the owner meet. */
    private readonly about: Id,
    /** What is kept on this phone is kept under this name. */
    private readonly key: string,
    private readonly device: Device,
    private readonly keys: KeysClaims,
    /** What is read out to whoever invited; null at a door. */
    readonly digits: string | null,
  ) {}

  /** Reads the link; makes keys and answers with them the first time. Null: it is no link of an invitation. */
  static async begin(text: string): Promise<Guest | null> {
    const invitation = parseInvitation(text);
    if (!invitation) return null;
    const key = `guest/${invitation.id}`;
    const { device, keys } = await deviceFor(key);
    const { id: about } = invitation;
    const guest = new Guest(about, key, device, keys, inviteDigits(invitation, device.thumbprint, keys.log));
    if (!device.pin) {
      const body = { device: enrolmentText(device), tag: inviteTag(invitation, device.thumbprint) };
      const params = { path: { invitation: about } };
      answered(await api.POST('/v1/invitations/{invitation}/answer', { params, body, signal: AbortSignal.timeout(WITHIN_MS) }));
      // The digits cover the log key: what is pinned here is what the owner has typed them for.
      await pinKeyholder({ log: keys.log, iss: keys.iss }, key);
    }
    return guest;
  }

  /** Asks at a door, as somebody of whom the owner reads this. Null: it is not the code of a door. */
  static async knock(text: string, who: string): Promise<Guest | null> {
    const sign = parseDoorSign(text);
    if (!sign) return null;
    const key = `door/${sign.id}`;
    const { device, keys } = await deviceFor(key);
    const before = await Guest.asked(key);
    const knock = before?.who === who && !before.heard ? before.knock : b64(randomBytes(16));
    await Guest.keepAsked(key, { knock, who, heard: false });
    const context = { sender: device.thumbprint, recipient: keys.iss, delivery: knock, seq: 0 };
    const box = b64(await seal(keys.seal, 'guest_name', context, guestNameBytes(who)));
    const body = { knock, device: enrolmentText(device), tag: knockTag(sign, device.thumbprint, knock), box };
    const params = { path: { door_sign: sign.id } };
    const signal = AbortSignal.timeout(WITHIN_MS);
    answered(await api.POST('/v1/door-signs/{door_sign}/knocks', { params, body, signal }));
    await pinKeyholder({ log: keys.log, iss: keys.iss }, key);
    await Guest.keepAsked(key, { knock, who, heard: true });
    return new Guest(knock, key, device, keys, null);
  }
  /** Who has asked here before, and is waited for or inside: a page that is loaded anew. */
  static async askedBefore(text: string): Promise<Guest | null> {
    const sign = parseDoorSign(text);
    if (!sign) return null;
    const key = `door/${sign.id}`;
    const asked = await Guest.asked(key);
    if (!asked?.heard) return null;
    const { device, keys } = await deviceFor(key);
    return new Guest(asked.knock, key, device, keys, null);
  }
  private static async asked(key: string): Promise<Asked | undefined> {
    return (await (await database()).get('device', `${key}/asked`)) as Asked | undefined;
  }
  private static async keepAsked(key: string, asked: Asked): Promise<void> {
    await (await database()).put('device', asked, `${key}/asked`);
  }
  /** Asks no more at this door. */
  async goes(): Promise<void> {
    await (await database()).delete('device', `${this.key}/asked`);
  }

  /** What was signed for this phone, once it is. */
  async letIn(): Promise<LetIn | null> {
    const params = { path: { invitation: this.about } };
    const signal = AbortSignal.timeout(WITHIN_MS);
    const { envelope } = answered(await api.GET('/v1/invitations/{invitation}', { params, signal }));
    if (!envelope) return null;
    const verified = await verifyEnvelope(envelope, this.keys.message, this.keys.iss, this.device.thumbprint);
    const link = parseForGuest(await openEnvelope(verified, this.device.seal, 'invitation', this.about));
    const { claims } = await verifyGrant(link);
    if (claims.cnf !== this.device.thumbprint) throw new Problem(403, 'proof_wrong_device', 'signed for another device', undefined);
    return { link, claims };
  }

  /** Where this phone opens: the one visit, or by weekly hours today's. */
  async come(to: LetIn): Promise<Acting> {
    const delivery = deliveryOf(to.claims) ?? (await this.visit(to));
    return this.acting(to, delivery);
  }
  private acting(to: LetIn, delivery: string): Acting {
    return new Acting(this.device, this.keys, delivery, to.link, to.claims.opens);
  }
  private async visit(to: LetIn): Promise<string> {
    // The nonce is bound to device, link and action; the visit has no name yet.
    const params = { path: { delivery: to.claims.jti } };
    const asked = { device: this.device.thumbprint, act: 'open' as const, ath: sha256(to.link) };
    const signal = AbortSignal.timeout(WITHIN_MS);
    const { nonce } = answered(await api.POST('/v1/stops/{delivery}/nonces', { params, body: asked, signal }));
    const [path, body] = ['/v1/visits', utf8('{}')];
    const request = { method: 'POST', url: location.origin + path, body };
    const proof = await signProof(request, nonce, to.link, 'open', Date.now(), this.device.signer);
    const { delivery } = await send({ path, headers: { authorization: `DPoP ${to.link}`, dpop: proof }, body });
    if (typeof delivery !== 'string' || !parseId(delivery)) throw new Problem(502, 'not_a_visit', 'the answer names no visit', undefined);
    return delivery;
  }

  /**
   * Opens. That it was asked for is on the disk before it leaves, and which opening it is until it is seen shut: a page that is loaded
   * anew knows it.
   */
  async open(acting: Acting, at: Position): Promise<Begun> {
    const asked: Begun = { delivery: acting.delivery, attempt: null, sinceMs: Date.now() };
    try {
      const { attempt, owner } = await acting.open(at, [], () => this.keep(asked).catch(() => undefined));
      return await this.named(owner ? { ...asked, owner: owner.text } : asked, attempt);
    } catch (error) {
      // Whatever else went wrong is an answer, or came before anything left.
      if (error instanceof Unanswered) return asked;
      await this.over().catch(() => undefined);
      throw error;
    }
  }
  /** What became of an opening that nobody answered: it with its name, or null when it is sure that nothing came of it. */
  async lookAgain(to: LetIn, asked: Begun, at: Position): Promise<Begun | null> {
    try {
      return await this.named(asked, await this.actingIn(to, asked).leftOpen(at));
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'houses_are_not_located') throw error;
      if (Date.now() - asked.sinceMs <= GIVE_UP_MS) throw new Problem(409, 'not_known_yet', 'it may still open', undefined);
      await this.over();
      return null;
    }
  }
  private async named(asked: Begun, attempt: string): Promise<Begun> {
    const begun = { ...asked, attempt };
    await this.keep(begun).catch(() => undefined);
    return begun;
  }
  /** The opening that is not over, if there is one. */
  async begun(): Promise<Begun | null> {
    return ((await (await database()).get('device', `${this.key}/begun`)) as Begun | undefined) ?? null;
  }
  /** A photo for the owner, sealed to them and left at the front; answers by which name the keyholder is told of it. */
  async photograph(acting: Acting, begun: Begun, jpeg: Bytes): Promise<Hash> {
    const owner = SealPublicKey.parse(begun.owner ?? '');
    if (!owner || !begun.attempt) throw new Problem(409, 'no_photo_key', 'no key came with the opening', undefined);
    const box = await acting.sealPhoto(owner, jpeg);
    await leavePhoto(begun.delivery, begun.attempt, b64(box));
    return sha256(box);
  }
  actingIn(to: LetIn, begun: Begun): Acting {
    return this.acting(to, begun.delivery);
  }
  async over(): Promise<void> {
    await (await database()).delete('device', `${this.key}/begun`);
  }
  private async keep(begun: Begun): Promise<void> {
    await (await database()).put('device', begun, `${this.key}/begun`);
  }
}
