// What the stop page asks of the keyholder, through a front that sees nothing of it: each request proved by the device over
// a fresh nonce, each place and description sealed to it.

import { answered, createApi, Problem, Silence, type GatewayPaths } from '$lib/api';
import { b64, utf8, type Bytes } from '$lib/protocol/bytes';
import { parseDescription, parsePhotoKey, parsePlace, phoneBytes, type Description, type Place, type Position } from '$lib/protocol/content';
import { parseDelegation, type DelegationClaims } from '$lib/protocol/delegation';
import { openEnvelope, verifyEnvelope } from '$lib/protocol/envelope';
import { parseId, sha256, type Hash } from '$lib/protocol/hash';
import { used } from '$lib/protocol/jws';
import { verifyKeys, type KeysClaims } from '$lib/protocol/keys';
import { signProof } from '$lib/protocol/proof';
import { seal } from '$lib/protocol/seal';
import type { SealPublicKey, SealPurpose } from '$lib/protocol/sealkey';
import type { AccessClass, Action } from '$lib/protocol/text';
import type { Attempt } from '../machine';
import { openWithinMs, untilAnswered } from '$lib/api/again';
import type { Device, Pin } from './device';

const ANSWER_WITHIN_MS = 15_000;
/** 0.7 MB over the uplink of a basement takes its time. */
const PHOTO_WITHIN_MS = 90_000;
const FOLLOW_WITHIN_MS = 30_000;
/** What is judged on the car's place: one that sleeps is asked for it for 36 s, and the front waits for 40. Whoever gave up sooner and
 * pressed again would ask the maker once more. */
const CAR_WITHIN_MS = 45_000;

export { Problem, Silence };

/** Where a car stands. `attempt`: something was opened there before, and is not known to be locked. */
export interface Found {
  readonly place: Place;
  readonly attempt: string | null;
}
/** The answer to *open*. `owner`: what photos are sealed to, where no place brought it. */
export interface Opened {
  readonly attempt: string;
  readonly state: string;
  readonly owner: SealPublicKey | null;
}
/** A signed request that may be sent more than once. */
export interface Prepared {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Bytes;
}
export interface CloseSaid {
  readonly handleChecked: boolean;
  readonly photo: Hash | null;
  /** Nothing will be opened here again. */
  readonly done: boolean;
}

/** Exact bytes out, JSON in; a [`Problem`] or [`Silence`] otherwise. */
export async function send(prepared: Prepared, withinMs = ANSWER_WITHIN_MS): Promise<Record<string, unknown>> {
  let response: Response;
  let body: Record<string, unknown>;
  try {
    response = await fetch(prepared.path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...prepared.headers },
      body: prepared.body,
      cache: 'no-store',
      redirect: 'error',
      referrerPolicy: 'no-referrer',
      signal: AbortSignal.timeout(withinMs),
    });
    // What is no JSON was said by something on the way: nobody answered.
    body = (await response.json()) as Record<string, unknown>;
  } catch {
    throw new Silence('no answer');
  }
  if (response.ok) return body;
  const code = typeof body.code === 'string' ? body.code : `http_${response.status}`;
  const retry = typeof body.retry_after_s === 'number' ? body.retry_after_s : undefined;
  throw new Problem(response.status, code, String(body.title ?? ''), retry, body);
}

const timeMs = (value: unknown): number | null => (typeof value === 'string' ? Date.parse(value) : null);
/** An attempt as the keyholder tells it. */
export function attemptOf(body: Record<string, unknown>): Attempt {
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  const id = text(body.attempt);
  if (!id || !parseId(id) || typeof body.seq !== 'number') throw new Silence('not an attempt');
  return {
    id,
    seq: body.seq,
    state: text(body.state) ?? 'unknown',
    reason: text(body.reason),
    readyUntilMs: timeMs(body.ready_until),
    mayActUntilMs: timeMs(body.may_act_until),
    released: body.released === true,
    recalled: body.recalled === true,
    alarm: text(body.alarm),
    lockProof: text(body.lock_proof),
    checkHandle: body.check_handle === true,
    mayReopen: body.may_reopen === true,
    ended: body.ended === true,
  };
}

/** An attempt as it stands now; nobody waits for news here. */
export function lookAt(attempt: string): Promise<Response> {
  const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
  return fetch(`/v1/attempts/${attempt}`, { cache: 'no-store', redirect: 'error', signal });
}

