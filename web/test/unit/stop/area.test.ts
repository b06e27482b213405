// A list of stops that is thrown away in the middle: what became of them is found again, and comes home.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Over } from '../../../src/apps/stop/machine';
import { callBackTo, goOn, whereFrom } from '../../../src/apps/stop/left';
import { cameBack } from '../../../src/apps/courier/hand-over';

const coded = (value: unknown): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const stop = (letter: string): string =>
  `${letter.repeat(22)}~aaaa.bbbb.cccc~${'s'.repeat(22)}~${coded([{ direction: 'put', size_mm: [300, 200, 100], tail: '00B1' }])}`;
const BACK = 'http://courier.localhost:8080/back';
const LIST = `#${stop('A')}!${stop('B')}!~${coded(BACK)}`;
const done: Over = { outcome: 'done', reason: null, codes: ['done'] };
const unsafe: Over = { outcome: 'failed', reason: 'unsafe', codes: ['unsafe'] };

let address = '';
const went: string[] = [];
beforeEach(() => {
  address = `/area${LIST}`;
  went.length = 0;
  vi.stubGlobal('navigator', { onLine: true });
  vi.stubGlobal('history', { replaceState: (_: unknown, __: string, to: string) => (address = to) });
  vi.stubGlobal('location', {
    get pathname() {
      return address.split('#')[0];
    },
    get hash() {
      return `#${address.split('#')[1] ?? ''}`;
    },
    assign: (to: string) => went.push(to),
  });
  const kept = new Map<string, string>();
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  });
});
afterEach(() => vi.unstubAllGlobals());
const { AreaPage } = await import('../../../src/apps/stop/area.svelte');
const reloaded = (): InstanceType<typeof AreaPage> => new AreaPage(address.slice(address.indexOf('#')));

describe('a list of stops', () => {
  it('finds after a reload what became of its stops, before anything else is pressed', () => {
    const page = reloaded();
    page.chosen = 1;
    page.over(done);
    // Thrown away while the stop still says that it is done.
    const again = reloaded();
    expect([again.begun, again.items.map((i) => i.delivery), again.order]).toEqual(['loading', ['A'.repeat(22)], [0]]);
    again.chosen = 0;
    again.over(unsafe);
    again.toList();
    const last = reloaded();
    expect(last.order).toEqual([]);
    const home = last.wayBack()!;
    expect(cameBack(home.slice(home.indexOf('#')))).toEqual([
      { delivery: 'B'.repeat(22), codes: ['done'] },
      { delivery: 'A'.repeat(22), codes: ['unsafe'] },
    ]);
  });
  it('counts a stop once, and one that is put off not at all', () => {
    const page = reloaded();
    page.chosen = 0;
    page.toList();
    expect([page.ended, page.order]).toEqual([[], [0, 1]]);
    page.chosen = 0;
    page.over(done);
    page.over(unsafe);
    expect(page.ended).toEqual([{ delivery: 'A'.repeat(22), codes: ['done'] }]);
  });
  it('keeps no place in the address', () => {
    const page = reloaded();
    page.chosen = 0;
    page.over(done);
    expect(address).toBe(`/area#${stop('B')}!*${'A'.repeat(22)}~done!~${coded(BACK)}`);
  });
});

describe('a courier who is called back', () => {
  it('finds the way on to the list that was left', () => {
    callBackTo('/s/x#link');
    expect([went, whereFrom()]).toEqual([['/s/x#link'], `/area${LIST}`]);
    expect(sessionStorage.getItem('left'), 'a tab keeps it no longer than it is needed').toBeNull();
    goOn();
    expect([went[1], whereFrom()]).toEqual([`/area${LIST}`, null]);
  });
  it('from a page that is no stop has none', () => {
    sessionStorage.setItem('left', `/area${LIST}`);
    address = '/';
    callBackTo('/s/x#link');
    expect(whereFrom()).toBeNull();
    sessionStorage.setItem('left', 'https://elsewhere.example/#x');
    expect(whereFrom()).toBeNull();
  });
});
