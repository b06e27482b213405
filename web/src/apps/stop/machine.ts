// One stop, from the street to the locked car: (state, event, now) -> (state, effects). Pure: no clock, no network, no keys.
// What may be shown and pressed is decided here, so that it can be tested as a table.

import type { Description, Place } from '$lib/protocol/content';
import type { Hash } from '$lib/protocol/hash';
import type { AccessClass, Action } from '$lib/protocol/text';
import { GIVE_UP_MS } from '$lib/api/again';
import type { Parcel } from './fragment';
import { bearingDeg, distanceM } from './geo';

/** The keyholder's bounds (crates/opening/src/conditions.rs). It decides; here they say what is worth pressing. */
export const OPEN_DISTANCE_M = 75;
export const OPEN_ACCURACY_CAP_M = 50;
export const DESCRIBE_DISTANCE_M = 300;
/** A position older than this is not where the phone is. */
export const FIX_FRESH_MS = 30_000;
const DESCRIBE_AGAIN_MS = 10_000;
const DESCRIBE_TRIES = 3;
/** The keyholder lets a courier go this long after the close, if nothing is wrong. */
export const RELEASE_AFTER_MS = 20_000;
/** A parcel that was forgotten: the keyholder opens once more this long after the close, and once. */
export const REOPEN_WITHIN_MS = 180_000;
const FOLLOW_AGAIN_MS = 1_500;

/** Where the phone is. */
export interface Fix {
  readonly lat: number;
  readonly lng: number;
  readonly accuracyM: number;
  /** Direction of travel, if it moves. */
  readonly headingDeg: number | null;
  readonly atMs: number;
}
export interface Scanned {
  readonly hash: Hash;
  readonly direction: 'put' | 'take';
  readonly tail: string;
}
/** How an attempt stands, as the keyholder tells it. */
export interface Attempt {
  readonly id: string;
  readonly seq: number;
  readonly state: string;
  readonly reason: string | null;
  readonly readyUntilMs: number | null;
  readonly mayActUntilMs: number | null;
  readonly released: boolean;
  readonly recalled: boolean;
  readonly alarm: string | null;
  readonly lockProof: string | null;
  readonly checkHandle: boolean;
  /** The keyholder would open it once more, as far as it knows now: not where its owner has stopped it. */
  readonly mayReopen: boolean;
  readonly ended: boolean;
}
/** Why the last request failed. `passing`: it may work when asked again. */
export interface Trouble {
  readonly act: Action | 'follow' | 'photo' | 'start';
  readonly code: string;
  readonly passing: boolean;
  readonly atMs: number;
}
export const REASONS = [
  'does_not_fit', 'no_public_access', 'blocked_by_wall', 'person_or_animal_inside', 'unsafe', 'in_use', 'car_left',
  'alarm_sounded', 'missing_parcel', 'wrong_parcel', 'no_signal', 'did_not_open', 'unknown_outcome',
] as const;
export type Reason = (typeof REASONS)[number];

export type House = Extract<AccessClass, 'door' | 'garage' | 'gate'>;
export const HOUSES: readonly House[] = ['door', 'garage', 'gate'];
/** What a delegation opens at a house; null where it opens a car. */
export function houseOf(opens: readonly AccessClass[]): House | null {
  return HOUSES.find((house) => opens.every((c) => c === house)) ?? null;
}

