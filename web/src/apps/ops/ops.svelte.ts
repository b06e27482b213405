// Who is logged in, and the board, read every few seconds while somebody looks.

import { Problem, Silence } from '$lib/api';
import { answered, api, readBoard, readMe, type Board, type Me } from './api';

const READ_EVERY_MS = 4_000;

class Ops {
  state = $state<'starting' | 'out' | 'in'>('starting');
  me = $state.raw<Me>();
  board = $state.raw<Board>();
  silent = $state(false);
  /** The carrier has not heard that somebody logged out: its session still stands. */
  unheard = $state(false);

  readonly acts = $derived(this.me?.role === 'dispatcher' || this.me?.role === 'lead');
  readonly leads = $derived(this.me?.role === 'lead');

  async start(): Promise<void> {
    try {
      this.enter(await readMe());
    } catch (error) {
      if (!(error instanceof Problem) && !(error instanceof Silence)) console.warn(error);
      this.state = 'out';
    }
    setInterval(() => document.visibilityState === 'visible' && void this.read(), READ_EVERY_MS);
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && void this.read());
  }
  enter(me: Me): void {
    this.me = me;
    this.unheard = false;
    this.state = 'in';
    void this.read();
  }
  async read(): Promise<void> {
    // One at a time: on a slow line an older board would come after a newer one.
    if (this.state !== 'in' || this.reading) return;
    this.reading = true;
    try {
      const board = await readBoard();
      // Somebody may have logged out meanwhile.
      if (this.state !== 'in') return;
      this.board = board;
      this.silent = false;
    } catch (error) {
      if (error instanceof Problem && error.status === 401) this.leave();
      else this.silent = true;
    } finally {
      this.reading = false;
    }
  }
  private reading = false;
  private leave(): void {
    this.state = 'out';
    this.board = undefined;
    this.me = undefined;
  }
  async logOut(): Promise<void> {
    // First what is here, so that it goes without a network, too.
    this.leave();
    try {
      answered(await api.DELETE('/v1/session'));
      this.unheard = false;
    } catch (error) {
      this.unheard = !(error instanceof Problem && error.status === 401);
    }
  }
  courier(id: string | null | undefined): string | undefined {
    return this.board?.couriers.find((c) => c.courier === id)?.name;
  }
}
export const ops = new Ops();
