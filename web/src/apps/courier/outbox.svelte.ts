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
  /** Who said it: nobody else's session says it. */
  courier?: string;
}
export interface Refused {
  what: string;
  code: string;
}

const TRY_AGAIN_MS = 5_000;

class Outbox {
  #all = $state.raw<Message[]>([]);
  /** Whoever is logged in. */
  who = $state<string>();
  /** What whoever is logged in has said. Another's waits until they are back. */
  waiting = $derived(this.#all.filter((m) => m.courier === undefined || m.courier === this.who));
  #going: string | undefined;
  refused = $state.raw<Refused[]>([]);
  #running = false;
  #again: ReturnType<typeof setTimeout> | undefined;
  /** Called when something arrived. */
  arrived: () => void = () => {};

  dismiss(refused: Refused): void {
    this.refused = this.refused.filter((r) => r !== refused);
  }

  async start(): Promise<void> {
    this.#all = await stored<Message[]>('outbox', 'readonly', (s) => s.getAll());
    addEventListener('online', () => void this.flush());
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && void this.flush());
    void this.flush();
  }

  /** The last word that waits about this, if there is one. */
  said<T>(path: string): T | undefined {
    return this.waiting.findLast((m) => m.path === path)?.body as T | undefined;
  }

  /** `instead`: it takes the place of an earlier word about the same that has not left. */
  async say(what: string, path: string, body: unknown, instead = false): Promise<void> {
    const message: Message = { what, path, body, key: crypto.randomUUID(), ...(this.who !== undefined && { courier: this.who }) };
    const before = instead ? this.waiting.filter((m) => m.path === path && m.key !== this.#going) : [];
    // A disk that takes nothing is no reason not to say it.
    const seq = await stored('outbox', 'readwrite', (s) => s.add(message)).catch(() => undefined);
    this.#all = [...this.#all, seq === undefined ? message : { ...message, seq: Number(seq) }];
    for (const old of before) if (old.key !== this.#going) await this.#drop(old);
    // Nobody waits for the network here: the next message is to be on the disk, too.
    void this.flush();
  }

  /** Whoever logs in next says nothing in the name of whoever logged out. */
  async forget(): Promise<void> {
    clearTimeout(this.#again);
    const own = this.waiting;
    this.refused = [];
    this.#all = this.#all.filter((m) => !own.includes(m));
    for (const message of own) await this.#drop(message);
  }
  async #drop({ seq, key }: Message): Promise<void> {
    if (seq !== undefined) await stored('outbox', 'readwrite', (s) => s.delete(seq)).catch(() => undefined);
    this.#all = this.#all.filter((m) => m.key !== key);
  }

  /** Sends what waits, oldest first, until somebody does not answer. */
  async flush(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    clearTimeout(this.#again);
    try {
      for (let first = this.waiting[0]; first; first = this.waiting[0]) {
        this.#going = first.key;
        try {
          await sent(first.path, first.body, first.key);
        } catch (error) {
          if (!(error instanceof Problem) || error.status >= 500 || error.status === 429 || error.status === 401) {
            this.#again = setTimeout(() => void this.flush(), TRY_AGAIN_MS);
            return;
          }
          this.refused = [...this.refused, { what: first.what, code: error.code }];
        }
        await this.#drop(first);
        this.arrived();
      }
    } finally {
      this.#running = false;
      this.#going = undefined;
    }
  }
}
export const outbox = new Outbox();
