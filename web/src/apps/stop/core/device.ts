// The courier's device: two keys with one name, made here and never shown, and the keyholder's log key that was pinned when a
// depot enrolled it.

import { database } from '$lib/offline/db';
import { b64, concat, fromB64, type Bytes } from '$lib/protocol/bytes';
import { deviceThumbprint } from '$lib/protocol/cert';
import { bytesOf, sha256Bytes, domainHash, type Hash } from '$lib/protocol/hash';
import type { PrivateKey } from '$lib/protocol/hpke';
import { generateSigningPair, signerOf, type Signer } from '$lib/protocol/jws';
import { SealKeyPair } from '$lib/protocol/seal';

/** Whom the device believes: pinned at enrolment, covered by the six digits. */
export interface Pin {
  /** The log's verifier key. */
  readonly log: string;
  /** The keyholder's name. */
  readonly iss: string;
}
export interface Device {
  readonly signer: Signer;
  readonly seal: SealKeyPair;
  readonly thumbprint: Hash;
  readonly pin: Pin | null;
}
interface Stored {
  readonly signing: CryptoKeyPair;
  readonly seal: PrivateKey;
  readonly pin: Pin | null;
}
const KEY = 'keys';

/** `key`: another than a courier's own, for a guest's. */
export async function loadDevice(key = KEY): Promise<Device | null> {
  const stored = (await (await database()).get('device', key)) as Stored | undefined;
  return stored ? deviceOf(stored) : null;
}
async function deviceOf(stored: Stored): Promise<Device> {
  const signer = await signerOf(stored.signing);
  const seal = await SealKeyPair.from(stored.seal);
  return { signer, seal, thumbprint: deviceThumbprint(signer.key.thumb, seal.public.hash), pin: stored.pin };
}
/** Fresh keys; whatever was enrolled before is forgotten. */
export async function createDevice(key = KEY): Promise<Device> {
  const [signing, seal] = [await generateSigningPair(), await SealKeyPair.generate()];
  const stored: Stored = { signing, seal: seal.private, pin: null };
  await (await database()).put('device', stored, key);
  // The browser is asked not to throw the keys away; it may all the same, and then the depot enrols anew.
  await navigator.storage?.persist?.().catch(() => false);
  return deviceOf(stored);
}
export async function pinKeyholder(pin: Pin, key = KEY): Promise<void> {
  const db = await database();
  const stored = (await db.get('device', key)) as Stored | undefined;
  if (stored) await db.put('device', { ...stored, pin }, key);
}

const KEYS = 'keyholder';
/** The keyholder's published keys as they were verified last: for a page that is loaded anew without a network. */
export async function keepKeys(jws: string): Promise<void> {
  await (await database()).put('device', jws, KEYS);
}
export async function keptKeys(): Promise<string | null> {
  const jws: unknown = await (await database()).get('device', KEYS);
  return typeof jws === 'string' ? jws : null;
}

/** What the depot scans: both public keys. */
export function enrolmentText(device: Device): string {
  const jwk = JSON.parse(device.signer.key.jwk) as { x: string; y: string };
  const part = (text: string): Bytes => fromB64(text) ?? new Uint8Array();
  return `psh-enrol-1~${b64(concat(part(jwk.x), part(jwk.y)))}~${device.seal.public.text}`;
}
/** Six digits that both screens show: over the device's name and the keyholder's log key. */
export function sixDigits(thumbprint: Hash, log: string): string {
  const hash = bytesOf(domainHash('psh-enrol-v1', bytesOf(thumbprint), sha256Bytes(log)));
  const number = new DataView(hash.buffer, hash.byteOffset).getUint32(0) % 1_000_000;
  return String(number).padStart(6, '0');
}
