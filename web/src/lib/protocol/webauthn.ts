// A passkey's assertion (Web Authentication Level 3, §7.2), as far as this protocol needs it. Reading and checking here;
// asking an authenticator is in passkey.ts.

import { b64, concat, type Bytes } from './bytes';
import { domainHash, sha256, sha256Bytes, type Hash } from './hash';
import { ObjectWriter, parse, type Members } from './json';
import type { VerifyingKey } from './jws';
import { Refused } from './refused';

export const CREDENTIAL_ID_MAX = 1023;
const AUTHENTICATOR_DATA = [37, 1024] as const;
const CLIENT_DATA_MAX = 2048;
const USER_PRESENT = 0x01;
const USER_VERIFIED = 0x04;
const ATTESTED_CREDENTIAL = 0x40;
const EXTENSIONS = 0x80;

/** What an authenticator answered; the signature is DER as authenticators make it. */
export interface Assertion {
  readonly credentialId: Bytes;
  readonly authenticatorData: Bytes;
  readonly clientDataJson: Bytes;
  readonly signature: Bytes;
}
/** A registered passkey. ES256 only. */
export interface Passkey {
  readonly credentialId: Bytes;
  readonly key: VerifyingKey;
}
/** Whose page may ask a passkey. */
export interface RelyingParty {
  /** Exactly the wallet's host. */
  readonly rpId: string;
  readonly origins: readonly string[];
}

export function parseAssertion(json: Uint8Array): Assertion {
  if (json.length > 8 * 1024) throw Refused.of('assertion', 'too_long');
  return assertionFrom(parse('assertion', json));
}
export function assertionFrom(m: Members): Assertion {
  const assertion = {
    credentialId: m.bytes('credential_id', 1, CREDENTIAL_ID_MAX),
    authenticatorData: m.bytes('authenticator_data', ...AUTHENTICATOR_DATA),
    clientDataJson: m.bytes('client_data_json', 1, CLIENT_DATA_MAX),
    signature: m.bytes('signature', 8, 72),
  };
  m.end();
  return assertion;
}
/** The JSON object in its one spelling. */
export function assertionJson(a: Assertion): string {
  return new ObjectWriter()
    .text('credential_id', b64(a.credentialId))
    .text('authenticator_data', b64(a.authenticatorData))
    .text('client_data_json', b64(a.clientDataJson))
    .text('signature', b64(a.signature))
    .end();
}

/** What a passkey confirms to log in: a session and nothing else. */
export function sessionChallenge(aud: string, nonce: string): Hash {
  return domainHash('psh-session-v1', aud, new Uint8Array(1), nonce);
}

/** Checks that one of `passkeys` confirmed `challenge` on the wallet's own page, with user verification. */
export async function verifyAssertion(
  assertion: Assertion,
  challenge: Hash,
  passkeys: readonly Passkey[],
  rp: RelyingParty,
): Promise<Passkey> {
  const id = b64(assertion.credentialId);
  const passkey = passkeys.find((p) => b64(p.credentialId) === id);
  if (!passkey) throw new Refused('assertion_unknown_credential');
  checkClientData(assertion.clientDataJson, challenge, rp);
  checkAuthenticatorData(assertion.authenticatorData, rp);
  const signature = fixedSignature(assertion.signature);
  const signed = concat(assertion.authenticatorData, sha256Bytes(assertion.clientDataJson));
  if (!signature || !(await passkey.key.verifies(signed, signature))) throw Refused.of('assertion', 'bad_signature');
  return passkey;
}

/** Members beyond the known ones are allowed: browsers are told to add some. `topOrigin` is not: only a framed page has it. */
function checkClientData(json: Bytes, challenge: Hash, rp: RelyingParty): void {
  const m = parse('assertion', json);
  m.word('type', 'webauthn.get', new Refused('assertion_wrong_ceremony'));
  m.word('challenge', challenge, new Refused('assertion_wrong_challenge'));
  const origin = m.rawText('origin', 1, CLIENT_DATA_MAX);
  if (!rp.origins.includes(origin)) throw new Refused('assertion_wrong_origin');
  const crossOrigin = m.take('crossOrigin');
  if (crossOrigin === true) throw new Refused('assertion_cross_origin');
  if (crossOrigin !== undefined && crossOrigin !== false) throw m.wrong();
  if (m.has('topOrigin')) throw new Refused('assertion_cross_origin');
}

/** `rpIdHash (32) ‖ flags (1) ‖ signCount (4) ‖ extensions`. The counter is not compared. */
function checkAuthenticatorData(data: Bytes, rp: RelyingParty): void {
  if (b64(data.subarray(0, 32)) !== sha256(rp.rpId)) throw new Refused('assertion_wrong_relying_party');
  const flags = data[32]!;
  if ((flags & USER_PRESENT) === 0) throw new Refused('assertion_no_user_presence');
  if ((flags & USER_VERIFIED) === 0) throw new Refused('assertion_no_user_verification');
  const extended = data.length > AUTHENTICATOR_DATA[0];
  if ((flags & ATTESTED_CREDENTIAL) !== 0 || extended !== ((flags & EXTENSIONS) !== 0)) {
    throw Refused.of('assertion', 'wrong_member');
  }
}

/** ECDSA-Sig-Value in DER as r ‖ s; null for any but the shortest encoding. */
export function fixedSignature(der: Bytes): Bytes | null {
  if (der[0] !== 0x30 || der[1] !== der.length - 2) return null;
  const r = integer(der.subarray(2));
  const s = r && integer(r.rest);
  return r && s && s.rest.length === 0 ? concat(r.value, s.value) : null;
}
/** One positive INTEGER of at most 32 bytes, and what follows it. */
function integer(der: Bytes): { value: Bytes; rest: Bytes } | null {
  const length = der[1];
  if (der[0] !== 0x02 || length === undefined || length === 0 || der.length < 2 + length) return null;
  let digits = der.subarray(2, 2 + length);
  if (digits[0]! & 0x80) return null;
  if (digits[0] === 0) {
    if (digits.length < 2 || (digits[1]! & 0x80) === 0) return null;
    digits = digits.subarray(1);
  }
  if (digits.length > 32) return null;
  const value = new Uint8Array(32);
  value.set(digits, 32 - digits.length);
  return { value, rest: der.subarray(2 + length) };
}

