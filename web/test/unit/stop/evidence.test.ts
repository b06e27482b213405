// What the page does with a photo and a close while the network comes and goes: the runner itself, with a disk in memory.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Piece } from '$lib/offline/outbox';
import type { AccessClass } from '$lib/protocol/text';
import { SealPublicKey } from '$lib/protocol/sealkey';

const disk = vi.hoisted(() => ({ pieces: new Map<string, unknown>(), watched: new Map<string, { attempt: string; seal?: string }>(), isBroken: false }));
vi.mock('$lib/offline/db', () => ({
  database: async () => {
    if (disk.isBroken) throw new Error('no disk');
    return {
      get: async (_: string, key: string) => disk.watched.get(key),
      delete: async (_: string, key: string) => void disk.watched.delete(key),
      put: async (_: string, value: { attempt: string }) => void disk.watched.set(value.attempt, value),
    };
  },
  shelf: () => ({
    all: async () => [...disk.pieces.values()],
    put: async (piece: Piece<unknown>) => void disk.pieces.set(piece.key, piece),
    remove: async (key: string, atMs: number) => void ((disk.pieces.get(key) as Piece<unknown> | undefined)?.atMs === atMs && disk.pieces.delete(key)),
  }),
}));
const { Acting, fetchKeys, leavePhoto, lookAt, Problem, Session, Silence } = await import('../../../src/apps/stop/core/session');
const { failureOf, Runner, start } = await import('../../../src/apps/stop/core/run');
const { createApi } = await import('$lib/api');
const { Unanswered } = await import('$lib/api/again');
type Event = import('../../../src/apps/stop/machine').Event;

const answer = (status: number, body: string): Response => new Response(body, { status });

afterEach(() => vi.unstubAllGlobals());
describe('a photo', () => {
  beforeEach(() => disk.pieces.clear());

  it('has a minute and a half to arrive', async () => {
    const waits: number[] = [];
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => (waits.push(ms), new AbortController().signal));
    vi.stubGlobal('fetch', async () => answer(201, '{"hash":"x"}'));
    await leavePhoto('d', 'a', 'p');
    timeout.mockRestore();
    expect(waits).toEqual([90_000]);
  });
  it('has not arrived where a page came in place of the answer', async () => {
    vi.stubGlobal('fetch', async () => answer(200, '<html>Welcome to the hotel</html>'));
    await expect(leavePhoto('d', 'a', 'p')).rejects.toBeInstanceOf(Silence);
  });
  it('is refused by a problem only', async () => {
    vi.stubGlobal('fetch', async () => answer(404, '{"code":"attempt_unknown"}'));
    await expect(leavePhoto('d', 'a', 'p')).rejects.toBeInstanceOf(Problem);
  });
});

describe('a request to open', () => {
  it.each<[string, AccessClass[], number]>([
    ['a car', ['trunk', 'cabin'], 15_000],
    ['a garage', ['garage'], 15_000],
    ['a front door, whose camera is proved live first', ['door'], 45_000],
  ])('waits for %s', async (_, opens, waits) => {
    const waited: number[] = [];
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => (waited.push(ms), new AbortController().signal));
    vi.stubGlobal('fetch', async () => answer(202, '{"attempt":"a","state":"intended"}'));
    const acting = new Acting({} as never, {} as never, 'd', 'l', opens);
    Object.assign(acting, { prepare: async () => ({ path: '/open', headers: {}, body: new Uint8Array() }) });
    expect(await acting.open({ lat: 0, lng: 0, accuracyM: 10 }, [], async () => undefined)).toMatchObject({ attempt: 'a' });
    timeout.mockRestore();
    expect(waited).toEqual([waits]);
  });
});

