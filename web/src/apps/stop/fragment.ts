// What stands behind `#` of a stop's address and so never reaches a server:
// `<link 1>~<salt>~<parcels>` and, from the courier app, `~<where to return to>`.

export interface Parcel {
  /** Into the car, or out of it. */
  readonly direction: 'put' | 'take';
  /** Length, width, height in millimetres. */
  readonly sizeMm: readonly [number, number, number];
  /** Last characters of the label. */
  readonly tail: string;
}
export interface Fragment {
  readonly link: string;
  /** base64url, 16 bytes. */
  readonly salt: string;
  readonly parcels: readonly Parcel[];
  /** The three parts as they came, without the way back: for a courier who is called back to this stop. */
  readonly text: string;
  /** Where the courier app wants the outcome; null when the page was opened without it. */
  readonly returnTo: string | null;
}

const PARCELS_MAX = 16;

function text(b64url: string): string {
  const binary = atob(b64url.replaceAll('-', '+').replaceAll('_', '/'));
  return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(binary, (c) => c.charCodeAt(0)));
}
function parcel(value: unknown): Parcel {
  const p = value as Record<string, unknown> | null;
  const sizes = p?.size_mm;
  const tail = p?.tail;
  const isSize = (n: unknown): boolean => typeof n === 'number' && Number.isInteger(n) && n >= 1 && n <= 5_000;
  const holds =
    (p?.direction === 'put' || p?.direction === 'take') &&
    Array.isArray(sizes) && sizes.length === 3 && sizes.every(isSize) &&
    typeof tail === 'string' && /^[0-9A-Za-z]{0,12}$/.test(tail);
  if (!holds) throw new TypeError('not a parcel');
  return { direction: p.direction as 'put' | 'take', sizeMm: sizes as [number, number, number], tail: tail.toUpperCase() };
}
/** The courier app's `/back`, over https or on this very machine where somebody tries it out. */
function address(value: string): string {
  const url = new URL(value);
  const local = url.hostname === 'localhost' || url.hostname.endsWith('.localhost');
  const secure = url.protocol === 'https:' || (url.protocol === 'http:' && local);
  if (!secure || url.pathname !== '/back' || url.hash !== '' || url.search !== '') throw new TypeError('no way back');
  return url.href;
}

/** One stop of a list. */
export interface Listed {
  readonly delivery: string;
  readonly fragment: Fragment;
}
/** What became of a stop of the list: codes, as the courier app takes them. */
export interface Ended {
  readonly delivery: string;
  readonly codes: readonly string[];
}
export interface List {
  readonly stops: readonly Listed[];
  readonly ended: readonly Ended[];
  readonly returnTo: string | null;
}
/** As many places as a phone may hold at once. */
const LISTED_MAX = 40;
const ENDED = /^\*([\w-]{22})~([a-z_]{1,40}(?:,[a-z_]{1,40}){0,15})$/;

/**
 * `<delivery>~<link 1>~<salt>~<parcels>` for each stop of an area, `*<delivery>~<codes>` for each that is over, between them
 * `!`; at the end `!~<where to return to>`.
 */
export function parseList(hash: string): List | null {
  const parts = hash.replace(/^#/, '').split('!');
  const back = parts.at(-1)?.startsWith('~') ? parts.pop()!.slice(1) : null;
  if (parts.length === 0 || parts.length > LISTED_MAX) return null;
  const stops = [];
  const ended = [];
  for (const part of parts) {
    const [, past, codes] = ENDED.exec(part) ?? [];
    if (past && codes) {
      ended.push({ delivery: past, codes: codes.split(',') });
      continue;
    }
    const [, delivery, rest] = /^([\w-]{22})~(.+)$/.exec(part) ?? [];
    const fragment = rest ? parseFragment(rest) : null;
    if (!delivery || !fragment || fragment.returnTo !== null) return null;
    stops.push({ delivery, fragment });
  }
  if (new Set([...stops, ...ended].map((s) => s.delivery)).size < parts.length) return null;
  try {
    return { stops, ended, returnTo: back === null ? null : address(text(back)) };
  } catch {
    return null;
  }
}
/** The same as an address: of a stop that is over its codes alone. */
export function listText({ stops, ended, returnTo }: List): string {
  const back = returnTo === null ? [] : [`~${btoa(returnTo).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`];
  const over = ended.map((e) => `*${e.delivery}~${e.codes.join(',')}`);
  return [...stops.map((s) => `${s.delivery}~${s.fragment.text}`), ...over, ...back].join('!');
}

/** Null for anything that is not a stop's fragment: nothing of it is repaired. */
export function parseFragment(hash: string): Fragment | null {
  const [link, salt, about, back, ...more] = hash.replace(/^#/, '').split('~');
  if (!link || !salt || !about || more.length > 0 || link.length > 16_384 || about.length > 4_096) return null;
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(link) || !/^[\w-]{22}$/.test(salt)) return null;
  try {
    const list: unknown = JSON.parse(text(about));
    if (!Array.isArray(list) || list.length === 0 || list.length > PARCELS_MAX) return null;
    return { link, salt, parcels: list.map(parcel), text: `${link}~${salt}~${about}`, returnTo: back ? address(text(back)) : null };
  } catch {
    return null;
  }
}
