// A case bundle, verified offline: form, then what records say of messages, then the log, then signatures, then sense. The
// order of checks and the codes are those of docs/protocol/bundle.md.

import { verifyAccepted, type AcceptedClaims } from './accepted';
import { equal, type Bytes } from './bytes';
import { verifyCert, type VerifiedCert } from './cert';
import { anchorsJson, parseBundle, type Anchors, type Bundle, type CarrierEvidence, type RecordEvidence } from './bundle-form';
import { checkAnnounced, parseDelegation, verifyDelegation, type VerifiedDelegation } from './delegation';
import { checkAnswers, checkCovers, confirmGrant, deliveryOf, isDelegated, scopeOf, verifyGrant, type Schedule, type SignedGrant } from './grant';
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
  /** From the carrier's admission; null where a guest's or the owner's own device acted. */
  readonly carrier: string | null;
  /** As the carrier says. */
  readonly merchant: string | null;
  /** Where no carrier took part, the device that the owner named. */
  readonly device: Hash | null;
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
    delivery: proven.accepted.delivery,
    carrier: proven.carrier && (proven.carrier.cert.claims.name ?? ''),
    merchant: proven.carrier && proven.carrier.request.claims.merchant.name,
    device: proven.carrier ? null : claims.cnf,
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
const keysOf = (b: Bundle): number => 1 + (b.carrier ? 1 + b.carrier.devices.length : 0) + b.passkeys.length;

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
  if (b.carrier) next('carrier_admitted', { cert: sha256(b.carrier.cert) });
  for (const d of b.carrier?.devices ?? []) next('device_enrolled', { cert: sha256(d.deviceCert), depot_cert: sha256(d.depotCert) });
  for (const p of b.passkeys) {
    next('passkey_added', { statement: sha256(p.statement), assertion: sha256(assertionJson(p.assertion)) });
  }
  const grant = { grant: sha256(b.grant), assertion: sha256(assertionJson(b.assertion)) };
  checkNamed(told.chain[0] ?? undefined, 'grant_accepted', grant);
  const certHash = b.carrier && sha256(b.carrier.delegationCert);
  const delegations = events(told)
    .filter((e) => e.kind === 'delegation_accepted')
    .map((e) => {
      if (e.fields.cert !== certHash) throw new Refused('bundle_record_mismatch');
      return e.fields.delegation as Hash;
    });
  checkSame(delegations, b.carrier?.delegations ?? []);
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
  readonly grant: SignedGrant;
  /** What the keyholder let be done: under a standing rule less than what was signed. */
  readonly accepted: AcceptedClaims;
  /** Null where the device that the grant names acted itself. */
  readonly carrier: ProvenCarrier | null;
}
interface ProvenCarrier {
  readonly cert: VerifiedCert;
  readonly request: VerifiedRequest;
  readonly devices: readonly VerifiedCert[];
  readonly delegations: readonly VerifiedDelegation[];
}
/** By what a device may act: a delegation, or the grant itself. */
interface Link {
  readonly hash: Hash;
  readonly device: Hash;
  readonly kind: 'grant' | 'delegation';
  readonly iatMs: number;
  readonly window: Window;
}

