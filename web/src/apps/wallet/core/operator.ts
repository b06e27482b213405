// The operator's public key admits carriers. It is pinned like the log key: the first one seen on this device stays.

import { answered } from '$lib/api';
import { utf8 } from '$lib/protocol/bytes';
import { parse } from '$lib/protocol/json';
import { VerifyingKey } from '$lib/protocol/jws';
import { keep, kept } from './db';
import { api } from './gateway';

const KEY = 'operator';

export async function operatorKey(): Promise<VerifyingKey> {
  let jwk = await kept<string>(KEY);
  if (jwk === undefined) {
    jwk = JSON.stringify(answered(await api.GET('/v1/makers')).operator);
    VerifyingKey.fromMembers(parse('keys', utf8(jwk)));
    await keep(KEY, jwk);
  }
  return VerifyingKey.fromMembers(parse('keys', utf8(jwk)));
}
