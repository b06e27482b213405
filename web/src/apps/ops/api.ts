// The carrier's interface as staff use it. The session is a cookie that no script here can read.

import { answered, createApi, inTime, type CarrierPaths } from '$lib/api';

export const api = createApi<CarrierPaths>({
  fetch: (input, init) => {
    const request = new Request(input, init);
    request.headers.set('parcelshelf-session', 'cookie');
    return fetch(inTime(request));
  },
});
/** The same at every try of one press, so that it happens once. */
export const once = () => ({ 'idempotency-key': crypto.randomUUID() });

export const readBoard = async () => answered(await api.GET('/v1/ops/board'));
export const readMe = async () => answered(await api.GET('/v1/staff/me'));

export type Board = Awaited<ReturnType<typeof readBoard>>;
export type Me = Awaited<ReturnType<typeof readMe>>;
export type Delivery = Board['deliveries'][number];
export type Exception = Board['exceptions'][number];
export type Courier = Board['couriers'][number];
export { answered };
