import { describe, expect, it } from 'vitest';
import { Problem, Silence } from '../../../src/lib/api/client';
import { GIVE_UP_MS, untilAnswered } from '$lib/api/again';

type Try = 'ok' | 'silence' | number | string;
/** Plays tries, each of which takes some time; what became of it, how often it was sent, and when. */
async function play(tries: Try[], takesMs = 0): Promise<{ end: string; sent: number; ms: number }> {
  let [now, sent] = [0, 0];
  const clock = { now: () => now, sleep: async (ms: number) => void (now += ms) };
  const send = async (): Promise<string> => {
    const next = tries[Math.min(sent++, tries.length - 1)]!;
    now += takesMs;
    if (next === 'ok') return 'opened';
    if (next === 'silence') throw new Silence('no answer');
    if (typeof next === 'number') throw new Problem(next, `http_${next}`, '', undefined, {});
    throw new Problem(['store_unavailable', 'door_busy'].includes(next) ? 503 : 403, next, '', undefined, {});
  };
  const end = await untilAnswered(send, clock).catch((e: unknown) => (e instanceof Problem ? e.code : 'silence'));
  return { end, sent, ms: now };
}

describe('a request to open', () => {
  it.each<[string, Try[], string, number]>([
    ['that is answered is sent once', ['ok'], 'opened', 1],
    ['without an answer is sent again, the same', ['silence', 'silence', 'ok'], 'opened', 3],
    ['at a proxy without a service behind it, too', [502, 504, 'ok'], 'opened', 3],
    ['that is refused is not sent again', ['conditions_not_met', 'ok'], 'conditions_not_met', 1],
    ['that came too late, and was never silent, has opened nothing', ['nonce_expired', 'ok'], 'nonce_expired', 1],
    ['that was silent once may still be under way: too late is no answer', ['silence', 'nonce_expired', 'nonce_expired', 'ok'], 'opened', 4],
    ['that was silent and is then refused is refused', ['silence', 'blocked', 'ok'], 'blocked', 2],
    ['that could not be written down is sent again; too late is an answer then', ['store_unavailable', 'nonce_expired', 'ok'], 'nonce_expired', 2],
    ['at a door that somebody else asks waits for its turn', ['door_busy', 'door_busy', 'ok'], 'opened', 3],
    ['that had no turn has opened nothing', ['door_busy', 'nonce_expired'], 'nonce_expired', 2],
    ['at a service that failed is not repeated, and nobody knows what came of it', [500, 'ok'], 'silence', 1],
  ])('%s', async (_, tries, end, sent) => {
    expect(await play(tries)).toMatchObject({ end, sent });
  });
  it('is given up after a minute, and only then', async () => {
    const { end, ms } = await play(['silence']);
    expect(end).toBe('silence');
    expect(ms).toBeGreaterThan(GIVE_UP_MS);
    expect(ms).toBeLessThan(GIVE_UP_MS + 2_000);
    expect((await play(['silence', 'nonce_expired'])).end, 'the first may have opened it').toBe('silence');
    expect((await play(['store_unavailable'])).end).toBe('store_unavailable');
    expect((await play(['silence', 'nonce_expired'])).ms).toBeGreaterThan(GIVE_UP_MS);
  });
});
