// A case bundle, verified offline: form, then what records say of messages, then the log, then signatures, then sense. The
// order of checks and the codes are those of docs/protocol/bundle.md.

import { verifyAccepted, type AcceptedClaims } from './accepted';
import { equal, type Bytes } from './bytes';
import { verifyCert, type VerifiedCert } from './cert';
import { anchorsJson, parseBundle, type Anchors, type Bundle, type RecordEvidence } from './bundle-form';
import { checkAnnounced, parseDelegation, verifyDelegation, type VerifiedDelegation } from './delegation';
import { checkAnswers, checkCovers, confirmGrant, deliveryOf, scopeOf, verifyGrant, type Schedule, type SignedGrant } from './grant';
import { bytesOf, parseHash, sha256, type Hash, type Id } from './hash';
import { ANY, checkTime, encloses, posted, used, type Window } from './jws';
import { verifyKeys } from './keys';
import { LogVerifier, verifyCheckpointAlone } from './log/note';
import { checkOpening, headAfter, parseRecord, recordEntry, type ChainHead, type Record as LogRecord } from './log/record';
import { leafHash, verifyInclusion } from './log/tree';
import { checkNarrows } from './narrow';
import { parseProof, verifyProof, type ExpectedDevice } from './proof';
import { namedProof, readEntry, deliveryOfEntry, type Entry, type LockProof } from './records';
import { Refused } from './refused';
import { verifyRequest, type VerifiedRequest } from './request';
import { verifyStatement } from './statement';
import type { AccessClass, Purpose } from './text';
import { assertionJson, type Passkey, type RelyingParty } from './webauthn';

export type { Anchors } from './bundle-form';

/** What a bundle proves. */
export interface Verdict {
  readonly anchors: Anchors;
  readonly delivery: Id;
  /** From the carrier's admission. */
  readonly carrier: string;
  /** As the carrier says. */
  readonly merchant: string;
  readonly purpose: Purpose;
  readonly classes: readonly AccessClass[];
  /** When it was permitted: the grant's window, or what the announcement came to. */
  readonly window: Window;
  /** The standing rule under which it was announced; that the window lies in its hours is the zone's calendar to say. */
  readonly standing: { readonly merchants: readonly string[]; readonly schedule: Schedule; readonly life: Window } | null;
  /** Commands after which it was open; of how many nobody can say. */
  readonly openings: number;
  readonly unknown: number;
  /** How it is known that it is locked again, after the last opening. */
  readonly lockProof: LockProof | null;
  readonly timeline: readonly Entry[];
  /** Records of other deliveries in between. */
  readonly withheld: number;
  /** Size of the log at the checkpoint. */
  readonly logSize: number;
}

/** Verifies a bundle offline. Without `expected` anchors the verdict names what it rests on. */
export async function verifyBundle(bytes: Bytes, expected: Anchors | null): Promise<Verdict> {
  const bundle = parseBundle(bytes);
  if (expected && anchorsJson(expected) !== anchorsJson(bundle.anchors)) throw new Refused('bundle_wrong_anchor');
  const told = readTold(bundle);
  checkNames(bundle, told);
  const logSize = await checkLog(bundle);
  const proven = await prove(bundle, told);
  const run = runOf(told);
  const claims = proven.grant.claims;
  return {
    anchors: bundle.anchors,
    delivery: proven.request.claims.delivery,
    carrier: proven.carrier.claims.name ?? '',
    merchant: proven.request.claims.merchant.name,
    purpose: claims.purpose,
    classes: claims.opens,
    window: proven.accepted.window,
    standing: 'merchants' in claims.scoped ? { ...claims.scoped, life: claims.window } : null,
    ...run,
    timeline: events(told),
    withheld: told.chain.filter((e) => e === null).length,
    logSize,
  };
}

/** What the records say: one per key the case rests on, then the chain, with null for records of other deliveries. */
interface Told {
  readonly registry: readonly Entry[];
  readonly chain: readonly (Entry | null)[];
}
const events = (told: Told): Entry[] => told.chain.filter((e) => e !== null);
const keysOf = (b: Bundle): number => 2 + b.devices.length + b.passkeys.length;

