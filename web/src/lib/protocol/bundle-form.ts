// The one encoding of a case bundle. It is read with the browser's JSON and written again: whatever would be written
// differently is refused, so that no byte can change.

import { b64, fromB64, fromUtf8, type Bytes } from './bytes';
import { parseHash, type Hash } from './hash';
import { isWellFormed, quoted } from './json';
import { VerifyingKey } from './jws';
import type { Opening } from './log/record';
import { Refused } from './refused';
import { contentMax } from './sealkey';
import { assertionJson, type Assertion } from './webauthn';

const MESSAGES_MAX = 16;
const RECORDS_MAX = 128;
const OPENINGS_MAX = 32;
const PROOF_HASHES_MAX = 64;

/** What a verdict rests on: whose keyholder, whose log, whose operator, whose wallet. */
export interface Anchors {
  readonly aud: string;
  /** The log's verifier key. */
  readonly log: string;
  readonly operator: VerifyingKey;
  readonly rpId: string;
  readonly walletOrigin: string;
}
export interface RecordEvidence {
  readonly bytes: Bytes;
  readonly openings: readonly Opening[];
  readonly index: number;
  readonly inclusion: readonly Hash[];
}
/** What is a carrier's in a case. */
export interface CarrierEvidence {
  readonly cert: string;
  readonly delegationCert: string;
  readonly devices: readonly { readonly depotCert: string; readonly deviceCert: string }[];
  readonly request: string;
  readonly delegations: readonly string[];
}
export interface Bundle {
  readonly anchors: Anchors;
  readonly keys: string;
  /** Null where a guest's or the owner's own device acted. */
  readonly carrier: CarrierEvidence | null;
  readonly passkeys: readonly { readonly statement: Bytes; readonly assertion: Assertion }[];
  readonly grant: string;
  readonly assertion: Assertion;
  readonly accepted: string;
  readonly proofs: readonly string[];
  readonly records: readonly RecordEvidence[];
  readonly checkpoint: string;
}

export function anchorsJson(a: Anchors): string {
  return (
    `{"aud":${quoted(a.aud)},"log":${quoted(a.log)},"operator":${a.operator.jwk},` +
    `"rp_id":${quoted(a.rpId)},"wallet_origin":${quoted(a.walletOrigin)}}`
  );
}
export function encodeBundle(b: Bundle): string {
  const list = <T>(items: readonly T[], item: (each: T) => string): string => `[${items.map(item).join(',')}]`;
  const record = (r: RecordEvidence): string =>
    `{"bytes":"${b64(r.bytes)}","openings":${list(
      r.openings,
      (o) => `{"name":${quoted(o.name)},"salt":"${o.salt}","value":${quoted(o.value)}}`,
    )},"index":${r.index},"inclusion":${list(r.inclusion, (h) => `"${h}"`)}}`;
  const c = b.carrier;
  const devices = (all: CarrierEvidence['devices']): string =>
    list(all, (d) => `{"depot":${quoted(d.depotCert)},"device":${quoted(d.deviceCert)}}`);
  return (
    `{"v":1,"anchors":${anchorsJson(b.anchors)},"keys":${quoted(b.keys)},` +
    (c ? `"carrier":${quoted(c.cert)},"delegation_cert":${quoted(c.delegationCert)},"devices":${devices(c.devices)},` : '') +
    `"passkeys":${list(b.passkeys, (p) => `{"statement":"${b64(p.statement)}","assertion":${assertionJson(p.assertion)}}`)},` +
    (c ? `"request":${quoted(c.request)},` : '') +
    `"grant":${quoted(b.grant)},"assertion":${assertionJson(b.assertion)},"accepted":${quoted(b.accepted)},` +
    (c ? `"delegations":${list(c.delegations, quoted)},` : '') +
    `"proofs":${list(b.proofs, quoted)},` +
    `"records":${list(b.records, record)},"checkpoint":${quoted(b.checkpoint)}}`
  );
}

