// What is being linked, while its owner is away to log in: the address that leads back does not say it. One word, kept with
// this tab until its owner is back.

import type { Kind } from './words';

const NAME = 'linking';

export const linkingKind = {
  keep(kind: Kind): void {
    // A browser that keeps nothing says "car", as ever.
    try {
      if (kind === 'home') sessionStorage.setItem(NAME, kind);
      else sessionStorage.removeItem(NAME);
    } catch {
      /* nothing is kept */
    }
  },
  /** Once: whoever is back needs no reminder any more. */
  taken(): Kind {
    try {
      const kept = sessionStorage.getItem(NAME);
      sessionStorage.removeItem(NAME);
      return kept === 'home' ? 'home' : 'car';
    } catch {
      return 'car';
    }
  },
};
