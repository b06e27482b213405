// What an owner confirms with a passkey besides grants: exact bytes of strict JSON, and an assertion over their hash.

import { b64, type Bytes } from './bytes';
import { domainHash, parseHash, parseId, type Hash, type Id } from './hash';
import { ObjectWriter, parse, type Members } from './json';
import { VerifyingKey } from './jws';
import { Refused } from './refused';
import { SealPublicKey } from './sealkey';
import { audience, isToken, isWord, token } from './text';
import { CREDENTIAL_ID_MAX, verifyAssertion, type Assertion, type Passkey, type RelyingParty } from './webauthn';

const STATEMENT_MAX = 4 * 1024;

/** What a block or its end covers. */
export type Covered =
  | { readonly scope: 'delivery' | 'carrier' | 'courier'; readonly id: string }
  | { readonly scope: 'all' };

/** What is erased for good: one delivery, or the wallet with its cars and all deliveries. */
export type Erased = { readonly scope: 'delivery'; readonly id: Id } | { readonly scope: 'wallet' };

export type Said =
  | { readonly typ: 'wallet'; readonly accountKey: SealPublicKey; readonly passkey: Passkey }
  | { readonly typ: 'passkey'; readonly wallet: Id; readonly passkey: Passkey }
  | { readonly typ: 'link'; readonly wallet: Id; readonly maker: string }
  | {
      readonly typ: 'consents';
      readonly wallet: Id;
      readonly vehicle: Id;
      readonly nobodyInside: boolean;
      readonly parkedInferred: boolean;
      readonly tailgateWithCabin: boolean;
      /** Said only where the car does not tell whether lid and lock are shut. */
      readonly lidAndLockUntold: boolean;
    }
  | { readonly typ: 'confirm_link'; readonly wallet: Id; readonly vehicle: Id; readonly link: string }
  | { readonly typ: 'unblock'; readonly wallet: Id; readonly covered: Covered }
  | { readonly typ: 'erase'; readonly wallet: Id; readonly erased: Erased }
  | { readonly typ: 'lift_hold'; readonly wallet: Id; readonly delivery: Id }
  | { readonly typ: 'lift_halt'; readonly wallet: Id; readonly vehicle: Id }
  /** Nothing opens before; null ends an earlier pause. */
  | { readonly typ: 'pause'; readonly wallet: Id; readonly untilMs: number | null };

export interface Statement {
  readonly aud: string;
  /** The keyholder's challenge. */
  readonly nonce: string;
  readonly said: Said;
}

/** What the assertion must carry as challenge. */
export function statementChallenge(bytes: Uint8Array): Hash {
  return domainHash('psh-statement-v1', bytes);
}

/** The bytes to confirm. */
export function statementBytes(s: Statement): Bytes {
  const o = new ObjectWriter().text('typ', s.said.typ).text('aud', s.aud).text('nonce', s.nonce);
  const { said } = s;
  if (said.typ === 'wallet') return passkeyTo(o.text('account_key', said.accountKey.text), said.passkey).bytes();
  o.text('wallet', said.wallet);
  switch (said.typ) {
    case 'passkey':
      passkeyTo(o, said.passkey);
      break;
    case 'link':
      o.text('maker', said.maker);
      break;
    case 'consents':
      o.text('vehicle', said.vehicle)
        .bool('nobody_inside', said.nobodyInside)
        .bool('parked_inferred', said.parkedInferred)
        .bool('tailgate_with_cabin', said.tailgateWithCabin);
      if (said.lidAndLockUntold) o.bool('lid_and_lock_untold', true);
      break;
    case 'confirm_link':
      o.text('vehicle', said.vehicle).text('link', said.link);
      break;
    case 'unblock':
      o.text('scope', said.covered.scope).opt('id', 'id' in said.covered ? said.covered.id : null);
      break;
    case 'erase':
      o.text('scope', said.erased.scope).opt('id', 'id' in said.erased ? said.erased.id : null);
      break;
    case 'lift_hold':
      o.text('delivery', said.delivery);
      break;
    case 'lift_halt':
      o.text('vehicle', said.vehicle);
      break;
    case 'pause':
      if (said.untilMs !== null) o.timeMs('until', said.untilMs);
      break;
  }
  return o.bytes();
}