/** The keyholder's published keys, signed by the pinned log key. */
export async function fetchKeys(pin: Pin | null): Promise<KeysClaims & { jws: string }> {
  const api = createApi<GatewayPaths>();
  const { keys } = answered(await api.GET('/v1/keys', { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) }));
  const { peekLog } = await import('$lib/protocol/keys');
  const log = pin?.log ?? peekLog(keys);
  const iss = pin?.iss ?? (await issuerOf());
  return { ...(await verifyKeys(keys, log, iss, used(Date.now()))).claims, jws: keys };
}
async function issuerOf(): Promise<string> {
  const response = await fetch('/.well-known/parcelshelf', { cache: 'no-store', redirect: 'error', signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  const body = (await response.json()) as { aud?: unknown };
  return String(body.aud);
}

/** What a device asks under its last link: a courier's delegation, or the grant of a guest. */
export class Acting {
  readonly delivery: string;
  readonly link: string;
  private readonly device: Device;
  private readonly keys: KeysClaims;
  private readonly opens: readonly AccessClass[];
  private readonly api = createApi<GatewayPaths>();

  constructor(device: Device, keys: KeysClaims, delivery: string, link: string, opens: readonly AccessClass[]) {
    this.device = device;
    this.keys = keys;
    this.delivery = delivery;
    this.link = link;
    this.opens = opens;
  }

  private async nonce(act: Action): Promise<string> {
    const params = { path: { delivery: this.delivery } };
    const body = { device: this.device.thumbprint, act, ath: sha256(this.link) };
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    return answered(await this.api.POST('/v1/stops/{delivery}/nonces', { params, body, signal })).nonce;
  }
  /** The phone's position with the nonce, sealed to the keyholder: nobody on the way can read or replay it. */
  private async phone(at: Position, nonce: string): Promise<string> {
    const context = { sender: this.device.thumbprint, recipient: this.keys.iss, delivery: this.delivery, seq: 0 };
    return b64(await seal(this.keys.seal, 'phone', context, phoneBytes(at, nonce)));
  }
  private async prepare(act: Action, at: Position, more: Record<string, unknown>): Promise<Prepared> {
    const nonce = await this.nonce(act);
    const body = utf8(JSON.stringify({ ...more, phone: await this.phone(at, nonce) }));
    const path = `/v1/stops/${this.delivery}/${act}`;
    const request = { method: 'POST', url: location.origin + path, body };
    const proof = await signProof(request, nonce, this.link, act, Date.now(), this.device.signer);
    return { path, headers: { authorization: `DPoP ${this.link}`, dpop: proof }, body };
  }
  private async act(act: Action, at: Position, more: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const ofTheCar = act === 'locate' || act === 'describe' || act === 'signal';
    return send(await this.prepare(act, at, more), ofTheCar ? CAR_WITHIN_MS : ANSWER_WITHIN_MS);
  }
  private async unseal(answer: Record<string, unknown>, purpose: SealPurpose): Promise<Bytes> {
    const { message, iss } = this.keys;
    const envelope = await verifyEnvelope(String(answer.envelope), message, iss, this.device.thumbprint);
    return openEnvelope(envelope, this.device.seal, purpose, this.delivery);
  }

  async locate(at: Position): Promise<Found> {
    const answer = await this.act('locate', at);
    const attempt = typeof answer.attempt === 'string' && parseId(answer.attempt) ? answer.attempt : null;
    return { place: parsePlace(await this.unseal(answer, 'place')), attempt };
  }
  /** At a house no place is told, only what another phone has left open there. */
  async leftOpen(at: Position): Promise<string> {
    const { attempt } = await this.act('locate', at);
    if (typeof attempt !== 'string' || !parseId(attempt)) throw new Silence('not an attempt');
    return attempt;
  }
  async describe(at: Position): Promise<Description> {
    return parseDescription(await this.unseal(await this.act('describe', at), 'description'));
  }
  async signal(at: Position): Promise<void> {
    await this.act('signal', at);
  }
  /**
   * Asks to open and names the attempt. While no answer comes the very same bytes are sent again: a proof that was seen gets
   * its attempt's answer, and one that was not seen within its nonce's twenty seconds is refused and has opened nothing.
   * `leaves`: from here on it may open.
   */
  async open(at: Position, labels: readonly Hash[], leaves: () => Promise<void>): Promise<Opened> {
    const prepared = await this.prepare('open', at, { labels });
    await leaves();
    const answer = await untilAnswered(() => send(prepared, openWithinMs(this.opens)));
    const { attempt, state, envelope } = answer;
    // A key that is not the keyholder's, or not for this phone, is none: the door opens all the same, and no photo is taken.
    const owner = envelope === undefined ? null : await this.unseal(answer, 'photo_key').then(parsePhotoKey).catch(() => null);
    return { attempt: String(attempt), state: String(state), owner };
  }
  async attempt(id: string, after: number): Promise<Attempt> {
    const params = { path: { attempt: id }, query: { after, wait: 20 } };
    const signal = AbortSignal.timeout(FOLLOW_WITHIN_MS);
    const answer = answered(await this.api.GET('/v1/attempts/{attempt}', { params, signal }));
    return attemptOf(answer as Record<string, unknown>);
  }
  async close(at: Position, said: CloseSaid): Promise<Attempt> {
    const more = { handle_checked: said.handleChecked, photo: said.photo, done: said.done };
    return attemptOf(await this.act('close', at, more));
  }
  async lock(at: Position): Promise<Attempt> {
    return attemptOf(await this.act('lock', at));
  }
  /** Seals a photo to the owner's key for this grant. */
  async sealPhoto(owner: SealPublicKey, jpeg: Bytes): Promise<Bytes> {
    const context = { sender: this.device.thumbprint, recipient: owner.hash, delivery: this.delivery, seq: 0 };
    return seal(owner, 'photo', context, jpeg);
  }
}

/** A courier's stop. */
export class Session extends Acting {
  readonly claims: DelegationClaims;

  constructor(device: Device, keys: KeysClaims, delivery: string, link: string) {
    const { claims } = parseDelegation(link);
    super(device, keys, delivery, link, claims.opens);
    this.claims = claims;
  }
}

/** Leaves a sealed photo at the front, which cannot read it. The same one again changes nothing. */
export async function leavePhoto(delivery: string, attempt: string, photo: string): Promise<void> {
  const body = utf8(JSON.stringify({ attempt, photo }));
  await send({ path: `/v1/stops/${delivery}/photos`, headers: {}, body }, PHOTO_WITHIN_MS);
}
