import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Point } from '../../../src/apps/stop/geo';
import { improve, lengthM } from '../../../src/apps/stop/order';

const FILE = new URL('../../../../vectors/routing.json', import.meta.url);

/** Repeatable points around a depot, to seven digits. */
function points(count: number, seed: number): Point[] {
  let state = seed;
  const share = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const round = (x: number): number => Math.round(x * 1e7) / 1e7;
  return Array.from({ length: count }, () => ({ lat: round(60.17 + (share() - 0.5) * 0.1), lng: round(24.94 + (share() - 0.5) * 0.2) }));
}
const pair = (p: Point): [number, number] => [p.lat, p.lng];
const point = ([lat, lng]: [number, number]): Point => ({ lat, lng });
const isPermutation = (order: number[], n: number): boolean => [...order].sort((a, b) => a - b).every((x, i) => x === i) && order.length === n;

interface Case {
  name: string;
  here: [number, number];
  stops: [number, number][];
  end: [number, number];
  kicks: number;
  order: number[];
}
/** The orders that crates/routing must find, too. */
function made(): { v: 1; about: string; cases: Case[] } {
  const sizes: [number, number][] = [[0, 0], [1, 0], [2, 0], [3, 0], [4, 1], [6, 0], [9, 2], [12, 0], [20, 3], [33, 0], [40, 5], [60, 2]];
  const cases = sizes.map(([count, kicks], n) => {
    const [here, end, ...stops] = points(count + 2, 1_000 + n) as [Point, Point, ...Point[]];
    return { name: `${count} stops, ${kicks} kicks`, here: pair(here), stops: stops.map(pair), end: pair(end), kicks, order: improve(here, stops, end, kicks) };
  });
  return { v: 1, about: 'orders of stops on the way from `here` to `end`, [latitude, longitude] each', cases };
}

describe('the order of stops', () => {
  it('is that of the vectors', () => {
    const { cases, ...head } = made();
    const text = `${JSON.stringify(head).slice(0, -1)},"cases":[\n${cases.map((c) => JSON.stringify(c)).join(',\n')}\n]}\n`;
    if (process.env.UPDATE_VECTORS) writeFileSync(FILE, text);
    expect(JSON.parse(text)).toEqual(JSON.parse(readFileSync(FILE, 'utf8')));
    for (const c of (JSON.parse(readFileSync(FILE, 'utf8')) as { cases: Case[] }).cases) {
      expect(improve(point(c.here), c.stops.map(point), point(c.end), c.kicks), c.name).toEqual(c.order);
    }
  });
  it('stays a permutation, gets no longer, and repeats itself', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const [here, end, ...stops] = points(2 + (seed % 38), seed) as [Point, Point, ...Point[]];
      for (const to of [end, null]) {
        const order = improve(here, stops, to, seed % 4);
        expect(isPermutation(order, stops.length)).toBe(true);
        const way = (indices: number[]): number => lengthM(here, indices.map((i) => stops[i]!), to);
        expect(way(order)).toBeLessThanOrEqual(way(stops.map((_, i) => i)) + 0.001);
        expect(improve(here, stops, to, seed % 4)).toEqual(order);
      }
    }
  });
  it('goes along a line, and with an open end away from here', () => {
    const at = (km: number): Point => ({ lat: 60.17, lng: 24.9 + km / 55.3 });
    expect(improve(at(0), [at(3), at(1), at(4), at(2)], at(5), 0)).toEqual([1, 3, 0, 2]);
    expect(improve(at(0), [at(3), at(1), at(4), at(2)], null, 0)).toEqual([1, 3, 0, 2]);
    // Standing in the middle: the near side first, then the far one.
    expect(improve(at(0), [at(5), at(-1), at(6)], null, 8)).toEqual([1, 0, 2]);
  });
  it('finds the best of all orders of seven stops, in nearly every case', () => {
    const orders = (n: number): number[][] =>
      n === 0 ? [[]] : orders(n - 1).flatMap((o) => Array.from({ length: n }, (_, at) => [...o.slice(0, at), n - 1, ...o.slice(at)]));
    const all = orders(7);
    let best = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const [here, ...stops] = points(8, 9_000 + seed) as [Point, ...Point[]];
      const way = (indices: number[]): number => lengthM(here, indices.map((i) => stops[i]!), null);
      const shortest = Math.min(...all.map(way));
      if (way(improve(here, stops, null, 24)) <= shortest + 1) best++;
    }
    expect(best).toBeGreaterThanOrEqual(38);
  });
});
