import { describe, expect, it } from 'vitest';
import type { Attempt, Delivery, Timeline } from '../../../src/apps/wallet/core/model';
import { isActive, phaseOf } from '../../../src/apps/wallet/core/model';
import { becauseOf, devicesOf, messageOf, momentsOf } from '../../../src/apps/wallet/core/story';
import de from '../../../src/apps/wallet/i18n/more.de';
import en from '../../../src/apps/wallet/i18n/more.en';
import es from '../../../src/apps/wallet/i18n/more.es';

const NOON = Date.parse('2026-05-03T12:00:00Z');
const delivery = (change: Partial<Delivery> = {}): Delivery => ({
  delivery: 'd', purpose: 'delivery', from: '2026-05-03T10:00:00Z', until: '2026-05-03T14:00:00Z',
  granted_at: '2026-05-02T10:00:00Z', carrier: 'c', merchant: 'Fjord Books', items: 1, state: 'granted', reason: null,
  blocked: false, attempt: null, ...change,
});
const attempt = (state: string, change: Partial<Attempt> = {}): Attempt => ({
  attempt: 'a', state, reason: null, ready_until: null, may_act_until: null, released: false, recalled: false, alarm: null,
  lock_proof: null, check_handle: false, ended: false, ...change,
});
const told = (change: { [K in keyof Timeline]?: object[] } = {}): Timeline =>
  ({ entries: [], readiness: [], refused: [], ...change }) as Timeline;
const ready = (slot: string, answer: string, code?: string) => ({
  readiness: [{ slot, answer, reasons: code ? [{ code, text: '' }] : [] }],
});
const place = { entries: [{ kind: 'place_disclosed', at: '2026-05-03T11:00:00.000Z' }] };

describe('which message holds', () => {
  it.each([
    ['waiting', delivery(), told()],
    ['announced', delivery({ rule: 'r' }), told()],
    ['evening', delivery({ rule: 'r' }), told(ready('evening_before', 'yes'))],
    ['evening', delivery(), told(ready('evening_before', 'yes'))],
    ['morning', delivery(), told(ready('start_of_window', 'yes'))],
    ['notReady', delivery(), told(ready('start_of_window', 'no', 'not_in_area'))],
    ['coming', delivery({ state: 'delegated' }), told(ready('ten_minutes_before', 'yes'))],
    ['place', delivery({ state: 'located' }), told(place)],
    ['opening', delivery({ attempt: attempt('ready') }), told(place)],
    ['open', delivery({ attempt: attempt('open') }), told(place)],
    ['unsure', delivery({ attempt: attempt('unknown') }), told(place)],
    ['locking', delivery({ attempt: attempt('locking') }), told(place)],
    ['done', delivery({ attempt: attempt('locked', { lock_proof: 'observed', ended: true }) }), told(place)],
    ['stopped', delivery({ blocked: true }), told(place)],
    ['notOpened', delivery({ attempt: attempt('did_not_happen', { reason: 'asleep' }) }), told(place)],
    ['alarm', delivery({ attempt: attempt('open', { alarm: 'open_too_long' }) }), told(place)],
    ['acknowledged', delivery({ attempt: attempt('acknowledged', { ended: true }) }), told(place)],
    ['over', delivery({ until: '2026-05-03T11:30:00Z' }), told()],
  ])('%s', (name, one, what) => {
    expect(messageOf(one, what, NOON).name).toBe(name);
  });

  it('says that a car is open even when the owner has stopped everything meanwhile', () => {
    expect(messageOf(delivery({ blocked: true, attempt: attempt('open') }), told(), NOON).name).toBe('open');
    expect(messageOf(delivery({ blocked: true, attempt: attempt('unknown') }), told(), NOON).name).toBe('unsure');
  });
  it('says that all is paused, but not over what moves or is over', () => {
    expect(messageOf(delivery(), told(ready('evening_before', 'yes')), NOON, true).name).toBe('paused');
    expect(messageOf(delivery({ state: 'located' }), told(place), NOON, true).name).toBe('paused');
    expect(messageOf(delivery({ attempt: attempt('open') }), told(place), NOON, true).name).toBe('open');
    expect(messageOf(delivery({ blocked: true }), told(), NOON, true).name).toBe('stopped');
    expect(messageOf(delivery({ until: '2026-05-03T11:30:00Z' }), told(), NOON, true).name).toBe('over');
  });
  it('puts an alarm before everything', () => {
    const one = delivery({ blocked: true, attempt: attempt('locked', { alarm: 'lock_unproved', lock_proof: 'attested' }) });
    expect(messageOf(one, told(place), NOON)).toMatchObject({ name: 'alarm', tone: 'bad', because: ['lock_unproved'] });
    expect(phaseOf(one, NOON)).toBe('alarm');
  });
  it('adds why, in each language', () => {
    const message = messageOf(delivery(), told(ready('start_of_window', 'no', 'asleep')), NOON);
    for (const words of [en, de, es]) expect(becauseOf(message, words.delivery)[0]).toBe(words.delivery.reasons.asleep);
  });
});

