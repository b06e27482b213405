// A stop at a house's door: no place is asked for, and no word speaks of a car.

import { describe, expect, it } from 'vitest';
import de from '../../../src/apps/stop/i18n/de';
import en from '../../../src/apps/stop/i18n/en';
import es from '../../../src/apps/stop/i18n/es';
import { begin, HOUSES, houseOf, notYet, screenOf, step, type Attempt, type Event, type State } from '../../../src/apps/stop/machine';
import { wordsOf } from '../../../src/apps/stop/words';

const NOW = 1_795_446_000_000;
const HASH = 'P'.repeat(43);
const fix: Event = { is: 'fix', fix: { lat: 57.72, lng: 11.84, accuracyM: 10, headingDeg: null, atMs: NOW } };
const scan: Event = { is: 'scanned', hash: HASH, tail: '0001' };
const attempt = (more: Partial<Attempt>): Attempt => ({
  id: 'a', seq: 1, state: 'intended', reason: null, readyUntilMs: null, mayActUntilMs: null, released: false,
  recalled: false, alarm: null, lockProof: null, checkHandle: false, mayReopen: false, ended: false, ...more,
});
const news = (more: Partial<Attempt>): Event => ({ is: 'news', attempt: attempt(more) });

function garage(): State {
  return begin([{ direction: 'put', sizeMm: [300, 200, 100], tail: '0001' }], [HASH], [], NOW + 3_600_000, true, 'garage');
}
function play(s: State, events: Event[]): { s: State; did: string[] } {
  const did: string[] = [];
  for (const e of events) {
    const [next, effects] = step(s, e, NOW);
    s = next;
    did.push(...effects.map((x) => x.do));
  }
  return { s, did };
}

describe('a garage', () => {
  it('is a house when it opens nothing else', () => {
    expect([houseOf(['garage']), houseOf(['gate']), houseOf(['trunk']), houseOf(['trunk', 'garage'])]).toEqual(['garage', 'gate', null, null]);
  });
  it('begins at the door, and asks for no place', () => {
    expect(screenOf(garage())).toBe('go');
    const { s, did } = play(garage(), [fix, { is: 'signal' }]);
    expect([did, screenOf(s)]).toEqual([[], 'go']);
  });
  it('that stands open already is shut by whoever was sent after another, and opened by nobody', () => {
    const asked = play(garage(), [fix, { is: 'reveal' }]);
    expect([asked.did, screenOf(asked.s)]).toEqual([['locate'], 'go']);
    const taken = play(asked.s, [{ is: 'taken_over', attempt: 'a' }]);
    expect([taken.did, screenOf(taken.s), taken.s.place]).toEqual([['watch', 'follow'], 'come_back', null]);
    expect(play(taken.s, [scan, { is: 'reveal' }, { is: 'open' }, { is: 'reopen' }]).did).toEqual(['buzz']);
    const shut = play(taken.s, [news({ seq: 2, state: 'open' }), { is: 'shut' }]);
    expect([shut.did.includes('close'), screenOf(shut.s)]).toEqual([true, 'locking']);
    const over = play(shut.s, [news({ seq: 3, state: 'locked', lockProof: 'observed', released: true }), { is: 'leave' }]);
    expect(over.s.over).toBe(null);
    expect(play(over.s, [{ is: 'leave', isDone: false }]).s.over?.codes).toEqual(['missing_parcel']);
  });
  it('where nothing was left open is as it was', () => {
    const refused: Event = { is: 'failed', act: 'locate', code: 'houses_are_not_located', passing: false };
    const { s } = play(garage(), [fix, { is: 'reveal' }, refused]);
    expect([screenOf(s), s.attempt, s.asking, s.trouble?.code]).toEqual(['go', null, null, 'houses_are_not_located']);
    expect(play(s, [scan, { is: 'open' }]).did).toContain('open');
  });
  it('opens with a parcel, a fresh position and signal', () => {
    expect(notYet(garage(), NOW)).toBe('not_scanned');
    expect(notYet(play(garage(), [scan]).s, NOW)).toBe('no_fix');
    const ready = play(garage(), [scan, fix]).s;
    expect([notYet(ready, NOW), notYet(ready, NOW + 31_000)]).toEqual([null, 'old_fix']);
    expect(notYet({ ...ready, online: false }, NOW)).toBe('offline');
    expect(play(ready, [{ is: 'open' }]).did).toEqual(['open']);
  });
  it('is left when it is seen shut, and not before', () => {
    const open: Event[] = [scan, fix, { is: 'open' }, { is: 'named', attempt: 'a' }, news({ seq: 2, state: 'open' })];
    const inside = play(garage(), open).s;
    expect(screenOf(inside)).toBe('load');
    const shutting = play(inside, [{ is: 'shut' }, news({ seq: 3, state: 'locking' }), { is: 'leave' }]);
    expect([screenOf(shutting.s), shutting.s.over]).toEqual(['locking', null]);
    const alarmed = play(shutting.s, [news({ seq: 4, state: 'alarm', alarm: 'does_not_shut' }), { is: 'leave' }]).s;
    expect([screenOf(alarmed), alarmed.over]).toEqual(['alarm', null]);
    const shut = play(shutting.s, [news({ seq: 4, state: 'locked', lockProof: 'observed', released: true }), { is: 'leave' }]).s;
    expect(shut.over?.outcome).toBe('done');
  });
});

