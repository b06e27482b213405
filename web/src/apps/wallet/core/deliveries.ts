// Deliveries: the list, one of them, what happened, and everything that stops it.

import { answered } from '$lib/api';
import { fromB64 } from '$lib/protocol/bytes';
import { parsePicture } from '$lib/protocol/content';
import { parseGrant } from '$lib/protocol/grant';
import { accountKey, grantSealKey } from '$lib/protocol/owner-keys';
import { open } from '$lib/protocol/seal';
import { account, api, opened, openedJson, SeedMissing, stated } from './gateway';
import { keep } from './db';
import type { Attempt, Deliveries, DeliveryDetail, Timeline } from './model';
import { session, type KeptList } from './session.svelte';

/** Reads the list, shows it, keeps it for the next start. */
export async function refresh(): Promise<Deliveries> {
  const { envelope } = answered(await api.GET('/v1/wallet/deliveries'));
  const list = await openedJson<Deliveries>(envelope, account().wallet);
  const read: KeptList = { list, at: Date.now() };
  session.deliveries = list;
  session.readAt = read.at;
  await keep('deliveries', read);
  return list;
}

const at = (delivery: string) => ({ params: { path: { delivery } } });

export async function detail(delivery: string): Promise<DeliveryDetail> {
  const { envelope } = answered(await api.GET('/v1/wallet/deliveries/{delivery}', at(delivery)));
  return openedJson<DeliveryDetail>(envelope, delivery);
}
export async function timeline(delivery: string): Promise<Timeline> {
  const { envelope } = answered(await api.GET('/v1/wallet/deliveries/{delivery}/timeline', at(delivery)));
  return openedJson<Timeline>(envelope, delivery);
}

export async function lockNow(delivery: string): Promise<Attempt> {
  const answer = answered(await api.POST('/v1/wallet/deliveries/{delivery}/lock', { ...at(delivery), body: {} }));
  return answer as unknown as Attempt;
}
export async function acknowledge(delivery: string): Promise<Attempt> {
  const path = '/v1/wallet/deliveries/{delivery}/acknowledge';
  return answered(await api.POST(path, { ...at(delivery), body: {} })) as unknown as Attempt;
}

export type Scope = { scope: 'delivery' | 'carrier' | 'courier'; id: string } | { scope: 'all' };
export async function unblock(covered: Scope): Promise<void> {
  const body = await stated({ typ: 'unblock', wallet: account().wallet, covered });
  answered(await api.POST('/v1/wallet/unblocks', { body }));
}

/** Nothing opens before; null ends a pause. The passkey confirms its end together with its beginning. */
export async function pause(untilMs: number | null): Promise<void> {
  const body = await stated({ typ: 'pause', wallet: account().wallet, untilMs });
  answered(await api.POST('/v1/wallet/pauses', { body }));
}

export interface Carrier {
  name: string;
  domain: string;
  /** The operator removed it, or it is stopped. */
  stopped: boolean;
}
const carriers = new Map<string, Promise<Carrier>>();
/** A carrier's name as its admission says it. */
export function carrier(root: string): Promise<Carrier> {
  let asked = carriers.get(root);
  if (!asked) {
    asked = api.GET('/v1/carriers/{carrier}', { params: { path: { carrier: root } } }).then((answer) => {
      const said = answered(answer) as unknown as { name: string; domain: string; removed: unknown; stopped: unknown };
      return { name: said.name, domain: said.domain, stopped: Boolean(said.removed ?? said.stopped) };
    });
    asked.catch(() => carriers.delete(root));
    carriers.set(root, asked);
  }
  return asked;
}

/** Photos of a delivery, opened with this grant's own key; those of a guest, whose grant names the guest's, with the account's. Whoever took them is one of the devices that were sent. */
export async function photos(one: DeliveryDetail, devices: readonly string[]): Promise<Blob[]> {
  const { seed } = account();
  if (!seed) throw new SeedMissing('this device has no seed');
  const path = '/v1/wallet/deliveries/{delivery}/photos';
  const { photos: hashes } = answered(await api.GET(path, at(one.delivery)));
  const { claims } = parseGrant(one.grant);
  const isGuests = claims.purpose === 'guest';
  const pair = await (isGuests ? accountKey(seed) : grantSealKey(seed, claims.jti));
  const senders = isGuests ? [claims.cnf] : devices;
  const found: Blob[] = [];
  for (const hash of hashes) {
    const params = { path: { delivery: one.delivery, hash } };
    const { photo } = answered(await api.GET('/v1/wallet/deliveries/{delivery}/photos/{hash}', { params }));
    const box = fromB64(photo);
    if (!box) continue;
    for (const sender of senders) {
      const context = { sender, recipient: pair.public.hash, delivery: one.delivery, seq: 0 };
      const bytes = await open(pair, 'photo', context, box).catch(() => null);
      if (bytes) {
        found.push(new Blob([bytes], { type: pictureType(bytes) }));
        break;
      }
    }
  }
  return found;
}
/** One picture of a recording, and when it was asked for. */
export async function picture(one: DeliveryDetail, attempt: string, number: number): Promise<{ atMs: number; blob: Blob }> {
  const { seed } = account();
  if (!seed) throw new SeedMissing('this device has no seed');
  const params = { path: { delivery: one.delivery, attempt, number } };
  const path = '/v1/wallet/deliveries/{delivery}/recordings/{attempt}/{number}';
  const { envelope } = answered(await api.GET(path, { params }));
  const { claims } = parseGrant(one.grant);
  // Where the grant names another's device, it is the account's key.
  const own = claims.purpose === 'guest' || claims.purpose === 'rehearsal' ? accountKey(seed) : grantSealKey(seed, claims.jti);
  const { atMs, bytes } = parsePicture(await opened(envelope, 'recording', attempt, await own, number));
  return { atMs, blob: new Blob([bytes], { type: pictureType(bytes) }) };
}
/** By its first bytes; what is no picture is offered as a file only. */
function pictureType(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return 'image/jpeg';
  if (bytes[0] === 0x89 && bytes[1] === 0x50) return 'image/png';
  if (bytes[8] === 0x57 && bytes[9] === 0x45 && bytes[10] === 0x42 && bytes[11] === 0x50) return 'image/webp';
  return 'application/octet-stream';
}

const BUNDLE_TRIES = 6;
const BUNDLE_PAUSE_MS = 1_500;
/**
 * The case bundle's bytes: one file that anybody verifies offline. Right after the last event the log still signs for it;
 * that is waited for, within reason.
 */
export async function bundle(delivery: string): Promise<Uint8Array<ArrayBuffer>> {
  for (let tried = 1; ; tried += 1) {
    try {
      const { envelope } = answered(await api.GET('/v1/wallet/deliveries/{delivery}/bundle', at(delivery)));
      return await opened(envelope, 'bundle', delivery);
    } catch (error) {
      if ((error as { code?: string }).code !== 'bundle_not_ready' || tried >= BUNDLE_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, BUNDLE_PAUSE_MS));
    }
  }
}