export interface State {
  readonly parcels: readonly Parcel[];
  /** Label hashes of the delegation. */
  readonly put: readonly Hash[];
  readonly take: readonly Hash[];
  readonly windowEndMs: number;
  /** What opens where it is a house's door, which is found by its address; null at a car, whose place is asked for. */
  readonly house: House | null;
  readonly online: boolean;
  readonly fix: Fix | null;
  readonly fixTrouble: 'denied' | 'unavailable' | null;
  /** The request that is under way. */
  readonly asking: { readonly act: Action; readonly sinceMs: number } | null;
  readonly trouble: Trouble | null;
  /** When an opening was asked for to which no answer came: it may be open, and nobody leaves before that is known. */
  readonly openUnknownMs: number | null;
  readonly place: Place | null;
  readonly description: Description | null;
  readonly describes: number;
  readonly describedAtMs: number;
  readonly scanned: readonly Scanned[];
  /** The last label that does not belong here. */
  readonly wrong: { readonly tail: string; readonly atMs: number } | null;
  readonly attempt: Attempt | null;
  /** What the courier saw when asked to look at the lid. */
  readonly lid: 'open' | 'shut' | null;
  /** `sending`: sealed and safe on this device, so that its name can be said; nobody waits for the rest. */
  readonly photo: 'none' | 'sealing' | 'sending' | 'kept' | 'queued';
  readonly photoHash: Hash | null;
  /** When the courier said that the lid is shut. */
  readonly shutAtMs: number | null;
  readonly handleHeld: boolean | null;
  /** The close could not be sent and waits in the outbox. */
  readonly closeQueued: boolean;
  /** It was opened once more: never a third time. */
  readonly reopened: boolean;
  /** Another phone opened it and cannot see to it any more: it is found, shut and locked here, and never opened. */
  readonly takenOver: boolean;
  readonly over: Over | null;
}
/** What became of a stop. `codes`: one for each parcel, in the order of the link, or one for all. */
export interface Over {
  readonly outcome: 'done' | 'failed';
  readonly reason: Reason | null;
  readonly codes: readonly ('done' | Reason)[];
}

export type Event =
  | { readonly is: 'fix'; readonly fix: Fix }
  | { readonly is: 'no_fix'; readonly why: 'denied' | 'unavailable' }
  | { readonly is: 'online'; readonly online: boolean }
  | { readonly is: 'reveal' }
  | { readonly is: 'located'; readonly place: Place }
  /** With the place, or at a house instead of it: something was opened here before, and is not known to be locked. */
  | { readonly is: 'taken_over'; readonly attempt: string }
  | { readonly is: 'described'; readonly description: Description }
  | { readonly is: 'scanned'; readonly hash: Hash; readonly tail: string }
  | { readonly is: 'signal' }
  | { readonly is: 'answered' }
  | { readonly is: 'open' }
  | { readonly is: 'reopen' }
  /** `state`: as the answer says; without it the attempt is one that is joined. `unheard`: known from this phone alone. */
  | { readonly is: 'named'; readonly attempt: string; readonly state?: string; readonly unheard?: boolean }
  /** This phone asked before its page was loaded anew, and never heard what came of it. */
  | { readonly is: 'asked_before'; readonly sinceMs: number }
  /** `of`: it is the answer to that request. */
  | { readonly is: 'news'; readonly attempt: Attempt; readonly of?: 'close' | 'lock' }
  /** `photo`: which one, where it has a name already. */
  | { readonly is: 'failed'; readonly act: Trouble['act']; readonly code: string; readonly passing: boolean; readonly photo?: Hash }
  | { readonly is: 'lid'; readonly lid: 'open' | 'shut' }
  | { readonly is: 'photo_taken' }
  | { readonly is: 'photo_sealed'; readonly hash: Hash }
  | { readonly is: 'photo_kept'; readonly hash: Hash; readonly queued: boolean }
  | { readonly is: 'shut' }
  | { readonly is: 'handle'; readonly held: boolean }
  | { readonly is: 'close_queued' }
  | { readonly is: 'lock' }
  | { readonly is: 'give_up'; readonly reason: Reason }
  /** `isDone`: said where this phone cannot know, whether everything is where it belongs. */
  | { readonly is: 'leave'; readonly isDone?: boolean };

export type Effect =
  | { readonly do: 'locate' | 'describe' | 'signal' | 'lock' }
  | { readonly do: 'open'; readonly labels: readonly Hash[] }
  | { readonly do: 'follow'; readonly attempt: string; readonly after: number; readonly inMs: number }
  | { readonly do: 'close'; readonly handleChecked: boolean; readonly photo: Hash | null }
  /** Nothing will be opened here again: said when the courier leaves, not with the close. */
  | { readonly do: 'finish'; readonly handleChecked: boolean; readonly photo: Hash | null }
  | { readonly do: 'buzz'; readonly kind: 'good' | 'bad' | 'act' }
  /** Everything of this stop goes from memory. */
  | { readonly do: 'wipe' }
  /** Its id is kept on the device: for a page that is loaded anew, and for a courier who must go back. */
  | { readonly do: 'watch'; readonly attempt: string; readonly takenOver: boolean };

