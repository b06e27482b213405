// Messages to dispatch that must not get lost: each is on the disk before anything is shown as done, has one key for all its
// tries, and goes in the order in which it was said. What opens a car never goes through here.

import { Problem, sent } from './api';
import { stored } from './db';

export interface Message {
  seq?: number;
  /** For people: a word of the catalogue. */
  what: string;
  path: string;
  body: unknown;
  /** The same at every try, so that it happens once. */
  key: string;
}
export interface Refused {
  what: string;
  code: string;
}

const TRY_AGAIN_MS = 5_000;

class Outbox {
  waiting = $state.raw<Message[]>([]);
  refused = $state.raw<Refused[]>([]);
  #running = false;
  #again: ReturnType<typeof setTimeout> | undefined;
  /** Called when something arrived. */
  arrived: () => void = () => {};

  dismiss(refused: Refused): void {
    this.refused = this.refused.filter((r) => r !== refused);
  }

  async start(): Promise<void> {
    this.waiting = await stored<Message[]>('outbox', 'readonly', (s) => s.getAll());
    addEventListener('online', () => void this.flush());
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && void this.flush());
    void this.flush();
  }

  async say(what: string, path: string, body: unknown): Promise<void> {
    const message: Message = { what, path, body, key: crypto.randomUUID() };
    // A disk that takes nothing is no reason not to say it.
    const seq = await stored('outbox', 'readwrite', (s) => s.add(message)).catch(() => undefined);
    this.waiting = [...this.waiting, seq === undefined ? message : { ...message, seq: Number(seq) }];
    // Nobody waits for the network here: the next message is to be on the disk, too.
    void this.flush();
  }

  /** Whoever logs in next says nothing in the name of whoever logged out. */
  forget(): void {
    clearTimeout(this.#again);
    this.waiting = [];
    this.refused = [];
  }

  /** Sends what waits, oldest first, until somebody does not answer. */
  async flush(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    clearTimeout(this.#again);
    try {
      for (let first = this.waiting[0]; first; first = this.waiting[0]) {
        try {
          await sent(first.path, first.body, first.key);
        } catch (error) {
          if (!(error instanceof Problem) || error.status >= 500 || error.status === 429 || error.status === 401) {
            this.#again = setTimeout(() => void this.flush(), TRY_AGAIN_MS);
            return;
          }
          this.refused = [...this.refused, { what: first.what, code: error.code }];
        }
        const { seq, key } = first;
        if (seq !== undefined) await stored('outbox', 'readwrite', (s) => s.delete(seq)).catch(() => undefined);
        this.waiting = this.waiting.filter((m) => m.key !== key);
        this.arrived();
      }
    } finally {
      this.#running = false;
    }
  }
}
export const outbox = new Outbox();
