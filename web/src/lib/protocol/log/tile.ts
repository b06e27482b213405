// Paths of tiles (C2SP `tlog-tiles`), each with one spelling.

const LEVEL_MAX = 5;

export interface Tile {
  /** -1 for bundles of entries. */
  readonly level: number;
  readonly number: number;
  /** Hashes in it: 256 for a full one. */
  readonly width: number;
}

export function tilePath(tile: Tile): string {
  const digits = String(tile.number);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g)!;
  const number = groups.map((g, i) => (i < groups.length - 1 ? `x${g}` : g)).join('/');
  const partial = tile.width < 256 ? `.p/${tile.width}` : '';
  return `tile/${tile.level < 0 ? 'entries' : tile.level}/${number}${partial}`;
}
export function parseTilePath(path: string): Tile | null {
  const match = /^tile\/(entries|\d)\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/.exec(path);
  if (!match) return null;
  const tile = {
    level: match[1] === 'entries' ? -1 : Number(match[1]),
    number: Number(match[2]!.replace(/[x/]/g, '')),
    width: match[3] === undefined ? 256 : Number(match[3]),
  };
  const inBounds = tile.level <= LEVEL_MAX && tile.width >= 1 && Number.isSafeInteger(tile.number);
  return inBounds && tilePath(tile) === path ? tile : null;
}
