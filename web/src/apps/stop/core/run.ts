// Does what the machine says: asks the keyholder, seals, keeps what cannot be sent, and reports back as events. Loaded after
// the first view.

import { database, shelf, type Watched } from '$lib/offline/db';
import { Outbox, type Sent } from '$lib/offline/outbox';
import { b64, fromB64, type Bytes } from '$lib/protocol/bytes';
import type { Position } from '$lib/protocol/content';
import { sha256, type Hash } from '$lib/protocol/hash';
import { labelHash, normaliseLabel } from '$lib/protocol/label';
import { Refused } from '$lib/protocol/refused';
import { SealPublicKey } from '$lib/protocol/sealkey';
import type { Fragment } from '../fragment';
import { houseOf, needsHand, type House, type Attempt, type Effect, type Event, type State, type Trouble } from '../machine';
import { Unanswered } from '$lib/api/again';
import { verifyKeys } from '$lib/protocol/keys';
import { ANY } from '$lib/protocol/jws';
import { keepKeys, keptKeys, loadDevice, type Device, type Pin } from './device';
import { attemptOf, fetchKeys, leavePhoto, lookAt, Problem, Session, Silence, type CloseSaid, type Found, type Opened } from './session';

/** Evidence that waits: sealed, or codes. */
type Evidence =
  | { readonly kind: 'photo'; readonly delivery: string; readonly attempt: string; readonly photo: string; readonly hash?: Hash }
  | { readonly kind: 'close'; readonly delivery: string; readonly link: string; readonly said: CloseSaid };

/** A phone that does not know where it is: closing is never refused for that. */
const NOWHERE: Position = { lat: 0, lng: 0, accuracyM: 100_000 };
const REPLAY_EVERY_MS = 15_000;
/** As the carrier's labels end. */
const TAIL_CHARS = 4;
const BUZZ = { good: [80], act: [200, 100, 200], bad: [400, 100, 400, 100, 400] } as const;

export type Start =
  | { readonly is: 'ready'; readonly runner: Runner; readonly put: readonly Hash[]; readonly take: readonly Hash[]; readonly windowEndMs: number; readonly lengthMs: number; readonly house: House | null; readonly attempt: Living | null; readonly askedMs: number | null }
  | { readonly is: 'not_enrolled' }
  | { readonly is: 'other_device' }
  | { readonly is: 'failed'; readonly code: string };

export function failureOf(error: unknown): { code: string; passing: boolean } {
  if (error instanceof Problem) {
    const condition = error.body.condition;
    return { code: typeof condition === 'string' ? condition : error.code, passing: error.status >= 500 || error.status === 429 };
  }
  if (error instanceof Unanswered) return { code: 'unanswered', passing: true };
  if (error instanceof Refused) return { code: error.code, passing: false };
  // Anything else is no answer either: a disk that fails, a part of the page that does not load. The page goes on.
  const isOver = (error as { name?: unknown } | null)?.name === 'AbortError';
  if (!isOver && !(error instanceof Silence)) console.warn(error);
  return { code: 'silence', passing: true };
}

/** Looks at device, link and keys. Nothing is asked about the place yet. */
export async function start(
  delivery: string,
  fragment: Fragment,
  dispatch: (e: Event) => void,
  stateOf: () => State | null,
): Promise<Start> {
  try {
    const device = await loadDevice();
    if (!device?.pin) return { is: 'not_enrolled' };
    const rows = await watchedHere(delivery);
    const keys = await keysFor(device.pin, rows.length > 0);
    const session = new Session(device, keys, delivery, fragment.link);
    const { claims } = session;
    if (claims.delivery !== delivery) return { is: 'failed', code: 'delegation_wrong_delivery' };
    if (claims.cnf !== device.thumbprint) return { is: 'other_device' };
    const runner = new Runner(device, session, fragment, dispatch, stateOf);
    return { is: 'ready', runner, put: claims.put, take: claims.take, windowEndMs: claims.window.endMs, lengthMs: claims.window.endMs - claims.window.startMs, house: houseOf(claims.opens), attempt: await livingAttempt(rows), askedMs: await askedBefore(delivery) };
  } catch (error) {
    return { is: 'failed', code: failureOf(error).code };
  }
}

