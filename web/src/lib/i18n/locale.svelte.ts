// Which language the page speaks.

import { KEY, PSEUDO, type Language } from './languages';

export { detect, LANGUAGES, PSEUDO, type Language } from './languages';

class Locale {
  /** What the catalogue is called. */
  chosen = $state.raw<Language | typeof PSEUDO>('en');
  /** For `Intl`: the viewer's own region where it speaks the chosen language (`en-GB` writes 24 hours). */
  get tag(): string {
    const language = this.chosen === PSEUDO ? 'en' : this.chosen;
    const own = typeof navigator === 'undefined' ? [] : navigator.languages;
    return own.find((tag) => tag.split('-')[0] === language) ?? language;
  }
}
export const locale = new Locale();

const loaders = new Set<(language: Language | typeof PSEUDO) => Promise<void>>();
/** For catalogues: called with each language that is chosen. */
export function onLanguage(load: (language: Language | typeof PSEUDO) => Promise<void>): void {
  loaders.add(load);
}

/** Loads every catalogue of the page, then switches. */
export async function setLanguage(language: Language | typeof PSEUDO, keep = true): Promise<void> {
  await Promise.all([...loaders].map((load) => load(language)));
  locale.chosen = language;
  document.documentElement.lang = language === PSEUDO ? 'en' : language;
  if (!keep || language === PSEUDO) return;
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // Then it is asked anew next time.
  }
}
