// What the app keeps on the phone: messages that wait, and the route as it was read last. No key, no place of a car.

const NAME = 'courier';
type Store = 'outbox' | 'kept';

function opened(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore('outbox', { keyPath: 'seq', autoIncrement: true });
      request.result.createObjectStore('kept');
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
let open: Promise<IDBDatabase> | undefined;

/** Runs one request in a transaction of its own; done when it is on the disk. */
export async function stored<T>(store: Store, mode: IDBTransactionMode, ask: (s: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await (open ??= opened());
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(store, mode);
    const request = ask(transaction.objectStore(store));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = transaction.onabort = () => reject(transaction.error ?? request.error);
  });
}

/** Names and addresses go; messages that wait stay. */
export async function forgetRoute(): Promise<void> {
  await stored('kept', 'readwrite', (s) => s.clear());
}
