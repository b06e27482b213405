// What the app knows: who is logged in, the route, and since when.

import { forgetRoute, stored } from './db';
import { outbox } from './outbox.svelte';
import { Problem, readRoute, signIn, signOut, type Route } from './api';

const READ_EVERY_MS = 15_000;

class App {
  state = $state<'starting' | 'out' | 'in'>('starting');
  route = $state.raw<Route>();
  readAt = $state(0);
  /** The last reading brought no answer. */
  silent = $state(false);
  /** The carrier has not heard that somebody logged out: its session still stands. */
  unheard = $state(false);
  #left = false;
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
    this.#left = this.unheard = false;
    await this.read();
    await outbox.flush();
  }

  async logOut(): Promise<void> {
    // First what is here, so that it goes without a network, too.
    this.#left = true;
    const forgotten = outbox.forget();
    this.#out();
    await forgotten;
    await forgetRoute().catch((why: unknown) => console.warn(why));
    try {
      await signOut();
      this.unheard = false;
    } catch (error) {
      this.unheard = !(error instanceof Problem && error.status === 401);
    }
  }
  #out(): void {
    this.route = undefined;
    outbox.who = undefined;
    this.state = 'out';
  }

  async read(): Promise<void> {
    // The carrier may not have heard yet that somebody logged out.
    if (this.#left) return;
    try {
      const route = await readRoute();
      if (this.#left) return;
      this.route = route;
      outbox.who = route.courier;
      this.readAt = Date.now();
      this.silent = false;
      this.state = 'in';
      // A disk that takes nothing does not make the route wrong.
      await stored('kept', 'readwrite', (s) => s.put({ route, at: this.readAt }, 'route')).catch((why: unknown) => console.warn(why));
    } catch (error) {
      if (error instanceof Problem && error.status === 401) {
        // Whoever takes the phone next sees no names and addresses before a log-in.
        this.#out();
        await forgetRoute().catch((why: unknown) => console.warn(why));
        return;
      }
      this.silent = true;
      const kept = await stored<{ route: Route; at: number } | undefined>('kept', 'readonly', (s) => s.get('route')).catch(() => undefined);
      if (this.#left) return;
      if (kept && !this.route) {
        this.route = kept.route;
        outbox.who = kept.route.courier;
        this.readAt = kept.at;
      }
      this.state = this.route ? 'in' : this.state === 'starting' ? 'out' : this.state;
    }
  }
}
export const app = new App();