describe('the runner', () => {
  beforeEach(() => {
    disk.pieces.clear();
    vi.useFakeTimers();
    vi.stubGlobal('history', { replaceState: () => undefined });
    vi.stubGlobal('location', { pathname: '/', origin: 'https://stop.example' });
  });
  afterEach(() => vi.useRealTimers());

  const ATTEMPT = { id: 'a', seq: 1, state: 'open' };
  function runner(session: object): { runner: InstanceType<typeof Runner>; heard: Event[] } {
    const heard: Event[] = [];
    const made = new Runner(
      { pin: null } as never,
      { delivery: 'd', link: 'l', sealPhoto: async () => new Uint8Array([1, 2, 3]), ...session } as never,
      Object.assign(new Uint8Array(2), { text: '', salt: '' }) as never,
      (e) => heard.push(e),
      () => ({ attempt: ATTEMPT, fix: null }) as never,
    );
    (made as unknown as { owner: object }).owner = {};
    return { runner: made, heard };
  }

  const KEY = { text: 'owner' };
  it.each<[string, object | null, object | null]>([
    ['with the answer to open, at a house', KEY, KEY],
    ['and stays, where the answer brings none', null, {}],
  ])('has the owner’s key for photos %s', async (_, brought, expected) => {
    const open = async (): Promise<object> => ({ attempt: 'a', state: 'intended', owner: brought });
    const { runner: made, heard } = runner({ open });
    made.run({ do: 'open', labels: [] });
    await vi.advanceTimersByTimeAsync(10);
    expect(heard).toEqual([{ is: 'named', attempt: 'a', state: 'intended' }]);
    expect((made as unknown as { owner: object }).owner).toEqual(expected);
    // It lies beside the attempt for a page that is loaded anew, and the screens hear of it.
    disk.watched.clear();
    const known: boolean[] = [];
    made.onOwner = (k) => known.push(k);
    made.run({ do: 'watch', attempt: 'a', takenOver: false });
    await vi.advanceTimersByTimeAsync(10);
    expect([known, disk.watched.get('a')?.seal]).toEqual([[true], brought ? 'owner' : undefined]);
  });
  it('keeps a photo before it is sent', async () => {
    const onDisk: string[][] = [];
    vi.stubGlobal('fetch', async () => (onDisk.push([...disk.pieces.keys()].map((k) => k.split(':')[0]!)), answer(201, '{}')));
    const { runner: made, heard } = runner({});
    await made.photograph(new Uint8Array(3));
    expect(onDisk).toEqual([['photo']]);
    expect(disk.pieces.size).toBe(0);
    expect(heard.at(-1)).toMatchObject({ is: 'photo_kept', queued: false });
  });
  it('names a photo as soon as it is on the disk, and says later that it was sent', async () => {
    let arrives: (r: Response) => void = () => undefined;
    vi.stubGlobal('fetch', () => new Promise<Response>((done) => (arrives = done)));
    const said: unknown[] = [];
    const close = async (_: unknown, what: unknown): Promise<object> => (said.push(what), { ...ATTEMPT, state: 'locked' });
    const { runner: made, heard } = runner({ close });
    const sent = made.photograph(new Uint8Array(3));
    await vi.advanceTimersByTimeAsync(10);
    expect(heard.map((e) => e.is)).toEqual(['photo_taken', 'photo_sealed']);
    const { hash } = heard[1] as { hash: string };
    // A close does not wait behind it.
    made.run({ do: 'close', handleChecked: true, photo: hash });
    await vi.advanceTimersByTimeAsync(10);
    expect(said).toEqual([{ handleChecked: true, photo: hash, done: false }]);
    arrives(answer(201, '{}'));
    await sent;
    expect(heard.filter((e) => e.is === 'photo_kept')).toEqual([{ is: 'photo_kept', hash, queued: false }]);
  });
  it('says of a photo that waited when it is sent', async () => {
    let isUp = false;
    vi.stubGlobal('fetch', async () => (isUp ? answer(201, '{}') : Promise.reject(new TypeError('offline'))));
    const { runner: made, heard } = runner({});
    await made.photograph(new Uint8Array(3));
    isUp = true;
    await made.replay();
    expect(heard.map((e) => (e.is === 'photo_kept' ? e.queued : e.is))).toEqual(['photo_taken', 'photo_sealed', true, false]);
  });
  it('names a photo that no disk takes once it was sent', async () => {
    vi.stubGlobal('fetch', async () => answer(201, '{}'));
    const { runner: made, heard } = runner({});
    const put = vi.spyOn(disk.pieces, 'set').mockImplementation(() => {
      throw new Error('full');
    });
    await made.photograph(new Uint8Array(3));
    put.mockRestore();
    expect(heard.map((e) => e.is)).toEqual(['photo_taken', 'photo_sealed', 'photo_kept']);
  });
  it('of a photo that is refused for good the name is told, for a newer one may be there', async () => {
    vi.stubGlobal('fetch', async () => answer(409, '{"code":"too_many_photos"}'));
    const { runner: made, heard } = runner({});
    await made.photograph(new Uint8Array(3));
    const { hash } = heard[1] as { hash: string };
    expect(heard.at(-1)).toEqual({ is: 'failed', act: 'photo', photo: hash, code: 'photo_refused', passing: false });
  });
  it('sends after the stop is over what could not be sent before', async () => {
    let isUp = false;
    vi.stubGlobal('fetch', async () => (isUp ? answer(201, '{}') : Promise.reject(new TypeError('offline'))));
    const { runner: made, heard } = runner({});
    await made.photograph(new Uint8Array(3));
    expect(heard.at(-1)).toMatchObject({ is: 'photo_kept', queued: true });
    made.run({ do: 'wipe' });
    isUp = true;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(disk.pieces.size).toBe(0);
  });
  it('keeps a close before it is said, and drops it when it was heard', async () => {
    const onDisk: string[][] = [];
    const close = async (): Promise<object> => (onDisk.push([...disk.pieces.keys()]), { ...ATTEMPT, state: 'locking' });
    const { runner: made, heard } = runner({ close });
    made.run({ do: 'close', handleChecked: false, photo: null });
    await vi.advanceTimersByTimeAsync(10);
    expect(onDisk).toEqual([['close:d']]);
    expect(disk.pieces.size).toBe(0);
    expect(heard.at(-1)).toMatchObject({ is: 'news' });
  });
  it('queues a close that nobody heard', async () => {
    const { runner: made, heard } = runner({ close: async () => Promise.reject(new Silence('no answer')) });
    made.run({ do: 'close', handleChecked: false, photo: null });
    await vi.advanceTimersByTimeAsync(10);
    expect(heard.at(-1)).toEqual({ is: 'close_queued' });
    expect([...disk.pieces.keys()]).toEqual(['close:d']);
  });
  it('can seal photos to the owner after a reload', async () => {
    const { runner: before } = runner({});
    const key = new SealPublicKey(new Uint8Array(1216));
    (before as unknown as { owner: object }).owner = key;
    before.run({ do: 'watch', attempt: 'a', takenOver: false });
    await vi.advanceTimersByTimeAsync(10);
    const { runner: after } = runner({});
    (after as unknown as { owner: object | null }).owner = null;
    const known: boolean[] = [];
    after.onOwner = (is) => known.push(is);
    after.run({ do: 'watch', attempt: 'a', takenOver: false });
    await vi.advanceTimersByTimeAsync(10);
    expect(known).toEqual([true]);
    expect((after as unknown as { owner: unknown }).owner).toEqual(key);
    expect(disk.watched.get('a')?.seal).toBe(key.text);
  });
  it('looks again after a failure of any kind', async () => {
    vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    let looks = 0;
    const attempt = async (): Promise<object> => {
      looks += 1;
      throw new SyntaxError('not JSON');
    };
    const { runner: made, heard } = runner({ attempt });
    for (let n = 1; n <= 2; n++) {
      made.run({ do: 'follow', attempt: 'a', after: 0, inMs: 0 });
      await vi.advanceTimersByTimeAsync(10);
      expect(heard.at(-1)).toEqual({ is: 'failed', act: 'follow', code: 'silence', passing: true });
      expect(looks).toBe(n);
    }
  });
});

