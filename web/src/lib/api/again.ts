// One request that may be sent more than once: the very same bytes, while no answer comes.

import { Problem, Silence } from '$lib/api/client';
import type { AccessClass } from '$lib/protocol/text';

const AGAIN_MS = 1_000;
/** Longer no request lives at the keyholder, whatever its maker's cloud does. */
export const GIVE_UP_MS = 60_000;

/** Said by the keyholder itself before it has written anything down: sent again all the same, and nothing is under way. */
const NOTHING_KEPT = ['too_slow', 'store_unavailable', 'door_busy'];

const ANSWER_WITHIN_MS = 15_000;
/** At a front door the camera is proved live first: some 14 s, at most 30, and 8 more where somebody else asks there. The front waits for
 * 40. Whoever gave up sooner and sent the same again would take a refusal for an answer to the second try alone. */
const CAMERA_WITHIN_MS = 45_000;
/** How long an answer to *open* is waited for, before the same bytes are sent again. */
export function openWithinMs(opens: readonly AccessClass[]): number {
  return opens.includes('door') ? CAMERA_WITHIN_MS : ANSWER_WITHIN_MS;
}

export interface Clock {
  now(): number;
  sleep(ms: number): Promise<void>;
}
export const CLOCK: Clock = { now: () => Date.now(), sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) };

/** A request that may have arrived, and whose answer never came: what it asked for may have happened. */
export class Unanswered extends Silence {}

/**
 * The answer to a proof that opens. The keyholder opens nothing twice for one proof, and looks whether it knows the proof before it
 * asks how old it is. So "too late" is an answer only where every try was answered: after a silence the first try may still be on
 * its way to the car, and saying that nothing opens would be a guess.
 */
export async function untilAnswered<T>(send: () => Promise<T>, clock: Clock = CLOCK): Promise<T> {
  let wasSilent = false;
  for (const since = clock.now(); ; await clock.sleep(AGAIN_MS)) {
    try {
      return await send();
    } catch (error) {
      const silent = error instanceof Silence || (error instanceof Problem && error.status >= 502);
      const late = wasSilent && error instanceof Problem && error.code === 'nonce_expired';
      // A service that failed may have written it down before.
      if (error instanceof Problem && error.status >= 500 && !silent && !NOTHING_KEPT.includes(error.code)) throw new Unanswered('failed');
      if (!silent && !late) throw error;
      wasSilent ||= silent && !(error instanceof Problem && NOTHING_KEPT.includes(error.code));
      if (clock.now() - since > GIVE_UP_MS) throw wasSilent ? new Unanswered('no answer') : error;
    }
  }
}