export class Runner {
  private readonly device: Device;
  private readonly session: Session;
  private readonly salt: Bytes;
  /** Parts of the link, for a courier who is called back. */
  private text: string;
  private readonly dispatch: (e: Event) => void;
  private readonly stateOf: () => State | null;
  private readonly outbox: Outbox<Evidence>;
  private following: string | null = null;
  private wiped = false;
  private owner: SealPublicKey | null = null;

  constructor(device: Device, session: Session, fragment: Fragment, dispatch: (e: Event) => void, stateOf: () => State | null) {
    this.device = device;
    this.session = session;
    this.salt = fromB64(fragment.salt) ?? new Uint8Array();
    this.text = fragment.text;
    this.dispatch = dispatch;
    this.stateOf = stateOf;
    this.outbox = evidence((piece) => this.sendEvidence(piece));
    this.outbox.onRefused = () => this.onRefused();
    // What waits is sealed, or codes: sending it goes on when the stop is over.
    sendFromHere(() => void this.replay());
    void this.replay();
  }

  /** What was read or typed: does it belong to this stop? */
  scan(text: string): void {
    try {
      const tail = normaliseLabel(text).slice(-TAIL_CHARS);
      this.dispatch({ is: 'scanned', hash: labelHash(this.salt, text), tail });
    } catch {
      this.dispatch({ is: 'scanned', hash: '', tail: text.slice(-TAIL_CHARS) });
    }
  }
  /** Last characters of a label of this stop; null for any other text. */
  labelOf(text: string): string | null {
    try {
      const hash = labelHash(this.salt, text);
      const { put, take } = this.session.claims;
      return put.includes(hash) || take.includes(hash) ? normaliseLabel(text).slice(-TAIL_CHARS) : null;
    } catch {
      return null;
    }
  }
  async replay(): Promise<void> {
    // A disk that cannot be read is looked at again the next time.
    const left = await this.outbox.replay(Date.now()).catch(() => null);
    if (left !== null) this.onWaiting(left);
  }
  /** Set by the page: how many pieces of evidence wait. */
  onWaiting: (count: number) => void = () => {};
  /** Set by the page: whether photos can be sealed to the owner. */
  onOwner: (known: boolean) => void = () => {};
  /** Set by the page: a piece of evidence was refused for good. */
  onRefused: () => void = () => {};

  run(effect: Effect): void {
    if (this.wiped) return;
    switch (effect.do) {
      case 'locate':
        return this.ask('locate', async (at) => {
          if (this.stateOf()?.house) return this.dispatch({ is: 'taken_over', attempt: await this.session.leftOpen(at) });
          this.found(await this.session.locate(at));
          // Nothing is open, and nothing is under way any more.
          if (this.stateOf()?.openUnknownMs === null) await forgetAsked(this.session.delivery).catch(() => undefined);
        });
      case 'describe':
        return this.ask('describe', async (at) => {
          this.dispatch({ is: 'described', description: await this.session.describe(at) });
        });
      case 'signal':
        return this.ask('signal', async (at) => {
          await this.session.signal(at);
          this.dispatch({ is: 'answered' });
        });
      case 'open':
        return this.ask('open', async (at) => {
          const { attempt, state, owner } = await this.open(at, effect.labels);
          if (owner && !this.wiped) this.owner = owner;
          this.dispatch({ is: 'named', attempt, state });
        });
      case 'lock':
        return this.ask('lock', async (at) => {
          this.dispatch({ is: 'news', attempt: await this.session.lock(at), of: 'lock' });
        });
      case 'close':
        return void this.close({ handleChecked: effect.handleChecked, photo: effect.photo, done: false });
      case 'finish':
        return void this.finish({ handleChecked: effect.handleChecked, photo: effect.photo, done: true });
      case 'follow':
        return void this.follow(effect.attempt, effect.after, effect.inMs);
      case 'watch':
        return void this.watch(effect.attempt, effect.takenOver).catch(failureOf);
      case 'buzz':
        return void navigator.vibrate?.([...BUZZ[effect.kind]]);
      case 'wipe':
        return this.wipe();
    }
  }

