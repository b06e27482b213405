// vectors/bundle.json: whole cases, good and bad, with the very code of the one check that refuses each.

import { describe, expect, it } from 'vitest';
import { parseBundle } from '$lib/protocol/bundle-form';
import { verifyBundle } from '$lib/protocol/bundle';
import { fromUtf8, utf8 } from '$lib/protocol/bytes';
import { encodeBundle } from '$lib/protocol/bundle-form';
import { code, vectors, type Vector } from './support';

const v = vectors('bundle');
function textOf(change: Record<string, string | null>): string {
  const members = { ...v.base, ...change };
  const there = v.members.filter((name: string) => members[name] !== null);
  return `{${there.map((name: string) => `"${name}":${members[name]}`).join(',')}}`;
}
const good = textOf({});

describe('bundle.json', () => {
  it.each<[string, Vector]>(v.cases.map((c: Vector) => [c.name, c]))('%s', async (_, c) => {
    let text = textOf(c.change);
    if (c.replace.length === 2) {
      const other = text.replaceAll(c.replace[0], c.replace[1]);
      expect(other).not.toBe(text);
      text = other;
    }
    expect(await code(() => verifyBundle(utf8(text), null))).toBe(c.expect);
  });
  it('tells what a good one proves', async () => {
    const verdict = await verifyBundle(utf8(good), null);
    expect(verdict).toMatchObject({ openings: 1, unknown: 0, lockProof: 'observed', carrier: 'Example Parcels', withheld: 0 });
    expect(verdict.timeline.map((e) => e.kind)).toEqual([
      'grant_accepted', 'delegation_accepted', 'place_disclosed', 'open_intended', 'outcome', 'lock_intended', 'locked',
    ]);
  });
  it('is written as it was read, and other anchors refuse it', async () => {
    const bundle = parseBundle(utf8(good));
    expect(encodeBundle(bundle)).toBe(good);
    const other = { ...bundle.anchors, walletOrigin: 'https://wallet.example' };
    expect(await code(() => verifyBundle(utf8(good), other))).toBe('bundle_wrong_anchor');
    expect(await code(() => verifyBundle(utf8(good), bundle.anchors))).toBe('ok');
  });
  it('names the device of a guest, and no carrier', async () => {
    const c = v.cases.find((each: Vector) => each.name === 'a guest opened') as Vector;
    const bytes = utf8(textOf(c.change));
    expect(await verifyBundle(bytes, null)).toMatchObject({ openings: 1, purpose: 'guest', carrier: null, merchant: null });
    expect((await verifyBundle(bytes, null)).device).not.toBeNull();
    expect(encodeBundle(parseBundle(bytes))).toBe(fromUtf8(bytes));
  });
  it('is refused after a change of one bit, wherever', async () => {
    const bytes = utf8(good);
    // Every 97th byte: a third of a million changes take minutes here; the keyholder's tests try them all.
    for (let at = 0; at < bytes.length; at += 97) {
      const bent = bytes.slice();
      bent[at]! ^= 1 << at % 8;
      expect(await code(() => verifyBundle(bent, null)), `byte ${at}: ${fromUtf8(bent.slice(at, at + 8)) ?? '?'}`).not.toBe('ok');
    }
  });
  it('that is longer than a box holds is not read', async () => {
    expect(await code(() => verifyBundle(new Uint8Array(131_069), null))).toBe('bundle_too_long');
  });
});
