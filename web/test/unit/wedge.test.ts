import { describe, expect, it } from 'vitest';
import { Wedge } from '$lib/scan/wedge';

function type(text: string, everyMs: number, end = 'Enter'): { found: string[]; swallowed: boolean } {
  const found: string[] = [];
  const wedge = new Wedge((t) => found.push(t));
  let at = 1_000;
  for (const key of text) wedge.key(key, (at += everyMs));
  return { found, swallowed: wedge.key(end, at + everyMs) };
}

describe('a hand scanner', () => {
  it.each([
    ['a scanner', 'JD-0002 1234', 4, 'Enter', ['JD-0002 1234']],
    ['one that ends with a tab', 'FJB70000001', 10, 'Tab', ['FJB70000001']],
    ['a person', 'FJB70000001', 120, 'Enter', []],
    ['too little for a label', 'AB1', 4, 'Enter', []],
    ['Enter alone, as on a button', '', 4, 'Enter', []],
  ])('%s', (_, text, every, end, expected) => {
    const { found, swallowed } = type(text, every, end);
    expect(found).toEqual(expected);
    expect(swallowed).toBe(expected.length > 0);
  });
  it('hears one scan after another, and shift keys do not disturb', () => {
    const found: string[] = [];
    const wedge = new Wedge((t) => found.push(t));
    let at = 0;
    for (const text of ['ABCD1', 'EFGH2']) {
      for (const key of text) {
        wedge.key('Shift', (at += 2));
        wedge.key(key, (at += 2));
      }
      wedge.key('Enter', (at += 2));
      at += 900;
    }
    expect(found).toEqual(['ABCD1', 'EFGH2']);
  });
});
