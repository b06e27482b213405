// Texts with a form of their own, and the words that several messages share.

import type { Members } from './json';

/** Printable ASCII without spaces. */
export function isToken(text: string, max: number): boolean {
  return text.length >= 1 && text.length <= max && /^[\x21-\x7e]+$/.test(text);
}
export function token(m: Members, name: string, max: number): string {
  return m.parsed(name, (t) => (isToken(t, max) ? t : null));
}
/** A keyholder's name, such as `https://gateway.example`. */
export function audience(m: Members, name: string): string {
  return token(m, name, 200);
}
/** A DNS name in lower case. */
export function domain(m: Members, name: string): string {
  return m.parsed(name, (t) =>
    t.length <= 253 && t.split('.').every((l) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(l)) ? t : null,
  );
}
export function isWord(text: string, max: number): boolean {
  return text.length >= 1 && text.length <= max && /^[a-z0-9_.-]+$/.test(text);
}
/** What a signature over a URL covers: everything before `?` and `#`. */
export function htu(url: string): string {
  return url.split(/[?#]/, 1)[0]!;
}

/** Reads one of a fixed list of words. */
export function oneOf<T extends string>(words: readonly T[]): (text: string) => T | null {
  return (text) => words.find((w) => w === text) ?? null;
}
/** Strictly ascending by place in `words`. */
export function isAscendingIn<T extends string>(words: readonly T[], list: readonly T[]): boolean {
  return list.every((w, i) => i === 0 || words.indexOf(list[i - 1]!) < words.indexOf(w));
}

export const PURPOSES = ['delivery', 'pickup', 'service', 'guest', 'rehearsal'] as const;
export type Purpose = (typeof PURPOSES)[number];
export const CLASSES = ['trunk', 'tailgate_with_cabin', 'cabin', 'door', 'garage', 'gate'] as const;
export type AccessClass = (typeof CLASSES)[number];
export const DISCLOSE = ['next_stop', 'area'] as const;
export type Disclose = (typeof DISCLOSE)[number];
export const ACTIONS = ['locate', 'describe', 'open', 'signal', 'lock', 'close'] as const;
export type Action = (typeof ACTIONS)[number];
export const FALLBACKS = ['address', 'parcel_shop', 'next_window', 'return'] as const;
export type Fallback = (typeof FALLBACKS)[number];
export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Day = (typeof DAYS)[number];

/** RFC 3339 with any offset, as milliseconds; null for any other text. Digits finer than milliseconds are dropped. */
export function parseTimeMs(text: string): number | null {
  if (!/^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/.test(text)) return null;
  const ms = Date.parse(text.replace(/(\.\d{3})\d+/, '$1').replace(/[t ]/, 'T').replace('z', 'Z'));
  return Number.isFinite(ms) && ms >= 0 && ms <= 253_402_300_799_999 ? ms : null;
}
/** UTC with exactly three decimals: the one spelling of a time in a record. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