describe('an opening', () => {
  const opens = (open: (leaves: () => Promise<void>) => Promise<unknown>, openUnknownMs: number | null = null) => {
    const session = { delivery: 'd', open: (_: unknown, __: unknown, leaves: () => Promise<void>) => open(leaves) };
    const made = Object.create(Runner.prototype) as { open: (at: null, labels: string[]) => Promise<unknown> };
    return Object.assign(made, { session, stateOf: () => ({ openUnknownMs }) }).open(null, []);
  };
  const row = () => [...disk.watched.values()].find((w) => w.attempt === 'asked d');
  beforeEach(() => disk.watched.clear());

  it('is on the disk before its request leaves, with no link and no place', async () => {
    await opens(async (leaves) => {
      expect(row()).toBeUndefined();
      await leaves();
      expect(Object.keys(row()!).sort()).toEqual(['asked', 'attempt', 'delivery', 'sinceMs']);
      return { attempt: 'a' };
    });
    expect(row(), 'until its attempt has a row').toBeDefined();
  });
  it('once more: its attempt is known already, and nothing is remembered as unanswered', async () => {
    disk.watched.set('a', { attempt: 'a', delivery: 'd', text: '', sinceMs: 0 } as never);
    await opens(async (leaves) => {
      await leaves();
      expect(row()).toBeDefined();
      return { attempt: 'a' };
    });
    expect(row()).toBeUndefined();
  });
  it.each([[null, false], [1, true]])('a request that came too late says nothing of an earlier one (%s)', async (openUnknownMs, isKept) => {
    const late = new Problem(403, 'nonce_expired', '', undefined);
    const asked = opens(async (leaves) => {
      await leaves();
      throw late;
    }, openUnknownMs);
    await expect(asked).rejects.toBe(late);
    expect(row() !== undefined).toBe(isKept);
  });
  it.each<[string, Error, boolean]>([
    ['no answer', new Unanswered('no answer'), true],
    ['a keyholder that is too busy', new Problem(503, 'too_slow', '', undefined), true],
    ['a refusal', new Problem(409, 'attempt_of_another', '', undefined), false],
  ])('after %s it is remembered or not', async (_, error, isKept) => {
    const asked = opens(async (leaves) => {
      await leaves();
      throw error;
    });
    await expect(asked).rejects.toBe(error);
    expect(row() !== undefined).toBe(isKept);
  });
});

