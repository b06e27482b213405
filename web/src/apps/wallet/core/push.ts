// Whether this device is woken, and how that begins and ends. A push service learns that something happened, and when; a
// push carries nothing, so that no key for contents is made.

import { answered, Problem } from '$lib/api';
import { b64, fromB64 } from '$lib/protocol/bytes';
import { keep, kept } from './db';
import { api } from './gateway';

/**
 * `unable`: this browser cannot. `not_offered`: this gateway wakes nobody. `blocked`: the owner has told the browser to show
 * nothing of this page.
 */
export type Waking = 'unable' | 'not_offered' | 'blocked' | 'off' | 'on';

const SAID_AT = 'push-said-at';
/** The gateway forgets a device that has not been heard of for months; once a day is often enough. */
const SAY_EVERY_MS = 86_400_000;

async function manager(): Promise<PushManager | null> {
  if (!('serviceWorker' in navigator) || !('PushManager' in globalThis) || !('Notification' in globalThis)) return null;
  return (await navigator.serviceWorker.getRegistration())?.pushManager ?? null;
}
async function gatewayKey(): Promise<string | null> {
  return answered(await api.GET('/v1/push')).key ?? null;
}
/** Made for another key: its push service would refuse what this gateway sends. */
function isFor(subscription: PushSubscription, key: string): boolean {
  const made = subscription.options.applicationServerKey;
  return made !== null && b64(new Uint8Array(made)) === key;
}

export async function waking(): Promise<Waking> {
  const push = await manager();
  if (!push) return 'unable';
  if (!(await gatewayKey())) return 'not_offered';
  if (Notification.permission === 'denied') return 'blocked';
  return (await push.getSubscription()) && Notification.permission === 'granted' ? 'on' : 'off';
}

/** Asks the owner, then the browser's push service, then tells the gateway. */
export async function wake(): Promise<Waking> {
  const push = await manager();
  if (!push) return 'unable';
  const key = await gatewayKey();
  if (!key) return 'not_offered';
  const permission = await Notification.requestPermission();
  if (permission !== 'granted') return permission === 'denied' ? 'blocked' : 'off';
  await tell(await subscribed(push, key));
  return 'on';
}
async function subscribed(push: PushManager, key: string): Promise<PushSubscription> {
  const before = await push.getSubscription();
  if (before && isFor(before, key)) return before;
  await before?.unsubscribe();
  try {
    const applicationServerKey = fromB64(key) ?? new Uint8Array();
    return await push.subscribe({ userVisibleOnly: true, applicationServerKey });
  } catch (error) {
    // The browser's own words are about its push service, not about passkeys.
    throw new Problem(503, 'push_service_silent', (error as Error).name, undefined);
  }
}
async function tell(subscription: PushSubscription): Promise<void> {
  try {
    answered(await api.POST('/v1/wallet/push', { body: { endpoint: subscription.endpoint } }));
  } catch (error) {
    // Nobody would ever send to it: it is not shown as if it were there.
    if ((error as { code?: unknown }).code === 'push_service_unknown') await subscription.unsubscribe();
    throw error;
  }
  await keep(SAID_AT, Date.now());
}

/** The subscription ends here in any case: a gateway that did not hear of it is told so by the push service. */
export async function sleep(): Promise<void> {
  const subscription = await (await manager())?.getSubscription();
  if (!subscription) return;
  const { endpoint } = subscription;
  await subscription.unsubscribe();
  await keep(SAID_AT, null);
  try {
    answered(await api.POST('/v1/wallet/push/remove', { body: { endpoint } }));
  } catch {
    // Without a network nobody can be told; see above.
  }
}

/** Says once a day that this device still wants it, and begins anew where browser or gateway have another key. */
export async function stayAwake(now = Date.now()): Promise<void> {
  const push = await manager();
  if (!push || Notification.permission !== 'granted') return;
  const subscription = await push.getSubscription();
  const said = (await kept<number>(SAID_AT)) ?? null;
  // Never wanted here, or not any more.
  if (!subscription && said === null) return;
  if (subscription && said !== null && now - said < SAY_EVERY_MS) return;
  const key = await gatewayKey();
  if (key) await tell(await subscribed(push, key));
}
