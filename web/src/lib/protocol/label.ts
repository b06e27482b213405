// Salted hashes of parcel labels: the stop page can tell that a scanned label is right without the keyholder or the log
// learning any label.

import { utf8Length } from './bytes';
import { domainHash, type Hash } from './hash';
import { Refused } from './refused';

/** A label reduced to its upper-case letters and digits, so that a scanner, a typist and a printer agree. */
export function normaliseLabel(label: string): string {
  const kept = utf8Length(label) > 256 ? '' : label.replace(/[^A-Za-z0-9]/g, '').toUpperCase();
  if (kept.length < 4 || kept.length > 48) throw new Refused('label_wrong_length');
  return kept;
}
/** `H("psh-label-v1", salt ‖ normalised label)`. */
export function labelHash(salt: Uint8Array, label: string): Hash {
  return domainHash('psh-label-v1', salt, normaliseLabel(label));
}
