import { describe, expect, it } from 'vitest';
import type { Parcel } from '../../../src/apps/stop/fragment';
import {
  begin, mayGiveUp, mayHandle, mayLeave, mayReopen, missing, notYet, screenOf, step, wayOf,
  type Attempt, type Event, type Fix, type State,
} from '../../../src/apps/stop/machine';

const NOW = 1_795_446_000_000;
const HASH = { put: 'P'.repeat(43), put2: 'Q'.repeat(43), take: 'T'.repeat(43), other: 'X'.repeat(43) };
const CAR = { lat: 60.1695, lng: 24.948 };
const PARCELS: Parcel[] = [
  { direction: 'put', sizeMm: [300, 200, 100], tail: '0001' },
  { direction: 'put', sizeMm: [400, 300, 200], tail: '0002' },
];
const fix = (more: Partial<Fix> = {}): Fix => ({ ...CAR, accuracyM: 10, headingDeg: null, atMs: NOW, ...more });
/** About so many metres north of the car. */
const north = (m: number): Fix => fix({ lat: CAR.lat + m / 111_195 });
const place = {
  ...CAR, accuracyM: 25, takenAtMs: NOW - 60_000, readAtMs: NOW, colour: 'Silver', model: 'XC40', class: 'trunk' as const, seal: null as never,
};
const description = { plate: 'KLM 482', colour: 'Silver', model: 'XC40', opensHow: '', notes: '', recordsVideo: false };
const attempt = (more: Partial<Attempt> = {}): Attempt => ({
  id: 'a', seq: 1, state: 'intended', reason: null, readyUntilMs: null, mayActUntilMs: null, released: false,
  recalled: false, alarm: null, lockProof: null, checkHandle: false, mayReopen: true, ended: false, ...more,
});

function start(): State {
  return begin(PARCELS, [HASH.put, HASH.put2], [HASH.take], NOW + 3_600_000, true);
}
/** Plays events at one moment; the last step's effects. */
function play(s: State, events: Event[], nowMs = NOW): { s: State; did: string[]; last: readonly unknown[] } {
  const did: string[] = [];
  let last: readonly unknown[] = [];
  for (const e of events) {
    const [next, effects] = step(s, e, nowMs);
    s = next;
    last = effects;
    did.push(...effects.map((x) => x.do));
  }
  return { s, did, last };
}
const found: Event[] = [{ is: 'fix', fix: north(500) }, { is: 'reveal' }, { is: 'located', place }];
const scan: Event = { is: 'scanned', hash: HASH.put, tail: '0001' };
const atCar: Event[] = [...found, { is: 'fix', fix: north(20) }, { is: 'described', description }, scan];
const asked: Event[] = [...atCar, { is: 'open' }, { is: 'named', attempt: 'a' }];
const news = (more: Partial<Attempt>): Event => ({ is: 'news', attempt: attempt(more) });
const opened: Event[] = [...asked, news({ seq: 2, state: 'ready' }), news({ seq: 3, state: 'open' })];

describe('the way to the car', () => {
  it('shows no place before the courier asks for it, and asks once', () => {
    let { s, did } = play(start(), [{ is: 'reveal' }]);
    expect([did, screenOf(s)]).toEqual([[], 'start']);
    ({ s, did } = play(s, [{ is: 'fix', fix: north(500) }, { is: 'reveal' }, { is: 'reveal' }]));
    expect(did).toEqual(['locate']);
    ({ s } = play(s, [{ is: 'located', place }, { is: 'reveal' }]));
    expect([screenOf(s), Math.round(wayOf(s)!.distanceM)]).toEqual(['go', 500]);
  });
  it('asks for plate and words within 300 m plus both accuracies, at most three times, ten seconds apart', () => {
    const far = play(start(), found).s;
    expect(play(far, [{ is: 'fix', fix: north(336) }]).did).toEqual([]);
    let s = play(far, [{ is: 'fix', fix: north(334) }]).s;
    const no: Event = { is: 'failed', act: 'describe', code: 'conditions_not_met', passing: false };
    const asks = [];
    for (let at = NOW; at < NOW + 60_000; at += 5_000) {
      s = play(s, [no], at).s;
      const next = play(s, [{ is: 'fix', fix: fix({ atMs: at }) }], at);
      s = next.s;
      asks.push(next.did.length);
    }
    expect(asks.reduce((a, b) => a + b)).toBe(2);
    expect(s.trouble).toBeNull();
  });
  it('does not ask while offline', () => {
    const s = play(start(), [...found, { is: 'online', online: false }]).s;
    expect(play(s, [{ is: 'fix', fix: north(20) }]).did).toEqual([]);
  });
});

