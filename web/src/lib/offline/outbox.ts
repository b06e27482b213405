// What could not be sent waits here and is sent again when there is a network: evidence, each piece under a key of its own,
// so that twice is as good as once. An opening never comes in here.

/** One piece. What it holds may lie on the device's disk: sealed boxes and codes, never a place. */
export interface Piece<T> {
  readonly key: string;
  readonly atMs: number;
  readonly content: T;
}
/** Where pieces lie: IndexedDB in the browser, a map in tests. */
export interface Shelf<T> {
  all(): Promise<Piece<T>[]>;
  put(piece: Piece<T>): Promise<void>;
  /** Only that very piece: one that has taken its place meanwhile stays. */
  remove(key: string, atMs: number): Promise<void>;
}
/** How sending went: done, refused for good, or not now. */
export type Sent = 'done' | 'refused' | 'later';

/** Older ones are of no use to anybody. */
const KEPT_MS = 7 * 86_400_000;

export class Outbox<T> {
  private readonly shelf: Shelf<T>;
  private readonly send: (content: T) => Promise<Sent>;
  private readonly isUrgent: (content: T) => boolean;
  private running: Promise<number> | null = null;
  /** Pieces that are on their way: nobody else sends them at the same time. */
  private readonly going = new Set<string>();
  /** A piece that was refused for good is gone; somebody should know. */
  onRefused: (content: T) => void = () => {};

  /** `isUrgent`: goes before all others, however old they are. */
  constructor(shelf: Shelf<T>, send: (content: T) => Promise<Sent>, isUrgent: (content: T) => boolean = () => false) {
    this.shelf = shelf;
    this.send = send;
    this.isUrgent = isUrgent;
  }
  /** Keeps a piece; the same key again takes its place. */
  async keep(key: string, content: T, nowMs: number): Promise<void> {
    await this.shelf.put({ key, atMs: nowMs, content });
  }
  /**
   * Keeps a piece first, then sends it: a page that is ended in between loses nothing. Throws only where the piece is neither
   * sent nor kept. `onKept`: it is safe; sending it may take its time.
   */
  async post(key: string, content: T, nowMs: number, send: (content: T) => Promise<Sent> = this.send, onKept?: () => void): Promise<Sent> {
    const piece = { key, atMs: nowMs, content };
    const lost = await this.shelf.put(piece).then(() => null, (why: unknown) => ({ why }));
    if (!lost) onKept?.();
    const sent = await this.deliver(piece, send);
    if (lost && sent === 'later') throw lost.why;
    return sent;
  }
  /** Sends what waits: what is urgent first, then the oldest. One that does not get through keeps no other back. Returns how
   * many wait. */
  replay(nowMs: number): Promise<number> {
    this.running ??= this.run(nowMs).finally(() => {
      this.running = null;
    });
    return this.running;
  }
  async waiting(): Promise<number> {
    return (await this.shelf.all()).length;
  }
  private async run(nowMs: number): Promise<number> {
    const tried = new Set<string>();
    // Looked at anew after each piece: what was kept meanwhile may be more urgent than what is left.
    for (;;) {
      const left = (await this.shelf.all()).filter((p) => !tried.has(nameOf(p)) && !this.going.has(nameOf(p)));
      const piece = left.sort((a, b) => this.rank(a) - this.rank(b) || a.atMs - b.atMs || (a.key < b.key ? -1 : 1))[0];
      if (!piece) return this.waiting();
      tried.add(nameOf(piece));
      if (nowMs - piece.atMs > KEPT_MS) await this.shelf.remove(piece.key, piece.atMs);
      else if ((await this.deliver(piece, this.send)) === 'refused') this.onRefused(piece.content);
    }
  }
  private rank(piece: Piece<T>): number {
    return this.isUrgent(piece.content) ? 0 : 1;
  }
  private async deliver(piece: Piece<T>, send: (content: T) => Promise<Sent>): Promise<Sent> {
    this.going.add(nameOf(piece));
    try {
      const sent = await send(piece.content);
      if (sent !== 'later') await this.shelf.remove(piece.key, piece.atMs);
      return sent;
    } finally {
      this.going.delete(nameOf(piece));
    }
  }
}
const nameOf = (piece: Piece<unknown>): string => `${piece.atMs} ${piece.key}`;
