import { describe, expect, it } from 'vitest';
import { pluralIn } from '../../src/lib/i18n/plural';
import { pseudo, pseudoText } from '../../src/lib/i18n/pseudo';

describe('plural rules', () => {
  it('chooses the form and writes the number as the language does', () => {
    const de = pluralIn('de');
    expect(de(1, { one: '# Paket', other: '# Pakete' })).toBe('1 Paket');
    expect(de(1200, { one: '# Paket', other: '# Pakete' })).toBe('1.200 Pakete');
    // Spanish has a form of its own for millions.
    expect(pluralIn('es')(1_000_000, { one: 'uno', many: 'millones', other: 'varios' })).toBe('millones');
  });
});

describe('pseudo-locale', () => {
  it('changes texts, and texts that functions return', () => {
    const made = pseudo({ a: 'Allow', nested: { b: (n: number) => `${n} cars` } });
    expect(made.a).toBe(pseudoText('Allow'));
    expect(made.nested.b(2)).toMatch(/^⟦2 çárš·+⟧$/);
  });
});
