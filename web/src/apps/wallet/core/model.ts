// What the keyholder seals for its owner, as this app reads it. The answers are the keyholder's own, signed and sealed; what
// is missing or new in them must not break a page.

import type { Kind } from '../parts/words';

export interface Attempt {
  attempt: string;
  state: string;
  reason: string | null;
  ready_until: string | null;
  may_act_until: string | null;
  released: boolean;
  recalled: boolean;
  alarm: string | null;
  lock_proof: string | null;
  check_handle: boolean;
  ended: boolean;
}

export interface Delivery {
  delivery: string;
  /** Missing in what a device kept before there were doors. */
  kind?: Kind;
  purpose: string;
  from: string;
  until: string;
  granted_at: string;
  /** Thumbprint of the carrier's root. */
  carrier: string;
  /** The carrier's word for who sent it. */
  merchant: string | null;
  /** How the owner calls the guest whom it lets in. */
  guest?: string | null;
  items: number;
  state: string;
  reason: string | null;
  blocked: boolean;
  /** The standing rule under which it was announced. */
  rule?: string | null;
  attempt: Attempt | null;
}

export interface DeliveryDetail extends Delivery {
  grant: string;
  request: string | null;
  accepted: string;
  vehicles: string[];
}

export interface Deliveries {
  deliveries: Delivery[];
  more: boolean;
  blocked_all: boolean;
  blocked_carriers: string[];
  /** Devices of couriers that are stopped. */
  blocked_couriers?: string[];
  /** Nothing opens before. */
  paused_until?: string | null;
  /** Houses at whose door somebody asks now. */
  at_door?: string[];
}

export interface Finding {
  code: string;
  refuses: boolean;
  what_to_do: string;
}

export interface LaterLink {
  link: string;
  linked_at: string;
  state: 'waiting' | 'waited' | 'confirmed' | 'refused';
  until: string | null;
}

/** A stop for all wallets that share a car or door. */
export interface Halt {
  mine: boolean;
  since: string;
  state: 'stands' | 'asked' | 'kept';
  ends: string | null;
}
/** What happened at a car or door that several wallets share. */
export interface SharedLine {
  what: 'stopped' | 'lifted' | 'lift_asked' | 'kept' | 'allowed' | 'allowed_guest' | 'allowed_rehearsal' | 'rule_made' | 'place_shown' | 'opening';
  mine: boolean;
  at: string;
  ends: string | null;
}

export type Source = 'observed' | 'inferred' | 'not_available';

export interface Vehicle {
  vehicle: string;
  kind: Kind;
  maker: string;
  make: string;
  model: string | null;
  model_year: number | null;
  colour: string | null;
  findings: Finding[];
  eligible: boolean;
  consents: {
    nobody_inside: boolean;
    parked_inferred: boolean;
    tailgate_with_cabin: boolean;
    lid_and_lock_untold: boolean;
  } | null;
  described: boolean;
  opens: string[];
  class: string | null;
  facts: {
    parked: Source;
    in_use: Source;
    nobody_inside: Source;
    lid_state: Source;
    lock_state: Source;
    position: Source;
    opening_is_a_window: boolean;
    lock_proof: 'observed' | 'executed';
  } | null;
  owner_must_act: unknown;
  possession: boolean;
  possession_until: string | null;
  possession_due: boolean;
  usable?: boolean;
  later_links: LaterLink[];
  /** Another wallet uses it, too. */
  shared: boolean;
  halts: Halt[];
}

/** One record of the timeline: `kind`, `at`, and the kind's own fields. */
export type Entry = { kind: string; at: string } & Record<string, string>;

/** The pictures of one opening, numbered from 0; more may come as long as it runs. */
export interface Recorded {
  attempt: string;
  pictures: number;
  running: boolean;
}

export interface Timeline {
  entries: Entry[];
  readiness: { slot: string; answer: string; reasons: { code: string; text: string }[] }[];
  refused: { at: string; code: string; text: string }[];
  /** What a camera saw behind a front door. */
  recordings?: Recorded[];
  /** What keeps this delivery from being erased: the owner's own wish, or an order by people at the gateway. */
  hold?: { since: string; by: 'owner' | 'order' } | null;
}

