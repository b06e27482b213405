// What is kept of an owner, for how long, and its end: holding, saving everything in one file, erasing.

import { answered, Problem, Silence } from '$lib/api';
import { forgetAll, forgetSigned } from './db';
import { sleep } from './push';
import { account, api, openedJson, stated, type Confirmed } from './gateway';
import type { Delivery } from './model';
import { session } from './session.svelte';

const at = (delivery: string) => ({ params: { path: { delivery } } });

/** Keeps a delivery from being erased. A session is enough: who has no more than that cannot end it. */
export async function hold(delivery: string): Promise<void> {
  answered(await api.POST('/v1/wallet/deliveries/{delivery}/hold', { ...at(delivery), body: {} }));
}
export async function liftHold(delivery: string): Promise<void> {
  const body = await stated({ typ: 'lift_hold', wallet: account().wallet, delivery });
  answered(await api.POST('/v1/wallet/hold-lifts', { body }));
}

/** Everything that is kept of one delivery, opened here. */
export async function exportedDelivery(delivery: string): Promise<unknown> {
  const { envelope } = answered(await api.GET('/v1/wallet/deliveries/{delivery}/export', at(delivery)));
  return openedJson(envelope, delivery);
}

export interface Export {
  readonly format: 'psh-export-v1';
  readonly wallet: unknown;
  readonly deliveries: readonly unknown[];
}
/** Everything, as docs/retention.md describes it. `step` is told how far it is: there may be hundreds of deliveries. */
export async function exported(step: (done: number, of: number) => void): Promise<Export> {
  const said = answered(await api.GET('/v1/wallet/export')) as unknown as { envelope: string; deliveries: string[] };
  const wallet = await openedJson(said.envelope, account().wallet);
  const deliveries: unknown[] = [];
  for (const id of said.deliveries) {
    step(deliveries.length, said.deliveries.length);
    deliveries.push(await exportedDelivery(id));
  }
  return { format: 'psh-export-v1', wallet, deliveries };
}

export async function eraseDelivery(delivery: string): Promise<void> {
  const erased = { scope: 'delivery', id: delivery } as const;
  await insisted(await stated({ typ: 'erase', wallet: account().wallet, erased }));
  await forgetSigned(delivery);
}

/**
 * Erases the wallet there and here. What became of the permissions at the makers, one word for each car: `verified`,
 * `not_verified`, `owner_must`, `still_used`.
 */
export async function eraseWallet(): Promise<string[]> {
  const confirmed = await stated({ typ: 'erase', wallet: account().wallet, erased: { scope: 'wallet' } });
  const said = (await insisted(confirmed, true)) as { permissions?: ({ code?: string } | null)[] } | null;
  // The gateway has forgotten this device; its browser's push service does now.
  await sleep().catch(() => undefined);
  await forgetAll();
  session.become(null);
  return (said?.permissions ?? []).map((permission) => permission?.code ?? 'not_verified');
}

const TRIES = 4;
/**
 * The same confirmed words until there is an answer: erased twice is erased once. Null, where it ends the session: the wallet's
 * session is gone, which after a silence means that it was done and the answer got lost.
 */
async function insisted(body: Confirmed, endsSession = false): Promise<unknown> {
  for (let tried = 1; ; tried += 1) {
    try {
      return answered(await api.POST('/v1/wallet/erasures', { body }));
    } catch (error) {
      if (endsSession && tried > 1 && error instanceof Problem && error.code === 'session_missing') return null;
      const passing = error instanceof Silence || (error instanceof Problem && error.status >= 500);
      if (!passing || tried >= TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** tried));
    }
  }
}

/** What can open nothing any more, and left nothing open. The keyholder decides; this is for the button. */
export function isErasable(d: Pick<Delivery, 'blocked' | 'until' | 'attempt'>, nowMs: number): boolean {
  const { attempt } = d;
  if (attempt && !attempt.ended) return false;
  const used = attempt?.state === 'locked' || attempt?.state === 'acknowledged';
  return used || d.blocked || Date.parse(d.until) < nowMs;
}
