import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { format } from '$lib/i18n';
import { i18n } from '../../../src/apps/wallet/i18n';
import en from '../../../src/apps/wallet/i18n/en';
import { asThisWallet } from '../../../src/apps/wallet/core/gateway';
import { session } from '../../../src/apps/wallet/core/session.svelte';
import { Action, explain, noteEnded } from '../../../src/apps/wallet/parts/action.svelte';
import { halted } from '../../../src/apps/wallet/parts/halting';

const real = fetch;
let server: Server | undefined;
/** A gateway at the page's own origin. */
async function gateway(answer: RequestListener): Promise<{ asked: string[] }> {
  const asked: string[] = [];
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  vi.stubGlobal('fetch', (path: string, init?: RequestInit) => real(`http://127.0.0.1:${port}${path}`, init));
  return { asked };
}
const says = (status: number, body: object): RequestListener => (_, response) => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

beforeAll(() => i18n.load('en'));
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  server?.closeAllConnections();
  server?.close();
});

describe('a stop in words', () => {
  it('says that no command leaves any more when the keyholder said so', async () => {
    await gateway(says(200, { blocked: true, settled: true, may_act_until: null }));
    expect(await halted({ scope: 'all' })).toEqual({ tone: 'good', text: en.block.done });
  });
  it('says until when one may still act', async () => {
    const until = '2026-05-03T12:00:30Z';
    await gateway(says(200, { blocked: true, settled: false, may_act_until: until }));
    expect(await halted({ scope: 'all' })).toEqual({ tone: 'warn', text: en.block.settling(format.seconds(until)) });
  });
  it('has no words when there was no answer', async () => {
    const { asked } = await gateway((request) => request.destroy());
    await expect(halted({ scope: 'all' })).rejects.toThrow();
    expect(asked).toEqual(Array(3).fill('POST /v1/wallet/blocks'));
  });
  it('has none when it was refused', async () => {
    const { asked } = await gateway(says(409, { code: 'delivery_unknown' }));
    await expect(halted({ scope: 'all' })).rejects.toMatchObject({ code: 'delivery_unknown' });
    expect(asked).toHaveLength(1);
  });
});

describe('a stop that gets no further', () => {
  it('waits so long for each answer and no longer', async () => {
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    const asked = vi.spyOn(AbortSignal, 'timeout').mockImplementation(() => timeout(50));
    const { asked: tries } = await gateway(() => {});
    const error: unknown = await halted({ scope: 'all' }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: 'TimeoutError' });
    expect(explain(error)).toBe(en.error.silence);
    expect(tries).toHaveLength(3);
    expect(asked.mock.calls).toEqual(Array(3).fill([8_000]));
  });
  it('says that the session is over, so that the sheet offers to log in', async () => {
    await gateway(says(401, { code: 'session_missing' }));
    session.ended = false;
    const error: unknown = await halted({ scope: 'all' }).catch((caught: unknown) => caught);
    expect(noteEnded(error)).toBe(true);
    expect(session.ended).toBe(true);
    session.ended = false;
    const action = new Action();
    expect(await action.run(async () => void (await halted({ scope: 'all' })))).toBe(false);
    expect(session.ended).toBe(true);
    session.ended = false;
    expect(noteEnded(new TypeError('no network'))).toBe(false);
    expect(session.ended).toBe(false);
  });
  it('asks nobody once the session is over: the cookie may be another wallet’s', async () => {
    const { asked } = await gateway(says(200, { blocked: true, settled: true, may_act_until: null }));
    session.ended = true;
    const error: unknown = await halted({ scope: 'all' }).catch((caught: unknown) => caught);
    expect([noteEnded(error), asked]).toEqual([true, []]);
    const requests: Request[] = [];
    vi.stubGlobal('fetch', async (request: Request) => (requests.push(request), Response.json({})));
    const of = (path: string) => asThisWallet(`https://wallet.example${path}`);
    expect([(await of('/v1/wallet/deliveries')).status, (await of('/v1/keys')).status]).toEqual([401, 200]);
    session.ended = false;
    expect((await of('/v1/wallet/deliveries')).status).toBe(200);
    expect(requests.map((r) => [new URL(r.url).pathname, r.headers.get('parcelshelf-session')])).toEqual([
      ['/v1/keys', 'cookie'],
      ['/v1/wallet/deliveries', 'cookie'],
    ]);
  });
});
