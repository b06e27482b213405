// The stop page's database on the device: keys, pins, what waits to be sent, and which attempts are watched. No place, no
// plate, no photo in the clear ever comes in here.

import { openDB, type DBSchema, type IDBPDatabase } from 'idb';
import type { Piece, Shelf } from './outbox';

/** An attempt of this device, until it is seen locked. `text`: what its link said, so that a courier who is called back can lock
 * from here; it names no place. */
export interface Watched {
  readonly attempt: string;
  readonly delivery: string;
  readonly text?: string;
  readonly sinceMs: number;
  /** The owner's public key for photos of this delivery: it seals, and opens nothing. */
  readonly seal?: string;
  /** Another phone opened it; this one only shuts and locks. */
  readonly takenOver?: boolean;
  /** It has no name yet: its request has left, and no answer has come. No link is kept with it. */
  readonly asked?: boolean;
}
interface Schema extends DBSchema {
  device: { key: string; value: unknown };
  outbox: { key: string; value: Piece<unknown> };
  watched: { key: string; value: Watched };
}

let opened: Promise<IDBPDatabase<Schema>> | null = null;
export function database(): Promise<IDBPDatabase<Schema>> {
  opened ??= openDB<Schema>('parcelshelf-stop', 1, {
    upgrade(db) {
      db.createObjectStore('device');
      db.createObjectStore('outbox', { keyPath: 'key' });
      db.createObjectStore('watched', { keyPath: 'attempt' });
    },
  });
  return opened;
}

export function shelf<T>(): Shelf<T> {
  return {
    all: async () => (await (await database()).getAll('outbox')) as Piece<T>[],
    put: async (piece) => void (await (await database()).put('outbox', piece)),
    remove: async (key, atMs) => {
      const transaction = (await database()).transaction('outbox', 'readwrite');
      if ((await transaction.store.get(key))?.atMs === atMs) await transaction.store.delete(key);
      await transaction.done;
    },
  };
}
