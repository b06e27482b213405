import { describe, expect, it } from 'vitest';
import { stepOf } from '../../../src/apps/wallet/core/rehearsal';
import en from '../../../src/apps/wallet/i18n/more.en';

const at = (state: string, change: { alarm?: string; check_handle?: boolean } = {}) =>
  stepOf({ state, alarm: change.alarm ?? null, check_handle: change.check_handle ?? false });

describe('what an owner does who rehearses', () => {
  it.each([
    ['intended', 'opening'],
    ['sent', 'opening'],
    ['ready', 'pull'],
    ['open', 'open'],
    ['locking', 'locking'],
    ['locked', 'locked'],
    ['acknowledged', 'locked'],
    ['did_not_happen', 'notOpened'],
    ['unknown', 'unsure'],
    // What a later keyholder may say is nothing to be sure of.
    ['something_new', 'unsure'],
  ])('%s: %s', (state, step) => {
    expect(at(state)).toBe(step);
  });
  it('is asked for the handle before anything is called locked', () => {
    expect(at('locking', { check_handle: true })).toBe('handle');
    expect(at('locked', { check_handle: true })).toBe('handle');
  });
  it('sees an alarm before everything', () => {
    for (const state of ['open', 'locking', 'locked', 'unknown']) expect(at(state, { alarm: 'lock_failed' })).toBe('alarm');
  });
  it('is addressed as the owner where words for a courier would be wrong', () => {
    for (const code of Object.keys(en.rehearse.denied)) expect(Object.hasOwn(en.delivery.denied, code)).toBe(true);
  });
});
