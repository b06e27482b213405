import { describe, expect, it } from 'vitest';
import { answered, createApi, Problem, Silence } from '$lib/api/client';

interface Paths {
  '/v1/thing': { get: { responses: { 200: { content: { 'application/json': { a: number } } } } } };
}
const asked = async (answer: () => Promise<Response>) => {
  const api = createApi<Paths>({ origin: 'https://front.example', fetch: answer });
  return answered(await api.GET('/v1/thing' as never, {} as never));
};

describe('the client', () => {
  it('gives the body of a good answer, and none where there is none', async () => {
    expect(await asked(async () => Response.json({ a: 1 }))).toEqual({ a: 1 });
    await expect(asked(async () => new Response(null, { status: 204 }))).resolves.toBeUndefined();
  });
  it('throws a problem with its code', async () => {
    const said = asked(async () => Response.json({ code: 'too_late', title: 't' }, { status: 409 }));
    await expect(said).rejects.toMatchObject({ status: 409, code: 'too_late' });
    await expect(asked(async () => new Response(null, { status: 502 }))).rejects.toBeInstanceOf(Problem);
  });
  it.each<[string, () => Promise<Response>]>([
    ['no network', () => Promise.reject(new TypeError('Failed to fetch'))],
    ['a limit that is over', () => Promise.reject(new DOMException('signal timed out', 'TimeoutError'))],
    ['the page of a captive portal', async () => new Response('<html>Welcome</html>', { headers: { 'content-type': 'text/html' } })],
    ['JSON that was cut off', async () => new Response('{"a":', { headers: { 'content-type': 'application/json' } })],
    ['a connection that breaks in the body', async () => new Response(new ReadableStream({ pull: (c) => c.error(new TypeError('network error')) }))],
  ])('says silence for %s', async (_, answer) => {
    await expect(asked(answer)).rejects.toBeInstanceOf(Silence);
  });
});
