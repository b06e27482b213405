// What went wrong, in the words of the catalogue.

import { Problem, Silence } from '$lib/api';
import { i18n } from './i18n';

export function said(why: unknown): string {
  const { other, ...known } = i18n.t.error;
  if (why instanceof Silence) return known.silence;
  // Whatever else it was: nobody has answered, and the page goes on.
  if (!(why instanceof Problem)) {
    console.warn(why);
    return known.silence;
  }
  return (known as Record<string, string>)[why.code] ?? other(why.code);
}
/** What the gateway said last: its code is a word of the catalogue, or stands for itself. */
export function access(state: string): string {
  return i18n.t.access[state] ?? state;
}
/** An entry of a delivery's journal. */
export function event(kind: string): string {
  const gateway = /^access_(.*)$/.exec(kind)?.[1];
  if (gateway !== undefined) return `${i18n.t.event['access_']}: ${access(gateway)}`;
  return i18n.t.event[kind] ?? kind;
}
export const short = (id: string) => id.slice(0, 6);
