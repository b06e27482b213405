import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { b64 } from '$lib/protocol/bytes';
import { logIn, takeOver } from '../../../src/apps/wallet/core/account';
import type { Account } from '../../../src/apps/wallet/core/db';
import { session } from '../../../src/apps/wallet/core/session.svelte';
import { accountOf, aSeed, envelope, kept, memory, network, NOW, passkey, published, WALLET } from './keyholder';

vi.hoisted(() => Object.assign(globalThis, { location: { origin: 'https://gateway.example' } }));
vi.mock('../../../src/apps/wallet/core/db', async () => (await import('./keyholder')).memory);

const list = { deliveries: [], more: false, blocked_all: false, blocked_carriers: [] };
async function loggedIn(seed: Account['seed']): Promise<void> {
  await memory.keep('account', accountOf(WALLET, seed));
  session.become(accountOf(WALLET, seed));
}
const seedHere = () => [session.account?.seed, (kept.get('account') as Account).seed];

beforeEach(() => {
  kept.clear();
  vi.spyOn(Date, 'now').mockReturnValue(NOW);
  vi.stubGlobal('navigator', {});
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe('a seed from another device', () => {
  const sealedTo = (seed: Uint8Array) => ({
    'GET /v1/wallet/deliveries': async (): Promise<[number, unknown]> => [
      200,
      { envelope: await envelope(WALLET, seed, WALLET, list) },
    ],
  });
  it('is taken when it opens what is sealed to this wallet', async () => {
    const seed = aSeed();
    await loggedIn(null);
    network(sealedTo(seed));
    expect(await takeOver(`https://gateway.example/add-device#${WALLET}.${b64(seed)}`)).toBe(true);
    expect(seedHere()).toEqual([seed, seed]);
  });
  it('is refused when it does not: anybody can make such an address', async () => {
    await loggedIn(null);
    const asked = network(sealedTo(aSeed()));
    expect(await takeOver(`${WALLET}.${b64(aSeed())}`)).toBe(false);
    expect(asked).toEqual(['GET /v1/wallet/deliveries']);
    expect(seedHere()).toEqual([null, null]);
  });
  it('never replaces one that is here', async () => {
    const [own, other] = [aSeed(), aSeed()];
    await loggedIn(own);
    network(sealedTo(other));
    expect(await takeOver(`${WALLET}.${b64(other)}`)).toBe(false);
    expect(seedHere()).toEqual([own, own]);
  });
  it('is refused for another wallet, or cut short', async () => {
    await loggedIn(null);
    const asked = network({});
    expect(await takeOver(`another.${b64(aSeed())}`)).toBe(false);
    expect(await takeOver(`${WALLET}.${b64(aSeed()).slice(4)}`)).toBe(false);
    expect(await takeOver('')).toBe(false);
    expect(asked).toEqual([]);
  });
});