export type Step = readonly [State, readonly Effect[]];

export function begin(
  parcels: readonly Parcel[],
  put: readonly Hash[],
  take: readonly Hash[],
  windowEndMs: number,
  online: boolean,
  house: House | null = null,
): State {
  return {
    parcels, put, take, windowEndMs, house, online,
    fix: null, fixTrouble: null, asking: null, trouble: null, openUnknownMs: null, place: null, description: null, describes: 0,
    describedAtMs: 0, scanned: [], wrong: null, attempt: null, lid: null, photo: 'none', photoHash: null, shutAtMs: null,
    handleHeld: null, closeQueued: false, reopened: false, takenOver: false, over: null,
  };
}

// ---- what is shown ---------------------------------------------------------------------------------------------------

export type Screen =
  | 'start' | 'go' | 'opening' | 'pull' | 'look' | 'wait' | 'load' | 'wont_open' | 'locking' | 'handle' | 'locked'
  | 'released' | 'come_back' | 'alarm' | 'over';

export function screenOf(s: State): Screen {
  if (s.over) return 'over';
  const a = s.attempt;
  if (s.asking?.act === 'open') return 'opening';
  if (s.openUnknownMs !== null) return 'look';
  if (!a) return s.place || s.house ? 'go' : 'start';
  if (a.recalled || (s.takenOver && s.shutAtMs === null && isNotShut(a))) return 'come_back';
  if (needsHand(a) || a.state === 'alarm') return 'alarm';
  const mayBeOpen = a.state === 'ready' || a.state === 'unknown' || a.state === 'open';
  if (mayBeOpen && s.shutAtMs !== null) return 'locking';
  if (mayBeOpen && s.lid === 'open') return 'load';
  switch (a.state) {
    case 'ready':
      return 'pull';
    case 'unknown':
      return s.lid === 'shut' ? 'wait' : 'look';
    case 'open':
      return 'load';
    case 'did_not_happen':
      return 'wont_open';
    case 'locking':
      return a.checkHandle ? 'handle' : a.released ? 'released' : 'locking';
    case 'locked':
    case 'acknowledged':
      return 'locked';
    default:
      return 'opening';
  }
}

export interface Way {
  readonly distanceM: number;
  readonly bearingDeg: number;
  /** How far off the distance may be. */
  readonly vaguenessM: number;
}
export function wayOf(s: State): Way | null {
  if (!s.place || !s.fix) return null;
  return {
    distanceM: distanceM(s.fix, s.place),
    bearingDeg: bearingDeg(s.fix, s.place),
    vaguenessM: s.place.accuracyM + s.fix.accuracyM,
  };
}

/** Whoever takes over is led there, whatever is known of it. */
const isNotShut = (a: Attempt): boolean => !['locking', 'locked', 'acknowledged', 'did_not_happen'].includes(a.state);

/** An alarm that no proof has answered: somebody must look. The alarm itself stands until its owner has seen it. */
export function needsHand(a: Attempt): boolean {
  const proved = a.state === 'locked' && a.lockProof !== null && a.lockProof !== 'attested';
  return a.alarm !== null && !proved;
}

