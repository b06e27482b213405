// Numbers, times and distances as the viewer's language and zone write them. All of it is reactive on the language.

import { common } from './common';
import { locale } from './locale.svelte';

type When = Date | string | number;
const date = (when: When) => (when instanceof Date ? when : new Date(when));

const made = new Map<string, unknown>();
function kept<T>(kind: string, options: object, make: (tag: string) => T): T {
  const tag = locale.tag;
  const key = `${kind} ${tag} ${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, make(tag));
  return made.get(key) as T;
}
const dates = (options: Intl.DateTimeFormatOptions) =>
  kept('date', options, (tag) => new Intl.DateTimeFormat(tag, options));
const numbers = (options: Intl.NumberFormatOptions) =>
  kept('number', options, (tag) => new Intl.NumberFormat(tag, options));

const TIME = { hour: 'numeric', minute: '2-digit' } as const;
const DAY = { weekday: 'long', day: 'numeric', month: 'long' } as const;
const MINUTE_S = 60;
const HOUR_S = 3600;
const DAY_S = 86_400;

export const format = {
  number: (value: number) => numbers({}).format(value),
  /** 14:05 */
  time: (when: When) => dates(TIME).format(date(when)),
  /** 14:05:09 */
  seconds: (when: When) => dates({ ...TIME, second: '2-digit' }).format(date(when)),
  /** Monday, 3 May */
  day: (when: When) => dates(DAY).format(date(when)),
  /** Monday for 0, Sunday for 6. The first of January 2024 was a Monday. */
  weekday: (n: number) => dates({ weekday: 'long' }).format(new Date(2024, 0, 1 + n, 12)),
  dateTime: (when: When) => dates({ ...DAY, ...TIME, weekday: 'short', month: 'short' }).format(date(when)),
  /** Mon, 3 May, 14:00–18:00 */
  window: (start: When, end: When) =>
    dates({ ...DAY, ...TIME, weekday: 'short', month: 'short' }).formatRange(date(start), date(end)),
  /** The viewer's zone, for where it matters: "CET". */
  zone: (when: When) =>
    dates({ timeZoneName: 'short' }).formatToParts(date(when)).find((part) => part.type === 'timeZoneName')?.value ?? '',
  /** "3 minutes ago", "in 2 hours"; under ten seconds "just now". */
  ago(when: When, now: When = Date.now()): string {
    const seconds = Math.round((date(when).getTime() - date(now).getTime()) / 1000);
    const size = Math.abs(seconds);
    if (size < 10) return common().now;
    const relative = kept('relative', {}, (tag) => new Intl.RelativeTimeFormat(tag, { numeric: 'auto' }));
    if (size < MINUTE_S) return relative.format(seconds, 'second');
    if (size < HOUR_S) return relative.format(Math.trunc(seconds / MINUTE_S), 'minute');
    if (size < DAY_S) return relative.format(Math.trunc(seconds / HOUR_S), 'hour');
    return relative.format(Math.trunc(seconds / DAY_S), 'day');
  },
  /** "45 seconds", "4 minutes" */
  duration(seconds: number): string {
    const unit = (value: number, name: string) =>
      numbers({ style: 'unit', unit: name, unitDisplay: 'long' }).format(value);
    if (seconds < 90) return unit(Math.round(seconds), 'second');
    if (seconds < 90 * MINUTE_S) return unit(Math.round(seconds / MINUTE_S), 'minute');
    if (seconds < 2 * DAY_S) return unit(Math.round(seconds / HOUR_S), 'hour');
    return unit(Math.round(seconds / DAY_S), 'day');
  },
  /** "80 m", "1.2 km" */
  distance(metres: number): string {
    const long = metres >= 1000;
    const options = { style: 'unit', unit: long ? 'kilometer' : 'meter', maximumFractionDigits: long ? 1 : 0 } as const;
    return numbers(options).format(long ? metres / 1000 : Math.round(metres));
  },
  list: (items: string[]) =>
    kept('list', {}, (tag) => new Intl.ListFormat(tag, { type: 'conjunction' })).format(items),
  /** "40 × 30 × 20 cm" */
  size: (centimetres: readonly number[]) => `${centimetres.map((cm) => numbers({}).format(cm)).join(' × ')} cm`,
  weight: (grams: number) =>
    numbers({ style: 'unit', unit: 'kilogram', maximumFractionDigits: 1 }).format(grams / 1000),
};
