// Every case of vectors/*.json, good and bad, with the very code that the keyholder gives.

import { describe, expect, it } from 'vitest';
import { verifyAccepted } from '$lib/protocol/accepted';
import { b64, fromB64, u64be, utf8 } from '$lib/protocol/bytes';
import { deviceThumbprint, verifyCert } from '$lib/protocol/cert';
import { parseRule, ruleCommitment } from '$lib/protocol/content';
import { parseDelegation, verifyDelegation } from '$lib/protocol/delegation';
import { openEnvelope, verifyEnvelope } from '$lib/protocol/envelope';
import { confirmGrant, grantChallenge, isDelegated, parseGrant, verifyGrant } from '$lib/protocol/grant';
import { bytesOf, parseHash, sha256Bytes } from '$lib/protocol/hash';
import { inviteDigits, inviteTag, knockTag, parseDoorSign, parseInvitation } from '$lib/protocol/invite';
import { ANY, posted, used, VerifyingKey, type Moment } from '$lib/protocol/jws';
import { verifyKeys } from '$lib/protocol/keys';
import { labelHash, normaliseLabel } from '$lib/protocol/label';
import { LogVerifier, verifyCheckpoint, verifyCheckpointAlone } from '$lib/protocol/log/note';
import { chainHash, checkOpening, commitment, encode, fieldSalt, parseRecord, recordEntry } from '$lib/protocol/log/record';
import { parseTilePath, tilePath } from '$lib/protocol/log/tile';
import { leafHash, treeRoot, verifyConsistency, verifyInclusion } from '$lib/protocol/log/tree';
import { accountSeed, grantSealSeed } from '$lib/protocol/owner-keys';
import { parseProof, verifyProof } from '$lib/protocol/proof';
import { Refused } from '$lib/protocol/refused';
import { verifyTicket } from '$lib/protocol/request';
import { open, SealKeyPair } from '$lib/protocol/seal';
import { SealPublicKey, type SealPurpose } from '$lib/protocol/sealkey';
import { statementBytes, statementChallenge, verifyStatement } from '$lib/protocol/statement';
import { parseAssertion } from '$lib/protocol/webauthn';
import { enrolmentText, sixDigits, type Device } from '../../../src/apps/stop/core/device';
import { bytes, checkNonce, code, passkeysOf, vectors, verifyCall, type Vector } from './support';

describe('values.json', () => {
  const v = vectors('values');
  it('names keys as the keyholder does', async () => {
    for (const key of v.signing_keys) expect(VerifyingKey.parseJwk(key.jwk).thumb, key.name).toBe(key.thumbprint);
    for (const key of v.sealing_keys) {
      const pair = await SealKeyPair.fromSeed(bytes(key.seed));
      expect([pair.public.text, pair.public.hash], key.name).toEqual([key.public, key.hash]);
      expect(SealPublicKey.parse(key.public)?.hash).toBe(key.hash);
    }
    const thumb = (name: string) => v.signing_keys.find((k: Vector) => k.name === name).thumbprint;
    const hash = (name: string) => v.sealing_keys.find((k: Vector) => k.name === name).hash;
    for (const d of v.device_thumbprints) expect(deviceThumbprint(thumb(d.signing), hash(d.sealing))).toBe(d.thumbprint);
    expect(b64(LogVerifier.parse(v.log_key.line)!.key)).toBe(v.log_key.public);
  });
  it('invites', () => {
    for (const e of v.invitations) {
      const invitation = parseInvitation(e.secret)!;
      expect(invitation).toMatchObject({ id: e.id, text: e.secret });
      expect(inviteTag(invitation, e.device)).toBe(e.tag);
      expect(inviteDigits(invitation, e.device, e.log)).toBe(e.digits);
    }
    expect(parseInvitation('')).toBeNull();
    expect(parseInvitation(`${v.invitations[0].secret}A`)).toBeNull();
    for (const e of v.door_signs) {
      const sign = parseDoorSign(e.secret)!;
      expect(sign).toMatchObject({ id: e.id, text: e.secret });
      expect(knockTag(sign, e.device, e.knock)).toBe(e.tag);
    }
    expect(parseDoorSign(`${v.door_signs[0].secret}A`)).toBeNull();
  });
  it('enrols', async () => {
    for (const e of v.enrolments) {
      const key = v.signing_keys.find((k: Vector) => k.name === e.signing);
      const seal = v.sealing_keys.find((k: Vector) => k.name === e.sealing);
      const thumbprint = deviceThumbprint(key.thumbprint, seal.hash);
      expect(sixDigits(thumbprint, e.log)).toBe(e.digits);
      const pair = await SealKeyPair.fromSeed(bytes(seal.seed));
      const device = { signer: { key: VerifyingKey.parseJwk(key.jwk) }, seal: pair, thumbprint } as unknown as Device;
      expect(enrolmentText(device)).toBe(e.text);
    }
  });
  it('hashes labels', async () => {
    for (const c of v.labels) {
      const made = await code(() => {
        expect(normaliseLabel(c.label)).toBe(c.normalised);
        expect(labelHash(bytes(c.salt), c.label)).toBe(c.hash);
      });
      expect(made, c.label).toBe(c.refused ?? 'ok');
    }
  });
  it('judges nonces', async () => {
    for (const c of v.nonces) {
      const made = await code(() => checkNonce(bytes(c.key), c.nonce, c, c.now_ms));
      expect(made, c.nonce).toBe(c.expect);
    }
  });
  it('makes challenges and commitments', () => {
    expect(grantChallenge(v.challenges.grant.jws)).toBe(v.challenges.grant.challenge);
    expect(statementChallenge(bytes(v.challenges.statement.bytes))).toBe(v.challenges.statement.challenge);
    for (const r of v.rules) expect(ruleCommitment(parseRule(utf8(r.bytes)))).toBe(r.commitment);
  });
  it("derives an owner's keys", async () => {
    const k = v.owner_keys;
    expect(b64(await grantSealSeed(bytes(k.seed), k.jti))).toBe(k.grant_seal_seed);
    expect(b64(await accountSeed(bytes(k.seed)))).toBe(k.account_seed);
  });
  it('opens boxes, or refuses them', async () => {
    for (const c of v.boxes) {
      const key = await SealKeyPair.fromSeed(bytes(c.seed));
      const context = { sender: c.sender, recipient: c.recipient, delivery: c.delivery, seq: c.seq };
      const made = await code(async () => {
        const content = await open(key, c.purpose as SealPurpose, context, bytes(c.box));
        expect(b64(content), c.name).toBe(c.content);
      });
      expect(made, c.name).toBe(c.expect);
    }
  });
});

