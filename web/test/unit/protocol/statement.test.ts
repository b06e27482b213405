import { describe, expect, it } from 'vitest';
import { fromUtf8, utf8 } from '$lib/protocol/bytes';
import { parseStatement, statementBytes, type Said } from '$lib/protocol/statement';

const wallet = 'AAAAAAAAAAAAAAAAAAAAAA';
const device = 'A'.repeat(43);
const head = (typ: string) => `{"typ":"${typ}","aud":"https://gateway.example","nonce":"n","wallet":"${wallet}"`;

describe('what an owner confirms', () => {
  it.each<[string, Said, string]>([
    ['a pause', { typ: 'pause', wallet, untilMs: 1_793_000_000_000 }, `${head('pause')},"until":1793000000}`],
    ['the end of a pause', { typ: 'pause', wallet, untilMs: null }, `${head('pause')}}`],
    ['one courier again', { typ: 'unblock', wallet, covered: { scope: 'courier', id: device } },
      `${head('unblock')},"scope":"courier","id":"${device}"}`],
    ['a delivery to erase', { typ: 'erase', wallet, erased: { scope: 'delivery', id: wallet } },
      `${head('erase')},"scope":"delivery","id":"${wallet}"}`],
    ['the wallet to erase', { typ: 'erase', wallet, erased: { scope: 'wallet' } }, `${head('erase')},"scope":"wallet"}`],
    ['a hold to lift', { typ: 'lift_hold', wallet, delivery: wallet }, `${head('lift_hold')},"delivery":"${wallet}"}`],
  ])('%s', (_name, said, bytes) => {
    const statement = { aud: 'https://gateway.example', nonce: 'n', said };
    expect(fromUtf8(statementBytes(statement))).toBe(bytes);
    expect(parseStatement(utf8(bytes))).toEqual(statement);
  });
  it.each([
    `${head('erase')},"scope":"wallet","id":"${wallet}"}`,
    `${head('erase')},"scope":"carrier","id":"${device}"}`,
    `${head('pause')},"until":"tomorrow"}`,
    `${head('pause')},"until":1793000000,"until":1}`,
    `${head('lift_hold')}}`,
  ])('refuses %s', (bytes) => {
    expect(() => parseStatement(utf8(bytes))).toThrow();
  });
});