describe('scanning', () => {
  it('takes labels of this stop, each once, and names a wrong one', () => {
    const { s, did } = play(start(), [scan, scan, { is: 'scanned', hash: HASH.other, tail: '9999' }]);
    expect(s.scanned.map((x) => x.tail)).toEqual(['0001']);
    expect(s.wrong).toEqual({ tail: '9999', atMs: NOW });
    expect(did).toEqual(['buzz', 'buzz', 'buzz']);
    expect(missing(s).map((p) => p.tail)).toEqual(['0002']);
    expect(play(s, [scan]).s.wrong).toBeNull();
  });
  it('knows pick-ups from deliveries', () => {
    const { s } = play(start(), [{ is: 'scanned', hash: HASH.take, tail: '0007' }]);
    expect(s.scanned[0]!.direction).toBe('take');
  });
});

describe('why open cannot be pressed', () => {
  const cases: [string, Event[], string | null, number?][] = [
    ['no place yet', [scan, { is: 'fix', fix: fix() }], 'no_place'],
    ['nothing scanned', atCar.slice(0, -1), 'not_scanned'],
    ['too far: 75 m and 35 m of accuracies', [...atCar, { is: 'fix', fix: north(112) }], 'too_far'],
    ['just near enough', [...atCar, { is: 'fix', fix: north(108) }], null],
    ['a vague phone counts 50 m at most', [...atCar, { is: 'fix', fix: { ...north(152), accuracyM: 400 } }], 'too_far'],
    ['an old position', atCar, 'old_fix', NOW + 31_000],
    ['offline', [...atCar, { is: 'online', online: false }], 'offline'],
    // The phone's clock may be wrong: it is said, and the keyholder decides.
    ['the hour is over by this clock', [...atCar, { is: 'fix', fix: fix({ atMs: NOW + 3_600_000 }) }], null, NOW + 3_600_000],
    ['under way', [...atCar, { is: 'open' }], 'asking'],
    ['at the car', atCar, null],
  ];
  it.each(cases)('%s', (_, events, expected, at = NOW) => {
    const s = play(start(), events).s;
    expect(notYet(s, at)).toBe(expected);
    const { did } = play(s, [{ is: 'open' }], at);
    expect(did.includes('open')).toBe(expected === null);
  });
});

