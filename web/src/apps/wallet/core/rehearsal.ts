// The rehearsal: the owner plays courier once at the own car, before any stranger does. The device that opens is made here, for
// this one grant, and lives in this page's memory only. Where the owner stands is sealed to the keyholder, like a courier's
// position, and kept nowhere.

import { answered, createApi, Problem, Silence, type GatewayPaths } from '$lib/api';
import { openWithinMs, untilAnswered } from '$lib/api/again';
import { bareJpeg } from '$lib/jpeg';
import { verifyAccepted } from '$lib/protocol/accepted';
import { b64, randomBytes, utf8, type Bytes } from '$lib/protocol/bytes';
import { deviceThumbprint } from '$lib/protocol/cert';
import { phoneBytes, ruleBytes, ruleCommitment, type Position } from '$lib/protocol/content';
import { grantChallenge, signGrant, type GrantClaims } from '$lib/protocol/grant';
import { sha256, type Hash } from '$lib/protocol/hash';
import { ANY, generateSigningPair, signerOf, type Signer } from '$lib/protocol/jws';
import { grantSealKey } from '$lib/protocol/owner-keys';
import { confirm } from '$lib/protocol/passkey';
import { signProof } from '$lib/protocol/proof';
import { seal, SealKeyPair } from '$lib/protocol/seal';
import type { AccessClass, Action } from '$lib/protocol/text';
import { areaAround } from './cars';
import { account, api, keys, SeedMissing, wire } from './gateway';
import type { Attempt, Vehicle } from './model';

export const TEMPLATE = 'rehearsal-1';
/** Within the fifteen minutes of a rehearsal; begun a minute ago, for clocks differ. */
const WINDOW_MS = 10 * 60_000;
const CLOCKS_MS = 60_000;
const ANSWER_WITHIN_MS = 15_000;
/** A photo is half a megabyte, and the line may be thin. */
const PHOTO_WITHIN_MS = 90_000;
const FOLLOW_WITHIN_MS = 30_000;

/** An attempt with its place in the order of news. */
export type Seen = Attempt & { seq: number };
export interface CloseSaid {
  readonly handleChecked: boolean;
  readonly photo: Hash | null;
}

/** What the owner does or waits for now; pure. */
export type Step = 'opening' | 'pull' | 'open' | 'unsure' | 'locking' | 'handle' | 'locked' | 'notOpened' | 'alarm';
export function stepOf(a: Pick<Attempt, 'state' | 'alarm' | 'check_handle'>): Step {
  if (a.alarm) return 'alarm';
  switch (a.state) {
    case 'intended':
    case 'sent':
      return 'opening';
    case 'ready':
      return 'pull';
    case 'open':
      return 'open';
    case 'locking':
      return a.check_handle ? 'handle' : 'locking';
    case 'locked':
    case 'acknowledged':
      return a.check_handle ? 'handle' : 'locked';
    case 'did_not_happen':
      return 'notOpened';
    default:
      return 'unsure';
  }
}

/** Requests that a device proves go without the session: it is the proof that counts. */
const proved = createApi<GatewayPaths>({
  fetch: (input, init) => fetch(new Request(input, { ...init, credentials: 'omit' })),
});

async function send(
  path: string,
  headers: Record<string, string>,
  body: Bytes,
  withinMs = ANSWER_WITHIN_MS,
): Promise<Record<string, unknown>> {
  const asked = {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
    referrerPolicy: 'no-referrer',
  } as const;
  let response: Response;
  let said: Record<string, unknown>;
  try {
    response = await fetch(path, { ...asked, signal: AbortSignal.timeout(withinMs) });
    // What is cut off, or comes from a gate that wants to be logged in to first, is no answer.
    said = (await response.json()) as Record<string, unknown>;
  } catch {
    throw new Silence('no answer');
  }
  if (response.ok) return said;
  const code = typeof said['code'] === 'string' ? said['code'] : `http_${response.status}`;
  throw new Problem(response.status, code, String(said['title'] ?? ''), undefined, said);
}

/** One rehearsal, from the grant to the lock. */
export class Rehearsal {
  private constructor(
    readonly delivery: string,
    private readonly link: string,
    private readonly jti: string,
    private readonly signer: Signer,
    private readonly device: Hash,
    private readonly opens: readonly AccessClass[],
  ) {}

