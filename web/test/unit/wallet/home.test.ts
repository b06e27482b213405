// A house's door in the wallet: nothing is asked of it that only a car has, and no word speaks of one.

import { describe, expect, it } from 'vitest';
import { nextStep, type Vehicle } from '../../../src/apps/wallet/core/model';
import de from '../../../src/apps/wallet/i18n/more.de';
import en from '../../../src/apps/wallet/i18n/more.en';
import es from '../../../src/apps/wallet/i18n/more.es';
import { deliveryWords, isHome } from '../../../src/apps/wallet/parts/words';

const garage = { eligible: true, class: 'garage', consents: null, described: false, possession: true } as unknown as Vehicle;

describe('a garage', () => {
  it('needs neither consents nor a description', () => {
    expect(nextStep(garage)).toBe('ready');
    expect(nextStep({ ...garage, possession: false })).toBe('possession');
    expect(nextStep({ ...garage, eligible: false })).toBe('findings');
    expect(nextStep({ ...garage, class: 'trunk' })).toBe('consents');
  });
  it('is a home only where nothing of a car opens with it', () => {
    expect([isHome(['garage']), isHome(['gate', 'door']), isHome(['garage', 'trunk']), isHome([]), isHome([null])]).toEqual([true, true, false, false, false]);
  });
  const cars = { en: /\bcar\b|\blid\b|\btrunk\b|\bpark\b/i, de: /\bAutos?\b|\bKlappe\b|\bKofferraum\b|\bParken\b/i, es: /\bcoche\b|\bportón\b|\bmaletero\b|\baparque\b/i };
  it.each([['en', en], ['de', de], ['es', es]] as const)('is spoken of as a door in %s', (lang, catalogue) => {
    const words = deliveryWords(catalogue.delivery as typeof en.delivery, ['garage']);
    // What comes to every delivery alike, and to a place that a house does not show.
    const { place: _place, paused: _paused, ...messages } = words.messages;
    const said = [...Object.values(messages).flatMap((m) => [m.title, m.text]), words.lockNow, words.lockSent, words.atTheCar, words.atTheCarHint, words.proof.observed, words.alarms.open_too_long];
    for (const text of said) expect(text).not.toMatch(cars[lang]);
    expect(deliveryWords(catalogue.delivery as typeof en.delivery, ['trunk'])).toBe(catalogue.delivery);
  });
});
