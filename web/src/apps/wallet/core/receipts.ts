// Checking a case in the browser: the same checks as `parcelshelf verify`, against what this device has pinned, and against
// the head of the records' chain that it saw before.

import type { Bytes } from '$lib/protocol/bytes';
import { verifyBundle } from '$lib/protocol/bundle';
import { coversHours } from '$lib/protocol/hours';
import { keep, kept } from './db';
import { bundle } from './deliveries';
import { account, keys } from './gateway';
import { operatorKey } from './operator';

export type Checked =
  | { holds: true; records: number; logSize: number; log: string }
  | { holds: false; code: string };

const SIZE = 'log-size';

/** Verifies a bundle; a log that is smaller than one seen before has lost something. */
export async function checked(delivery: string): Promise<Checked> {
  const bytes: Bytes = await bundle(delivery);
  const { pinned } = account();
  const { rpId } = (await keys()).claims;
  const expected = {
    aud: pinned.iss,
    log: pinned.log,
    operator: await operatorKey(),
    rpId,
    walletOrigin: location.origin,
  };
  try {
    const verdict = await verifyBundle(bytes, expected);
    if (verdict.delivery !== delivery) return { holds: false, code: 'bundle_wrong_delivery' };
    const { standing } = verdict;
    if (standing && !coversHours(standing.schedule, verdict.window)) return { holds: false, code: 'outside_the_rule' };
    const before = (await kept<number>(SIZE)) ?? 0;
    if (verdict.logSize < before) return { holds: false, code: 'log_shrunk' };
    await keep(SIZE, verdict.logSize);
    return { holds: true, records: verdict.timeline.length, logSize: verdict.logSize, log: pinned.log.split('+')[0] ?? '' };
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if ((error as Error).name !== 'Refused' || typeof code !== 'string') throw error;
    return { holds: false, code };
  }
}
