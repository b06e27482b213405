// A list of stops in one area: their places in memory, the order that is shortest from here, what became of each.

import type { Behind } from './core/run';
import type { Reach } from './core/area';
import type { Found } from './core/session';
import { listText, parseList, type Ended, type List, type Listed } from './fragment';
import type { Fix, Over } from './machine';
import { improve } from './order';
import { watchWhere, type NoFix } from './sense';

/** Stretches that are rearranged to look for a shorter way: nobody notices them with some forty stops. */
const KICKS = 24;
const LOOK_BEHIND_EVERY_MS = 15_000;

export interface Item extends Listed {
  /** Its place in the carrier's list. */
  readonly index: number;
  readonly found: Found | null;
  /** Why its place is not shown. */
  readonly code: string | null;
}

export class AreaPage {
  begun = $state<'loading' | 'bad_link' | Reach['is']>('loading');
  code = $state('');
  items = $state.raw<readonly Item[]>([]);
  /** What became of those that are over, those of before a reload too. */
  ended = $state.raw<readonly Ended[]>([]);
  /** Stops that are not over, as indices, the next first: those with a place by the way, the others as the carrier planned. */
  order = $state.raw<readonly number[]>([]);
  fix = $state.raw<Fix | null>(null);
  noFix = $state<NoFix | null>(null);
  online = $state(navigator.onLine);
  busy = $state(false);
  chosen = $state<number | null>(null);
  behind = $state.raw<Behind[]>([]);
  nowMs = $state(Date.now());

  private readonly list: List | null;
  private reached: Extract<Reach, { is: 'ready' }> | null = null;

  constructor(hash: string) {
    this.list = parseList(hash);
    if (!this.list) {
      this.begun = 'bad_link';
      return;
    }
    this.items = this.list.stops.map((s, index) => ({ ...s, index, found: null, code: null }));
    this.ended = this.list.ended;
    this.order = this.items.map((i) => i.index);
  }

  /** Returns what stops it. */
  mount(): () => void {
    const network = (): void => void (this.online = navigator.onLine);
    addEventListener('online', network);
    addEventListener('offline', network);
    const clock = setInterval(() => (this.nowMs = Date.now()), 1_000);
    const unwatch = watchWhere((fix) => this.moved(fix), (why) => (this.noFix = why));
    const looking = setInterval(() => void this.lookBehind(), LOOK_BEHIND_EVERY_MS);
    // A part of the page that does not load is no answer either.
    if (this.list) {
      void this.reach(this.list).catch(() => {
        this.code = 'silence';
        this.begun = 'failed';
      });
    }
    return () => {
      removeEventListener('online', network);
      removeEventListener('offline', network);
      [clock, looking].forEach(clearInterval);
      unwatch();
      this.items = [];
    };
  }
  private async reach(list: List): Promise<void> {
    const { reach } = await import('./core/area');
    const reached = await reach(list.stops);
    if (reached.is === 'failed') this.code = reached.code;
    if (reached.is === 'ready') this.reached = reached;
    this.begun = reached.is;
    void this.lookBehind();
  }
  private async lookBehind(): Promise<void> {
    // Inside a stop the stop itself looks.
    if (this.chosen !== null) return;
    const { lookBehind } = await import('./core/run');
    this.behind = await lookBehind('', this.behind);
  }
  private moved(fix: Fix): void {
    const first = this.fix === null;
    this.fix = fix;
    this.noFix = null;
    if (first) this.plan();
  }

  /** Asks for every place that is not known yet. One that fails does not keep the others from being shown. */
  async show(): Promise<void> {
    const at = this.fix;
    if (!at || !this.reached || this.busy) return;
    this.busy = true;
    try {
      const { placeOf } = await import('./core/area');
      for (const { index, found: known } of this.open()) {
        if (known) continue;
        const found = await placeOf(this.reached.sessions[index]!, this.fix ?? at);
        this.set(index, 'found' in found ? { found: found.found, code: null } : { code: found.code });
      }
      // First the order, then the word that it is one.
      this.plan();
    } finally {
      this.busy = false;
    }
  }
  /** The order from here. The end is open: where the route goes on is the carrier's to know. */
  private plan(): void {
    const open = this.open();
    const [known, hidden] = [open.filter((i) => i.found), open.filter((i) => !i.found)];
    const here = this.fix;
    const places = known.map((i) => i.found!.place);
    const best = here ? improve(here, places, null, KICKS).map((n) => known[n]!) : known;
    this.order = [...best, ...hidden].map((i) => i.index);
  }
  private set(index: number, more: Partial<Item>): void {
    this.items = this.items.map((i) => (i.index === index ? { ...i, ...more } : i));
  }

  private open(): readonly Item[] {
    const past = new Set(this.ended.map((e) => e.delivery));
    return this.items.filter((i) => !past.has(i.delivery));
  }

  /**
   * The stop that is shown is over. Its place goes, and the way to the others is looked for anew. Its codes are in the address
   * at once: a page that is thrown away now finds them again.
   */
  over({ codes }: Over): void {
    const item = this.chosen === null ? undefined : this.items[this.chosen];
    if (!item || this.ended.some((e) => e.delivery === item.delivery)) return;
    this.ended = [...this.ended, { delivery: item.delivery, codes }];
    this.set(item.index, { found: null });
    this.plan();
    history.replaceState({}, '', `/area#${listText({ stops: this.open(), ended: this.ended, returnTo: this.list?.returnTo ?? null })}`);
  }
  /** Back from a stop that is over, or was put off. */
  toList(): void {
    this.chosen = null;
    void this.lookBehind();
  }
  /** The courier app's address with what became of each stop, and nothing else; null when it gave none. */
  wayBack(): string | null {
    const back = this.list?.returnTo;
    if (!back) return null;
    return `${back}#${this.ended.map((e) => `d=${e.delivery}&o=${e.codes.join(',')}`).join('&')}`;
  }
}
