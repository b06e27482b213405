// What is inside sealed boxes.

import { b64, bytesOfLength, equal, utf8Length, type Bytes } from './bytes';
import { domainHash, parseId, type Hash, type Id } from './hash';
import { JWS_MAX } from './jws';
import { isPlain, ObjectWriter, parse, type Members } from './json';
import { Refused } from './refused';
import { contentMax, SealPublicKey } from './sealkey';
import { CLASSES, oneOf, parseTimeMs, token, type AccessClass } from './text';

/** A point on the Earth, WGS 84, with the radius within which it is meant. */
export interface Position {
  readonly lat: number;
  readonly lng: number;
  readonly accuracyM: number;
}
/** Where a car stands, and what it looks like from afar. */
export interface Place extends Position {
  /** When the position was taken, if the maker says. */
  readonly takenAtMs: number | null;
  /** When the maker was asked. */
  readonly readAtMs: number;
  readonly colour: string | null;
  readonly model: string | null;
  readonly class: AccessClass;
  /** The wallet's key for this grant: photos are sealed to it. */
  readonly seal: SealPublicKey;
}
/** How a car is recognised and opened. */
export interface Description {
  readonly plate: string;
  readonly colour: string;
  readonly model: string;
  readonly opensHow: string;
  readonly notes: string;
  /** The car films around itself. */
  readonly recordsVideo: boolean;
}
/** Which cars a grant is for, in order; known to the keyholder only. */
export interface Rule {
  readonly salt: Bytes;
  readonly vehicles: readonly Id[];
}

function position(m: Members): Position {
  const [lat, lng, accuracyM] = [m.float('lat'), m.float('lng'), m.float('accuracy_m')];
  const holds = Math.abs(lat) <= 90 && Math.abs(lng) <= 180 && accuracyM >= 0 && accuracyM <= 100_000;
  if (!holds) throw m.wrong();
  return { lat, lng, accuracyM };
}
const words = (text: string): string | null =>
  text.length > 0 && utf8Length(text) <= 64 && isPlain(text) ? text : null;

export function parsePlace(bytes: Uint8Array): Place {
  const m = parse('content', bytes);
  const place = {
    ...position(m),
    takenAtMs: m.nullable('taken_at', parseTimeMs),
    readAtMs: m.parsed('read_at', parseTimeMs),
    colour: m.nullable('colour', words),
    model: m.nullable('model', words),
    class: m.parsed('class', oneOf(CLASSES)),
    seal: m.parsed('seal', SealPublicKey.parse),
  };
  m.end();
  return place;
}
/** What photos at a house are sealed to: the wallet's key for this grant, which at a car comes with the place. */
export function parsePhotoKey(bytes: Uint8Array): SealPublicKey {
  const m = parse('content', bytes);
  const key = m.parsed('seal', SealPublicKey.parse);
  m.end();
  return key;
}
const TIME_BYTES = 8;
const LAST_MS = 253_402_300_799_999n;
const BEGINNINGS = [
  [0xff, 0xd8, 0xff],
  [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
];
/** One picture of a recording: when it was asked for, and a JPEG or PNG as the camera gave it. */
export function parsePicture(content: Uint8Array): { readonly atMs: number; readonly bytes: Bytes } {
  const wrong = () => Refused.of('content', 'wrong_member');
  if (content.length < TIME_BYTES || content.length > contentMax('recording')) throw wrong();
  const at = new DataView(content.buffer, content.byteOffset).getBigInt64(0);
  const bytes = content.slice(TIME_BYTES);
  const begins = BEGINNINGS.some((beginning) => beginning.every((byte, k) => bytes[k] === byte));
  if (at < 0n || at > LAST_MS || !begins) throw wrong();
  return { atMs: Number(at), bytes };
}
/** The phone's position with the nonce of the proof it goes with. */
export function phoneBytes(at: Position, nonce: string): Bytes {
  return new ObjectWriter()
    .raw('lat', JSON.stringify(at.lat))
    .raw('lng', JSON.stringify(at.lng))
    .raw('accuracy_m', JSON.stringify(Math.min(at.accuracyM, 100_000)))
    .text('nonce', nonce)
    .bytes();
}
export function parsePhone(bytes: Uint8Array): Position & { readonly nonce: string } {
  const m = parse('content', bytes);
  const phone = { ...position(m), nonce: token(m, 'nonce', 128) };
  m.end();
  return phone;
}
/** What somebody without account reads on the windscreen. */
export function occupantBytes(vin: string): Bytes {
  return new ObjectWriter().text('vin', vin).bytes();
}

/** How an owner calls a guest. */
export function guestNameBytes(name: string): Bytes {
  return new ObjectWriter().text('name', name).bytes();
}
/** What an owner has signed for a guest's device: link 0. Whoever reads it checks that it names the own device. */
export function parseForGuest(bytes: Uint8Array): string {
  const m = parse('content', bytes);
  const grant = token(m, 'grant', JWS_MAX);
  m.end();
  return grant;
}

/** The one spelling, over which the commitment is made. `place` is reserved and always `null`. */
export function ruleBytes(rule: Rule): Bytes {
  return new ObjectWriter().text('salt', b64(rule.salt)).texts('vehicles', rule.vehicles).raw('place', 'null').bytes();
}
export function ruleCommitment(rule: Rule): Hash {
  return domainHash('psh-rule-v1', ruleBytes(rule));
}
export function parseRule(bytes: Uint8Array): Rule {
  const m = parse('content', bytes);
  const rule = { salt: m.parsed('salt', bytesOfLength(16)), vehicles: m.list('vehicles', 1, 3, parseId) };
  if (m.take('place') !== null || !equal(ruleBytes(rule), bytes)) throw m.wrong();
  m.end();
  return rule;
}

export function descriptionBytes(d: Description): Bytes {
  return new ObjectWriter()
    .text('plate', d.plate)
    .text('colour', d.colour)
    .text('model', d.model)
    .text('opens_how', d.opensHow)
    .text('notes', d.notes)
    .bool('records_video', d.recordsVideo)
    .bytes();
}
export function parseDescription(bytes: Uint8Array): Description {
  const m = parse('content', bytes);
  const description = {
    plate: m.text('plate', 1, 16),
    colour: m.text('colour', 1, 64),
    model: m.text('model', 1, 64),
    opensHow: m.text('opens_how', 0, 256),
    notes: m.text('notes', 0, 1024),
    recordsVideo: m.bool('records_video'),
  };
  m.end();
  return description;
}