describe('its words', () => {
  /** Every text below these members; functions are called with something. */
  function texts(value: unknown): string[] {
    if (typeof value === 'string') return [value];
    if (typeof value === 'function') return texts((value as (x: unknown) => unknown)('3'));
    return value && typeof value === 'object' ? Object.values(value).flatMap(texts) : [];
  }
  const cars = { en: /\bcar\b|\blid\b|\bplate\b|\btrunk\b/i, de: /\bAutos?\b|\bKlappe\b|\bKennzeichen\b/i, es: /\bcoche\b|\bportón\b|\bmatrícula\b/i };
  // What only a stop at a car comes to: a window for a hand, a handle that is asked for, its own account of the lock.
  const elsewhere = ['executed', 'attested', 'attested_only', 'asleep', 'window_passed', 'alarm_sounded', 'does_not_fit'];
  it.each([['en', en], ['de', de], ['es', es]] as const)('speak of a door in %s', (lang, catalogue) => {
    for (const house of HOUSES) {
      const t = wordsOf(catalogue as typeof en, { house });
      for (const part of ['opening', 'look', 'load', 'locking', 'locked', 'wont_open', 'come_back', 'taken', 'alarm', 'problem', 'badge'] as const) {
        const told = JSON.parse(JSON.stringify(t[part], (key, value: unknown) => (elsewhere.includes(key) ? undefined : value))) as unknown;
        // The badge says that it shows no plate.
        const said = texts(told).filter((text) => text !== catalogue.badge.privacy);
        for (const text of said) expect(text).not.toMatch(cars[lang]);
      }
    }
    expect(wordsOf(catalogue as typeof en, { house: null })).toBe(catalogue);
  });
  it.each([['en', en], ['de', de], ['es', es]] as const)('say in %s of a front door that its camera is asked, and that hands open and shut it', (lang, catalogue) => {
    const [door, garage] = (['door', 'garage'] as const).map((house) => wordsOf(catalogue as typeof en, { house }));
    for (const part of ['opening', 'pull', 'load', 'locking'] as const) {
      for (const text of texts(door![part])) expect(text).not.toMatch(cars[lang]);
    }
    expect([door!.opening.asking, door!.opening.slow].join(' ')).toMatch(/(camera|Kamera|cámara).*(light|Licht|luz)/);
    expect([door!.load.shut, door!.locking.heading]).not.toEqual([garage!.load.shut, garage!.locking.heading]);
    // Whoever goes in reads before that a camera records them.
    expect(door!.house.door.told).toMatch(/(camera|Kamera|cámara).*(records|zeichnet auf|graba)/);
    expect([door!.come_back.shut, door!.alarm.shut]).toEqual([door!.load.shut, door!.load.shut]);
    expect(garage!.opening.asking).not.toMatch(/camera|Kamera|cámara/);
  });
});
