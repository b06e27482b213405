// Typed calls to one service: paths, bodies and answers come from its OpenAPI document. Errors are problems (RFC 9457)
// with a stable code, or silence.

import createFetch, { type Client } from 'openapi-fetch';

/** The service said no, and which no. */
export class Problem extends Error {
  override readonly name = 'Problem';
  constructor(
    readonly status: number,
    /** Stable; catalogues explain it. */
    readonly code: string,
    readonly title: string,
    readonly retryAfterS: number | undefined,
    /** What else the problem carries. */
    readonly body: Record<string, unknown> = {},
  ) {
    super(`${code}: ${title}`);
  }
}

/** No answer came: no network, or the service is away. Whether anything happened is not known. */
export class Silence extends Error {
  override readonly name = 'Silence';
}

export interface Options {
  /** Another origin than the page's own, for tests. */
  origin?: string;
  /** A session's token, read at every call. */
  token?: () => string | undefined;
  fetch?: typeof fetch;
}

/** Longer than the slowest answer: a car that sleeps is waited for by the gateway for 40 s. */
const ANSWER_WITHIN_MS = 45_000;
/** The same request, with an end: a dead link says nothing for minutes. Whoever asks may have set a nearer one. */
export function inTime(request: Request): Request {
  return new Request(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]) });
}

function problemOf(status: number, body: unknown, retryAfter: string | null): Problem {
  const said = (body && typeof body === 'object' ? body : {}) as Record<string, unknown>;
  const code = typeof said['code'] === 'string' ? said['code'] : `http_${status}`;
  const title = typeof said['title'] === 'string' ? said['title'] : '';
  const seconds = Number(said['retry_after_s'] ?? retryAfter ?? NaN);
  return new Problem(status, code, title, Number.isFinite(seconds) ? seconds : undefined, said);
}

/**
 * `const api = createApi<paths>()`, then `answered(await api.POST('/v1/challenges', { body: {} }))`.
 */
export function createApi<Paths extends object>(options: Options = {}): Client<Paths> {
  const client = createFetch<Paths>({
    baseUrl: options.origin ?? globalThis.location?.origin ?? '',
    fetch: async (request) => {
      try {
        return await whole(await (options.fetch ?? fetch)(request));
      } catch (error) {
        if ((error as Error).name === 'AbortError') throw error;
        throw new Silence('no answer');
      }
    },
    cache: 'no-store',
    credentials: 'same-origin',
    redirect: 'error',
    referrerPolicy: 'no-referrer',
  });
  client.use({
    onRequest({ request }) {
      const token = options.token?.();
      if (token) request.headers.set('authorization', `Bearer ${token}`);
      return request;
    },
  });
  return client;
}

/** The answer with its body read: one that is cut off throws here, and so does a page that a network puts in its place. */
async function whole(response: Response): Promise<Response> {
  const text = await response.text();
  if (text !== '') JSON.parse(text);
  const { status, statusText, headers } = response;
  return new Response(text === '' ? null : text, { status, statusText, headers });
}

interface Answer<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** The body of a good answer; a bad one is thrown as a [`Problem`]. */
export function answered<Data>(answer: Answer<Data>): Data {
  const { response } = answer;
  if (!response.ok) throw problemOf(response.status, answer.error, response.headers.get('retry-after'));
  return answer.data as Data;
}