async function prove(b: Bundle, told: Told): Promise<Proven> {
  const a = b.anchors;
  const at = posted(told.chain[0]?.atMs ?? 0);
  const keys = (await verifyKeys(b.keys, a.log, a.aud, at)).claims;
  if (keys.rpId !== a.rpId || keys.walletOrigin !== a.walletOrigin) throw new Refused('bundle_wrong_anchor');
  const c = b.carrier;
  const carrier = c && (await verifyCert(c.cert, a.operator, 'carrier', a.aud, at));
  const cert = c && carrier && (await verifyCert(c.delegationCert, carrier.claims.key, 'delegation', a.aud, at));
  // Without a carrier it is held against the grant, further down.
  const accepted = await verifyAccepted(b.accepted, keys.message, a.aud, carrier && carrier.claims.key.thumb, ANY);
  const devices: VerifiedCert[] = [];
  for (const d of c?.devices ?? []) {
    const depot = await verifyCert(d.depotCert, carrier!.claims.key, 'depot', a.aud, at);
    // A device may have been enrolled after the grant was accepted.
    devices.push(await verifyCert(d.deviceCert, depot.claims.key, 'device', a.aud, ANY));
  }
  const passkeys = await provePasskeys(b);
  const request = c && cert && (await verifyRequest(c.request, cert, a.aud, at));
  const grant = await verifyGrant(b.grant);
  await confirmGrant(grant, b.assertion, passkeys.slice(-1), relyingParty(a), a.aud, at);
  const own = deliveryOf(grant.claims);
  if (request && own !== null) checkAnswers(grant, request);
  else if (request) checkCovers(grant, request);
  else if (isDelegated(grant.claims.purpose)) throw new Refused('delegation_needed');
  else if (grant.claims.cnf !== accepted.cnf) throw Refused.of('accepted', 'wrong_audience');
  const delivery = request?.claims.delivery ?? own ?? accepted.delivery;
  if (accepted.grant !== grant.hash || accepted.delivery !== delivery) throw Refused.of('accepted', 'wrong_subject');
  checkNarrows(scopeOf(grant.claims), accepted);
  if (!equal(recordEntry(openedRecord(b.records[keysOf(b)]!)), accepted.leaf)) throw new Refused('bundle_record_mismatch');
  if (own === null && request && !encloses(request.claims.window, accepted.window)) {
    throw new Refused('grant_widens_request');
  }
  const proven: Proven = {
    grant,
    accepted,
    carrier: c && carrier && cert && request && {
      cert: carrier,
      request,
      devices,
      delegations: await proveDelegations(c, cert, grant, accepted, request, devices),
    },
  };
  checkRegistry(proven, told, passkeys);
  await checkProofs(proven, b, told);
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
  c: CarrierEvidence,
  cert: VerifiedCert,
  grant: SignedGrant,
  accepted: AcceptedClaims,
  request: VerifiedRequest,
  devices: readonly VerifiedCert[],
): Promise<VerifiedDelegation[]> {
  const out: VerifiedDelegation[] = [];
  for (const jws of c.delegations) {
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
function checkRegistry(p: Proven, told: Told, passkeys: readonly Passkey[]): void {
  const subs = (p.carrier?.devices ?? []).map((d) => d.claims.sub);
  const thumbs = passkeys.map((k) => k.key.thumb);
  const { delivery } = p.accepted;
  const registry = told.registry.every((e) => {
    if (e.kind === 'carrier_admitted') return e.fields.carrier === p.carrier?.cert.claims.sub;
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
    delegationOf(p, e)?.claims.cnf === e.fields.device);
  if (!registry || !chain || !delegated) throw new Refused('bundle_record_mismatch');
}

/** The delegation that a record names. */
function delegationOf(p: Proven, e: Entry): VerifiedDelegation | undefined {
  return p.carrier?.delegations.find((d) => d.hash === e.fields.delegation);
}

/** Each proof is by the device of a delegation accepted before, or by the one that the grant names, for that action; to open,
 * inside the windows. */
async function checkProofs(p: Proven, b: Bundle, told: Told): Promise<void> {
  const byHash = new Map(b.proofs.map((proof) => [sha256(proof), proof]));
  const grant = p.grant.claims;
  // The device that the grant names acts by the grant, for as long as was accepted.
  const own: Link = { hash: p.grant.hash, device: grant.cnf, kind: 'grant', iatMs: grant.iatMs, window: p.accepted.window };
  const links: Link[] = p.carrier ? [] : [own];
  for (const e of events(told)) {
    if (e.kind === 'delegation_accepted') {
      const found = delegationOf(p, e);
      if (!found) throw new Refused('bundle_record_mismatch');
      const { iatMs, window, cnf } = found.claims;
      checkTime(posted(e.atMs), 'delegation', iatMs, window);
      links.push({ hash: found.hash, device: cnf, kind: 'delegation', iatMs, window });
    }
    const named = namedProof(e);
    if (!named) continue;
    const jws = byHash.get(named.hash);
    if (jws === undefined) throw new Refused('bundle_record_mismatch');
    const proof = parseProof(jws);
    const link = links.find((l) => l.hash === proof.claims.ath);
    if (!link) throw new Refused('proof_wrong_token');
    await verifyProof(proof, expectedDevice(p, link.device), link.hash, named.action, null);
    if (e.kind === 'open_intended') {
      checkTime(used(e.atMs), 'grant', grant.iatMs, grant.window);
      checkTime(used(e.atMs), link.kind, link.iatMs, link.window);
    }
  }
}
function expectedDevice(p: Proven, cnf: Hash): ExpectedDevice {
  if (!p.carrier) return { cnf, seal: p.grant.claims.seal };
  const cert = p.carrier.devices.find((d) => d.claims.sub === cnf);
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
