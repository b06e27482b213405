// What the app knows: who is logged in, the route, and since when.

import { forget, stored } from './db';
import { outbox } from './outbox.svelte';
import { Problem, readRoute, signIn, signOut, Silence, type Route } from './api';

const READ_EVERY_MS = 15_000;

class App {
  state = $state<'starting' | 'out' | 'in'>('starting');
  route = $state.raw<Route>();
  readAt = $state(0);
  /** The last reading brought no answer. */
  silent = $state(false);
  #timer: ReturnType<typeof setInterval> | undefined;

  async start(): Promise<void> {
    outbox.arrived = () => void this.read();
    if (!(await this.#takeCode())) await this.read();
    // The link was opened where the app is open already.
    addEventListener('hashchange', () => void this.#takeCode());
    await outbox.start();
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && void this.read());
    this.#timer ??= setInterval(() => this.state === 'in' && void this.read(), READ_EVERY_MS);
  }

  /** A code in the address logs in. */
  async #takeCode(): Promise<boolean> {
    const code = /^#code=([\w-]{43})$/.exec(location.hash)?.[1];
    if (!code) return false;
    // Out of the address at once: it would stay in the history.
    history.replaceState({}, '', location.pathname);
    await this.logIn(code).catch(() => (this.state = 'out'));
    return true;
  }

  async logIn(code: string): Promise<void> {
    await signIn(code);
    await this.read();
    await outbox.flush();
  }

  async logOut(): Promise<void> {
    await signOut();
    await forget();
    this.route = undefined;
    this.state = 'out';
  }

  async read(): Promise<void> {
    try {
      this.route = await readRoute();
      this.readAt = Date.now();
      this.silent = false;
      this.state = 'in';
      await stored('kept', 'readwrite', (s) => s.put({ route: this.route, at: this.readAt }, 'route'));
    } catch (error) {
      if (error instanceof Problem && error.status === 401) {
        this.state = 'out';
        return;
      }
      if (!(error instanceof Silence) && !(error instanceof Problem)) throw error;
      this.silent = true;
      const kept = await stored<{ route: Route; at: number } | undefined>('kept', 'readonly', (s) => s.get('route'));
      if (kept && !this.route) {
        this.route = kept.route;
        this.readAt = kept.at;
      }
      this.state = this.route ? 'in' : this.state === 'starting' ? 'out' : this.state;
    }
  }
}
export const app = new App();
