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
  remove(key: string): Promise<void>;
}
/** How sending went: done, refused for good, or not now. */
export type Sent = 'done' | 'refused' | 'later';

/** Older ones are of no use to anybody. */
const KEPT_MS = 7 * 86_400_000;

export class Outbox<T> {
  private readonly shelf: Shelf<T>;
  private readonly send: (content: T) => Promise<Sent>;
  private running: Promise<number> | null = null;

  constructor(shelf: Shelf<T>, send: (content: T) => Promise<Sent>) {
    this.shelf = shelf;
    this.send = send;
  }
  /** Keeps a piece; the same key again takes its place. */
  async keep(key: string, content: T, nowMs: number): Promise<void> {
    await this.shelf.put({ key, atMs: nowMs, content });
  }
  /** Sends what waits, oldest first, until nothing is left or the network is gone again. Returns how many wait. */
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
    const pieces = (await this.shelf.all()).sort((a, b) => a.atMs - b.atMs || (a.key < b.key ? -1 : 1));
    let left = pieces.length;
    for (const piece of pieces) {
      const sent = nowMs - piece.atMs > KEPT_MS ? 'refused' : await this.send(piece.content);
      if (sent === 'later') return left;
      await this.shelf.remove(piece.key);
      left--;
    }
    return left;
  }
}