function readTold(b: Bundle): Told {
  const at = keysOf(b);
  if (b.records.length < at) throw new Refused('bundle_record_missing');
  return { registry: b.records.slice(0, at).map((r) => entry(shown(r))), chain: b.records.slice(at).map(chained) };
}
function shown(r: RecordEvidence): [string, string][] {
  return r.openings.map((o) => [o.name, o.value]);
}
function entry(fields: [string, string][]): Entry {
  try {
    return readEntry(fields);
  } catch {
    throw new Refused('bundle_record_missing');
  }
}
/** An entry of the chain shows its place in the chain last; one that shows nothing else belongs to another delivery. */
function chained(r: RecordEvidence): Entry | null {
  const fields = shown(r);
  const place = fields.splice(-2);
  if (place.length !== 2 || place[0]![0] !== 'chain_seq' || place[1]![0] !== 'chain_prev') {
    throw new Refused('bundle_chain_broken');
  }
  return fields.length === 0 ? null : entry(fields);
}

/** Every message is named by its record, every record names a message of the bundle. */
function checkNames(b: Bundle, told: Told): void {
  const registry = [...told.registry];
  const next = (kind: Entry['kind'], names: Record<string, Hash>): void => {
    checkNamed(registry.shift(), kind, names);
  };
  next('key_added', { keys: sha256(b.keys) });
  next('carrier_admitted', { cert: sha256(b.carrierCert) });
  for (const d of b.devices) next('device_enrolled', { cert: sha256(d.deviceCert), depot_cert: sha256(d.depotCert) });
  for (const p of b.passkeys) {
    next('passkey_added', { statement: sha256(p.statement), assertion: sha256(assertionJson(p.assertion)) });
  }
  const grant = { grant: sha256(b.grant), assertion: sha256(assertionJson(b.assertion)) };
  checkNamed(told.chain[0] ?? undefined, 'grant_accepted', grant);
  const certHash = sha256(b.delegationCert);
  const delegations = events(told)
    .filter((e) => e.kind === 'delegation_accepted')
    .map((e) => {
      if (e.fields.cert !== certHash) throw new Refused('bundle_record_mismatch');
      return e.fields.delegation as Hash;
    });
  checkSame(delegations, b.delegations);
  const proofs = new Set(events(told).flatMap((e) => namedProof(e)?.hash ?? []));
  checkSame([...proofs], b.proofs);
}
function checkNamed(e: Entry | undefined, kind: Entry['kind'], names: Record<string, Hash>): void {
  if (e?.kind !== kind) throw new Refused('bundle_record_missing');
  if (Object.entries(names).some(([name, hash]) => e.fields[name] !== hash)) throw new Refused('bundle_record_mismatch');
}
/** The records name exactly these messages, in this order. */
function checkSame(named: readonly Hash[], messages: readonly string[]): void {
  if (messages.length > named.length) throw new Refused('bundle_unreferenced');
  if (named.length !== messages.length || !named.every((hash, i) => hash === sha256(messages[i]!))) {
    throw new Refused('bundle_record_mismatch');
  }
}

/** Openings fit, the chain has no gap, everything is in the tree under the log's checkpoint. */
async function checkLog(b: Bundle): Promise<number> {
  const leaves: Bytes[] = [];
  let head: ChainHead | null = null;
  const chainStart = keysOf(b);
  b.records.forEach((r, n) => {
    const record = openedRecord(r);
    if (n >= chainStart) {
      const here = placeOf(r);
      const follows = (head === null || (head.seq === here.seq && head.hash === here.hash)) &&
        (n === chainStart || r.index > b.records[n - 1]!.index);
      if (!follows) throw new Refused('bundle_chain_broken');
      head = headAfter(here, record);
    }
    leaves.push(leafHash(recordEntry(record)));
  });
  const log = LogVerifier.parse(b.anchors.log);
  if (!log) throw new Refused('bundle_wrong_anchor');
  const checkpoint = await verifyCheckpointAlone(b.checkpoint, log).catch(() => {
    throw new Refused('bundle_wrong_checkpoint');
  });
  b.records.forEach((r, n) => {
    const path = r.inclusion.map(bytesOf);
    if (!verifyInclusion(leaves[n]!, r.index, checkpoint.size, path, checkpoint.root)) {
      throw new Refused('bundle_not_included');
    }
  });
  return checkpoint.size;
}
function openedRecord(r: RecordEvidence): LogRecord {
  try {
    const record = parseRecord(r.bytes);
    for (const o of r.openings) checkOpening(record, o);
    return record;
  } catch {
    throw new Refused('bundle_wrong_opening');
  }
}
/** `chain_seq` and `chain_prev` as the record shows them, last. */
function placeOf(r: RecordEvidence): ChainHead {
  const [seq, prev] = r.openings.slice(-2).map((o) => o.value);
  const number = Number(seq);
  if (!prev || !parseHash(prev) || !Number.isSafeInteger(number) || number < 0 || String(number) !== seq) {
    throw new Refused('bundle_chain_broken');
  }
  return { seq: number, hash: prev };
}

