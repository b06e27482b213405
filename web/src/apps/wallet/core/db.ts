// What this device keeps: who is logged in, the seed, what was allowed here, and the last list that was read. No place is
// ever in it.

import { openDB, type DBSchema, type IDBPDatabase } from 'idb';

/** Raw bytes as IndexedDB keeps them. */
type Bytes = Uint8Array<ArrayBuffer>;

export interface Account {
  wallet: string;
  /** Of a session: it reads and stops, and opens nothing. */
  token: string;
  credentialId: Bytes;
  /** Opens what is sealed to this wallet; null on a device that was not given it yet. */
  seed: Bytes | null;
  /** The keyholder's log key and name as first seen; from then on every set of keys must be signed by it. */
  pinned: { log: string; iss: string };
  /** The keyholder's keys as last verified. */
  keys: string;
  /** Whether this passkey unwraps the seed on a new device. */
  backedUp: boolean;
}

/** A grant that was signed here, kept before it is handed in: the same bytes are handed in again when no answer comes. */
export interface SignedHere {
  delivery: string;
  /** The body of `POST /v1/grants`. */
  body: string;
  jti: string;
  carrier: string;
  accepted: string | null;
  at: number;
}

/** Areas that were allowed before, newest first. */
export interface KnownArea {
  name: string;
  cells: string[];
  usedAt: number;
}

interface Schema extends DBSchema {
  kept: { key: string; value: unknown };
  signed: { key: string; value: SignedHere };
}

let opened: Promise<IDBPDatabase<Schema>> | undefined;
function db(): Promise<IDBPDatabase<Schema>> {
  opened ??= openDB<Schema>('parcelshelf-wallet', 1, {
    upgrade(d) {
      d.createObjectStore('kept');
      d.createObjectStore('signed', { keyPath: 'delivery' });
    },
  });
  return opened;
}

export async function kept<T>(key: string): Promise<T | undefined> {
  return (await (await db()).get('kept', key)) as T | undefined;
}
export async function keep(key: string, value: unknown): Promise<void> {
  await (await db()).put('kept', value, key);
}
export async function signedHere(delivery: string): Promise<SignedHere | undefined> {
  return (await db()).get('signed', delivery);
}
export async function keepSigned(signed: SignedHere): Promise<void> {
  await (await db()).put('signed', signed);
}
/** Forgets everything on this device. */
export async function forgetAll(): Promise<void> {
  const d = await db();
  await Promise.all([d.clear('kept'), d.clear('signed')]);
}
