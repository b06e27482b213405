import { describe, expect, it } from 'vitest';
import type { Event } from '../../../src/apps/stop/machine';
import { Told } from '../../../src/apps/stop/told';

describe('what was told of a stop', () => {
  it('is empty afterwards, whoever holds it', () => {
    const fix = { lat: 60.1695, lng: 24.948, accuracyM: 10, headingDeg: null, atMs: 1 };
    const place = { lat: 60.17, lng: 24.95 };
    const description = { plate: 'KLM 482', opensHow: 'hand under the handle' };
    const told = new Told();
    const events = [{ is: 'fix', fix }, { is: 'located', place }, { is: 'described', description }, { is: 'open' }];
    for (const e of events as unknown as Event[]) told.note(e);
    expect(description.plate).toBe('KLM 482');
    told.forget();
    expect([fix, place, description]).toEqual([{}, {}, {}]);
  });
});
