// What a keyholder records, field by field: the kinds that a case bundle can hold, with the names and order of their fields.

import { parseHash, parseId, type Hash, type Id } from './hash';
import { Refused } from './refused';
import { oneOf, parseTimeMs, timeText, type Action } from './text';

const REFUSALS = [
  'asleep', 'unreachable', 'in_use', 'not_closed', 'window_passed', 'not_supported', 'owner_action_needed', 'rate_limited',
  'maker_refused', 'car_failed', 'never_sent',
];
const LOCK_PROOFS = ['observed', 'executed', 'attested'] as const;
export type LockProof = (typeof LOCK_PROOFS)[number];

type Read = (text: string) => string | number | null;
const hash: Read = parseHash;
const id: Read = parseId;
const word: Read = (t) => (/^[a-z0-9_:]{1,64}$/.test(t) ? t : null);
const count: Read = (t) => (/^(0|[1-9][0-9]{0,9})$/.test(t) && Number(t) < 2 ** 32 ? Number(t) : null);
const outcome: Read = (t) =>
  t === 'opened' || t === 'unknown' || (t.startsWith('did_not_happen:') && REFUSALS.includes(t.slice(15))) ? t : null;

/** The fields of each kind in their order. */
const KINDS = {
  key_added: { keys: hash },
  carrier_admitted: { carrier: hash, cert: hash },
  device_enrolled: { device: hash, cert: hash, depot_cert: hash },
  passkey_added: { key: hash, statement: hash, assertion: hash },
  grant_accepted: { grant: hash, assertion: hash, delivery: id, access_point: id },
  delegation_accepted: { delegation: hash, cert: hash, delivery: id, device: hash },
  ready_asked: { delivery: id, slot: word, answer: word },
  place_disclosed: { delivery: id, proof: hash },
  described: { delivery: id, proof: hash },
  signalled: { delivery: id, proof: hash },
  joined: { delivery: id, attempt: id, proof: hash },
  open_intended: { delivery: id, attempt: id, command: count, proof: hash },
  outcome: { delivery: id, attempt: id, command: count, outcome },
  lock_intended: { delivery: id, attempt: id, command: count },
  locked: { delivery: id, attempt: id, lock_proof: oneOf(LOCK_PROOFS) },
  alarm: { delivery: id, attempt: id, reason: word },
  alarm_acknowledged: { delivery: id, attempt: id },
  blocked: { scope: word },
  unblocked: { scope: word },
  staff_access: { what: word },
} satisfies Record<string, Record<string, Read>>;

export type EventKind = keyof typeof KINDS;
/** Something that happened. `fields` holds the event's own, all read. */
export interface Entry {
  readonly kind: EventKind;
  readonly atMs: number;
  readonly fields: Readonly<Record<string, string | number>>;
}

/** Names of a kind's own fields in their order; null for a kind that is not in a bundle. */
export function fieldNames(kind: string): string[] | null {
  return Object.hasOwn(KINDS, kind) ? Object.keys(KINDS[kind as EventKind]) : null;
}
/** Reads exactly `kind`, `at`, then the kind's own fields, in that order. */
export function readEntry(shown: readonly (readonly [name: string, value: string])[]): Entry {
  const [kind, at, ...own] = shown;
  const names = kind?.[0] === 'kind' ? fieldNames(kind[1]) : null;
  const atMs = at?.[0] === 'at' ? parseTimeMs(at[1]) : null;
  if (!kind || !at || !names || atMs === null || timeText(atMs) !== at[1] || own.length !== names.length) {
    throw Refused.of('bundle', 'wrong_member');
  }
  const reads: Record<string, Read> = KINDS[kind[1] as EventKind];
  const fields: Record<string, string | number> = {};
  own.forEach(([name, text], i) => {
    const value = name === names[i] ? reads[name]!(text) : null;
    if (value === null) throw Refused.of('bundle', 'wrong_member');
    fields[name] = value;
  });
  return { kind: kind[1] as EventKind, atMs, fields };
}

const PROVED: Partial<Record<EventKind, Action>> = {
  place_disclosed: 'locate',
  described: 'describe',
  signalled: 'signal',
  open_intended: 'open',
  joined: 'open',
};
/** The proof that an entry names, and the action it must be for. */
export function namedProof(e: Entry): { readonly hash: Hash; readonly action: Action } | null {
  const action = PROVED[e.kind];
  return action ? { hash: e.fields.proof as Hash, action } : null;
}
export function deliveryOfEntry(e: Entry): Id | null {
  return (e.fields.delivery as Id | undefined) ?? null;
}