  /** The place, asked for here or by a list of stops. */
  found({ place, attempt }: Found): void {
    this.owner = place.seal;
    // First: who takes over asks for nothing more about the car.
    if (attempt) this.dispatch({ is: 'taken_over', attempt });
    this.dispatch({ is: 'located', place });
  }
  /** That it was asked for is on the disk before the request leaves, so that a page that is loaded anew knows its own opening. */
  private async open(at: Position, labels: readonly Hash[]): Promise<Opened> {
    const { delivery } = this.session;
    try {
      const opened = await this.session.open(at, labels, () => noteAsked(delivery).catch(() => undefined));
      // Opened once more: its name is on the disk already. A new one is written first, with what watches it.
      await forgetWhatIsNamed(delivery, opened.attempt).catch(() => undefined);
      return opened;
    } catch (error) {
      // A refusal is an answer; one for a request's age says nothing of an earlier request.
      const ofEarlier = error instanceof Problem && error.code === 'nonce_expired' && this.stateOf()?.openUnknownMs != null;
      if (error instanceof Problem && !failureOf(error).passing && !ofEarlier) await forgetAsked(delivery).catch(() => undefined);
      throw error;
    }
  }
  private at(): Position {
    return this.stateOf()?.fix ?? NOWHERE;
  }
  private ask(act: Trouble['act'], doing: (at: Position) => Promise<void>): void {
    doing(this.at()).catch((error: unknown) => this.dispatch({ is: 'failed', act, ...failureOf(error) }));
  }

  private async follow(id: string, after: number, inMs: number): Promise<void> {
    if (this.following === id) return;
    this.following = id;
    if (inMs > 0) await new Promise((resolve) => setTimeout(resolve, inMs));
    let news: Event;
    try {
      news = { is: 'news', attempt: await this.session.attempt(id, after) };
    } catch (error) {
      news = { is: 'failed', act: 'follow', ...failureOf(error) };
    } finally {
      this.following = null;
    }
    if (!this.wiped) this.dispatch(news);
  }

  // ---- evidence --------------------------------------------------------------------------------------------------

  /**
   * Seals a photo to the owner, keeps it, and leaves it at the front as soon as there is a network. Once it is sealed its name is
   * known, and once it is kept it is safe: nobody at the car waits for the upload.
   */
  async photograph(jpeg: Bytes): Promise<void> {
    const attempt = this.stateOf()?.attempt;
    if (!attempt || !this.owner) return;
    this.dispatch({ is: 'photo_taken' });
    let named: { photo?: Hash } = {};
    try {
      const box = await this.session.sealPhoto(this.owner, jpeg);
      const [hash, photo, { delivery }] = [sha256(box), b64(box), this.session];
      const isSafe = (): void => {
        named = { photo: hash };
        this.dispatch({ is: 'photo_sealed', hash });
      };
      const piece: Evidence = { kind: 'photo', delivery, attempt: attempt.id, photo, hash };
      const sent = await this.post(`photo:${hash}`, piece, () => sendPiece(this.device, this.at(), piece), isSafe);
      if (sent === 'refused') throw new Refused('photo_refused');
      // Of a disk that takes nothing nothing was heard.
      if (!named.photo) isSafe();
      this.dispatch({ is: 'photo_kept', hash, queued: sent === 'later' });
    } catch (error) {
      this.dispatch({ is: 'failed', act: 'photo', ...named, ...failureOf(error) });
    }
  }
  private async close(said: CloseSaid): Promise<void> {
    const { delivery, link } = this.session;
    let happened: Event = { is: 'close_queued' };
    const say = async (): Promise<Sent> => {
      try {
        happened = { is: 'news', attempt: await this.session.close(this.at(), said), of: 'close' };
        return 'done';
      } catch (error) {
        const failure = failureOf(error);
        if (failure.passing) return 'later';
        happened = { is: 'failed', act: 'close', ...failure };
        return 'refused';
      }
    };
    try {
      await this.post(`close:${delivery}`, { kind: 'close', delivery, link, said }, say);
    } catch (error) {
      // Neither said nor kept: the courier says it again.
      happened = { is: 'failed', act: 'close', ...failureOf(error) };
    }
    this.dispatch(happened);
  }
  /** That the courier has left is evidence like any other; nobody waits for it. */
  private async finish(said: CloseSaid): Promise<void> {
    const { delivery, link } = this.session;
    try {
      await this.post(`done:${delivery}`, { kind: 'close', delivery, link, said });
    } catch {
      // Neither said nor kept: somebody should know.
      this.onRefused();
    }
  }
  /** Kept first, then sent. */
  private async post(key: string, piece: Evidence, say?: () => Promise<Sent>, onKept?: () => void): Promise<Sent> {
    const sent = await this.outbox.post(key, piece, Date.now(), say, onKept);
    if (sent === 'later') this.onWaiting(await this.outbox.waiting().catch(() => 0));
    return sent;
  }
  private async sendEvidence(piece: Evidence): Promise<Sent> {
    const sent = await sendPiece(this.device, this.at(), piece);
    // One of this page that had waited.
    if (sent === 'done' && piece.kind === 'photo' && piece.hash && !this.wiped) {
      this.dispatch({ is: 'photo_kept', hash: piece.hash, queued: false });
    }
    return sent;
  }

