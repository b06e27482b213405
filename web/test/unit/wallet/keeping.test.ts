import { describe, expect, it } from 'vitest';
import { isErasable } from '../../../src/apps/wallet/core/keeping';
import type { Attempt } from '../../../src/apps/wallet/core/model';

const NOON = Date.parse('2026-05-03T12:00:00Z');
const attempt = (state: string, ended: boolean): Attempt => ({
  attempt: 'a', state, ended, reason: null, ready_until: null, may_act_until: null, released: false, recalled: false, alarm: null,
  lock_proof: null, check_handle: false,
});
const one = (change: object) => ({ blocked: false, until: '2026-05-03T14:00:00Z', attempt: null, ...change });

describe('what can be erased', () => {
  it.each([
    ['nothing happened yet', one({}), false],
    ['it is stopped', one({ blocked: true }), true],
    ['the time has passed', one({ until: '2026-05-03T11:00:00Z' }), true],
    ['it was opened and is locked', one({ attempt: attempt('locked', true) }), true],
    ['a person said that it is locked', one({ attempt: attempt('acknowledged', true) }), true],
    ['it did not open and may be tried again', one({ attempt: attempt('did_not_happen', true) }), false],
    ['it is stopped but may be open', one({ blocked: true, attempt: attempt('open', false) }), false],
    ['the time has passed but nobody knows', one({ until: '2026-05-03T11:00:00Z', attempt: attempt('unknown', false) }), false],
  ])('%s', (_why, delivery, erasable) => {
    expect(isErasable(delivery, NOON)).toBe(erasable);
  });
});
