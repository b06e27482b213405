// The wire: typed calls, the keyholder's keys, statements that a passkey confirms, and envelopes
// that only this wallet opens.

import { answered, createApi, inTime, Problem, type GatewayPaths } from '$lib/api';
import { fromB64, fromUtf8, type Bytes } from '$lib/protocol/bytes';
import { openEnvelope, verifyEnvelope } from '$lib/protocol/envelope';
import { ANY, used } from '$lib/protocol/jws';
import { peekLog, verifyKeys, type VerifiedKeys } from '$lib/protocol/keys';
import { accountKey } from '$lib/protocol/owner-keys';
import { confirm } from '$lib/protocol/passkey';
import type { SealKeyPair } from '$lib/protocol/seal';
import type { SealPurpose } from '$lib/protocol/sealkey';
import { statementBytes, statementChallenge, type Said } from '$lib/protocol/statement';
import { Refused } from '$lib/protocol/refused';
import { assertionJson } from '$lib/protocol/webauthn';
import { b64 } from '$lib/protocol/bytes';
import { keep, type Account } from './db';
import { session } from './session.svelte';

/**
 * The session is a cookie that no script here can read. Once this wallet's session is over the cookie may be another's: what a
 * log-out whose answer was lost has left. Nothing is then asked or told in a wallet's name before a log-in.
 */
export const asThisWallet: typeof fetch = async (input, init) => {
  const request = new Request(input, init);
  if (session.ended && new URL(request.url).pathname.startsWith('/v1/wallet/')) {
    return Response.json({ code: 'session_missing', title: 'log in first', status: 401 }, { status: 401 });
  }
  request.headers.set('parcelshelf-session', 'cookie');
  return fetch(inTime(request));
};
export const api = createApi<GatewayPaths>({ fetch: asThisWallet });

/** This device has no seed yet: it can stop everything, and read nothing. */
export class SeedMissing extends Error {
  override readonly name = 'SeedMissing';
}

export function account(): Account {
  if (!session.account) throw new Problem(401, 'session_missing', 'log in first', undefined);
  return session.account;
}

/** The keyholder's keys: the pinned log key must have signed them; whoever comes first pins what is there. */
export async function freshKeys(pinned?: Account['pinned']): Promise<VerifiedKeys> {
  const { keys } = answered(await api.GET('/v1/keys'));
  const log = pinned?.log ?? peekLog(keys);
  return verifyKeys(keys, log, pinned?.iss ?? issuerOf(keys), used(Date.now()));
}

/** The name in keys that are seen for the first time; the signature over it is checked next. */
function issuerOf(jws: string): string {
  const text = fromUtf8(fromB64(jws.split('.')[1] ?? '') ?? new Uint8Array());
  const claims: unknown = JSON.parse(text ?? 'null');
  const iss = (claims as { iss?: unknown } | null)?.iss;
  return typeof iss === 'string' ? iss : '';
}

let keysRead: { jws: string; keys: VerifiedKeys } | undefined;
/** The keys as verified last, from this device. */
export async function keys(): Promise<VerifiedKeys> {
  const { keys: jws, pinned } = account();
  if (keysRead?.jws !== jws) keysRead = { jws, keys: await verifyKeys(jws, pinned.log, pinned.iss, ANY) };
  return keysRead.keys;
}

/** Asks for the keys anew, when something no longer verifies: they may have been replaced, by the pinned log key's word. */
async function renewKeys(): Promise<void> {
  const current = account();
  const fresh = await freshKeys(current.pinned);
  if (fresh.jws === current.keys) return;
  const changed = { ...current, keys: fresh.jws };
  await keep('account', changed);
  session.become(changed);
}

let opener: { wallet: string; seed: Bytes; pair: Promise<SealKeyPair> } | undefined;
function accountPair(): Promise<SealKeyPair> {
  const { seed, wallet } = account();
  if (!seed) throw new SeedMissing('this device has no seed');
  if (opener?.wallet !== wallet || opener.seed !== seed) opener = { wallet, seed, pair: accountKey(seed) };
  return opener.pair;
}

/** Opens what the keyholder sealed to this wallet; `seq` where it is one of several. */
export async function opened(envelope: string, purpose: SealPurpose, about: string, own?: SealKeyPair, seq?: number): Promise<Bytes> {
  const { wallet } = account();
  const read = async () => {
    const { message, iss } = (await keys()).claims;
    const verified = await verifyEnvelope(envelope, message, iss, wallet);
    if (seq !== undefined && verified.seq !== seq) throw Refused.of('envelope', 'wrong_subject');
    return openEnvelope(verified, own ?? (await accountPair()), purpose, about);
  };
  try {
    return await read();
  } catch (error) {
    if (error instanceof SeedMissing || !String((error as Error).message).startsWith('envelope_')) throw error;
    await renewKeys();
    return read();
  }
}

export async function openedJson<T>(envelope: string, about: string): Promise<T> {
  const text = fromUtf8(await opened(envelope, 'account', about));
  return JSON.parse(text ?? 'null') as T;
}

/** Whether this seed opens what the keyholder seals to this wallet. */
export async function opensWith(seed: Bytes): Promise<boolean> {
  const { envelope } = answered(await api.GET('/v1/wallet/deliveries'));
  try {
    await opened(envelope, 'account', account().wallet, await accountKey(seed));
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'box_not_for_this') return false;
    throw error;
  }
}

export interface Confirmed {
  statement: string;
  assertion: Assertion;
}
type Assertion = GatewayPaths['/v1/sessions']['post']['requestBody']['content']['application/json']['assertion'];

export function wire(assertion: Parameters<typeof assertionJson>[0]): Assertion {
  return JSON.parse(assertionJson(assertion)) as Assertion;
}

/** A statement that this wallet's passkey confirms: the device asks the owner. */
export async function stated(said: Said): Promise<Confirmed> {
  const { claims } = await keys();
  const { nonce } = answered(await api.POST('/v1/challenges', { body: {} }));
  const bytes = statementBytes({ aud: claims.iss, nonce, said });
  const { assertion } = await confirm(claims.rpId, statementChallenge(bytes), null, [account().credentialId]);
  return { statement: b64(bytes), assertion: wire(assertion) };
}