describe('messages.json', () => {
  const at = (input: Vector): Moment => (input.now_ms === undefined ? ANY : posted(input.now_ms));
  const key = (json: string) => VerifyingKey.parseJwk(json);
  const checks: Record<string, (i: Vector) => Promise<unknown>> = {
    ticket: (i) => verifyTicket(i.ticket, key(i.operator), i.aud, at(i)),
    keys: (i) => verifyKeys(i.jws, i.log, i.iss, at(i)),
    accepted: (i) => verifyAccepted(i.jws, key(i.message_key), i.iss, i.carrier, at(i)),
    call: async (i) => {
      const cert = await verifyCert(i.delegation_cert, key(i.carrier_root), 'delegation', i.aud, ANY);
      await verifyCall(i.jws, cert, i.aud, { method: i.method, url: i.url, body: bytes(i.body) }, i.now_ms);
    },
    statement: async (i) => {
      const said = await verifyStatement(
        bytes(i.statement),
        parseAssertion(utf8(i.assertion)),
        passkeysOf(i.passkeys),
        { rpId: i.rp_id, origins: i.origins },
        i.aud,
      );
      // What was confirmed is what this client would have asked its passkey to confirm.
      expect(b64(statementBytes(said))).toBe(i.statement);
    },
    envelope: async (i) => {
      const envelope = await verifyEnvelope(i.jws, key(i.message_key), i.iss, i.recipient);
      const content = await openEnvelope(envelope, await SealKeyPair.fromSeed(bytes(i.seed)), i.purpose, i.delivery);
      expect(b64(content)).toBe(i.content);
    },
  };
  const cases: Vector[] = vectors('messages').cases;
  it.each<[string, Vector]>(cases.map((c) => [c.name, c]))('%s', async (_, c) => {
    expect(await code(() => checks[c.kind]!(c.input))).toBe(c.expect);
  });
});