  // ---- the end ---------------------------------------------------------------------------------------------------

  private async watch(attempt: string, takenOver: boolean): Promise<void> {
    const db = await database();
    // A page that was loaded anew has no place any more; what seals photos to the owner stays with the attempt.
    const before = await db.get('watched', attempt);
    if (this.wiped) return;
    this.owner ??= before?.seal ? SealPublicKey.parse(before.seal) : null;
    this.onOwner(this.owner !== null);
    const seal = this.owner ? { seal: this.owner.text } : {};
    await db.put('watched', { attempt, delivery: this.session.delivery, text: this.text, sinceMs: Date.now(), takenOver, ...seal });
    await forgetAsked(this.session.delivery);
  }
  /** The stop is put off: nothing of it stays in memory, and what waits is sent. */
  drop(): void {
    this.wiped = true;
    this.owner = null;
    this.text = '';
    this.salt.fill(0);
  }
  /** Nothing of this stop stays in memory; the address with its link goes from the history, too. */
  private wipe(): void {
    this.drop();
    // A list of stops keeps its own address.
    if (location.pathname.startsWith('/s/')) history.replaceState({}, '', '/');
  }
}

// ---- evidence of any stop --------------------------------------------------------------------------------------------

/** That a lid is shut ends an alarm; it waits behind no photo. */
function evidence(send: (piece: Evidence) => Promise<Sent>): Outbox<Evidence> {
  return new Outbox<Evidence>(shelf<Evidence>(), send, (piece) => piece.kind === 'close');
}
/** One piece, over a nonce of its own. */
async function sendPiece(device: Device, at: Position, piece: Evidence): Promise<Sent> {
  try {
    if (piece.kind === 'photo') {
      await leavePhoto(piece.delivery, piece.attempt, piece.photo);
    } else {
      const keys = await fetchKeys(device.pin);
      await new Session(device, keys, piece.delivery, piece.link).close(at, piece.said);
    }
    return 'done';
  } catch (error) {
    return mayPass(error) ? 'later' : 'refused';
  }
}
/** A piece is sent with a fresh nonce each time: that one was too old, or came too soon, says nothing of the next. */
function mayPass(error: unknown): boolean {
  const late = error instanceof Problem && (error.status === 408 || error.status === 425 || error.code === 'nonce_expired');
  return late || failureOf(error).passing;
}
let sending: ReturnType<typeof setInterval> | undefined;
/** One timer for a page, whatever stops it has shown. */
function sendFromHere(again: () => void): void {
  clearInterval(sending);
  sending = setInterval(again, REPLAY_EVERY_MS);
}
/** On a page without a stop: what the last one left is sent from here, too. */
export function sendWhatWaits(): void {
  const box = evidence(async (piece) => {
    const device = await loadDevice();
    return device?.pin ? sendPiece(device, NOWHERE, piece) : 'later';
  });
  const again = (): void => void box.replay(Date.now()).catch(() => undefined);
  sendFromHere(again);
  addEventListener('online', again);
  again();
}

