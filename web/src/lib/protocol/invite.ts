// An invitation: how a guest's device and the owner who invites find each other. The secret stands behind the # of a link, so
// that no server sees it; servers see its hash, under which both meet. A door sign is the same turned around: its code hangs at a
// door, and whoever stands there asks.

import { b64, bytesOfLength, randomBytes, type Bytes } from './bytes';
import { bytesOf, domainHash, sha256Bytes, type Hash, type Id } from './hash';

const SECRET_BYTES = 16;

export interface Invitation {
  /** What stands behind the #. */
  readonly text: string;
  /** Under which both sides meet. */
  readonly id: Id;
  readonly secret: Bytes;
}

export function makeInvitation(): Invitation {
  return invitationOf(randomBytes(SECRET_BYTES));
}
/** Reads what stands behind the #; null for anything else. */
export function parseInvitation(text: string): Invitation | null {
  const secret = bytesOfLength(SECRET_BYTES)(text);
  return secret && invitationOf(secret);
}
function invitationOf(secret: Bytes): Invitation {
  return { text: b64(secret), id: idOf('psh-invite-id-v1', secret), secret };
}
const idOf = (domain: string, secret: Bytes): Id => b64(bytesOf(domainHash(domain, secret)).slice(0, 16));
/** Says that whoever answers with this device had the secret. */
export function inviteTag(invitation: Invitation, device: Hash): Hash {
  return domainHash('psh-invite-tag-v1', invitation.secret, bytesOf(device));
}
/** Six digits that the guest reads out and the owner types. `log`: the verifier line of the keyholder's log. */
export function inviteDigits(invitation: Invitation, device: Hash, log: string): string {
  const hash = bytesOf(domainHash('psh-invite-digits-v1', invitation.secret, bytesOf(device), sha256Bytes(log)));
  const number = new DataView(hash.buffer, hash.byteOffset).getUint32(0) % 1_000_000;
  return String(number).padStart(6, '0');
}

/** The code that hangs at a door. */
export interface DoorSign {
  /** What stands behind the #. */
  readonly text: string;
  /** Under which servers know it. */
  readonly id: Id;
  readonly secret: Bytes;
}
/** Reads what stands behind the #; null for anything else. */
export function parseDoorSign(text: string): DoorSign | null {
  const secret = bytesOfLength(SECRET_BYTES)(text);
  return secret && { text, id: idOf('psh-door-sign-v1', secret), secret };
}
/** Says that whoever asks under this name with this device has read the code. */
export function knockTag(sign: DoorSign, device: Hash, knock: Id): Hash {
  return domainHash('psh-knock-v1', sign.secret, bytesOf(device), bytesOf(knock));
}