describe('an attempt', () => {
  const screens: [string, Partial<Attempt>, Event[], string][] = [
    ['asked', { state: 'intended' }, [], 'opening'],
    ['sent to the maker', { state: 'sent' }, [], 'opening'],
    ['a hand is waited for', { state: 'ready', readyUntilMs: NOW + 60_000 }, [], 'pull'],
    ['the courier sees it open first', { state: 'ready' }, [{ is: 'lid', lid: 'open' }], 'load'],
    ['nobody can say', { state: 'unknown', mayActUntilMs: NOW + 60_000 }, [], 'look'],
    ['nobody can say, the lid is open', { state: 'unknown' }, [{ is: 'lid', lid: 'open' }], 'load'],
    ['nobody can say, the lid is shut', { state: 'unknown' }, [{ is: 'lid', lid: 'shut' }], 'wait'],
    ['open', { state: 'open' }, [], 'load'],
    ['said shut, the car is not convinced', { state: 'open' }, [{ is: 'shut' }], 'locking'],
    ['it did not open', { state: 'did_not_happen', reason: 'window_passed' }, [], 'wont_open'],
    ['locking', { state: 'locking' }, [{ is: 'shut' }], 'locking'],
    ['the handle is asked for', { state: 'locking', checkHandle: true }, [{ is: 'shut' }], 'handle'],
    ['released while locking', { state: 'locking', released: true }, [{ is: 'shut' }], 'released'],
    ['locked', { state: 'locked', lockProof: 'observed' }, [{ is: 'shut' }], 'locked'],
    ['an alarm', { state: 'open', alarm: 'open_too_long' }, [], 'alarm'],
    ['an alarm that a proof has answered', { state: 'locked', lockProof: 'observed', alarm: 'open_too_long', released: true }, [{ is: 'shut' }], 'locked'],
    ['locked by the courier’s word alone', { state: 'locked', lockProof: 'attested', alarm: 'attested_only' }, [{ is: 'shut' }], 'alarm'],
    ['recalled', { state: 'locking', alarm: 'opened_again', recalled: true, released: false }, [], 'come_back'],
  ];
  it.each(screens)('%s', (_, more, events, expected) => {
    expect(screenOf(play(start(), [...asked, news({ seq: 5, ...more }), ...events]).s)).toBe(expected);
  });

  it('is followed until it has ended, and an overtaken answer changes nothing', () => {
    const { s, did } = play(start(), [...asked, news({ seq: 4, state: 'ready' }), news({ seq: 2, state: 'sent' })]);
    expect([s.attempt!.state, did.filter((d) => d === 'follow').length]).toEqual(['ready', 3]);
    expect(play(s, [news({ seq: 9, state: 'locked', ended: true })]).did).not.toContain('follow');
    expect(play(s, [{ is: 'news', attempt: attempt({ id: 'another', seq: 99, state: 'open' }) }]).s).toBe(s);
  });
  it('is looked at again when no answer comes, with no new command', () => {
    const { last } = play(start(), [...asked, { is: 'failed', act: 'follow', code: 'silence', passing: true }]);
    expect(last).toEqual([{ do: 'follow', attempt: 'a', after: 0, inMs: 1_500 }]);
  });
  it('of which nobody can say is never opened again', () => {
    const { s } = play(start(), [...asked, news({ seq: 5, state: 'unknown' }), { is: 'lid', lid: 'shut' }]);
    expect(play(s, [{ is: 'open' }]).did).toEqual([]);
    expect(mayGiveUp(s)).toBe(false);
  });
  it('that did not happen may be asked for anew, or the fallback chosen', () => {
    const { s } = play(start(), [...asked, news({ seq: 5, state: 'did_not_happen', reason: 'asleep' })]);
    expect(mayGiveUp(s)).toBe(true);
    const again = play(s, [{ is: 'open' }]);
    expect([again.last, screenOf(again.s)]).toEqual([[{ do: 'open', labels: [HASH.put] }], 'opening']);
  });
  it('a request to open that found no answer leaves the button, not a queue', () => {
    const { s, did } = play(start(), [...atCar, { is: 'open' }, { is: 'failed', act: 'open', code: 'nonce_expired', passing: true }]);
    expect([s.asking, screenOf(s), notYet(s, NOW)]).toEqual([null, 'go', null]);
    expect(did.filter((d) => d === 'open')).toHaveLength(1);
    expect(s.trouble!.code).toBe('nonce_expired');
  });
});

