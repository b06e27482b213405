// Whether this device is woken: what the browser is asked, what the gateway is told, and what is left behind.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { b64, fromB64 } from '../../../src/lib/protocol/bytes';

const told: [string, unknown][] = [];
let key: string | null;
let refused: string | null;
vi.mock('../../../src/apps/wallet/core/gateway', () => ({
  api: {
    GET: async () => ({ response: new Response(null, { status: 200 }), data: { key } }),
    POST: async (path: string, { body }: { body: unknown }) => {
      told.push([path, body]);
      if (!refused) return { response: new Response(null, { status: 204 }) };
      return { response: new Response(null, { status: 422 }), error: { code: refused, title: refused, status: 422 } };
    },
  },
}));
const store = new Map<string, unknown>();
vi.mock('../../../src/apps/wallet/core/db', () => ({
  kept: async (name: string) => store.get(name),
  keep: async (name: string, value: unknown) => void store.set(name, value),
}));
const { sleep, stayAwake, wake, waking } = await import('../../../src/apps/wallet/core/push');

const KEY = b64(new Uint8Array(65).fill(4));
const OTHER = b64(new Uint8Array(65).fill(5));
const NOW = Date.parse('2026-05-03T12:00:00Z');

/** A browser with a push service that gives each subscription an address of its own. */
class Browser {
  subscription: { endpoint: string; options: { applicationServerKey: ArrayBuffer }; unsubscribe: () => Promise<boolean> } | null = null;
  asked: { userVisibleOnly: boolean }[] = [];
  permission: NotificationPermission = 'default';
  answer: NotificationPermission = 'granted';
  silent = false;
  readonly pushManager = {
    getSubscription: async () => this.subscription,
    subscribe: async (options: { userVisibleOnly: boolean; applicationServerKey: Uint8Array<ArrayBuffer> }) => {
      this.asked.push(options);
      if (this.silent) throw new DOMException('Registration failed - push service not available', 'AbortError');
      this.subscription = {
        endpoint: `https://push.example/${this.asked.length}`,
        options: { applicationServerKey: options.applicationServerKey.slice().buffer },
        unsubscribe: async () => ((this.subscription = null), true),
      };
      return this.subscription;
    },
  };
  use(): void {
    const self = this;
    vi.stubGlobal('navigator', { serviceWorker: { getRegistration: async () => ({ pushManager: this.pushManager }) } });
    vi.stubGlobal('PushManager', class {});
    vi.stubGlobal('Notification', {
      get permission() {
        return self.permission;
      },
      requestPermission: async () => (self.permission = self.answer),
    });
  }
}

let browser: Browser;
beforeEach(() => {
  told.length = 0;
  store.clear();
  [key, refused] = [KEY, null];
  browser = new Browser();
  browser.use();
});
afterEach(() => vi.unstubAllGlobals());

describe('a device that is woken', () => {
  it('is asked for, shown as it is, and says its address and nothing else', async () => {
    expect(await waking()).toBe('off');
    expect(await wake()).toBe('on');
    expect(await waking()).toBe('on');
    expect(told).toEqual([['/v1/wallet/push', { endpoint: 'https://push.example/1' }]]);
    expect(browser.asked).toEqual([{ userVisibleOnly: true, applicationServerKey: fromB64(KEY) }]);
  });
  it('is not asked for twice', async () => {
    await wake();
    await wake();
    expect(browser.asked).toHaveLength(1);
  });
  it('is none where the browser cannot, the gateway does not, or the owner will not', async () => {
    key = null;
    expect([await waking(), await wake()]).toEqual(['not_offered', 'not_offered']);
    key = KEY;
    browser.answer = 'denied';
    expect([await wake(), await waking()]).toEqual(['blocked', 'blocked']);
    vi.stubGlobal('navigator', {});
    expect([await waking(), await wake()]).toEqual(['unable', 'unable']);
    expect([told, browser.asked]).toEqual([[], []]);
  });
  it('leaves no subscription behind that the gateway does not send to', async () => {
    refused = 'push_service_unknown';
    await expect(wake()).rejects.toMatchObject({ code: 'push_service_unknown' });
    expect(browser.subscription).toBeNull();
  });
  it('says so when the push service does not answer', async () => {
    browser.silent = true;
    await expect(wake()).rejects.toMatchObject({ code: 'push_service_silent' });
  });
  it('ends in the browser even when the gateway cannot be told', async () => {
    await wake();
    refused = 'session_missing';
    await sleep();
    expect([browser.subscription, await waking()]).toEqual([null, 'off']);
    expect(told.at(-1)).toEqual(['/v1/wallet/push/remove', { endpoint: 'https://push.example/1' }]);
    await sleep();
    expect(told).toHaveLength(2);
  });
});

describe('a device that stays awake', () => {
  it('says so once a day', async () => {
    await wake();
    store.set('push-said-at', NOW);
    await stayAwake(NOW + 3_600_000);
    expect(told).toHaveLength(1);
    await stayAwake(NOW + 90_000_000);
    expect(told).toHaveLength(2);
  });
  it('begins anew with the gateway’s new key, and when the browser has dropped it', async () => {
    await wake();
    key = OTHER;
    await stayAwake(Date.now() + 90_000_000);
    expect(told.at(-1)).toEqual(['/v1/wallet/push', { endpoint: 'https://push.example/2' }]);
    browser.subscription = null;
    await stayAwake();
    expect(told.at(-1)).toEqual(['/v1/wallet/push', { endpoint: 'https://push.example/3' }]);
  });
  it('does not begin by itself where it never was, or was ended', async () => {
    browser.permission = 'granted';
    await stayAwake();
    await wake();
    await sleep();
    const before = told.length;
    await stayAwake();
    expect([browser.subscription, told.length]).toEqual([null, before]);
  });
});
