import type { More } from '../i18n/more.en';

const HOMES: readonly string[] = ['door', 'garage', 'gate'];
/** Whether nothing but a house's doors is opened. */
export function isHome(opens: readonly (string | null)[]): boolean {
  return opens.length > 0 && opens.every((c) => c !== null && HOMES.includes(c));
}
/** The words for a delivery: at a house's door those that speak of a car are others. */
export function deliveryWords(words: More['delivery'], opens: readonly string[]): More['delivery'] {
  if (!isHome(opens)) return words;
  const { proof, messages, alarms, ...plain } = words.home;
  return {
    ...words,
    ...plain,
    proof: { ...words.proof, ...proof },
    messages: { ...words.messages, ...messages },
    alarms: { ...words.alarms, ...alarms },
  };
}

/** A message by a code from outside; undefined for one that the catalogue does not know. */
export function pick(messages: object, code: string | null | undefined): string | undefined {
  if (!code || !Object.hasOwn(messages, code)) return undefined;
  const found = (messages as Record<string, unknown>)[code];
  return typeof found === 'string' ? found : undefined;
}