describe('an opening without an answer', () => {
  const silent: Event = { is: 'failed', act: 'open', code: 'unanswered', passing: true };
  const lost = play(start(), [...atCar, { is: 'open' }, silent]).s;
  it('may have opened: it is looked at, not given up and not left', () => {
    expect([screenOf(lost), mayGiveUp(lost), mayLeave(lost), lost.asking]).toEqual(['look', false, false, null]);
    expect(play(lost, [{ is: 'give_up', reason: 'no_signal' }, { is: 'leave' }]).did).toEqual([]);
  });
  it.each<[string, Event, boolean]>([
    ['silence on the way to the request', { is: 'failed', act: 'open', code: 'silence', passing: true }, true],
    ['a nonce that was too old the second time', { is: 'failed', act: 'open', code: 'nonce_expired', passing: false }, true],
    ['a keyholder that is too busy', { is: 'failed', act: 'open', code: 'too_slow', passing: true }, true],
    ['a place that is refused', { is: 'failed', act: 'locate', code: 'phone_far_from_area', passing: false }, true],
    ['a refusal', { is: 'failed', act: 'open', code: 'conditions_not_met', passing: false }, false],
    ['its name', { is: 'named', attempt: 'a', state: 'sent' }, false],
  ])('%s: unknown still %s', (_, e, isUnknown) => {
    expect(play(lost, [e]).s.openUnknownMs !== null).toBe(isUnknown);
  });
  it('silence before the request left has opened nothing', () => {
    const { s } = play(start(), [...atCar, { is: 'open' }, { is: 'failed', act: 'open', code: 'silence', passing: true }]);
    expect([s.openUnknownMs, screenOf(s), mayGiveUp(s)]).toEqual([null, 'go', true]);
  });
  it('is found with the place, as one’s own; a place without one says it only when no request lives any more', () => {
    const found = play(lost, [{ is: 'reveal' }, { is: 'taken_over', attempt: 'a' }, { is: 'located', place }]);
    expect([found.did[0], found.s.takenOver, found.s.attempt?.id, found.s.openUnknownMs]).toEqual(['locate', false, 'a', null]);
    expect(screenOf(play(lost, [{ is: 'located', place }], NOW + 60_000).s)).toBe('look');
    expect(screenOf(play(lost, [{ is: 'located', place }], NOW + 60_001).s)).toBe('go');
  });
  it('of a page that was loaded anew is its own', () => {
    const { s } = play(start(), [{ is: 'asked_before', sinceMs: NOW }]);
    expect([screenOf(s), mayGiveUp(s)]).toEqual(['look', false]);
    const found = play(s, [{ is: 'fix', fix: north(20) }, { is: 'reveal' }, { is: 'taken_over', attempt: 'a' }, { is: 'located', place }]).s;
    expect([found.takenOver, screenOf(found)]).toEqual([false, 'opening']);
  });
  it('once more is answered by the next news', () => {
    const shut: Event[] = [...opened, { is: 'shut' }, { ...news({ seq: 7, state: 'locked', lockProof: 'observed' }), of: 'close' } as Event];
    const s = play(start(), [...shut, { is: 'reopen' }, silent]).s;
    expect([screenOf(s), mayLeave(s)]).toEqual(['look', false]);
    expect(screenOf(play(s, [news({ seq: 7, state: 'locked', lockProof: 'observed' })]).s)).toBe('locked');
  });
});

describe('a page that is loaded anew without a network', () => {
  it('looks at the lid, and says shut into the outbox', () => {
    const { s } = play(start(), [{ is: 'named', attempt: 'a', unheard: true }]);
    expect([screenOf(s), mayGiveUp(s), mayLeave(s)]).toEqual(['look', false, false]);
    const shut = play(s, [{ is: 'lid', lid: 'open' }, { is: 'shut' }]);
    expect(shut.last).toEqual([{ do: 'close', handleChecked: false, photo: null }]);
    expect(screenOf(play(shut.s, [{ is: 'close_queued' }]).s)).toBe('locking');
  });
});

describe('a request that is under way', () => {
  it.each(['close', 'lock'] as const)('%s ends with its own answer, overtaken or not, and with no other news', (act) => {
    const asking = play(start(), [...opened, act === 'close' ? { is: 'shut' } : { is: 'lock' }]).s;
    expect(asking.asking?.act).toBe(act);
    expect(play(asking, [news({ seq: 9, state: 'locking' })]).s.asking?.act).toBe(act);
    const other = act === 'close' ? 'lock' : 'close';
    expect(play(asking, [{ is: 'news', attempt: attempt({ seq: 9 }), of: other }]).s.asking?.act).toBe(act);
    expect(play(asking, [{ is: 'news', attempt: attempt({ seq: 9 }), of: act }]).s.asking).toBeNull();
    expect(play(asking, [{ is: 'news', attempt: attempt({ seq: 1 }), of: act }]).s.asking).toBeNull();
  });
});

