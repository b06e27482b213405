// Somebody in a car, without account. Nothing of it is kept: not the number, not that this page was here.

import { answered, createApi, type GatewayPaths } from '$lib/api';
import { b64 } from '$lib/protocol/bytes';
import { occupantBytes } from '$lib/protocol/content';
import { seal } from '$lib/protocol/seal';
import { freshKeys } from './gateway';

/** Without the session of whoever is logged in here: this has nothing to do with their wallet. */
const api = createApi<GatewayPaths>({
  fetch: (input, init) => fetch(new Request(input, { ...init, credentials: 'omit' })),
});

export interface Seen {
  proved: boolean;
  next?: string | null;
  failed?: string;
  wallets?: number;
  grants?: { carrier: string | null; from: string; to: string }[];
  rules?: { carrier: string; until: string }[];
  stopped_until?: string | null;
  liftable_from?: string | null;
}

export function isVin(text: string): boolean {
  return /^[A-HJ-NPR-Z0-9]{17}$/.test(text);
}

export async function begin(vin: string): Promise<{ id: string; next: string; until: string }> {
  const { claims } = await freshKeys();
  const context = { sender: 'occupant', recipient: claims.iss, delivery: '', seq: 0 };
  const box = b64(await seal(claims.seal, 'occupant', context, occupantBytes(vin)));
  const begun = answered(await api.POST('/v1/occupants', { body: { box } })) as unknown as {
    occupant: string;
    next: string;
    until: string;
  };
  return { id: begun.occupant, next: begun.next, until: begun.until };
}
const at = (occupant: string) => ({ params: { path: { occupant } }, body: {} });
export async function check(id: string): Promise<Seen> {
  return answered(await api.POST('/v1/occupants/{occupant}/check', at(id))) as unknown as Seen;
}
export async function stopCar(id: string): Promise<void> {
  answered(await api.POST('/v1/occupants/{occupant}/stop', at(id)));
}
export async function liftStop(id: string): Promise<void> {
  answered(await api.POST('/v1/occupants/{occupant}/lift', at(id)));
}
