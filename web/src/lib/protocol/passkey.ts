// Asking an authenticator: a new passkey, an assertion over a challenge, and with both the PRF output that wraps a wallet's
// seed. `eval` is always sent: some authenticators refuse a bare `prf: {}`, and where PRF is refused we ask again without.

import type { Bytes } from './bytes';
import { bytesOf, type Hash } from './hash';
import { VerifyingKey } from './jws';
import { Refused } from './refused';
import type { Assertion, Passkey } from './webauthn';

export interface NewPasskey extends Passkey {
  /** 32 bytes; null where the authenticator has no PRF or gives it at the first assertion only. */
  readonly prf: Bytes | null;
}
export interface Confirmed {
  readonly assertion: Assertion;
  readonly prf: Bytes | null;
}

const ES256 = -7;
const RS256 = -257;
const TIMEOUT_MS = 120_000;

interface PrfResults {
  readonly prf?: { readonly results?: { readonly first?: ArrayBuffer } };
}
function prfOf(credential: PublicKeyCredential): Bytes | null {
  const first = (credential.getClientExtensionResults() as PrfResults).prf?.results?.first;
  return first && first.byteLength === 32 ? new Uint8Array(first) : null;
}
function prfExtension(salt: Bytes | null): AuthenticationExtensionsClientInputs | undefined {
  return salt ? ({ prf: { eval: { first: salt } } } as AuthenticationExtensionsClientInputs) : undefined;
}

/** Makes a passkey. `userHandle` is random bytes: the wallet has no name. */
export async function createPasskey(
  rpId: string,
  label: string,
  userHandle: Bytes,
  challenge: Bytes,
  prfSalt: Bytes | null,
  exclude: readonly Bytes[] = [],
): Promise<NewPasskey> {
  const ask = (salt: Bytes | null): Promise<Credential | null> =>
    navigator.credentials.create({
      publicKey: {
        rp: { id: rpId, name: label },
        user: { id: userHandle, name: label, displayName: label },
        challenge,
        // ES256 first: the only one that the keyholder takes. RS256 keeps browsers from warning; it is refused below.
        pubKeyCredParams: [ES256, RS256].map((alg) => ({ type: 'public-key', alg })),
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
        excludeCredentials: exclude.map((id) => ({ type: 'public-key', id })),
        attestation: 'none',
        timeout: TIMEOUT_MS,
        ...(salt ? { extensions: prfExtension(salt)! } : {}),
      },
    });
  const made = await ask(prfSalt).catch((error: unknown) => {
    const unable = error instanceof DOMException && (error.name === 'NotSupportedError' || error.name === 'UnknownError');
    if (prfSalt && unable) return ask(null);
    throw error;
  });
  const credential = made as PublicKeyCredential;
  const response = credential.response as AuthenticatorAttestationResponse;
  const spki = response.getPublicKey();
  if (response.getPublicKeyAlgorithm() !== ES256 || !spki) throw new Refused('key_malformed');
  // The SPKI of a P-256 key ends with its uncompressed point.
  const key = VerifyingKey.fromPoint(new Uint8Array(spki).slice(-65));
  return { credentialId: new Uint8Array(credential.rawId), key, prf: prfOf(credential) };
}

/** Asks for an assertion over `challenge`. Without `allow` the person picks one of the passkeys of this host. */
export async function confirm(
  rpId: string,
  challenge: Hash,
  prfSalt: Bytes | null,
  allow: readonly Bytes[] = [],
): Promise<Confirmed> {
  const extensions = prfExtension(prfSalt);
  const got = await navigator.credentials.get({
    publicKey: {
      rpId,
      challenge: bytesOf(challenge),
      userVerification: 'required',
      allowCredentials: allow.map((id) => ({ type: 'public-key', id })),
      timeout: TIMEOUT_MS,
      ...(extensions ? { extensions } : {}),
    },
  });
  const credential = got as PublicKeyCredential;
  const response = credential.response as AuthenticatorAssertionResponse;
  return {
    assertion: {
      credentialId: new Uint8Array(credential.rawId),
      authenticatorData: new Uint8Array(response.authenticatorData),
      clientDataJson: new Uint8Array(response.clientDataJSON),
      signature: new Uint8Array(response.signature),
    },
    prf: prfOf(credential),
  };
}
