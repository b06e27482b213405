// Who is logged in, and the board, read every few seconds while somebody looks.

import { Problem, Silence } from '$lib/api';
import { answered, api, readBoard, readMe, type Board, type Me } from './api';

const READ_EVERY_MS = 4_000;

class Ops {
  state = $state<'starting' | 'out' | 'in'>('starting');
  me = $state.raw<Me>();
  board = $state.raw<Board>();
  silent = $state(false);

  readonly acts = $derived(this.me?.role === 'dispatcher' || this.me?.role === 'lead');
  readonly leads = $derived(this.me?.role === 'lead');

  async start(): Promise<void> {
    try {
      this.enter(await readMe());
    } catch (error) {
      if (!(error instanceof Problem) && !(error instanceof Silence)) throw error;
      this.state = 'out';
    }
    setInterval(() => document.visibilityState === 'visible' && void this.read(), READ_EVERY_MS);
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && void this.read());
  }
  enter(me: Me): void {
    this.me = me;
    this.state = 'in';
    void this.read();
  }
  async read(): Promise<void> {
    if (this.state !== 'in') return;
    try {
      this.board = await readBoard();
      this.silent = false;
    } catch (error) {
      if (error instanceof Problem && error.status === 401) this.leave();
      else if (error instanceof Problem || error instanceof Silence) this.silent = true;
      else throw error;
    }
  }
  private leave(): void {
    this.state = 'out';
    this.board = undefined;
    this.me = undefined;
  }
  async logOut(): Promise<void> {
    answered(await api.DELETE('/v1/session'));
    this.leave();
  }
  courier(id: string | null | undefined): string | undefined {
    return this.board?.couriers.find((c) => c.courier === id)?.name;
  }
}
export const ops = new Ops();