/** Whether the car lacks something before it can be used, in the order in which an owner does it. */
export type Step = 'findings' | 'consents' | 'description' | 'possession' | 'ready';
/** A house's door tells all that is asked of it, and is found by its address: nothing stands in, and nobody describes it. */
export const STEPS: Record<Kind, readonly Step[]> = {
  car: ['findings', 'consents', 'description', 'possession', 'ready'],
  home: ['findings', 'possession', 'ready'],
};

export function consentsMissing(car: Vehicle): boolean {
  if (!car.consents) return true;
  const untold = car.facts?.lock_proof === 'executed' && !car.consents.lid_and_lock_untold;
  return untold || (car.class === 'tailgate_with_cabin' && !car.consents.tailgate_with_cabin);
}

export function nextStep(car: Vehicle): Step {
  const missing: Record<Step, boolean> = {
    findings: !car.eligible,
    consents: consentsMissing(car),
    description: !car.described,
    possession: !car.possession,
    ready: true,
  };
  return STEPS[car.kind].find((step) => missing[step]) ?? 'ready';
}

export function carName(car: Pick<Vehicle, 'make' | 'model' | 'model_year'>): string {
  const make = car.make.length <= 3 ? car.make.toUpperCase() : car.make.charAt(0).toUpperCase() + car.make.slice(1);
  return [make, car.model, car.model_year].filter(Boolean).join(' ');
}

/** What an owner can do or must know first. */
export type Phase =
  | 'alarm' | 'open' | 'unknown' | 'locking' | 'coming' | 'waiting' | 'blocked' | 'done' | 'not_done' | 'over';

const MOVING = new Set(['intended', 'sent', 'ready', 'open', 'unknown', 'locking']);
const LOCKED = new Set(['locked', 'acknowledged']);

/** Done is only what proved to be locked, or whose owner looked. What ended in any other way is not known. */
export function phaseOf(d: Delivery, nowMs: number): Phase {
  const attempt = d.attempt;
  const opened = attempt?.state !== 'did_not_happen';
  if (attempt?.alarm) return 'alarm';
  if (attempt && opened) {
    if (LOCKED.has(attempt.state)) return 'done';
    if (attempt.ended || !MOVING.has(attempt.state)) return 'unknown';
    if (attempt.state === 'locking') return 'locking';
    return attempt.state === 'unknown' ? 'unknown' : 'open';
  }
  if (d.blocked && !isOver(d, nowMs)) return 'blocked';
  if (attempt) return 'not_done';
  if (isOver(d, nowMs)) return 'over';
  return d.state === 'granted' || d.state === '' ? 'waiting' : 'coming';
}
/** A phase in the words of what the delivery opens. */
export function phaseWords(words: { phase: Record<Phase, string>; phaseAtHome: Partial<Record<Phase, string>> }, d: Delivery, phase: Phase): string {
  return (d.kind === 'home' ? words.phaseAtHome[phase] : undefined) ?? words.phase[phase];
}
interface TitleWords {
  readonly rehearsal: string;
  readonly unknownMerchant: string;
  readonly guest: (name: string | null) => string;
}
/** What a delivery is called: who sent it, or who comes. */
export function titleOf(words: TitleWords, d: Pick<Delivery, 'purpose' | 'merchant' | 'guest'>): string {
  if (d.purpose === 'rehearsal') return words.rehearsal;
  return d.purpose === 'guest' ? words.guest(d.guest ?? null) : (d.merchant ?? words.unknownMerchant);
}
const isOver = (d: Delivery, nowMs: number) => Date.parse(d.until) < nowMs;

/** Those that an owner should look at first come first. One that did not open may be tried again while its time lasts. */
export function isActive(d: Delivery, nowMs: number): boolean {
  const phase = phaseOf(d, nowMs);
  return phase === 'not_done' ? !isOver(d, nowMs) : phase !== 'done' && phase !== 'over';
}