describe('how a delivery stands in the list', () => {
  const PAST = { until: '2026-05-03T11:30:00Z' };
  it.each([
    ['waiting', true, delivery()],
    ['blocked', true, delivery({ blocked: true })],
    ['over', false, delivery(PAST)],
    ['over', false, delivery({ ...PAST, blocked: true })],
    ['open', true, delivery({ ...PAST, attempt: attempt('ready') })],
    ['locking', true, delivery({ blocked: true, attempt: attempt('locking') })],
    ['done', false, delivery({ attempt: attempt('locked', { lock_proof: 'observed', ended: true }) })],
    ['done', false, delivery({ ...PAST, attempt: attempt('acknowledged', { ended: true }) })],
    ['not_done', true, delivery({ attempt: attempt('did_not_happen', { ended: true }) })],
    ['not_done', false, delivery({ ...PAST, attempt: attempt('did_not_happen', { ended: true }) })],
    ['not_done', false, delivery({ ...PAST, blocked: true, attempt: attempt('did_not_happen') })],
    // Nothing is locked because time has passed.
    ['unknown', true, delivery({ ...PAST, attempt: attempt('unknown', { ended: true }) })],
    ['unknown', true, delivery({ ...PAST, attempt: attempt('open', { ended: true }) })],
    ['unknown', true, delivery({ ...PAST, attempt: attempt('something_new', { ended: true }) })],
    ['unknown', true, delivery({ attempt: attempt('locking', { ended: true }) })],
  ])('%s, active: %s', (phase, active, one) => {
    expect(phaseOf(one, NOON)).toBe(phase);
    expect(isActive(one, NOON)).toBe(active);
  });
});

describe('the timeline', () => {
  it('tells an outcome by what became of it', () => {
    const entries = [
      { kind: 'outcome', at: '2026-05-03T11:02:00.000Z', outcome: 'did_not_happen:window_passed' },
      { kind: 'outcome', at: '2026-05-03T11:01:00.000Z', outcome: 'unknown' },
      { kind: 'locked', at: '2026-05-03T11:03:00.000Z', lock_proof: 'attested' },
    ];
    const moments = momentsOf(told({ entries }), en.delivery);
    expect(moments.map((m) => m.title)).toEqual([
      en.delivery.outcomes.unknown,
      en.delivery.messages.notOpened.title,
      en.delivery.entries.locked,
    ]);
    expect(moments[1]!.text).toBe(en.delivery.refusals.window_passed);
    expect(moments[2]).toMatchObject({ text: en.delivery.proof.attested, tone: 'warn' });
  });
  it('leaves nothing out, also what it does not know', () => {
    const moments = momentsOf(told({ entries: [{ kind: 'something_new', at: '2026-05-03T11:02:00.000Z' }] }), en.delivery);
    expect(moments[0]!.title).toBe('something_new');
  });
  it('does not take a code for a member of every object', () => {
    const entries = [{ kind: 'constructor', at: '2026-05-03T11:02:00.000Z' }];
    expect(momentsOf(told({ entries }), en.delivery)[0]!.title).toBe('constructor');
  });
  it('names each device once', () => {
    const sent = (device: string) => ({ kind: 'delegation_accepted', at: '2026-05-03T11:02:00.000Z', device });
    expect(devicesOf(told({ entries: [sent('x'), sent('y'), sent('x')] }))).toEqual(['x', 'y']);
  });
});
