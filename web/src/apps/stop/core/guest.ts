// A guest's phone: keys of its own for one invitation, the answer to it, and what the owner has signed for them. The link is kept by
// whoever got it; here only the keys stay, and which opening is not over.

import { answered, createApi, type GatewayPaths } from '$lib/api';
import { GIVE_UP_MS, Unanswered } from '$lib/api/again';
import { database } from '$lib/offline/db';
import { utf8 } from '$lib/protocol/bytes';
import { parseForGuest, type Position } from '$lib/protocol/content';
import { openEnvelope, verifyEnvelope } from '$lib/protocol/envelope';
import { deliveryOf, verifyGrant, type GrantClaims } from '$lib/protocol/grant';
import { parseId, sha256 } from '$lib/protocol/hash';
import { inviteDigits, inviteTag, parseInvitation, type Invitation } from '$lib/protocol/invite';
import type { KeysClaims } from '$lib/protocol/keys';
import { signProof } from '$lib/protocol/proof';
import type { Attempt } from '../machine';
import { createDevice, enrolmentText, loadDevice, pinKeyholder, type Device } from './device';
import { Acting, fetchKeys, Problem, send } from './session';

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

export class Guest {
  private constructor(
    private readonly invitation: Invitation,
    private readonly device: Device,
    private readonly keys: KeysClaims,
  ) {}

  private static key(invitation: Invitation): string {
    return `guest/${invitation.id}`;
  }
  /** Reads the link; makes keys and answers with them the first time. Null: it is no link of an invitation. */
  static async begin(text: string): Promise<Guest | null> {
    const invitation = parseInvitation(text);
    if (!invitation) return null;
    const key = Guest.key(invitation);
    const known = await loadDevice(key);
    const keys = await fetchKeys(known?.pin ?? null);
    const device = known ?? (await createDevice(key));
    const guest = new Guest(invitation, device, keys);
    if (!device.pin) {
      // The digits cover the log key: what is pinned here is what the owner has typed them for.
      await guest.answer();
      await pinKeyholder({ log: keys.log, iss: keys.iss }, key);
    }
    return guest;
  }
  private async answer(): Promise<void> {
    const params = { path: { invitation: this.invitation.id } };
    const body = { device: enrolmentText(this.device), tag: inviteTag(this.invitation, this.device.thumbprint) };
    answered(await api.POST('/v1/invitations/{invitation}/answer', { params, body, signal: AbortSignal.timeout(WITHIN_MS) }));
  }
  get digits(): string {
    return inviteDigits(this.invitation, this.device.thumbprint, this.keys.log);
  }

  /** What was signed for this phone, once it is. */
  async letIn(): Promise<LetIn | null> {
    const params = { path: { invitation: this.invitation.id } };
    const signal = AbortSignal.timeout(WITHIN_MS);
    const { envelope } = answered(await api.GET('/v1/invitations/{invitation}', { params, signal }));
    if (!envelope) return null;
    const verified = await verifyEnvelope(envelope, this.keys.message, this.keys.iss, this.device.thumbprint);
    const link = parseForGuest(await openEnvelope(verified, this.device.seal, 'invitation', this.invitation.id));
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
    return new Acting(this.device, this.keys, delivery, to.link);
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
      const { attempt } = await acting.open(at, [], () => this.keep(asked).catch(() => undefined));
      return await this.named(asked, attempt);
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
    return ((await (await database()).get('device', `${Guest.key(this.invitation)}/begun`)) as Begun | undefined) ?? null;
  }
  actingIn(to: LetIn, begun: Begun): Acting {
    return this.acting(to, begun.delivery);
  }
  async over(): Promise<void> {
    await (await database()).delete('device', `${Guest.key(this.invitation)}/begun`);
  }
  private async keep(begun: Begun): Promise<void> {
    await (await database()).put('device', begun, `${Guest.key(this.invitation)}/begun`);
  }
}