describe('closing', () => {
  it('says shut first, and the handle only when it is asked for', () => {
    const shut = play(start(), [...opened, { is: 'photo_taken' }, { is: 'photo_sealed', hash: HASH.other }, { is: 'photo_kept', hash: HASH.other, queued: false }, { is: 'shut' }]);
    expect(shut.last).toEqual([{ do: 'close', handleChecked: false, photo: HASH.other }]);
    const held = play(shut.s, [news({ seq: 8, state: 'locking', checkHandle: true }), { is: 'handle', held: true }]);
    expect(held.last).toEqual([{ do: 'close', handleChecked: true, photo: HASH.other }]);
  });
  it('a handle that gives is locked again', () => {
    const { s } = play(start(), [...opened, { is: 'shut' }, news({ seq: 8, state: 'locking', checkHandle: true })]);
    expect(play(s, [{ is: 'handle', held: false }]).last).toEqual([{ do: 'lock' }]);
  });
  it('opened once more wants a close of its own', () => {
    const { s } = play(start(), [...opened, { is: 'shut' }, news({ seq: 8, state: 'locked', lockProof: 'observed' }), news({ seq: 9, state: 'open' })]);
    expect([screenOf(s), s.shutAtMs, s.photo]).toEqual(['load', null, 'none']);
  });
  it('the courier may leave when locked or released, and not before', () => {
    const cases: [Partial<Attempt>, boolean][] = [
      [{ state: 'open' }, false],
      [{ state: 'unknown' }, false],
      [{ state: 'locking' }, false],
      [{ state: 'locking', released: true }, true],
      [{ state: 'locking', released: true, alarm: 'lock_failed' }, false],
      [{ state: 'locked', lockProof: 'observed' }, true],
      [{ state: 'locked', lockProof: 'attested' }, false],
      [{ state: 'locked', lockProof: 'attested', ended: true }, true],
      [{ state: 'locked', lockProof: 'observed', recalled: true }, false],
      [{ state: 'locked', lockProof: 'observed', alarm: 'open_too_long' }, true],
      [{ state: 'locked', lockProof: 'attested', alarm: 'attested_only', ended: true }, false],
      [{ state: 'did_not_happen' }, true],
    ];
    for (const [more, expected] of cases) {
      const { s } = play(start(), [...opened, { is: 'shut' }, news({ seq: 9, ...more })]);
      expect(mayLeave(s), JSON.stringify(more)).toBe(expected);
      expect(play(s, [{ is: 'leave' }]).did.includes('wipe'), JSON.stringify(more)).toBe(expected);
    }
  });
  it('leaves nothing of the stop behind; its attempt was kept when it began', () => {
    expect(play(start(), asked).last).toContainEqual({ do: 'watch', attempt: 'a', takenOver: false });
    const { s, last } = play(start(), [...opened, { is: 'shut' }, news({ seq: 9, state: 'locking', released: true }), { is: 'leave' }]);
    expect(last).toEqual([{ do: 'finish', handleChecked: false, photo: null }, { do: 'wipe' }]);
    // The second parcel was never scanned: it was not here.
    const over = { outcome: 'done', reason: null, codes: ['done', 'missing_parcel'] };
    expect(s).toEqual({ ...begin([], [], [], s.windowEndMs, true), over });
    expect(JSON.stringify(s)).not.toContain('KLM');
  });
  it('giving up is possible before anything opened, and wipes too', () => {
    const { s, last } = play(start(), [...atCar, { is: 'give_up', reason: 'unsafe' }]);
    expect([last, s.over, s.place]).toEqual([[{ do: 'wipe' }], { outcome: 'failed', reason: 'unsafe', codes: ['unsafe'] }, null]);
    expect(play(start(), [...opened, { is: 'give_up', reason: 'unsafe' }]).did).not.toContain('wipe');
  });
  it('says what became of each parcel', () => {
    const over = (events: Event[]) => play(start(), [...events, { is: 'leave' }]).s.over?.codes;
    const locked = news({ seq: 9, state: 'locked', lockProof: 'observed', ended: true });
    const second: Event = { is: 'scanned', hash: HASH.put2, tail: '0002' };
    expect(over([...opened, { is: 'shut' }, locked])).toEqual(['done', 'missing_parcel']);
    expect(over([...opened, second, { is: 'shut' }, locked])).toEqual(['done']);
    // Loaded anew in the middle: what was scanned before is not known, and the car was opened for all of it.
    expect(over([{ is: 'named', attempt: 'a' }, locked])).toEqual(['done']);
    expect(over([...asked, news({ seq: 5, state: 'did_not_happen' })])).toEqual(['did_not_open']);
  });
  it('an attempt that has ended is not said to be over once more', () => {
    const events: Event[] = [...opened, { is: 'shut' }, news({ seq: 9, state: 'locked', lockProof: 'observed', ended: true }), { is: 'leave' }];
    expect(play(start(), events).last).toEqual([{ do: 'wipe' }]);
  });
  it('after the end nothing happens any more', () => {
    const { s } = play(start(), [...atCar, { is: 'give_up', reason: 'unsafe' }]);
    for (const e of [{ is: 'reveal' }, { is: 'open' }, scan, news({ state: 'open' })] as Event[]) expect(step(s, e, NOW)).toEqual([s, []]);
  });
});

