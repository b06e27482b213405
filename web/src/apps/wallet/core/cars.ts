// An owner's cars: linking, findings, what is agreed to, description, possession, later links.

import { answered } from '$lib/api';
import { descriptionBytes, type Description } from '$lib/protocol/content';
import { b64 } from '$lib/protocol/bytes';
import { seal } from '$lib/protocol/seal';
import { account, api, keys, openedJson, stated } from './gateway';
import type { SharedLine, Vehicle } from './model';
import type { Kind } from '../parts/words';

export interface Maker {
  maker: string;
  makes: string[];
  kind: Kind;
  opens: string[];
}

export async function makers(): Promise<Maker[]> {
  return answered(await api.GET('/v1/makers')).makers as Maker[];
}

/** Where the owner logs in at the maker, after the passkey has confirmed it. */
export async function link(maker: string): Promise<string> {
  const body = await stated({ typ: 'link', wallet: account().wallet, maker });
  return answered(await api.POST('/v1/links', { body })).authorize_url;
}

export async function vehicles(): Promise<Vehicle[]> {
  const { envelope } = answered(await api.GET('/v1/wallet/vehicles'));
  return (await openedJson<{ vehicles: Vehicle[] }>(envelope, account().wallet)).vehicles;
}

/** One car of an account that has several, as it is offered once; nothing is kept of it. */
export interface Offered {
  car: string;
  kind: Kind;
  make: string | null;
  model: string | null;
  model_year: number | null;
  colour: string | null;
  vin_ends_in: string | null;
  eligible: boolean;
}
export async function offered(link: string): Promise<Offered[]> {
  const params = { path: { link } };
  const { envelope } = answered(await api.GET('/v1/wallet/links/{link}/cars', { params }));
  return (await openedJson<{ cars: Offered[] }>(envelope, account().wallet)).cars;
}
export async function choose(link: string, cars: string[]): Promise<void> {
  const params = { path: { link } };
  answered(await api.POST('/v1/wallet/links/{link}/choice', { params, body: { cars } }));
}

export interface Agreed {
  nobodyInside: boolean;
  parkedInferred: boolean;
  tailgateWithCabin: boolean;
  lidAndLockUntold: boolean;
}
export async function agree(vehicle: string, agreed: Agreed): Promise<void> {
  const body = await stated({ typ: 'consents', wallet: account().wallet, vehicle, ...agreed });
  answered(await api.POST('/v1/wallet/consents', { body }));
}

/** Sealed to the keyholder: the gateway's front cannot read plate and words. */
export async function describe(vehicle: string, description: Description): Promise<void> {
  const { claims } = await keys();
  const context = { sender: account().wallet, recipient: claims.iss, delivery: vehicle, seq: 0 };
  const box = b64(await seal(claims.seal, 'description', context, descriptionBytes(description)));
  const params = { path: { vehicle } };
  answered(await api.POST('/v1/wallet/vehicles/{vehicle}/description', { params, body: { box } }));
}

/** Where a proof of possession stands. */
export type Possession =
  | { is: 'door'; door: string; done: number; of: number | null; until: string | null }
  | { is: 'waits'; until: string }
  | { is: 'failed'; why: string }
  | { is: 'proved' };

interface PossessionAnswer {
  proved?: boolean;
  next?: string | null;
  done?: number;
  doors?: number;
  until?: string;
  wait_until?: string | null;
  failed?: string;
}
function possessionOf(answer: unknown): Possession {
  const said = (answer ?? {}) as PossessionAnswer;
  if (said.proved) return { is: 'proved' };
  if (said.wait_until) return { is: 'waits', until: said.wait_until };
  if (said.failed) return { is: 'failed', why: said.failed };
  return { is: 'door', door: said.next ?? '', done: said.done ?? 0, of: said.doors ?? null, until: said.until ?? null };
}
export async function beginPossession(vehicle: string): Promise<Possession> {
  const params = { path: { vehicle } };
  return possessionOf(answered(await api.POST('/v1/wallet/vehicles/{vehicle}/possession', { params, body: {} })));
}
export async function checkPossession(vehicle: string): Promise<Possession> {
  const params = { path: { vehicle } };
  return possessionOf(answered(await api.POST('/v1/wallet/vehicles/{vehicle}/possession/check', { params, body: {} })));
}

export async function confirmLink(vehicle: string, later: string): Promise<void> {
  const body = await stated({ typ: 'confirm_link', wallet: account().wallet, vehicle, link: later });
  answered(await api.POST('/v1/wallet/later-links', { body }));
}
export async function refuseLink(vehicle: string, later: string): Promise<void> {
  const params = { path: { vehicle } };
  const body = { link: later };
  answered(await api.POST('/v1/wallet/vehicles/{vehicle}/later-links/refuse', { params, body }));
}

/** Stops everything at this car or door, for all wallets that share it. */
export async function halt(vehicle: string): Promise<void> {
  const params = { path: { vehicle } };
  answered(await api.POST('/v1/wallet/vehicles/{vehicle}/halt', { params, body: {} }));
}
/** Takes that back, or asks for the end of another wallet's stop. */
export async function liftHalt(vehicle: string): Promise<void> {
  const body = await stated({ typ: 'lift_halt', wallet: account().wallet, vehicle });
  answered(await api.POST('/v1/wallet/halt-lifts', { body }));
}
/** What this wallet has stopped stays so, whoever asks for its end. */
export async function keepHalted(vehicle: string): Promise<void> {
  const params = { path: { vehicle } };
  answered(await api.POST('/v1/wallet/vehicles/{vehicle}/halt/keep', { params, body: {} }));
}
/** Newest first. */
export async function sharedLines(vehicle: string): Promise<SharedLine[]> {
  const params = { path: { vehicle } };
  const { envelope } = answered(await api.GET('/v1/wallet/vehicles/{vehicle}/shared', { params }));
  return (await openedJson<{ lines: SharedLine[] }>(envelope, vehicle)).lines;
}

/** What became of our permission at the maker: `verified`, `not_verified`, `owner_must`, `still_used`. */
export async function unlink(vehicle: string): Promise<string> {
  const params = { path: { vehicle } };
  const answer = answered(await api.POST('/v1/wallet/vehicles/{vehicle}/unlink', { params, body: {} })) as
    | { permission?: { code?: string } }
    | undefined;
  return answer?.permission?.code ?? 'not_verified';
}

/** Whole cells around where the car stands now; opened on this device only. */
export async function areaAround(vehicle: string): Promise<string[]> {
  const params = { path: { vehicle } };
  const { envelope } = answered(await api.POST('/v1/wallet/vehicles/{vehicle}/area', { params, body: {} }));
  return (await openedJson<{ area: string[] }>(envelope, vehicle)).area;
}
