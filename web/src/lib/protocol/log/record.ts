// Records: ordered lists of individually salted fields. The bytes of a record hold commitments only; who may read a field
// gets its opening.

import { equal, fromUtf8, utf8, utf8Length, type Bytes } from '../bytes';
import { bytesOf, parseHash, sha256, sha256Bytes, type Hash } from '../hash';
import { Refused } from '../refused';

export const FIELDS_MAX = 32;

/** Lets its holder read one field. */
export interface Opening {
  readonly name: string;
  readonly salt: Hash;
  readonly value: string;
}
export interface Record {
  readonly bytes: Bytes;
  readonly fields: readonly (readonly [name: string, commitment: Hash])[];
}
/** Where the chain of one wallet and access point stands: what the next record names. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: Hash;
}

export function commitment(o: Opening): Hash {
  const name = utf8(o.name);
  const length = Uint8Array.of((name.length >> 8) & 0xff, name.length & 0xff);
  return sha256('psh-field-v1\0', length, name, bytesOf(o.salt), o.value);
}
/** The salt of a field, for whoever holds the record's seed. */
export function fieldSalt(seed: Uint8Array, name: string): Hash {
  return sha256('psh-salt-v1\0', seed, name);
}

/** Reads the one encoding; `record_not_canonical` or `record_bounds` for any other bytes. */
export function parseRecord(bytes: Bytes): Record {
  const fields = readFields(bytes);
  const names = fields.map(([name]) => name);
  const distinct = new Set(names).size === names.length;
  if (names.length === 0 || names.length > FIELDS_MAX || !distinct || !names.every((n) => /^[a-z_]{1,32}$/.test(n))) {
    throw new Refused('record_bounds');
  }
  if (!equal(utf8(encode(fields)), bytes)) throw new Refused('record_not_canonical');
  return { bytes, fields };
}
function readFields(bytes: Bytes): [string, Hash][] {
  const no = new Refused('record_not_canonical');
  let parsed: unknown;
  try {
    parsed = JSON.parse(fromUtf8(bytes) ?? '');
  } catch {
    throw no;
  }
  const list = (parsed as { fields?: unknown } | null)?.fields;
  if (!Array.isArray(list)) throw no;
  return list.slice(0, FIELDS_MAX + 1).map((field: unknown) => {
    const [name, hash] = Array.isArray(field) ? (field as unknown[]) : [];
    if (typeof name !== 'string' || typeof hash !== 'string' || !parseHash(hash)) throw no;
    return [name, hash];
  });
}
export function encode(fields: Record['fields']): string {
  return `{"v":1,"fields":[${fields.map(([name, hash]) => `["${name}","${hash}"]`).join(',')}]}`;
}

/** The log's entry. */
export function recordEntry(record: Record): Bytes {
  return sha256Bytes('psh-record-v1\0', record.bytes);
}
/** What the next record of the chain names as `chain_prev`. */
export function chainHash(record: Record): Hash {
  return sha256(record.bytes);
}
/** Checks that an opening is of this record. */
export function checkOpening(record: Record, opening: Opening): void {
  const field = record.fields.find(([name]) => name === opening.name);
  if (!field) throw new Refused('record_no_such_field');
  if (field[1] !== commitment(opening) || utf8Length(opening.value) > 16 * 1024) throw new Refused('record_wrong_opening');
}
export function headAfter(head: ChainHead, record: Record): ChainHead {
  return { seq: head.seq + 1, hash: chainHash(record) };
}
