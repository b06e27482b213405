// Whose messages are sent, and what a later word does to an earlier one.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const disk = vi.hoisted(() => ({ rows: new Map<number, object>(), seq: 0 }));
vi.mock('../../../src/apps/courier/db', () => {
  const store = {
    add: (value: object) => (disk.rows.set(++disk.seq, value), disk.seq),
    getAll: () => [...disk.rows].map(([seq, value]) => ({ ...value, seq })),
    delete: (seq: number) => disk.rows.delete(seq),
  };
  return { stored: async (_: string, __: string, ask: (s: unknown) => unknown) => ask(store), forgetRoute: async () => undefined };
});
const { outbox } = await import('../../../src/apps/courier/outbox.svelte');

const silent = () => Promise.reject(new TypeError('offline'));
const bodies = () => [...disk.rows.values()].map((m) => (m as { body: unknown }).body);
beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('fetch', silent);
});
afterEach(async () => {
  for (const who of ['ada', 'bo']) {
    outbox.who = who;
    await outbox.forget();
  }
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('a message', () => {
  it('is sent in the name of whoever said it, and waits while another is logged in', async () => {
    outbox.who = 'ada';
    await outbox.say('outcome', '/a', { of: 'ada' });
    await vi.advanceTimersByTimeAsync(1);
    outbox.who = 'bo';
    expect(outbox.waiting).toEqual([]);
    const asked: unknown[] = [];
    vi.stubGlobal('fetch', async (path: unknown) => (asked.push(path), Response.json({})));
    await outbox.say('outcome', '/b', { of: 'bo' });
    await vi.advanceTimersByTimeAsync(6_000);
    expect([asked, bodies()]).toEqual([['/b'], [{ of: 'ada' }]]);
    await outbox.forget();
    expect(bodies(), 'a log-out takes nothing of another’s').toEqual([{ of: 'ada' }]);
    outbox.who = 'ada';
    await outbox.flush();
    expect([asked, bodies()]).toEqual([['/b', '/a'], []]);
  });
  it('is seen as said, and a later word takes the place of one that has not left', async () => {
    outbox.who = 'ada';
    await outbox.say('door', '/doors/1', { state: 'done' }, true);
    await vi.advanceTimersByTimeAsync(1);
    expect(outbox.said('/doors/1')).toEqual({ state: 'done' });
    await outbox.say('door', '/doors/1', { state: 'planned' }, true);
    expect([outbox.said('/doors/1'), outbox.waiting.length, bodies()]).toEqual([{ state: 'planned' }, 1, [{ state: 'planned' }]]);
    await outbox.say('fallback', '/done', { parcel: 'x' });
    await outbox.say('fallback', '/done', { parcel: 'y' });
    expect(outbox.waiting).toHaveLength(3);
  });
  it('that is on its way is not taken back', async () => {
    outbox.who = 'ada';
    let answer = (_: Response): void => undefined;
    vi.stubGlobal('fetch', () => new Promise<Response>((done) => (answer = done)));
    await outbox.say('shift', '/shift', { on: true }, true);
    await outbox.say('shift', '/shift', { on: false }, true);
    expect(outbox.waiting).toHaveLength(2);
    vi.stubGlobal('fetch', async () => Response.json({}));
    answer(Response.json({}));
    await vi.advanceTimersByTimeAsync(1);
    expect(outbox.waiting).toEqual([]);
  });
});
