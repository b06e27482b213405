// The carrier's interface as the courier app uses it: a handful of calls, typed by its document. The session is a cookie that
// no script here can read.

import { answered, Problem, Silence } from '$lib/api/client';
import type { paths } from '$lib/api/carrier';

const ASK = 'parcelshelf-session';
type Json<Path extends keyof paths, Method extends 'get' | 'post', Status extends number> = paths[Path] extends {
  [m in Method]: { responses: { [s in Status]: { content: { 'application/json': infer Body } } } };
}
  ? Body
  : never;

/** A dead link says nothing for minutes; then it is asked anew. */
const ANSWER_WITHIN_MS = 15_000;

async function call(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown, key?: string): Promise<unknown> {
  const headers: Record<string, string> = { [ASK]: 'cookie' };
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (key) headers['idempotency-key'] = key;
  const options: RequestInit = { method, headers, cache: 'no-store', redirect: 'error', referrerPolicy: 'no-referrer' };
  if (body !== undefined) options.body = JSON.stringify(body);
  options.signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
  let response: Response;
  let json: unknown;
  try {
    response = await fetch(path, options);
    // What is no JSON was said by something on the way: nobody answered.
    const text = await response.text();
    json = text === '' ? {} : JSON.parse(text);
  } catch {
    throw new Silence('no answer');
  }
  return answered(response.ok ? { response, data: json } : { response, error: json });
}

export type Route = Json<'/v1/courier/route', 'get', 200>;
export type Stop = Route['stops'][number];
export type CarStop = NonNullable<Stop['car']>;

export const readRoute = async () => (await call('GET', '/v1/courier/route')) as Route;
export const signIn = (code: string) => call('POST', '/v1/courier/sessions', { code });
export const signOut = () => call('DELETE', '/v1/session');
/** A message of the outbox: its address was made by this app, its key is the same at every try. */
export const sent = (path: string, body: unknown, key: string) => call('POST', path, body, key);
/** The stop page's address. Its fragment is for the next page alone and is kept nowhere. */
export async function setOut(delivery: string): Promise<string> {
  const answer = await call('POST', `/v1/deliveries/${delivery}/leg`, {}, crypto.randomUUID());
  return (answer as Json<'/v1/deliveries/{delivery}/leg', 'post', 201>).stop_url;
}
/** Where the stop page is, for enrolling the phone. */
export async function stopOrigin(): Promise<string> {
  return ((await call('GET', '/.well-known/parcelshelf')) as { stop: string }).stop;
}
export { Problem, Silence };
