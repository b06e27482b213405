// The carrier's interface as the courier app uses it. The session is a cookie that no script here can read.

import { answered, createApi, Problem, Silence, type CarrierPaths } from '$lib/api';

const ASK = 'parcelshelf-session';

export const api = createApi<CarrierPaths>({
  fetch: (input, init) => {
    const request = new Request(input, init);
    request.headers.set(ASK, 'cookie');
    return fetch(request);
  },
});

/** A message of the outbox: its address was made by this app. */
export async function sent(path: string, body: unknown, key: string): Promise<void> {
  let response: Response;
  try {
    response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key, [ASK]: 'cookie' },
      body: JSON.stringify(body),
      cache: 'no-store',
      redirect: 'error',
    });
  } catch {
    throw new Silence('no answer');
  }
  const error = response.ok ? undefined : await response.json().catch(() => ({}));
  answered({ response, error });
}

export type Route = NonNullable<Awaited<ReturnType<typeof readRoute>>>;
export type Stop = Route['stops'][number];
export type CarStop = NonNullable<Stop['car']>;

export async function readRoute() {
  return answered(await api.GET('/v1/courier/route'));
}
export async function signIn(code: string): Promise<void> {
  answered(await api.POST('/v1/courier/sessions', { body: { code } }));
}
export async function signOut(): Promise<void> {
  answered(await api.DELETE('/v1/session'));
}
/** The stop page's address. Its fragment is for the next page alone and is kept nowhere. */
export async function setOut(delivery: string): Promise<string> {
  const params = { path: { delivery }, header: {} };
  const answer = await api.POST('/v1/deliveries/{delivery}/leg', {
    params,
    body: {},
    headers: { 'idempotency-key': crypto.randomUUID() },
  });
  return answered(answer).stop_url;
}
/** Where the stop page is, for enrolling the phone. */
export async function stopOrigin(): Promise<string> {
  const said = answered(await api.GET('/.well-known/parcelshelf')) as { stop?: string };
  return said.stop ?? '';
}
export { Problem, Silence };