export type NotYet = 'no_place' | 'no_fix' | 'old_fix' | 'too_far' | 'not_scanned' | 'offline' | 'asking';
/** By this phone's clock the time is over. Phones' clocks are wrong: it is said, and the keyholder decides. */
export function seemsOver(s: State, nowMs: number): boolean {
  return nowMs >= s.windowEndMs;
}
/** Why *Open* cannot be pressed; null when it can. */
export function notYet(s: State, nowMs: number): NotYet | null {
  if (s.asking) return 'asking';
  if (!s.place && !s.house) return 'no_place';
  if (!s.online) return 'offline';
  if (s.scanned.length === 0) return 'not_scanned';
  if (!s.fix) return 'no_fix';
  if (nowMs - s.fix.atMs > FIX_FRESH_MS) return 'old_fix';
  // How far a house is only the keyholder knows.
  const way = wayOf(s);
  if (!s.place || !way) return null;
  const capped = Math.min(s.place.accuracyM, OPEN_ACCURACY_CAP_M) + Math.min(s.fix.accuracyM, OPEN_ACCURACY_CAP_M);
  return way.distanceM > OPEN_DISTANCE_M + capped ? 'too_far' : null;
}
/** Whether nothing that was opened here needs the courier any more. */
export function mayLeave(s: State): boolean {
  const a = s.attempt;
  if (s.asking?.act === 'open' || s.openUnknownMs !== null) return false;
  if (!a) return true;
  if (a.recalled || needsHand(a)) return false;
  if (a.state === 'did_not_happen' || a.ended) return true;
  return a.released || (a.state === 'locked' && a.lockProof !== 'attested');
}
/** Whether a parcel that was forgotten may still go in: once, soon, and where nothing went wrong. What else keeps it from
 * being opened says [`notYet`]. */
