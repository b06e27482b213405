// Which files the shells hold, and what the worker answers on a full phone and over a dead link: the worker itself, run here.

import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { shell } from '../../build/service-workers';

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