/** Messages whose signatures hold. */
interface Proven {
  readonly carrier: VerifiedCert;
  readonly request: VerifiedRequest;
  readonly grant: SignedGrant;
  /** What the keyholder let the carrier do: under a standing rule less than what was signed. */
  readonly accepted: AcceptedClaims;
  readonly delegations: readonly VerifiedDelegation[];
}

async function prove(b: Bundle, told: Told): Promise<Proven> {
  const a = b.anchors;
  const at = posted(told.chain[0]?.atMs ?? 0);
  const keys = (await verifyKeys(b.keys, a.log, a.aud, at)).claims;
  if (keys.rpId !== a.rpId || keys.walletOrigin !== a.walletOrigin) throw new Refused('bundle_wrong_anchor');
  const carrier = await verifyCert(b.carrierCert, a.operator, 'carrier', a.aud, at);
  const root = carrier.claims.key;
  const cert = await verifyCert(b.delegationCert, root, 'delegation', a.aud, at);
  const accepted = await verifyAccepted(b.accepted, keys.message, a.aud, root.thumb, ANY);
  const devices: VerifiedCert[] = [];
  for (const d of b.devices) {
    const depot = await verifyCert(d.depotCert, root, 'depot', a.aud, at);
    // A device may have been enrolled after the grant was accepted.
    devices.push(await verifyCert(d.deviceCert, depot.claims.key, 'device', a.aud, ANY));
  }
  const passkeys = await provePasskeys(b);
  const request = await verifyRequest(b.request, cert, a.aud, at);
  const grant = await verifyGrant(b.grant);
  await confirmGrant(grant, b.assertion, passkeys.slice(-1), relyingParty(a), a.aud, at);
  if (deliveryOf(grant.claims) !== null) checkAnswers(grant, request);
  else checkCovers(grant, request);
  if (accepted.grant !== grant.hash || accepted.delivery !== request.claims.delivery) {
    throw Refused.of('accepted', 'wrong_subject');
  }
  checkNarrows(scopeOf(grant.claims), accepted);
  if (!equal(recordEntry(openedRecord(b.records[keysOf(b)]!)), accepted.leaf)) throw new Refused('bundle_record_mismatch');
  if (deliveryOf(grant.claims) === null && !encloses(request.claims.window, accepted.window)) {
    throw new Refused('grant_widens_request');
  }
  const delegations = await proveDelegations(b, cert, grant, accepted, request, devices);
  const proven = { carrier, request, grant, accepted, delegations };
  checkRegistry(proven, told, devices, passkeys);
  await checkProofs(proven, b, told, devices);
  return proven;
}

function relyingParty(a: Anchors): RelyingParty {
  return { rpId: a.rpId, origins: [a.walletOrigin] };
}
/** The first passkey confirms itself, each other is confirmed by one before it. */
async function provePasskeys(b: Bundle): Promise<Passkey[]> {
  const known: Passkey[] = [];
  for (const p of b.passkeys) {
    const { said } = await verifyStatement(p.statement, p.assertion, known, relyingParty(b.anchors), b.anchors.aud);
    const first = said.typ === 'wallet' && known.length === 0;
    if (!first && said.typ !== 'passkey') throw Refused.of('statement', 'wrong_type');
    known.push((said as { passkey: Passkey }).passkey);
  }
  return known;
}
/** Every delegation holds under the grant, and every device was delegated to. Times are judged where a proof was used. */
async function proveDelegations(
  b: Bundle,
  cert: VerifiedCert,
  grant: SignedGrant,
  accepted: AcceptedClaims,
  request: VerifiedRequest,
  devices: readonly VerifiedCert[],
): Promise<VerifiedDelegation[]> {
  const out: VerifiedDelegation[] = [];
  for (const jws of b.delegations) {
    const delegation = await verifyDelegation(parseDelegation(jws), cert, grant, ANY);
    if (delegation.claims.delivery !== request.claims.delivery) throw new Refused('delegation_wrong_delivery');
    checkNarrows(scopeOf(accepted), delegation.claims);
    checkAnnounced(delegation.claims, request.claims);
    out.push(delegation);
  }
  if (!devices.every((d) => out.some((x) => x.claims.cnf === d.claims.sub))) throw new Refused('bundle_unreferenced');
  return out;
}

