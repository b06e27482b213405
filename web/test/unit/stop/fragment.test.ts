import { describe, expect, it } from 'vitest';
import { listText, parseFragment, parseList } from '../../../src/apps/stop/fragment';
import { bearingDeg, compassOf, distanceM, roundedM } from '../../../src/apps/stop/geo';
import { b64, utf8 } from '../../../src/lib/protocol/bytes';

const coded = (value: unknown) => b64(utf8(typeof value === 'string' ? value : JSON.stringify(value)));
const parcel = { direction: 'put', size_mm: [300, 200, 100], tail: '00b1' };
const link = 'eyJh.eyJi.c2ln';
const salt = 'Z1UYNaBwvRvWjlLzNkSqDQ';

describe('the fragment of a stop', () => {
  it('is read', () => {
    expect(parseFragment(`#${link}~${salt}~${coded([parcel])}`)).toEqual({
      link, salt, parcels: [{ direction: 'put', sizeMm: [300, 200, 100], tail: '00B1' }], returnTo: null,
      text: `${link}~${salt}~${coded([parcel])}`,
    });
    const back = coded('http://courier.localhost:8080/back');
    expect(parseFragment(`#${link}~${salt}~${coded([parcel])}~${back}`)?.returnTo).toBe('http://courier.localhost:8080/back');
  });
  it.each([
    ['empty', ''],
    ['no link', `#~${salt}~${coded([parcel])}`],
    ['no JWS', `#abc~${salt}~${coded([parcel])}`],
    ['a short salt', `#${link}~abc~${coded([parcel])}`],
    ['no parcels', `#${link}~${salt}~${coded([])}`],
    ['another direction', `#${link}~${salt}~${coded([{ ...parcel, direction: 'in' }])}`],
    ['a size of nothing', `#${link}~${salt}~${coded([{ ...parcel, size_mm: [0, 1, 1] }])}`],
    ['two sizes', `#${link}~${salt}~${coded([{ ...parcel, size_mm: [1, 1] }])}`],
    ['markup for a tail', `#${link}~${salt}~${coded([{ ...parcel, tail: '<b>' }])}`],
    ['seventeen parcels', `#${link}~${salt}~${coded(Array(17).fill(parcel))}`],
    ['a script to return to', `#${link}~${salt}~${coded([parcel])}~${coded('javascript:alert(1)')}`],
    ['plain http to return to', `#${link}~${salt}~${coded([parcel])}~${coded('http://courier.example/back')}`],
    ['another page to return to', `#${link}~${salt}~${coded([parcel])}~${coded('https://courier.example/other')}`],
    ['one part more', `#${link}~${salt}~${coded([parcel])}~~x`],
  ])('%s is refused', (_, hash) => expect(parseFragment(hash)).toBeNull());
});

describe('the list of an area', () => {
  const [one, other] = ['A'.repeat(22), 'B'.repeat(22)];
  const stop = (delivery: string) => `${delivery}~${link}~${salt}~${coded([parcel])}`;
  const back = coded('http://courier.localhost:8080/back');
  it('is read, and written again', () => {
    const text = `${stop(one)}!${stop(other)}!~${back}`;
    const list = parseList(`#${text}`)!;
    expect([list.stops.map((s) => s.delivery), list.returnTo]).toEqual([[one, other], 'http://courier.localhost:8080/back']);
    expect(listText(list)).toBe(text);
    expect(parseList(`#${stop(one)}`)?.returnTo).toBeNull();
  });
  it('keeps what became of stops that are over, also where all are', () => {
    const text = `${stop(one)}!*${other}~done,missing_parcel!~${back}`;
    const list = parseList(`#${text}`)!;
    expect([list.stops.map((s) => s.delivery), list.ended]).toEqual([[one], [{ delivery: other, codes: ['done', 'missing_parcel'] }]]);
    expect(listText(list)).toBe(text);
    expect(parseList(`#*${one}~done!*${other}~unsafe!~${back}`)?.ended).toHaveLength(2);
  });
  it.each([
    ['empty', ''],
    ['an outcome of a stop that is listed', `#${stop(one)}!*${one}~done`],
    ['an outcome that is no code', `#${stop(one)}!*${other}~<b>`],
    ['an outcome without a code', `#${stop(one)}!*${other}~`],
    ['only a way back', `#~${back}`],
    ['the same stop twice', `#${stop(one)}!${stop(one)}`],
    ['a stop without its id', `#${link}~${salt}~${coded([parcel])}`],
    ['a way back of its own', `#${stop(one)}~${back}`],
    ['a script to return to', `#${stop(one)}!~${coded('javascript:alert(1)')}`],
    ['a hole', `#${stop(one)}!!${stop(other)}`],
    ['forty-one stops', `#${Array.from({ length: 41 }, (_, i) => stop(String(i).padStart(22, 'A'))).join('!')}`],
  ])('%s is refused', (_, hash) => expect(parseList(hash)).toBeNull());
});

describe('on the ground', () => {
  const here = { lat: 60.17, lng: 24.94 };
  it('measures as the keyholder does', () => {
    expect(distanceM(here, { lat: 60.18, lng: 24.94 })).toBeCloseTo(1111.95, 1);
    expect(distanceM(here, { lat: 60.17, lng: 24.96 })).toBeCloseTo(1106.3, 0);
    expect(distanceM(here, here)).toBe(0);
  });
  it('names directions', () => {
    const to = (lat: number, lng: number) => compassOf(bearingDeg(here, { lat, lng }));
    expect([to(60.18, 24.94), to(60.17, 24.96), to(60.16, 24.94), to(60.17, 24.92), to(60.175, 24.93)]).toEqual(['n', 'e', 's', 'w', 'nw']);
    expect([roundedM(12), roundedM(97), roundedM(343), roundedM(1_260)]).toEqual([10, 95, 340, 1_300]);
  });
});
