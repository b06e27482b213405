// Logging in with a passkey of this host. Loaded when somebody logs in, not before.

import { randomBytes } from '$lib/protocol/bytes';
import { confirm, createPasskey, type NewPasskey } from '$lib/protocol/passkey';
import { assertionJson, sessionChallenge } from '$lib/protocol/webauthn';
import { answered, api } from './api';

async function asked(allow: readonly NewPasskey[]) {
  const { nonce, rp_id, aud } = answered(await api.POST('/v1/staff/challenges', { body: {} }));
  const { assertion } = await confirm(rp_id, sessionChallenge(aud, nonce), null, allow.map((p) => p.credentialId));
  return { nonce, assertion: JSON.parse(assertionJson(assertion)) as Parts };
}
type Parts = { credential_id: string; authenticator_data: string; client_data_json: string; signature: string };

export async function logIn() {
  return answered(await api.POST('/v1/staff/sessions', { body: await asked([]) }));
}
export async function makePasskey(label: string): Promise<NewPasskey> {
  const { rp_id } = answered(await api.POST('/v1/staff/challenges', { body: {} }));
  return createPasskey(rp_id, label, randomBytes(16), randomBytes(32), null);
}
export async function join(invitation: string, passkey: NewPasskey) {
  const body = { invitation, jwk: passkey.key.jwk, ...(await asked([passkey])) };
  return answered(await api.POST('/v1/staff/registrations', { body }));
}
