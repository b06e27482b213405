import { afterEach, describe, expect, it, vi } from 'vitest';
import { coversHours, wallClock } from '$lib/protocol/hours';
import type { Schedule } from '$lib/protocol/grant';
import { suggested, termsOf, type InAdvance } from '../../../src/apps/wallet/core/rules';

vi.mock('../../../src/apps/wallet/core/db', async () => (await import('./keyholder')).memory);

const window = (from: string, to: string) => ({ startMs: Date.parse(from), endMs: Date.parse(to) });
const evenings: Schedule = { zone: 'Europe/Stockholm', days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '18:00', to: '21:00' };

describe('the hours of a rule', () => {
  it.each<[string, string, string, boolean]>([
    ['inside', '2026-06-10T16:00:00Z', '2026-06-10T19:00:00Z', true],
    ['a second too early', '2026-06-10T15:59:59Z', '2026-06-10T19:00:00Z', false],
    ['a second too late', '2026-06-10T16:00:00Z', '2026-06-10T19:00:01Z', false],
    ['on a Saturday', '2026-06-13T16:00:00Z', '2026-06-13T19:00:00Z', false],
    ['over two evenings', '2026-06-10T16:00:00Z', '2026-06-11T19:00:00Z', false],
    ['in winter, by the same clock', '2026-01-14T17:00:00Z', '2026-01-14T20:00:00Z', true],
  ])('%s', (_, from, to, inside) => {
    expect(coversHours(evenings, window(from, to))).toBe(inside);
  });
  it('ends at midnight, and not a moment later', () => {
    const late = { ...evenings, to: '24:00' };
    expect(coversHours(late, window('2026-06-10T16:00:00Z', '2026-06-10T22:00:00Z'))).toBe(true);
    expect(coversHours(late, window('2026-06-10T16:00:00Z', '2026-06-10T22:00:01Z'))).toBe(false);
  });
  it('of a zone that is none cover nothing', () => {
    const lost = { ...evenings, zone: 'Atlantis/Capital' };
    expect(coversHours(lost, window('2026-06-10T16:00:00Z', '2026-06-10T19:00:00Z'))).toBe(false);
    expect(wallClock('Atlantis/Capital', 0)).toBeNull();
  });
});

describe('what is chosen', () => {
  const zone = (name: string) =>
    vi.spyOn(Intl.DateTimeFormat.prototype, 'resolvedOptions').mockReturnValue({ timeZone: name } as Intl.ResolvedDateTimeFormatOptions);
  afterEach(() => vi.restoreAllMocks());
  const asked = window('2026-06-13T16:30:00Z', '2026-06-13T20:30:00Z');
  it('is suggested so that the delivery that is asked for lies in it', () => {
    zone('Europe/Stockholm');
    const choice = suggested(asked, Date.parse('2026-06-10T00:00:00Z'));
    expect(choice.days).toEqual(['mon', 'tue', 'wed', 'thu', 'fri', 'sat']);
    expect([choice.from, choice.to]).toEqual(['08:00', '22:30']);
    const terms = termsOf(choice, asked);
    expect(terms && coversHours(terms.schedule, asked)).toBe(true);
  });
  it.each<[string, Partial<InAdvance>]>([
    ['without a day', { days: [] }],
    ['that ends before it begins', { from: '20:00', to: '08:00' }],
    ['of more than 90 days', { until: '2026-09-30' }],
    ['that ends before the delivery', { until: '2026-06-01' }],
    ['without an end', { until: '' }],
  ])('is no rule: one %s', (_, change) => {
    zone('Europe/Stockholm');
    const choice = suggested(asked, Date.parse('2026-06-10T00:00:00Z'));
    expect(termsOf({ ...choice, ...change }, asked)).toBeNull();
  });
});
