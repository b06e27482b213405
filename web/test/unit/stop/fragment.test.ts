import { describe, expect, it } from 'vitest';
import { parseFragment } from '../../../src/apps/stop/fragment';
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