describe('a parcel that was forgotten', () => {
  const shut: Event[] = [...opened, { is: 'shut' }, { ...news({ seq: 7, state: 'locking' }), of: 'close' } as Event, news({ seq: 8, state: 'locked', lockProof: 'observed', released: true })];
  const again: Event[] = [...shut, { is: 'reopen' }, { is: 'named', attempt: 'a', state: 'intended' }];

  it('goes in by one more opening of the same attempt, with the labels scanned by then', () => {
    const asking = play(start(), [...shut, { is: 'scanned', hash: HASH.put2, tail: '0002' }, { is: 'reopen' }]);
    expect([asking.last, screenOf(asking.s), mayLeave(asking.s)]).toEqual([[{ do: 'open', labels: [HASH.put, HASH.put2] }], 'opening', false]);
    const { s, last } = play(asking.s, [{ is: 'named', attempt: 'a', state: 'intended' }]);
    expect(last).toEqual([{ do: 'follow', attempt: 'a', after: 8, inMs: 0 }]);
    expect([screenOf(s), s.shutAtMs, s.photo, s.attempt!.lockProof, mayLeave(s)]).toEqual(['opening', null, 'none', null, false]);
  });
  it('what was told before the second opening says nothing of it', () => {
    const { s } = play(start(), [...again, news({ seq: 8, state: 'locked', lockProof: 'observed', released: true })]);
    expect([screenOf(s), mayLeave(s)]).toEqual(['opening', false]);
    expect(screenOf(play(s, [news({ seq: 10, state: 'open' })]).s)).toBe('load');
  });
  it('whose news come before their answer is not taken back by it', () => {
    const { s, last } = play(start(), [...shut, { is: 'reopen' }, news({ seq: 9, state: 'ready' }), { is: 'named', attempt: 'a', state: 'intended' }]);
    expect([screenOf(s), s.shutAtMs, s.reopened, s.asking]).toEqual(['pull', null, true, null]);
    expect(last).toEqual([{ do: 'follow', attempt: 'a', after: 9, inMs: 0 }]);
  });
  it('and whose answer is lost is loaded when the car says that it is open', () => {
    const { s } = play(start(), [...shut, { is: 'reopen' }, news({ seq: 10, state: 'open' }), { is: 'failed', act: 'open', code: 'silence', passing: true }]);
    expect([screenOf(s), s.shutAtMs, s.reopened]).toEqual(['load', null, true]);
  });
  it('is offered once, for three minutes, and never beside an alarm or a recall', () => {
    const s = play(start(), shut).s;
    expect([mayReopen(s, NOW), mayReopen(s, NOW + 180_000), mayReopen(s, NOW + 180_001)]).toEqual([true, true, false]);
    expect(mayReopen(play(s, [news({ seq: 9, state: 'locked', lockProof: 'observed', ended: true })]).s, NOW)).toBe(false);
    expect(mayReopen(play(s, [news({ seq: 9, state: 'locking', alarm: 'lock_failed' })]).s, NOW)).toBe(false);
    expect(mayReopen(play(s, [news({ seq: 9, state: 'locking', recalled: true })]).s, NOW)).toBe(false);
    // Its owner has stopped it meanwhile: the keyholder says so with the same number, or with a newer one.
    expect(mayReopen(play(s, [news({ seq: 8, state: 'locked', lockProof: 'observed', released: true, mayReopen: false })]).s, NOW)).toBe(false);
    expect(mayReopen(play(start(), opened).s, NOW)).toBe(false);
    const twice = play(start(), [...again, news({ seq: 10, state: 'open' }), { is: 'shut' }, news({ seq: 12, state: 'locked', lockProof: 'observed' })]).s;
    expect(mayReopen(twice, NOW)).toBe(false);
    expect(play({ ...twice, asking: null }, [{ is: 'reopen' }]).did).toEqual([]);
  });
  it('needs the same nearness and signal as the first opening', () => {
    const s = play(start(), shut).s;
    for (const e of [{ is: 'fix', fix: north(500) }, { is: 'online', online: false }] as Event[]) {
      expect(play(s, [e, { is: 'reopen' }]).did, e.is).not.toContain('open');
    }
  });
  it('that the keyholder does not open for stays outside, and the car stays locked', () => {
    const { s, last } = play(start(), [...shut, { is: 'reopen' }, { is: 'named', attempt: 'a', state: 'locked' }]);
    expect(last).toEqual([{ do: 'buzz', kind: 'bad' }]);
    expect([screenOf(s), s.trouble!.code, mayReopen(s, NOW), mayLeave(s)]).toEqual(['locked', 'not_again', false, true]);
  });
});

