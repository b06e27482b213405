// A house's door in the wallet: nothing is asked of it that only a car has, and no word speaks of one.

import { describe, expect, it } from 'vitest';
import { nextStep, STEPS, type Vehicle } from '../../../src/apps/wallet/core/model';
import firstDe from '../../../src/apps/wallet/i18n/de';
import firstEn from '../../../src/apps/wallet/i18n/en';
import firstEs from '../../../src/apps/wallet/i18n/es';
import de from '../../../src/apps/wallet/i18n/more.de';
import en from '../../../src/apps/wallet/i18n/more.en';
import es from '../../../src/apps/wallet/i18n/more.es';
import { isHome, kindOf, kindOfAll, listWords, wordsFor, type Kind } from '../../../src/apps/wallet/parts/words';

const first = { en: firstEn, de: firstDe, es: firstEs };
const garage = { eligible: true, kind: 'home', class: 'garage', consents: null, described: false, possession: true } as unknown as Vehicle;
const CATALOGUES = [['en', en], ['de', de], ['es', es]] as const;

describe('a garage', () => {
  it('needs neither consents nor a description', () => {
    expect(nextStep(garage)).toBe('ready');
    expect(nextStep({ ...garage, possession: false })).toBe('possession');
    expect(nextStep({ ...garage, eligible: false, class: null })).toBe('findings');
    expect(nextStep({ ...garage, kind: 'car', class: 'trunk' })).toBe('consents');
    expect(STEPS.home).toEqual(['findings', 'possession', 'ready']);
  });
  it('is a home only where nothing of a car opens with it', () => {
    expect([isHome(['garage']), isHome(['gate', 'door']), isHome(['garage', 'trunk']), isHome([]), isHome([null])]).toEqual([true, true, false, false, false]);
    expect([kindOf(['gate']), kindOf(['trunk']), kindOf([])]).toEqual(['home', 'car', 'car']);
  });
  it('stands beside a car in a list that is called after both', () => {
    expect([kindOfAll([]), kindOfAll(['home', 'home']), kindOfAll(['car', 'home'])]).toEqual(['car', 'home', 'both']);
    expect(listWords(en, ['car'])).toBe(en.cars);
    expect([listWords(en, ['home']).link, listWords(en, ['home', 'car']).link]).toEqual(['Link a door', 'Link another']);
  });
  it.each([['en', en, first.en], ['de', de, first.de], ['es', es, first.es]] as const)('is found where cars and doors are, whatever there is (%s)', (_, catalogue, shell) => {
    const title = shell.nav.cars;
    const lists: Kind[][] = [[], ['car'], ['home'], ['car', 'home']];
    for (const kinds of lists) expect(listWords(catalogue as typeof en, kinds).title).toBe(title);
    expect(title).toMatch(/ (and doors|und Tore|y puertas)$/);
  });
  it('has its own words for none', () => {
    expect(listWords(en, ['home', 'car']).none).toBe(en.cars.none);
  });
});

/** Every text with its path; functions by what they return. */
function texts(messages: unknown, path = ''): [string, string][] {
  if (typeof messages === 'string') return [[path, messages]];
  if (typeof messages === 'function') return texts((messages as (...v: unknown[]) => unknown)(2, 3, 4), `${path}()`);
  return Object.entries(messages as object).flatMap(([key, value]) => texts(value, `${path}.${key}`));
}
/** Of a house alone: nothing of a car's lies below them. */
const OWN = ['both', 'kinds', 'through', 'front'];
const isOwn = (path: string) => OWN.some((name) => path.startsWith(`.${name}`)) || path.startsWith('.car.possession.steps');

describe.each(CATALOGUES)('its words in %s', (lang, catalogue) => {
  const t = catalogue as typeof en;
  const said = new Map(texts(wordsFor(t, 'home')));
  it('lie over words that a car has', () => {
    const known = new Set(texts(t).map(([path]) => path));
    expect(texts(t.home).map(([path]) => path).filter((path) => !isOwn(path) && !known.has(path))).toEqual([]);
  });
  it('are nowhere those of a car, whatever page shows them', () => {
    const cars = { en: /\bcars?\b|\blid\b|\btrunk\b|\bpark|\bplate\b|\bmaker/i, de: /\bAutos?\b|\bKlappe\b|\bKofferraum\b|\bpark|\bKennzeichen\b|\bHersteller/i, es: /\bcoches?\b|\bportón\b|\bmaletero\b|\baparc|\bmatrícula\b|\bfabricante/i };
    // What no house comes to: steps that it does not have, a place that is not shown, lights, a handle, makers' quirks.
    const elsewhere = [
      // Its list is one with the cars'.
      /^\.cars\.title$/,
      /^\.home\./, /^\.car\.(consents|description)\./, /^\.car\.step\.(consents|description)$/, /^\.cars\.todo\.(consents|description)$/,
      /^\.consent\.(disclose|learnsArea)/, /^\.consent\.gives\.(trunk|cabin|tailgate)/, /^\.delivery\.classes\.(trunk|cabin|tailgate)/,
      /^\.car\.findings\.(vin|check|make|model|too_old|cannot|not_the_holder|valet|car_asleep|key_not|plan|country|outside|no_position|pin)/,
      /^\.car\.remedies\.(check_with_maker|activate|let_the_holder|say_country)/, /^\.car\.facts\.(parked|nobody|window|proof\.executed)/, /^\.car\.possession\.(open\(\)|doors)/,
      /^\.delivery\.messages\.(place|paused|announced)/, /^\.delivery\.entries\.(place_disclosed|described|signalled)/, /^\.delivery\.(proof|alarms)\.(executed|attested)/,
      /^\.delivery\.refusals\.(asleep|window_passed)/, /^\.delivery\.reasons\.asleep/, /^\.delivery\.denied\.(not_parked|car_|phone_far_from_(car|area)|too_many_(parkings|deliveries)|not_located|maybe)/,
      /^\.rehearse\.(pull|handle|holds|gives|photo)/, /^\.rehearse\.denied\.phone_far_from_car/, /^\.car\.possession\.failed\.(too_late|wrong_door|bad_prompts)/,
      /^\.linking\.(none|endsIn|notEligible|chooseOver)/, /^\.delivery\.alarms\.attested_only/,
    ];
    const sections = /^\.(cars|linking|car|rehearse|consent|delivery)\./;
    const strays = [...said].filter(([path, text]) => sections.test(path) && cars[lang].test(text) && !elsewhere.some((e) => e.test(path)));
    expect(strays).toEqual([]);
  });
  it('leave a car’s as they are', () => {
    expect(wordsFor(t, 'car')).toBe(t);
  });
});