/** Reads a statement without checking who confirmed it. */
export function parseStatement(bytes: Uint8Array): Statement {
  if (bytes.length > STATEMENT_MAX) throw Refused.of('statement', 'too_long');
  const m = parse('statement', bytes);
  const typ = m.rawText('typ', 1, 32);
  const aud = audience(m, 'aud');
  const nonce = token(m, 'nonce', 128);
  const said = readSaid(typ, m);
  m.end();
  return { aud, nonce, said };
}

/** Checks who confirmed a statement: for a new wallet the passkey inside it, else one of `passkeys`. */
export async function verifyStatement(
  bytes: Bytes,
  assertion: Assertion,
  passkeys: readonly Passkey[],
  rp: RelyingParty,
  aud: string,
): Promise<Statement> {
  const statement = parseStatement(bytes);
  if (statement.aud !== aud) throw Refused.of('statement', 'wrong_audience');
  const own = statement.said.typ === 'wallet' ? [statement.said.passkey] : passkeys;
  await verifyAssertion(assertion, statementChallenge(bytes), own, rp);
  return statement;
}

function readSaid(typ: string, m: Members): Said {
  const wallet = (): Id => m.parsed('wallet', parseId);
  switch (typ) {
    case 'wallet':
      return { typ, accountKey: m.parsed('account_key', SealPublicKey.parse), passkey: passkeyFrom(m) };
    case 'passkey':
      return { typ, wallet: wallet(), passkey: passkeyFrom(m) };
    case 'link':
      return { typ, wallet: wallet(), maker: m.parsed('maker', (t) => (isWord(t, 32) ? t : null)) };
    case 'consents':
      return {
        typ,
        wallet: wallet(),
        vehicle: m.parsed('vehicle', parseId),
        nobodyInside: m.bool('nobody_inside'),
        parkedInferred: m.bool('parked_inferred'),
        tailgateWithCabin: m.bool('tailgate_with_cabin'),
        lidAndLockUntold: m.optTrue('lid_and_lock_untold'),
      };
    case 'confirm_link':
      return { typ, wallet: wallet(), vehicle: m.parsed('vehicle', parseId), link: token(m, 'link', 64) };
    case 'unblock':
      return { typ, wallet: wallet(), covered: covered(m) };
    case 'erase':
      return { typ, wallet: wallet(), erased: erased(m) };
    case 'lift_hold':
      return { typ, wallet: wallet(), delivery: m.parsed('delivery', parseId) };
    case 'lift_halt':
      return { typ, wallet: wallet(), vehicle: m.parsed('vehicle', parseId) };
    case 'pause':
      return { typ, wallet: wallet(), untilMs: m.has('until') ? m.timeMs('until') : null };
    default:
      throw m.fault('wrong_type');
  }
}
function covered(m: Members): Covered {
  const scope = m.parsed('scope', (t) => (isWord(t, 16) ? t : null));
  const id = m.optParsed('id', (t) => (isToken(t, 64) ? t : null));
  if (scope === 'delivery' && id !== null && parseId(id)) return { scope, id };
  if ((scope === 'carrier' || scope === 'courier') && id !== null && parseHash(id)) return { scope, id };
  if (scope === 'all' && id === null) return { scope };
  throw m.wrong();
}
function erased(m: Members): Erased {
  const scope = m.parsed('scope', (t) => (isWord(t, 16) ? t : null));
  const id = m.optParsed('id', (t) => (isToken(t, 64) ? t : null));
  if (scope === 'delivery' && id !== null && parseId(id)) return { scope, id };
  if (scope === 'wallet' && id === null) return { scope };
  throw m.wrong();
}
function passkeyTo(o: ObjectWriter, passkey: Passkey): ObjectWriter {
  return o.text('credential_id', b64(passkey.credentialId)).raw('jwk', passkey.key.jwk);
}
function passkeyFrom(m: Members): Passkey {
  return {
    credentialId: m.bytes('credential_id', 1, CREDENTIAL_ID_MAX),
    key: VerifyingKey.fromMembers(m.object('jwk')),
  };
}
