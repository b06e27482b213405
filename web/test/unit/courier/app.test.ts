// Messages and log-out of the courier app over a network that hangs, with a disk in memory.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const disk = vi.hoisted(() => ({ outbox: new Map<number, unknown>(), kept: new Map<string, unknown>(), seq: 0 }));
vi.mock('../../../src/apps/courier/db', () => {
  const store = (name: 'outbox' | 'kept') => ({
    add: (value: unknown) => (disk.outbox.set(++disk.seq, value), disk.seq),
    put: (value: unknown, key: string) => disk.kept.set(key, value),
    get: (key: string) => disk.kept.get(key),
    getAll: () => [...disk.outbox].map(([seq, value]) => ({ ...(value as object), seq })),
    delete: (key: never) => disk[name].delete(key),
    clear: () => disk[name].clear(),
  });
  const stored = async (name: 'outbox' | 'kept', _: string, ask: (s: unknown) => unknown) => ask(store(name));
  const forgetRoute = async () => disk.kept.clear();
  const forget = async () => (disk.kept.clear(), disk.outbox.clear());
  return { stored, forget, forgetRoute };
});
const { outbox } = await import('../../../src/apps/courier/outbox.svelte');
const { app } = await import('../../../src/apps/courier/app.svelte');
const { signOut, Silence } = await import('../../../src/apps/courier/api');

const silent = () => Promise.reject(new TypeError('offline'));
beforeEach(() => {
  disk.outbox.clear();
  disk.kept.clear();
  outbox.forget();
  vi.useFakeTimers();
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('a message', () => {
  it('is on the disk although the one before it hangs', async () => {
    vi.stubGlobal('fetch', () => new Promise(() => undefined));
    await outbox.say('outcome', '/a', {});
    await outbox.say('finish', '/b', {});
    expect([...disk.outbox.values()]).toMatchObject([{ path: '/a' }, { path: '/b' }]);
    outbox.forget();
  });
  it('is given up on a dead link after fifteen seconds', async () => {
    const waits: number[] = [];
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => (waits.push(ms), new AbortController().signal));
    vi.stubGlobal('fetch', silent);
    await expect(signOut()).rejects.toBeInstanceOf(Silence);
    timeout.mockRestore();
    expect(waits).toEqual([15_000]);
  });
  it('was not heard where a page came in place of the answer', async () => {
    vi.stubGlobal('fetch', async () => new Response('<html>Welcome</html>'));
    await expect(signOut()).rejects.toBeInstanceOf(Silence);
  });
});

describe('logging out', () => {
  const ROUTE = { stops: [{ door: { address: 'Kaivokatu 1', state: 'planned' } }] };
  async function logsIn(): Promise<void> {
    vi.stubGlobal('fetch', async () => Response.json(ROUTE));
    await app.logIn('code');
    expect(disk.kept.has('route')).toBe(true);
  }
  it('by the carrier leaves no address on the phone', async () => {
    await logsIn();
    vi.stubGlobal('fetch', async () => Response.json({ code: 'not_logged_in' }, { status: 401 }));
    await app.read();
    expect([app.state, app.route, disk.kept.size]).toEqual(['out', undefined, 0]);
  });
  it('leaves nothing, with or without a network, and says that the carrier did not hear it', async () => {
    await logsIn();
    vi.stubGlobal('fetch', silent);
    await outbox.say('outcome', '/a', {});
    await app.logOut();
    expect([app.state, app.route, disk.kept.size, disk.outbox.size, outbox.waiting.length]).toEqual(['out', undefined, 0, 0, 0]);
    expect(app.unheard).toBe(true);
    await app.read();
    expect(app.state).toBe('out');
  });
  it('is said again until the carrier has heard it', async () => {
    await logsIn();
    vi.stubGlobal('fetch', silent);
    await app.logOut();
    vi.stubGlobal('fetch', async () => new Response(null, { status: 204 }));
    await app.logOut();
    expect([app.state, app.unheard]).toEqual(['out', false]);
  });
});
