// Signing up, logging in, and a second device. No name, no e-mail: a passkey is the account.

import { answered, Problem } from '$lib/api';
import { b64, concat, fromB64, randomBytes, utf8, type Bytes } from '$lib/protocol/bytes';
import { sha256Bytes } from '$lib/protocol/hash';
import { accountKey } from '$lib/protocol/owner-keys';
import { confirm, createPasskey } from '$lib/protocol/passkey';
import { statementBytes, statementChallenge } from '$lib/protocol/statement';
import { sessionChallenge } from '$lib/protocol/webauthn';
import { forgetAll, keep, kept, type Account } from './db';
import { sleep } from './push';
import { account, api, freshKeys, opensWith, wire } from './gateway';
import { session } from './session.svelte';

const SEED_BYTES = 32;
const IV_BYTES = 12;
/** What the authenticator's PRF is asked about: the same for all, for its answer differs for each passkey. */
const PRF_SALT: Bytes = sha256Bytes('parcelshelf wallet seed v1');
const LABEL = 'Parcelshelf';

async function wrapKey(prf: Bytes): Promise<CryptoKey> {
  const base = await crypto.subtle.importKey('raw', prf, 'HKDF', false, ['deriveKey']);
  const how = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info: utf8('psh-seed-box-v1') };
  return crypto.subtle.deriveKey(how, base, { name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
}
async function wrapped(seed: Bytes, prf: Bytes, wallet: string): Promise<string> {
  const iv = randomBytes(IV_BYTES);
  const how = { name: 'AES-GCM', iv, additionalData: utf8(wallet) };
  return b64(concat(iv, new Uint8Array(await crypto.subtle.encrypt(how, await wrapKey(prf), seed))));
}
async function unwrapped(box: string, prf: Bytes, wallet: string): Promise<Bytes | null> {
  const bytes = fromB64(box);
  if (!bytes || bytes.length <= IV_BYTES) return null;
  const how = { name: 'AES-GCM', iv: bytes.slice(0, IV_BYTES), additionalData: utf8(wallet) };
  try {
    const seed = new Uint8Array(await crypto.subtle.decrypt(how, await wrapKey(prf), bytes.slice(IV_BYTES)));
    return seed.length === SEED_BYTES ? seed : null;
  } catch {
    return null;
  }
}

async function enter(entered: Account): Promise<void> {
  await keep('account', entered);
  session.become(entered);
  // A browser may throw away what it keeps for pages; asking for persistence costs nothing.
  void navigator.storage?.persist?.();
}

/** Keeps the seed at the gateway, wrapped so that only this passkey unwraps it. False: it could not be kept. */
async function backUp(seed: Bytes, prf: Bytes | null, wallet: string): Promise<boolean> {
  if (!prf) return false;
  try {
    const { response } = await api.POST('/v1/wallet/seed-box', { body: { box: await wrapped(seed, prf, wallet) } });
    return response.ok;
  } catch {
    return false;
  }
}

/** A new wallet. The device asks twice: to make the passkey, and to confirm the wallet with it. */
export async function signUp(): Promise<void> {
  const published = await freshKeys();
  const { rpId, iss, log } = published.claims;
  const passkey = await createPasskey(rpId, LABEL, randomBytes(32), randomBytes(32), PRF_SALT);
  const seed = randomBytes(SEED_BYTES);
  const pair = await accountKey(seed);
  const { nonce } = answered(await api.POST('/v1/challenges', { body: {} }));
  const said = { typ: 'wallet' as const, accountKey: pair.public, passkey };
  const bytes = statementBytes({ aud: iss, nonce, said });
  const confirmed = await confirm(rpId, statementChallenge(bytes), PRF_SALT, [passkey.credentialId]);
  const body = { statement: b64(bytes), assertion: wire(confirmed.assertion) };
  const { wallet } = answered(await api.POST('/v1/wallets', { body }));
  const { credentialId } = passkey;
  const fresh = { wallet, credentialId, seed, pinned: { log, iss }, keys: published.jws, backedUp: false };
  await enter(fresh);
  const backedUp = await backUp(seed, confirmed.prf ?? passkey.prf, wallet);
  await enter({ ...fresh, backedUp });
}

/** A passkey of another wallet than the one on this device. What this one keeps would be lost: its owner logs out first. */
export class OtherWallet extends Error {
  override readonly name = 'OtherWallet';
}

/** Logs in with a passkey that the owner picks; its PRF output unwraps the seed where it was wrapped. */
export async function logIn(): Promise<void> {
  const before = (await kept<Account>('account')) ?? null;
  const published = await freshKeys(before?.pinned);
  const { rpId, iss, log } = published.claims;
  const { nonce } = answered(await api.POST('/v1/sessions/challenges', { body: {} }));
  const { assertion, prf } = await confirm(rpId, sessionChallenge(iss, nonce), PRF_SALT);
  const { wallet } = answered(await api.POST('/v1/sessions', { body: { nonce, assertion: wire(assertion) } }));
  if (before && before.wallet !== wallet) {
    await endSession();
    session.ended = true;
    throw new OtherWallet('this device holds another wallet');
  }
  const { credentialId } = assertion;
  const keys = published.jws;
  await enter({ wallet, credentialId, seed: before?.seed ?? null, pinned: { log, iss }, keys, backedUp: false });
  await restore(prf);
}

/** Brings the seed from the gateway to this device, or from this device to the gateway. */
async function restore(prf: Bytes | null): Promise<void> {
  const { wallet, seed } = account();
  if (!prf) return;
  const answer = await api.GET('/v1/wallet/seed-box');
  if (answer.response.ok && answer.data) {
    const found = await unwrapped(answer.data.box, prf, wallet);
    if (found) await enter({ ...account(), seed: seed ?? found, backedUp: true });
    return;
  }
  if (seed) await enter({ ...account(), backedUp: await backUp(seed, prf, wallet) });
}

/** Ends the session here and forgets what this device kept. */
export async function logOut(): Promise<void> {
  // Whoever has this device next is not woken for this wallet.
  await sleep().catch(() => undefined);
  await endSession();
  await forgetAll();
  session.become(null);
}
async function endSession(): Promise<void> {
  try {
    await api.DELETE('/v1/sessions');
  } catch {
    // Without a network the session ends by itself; this device forgets it now.
  }
}

/** What another device needs besides the passkey. Shown as a QR code only, face to face. */
export function handover(): string {
  const { seed, wallet } = account();
  if (!seed) throw new Problem(409, 'seed_missing', 'this device has no seed', undefined);
  return `${location.origin}/add-device#${wallet}.${b64(seed)}`;
}

/**
 * Takes what `handover` gave, once logged in here. Anybody can make such an address: a seed that is here is never replaced,
 * and a new one must open what is sealed to this wallet. False: it is for another wallet, damaged, or not needed.
 */
export async function takeOver(code: string): Promise<boolean> {
  const [wallet, text] = code.replace(/^.*#/, '').split('.');
  const seed = fromB64(text ?? '');
  const wanted = () => wallet === account().wallet && !account().seed;
  if (!wanted() || seed?.length !== SEED_BYTES) return false;
  if (!(await opensWith(seed)) || !wanted()) return false;
  await enter({ ...account(), seed });
  return true;
}