  /** Makes the device, signs a grant for it, has the passkey confirm that, and hands it in. */
  static async allowed(car: Vehicle): Promise<Rehearsal> {
    const published = (await keys()).claims;
    const { wallet, credentialId } = account();
    const [signer, sealing] = [await signerOf(await generateSigningPair()), await SealKeyPair.generate()];
    const device = deviceThumbprint(signer.key.thumb, sealing.public.hash);
    const area = await areaAround(car.vehicle);
    const { access_point } = answered(await api.POST('/v1/wallet/access-points', { body: { carrier: device } }));
    const [jti, delivery] = [b64(randomBytes(16)), b64(randomBytes(16))];
    const rule = { salt: randomBytes(16), vehicles: [car.vehicle] };
    const startMs = Math.floor((Date.now() - CLOCKS_MS) / 1000) * 1000;
    const claims: GrantClaims = {
      aud: published.iss,
      jti,
      iatMs: startMs,
      window: { startMs, endMs: startMs + CLOCKS_MS + WINDOW_MS },
      cnf: device,
      request: null,
      scoped: { delivery },
      accessPoint: access_point,
      purpose: 'rehearsal',
      opens: [(car.class ?? car.opens[0]) as AccessClass],
      area,
      disclose: 'next_stop',
      // Here what is sealed is sealed to the device itself.
      seal: sealing.public.hash,
      ruleCommitment: ruleCommitment(rule),
      text: { template: TEMPLATE, lang: document.documentElement.lang || 'en' },
    };
    const grant = await signGrant(claims, await signerOf(await generateSigningPair()));
    const { assertion } = await confirm(published.rpId, grantChallenge(grant.jws), null, [credentialId]);
    const context = { sender: wallet, recipient: published.iss, delivery, seq: 0 };
    const body = {
      grant: grant.jws,
      assertion: wire(assertion),
      seal_key: sealing.public.text,
      rule_box: b64(await seal(published.seal, 'rule', context, ruleBytes(rule))),
    };
    const { accepted } = answered(await api.POST('/v1/grants', { body }));
    if (!accepted) throw new Problem(502, 'not_accepted', 'the answer is empty', undefined);
    await verifyAccepted(accepted, published.message, published.iss, device, ANY);
    return new Rehearsal(delivery, grant.jws, jti, signer, device, claims.opens);
  }

  private async prepared(act: Action, at: Position, more: Record<string, unknown>) {
    const params = { path: { delivery: this.delivery } };
    const asked = { device: this.device, act, ath: sha256(this.link) };
    const { nonce } = answered(await proved.POST('/v1/stops/{delivery}/nonces', { params, body: asked }));
    const { iss, seal: keyholder } = (await keys()).claims;
    const context = { sender: this.device, recipient: iss, delivery: this.delivery, seq: 0 };
    const phone = b64(await seal(keyholder, 'phone', context, phoneBytes(at, nonce)));
    const body = utf8(JSON.stringify({ ...more, phone }));
    const path = `/v1/stops/${this.delivery}/${act}`;
    const request = { method: 'POST', url: location.origin + path, body };
    const proof = await signProof(request, nonce, this.link, act, Date.now(), this.signer);
    return { path, headers: { authorization: `DPoP ${this.link}`, dpop: proof }, body };
  }

  /** Asks to open; the same bytes again while no answer comes, for one proof opens nothing twice. */
  async open(at: Position): Promise<string> {
    const { path, headers, body } = await this.prepared('open', at, { labels: [] });
    return untilAnswered(async () => String((await send(path, headers, body, openWithinMs(this.opens)))['attempt']));
  }
  /** What is new since `after`; the keyholder answers when there is something. */
  async follow(attempt: string, after: number): Promise<Seen> {
    const params = { path: { attempt }, query: { after, wait: 20 } };
    const signal = AbortSignal.timeout(FOLLOW_WITHIN_MS);
    return answered(await proved.GET('/v1/attempts/{attempt}', { params, signal })) as unknown as Seen;
  }
  async close(at: Position, said: CloseSaid): Promise<void> {
    const more = { handle_checked: said.handleChecked, photo: said.photo, done: true };
    const { path, headers, body } = await this.prepared('close', at, more);
    await send(path, headers, body);
  }
  /** Names the attempt that is locked. */
  async lock(at: Position): Promise<string | null> {
    const { path, headers, body } = await this.prepared('lock', at, {});
    const { attempt } = await send(path, headers, body);
    return typeof attempt === 'string' ? attempt : null;
  }
  /** Seals a picture to the owner and leaves it at the front, which cannot read it. */
  async photograph(attempt: string, jpeg: Bytes): Promise<Hash> {
    const { seed } = account();
    if (!seed) throw new SeedMissing('this device has no seed');
    const owner = (await grantSealKey(seed, this.jti)).public;
    const context = { sender: this.device, recipient: owner.hash, delivery: this.delivery, seq: 0 };
    const box = await seal(owner, 'photo', context, jpeg);
    await send(`/v1/stops/${this.delivery}/photos`, {}, utf8(JSON.stringify({ attempt, photo: b64(box) })), PHOTO_WITHIN_MS);
    return sha256(box);
  }
}

const LONG_SIDE_PX = 1_600;
/** What a sealed photo holds (docs/protocol/sealing.md). */
const PHOTO_BYTES_MAX = 524_284;
const QUALITIES = [0.82, 0.7, 0.55, 0.4, 0.25];
/** Drawn anew, so that nothing of the camera's own notes (place, time, device) is in it, and without the browser's. Null: it is no picture. */
export async function photoOf(file: Blob): Promise<Bytes | null> {
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return null;
  const scale = Math.min(1, LONG_SIDE_PX / Math.max(picture.width, picture.height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext('2d')?.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  for (const quality of QUALITIES) {
    const blob = await new Promise<Blob | null>((made) => canvas.toBlob(made, 'image/jpeg', quality));
    const bare = blob ? bareJpeg(new Uint8Array(await blob.arrayBuffer())) : null;
    if (bare && bare.length <= PHOTO_BYTES_MAX) return bare;
  }
  return null;
}
