// Areas: whole H3 cells of resolution 7. Read here, not computed: what a cell covers is the map's to know.

import type { Members } from './json';

/** Base cells that are pentagons: they have no first direction. */
const PENTAGONS = new Set([4, 14, 24, 38, 49, 58, 63, 72, 83, 97, 107, 117]);
const RESOLUTION = 7;
export const AREA_CELLS_MAX = 32;

/** Whether a text is the index of an H3 cell of resolution 7: 15 lower-case hexadecimal digits. */
export function isCell(text: string): boolean {
  if (!/^[0-9a-f]{15}$/.test(text)) return false;
  const index = BigInt(`0x${text}`);
  const bits = (at: number, count: number): number => Number((index >> BigInt(at)) & ((1n << BigInt(count)) - 1n));
  const base = bits(45, 7);
  if (bits(59, 4) !== 1 || bits(56, 3) !== 0 || bits(52, 4) !== RESOLUTION || base > 121) return false;
  let leading = 0;
  for (let level = 1; level <= 15; level++) {
    const digit = bits(45 - 3 * level, 3);
    if (level > RESOLUTION ? digit !== 7 : digit === 7) return false;
    if (leading === 0) leading = digit;
  }
  return !(PENTAGONS.has(base) && leading === 1);
}

/** One to 32 cells, strictly ascending. */
export function area(m: Members): string[] {
  const cells = m.list('area', 1, AREA_CELLS_MAX, (t) => t);
  const ascending = cells.every((c, i) => i === 0 || cells[i - 1]! < c);
  if (!ascending || !cells.every(isCell)) throw m.wrong();
  return cells;
}
