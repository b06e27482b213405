// Which files the shells hold, and what the worker answers on a full phone and over a dead link: the worker itself, run here.

import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { shell } from '../../build/service-workers';
import { NUDGE } from '../../src/apps/wallet/i18n/nudge';

describe('a push', () => {
  const template = readFileSync(new URL('../../build/service-worker-push.js', import.meta.url), 'utf8');
  const source = template.replace("'__NUDGE__'", JSON.stringify(NUDGE));
  type Heard = (event: Record<string, unknown>) => void;
  function worker(language: string, pages: object[] = []) {
    const heard: Record<string, Heard> = {};
    const shown: [string, { body: string; lang: string; tag: string }][] = [];
    const went: string[] = [];
    const self = {
      addEventListener: (what: string, then: Heard) => (heard[what] = then),
      navigator: { language },
      registration: { showNotification: async (title: string, more: never) => void shown.push([title, more]) },
      clients: { matchAll: async () => pages, openWindow: async (path: string) => void went.push(path) },
    };
    runInNewContext(source, { self, fetch: () => { throw new Error('a worker that is woken asks nobody'); } });
    const happens = async (what: string, event: object) => {
      const waits: Promise<unknown>[] = [];
      heard[what]!({ ...event, waitUntil: (work: Promise<unknown>) => waits.push(work) });
      await Promise.all(waits);
    };
    return { shown, went, happens };
  }

  it.each([
    ['en-GB', 'en'],
    ['de-AT', 'de'],
    ['es', 'es'],
    ['fi-FI', 'en'],
  ] as const)('shows the sentence of %s, and reads nothing of it', async (language, words) => {
    const { shown, happens } = worker(language);
    const data = { text: () => { throw new Error('a push has no content'); }, json: () => { throw new Error('nor this'); } };
    await happens('push', { data });
    expect(shown).toEqual([[NUDGE[words].title, expect.objectContaining({ body: NUDGE[words].body, lang: words, tag: 'news' })]]);
  });
  it('opens the wallet, or goes back to it', async () => {
    const closed = vi.fn();
    const none = worker('en');
    await none.happens('notificationclick', { notification: { close: closed } });
    expect(none.went).toEqual(['/']);
    const focus = vi.fn();
    const open = worker('en', [{ focus }]);
    await open.happens('notificationclick', { notification: { close: closed } });
    expect([focus.mock.calls.length, open.went, closed.mock.calls.length]).toEqual([1, [], 2]);
  });
  it('is for the wallet alone: the other workers hear none', () => {
    expect(readFileSync(new URL('../../build/service-worker.js', import.meta.url), 'utf8')).not.toContain("'push'");
  });
});

describe('a shell', () => {
  it('holds the languages, whichever chunk asks for them, and no more', () => {
    const chunk = (fileName: string, module: string, more: object = {}) => ({
      type: 'chunk', fileName, name: 'stop', facadeModuleId: module, imports: [], dynamicImports: [], ...more,
    });
    const bundle = {
      'entry.js': chunk('entry.js', '/src/apps/stop/main.ts', { dynamicImports: ['app.js'] }),
      'app.js': chunk('app.js', '/src/apps/stop/app.ts', { imports: ['shared.js'], dynamicImports: ['map.js'] }),
      'shared.js': chunk('shared.js', '/src/apps/stop/i18n/index.ts', { dynamicImports: ['en.js', 'de.js', 'es.js'] }),
      'map.js': chunk('map.js', '/src/lib/map/Map.svelte'),
      'en.js': chunk('en.js', '/src/apps/stop/i18n/en.ts'),
      'de.js': chunk('de.js', '/src/apps/stop/i18n/de.ts'),
      'es.js': chunk('es.js', '/src/apps/stop/i18n/es.ts'),
    };
    const files = shell(bundle as never, bundle['entry.js'] as never);
    expect(files).toEqual(['app.js', 'de.js', 'en.js', 'entry.js', 'es.js', 'shared.js']);
  });
});

describe('the worker', () => {
  const source = readFileSync(new URL('../../build/service-worker.js', import.meta.url), 'utf8');
  type Fetched = (event: { request: object; respondWith: (answer: Promise<Response>) => void }) => void;
  /** What it answers to one request. */
  function answers(request: { url: string; mode?: string }, network: () => Promise<Response>, kept: Response | undefined): Promise<Response> {
    const heard: Record<string, Fetched> = {};
    const self = { addEventListener: (what: string, then: Fetched) => (heard[what] = then), location: { origin: 'https://stop.example' } };
    const full = { put: () => Promise.reject(new DOMException('no room', 'QuotaExceededError')), keys: async () => [] };
    const caches = { match: async () => kept, open: async () => full };
    runInNewContext(source, { self, caches, fetch: network, URL, Response, Promise, setTimeout });
    return new Promise((resolve, reject) => {
      heard['fetch']!({ request: { method: 'GET', ...request }, respondWith: (answer) => answer.then(resolve, reject) });
    });
  }
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('gives a file that a full phone cannot keep', async () => {
    const answer = await answers({ url: 'https://stop.example/assets/x.js' }, async () => new Response('code'), undefined);
    expect(await answer.text()).toBe('code');
  });
  it('gives the kept page when a dead link says nothing for four seconds', async () => {
    const page = { url: 'https://stop.example/s/x', mode: 'navigate' };
    const asked = answers(page, () => new Promise(() => undefined), new Response('kept'));
    await vi.advanceTimersByTimeAsync(4_000);
    expect(await (await asked).text()).toBe('kept');
  });
  it('gives the new page when it comes in time, and waits for it where none is kept', async () => {
    const page = { url: 'https://stop.example/s/x', mode: 'navigate' };
    const soon = await answers(page, async () => new Response('new'), new Response('kept'));
    expect(await soon.text()).toBe('new');
    const slow = () => new Promise<Response>((resolve) => setTimeout(() => resolve(new Response('slow')), 9_000));
    const asked = answers(page, slow, undefined);
    await vi.advanceTimersByTimeAsync(9_000);
    expect(await (await asked).text()).toBe('slow');
  });
});