/** The records of keys name the very keys that the messages use; all records of the case name its delivery. */
function checkRegistry(p: Proven, told: Told, devices: readonly VerifiedCert[], passkeys: readonly Passkey[]): void {
  const [subs, thumbs] = [devices.map((d) => d.claims.sub), passkeys.map((k) => k.key.thumb)];
  const delivery = p.request.claims.delivery;
  const registry = told.registry.every((e) => {
    if (e.kind === 'carrier_admitted') return e.fields.carrier === p.carrier.claims.sub;
    if (e.kind === 'device_enrolled') return e.fields.device === subs.shift();
    if (e.kind === 'passkey_added') return e.fields.key === thumbs.shift();
    return true;
  });
  const chain = events(told).every((e) => {
    const here = deliveryOfEntry(e);
    return (here === null || here === delivery) &&
      (e.kind !== 'grant_accepted' || e.fields.access_point === p.grant.claims.accessPoint);
  });
  const delegated = events(told).every((e) =>
    e.kind !== 'delegation_accepted' ||
    p.delegations.some((d) => d.hash === e.fields.delegation && d.claims.cnf === e.fields.device));
  if (!registry || !chain || !delegated) throw new Refused('bundle_record_mismatch');
}

/** Each proof is by the device of a delegation accepted before, for that action; to open, inside its windows. */
async function checkProofs(p: Proven, b: Bundle, told: Told, devices: readonly VerifiedCert[]): Promise<void> {
  const byHash = new Map(b.proofs.map((proof) => [sha256(proof), proof]));
  const accepted: VerifiedDelegation[] = [];
  for (const e of events(told)) {
    if (e.kind === 'delegation_accepted') {
      const link = p.delegations.find((d) => d.hash === e.fields.delegation);
      if (!link) throw new Refused('bundle_record_mismatch');
      checkTime(posted(e.atMs), 'delegation', link.claims.iatMs, link.claims.window);
      accepted.push(link);
    }
    const named = namedProof(e);
    if (!named) continue;
    const jws = byHash.get(named.hash);
    if (jws === undefined) throw new Refused('bundle_record_mismatch');
    const proof = parseProof(jws);
    const link = accepted.find((d) => d.hash === proof.claims.ath);
    if (!link) throw new Refused('proof_wrong_token');
    await verifyProof(proof, expectedDevice(devices, link.claims.cnf), link.hash, named.action, null);
    if (e.kind === 'open_intended') {
      checkTime(used(e.atMs), 'grant', p.grant.claims.iatMs, p.grant.claims.window);
      checkTime(used(e.atMs), 'delegation', link.claims.iatMs, link.claims.window);
    }
  }
}
function expectedDevice(devices: readonly VerifiedCert[], cnf: Hash): ExpectedDevice {
  const cert = devices.find((d) => d.claims.sub === cnf);
  if (!cert?.claims.seal) throw new Refused('proof_wrong_device');
  return { cnf, seal: cert.claims.seal.hash };
}

/** What happened, command by command. */
function runOf(told: Told): Pick<Verdict, 'openings' | 'unknown' | 'lockProof'> {
  const no = new Refused('bundle_contradiction');
  const intended: string[] = [];
  const decided: string[] = [];
  const spent = new Set<string>();
  let [openings, unknown, lockProof]: [number, number, LockProof | null] = [0, 0, null];
  // The first record is the acceptance of the grant; there is one only.
  for (const e of events(told).slice(1)) {
    const attempt = String(e.fields.attempt);
    const command = `${attempt} ${e.fields.command}`;
    const ofAttempt = intended.filter((c) => c.startsWith(`${attempt} `)).length;
    switch (e.kind) {
      case 'open_intended':
        if (ofAttempt + 1 !== e.fields.command) throw no;
        intended.push(command);
        lockProof = null;
        break;
      case 'outcome':
        if (!intended.includes(command) || decided.includes(command)) throw no;
        decided.push(command);
        if (e.fields.outcome === 'opened') openings++;
        else if (e.fields.outcome === 'unknown') unknown++;
        else break;
        spent.add(attempt);
        break;
      case 'locked':
      case 'lock_intended':
      case 'alarm':
      case 'alarm_acknowledged':
      case 'joined':
        if (ofAttempt === 0) throw no;
        if (e.kind === 'locked') lockProof = e.fields.lock_proof as LockProof;
        break;
      case 'grant_accepted':
      case 'key_added':
      case 'carrier_admitted':
      case 'device_enrolled':
      case 'passkey_added':
        throw no;
    }
  }
  if (decided.length !== intended.length) throw no;
  // A grant is for one use: one attempt, however many commands it took.
  if (spent.size > 1) throw new Refused('bundle_too_many_uses');
  return { openings, unknown, lockProof };
}
