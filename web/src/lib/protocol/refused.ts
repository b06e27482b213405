// Why something was refused: one stable code per check, the same codes as the keyholder's (docs/protocol/chain.md).

export type Kind =
  | 'cert' | 'keys' | 'request' | 'ticket' | 'grant' | 'assertion' | 'accepted' | 'delegation'
  | 'proof' | 'call' | 'order' | 'statement' | 'envelope' | 'content' | 'bundle';

export type Fault =
  | 'too_long' | 'not_compact' | 'not_base64url' | 'not_json' | 'not_an_object' | 'duplicate_member'
  | 'unknown_member' | 'missing_member' | 'wrong_member' | 'not_an_integer' | 'too_deep' | 'unknown_header'
  | 'wrong_algorithm' | 'wrong_type' | 'wrong_key' | 'bad_signature' | 'wrong_audience' | 'wrong_issuer'
  | 'wrong_subject' | 'not_yet' | 'expired' | 'wrong_lifetime';

/** A check that failed. It carries no part of what was refused, so it can be shown and reported. */
export class Refused extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.name = 'Refused';
    this.code = code;
  }
  static of(kind: Kind, fault: Fault): Refused {
    return new Refused(`${kind}_${fault}`);
  }
}