describe('an answer about the car', () => {
  it.each([['locate', 45_000], ['describe', 45_000], ['close', 15_000], ['lock', 15_000]])('%s is waited for %i ms', async (act, ms) => {
    const waits: number[] = [];
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation((n) => (waits.push(n), new AbortController().signal));
    vi.stubGlobal('fetch', async () => answer(200, '{}'));
    const session = { prepare: async () => ({ path: '/x', headers: {}, body: new Uint8Array() }) };
    await (Session.prototype as unknown as { act: (act: string, at: null) => Promise<unknown> }).act.call(session, act as string, null);
    timeout.mockRestore();
    expect(waits).toEqual([ms]);
  });
});

describe('a failure that nobody thought of', () => {
  it('is no answer, and may pass', async () => {
    vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    expect(failureOf(new TypeError('Failed to fetch dynamically imported module'))).toEqual({ code: 'silence', passing: true });
    disk.isBroken = true;
    expect(await start('d', { link: '', salt: '' } as never, () => undefined, () => null)).toEqual({ is: 'failed', code: 'silence' });
  });
});

describe('a request to a network that swallows it', () => {
  it.each<[string, () => Promise<unknown>]>([
    ['a nonce', () => (Session.prototype as unknown as { nonce: (act: string) => Promise<unknown> }).nonce.call(session(), 'open')],
    ['the keys', () => fetchKeys(null)],
    ['an attempt', () => lookAt('a')],
  ])('ends: %s', async (_, ask) => {
    vi.stubGlobal('location', { origin: 'https://stop.example' });
    const limits: AbortController[] = [];
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
      expect(ms).toBe(15_000);
      limits.push(new AbortController());
      return limits.at(-1)!.signal;
    });
    const asked: AbortSignal[] = [];
    vi.stubGlobal('fetch', (input: Request | string, init?: RequestInit) => {
      asked.push((init?.signal ?? (input as Request).signal)!);
      return Promise.reject(new DOMException('timed out', 'TimeoutError'));
    });
    await expect(ask()).rejects.toThrow();
    timeout.mockRestore();
    expect([limits.length, asked.length]).toEqual([1, 1]);
    limits[0]!.abort();
    expect(asked[0]!.aborted).toBe(true);
  });
  const session = (): object => ({ delivery: 'd', link: 'l', device: { thumbprint: 't' }, api: createApi({ origin: 'https://stop.example' }) });
});
