import { describe, expect, it } from 'vitest';
import { bareJpeg } from '$lib/jpeg';
import { open, seal, SealKeyPair } from '../../../src/lib/protocol/seal';

const ascii = (text: string): number[] => [...text].map((c) => c.charCodeAt(0));
/** One segment: marker, length, content. */
const segment = (marker: number, ...content: number[]): number[] => {
  const length = content.length + 2;
  return [0xff, marker, length >> 8, length & 0xff, ...content];
};
const SOI = [0xff, 0xd8];
const EOI = [0xff, 0xd9];
const JFIF = segment(0xe0, ...ascii('JFIF\0'), 1, 1, 0, 0, 1, 0, 1, 0, 0);
const TABLES = [...segment(0xdb, 0, ...Array(64).fill(7)), ...segment(0xc0, 8, 0, 8, 0, 8, 1, 1, 17, 0), ...segment(0xc4, 0, ...Array(17).fill(1))];
/** Data with a stuffed byte and a restart, which are no ends. */
const SCAN = [...segment(0xda, 1, 1, 0, 0, 63, 0), 1, 2, 0xff, 0, 3, 0xff, 0xd0, 4, 0xff, 0xd7, 5];
const NOTES: [string, number[]][] = [
  ['EXIF', segment(0xe1, ...ascii('Exif\0\0MM'), 0, 42)],
  ['XMP', segment(0xe1, ...ascii('http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>'))],
  ['a colour profile', segment(0xe2, ...ascii('ICC_PROFILE\0'), 1, 1, 9, 9)],
  ['Photoshop', segment(0xed, ...ascii('Photoshop 3.0\0'))],
  ['Adobe', segment(0xee, ...ascii('Adobe'), 0, 100, 0, 0, 0, 0, 1)],
  ['a comment', segment(0xfe, ...ascii('by this very phone'))],
  ['a thumbnail', segment(0xe0, ...ascii('JFXX\0'), 16, 0xff, 0xd8)],
];
const jpeg = (...parts: number[][]): Uint8Array<ArrayBuffer> => Uint8Array.from(parts.flat());
const CLEAN = jpeg(SOI, JFIF, TABLES, SCAN, EOI);

/** Markers of a JPEG, found another way than by the code that is tested: segments are walked, data is skipped. */
function markers(bytes: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 2; at < bytes.length; ) {
    const marker = bytes[at + 1]!;
    found.push(marker);
    if (marker === 0xd9) break;
    at += 2 + ((bytes[at + 2]! << 8) | bytes[at + 3]!);
    if (marker !== 0xda) continue;
    while (!(bytes[at] === 0xff && bytes[at + 1] !== 0 && (bytes[at + 1]! & 0xf8) !== 0xd0)) at++;
  }
  return found;
}

describe('a photo before it is sealed', () => {
  it('that is bare stays as it is', () => expect(bareJpeg(CLEAN)).toEqual(CLEAN));
  it.each(NOTES)('loses %s, wherever it stands', (_, note) => {
    for (const with_ of [jpeg(SOI, note, JFIF, TABLES, SCAN, EOI), jpeg(SOI, JFIF, note, TABLES, SCAN, EOI), jpeg(SOI, JFIF, TABLES, note, note, SCAN, EOI), jpeg(SOI, JFIF, TABLES, SCAN, note, EOI)]) {
      expect(markers(with_).some((m) => m > 0xe0 || m === 0xfe) || markers(with_).filter((m) => m === 0xe0).length > 1).toBe(true);
      expect(bareJpeg(with_)).toEqual(CLEAN);
    }
  });
  it('loses a thumbnail in the header, a density of the screen, and what stands behind the end', () => {
    const header = segment(0xe0, ...ascii('JFIF\0'), 1, 2, 1, 0, 96, 0, 96, 1, 1, 9, 9, 9);
    expect(bareJpeg(jpeg(SOI, header, TABLES, SCAN, EOI, ascii('GPS 60.1695,24.9480')))).toEqual(CLEAN);
    expect(bareJpeg(jpeg(SOI, TABLES, SCAN, EOI))).toEqual(CLEAN);
  });
  it('keeps several scans and filled markers', () => {
    expect(bareJpeg(jpeg(SOI, JFIF, TABLES, SCAN, TABLES, SCAN, EOI))).toEqual(jpeg(SOI, JFIF, TABLES, SCAN, TABLES, SCAN, EOI));
    expect(bareJpeg(jpeg(SOI, [0xff, 0xff], JFIF, TABLES, SCAN, EOI))).toEqual(CLEAN);
  });
  it.each([
    ['nothing', jpeg()],
    ['a PNG', jpeg([0x89, 0x50, 0x4e, 0x47])],
    ['no end', jpeg(SOI, JFIF, TABLES, SCAN)],
    ['no picture', jpeg(SOI, JFIF, TABLES, EOI)],
    ['a segment cut short', jpeg(SOI, [0xff, 0xe1, 0x7f, 0xff, 1, 2, 3])],
    ['a length of nothing', jpeg(SOI, [0xff, 0xe1, 0, 1], TABLES, SCAN, EOI)],
    ['a marker that nobody knows', jpeg(SOI, segment(0xf0, 1), TABLES, SCAN, EOI)],
    ['text between segments', jpeg(SOI, JFIF, ascii('x'), TABLES, SCAN, EOI)],
  ])('%s is none', (_, bytes) => expect(bareJpeg(bytes)).toBeNull());

  it('is padded: its box tells the size in steps of 64 KiB only', async () => {
    const pair = await SealKeyPair.fromSeed(new Uint8Array(32).fill(7));
    const context = { sender: 'device', recipient: pair.public.hash, delivery: 'd', seq: 0 };
    const box = (bytes: number) => seal(pair.public, 'photo', context, new Uint8Array(bytes).fill(1));
    const lengths = await Promise.all([1, 40_000, 65_532, 65_533, 100_000].map(async (n) => (await box(n)).length));
    expect(new Set(lengths.slice(0, 3)).size).toBe(1);
    expect(new Set(lengths.slice(3)).size).toBe(1);
    expect(lengths[3]! - lengths[0]!).toBe(65_536);
    expect((await open(pair, 'photo', context, await box(40_000))).length).toBe(40_000);
  });
});
