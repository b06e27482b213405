// Putting an order of stops right, as crates/routing does it: 2-opt and Or-opt on an open path with fixed ends, bounded and
// repeatable. vectors/routing.json holds both to the same orders.

import { distanceM, type Point } from './geo';

const PASSES_MAX = 40;
/** Longest piece that is moved, in stops. */
const PIECE_MAX = 3;
/** More stops are driven as they are. */
export const STOPS_MAX = 1_000;
/** A smaller gain is noise. */
const GAIN_MIN_M = 0.01;

/**
 * The order, as indices into `stops`, that is shorter to walk or drive from `here` to `end` (null: it may end anywhere). Never
 * longer than the order that was given. `kicks`: so many times a stretch is rearranged to look for a better one nearby.
 */
export function improve(here: Point, stops: readonly Point[], end: Point | null, kicks: number): number[] {
  const n = stops.length;
  if (n < 2 || n > STOPS_MAX) return stops.map((_, i) => i);
  const ways = new Ways([here, ...stops, ...(end ? [end] : [])], n + 2);
  let path = Array.from({ length: n + 2 }, (_, i) => i);
  ways.settle(path);
  let bestM = ways.lengthM(path);
  const chance = new Chance(BigInt(n));
  for (let k = 0; k < kicks; k++) {
    const other = [...path];
    kick(other, chance);
    ways.settle(other);
    const lengthM = ways.lengthM(other);
    if (lengthM < bestM - GAIN_MIN_M) [path, bestM] = [other, lengthM];
  }
  return path.slice(1, n + 1).map((i) => i - 1);
}

/** Metres from `here` over all stops to `end`. */
export function lengthM(here: Point, stops: readonly Point[], end: Point | null): number {
  let [sum, at] = [0, here];
  for (const stop of end ? [...stops, end] : stops) {
    sum += distanceM(at, stop);
    at = stop;
  }
  return sum;
}

/** Swaps two neighbouring stretches of up to 50 stops in all (a double bridge); the ends stay. */
function kick(path: number[], chance: Chance): void {
  const inner = path.length - 2;
  const span = Math.min(inner, 50);
  if (span < 2) return;
  const from = 1 + chance.below(inner - span + 1);
  const [a, b, c] = [chance.below(span + 1), chance.below(span + 1), chance.below(span + 1)].sort((x, y) => x - y) as [number, number, number];
  const stretch = path.slice(from + a, from + c);
  path.splice(from + a, c - a, ...stretch.slice(b - a), ...stretch.slice(0, b - a));
}

/** Metres between all pairs. A place that is missing at the end (`count` is larger) costs nothing to reach. */
class Ways {
  private readonly metres: Float64Array;
  private readonly count: number;
  constructor(places: readonly Point[], count: number) {
    this.count = count;
    this.metres = new Float64Array(count * count);
    places.forEach((one, a) => {
      for (let b = a + 1; b < places.length; b++) {
        const way = distanceM(one, places[b]!);
        this.metres[a * count + b] = this.metres[b * count + a] = way;
      }
    });
  }
  private m(a: number, b: number): number {
    return this.metres[a * this.count + b]!;
  }
  lengthM(path: readonly number[]): number {
    let sum = 0;
    for (let i = 1; i < path.length; i++) sum += this.m(path[i - 1]!, path[i]!);
    return sum;
  }
  /** Takes every gain until a pass finds none. */
  settle(path: number[]): void {
    for (let pass = 0; pass < PASSES_MAX; pass++) {
      const turned = this.turn(path);
      const moved = this.relocate(path);
      if (!turned && !moved) break;
    }
  }
  /** 2-opt: turns a stretch around where that is shorter. */
  private turn(path: number[]): boolean {
    let found = false;
    for (let i = 1; i < path.length - 2; i++) {
      for (let j = i + 1; j < path.length - 1; j++) {
        const [before, first, last, after] = [path[i - 1]!, path[i]!, path[j]!, path[j + 1]!];
        const gain = this.m(before, first) + this.m(last, after) - this.m(before, last) - this.m(first, after);
        if (gain <= GAIN_MIN_M) continue;
        path.splice(i, j - i + 1, ...path.slice(i, j + 1).reverse());
        found = true;
      }
    }
    return found;
  }
  /** Or-opt: puts a piece of one to three stops elsewhere, either way round, where that is shorter. */
  private relocate(path: number[]): boolean {
    let found = false;
    for (let piece = 1; piece <= PIECE_MAX; piece++) {
      for (let i = 1; i < path.length - piece; i++) found = this.relocatePiece(path, i, piece) || found;
    }
    return found;
  }
  private relocatePiece(path: number[], i: number, piece: number): boolean {
    const j = i + piece - 1;
    const [before, first, last, after] = [path[i - 1]!, path[i]!, path[j]!, path[j + 1]!];
    const freed = this.m(before, first) + this.m(last, after) - this.m(before, after);
    if (freed <= GAIN_MIN_M) return false;
    let [bestM, best, around] = [GAIN_MIN_M, -1, false];
    for (let k = 0; k < path.length - 1; k++) {
      // Between path[k] and path[k + 1], both outside the piece.
      if (k + 1 >= i && k <= j) continue;
      const [a, b] = [path[k]!, path[k + 1]!];
      for (const turned of [false, true]) {
        const [head, tail] = turned ? [last, first] : [first, last];
        const gain = freed + this.m(a, b) - this.m(a, head) - this.m(tail, b);
        if (gain > bestM) [bestM, best, around] = [gain, k, turned];
      }
    }
    if (best < 0) return false;
    const moved = path.splice(i, piece);
    if (around) moved.reverse();
    path.splice(best < i ? best + 1 : best + 1 - piece, 0, ...moved);
    return true;
  }
}

/** Repeatable draws (splitmix64); good for spreading things, not for secrets. */
class Chance {
  private state: bigint;
  constructor(seed: bigint) {
    this.state = seed;
  }
  private next(): bigint {
    const whole = (x: bigint): bigint => BigInt.asUintN(64, x);
    this.state = whole(this.state + 0x9e3779b97f4a7c15n);
    let z = this.state;
    z = whole((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = whole((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  }
  below(n: number): number {
    return Number(this.next() % BigInt(n));
  }
}
