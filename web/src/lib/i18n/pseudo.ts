// The pseudo-locale: every text of the catalogue longer and marked, so that a text outside the catalogue and a layout
// that is too tight both show.

const ACCENTS: Record<string, string> = {
  a: 'á', e: 'ë', i: 'í', o: 'ö', u: 'ü', A: 'Á', E: 'Ë', I: 'Í', O: 'Ö', U: 'Ü', c: 'ç', n: 'ñ', s: 'š', y: 'ý',
};

export function pseudoText(text: string): string {
  const accented = [...text].map((letter) => ACCENTS[letter] ?? letter).join('');
  return `⟦${accented}${'·'.repeat(Math.ceil(text.length * 0.35))}⟧`;
}

/** The same catalogue with every text changed, also those that functions return. */
export function pseudo<T>(messages: T): T {
  if (typeof messages === 'string') return pseudoText(messages) as T;
  if (typeof messages === 'function') {
    const original = messages as unknown as (...values: unknown[]) => unknown;
    return ((...values: unknown[]) => pseudo(original(...values))) as T;
  }
  if (Array.isArray(messages)) return messages.map((one) => pseudo(one) as unknown) as T;
  if (messages && typeof messages === 'object') {
    return Object.fromEntries(Object.entries(messages).map(([key, value]) => [key, pseudo(value)])) as T;
  }
  return messages;
}
