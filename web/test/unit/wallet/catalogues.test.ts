import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import de from '../../../src/apps/wallet/i18n/de';
import en from '../../../src/apps/wallet/i18n/en';
import es from '../../../src/apps/wallet/i18n/es';
import moreDe from '../../../src/apps/wallet/i18n/more.de';
import moreEn from '../../../src/apps/wallet/i18n/more.en';
import moreEs from '../../../src/apps/wallet/i18n/more.es';

/** Every text with its path; functions by what they return for plain values. */
function texts(messages: unknown, path = ''): [string, string][] {
  if (typeof messages === 'string') return [[path, messages]];
  if (typeof messages === 'function') {
    const made: unknown = (messages as (...values: unknown[]) => unknown)(2, 3, 4);
    return texts(made, `${path}()`);
  }
  return Object.entries(messages as object).flatMap(([key, value]) => texts(value, `${path}.${key}`));
}

describe.each([
  ['the shell', en, de, es],
  ['the pages', moreEn, moreDe, moreEs],
])('%s', (_name, english, german, spanish) => {
  const reference = texts(english);
  it('has the same messages in every language', () => {
    const paths = reference.map(([path]) => path);
    expect(texts(german).map(([path]) => path)).toEqual(paths);
    expect(texts(spanish).map(([path]) => path)).toEqual(paths);
  });
  it('leaves no message untranslated', () => {
    // Names, and words that are the same.
    const same = new Set(['.brand', '.consent.item()', '.settings.walletId', '.occupant.grant()', '.delivery.entries.alarm', '.settings.pause.title']);
    for (const other of [german, spanish]) {
      const equal = texts(other).filter(([path, text], i) => text === reference[i]![1] && text !== '' && !same.has(path));
      expect(equal).toEqual([]);
    }
  });
});

describe('codes of the services', () => {
  const source = (path: string) => readFileSync(new URL(`../../../../crates/${path}`, import.meta.url), 'utf8');
  const codes = (path: string, from: string, until: string) => {
    const text = source(path);
    const start = text.indexOf(from);
    expect(start, `${from} in ${path}`).toBeGreaterThan(-1);
    const part = text.slice(start, text.indexOf(until, start));
    return [...part.matchAll(/Self::\w+(?:\(_\)| \{ \.\. \})? => "([a-z_]+)"/g)].map((m) => m[1]!);
  };
  it.each([
    ['findings', 'opening/src/eligibility.rs', 'impl Finding', 'pub fn parse', moreEn.car.findings],
    ['remedies', 'opening/src/eligibility.rs', 'impl Remedy', '\n}\n', moreEn.car.remedies],
    ['denials', 'opening/src/conditions.rs', 'impl Denial', 'fn words', moreEn.delivery.denied],
    ['readiness', 'opening/src/readiness.rs', 'impl Cause', '\n}\n', moreEn.delivery.reasons],
    ['refusals', 'core/src/actuation.rs', 'impl Refusal', '\n}\n', moreEn.delivery.refusals],
    ['lock proofs', 'core/src/actuation.rs', 'impl LockProof', '\n}\n', moreEn.delivery.proof],
  ])('%s all have words', (_name, path, from, until, messages) => {
    const all = codes(path, from, until);
    expect(all.length).toBeGreaterThan(1);
    expect(all.filter((code) => !Object.hasOwn(messages, code))).toEqual([]);
  });
  it('obstacles all have words', () => {
    const text = readFileSync(new URL('../../../../crates/core/src/reason.rs', import.meta.url), 'utf8');
    const part = text.slice(text.indexOf('Obstacle {'), text.indexOf('Fallback {'));
    const all = [...part.matchAll(/ = "([a-z_]+)"/g)].map((m) => m[1]!);
    expect(all.length).toBeGreaterThan(5);
    expect(all.filter((code) => !Object.hasOwn(moreEn.car.findings, code))).toEqual([]);
  });
  it('records all have words', () => {
    const kinds = [...source('protocol/src/records.rs').matchAll(/^ {4}\w+ = "([a-z_]+)" \{/gm)].map((m) => m[1]!);
    expect(kinds.length).toBeGreaterThan(10);
    // About carriers, devices and passkeys: never in a delivery's timeline.
    const elsewhere = ['key_added', 'carrier_admitted', 'device_enrolled', 'passkey_added'];
    const missing = kinds.filter((kind) => !elsewhere.includes(kind) && !Object.hasOwn(moreEn.delivery.entries, kind));
    expect(missing).toEqual([]);
  });
});