export function mayReopen(s: State, nowMs: number): boolean {
  const a = s.attempt;
  if (!a || s.over || s.reopened || s.takenOver || s.shutAtMs === null) return false;
  const shut = a.state === 'locked' || a.state === 'locking';
  return shut && a.mayReopen && !a.ended && !a.recalled && a.alarm === null && nowMs - s.shutAtMs <= REOPEN_WITHIN_MS;
}
/** Whether the fallback can be chosen: not while a lid may be open. */
export function mayGiveUp(s: State): boolean {
  const a = s.attempt;
  return s.over === null && s.asking?.act !== 'open' && s.openUnknownMs === null && (!a || a.state === 'did_not_happen');
}
/** Labels still to be scanned. */
export function missing(s: State): readonly Parcel[] {
  const left = [...s.scanned];
  return s.parcels.filter((p) => {
    const at = left.findIndex((x) => x.direction === p.direction && x.tail === p.tail);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

/** Whether the courier is asked about the handle: after the photo, and at once where there can be none. */
export function mayHandle(s: State, canPhotograph: boolean): boolean {
  return !canPhotograph || s.photo !== 'none' || s.trouble?.act === 'photo';
}

// ---- what happens ----------------------------------------------------------------------------------------------------

export function step(s: State, e: Event, nowMs: number): Step {
  if (s.over) return [s, []];
  switch (e.is) {
    case 'fix':
      return describeWhenNear({ ...s, fix: e.fix, fixTrouble: null }, nowMs);
    case 'no_fix':
      return [{ ...s, fixTrouble: e.why }, []];
    case 'online':
      return [{ ...s, online: e.online }, []];
    case 'reveal':
      // At a house it brings no place: only what was left open there.
      return (s.place && s.openUnknownMs === null) || (s.house && s.attempt) || s.asking || !s.fix
        ? [s, []]
        : ask(s, 'locate', { do: 'locate' }, nowMs);
    case 'located':
      return describeWhenNear({ ...answered(s), place: e.place, openUnknownMs: stillUnknown(s, nowMs) }, nowMs);
    case 'taken_over':
      // What this phone has asked for itself is no other's.
      return s.attempt ? [s, []] : named({ ...s, takenOver: s.openUnknownMs === null }, e.attempt);
    case 'asked_before':
      return s.attempt ? [s, []] : [{ ...s, openUnknownMs: e.sinceMs }, []];
    case 'described':
      return [{ ...answered(s), description: e.description }, [{ do: 'buzz', kind: 'good' }]];
    case 'scanned':
      return scanned(s, e.hash, e.tail, nowMs);
    case 'signal':
      return s.asking || !s.place ? [s, []] : ask(s, 'signal', { do: 'signal' }, nowMs);
    case 'answered':
      return [answered(s), []];
    case 'failed':
      return failed(s, e, nowMs);
    case 'open':
    case 'reopen':
    case 'named':
    case 'news':
    case 'lid':
    case 'lock':
      return opening(s, e, nowMs);
    default:
      return closing(s, e, nowMs);
  }
}

/** With a place the keyholder names what may be open. Where it names nothing, and no request lives any more, nothing is. */
function stillUnknown(s: State, nowMs: number): number | null {
  return s.openUnknownMs !== null && nowMs - s.openUnknownMs > GIVE_UP_MS ? null : s.openUnknownMs;
}
function answered(s: State): State {
  return { ...s, asking: null, trouble: null };
}
function ask(s: State, act: Action, effect: Effect, nowMs: number): Step {
  return [{ ...s, asking: { act, sinceMs: nowMs }, trouble: null }, [effect]];
}

/** Plate and words are asked for by themselves, once the phone is near enough to be told. */
function describeWhenNear(s: State, nowMs: number): Step {
  const way = wayOf(s);
  const near = way !== null && way.distanceM <= DESCRIBE_DISTANCE_M + way.vaguenessM;
  const again = s.describes < DESCRIBE_TRIES && nowMs - s.describedAtMs >= DESCRIBE_AGAIN_MS;
  if (!near || !again || s.description || s.asking || s.attempt || !s.online) return [s, []];
  const asked = { ...s, describes: s.describes + 1, describedAtMs: nowMs };
  return [{ ...asked, asking: { act: 'describe', sinceMs: nowMs } }, [{ do: 'describe' }]];
}

function scanned(s: State, hash: Hash, tail: string, nowMs: number): Step {
  const direction = s.put.includes(hash) ? 'put' : s.take.includes(hash) ? 'take' : null;
  if (!direction) return [{ ...s, wrong: { tail, atMs: nowMs } }, [{ do: 'buzz', kind: 'bad' }]];
  const known = s.scanned.some((x) => x.hash === hash);
  const list = known ? s.scanned : [...s.scanned, { hash, direction, tail } as const];
  return [{ ...s, scanned: list, wrong: null }, [{ do: 'buzz', kind: 'good' }]];
}

function failed(s: State, e: Extract<Event, { is: 'failed' }>, nowMs: number): Step {
  if (e.act === 'follow') {
    // The attempt goes on without us; looking again is always safe.
    const a = s.attempt;
    if (!a || a.ended) return [s, []];
    return [s, [{ do: 'follow', attempt: a.id, after: a.seq, inMs: FOLLOW_AGAIN_MS }]];
  }
  // That the car cannot be described yet is no news to the courier: it is asked again when nearer.
  const trouble = e.act === 'describe' ? s.trouble : { act: e.act, code: e.code, passing: e.passing, atMs: nowMs };
  // A newer photo stands for itself, whatever becomes of an older one.
  const lost = e.act === 'photo' && (e.photo === undefined || e.photo === s.photoHash);
  const photo = lost ? { photo: 'none' as const, photoHash: e.photo === undefined ? s.photoHash : null } : {};
  const asking = s.asking?.act === e.act ? null : s.asking;
  return [{ ...s, asking, trouble, openUnknownMs: unknownAfter(s, e, nowMs), ...photo }, e.act === 'describe' ? [] : [{ do: 'buzz', kind: 'bad' }]];
}

/** A request to open without an answer may have opened. Only a refusal says that nothing came of it; one for its age says nothing of
 * an earlier one. */
function unknownAfter(s: State, e: Extract<Event, { is: 'failed' }>, nowMs: number): number | null {
  if (e.act !== 'open') return s.openUnknownMs;
  if (e.code === 'unanswered') return s.asking?.sinceMs ?? nowMs;
  return e.passing || e.code === 'nonce_expired' ? s.openUnknownMs : null;
}

function opening(s: State, e: Event, nowMs: number): Step {
  switch (e.is) {
    case 'open': {
      const again = s.attempt === null || s.attempt.state === 'did_not_happen';
      if (!again || notYet(s, nowMs) !== null) return [s, []];
      const labels = s.scanned.map((x) => x.hash);
      return ask({ ...s, attempt: null, lid: null, shutAtMs: null, handleHeld: null }, 'open', { do: 'open', labels }, nowMs);
    }
    case 'reopen': {
      if (!mayReopen(s, nowMs) || notYet(s, nowMs) !== null) return [s, []];
      return ask(s, 'open', { do: 'open', labels: s.scanned.map((x) => x.hash) }, nowMs);
    }
    case 'named':
      return s.attempt?.id === e.attempt ? openedAgain(s, s.attempt, e.state, nowMs) : named(s, e.attempt, e.unheard ? 'unknown' : 'intended');
    case 'news':
      return news(heard(s, e.of), e.attempt);
    case 'lid':
      // A lid that is open is loaded, whatever the car says; one that is shut is waited for, never opened anew.
      return s.attempt ? [{ ...s, lid: e.lid }, []] : [s, []];
    case 'lock':
      return s.attempt && !s.asking ? ask(s, 'lock', { do: 'lock' }, nowMs) : [s, []];
    default:
      return [s, []];
  }
}

function named(s: State, id: string, state = 'intended'): Step {
  const attempt: Attempt = {
    id, seq: 0, state, reason: null, readyUntilMs: null, mayActUntilMs: null, released: false,
    recalled: false, alarm: null, lockProof: null, checkHandle: false, mayReopen: false, ended: false,
  };
  return [{ ...answered(s), openUnknownMs: null, attempt }, [{ do: 'watch', attempt: id, takenOver: s.takenOver }, { do: 'follow', attempt: id, after: 0, inMs: 0 }]];
}
/** An opening leaves, or the lid is open: not shut, not locked. */
const isUnderWay = (a: Attempt): boolean => ['intended', 'sent', 'ready', 'open'].includes(a.state);
/** The answer to the second opening of one attempt. Any state but *intended* says that no command leaves. */
function openedAgain(s: State, a: Attempt, state: string | undefined, nowMs: number): Step {
  s = { ...s, openUnknownMs: null };
  // Its news came before its answer: what they say is newer.
  if (isUnderWay(a)) return [{ ...answered(s), reopened: true }, [{ do: 'follow', attempt: a.id, after: a.seq, inMs: 0 }]];
  if (state !== 'intended') {
    const trouble = { act: 'open', code: 'not_again', passing: false, atMs: nowMs } as const;
    return [{ ...s, asking: null, reopened: true, trouble }, [{ do: 'buzz', kind: 'bad' }]];
  }
  // What was told before this opening says nothing of it: only newer news count.
  const attempt = { ...a, seq: a.seq + 1, state: 'intended', released: false, readyUntilMs: null, lockProof: null, checkHandle: false };
  const fresh = { lid: null, shutAtMs: null, handleHeld: null, photo: 'none', photoHash: null, closeQueued: false } as const;
  return [{ ...answered(s), ...fresh, attempt, reopened: true }, [{ do: 'follow', attempt: a.id, after: a.seq, inMs: 0 }]];
}

/** What deserves a buzz in the pocket: something to do, or something that went wrong. */
function buzzOf(before: Attempt, now: Attempt): Effect[] {
  if ((now.alarm && !before.alarm) || (now.recalled && !before.recalled)) return [{ do: 'buzz', kind: 'bad' }];
  if (now.released && !before.released) return [{ do: 'buzz', kind: 'good' }];
  if (now.checkHandle && !before.checkHandle) return [{ do: 'buzz', kind: 'act' }];
  if (now.state === before.state) return [];
  if (now.state === 'ready' || now.state === 'unknown' || now.state === 'open') return [{ do: 'buzz', kind: 'act' }];
  if (now.state === 'did_not_happen') return [{ do: 'buzz', kind: 'bad' }];
  return now.state === 'locked' ? [{ do: 'buzz', kind: 'good' }] : [];
}
/** A request is under way until its own answer comes, whatever else is told meanwhile. */
function heard(s: State, act: Action | undefined): State {
  return act && s.asking?.act === act ? { ...s, asking: null } : s;
}
function news(s: State, a: Attempt): Step {
  const before = s.attempt;
  if (!before || before.id !== a.id) return [s, []];
  // An answer that was overtaken by a newer one says nothing; looking goes on.
  if (a.seq < before.seq) {
    return [s, before.ended ? [] : [{ do: 'follow', attempt: a.id, after: before.seq, inMs: 0 }]];
  }
  const effects = buzzOf(before, a);
  if (!a.ended) effects.push({ do: 'follow', attempt: a.id, after: a.seq, inMs: 0 });
  // Opened once more after it was locked: the close is to be said anew.
  const anew = (before.state === 'locked' || before.state === 'locking') && isUnderWay(a);
  const askedAgain = anew && s.asking?.act === 'open';
  const fresh = anew
    ? { lid: null, shutAtMs: null, handleHeld: null, closeQueued: false, photo: 'none' as const, photoHash: null, reopened: s.reopened || askedAgain }
    : {};
  const asking = askedAgain ? null : s.asking;
  // Newer news: the close that waited has been heard.
  const closeQueued = s.closeQueued && a.seq === before.seq;
  // Told after a second opening had found no answer: that is the answer.
  return [{ ...s, openUnknownMs: null, closeQueued, ...fresh, asking, attempt: a }, effects];
}

function closing(s: State, e: Event, nowMs: number): Step {
  switch (e.is) {
    case 'photo_taken':
      return [{ ...s, photo: 'sealing' }, []];
    case 'photo_sealed':
      return [{ ...s, photo: 'sending', photoHash: e.hash }, []];
    case 'photo_kept':
      return keptPhoto(s, e.hash, e.queued);
    case 'shut':
      return s.attempt ? close({ ...s, shutAtMs: nowMs, lid: null }, false, nowMs) : [s, []];
    case 'handle':
      // A handle that gives is no lie: it is said by locking again.
      // While a photo is being sealed nobody knows its name yet; the close would go without it.
      if (!s.attempt || s.photo === 'sealing') return [s, []];
      return e.held ? close({ ...s, handleHeld: true }, true, nowMs) : ask({ ...s, handleHeld: false }, 'lock', { do: 'lock' }, nowMs);
    case 'close_queued':
      return [{ ...s, asking: null, closeQueued: true }, []];
    case 'give_up':
      return mayGiveUp(s) ? [emptied(s, { outcome: 'failed', reason: e.reason, codes: [e.reason] }), [{ do: 'wipe' }]] : [s, []];
    case 'leave':
      return leave(s, e.isDone);
    default:
      return [s, []];
  }
}
/** Of the newest photo alone: one that arrives late, while another is being sealed or was taken, changes nothing. */
function keptPhoto(s: State, hash: Hash, queued: boolean): Step {
  const isNewest = s.photo !== 'sealing' && s.photoHash === hash;
  return [isNewest ? { ...s, photo: queued ? 'queued' : 'kept' } : s, []];
}
function close(s: State, handleChecked: boolean, nowMs: number): Step {
  return ask(s, 'close', { do: 'close', handleChecked, photo: s.photoHash }, nowMs);
}
function leave(s: State, isDone: boolean | undefined): Step {
  const a = s.attempt;
  if (!a || !mayLeave(s) || (s.takenOver && isDone === undefined)) return [s, []];
  if (a.state === 'did_not_happen') {
    return [emptied(s, { outcome: 'failed', reason: 'did_not_open', codes: ['did_not_open'] }), [{ do: 'wipe' }]];
  }
  const finish: Effect = { do: 'finish', handleChecked: s.handleHeld === true, photo: s.photoHash };
  const missing: Over = { outcome: 'failed', reason: 'missing_parcel', codes: ['missing_parcel'] };
  const over: Over = isDone === false ? missing : { outcome: 'done', reason: null, codes: codesOf(s) };
  return [emptied(s, over), a.ended ? [{ do: 'wipe' }] : [finish, { do: 'wipe' }]];
}
/** What was never scanned was not here. A page that was loaded anew does not know what was scanned before. */
function codesOf(s: State): Over['codes'] {
  const left = missing(s);
  if (s.scanned.length === 0 || left.length === 0) return ['done'];
  return s.parcels.map((p) => (left.includes(p) ? 'missing_parcel' : 'done'));
}
/** Nothing of where and what stays. */
function emptied(s: State, over: Over): State {
  return { ...begin([], [], [], s.windowEndMs, s.online), over };
}
