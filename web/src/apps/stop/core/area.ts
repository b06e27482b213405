// The stops of one area whose owners let a courier see all places there: asked for one after another, each with a proof of its own.

import type { Position } from '$lib/protocol/content';
import type { Listed } from '../fragment';
import { loadDevice } from './device';
import { failureOf } from './run';
import { fetchKeys, Session, type Found } from './session';

export type Reach =
  | { readonly is: 'ready'; readonly sessions: readonly Session[] }
  | { readonly is: 'not_enrolled' }
  | { readonly is: 'other_device' }
  | { readonly is: 'failed'; readonly code: string };

/** Looks at device, links and keys. Nothing is asked about places yet. */
export async function reach(stops: readonly Listed[]): Promise<Reach> {
  try {
    const device = await loadDevice();
    if (!device?.pin) return { is: 'not_enrolled' };
    const keys = await fetchKeys(device.pin);
    const sessions = stops.map((s) => new Session(device, keys, s.delivery, s.fragment.link));
    if (sessions.some((s) => s.claims.delivery !== s.delivery)) return { is: 'failed', code: 'delegation_wrong_delivery' };
    if (sessions.some((s) => s.claims.cnf !== device.thumbprint)) return { is: 'other_device' };
    return { is: 'ready', sessions };
  } catch (error) {
    return { is: 'failed', code: failureOf(error).code };
  }
}

/** One place, or why not. A stop whose owner shows it to the next courier alone is not asked for: it would take the others away. */
export async function placeOf(session: Session, at: Position): Promise<{ found: Found } | { code: string }> {
  if (session.claims.disclose !== 'area') return { code: 'next_stop' };
  try {
    return { found: await session.locate(at) };
  } catch (error) {
    return { code: failureOf(error).code };
  }
}