describe('what buzzes', () => {
  it.each<[Partial<Attempt>, string | undefined]>([
    [{ state: 'sent' }, undefined],
    [{ state: 'ready' }, 'act'],
    [{ state: 'unknown' }, 'act'],
    [{ state: 'did_not_happen' }, 'bad'],
    [{ state: 'open', alarm: 'open_too_long' }, 'bad'],
    [{ state: 'locking', recalled: true }, 'bad'],
    [{ state: 'locking', released: true }, 'good'],
    [{ state: 'locked' }, 'good'],
  ])('%o', (more, kind) => {
    const { last } = play(start(), [...asked, news({ seq: 5, ...more })]);
    expect((last as { do: string; kind?: string }[]).find((x) => x.do === 'buzz')?.kind).toBe(kind);
  });
});

describe('the handle of a car that does not tell whether it is locked', () => {
  const asked = play(start(), [
    { is: 'named', attempt: 'a' },
    { is: 'news', attempt: attempt({ seq: 2, state: 'locking', checkHandle: true }) },
  ]).s;
  it('is asked about after the photo, and at once where there can be none', () => {
    expect(screenOf(asked)).toBe('handle');
    expect(mayHandle(asked, true)).toBe(false);
    expect(mayHandle(asked, false)).toBe(true);
    expect(mayHandle(play(asked, [{ is: 'photo_taken' }, { is: 'photo_sealed', hash: HASH.put }]).s, true)).toBe(true);
    expect(mayHandle(play(asked, [{ is: 'photo_taken' }, { is: 'failed', act: 'photo', code: 'silence', passing: true }]).s, true)).toBe(true);
  });
  it('waits while a photo is being sealed, so that the close names it, and not for its upload', () => {
    const sealing = play(asked, [{ is: 'photo_taken' }]).s;
    expect(play(sealing, [{ is: 'handle', held: true }]).did).toEqual([]);
    const sealed = play(sealing, [{ is: 'photo_sealed', hash: HASH.put }, { is: 'handle', held: true }]);
    expect(sealed.last).toEqual([{ do: 'close', handleChecked: true, photo: HASH.put }]);
    expect(sealed.s.photo).toBe('sending');
    expect(play(sealed.s, [{ is: 'photo_kept', hash: HASH.put, queued: true }]).s.photo).toBe('queued');
  });
  it('a photo that arrives late says nothing of a newer one, nor of one that another closing wants', () => {
    const first: Event[] = [{ is: 'photo_taken' }, { is: 'photo_sealed', hash: HASH.put }, { is: 'photo_taken' }];
    const late: Event = { is: 'photo_kept', hash: HASH.put, queued: false };
    expect(play(asked, [...first, late]).s.photo).toBe('sealing');
    const second = play(asked, [...first, { is: 'photo_sealed', hash: HASH.other }]).s;
    expect(play(second, [late]).s).toBe(second);
    const lost = play(second, [{ is: 'failed', act: 'photo', code: 'photo_refused', passing: false, photo: HASH.put }]).s;
    expect([lost.photo, lost.photoHash]).toEqual(['sending', HASH.other]);
    const own = play(second, [{ is: 'failed', act: 'photo', code: 'photo_refused', passing: false, photo: HASH.other }]).s;
    expect([own.photo, own.photoHash]).toEqual(['none', null]);
    const anew = play(asked, [{ is: 'photo_taken' }, { is: 'photo_sealed', hash: HASH.put }, news({ seq: 9, state: 'open' })]).s;
    expect(play(anew, [late]).s.photo).toBe('none');
  });
});