interface Living {
  readonly id: string;
  readonly takenOver: boolean;
  /** Nobody has answered how it stands. */
  readonly unheard: boolean;
}
/** Attempts of this stop that were begun on this phone, the newest first. */
async function watchedHere(delivery: string): Promise<Watched[]> {
  const kept = (await (await database()).getAll('watched')).filter((w) => w.delivery === delivery && !w.asked);
  return kept.sort((a, b) => b.sinceMs - a.sinceMs);
}
/** The attempt of this stop, if the page was loaded anew while something is open. Where nobody answers it may be, and that its lid is
 * shut is to be said here. */
async function livingAttempt(rows: readonly Watched[]): Promise<Living | null> {
  for (const { attempt, takenOver = false } of rows) {
    let now: Attempt;
    try {
      const response = await lookAt(attempt);
      // Only that there is none says that nothing is open here; anything else is no answer.
      if (response.status === 404) continue;
      if (!response.ok) throw new Silence('no answer');
      now = attemptOf((await response.json()) as Record<string, unknown>);
    } catch {
      return { id: attempt, takenOver, unheard: true };
    }
    if (!now.ended && now.state !== 'did_not_happen') return { id: attempt, takenOver, unheard: false };
  }
  return null;
}
/** The keyholder's keys; without a network those that were verified last, where something of this stop may be open. */
async function keysFor(pin: Pin, mayBeOpen: boolean): ReturnType<typeof fetchKeys> {
  try {
    const keys = await fetchKeys(pin);
    await keepKeys(keys.jws).catch(() => undefined);
    return keys;
  } catch (error) {
    const jws = mayBeOpen && failureOf(error).passing ? await keptKeys() : null;
    if (!jws) throw error;
    return { ...(await verifyKeys(jws, pin.log, pin.iss, ANY)).claims, jws };
  }
}

const askedKey = (delivery: string): string => `asked ${delivery}`;
/** No request to open lives as long, and no stop lasts as long. */
const ASKED_KEPT_MS = 86_400_000;
async function noteAsked(delivery: string): Promise<void> {
  await (await database()).put('watched', { attempt: askedKey(delivery), delivery, asked: true, sinceMs: Date.now() });
}
async function forgetAsked(delivery: string): Promise<void> {
  await (await database()).delete('watched', askedKey(delivery));
}
async function forgetWhatIsNamed(delivery: string, attempt: string): Promise<void> {
  if (await (await database()).get('watched', attempt)) await forgetAsked(delivery);
}
/** When this phone asked to open and was never answered; null if it did not. */
async function askedBefore(delivery: string): Promise<number | null> {
  const row = await (await database()).get('watched', askedKey(delivery));
  return row && Date.now() - row.sinceMs < ASKED_KEPT_MS ? row.sinceMs : null;
}

/** A stop that was left and calls its courier back; with `address` this very page can shut and lock it. */
export interface Behind {
  readonly delivery: string;
  readonly sinceMs: number;
  readonly address: string | null;
}
/** Attempts of other stops that were left while they were still being locked: which of them call the courier back. */
export async function lookBehind(here: string, before: readonly Behind[] = []): Promise<Behind[]> {
  const db = await database();
  const called: Behind[] = [];
  for (const watched of await db.getAll('watched')) {
    if (watched.asked && Date.now() - watched.sinceMs >= ASKED_KEPT_MS) await db.delete('watched', watched.attempt);
    if (watched.delivery === here || watched.asked) continue;
    let now: Attempt;
    try {
      const response = await lookAt(watched.attempt);
      if (response.status === 404) {
        await db.delete('watched', watched.attempt);
        continue;
      }
      if (!response.ok) throw new Silence('no answer');
      now = attemptOf((await response.json()) as Record<string, unknown>);
    } catch {
      // Who called before and cannot be heard now still calls.
      called.push(...before.filter((b) => b.delivery === watched.delivery));
      continue;
    }
    const { delivery, sinceMs, text } = watched;
    if (now.recalled || needsHand(now)) called.push({ delivery, sinceMs, address: text ? `/s/${delivery}#${text}` : null });
    else if (now.ended || now.state === 'locked') await db.delete('watched', watched.attempt);
  }
  return called;
}