describe('chain.json', () => {
  const v = vectors('chain');
  it.each<[string, Vector]>(v.cases.map((c: Vector) => [c.name, c]))('%s', async (_, c) => {
    expect(await code(() => chain({ ...v.base, ...c.change }))).toBe(c.expect);
  });

  /** The whole chain at the moment of use, in the order of docs/protocol/chain.md. */
  async function chain(c: Vector): Promise<void> {
    const now: Moment = c.any_time ? ANY : used(c.now_ms);
    const certs = await registry(c, now);
    const assertion = parseAssertion(utf8(c.assertion));
    parseGrant(c.grant);
    const link1 = c.delegation === null ? null : parseDelegation(c.delegation);
    const link2 = parseProof(c.proof);
    const grant = await verifyGrant(c.grant);
    await confirmGrant(grant, assertion, passkeysOf(c.passkeys), { rpId: c.rp_id, origins: c.origins }, c.aud, now);
    if (grant.claims.accessPoint !== c.access_point) throw new Refused('grant_wrong_access_point');
    let [device, last] = [{ cnf: grant.claims.cnf, seal: grant.claims.seal }, grant.hash];
    if (link1) {
      const delegation = await verifyDelegation(link1, certs.delegation, grant, now);
      if (certs.device.claims.sub !== delegation.claims.cnf) throw new Refused('proof_wrong_device');
      device = { cnf: delegation.claims.cnf, seal: certs.device.claims.seal!.hash };
      last = delegation.hash;
    } else if (isDelegated(grant.claims.purpose)) {
      throw new Refused('delegation_needed');
    }
    const request = { method: c.method, url: c.url, body: bytes(c.body) };
    const proof = await verifyProof(link2, device, last, c.action, request);
    if (c.any_time) return;
    const bound = { device: device.cnf, ath: proof.ath, act: proof.act };
    const spent = checkNonce(bytes(c.nonce_key), proof.nonce, bound, c.now_ms);
    if (c.action === 'open' && c.used_nonces.includes(spent)) throw new Refused('nonce_replayed');
  }
  /** What the registries say: each certificate verified by the one above it. */
  async function registry(c: Vector, now: Moment) {
    const carrier = await verifyCert(c.carrier_cert, VerifyingKey.parseJwk(c.operator), 'carrier', c.aud, now);
    const delegation = await verifyCert(c.delegation_cert, carrier.claims.key, 'delegation', c.aud, now);
    const depot = await verifyCert(c.depot_cert, carrier.claims.key, 'depot', c.aud, now);
    return { delegation, device: await verifyCert(c.device_cert, depot.claims.key, 'device', c.aud, now) };
  }
});

describe('log.json', () => {
  const v = vectors('log');
  const hashes = (list: string[]) => list.map((h) => bytesOf(h));
  it('reads records and their openings', async () => {
    for (const r of v.records) {
      const record = parseRecord(utf8(r.bytes));
      expect([b64(recordEntry(record)), chainHash(record), b64(leafHash(recordEntry(record)))], r.name).toEqual(
        [r.entry, r.chain_hash, r.leaf_hash],
      );
      const made = r.fields.map((f: Vector) => {
        expect(fieldSalt(bytes(r.seed), f.name)).toBe(f.salt);
        checkOpening(record, f);
        return [f.name, commitment(f)];
      });
      expect(encode(made)).toBe(r.bytes);
    }
    for (const c of v.openings) {
      expect(await code(() => checkOpening(parseRecord(utf8(c.bytes)), c.opening)), c.name).toBe(c.expect);
    }
    for (const c of v.record_bytes) expect(await code(() => parseRecord(utf8(c.bytes))), c.name).toBe(c.expect);
  });
  it('computes roots', () => {
    // Entry n is SHA-256 of n as eight bytes.
    const leaves = Array.from({ length: 300 }, (_, n) => leafHash(sha256Bytes(u64be(n))));
    for (const h of v.heads) expect(b64(treeRoot(leaves.slice(0, h.size))), String(h.size)).toBe(h.root);
  });
  it('checks inclusion and consistency', () => {
    const said = (holds: boolean, not: string) => (holds ? 'ok' : not);
    for (const c of v.inclusion) {
      const holds = verifyInclusion(bytesOf(c.leaf_hash), c.index, c.size, hashes(c.proof), bytesOf(c.root));
      expect(said(holds, 'not_included'), c.name).toBe(c.expect);
    }
    for (const c of v.consistency) {
      const holds = verifyConsistency(c.old, c.new, hashes(c.proof), bytesOf(c.old_root), bytesOf(c.new_root));
      expect(said(holds, 'not_consistent'), c.name).toBe(c.expect);
    }
  });
  it('checks signed checkpoints and verifier keys', async () => {
    for (const c of v.checkpoints) {
      const check = c.alone ? verifyCheckpointAlone : verifyCheckpoint;
      expect(await code(() => check(c.note, LogVerifier.parse(c.key)!)), c.name).toBe(c.expect);
    }
    for (const c of v.verifier_keys) expect(LogVerifier.parse(c.line) ? 'ok' : 'note_key', c.name).toBe(c.expect);
  });
  it('writes and reads the paths of tiles', () => {
    for (const t of v.tiles.paths) {
      const tile = { level: t.level === 'entries' ? -1 : t.level, number: t.number, width: t.width };
      expect(tilePath(tile)).toBe(t.path);
      expect(parseTilePath(t.path)).toEqual(tile);
    }
    for (const path of v.tiles.no_paths) expect(parseTilePath(path), path).toBeNull();
  });
});

describe('one spelling', () => {
  it('of base64url and hashes', () => {
    expect(fromB64('AQ')).toEqual(Uint8Array.of(1));
    for (const wrong of ['AR', 'AQ==', 'AQ=', ' AQ', 'AQ\n', 'A', '+/', 'ä']) expect(fromB64(wrong), wrong).toBeNull();
    expect(parseHash('A'.repeat(43))).not.toBeNull();
    expect(parseHash('A'.repeat(42) + 'B')).toBeNull();
  });
});
