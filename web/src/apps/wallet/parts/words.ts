import type { More } from '../i18n/more.en';

/** What an access point belongs to: a car, or a house's door. */
export type Kind = 'car' | 'home';
const HOMES: readonly string[] = ['door', 'garage', 'gate'];
/** Whether nothing but a house's doors is opened. */
export function isHome(opens: readonly (string | null)[]): boolean {
  return opens.length > 0 && opens.every((c) => c !== null && HOMES.includes(c));
}
export const kindOf = (opens: readonly (string | null)[]): Kind => (isHome(opens) ? 'home' : 'car');
/** The kind of what several have in common; `both` where there are cars and doors. */
export function kindOfAll(kinds: readonly Kind[]): Kind | 'both' {
  const [first = 'car', ...others] = new Set(kinds);
  return others.length > 0 ? 'both' : first;
}

/** The words for one kind: at a house's door those that speak of a car are others. Every page asks here and nowhere else. */
export function wordsFor(t: More, kind: Kind): More {
  return kind === 'home' ? over(t, t.home) : t;
}
/** The words for a list. */
export function listWords(t: More, kinds: readonly Kind[]): More['cars'] {
  const all = kindOfAll(kinds);
  return all === 'both' ? { ...t.cars, ...t.home.both } : wordsFor(t, all).cars;
}
/** A catalogue with another one laid over it, member by member. */
function over<T extends object>(base: T, other: object): T {
  const made = { ...base } as Record<string, unknown>;
  for (const [name, value] of Object.entries(other)) {
    const below = made[name];
    const both = typeof value === 'object' && typeof below === 'object' && below !== null;
    made[name] = both ? over(below, value as object) : value;
  }
  return made as T;
}

/** A message by a code from outside; undefined for one that the catalogue does not know. */
export function pick(messages: object, code: string | null | undefined): string | undefined {
  if (!code || !Object.hasOwn(messages, code)) return undefined;
  const found = (messages as Record<string, unknown>)[code];
  return typeof found === 'string' ? found : undefined;
}
