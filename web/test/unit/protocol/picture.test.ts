// A picture of a recording: its time, one of two beginnings, and no more than a box holds. As crates/protocol/tests/it/edges.rs.
import { expect, it } from 'vitest';
import { parsePicture } from '../../../src/lib/protocol/content';
import { contentMax } from '../../../src/lib/protocol/sealkey';

const JPEG = [0xff, 0xd8, 0xff];
const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const LAST_MS = 253_402_300_799_999n;

function content(at: bigint, beginning: number[], length: number): Uint8Array {
  const bytes = new Uint8Array(8 + length).fill(7);
  new DataView(bytes.buffer).setBigInt64(0, at);
  bytes.set(beginning, 8);
  return bytes;
}

it('a picture has a time, one of two beginnings, and fits a box', () => {
  const most = contentMax('recording') - 8;
  for (const [at, beginning, length] of [[0n, JPEG, 3], [LAST_MS, PNG, 8], [1n, PNG, most]] as const) {
    const read = parsePicture(content(at, [...beginning], length));
    expect([read.atMs, read.bytes.length]).toEqual([Number(at), length]);
  }
  const refused = [
    content(-1n, JPEG, 9),
    content(LAST_MS + 1n, JPEG, 9),
    content(1n, JPEG, most + 1),
    content(1n, JPEG.slice(0, 2), 2),
    content(1n, PNG.slice(0, 7), 7),
    content(1n, [0x47, 0x49, 0x46], 9),
    content(1n, [], 0),
    new Uint8Array(7),
  ];
  for (const bytes of refused) expect(() => parsePicture(bytes), `${bytes.length} bytes`).toThrow('content_wrong_member');
});

it('a picture is read where it lies, also in the middle of other bytes', () => {
  const inside = new Uint8Array(40);
  inside.set(content(1_800_000_000_123n, JPEG, 5), 11);
  const read = parsePicture(inside.subarray(11, 24));
  expect([read.atMs, [...read.bytes]]).toEqual([1_800_000_000_123, [...JPEG, 7, 7]]);
});
