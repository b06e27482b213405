import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { handIn, unanswered } from '../../../src/apps/wallet/core/consent';
import type { SignedHere } from '../../../src/apps/wallet/core/db';
import { session } from '../../../src/apps/wallet/core/session.svelte';
import { accepted, accountOf, chain, network, signed, WALLET } from './keyholder';

vi.hoisted(() => Object.assign(globalThis, { location: { origin: 'https://gateway.example' } }));
vi.mock('../../../src/apps/wallet/core/db', async () => (await import('./keyholder')).memory);

const claims = JSON.parse(Buffer.from(accepted.jws.split('.')[1], 'base64url').toString());
/** The grant of the vectors, whose acceptance they have as well. */
const one: SignedHere = {
  delivery: claims.delivery, body: JSON.stringify({ grant: chain.grant }), jti: 'jti', carrier: accepted.carrier,
  accepted: null, at: 0,
};
const answer = (status: number, body: unknown) => network({ 'POST /v1/grants': () => [status, body] });

beforeEach(() => {
  signed.clear();
  signed.set(one.delivery, one);
  session.become(accountOf(WALLET, null));
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('handing in', () => {
  it('keeps the acceptance', async () => {
    answer(200, { accepted: accepted.jws });
    await handIn(one);
    expect(signed.get(one.delivery)?.accepted).toBe(accepted.jws);
    expect(await unanswered(one.delivery)).toBeNull();
  });
  it.each<[string, Partial<SignedHere>]>([
    ['another grant', { body: JSON.stringify({ grant: `${chain.grant}x` }) }],
    ['another delivery', { delivery: 'another' }],
  ])('does not take the acceptance of %s for its own', async (_, change) => {
    const other = { ...one, ...change };
    signed.set(other.delivery, other);
    answer(200, { accepted: accepted.jws });
    await expect(handIn(other)).rejects.toMatchObject({ name: 'Refused', code: 'accepted_wrong_subject' });
    expect(await unanswered(other.delivery)).toEqual(other);
  });
  it.each([
    [409, 'granted_already'],
    [409, 'too_many_areas'],
    [400, 'grant_expired'],
    [403, 'statement_wrong_wallet'],
  ])('forgets what is refused for good, and says why: %i %s', async (status, code) => {
    const asked = answer(status, { code });
    await expect(handIn(one)).rejects.toMatchObject({ name: 'Problem', code });
    expect(asked).toHaveLength(1);
    expect(signed.has(one.delivery)).toBe(false);
  });
  it.each<[number, unknown]>([
    [401, { code: 'session_missing' }],
    [429, { code: 'too_many_requests' }],
  ])('keeps what may be accepted later: %i', async (status, body) => {
    answer(status, body);
    await expect(handIn(one)).rejects.toMatchObject({ name: 'Problem', status });
    expect(await unanswered(one.delivery)).toEqual(one);
  });
  it('asks again while the gateway is away', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    const away: [number, unknown][] = [
      [503, { code: 'keyholder_unavailable' }],
      // What is not ours says nothing of the grant.
      [403, '<html>a proxy says no</html>'],
    ];
    const asked = network({ 'POST /v1/grants': () => away.shift() ?? [200, { accepted: accepted.jws }] });
    const done = handIn(one);
    await vi.waitFor(async () => {
      await vi.runAllTimersAsync();
      expect(asked).toHaveLength(3);
    });
    await done;
    expect(signed.get(one.delivery)?.accepted).toBe(accepted.jws);
  });
});
