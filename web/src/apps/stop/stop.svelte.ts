// The page's one object: the machine's state, the clock it is shown by, and the senses (position, network) that feed it.

import { parseFragment, type Fragment } from './fragment';
import { begin, screenOf, step, type Event, type Over, type State } from './machine';
import { watchWhere } from './sense';
import type { Behind, Runner, Start } from './core/run';
import type { Found } from './core/session';
import { Told } from './told';

export type Begun = 'loading' | 'ready' | 'bad_link' | Exclude<Start['is'], 'ready'>;

/** The list that a stop is one of. */
export interface InList {
  /** It is over, whatever is pressed next. */
  over(over: Over): void;
  toList(): void;
}

export class StopPage {
  readonly fragment: Fragment | null;
  /** For the way back, when the state is wiped. */
  readonly returnTo: string | null;
  begun = $state<Begun>('loading');
  /** Why it could not begin. */
  code = $state('');
  state = $state.raw<State | null>(null);
  nowMs = $state(Date.now());
  /** Pieces of evidence that wait for a network. */
  waiting = $state(0);
  /** The owner's key for photos is known: with the place, or kept with the attempt. */
  knowsOwner = $state(false);
  /** The camera was refused, or there is none. */
  noCamera = $state(false);
  /** Pieces that were refused for good. */
  refused = $state(0);
  /** Stops left before, which call the courier back. */
  behind = $state.raw<Behind[]>([]);
  screen = $derived(this.state ? screenOf(this.state) : 'start');

  /** How long the delegation is good for in all. */
  lengthMs = 0;

  readonly listed: InList | null;

  private readonly delivery: string;
  /** The list knew its place. */
  private known: Found | null;
  /** A place that the list goes on showing. */
  private readonly shared: object | undefined;
  private gone = false;
  private runner: Runner | null = null;
  private readonly told = new Told();
  private stops: (() => void)[] = [];
  /** Where the phone is, and a screen that stays on: over with the stop. The look behind goes on. */
  private senses: (() => void)[] = [];

  constructor(delivery: string, hash: string, known: Found | null = null, listed: StopPage['listed'] = null) {
    this.delivery = delivery;
    this.known = known;
    this.shared = known?.place;
    this.listed = listed;
    this.fragment = parseFragment(hash);
    this.returnTo = this.fragment?.returnTo ?? null;
    if (!this.fragment) this.begun = 'bad_link';
  }

  /** Loads what is needed to ask, and begins to sense. Returns what stops it. */
  mount(): () => void {
    const clock = setInterval(() => (this.nowMs = Date.now()), 500);
    const network = (): void => {
      this.dispatch({ is: 'online', online: navigator.onLine });
      if (navigator.onLine) void this.runner?.replay();
    };
    addEventListener('online', network);
    addEventListener('offline', network);
    this.stops.push(() => clearInterval(clock), () => removeEventListener('online', network), () => removeEventListener('offline', network));
    if (this.fragment) void this.begin(this.fragment).catch((why: unknown) => this.broken(why));
    return () => {
      this.gone = true;
      [...this.senses.splice(0), ...this.stops.splice(0)].forEach((stop) => stop());
      this.runner?.drop();
      // After the screens that show it are gone.
      queueMicrotask(() => {
        this.state = null;
        this.told.forget(this.shared);
      });
    };
  }
  /** A part of the page that does not come, or anything nobody thought of: said, with a button. */
  private broken(why: unknown): void {
    console.warn(why);
    this.code = 'silence';
    this.begun = 'failed';
  }
  private async begin(fragment: Fragment): Promise<void> {
    const { start, lookBehind } = await import('./core/run');
    const look = async (): Promise<void> => void (this.behind = await lookBehind(this.state?.over ? '' : this.delivery, this.behind));
    const looked = (): void => void look().catch(() => undefined);
    const looking = setInterval(looked, 15_000);
    this.stops.push(() => clearInterval(looking));
    looked();
    const begun = await start(this.delivery, fragment, (e) => this.dispatch(e), () => this.state);
    if (this.gone) return;
    if (begun.is === 'failed') this.code = begun.code;
    if (begun.is === 'ready') {
      this.runner = begun.runner;
      this.lengthMs = begun.lengthMs;
      this.runner.onWaiting = (count) => (this.waiting = count);
      this.runner.onOwner = (known) => (this.knowsOwner = known);
      this.runner.onRefused = () => (this.refused += 1);
      this.state = begin(fragment.parcels, begun.put, begun.take, begun.windowEndMs, navigator.onLine, begun.house);
      this.senseWhere();
      void this.stayAwake();
      const { attempt, askedMs } = begun;
      if (askedMs !== null && !attempt) this.dispatch({ is: 'asked_before', sinceMs: askedMs });
      if (attempt?.takenOver) this.dispatch({ is: 'taken_over', attempt: attempt.id });
      else if (attempt) this.dispatch({ is: 'named', attempt: attempt.id, unheard: attempt.unheard });
      else if (this.known) this.runner.found(this.known);
      this.known = null;
    }
    this.begun = begun.is;
  }
  private senseWhere(): void {
    const stop = watchWhere((fix) => this.dispatch({ is: 'fix', fix }), (why) => this.dispatch({ is: 'no_fix', why }));
    this.senses.push(stop);
  }
  /** A screen that goes dark in the rain is no help. */
  private async stayAwake(): Promise<void> {
    let lock: WakeLockSentinel | null | undefined;
    let over = false;
    // The browser takes it away when another app is in front; it is asked for again when the page is back.
    const ask = async (): Promise<void> => {
      if (over || document.visibilityState !== 'visible') return;
      lock = await navigator.wakeLock?.request('screen').catch(() => null);
      if (over) void lock?.release();
    };
    document.addEventListener('visibilitychange', ask);
    this.senses.push(() => {
      over = true;
      document.removeEventListener('visibilitychange', ask);
      void lock?.release();
    });
    await ask();
  }

  dispatch(e: Event): void {
    if (!this.state) return;
    this.told.note(e);
    const [state, effects] = step(this.state, e, Date.now());
    this.state = state;
    this.nowMs = Date.now();
    for (const effect of effects) this.runner?.run(effect);
    if (!state.over) return;
    this.senses.splice(0).forEach((stop) => stop());
    this.told.forget();
    this.listed?.over(state.over);
  }
  scan(text: string): void {
    this.runner?.scan(text);
  }
  /** Last characters of a label in a picture, if it is one of this stop's. */
  labelOf(text: string): string | null {
    return this.runner?.labelOf(text) ?? null;
  }
  photograph(jpeg: Uint8Array<ArrayBuffer>): void {
    void this.runner?.photograph(jpeg);
  }
  /** The courier app's address with the outcome, and nothing else; null when it gave none. */
  wayBack(): string | null {
    const over = this.state?.over;
    if (!this.returnTo || !over) return null;
    return `${this.returnTo}#d=${this.delivery}&o=${over.codes.join(',')}`;
  }
}
