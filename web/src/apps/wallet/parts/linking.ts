// What is being linked, while its owner is away to log in: the address that leads back does not say it. One word, kept with
// this tab and no longer.

import type { Kind } from './words';

const NAME = 'linking';

export const linkingKind = {
  keep(kind: Kind): void {
    // A browser that keeps nothing says "car", as ever.
    try {
      sessionStorage.setItem(NAME, kind);
    } catch {
      /* nothing is kept */
    }
  },
  kept(): Kind {
    try {
      return sessionStorage.getItem(NAME) === 'home' ? 'home' : 'car';
    } catch {
      return 'car';
    }
  },
};
