import { describe, expect, it } from 'vitest';
import { cameBack, handOver, handOverAll, messages } from '../../../src/apps/courier/hand-over';
import { parseFragment, parseList } from '../../../src/apps/stop/fragment';
import { b64, utf8 } from '../../../src/lib/protocol/bytes';

const about = b64(utf8(JSON.stringify([{ direction: 'put', size_mm: [300, 200, 100], tail: '00b1' }])));
const url = (delivery: string) => `http://stop.localhost:8080/s/${delivery}#eyJh.eyJi.c2ln~Z1UYNaBwvRvWjlLzNkSqDQ~${about}`;
const [one, other] = ['A'.repeat(22), 'B'.repeat(22)];
const here = 'http://courier.localhost:8081';

describe('to the stop page and back', () => {
  it('one stop: what this app writes the stop page reads', () => {
    const { hash } = new URL(handOver(url(one), here));
    expect(parseFragment(hash)?.returnTo).toBe(`${here}/back`);
  });
  it('several stops of an area, as one address', () => {
    const all = new URL(handOverAll([url(one), url(other)], here));
    expect(all.pathname).toBe('/area');
    const list = parseList(all.hash)!;
    expect([list.stops.map((s) => s.delivery), list.returnTo]).toEqual([[one, other], `${here}/back`]);
  });
  it('outcomes come back: one, several, none', () => {
    expect(cameBack(`#d=${one}&o=done`)).toEqual([{ delivery: one, codes: ['done'] }]);
    expect(cameBack(`#d=${one}&o=done,missing_parcel&d=${other}&o=unsafe`)).toEqual([
      { delivery: one, codes: ['done', 'missing_parcel'] },
      { delivery: other, codes: ['unsafe'] },
    ]);
    for (const damaged of ['', '#', `#d=${one}`, `#d=short&o=done`, `#d=${one}&o=60.17`, `#d=${one}&o=${'done,'.repeat(8)}done`, `#d=${one}&o=done&d=${other}`]) {
      expect(cameBack(damaged), damaged).toEqual([]);
    }
  });
  it('each parcel gets its own word, then the stop is left', () => {
    const said = messages({ delivery: one, codes: ['done', 'missing_parcel'] }, [{ parcel: 'p', state: 'planned' }, { parcel: 'q', state: 'planned' }]);
    expect(said.map((m) => [m.what, m.body])).toEqual([
      ['outcome', { outcome: 'done' }],
      ['outcome', { outcome: 'not_done', reason: 'missing_parcel' }],
      ['finish', {}],
    ]);
  });
});
