// Standing rules: what an owner allows in advance. A rule is signed with the request that it answers; what the pages say of it
// is made from what is signed, before and after.

import { answered } from '$lib/api';
import { parseGrant, type GrantClaims, type Schedule } from '$lib/protocol/grant';
import type { Window } from '$lib/protocol/jws';
import { wallClock } from '$lib/protocol/hours';
import { DAYS, type Day } from '$lib/protocol/text';
import { account, api, openedJson } from './gateway';

/** Which words the owner reads above the button; a change of their meaning changes its name. */
export const RULE_TEMPLATE = 'rule-1';
export const LONGEST_DAYS = 90;
const DAY_MS = 86_400_000;

/** What is chosen on the page. */
export interface InAdvance {
  days: Day[];
  /** `HH:MM`, local. */
  from: string;
  to: string;
  /** The last day, `YYYY-MM-DD`. */
  until: string;
}

/** The zone in which this device lives. */
export const zoneHere = () => new Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Weekdays and daytime, so that the delivery that is asked for is inside; a month. */
export function suggested(asked: Window, nowMs: number): InAdvance {
  const [start, last] = [wallClock(zoneHere(), asked.startMs), wallClock(zoneHere(), asked.endMs - 1)];
  const days = new Set<Day>(DAYS.slice(0, 5));
  if (start) days.add(start.day);
  const clock = (minute: number) => `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
  const sameDay = start?.date === last?.date;
  const from = Math.min(8 * 60, start?.minute ?? 8 * 60);
  const to = sameDay ? Math.max(20 * 60, (last?.minute ?? 0) + 1) : 24 * 60 - 1;
  const until = new Date(Math.max(nowMs + 30 * DAY_MS, asked.endMs));
  return { days: DAYS.filter((d) => days.has(d)), from: clock(from), to: clock(Math.min(to, 24 * 60 - 1)), until: dateOf(until) };
}
/** A local date as a field wants it. */
export function dateOf(date: Date): string {
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 10);
}

export interface Terms {
  readonly schedule: Schedule;
  readonly life: Window;
}
/** What the choice comes to, or null if it cannot be one. */
export function termsOf(choice: InAdvance, asked: Window): Terms | null {
  const [year, month, day] = choice.until.split('-').map(Number);
  if (!year || !month || !day || choice.days.length === 0 || !choice.from || !choice.to || choice.from >= choice.to) return null;
  // The whole of the last day; tokens count in seconds.
  const endMs = new Date(year, month - 1, day + 1).getTime();
  const life = { startMs: asked.startMs, endMs };
  if (!(endMs >= asked.endMs) || endMs - life.startMs > LONGEST_DAYS * DAY_MS) return null;
  const days = DAYS.filter((d) => choice.days.includes(d));
  return { schedule: { zone: zoneHere(), days, from: choice.from, to: choice.to }, life };
}

/** A rule as the keyholder tells it, with what its owner signed. */
export interface Rule {
  readonly rule: string;
  /** Thumbprint of the carrier's root. */
  readonly carrier: string;
  readonly merchant: string | null;
  readonly vehicles: readonly string[];
  /** Dates that are taken; of a delivery that was erased its date is all that is left. */
  readonly days: readonly { readonly date: string; readonly delivery: string | null }[];
  readonly ended: { readonly at: string; readonly by: string } | null;
  readonly claims: GrantClaims;
  readonly terms: Terms;
}
type Told = Omit<Rule, 'claims' | 'terms'> & { grant: string };

/** Those in force first. What does not parse as a signed rule is none; a guest's has no carrier and is listed with the guests. */
export async function rules(): Promise<Rule[]> {
  const { envelope } = answered(await api.GET('/v1/wallet/rules'));
  const told = await openedJson<{ rules: Told[] }>(envelope, account().wallet);
  return told.rules.flatMap((one) => {
    const { claims } = parseGrant(one.grant);
    if (!('schedule' in claims.scoped) || claims.jti !== one.rule || claims.purpose === 'guest') return [];
    return [{ ...one, claims, terms: { schedule: claims.scoped.schedule, life: claims.window } }];
  });
}
export const inForce = (rule: Rule, nowMs: number) => rule.ended === null && nowMs < rule.terms.life.endMs;

/** Ends it for good, and stops what was announced under it and has not been opened: how many deliveries that were. */
export async function endRule(rule: string): Promise<number> {
  const path = '/v1/wallet/rules/{rule}/end';
  const said = answered(await api.POST(path, { params: { path: { rule } }, body: {} })) as unknown as { stopped: string[] };
  return said.stopped.length;
}
