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

describe('logging in', () => {
  const answering = (wallet: string) =>
    network({
      'GET /v1/keys': () => [200, { keys: published.jws }],
      'POST /v1/sessions/challenges': () => [200, { nonce: 'nonce' }],
      'POST /v1/sessions': () => [200, { wallet }],
      'DELETE /v1/sessions': () => [204, null],
    });
  it('keeps the seed of the wallet that is here', async () => {
    const seed = aSeed();
    await loggedIn(seed);
    session.ended = true;
    answering(WALLET);
    passkey('BBBB');
    await logIn();
    expect(seedHere()).toEqual([seed, seed]);
    expect(b64(session.account!.credentialId)).toBe('BBBB');
    expect(session.ended).toBe(false);
  });
  it('refuses the passkey of another wallet, and ends the session that it opened', async () => {
    const seed = aSeed();
    await loggedIn(seed);
    const asked = answering(b64(new Uint8Array(16).fill(9)));
    passkey('BBBB');
    await expect(logIn()).rejects.toMatchObject({ name: 'OtherWallet' });
    expect(asked.at(-1)).toBe('DELETE /v1/sessions');
    expect(session.account).toMatchObject({ wallet: WALLET, seed });
    expect(kept.get('account')).toMatchObject({ wallet: WALLET, seed });
    expect(session.ended).toBe(true);
  });
  it('begins anew where no wallet is', async () => {
    session.become(null);
    answering(WALLET);
    passkey('BBBB');
    await logIn();
    expect(session.account).toMatchObject({ wallet: WALLET, seed: null });
  });
});
