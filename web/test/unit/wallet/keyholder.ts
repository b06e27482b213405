// A gateway for the wallet's core: its answers are signed with the published keys of the test vectors, and sealed as a keyholder
// seals them. Only the browser's storage and the network are played.

import { vi } from 'vitest';
import { fromB64, randomBytes, utf8, b64 } from '$lib/protocol/bytes';
import { signJws, VerifyingKey, type Signer } from '$lib/protocol/jws';
import { accountKey } from '$lib/protocol/owner-keys';
import { seal } from '$lib/protocol/seal';
import type { Account, SignedHere } from '../../../src/apps/wallet/core/db';
import { bytes, vectors, type Vector } from '../protocol/support';

const named = (list: Vector[], name: string): Vector => list.find((one) => one.name === name);
export const published = named(vectors('messages').cases, 'keys_good').input;
export const accepted = named(vectors('messages').cases, 'accepted_good').input;
export const chain = vectors('chain').base;
/** When the vectors were made. */
export const NOW = published.now_ms as number;
export const WALLET = b64(new Uint8Array(16).fill(7));

async function messageKey(): Promise<Signer> {
  const { scalar, jwk } = named(vectors('values').signing_keys, 'keyholder message');
  const how = { name: 'ECDSA', namedCurve: 'P-256' };
  const key = await crypto.subtle.importKey('jwk', { ...JSON.parse(jwk), d: scalar }, how, false, ['sign']);
  const hashed = { name: 'ECDSA', hash: 'SHA-256' };
  return {
    key: VerifyingKey.parseJwk(jwk),
    sign: async (message) => new Uint8Array(await crypto.subtle.sign(hashed, key, message)),
  };
}
/** What a keyholder seals for a wallet whose seed this is. */
export async function envelope(wallet: string, seed: Uint8Array, about: string, content: unknown): Promise<string> {
  const { public: to } = await accountKey(seed as Uint8Array<ArrayBuffer>);
  const context = { sender: published.iss, recipient: wallet, delivery: about, seq: 0 };
  const box = b64(await seal(to, 'account', context, utf8(JSON.stringify(content))));
  const claims = { iss: published.iss, aud: wallet, delivery: about, seq: 0, purpose: 'account', iat: NOW / 1000, box };
  return signJws('psh-sealed+jwt', 'kid', JSON.stringify(claims), await messageKey());
}

export function accountOf(wallet: string, seed: Account['seed']): Account {
  const pinned = { log: published.log, iss: published.iss };
  return { wallet, credentialId: bytes('AAAA'), seed, pinned, keys: published.jws, backedUp: false };
}
export const aSeed = () => randomBytes(32);

/** `db.ts` in memory: node has no IndexedDB. */
export const kept = new Map<string, unknown>();
export const signed = new Map<string, SignedHere>();
export const memory = {
  kept: async (key: string) => kept.get(key),
  keep: async (key: string, value: unknown) => void kept.set(key, value),
  signedHere: async (delivery: string) => signed.get(delivery),
  keepSigned: async (one: SignedHere) => void signed.set(one.delivery, one),
  forgetSigned: async (delivery: string) => void signed.delete(delivery),
  forgetAll: async () => (kept.clear(), signed.clear()),
};

type Answers = Record<string, (body: unknown) => [number, unknown] | Promise<[number, unknown]>>;
/** The network: `'POST /v1/grants'` and what it answers. Whatever else is asked for is a fault of the test. */
export function network(answers: Answers): string[] {
  const asked: string[] = [];
  vi.stubGlobal('fetch', async (request: Request) => {
    const name = `${request.method} ${new URL(request.url).pathname}`;
    asked.push(name);
    const answer = answers[name];
    if (!answer) throw new Error(`not expected: ${name}`);
    const text = await request.text();
    const [status, body] = await answer(text ? JSON.parse(text) : null);
    const headers = { 'content-type': typeof body === 'string' ? 'text/html' : 'application/json' };
    return new Response(status === 204 ? null : typeof body === 'string' ? body : JSON.stringify(body), { status, headers });
  });
  return asked;
}
/** An authenticator that confirms. Who checks its word is the gateway, which is played here. */
export function passkey(credentialId: string): void {
  const some = utf8('{}').buffer;
  const response = { authenticatorData: some, clientDataJSON: some, signature: some };
  const credential = { rawId: fromB64(credentialId)!.buffer, response, getClientExtensionResults: () => ({}) };
  vi.stubGlobal('navigator', { credentials: { get: async () => credential } });
}