describe('a car that another phone has opened', () => {
  const taken: Event[] = [{ is: 'fix', fix: north(200) }, { is: 'reveal' }, { is: 'taken_over', attempt: 'a' }, { is: 'located', place }];
  const open: Event[] = [...taken, news({ seq: 3, state: 'open' })];

  it('is gone to and shut: its plate is not asked for, and nothing is opened', () => {
    const { s, did } = play(start(), [...open, { is: 'fix', fix: north(20) }, scan, { is: 'open' }, { is: 'reopen' }]);
    expect(did.filter((d) => d !== 'buzz')).toEqual(['locate', 'watch', 'follow', 'follow']);
    expect([screenOf(s), Math.round(wayOf(s)!.distanceM), mayGiveUp(s), mayLeave(s)]).toEqual(['come_back', 20, false, false]);
  });
  it.each(['sent', 'ready', 'unknown', 'open'])('is gone to while it is %s, with an alarm as well', (state) => {
    expect(screenOf(play(start(), [...taken, news({ seq: 3, state })]).s)).toBe('come_back');
    expect(screenOf(play(start(), [...taken, news({ seq: 3, state: 'alarm', alarm: 'open_too_long' })]).s)).toBe('come_back');
  });
  it('is shut and left like any other, and its courier says what became of the parcels', () => {
    const shut = play(start(), [...open, { is: 'shut' }]);
    expect([shut.last, screenOf(shut.s)]).toEqual([[{ do: 'close', handleChecked: false, photo: null }], 'locking']);
    const locked = play(shut.s, [news({ seq: 6, state: 'locked', lockProof: 'observed', released: true })]).s;
    expect([screenOf(locked), mayReopen(locked, NOW)]).toEqual(['locked', false]);
    expect(play(locked, [{ is: 'leave' }]).s.over, 'not without a word').toBeNull();
    expect(play(locked, [{ is: 'leave', isDone: true }]).s.over?.codes).toEqual(['done']);
    expect(play(locked, [{ is: 'leave', isDone: false }]).s.over?.codes).toEqual(['missing_parcel']);
  });
  it('is known as such after a reload, when its place is asked for once more', () => {
    const { s } = play(start(), [{ is: 'taken_over', attempt: 'a' }, news({ seq: 3, state: 'open' }), { is: 'fix', fix: north(50) }]);
    expect([screenOf(s), s.place]).toEqual(['come_back', null]);
    const again = play(s, [{ is: 'reveal' }, { is: 'taken_over', attempt: 'a' }, { is: 'located', place }]);
    expect([again.did, again.s.place, again.s.attempt!.state]).toEqual([['locate'], place, 'open']);
  });
  it('by this very phone is no other’s: the place alone is new', () => {
    const { s } = play(start(), [...opened, { is: 'taken_over', attempt: 'a' }]);
    expect(s.takenOver).toBe(false);
  });
});
