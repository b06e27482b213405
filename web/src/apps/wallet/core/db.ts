// What this device keeps: who is logged in, the seed, what was allowed here, and the last list that was read. No place is
// ever in it.

/** Raw bytes as IndexedDB keeps them. */
type Bytes = Uint8Array<ArrayBuffer>;

export interface Account {
  wallet: string;
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
  /** The body of `POST /v1/grants`, or of `POST /v1/rules`. */
  body: string;
  /** It is a standing rule, made with this delivery. */
  rule?: boolean;
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

const NAME = 'parcelshelf-wallet';
const VERSION = 1;
type Store = 'kept' | 'signed';

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('storage failed'));
  });
}

let opened: Promise<IDBDatabase> | undefined;
function db(): Promise<IDBDatabase> {
  if (!opened) {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore('kept');
      request.result.createObjectStore('signed');
    };
    opened = settled(request);
    opened.catch(() => (opened = undefined));
  }
  return opened;
}
async function read<T>(store: Store, key: string): Promise<T | undefined> {
  return settled((await db()).transaction(store).objectStore(store).get(key) as IDBRequest<T | undefined>);
}
/** Settles once it is on the disk, as far as the browser says. */
async function write(store: Store, change: (objects: IDBObjectStore) => unknown): Promise<void> {
  const transaction = (await db()).transaction(store, 'readwrite', { durability: 'strict' });
  change(transaction.objectStore(store));
  await new Promise<void>((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error('storage failed'));
  });
}

export function kept<T>(key: string): Promise<T | undefined> {
  return read<T>('kept', key);
}
export function keep(key: string, value: unknown): Promise<void> {
  return write('kept', (objects) => objects.put(value, key));
}
export function forget(key: string): Promise<void> {
  return write('kept', (objects) => objects.delete(key));
}
export function signedHere(delivery: string): Promise<SignedHere | undefined> {
  return read<SignedHere>('signed', delivery);
}
export function keepSigned(signed: SignedHere): Promise<void> {
  return write('signed', (objects) => objects.put(signed, signed.delivery));
}
export function forgetSigned(delivery: string): Promise<void> {
  return write('signed', (objects) => objects.delete(delivery));
}
/** Forgets everything on this device. */
export async function forgetAll(): Promise<void> {
  await write('kept', (objects) => objects.clear());
  await write('signed', (objects) => objects.clear());
  // Also what this tab remembers of a linking that was not finished.
  globalThis.sessionStorage?.clear();
}
