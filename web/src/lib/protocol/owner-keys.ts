// Keys that an owner's devices derive from the one seed they share.

import { utf8, type Bytes } from './bytes';
import type { Id } from './hash';
import { SealKeyPair } from './seal';

async function derive(seed: Bytes, info: string): Promise<Bytes> {
  const key = await crypto.subtle.importKey('raw', seed, 'HKDF', false, ['deriveBits']);
  const params = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info: utf8(info) };
  return new Uint8Array(await crypto.subtle.deriveBits(params, key, 256));
}
/** Seed of the X-Wing key that belongs to one grant. */
export function grantSealSeed(seed: Bytes, jti: Id): Promise<Bytes> {
  return derive(seed, `psh-seal-v1\0${jti}`);
}
/** Seed of the wallet's account key. */
export function accountSeed(seed: Bytes): Promise<Bytes> {
  return derive(seed, 'psh-account-v1');
}
export async function grantSealKey(seed: Bytes, jti: Id): Promise<SealKeyPair> {
  return SealKeyPair.fromSeed(await grantSealSeed(seed, jti));
}
export async function accountKey(seed: Bytes): Promise<SealKeyPair> {
  return SealKeyPair.fromSeed(await accountSeed(seed));
}