class NotCanonical extends Error {}

/** Reads the one encoding. Checks no signature. */
export function parseBundle(bytes: Bytes): Bundle {
  if (bytes.length > contentMax('bundle')) throw Refused.of('bundle', 'too_long');
  try {
    const text = fromUtf8(bytes);
    const bundle = read(JSON.parse(text ?? ''));
    if (encodeBundle(bundle) === text) return bundle;
  } catch (error) {
    if (!(error instanceof NotCanonical || error instanceof SyntaxError || error instanceof Refused)) throw error;
  }
  throw new Refused('bundle_not_canonical');
}

type Json = Readonly<Record<string, unknown>>;
function need<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new NotCanonical();
  return value;
}
function object(value: unknown): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new NotCanonical();
  return value as Json;
}
function list<T>(value: unknown, max: number, item: (each: unknown) => T): T[] {
  if (!Array.isArray(value) || value.length > max) throw new NotCanonical();
  return value.map(item);
}
/** Any text. */
function text(value: unknown): string {
  if (typeof value !== 'string' || !isWellFormed(value)) throw new NotCanonical();
  return value;
}
/** A text that needs no escape. */
function plain(value: unknown): string {
  const t = text(value);
  if (quoted(t) !== `"${t}"`) throw new NotCanonical();
  return t;
}
const bytesIn = (value: unknown): Bytes => need(fromB64(plain(value)));
const hashIn = (value: unknown): Hash => need(parseHash(plain(value)));

function assertionIn(value: unknown): Assertion {
  const a = object(value);
  const part = (name: string, min: number, max: number): Bytes => {
    const bytes = bytesIn(a[name]);
    if (bytes.length < min || bytes.length > max) throw new NotCanonical();
    return bytes;
  };
  return {
    credentialId: part('credential_id', 1, 1023),
    authenticatorData: part('authenticator_data', 37, 1024),
    clientDataJson: part('client_data_json', 1, 2048),
    signature: part('signature', 8, 72),
  };
}
function recordIn(value: unknown): RecordEvidence {
  const r = object(value);
  const index = r.index;
  if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index > 2 ** 53) throw new NotCanonical();
  return {
    bytes: bytesIn(r.bytes),
    openings: list(r.openings, OPENINGS_MAX, (each) => {
      const o = object(each);
      return { name: plain(o.name), salt: hashIn(o.salt), value: text(o.value) };
    }),
    index,
    inclusion: list(r.inclusion, PROOF_HASHES_MAX, hashIn),
  };
}
function carrierIn(b: Json): CarrierEvidence {
  return {
    cert: plain(b.carrier),
    delegationCert: plain(b.delegation_cert),
    devices: list(b.devices, MESSAGES_MAX, (each) => {
      const d = object(each);
      return { depotCert: plain(d.depot), deviceCert: plain(d.device) };
    }),
    request: plain(b.request),
    delegations: list(b.delegations, MESSAGES_MAX, plain),
  };
}
function read(value: unknown): Bundle {
  const b = object(value);
  const a = object(b.anchors);
  return {
    anchors: {
      aud: plain(a.aud),
      log: plain(a.log),
      operator: VerifyingKey.parseJwk(JSON.stringify(object(a.operator))),
      rpId: plain(a.rp_id),
      walletOrigin: plain(a.wallet_origin),
    },
    keys: plain(b.keys),
    carrier: 'carrier' in b ? carrierIn(b) : null,
    passkeys: list(b.passkeys, MESSAGES_MAX, (each) => {
      const p = object(each);
      return { statement: bytesIn(p.statement), assertion: assertionIn(p.assertion) };
    }),
    grant: plain(b.grant),
    assertion: assertionIn(b.assertion),
    accepted: plain(b.accepted),
    proofs: list(b.proofs, MESSAGES_MAX, plain),
    records: list(b.records, RECORDS_MAX, recordIn),
    checkpoint: text(b.checkpoint),
  };
}
