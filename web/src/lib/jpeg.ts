// A JPEG with nothing but the picture. A photo that was drawn anew carries nothing of the camera, but browsers write notes of
// their own into it (a colour profile, and who knows what next), and those differ from phone to phone.

import { concat, type Bytes } from '$lib/protocol/bytes';

const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
/** JFIF 1.1, square dots, no thumbnail. */
const HEADER = [0xff, SOI, 0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0];

/** Frames by Huffman, tables, restart intervals: what the picture is made of. */
const isPicture = (marker: number): boolean => [0xc0, 0xc1, 0xc2, 0xc4, 0xdb, 0xdd].includes(marker);
/** Application data (EXIF, XMP, profiles, thumbnails) and comments. */
const isNote = (marker: number): boolean => (marker >= 0xe0 && marker <= 0xef) || marker === 0xfe;

/** The same picture without any note; what stands behind its end is left out, too. Null for what is no whole JPEG. */
export function bareJpeg(bytes: Bytes): Bytes | null {
  if (bytes[0] !== 0xff || bytes[1] !== SOI) return null;
  const kept: Bytes[] = [Uint8Array.from(HEADER)];
  let scans = 0;
  for (let at = 2; at + 1 < bytes.length; ) {
    if (bytes[at] !== 0xff) return null;
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    if (marker === EOI) return scans > 0 ? concat(...kept, Uint8Array.of(0xff, EOI)) : null;
    const end = segmentEnd(bytes, at);
    if (end === null) return null;
    if (marker === SOS) {
      const next = scanEnd(bytes, end);
      kept.push(bytes.slice(at, next));
      scans += 1;
      at = next;
      continue;
    }
    if (isPicture(marker)) kept.push(bytes.slice(at, end));
    else if (!isNote(marker)) return null;
    at = end;
  }
  return null;
}
/** Behind a segment that begins at `at` with its marker; null if it is not whole. */
function segmentEnd(bytes: Bytes, at: number): number | null {
  if (at + 4 > bytes.length) return null;
  const length = (bytes[at + 2]! << 8) | bytes[at + 3]!;
  return length >= 2 && at + 2 + length <= bytes.length ? at + 2 + length : null;
}
/** Where the next marker stands after a scan's data; stuffed bytes and restarts belong to the data. */
function scanEnd(bytes: Bytes, from: number): number {
  for (let at = from; at + 1 < bytes.length; at++) {
    const next = bytes[at + 1]!;
    if (bytes[at] === 0xff && next !== 0 && !(next >= 0xd0 && next <= 0xd7)) return at;
  }
  return bytes.length;
}
