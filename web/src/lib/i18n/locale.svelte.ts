// Which language the page speaks.

export const LANGUAGES = { en: 'English', de: 'Deutsch', es: 'Español' } as const;
export type Language = keyof typeof LANGUAGES;
/** English, made strange: for tests, chosen by `?lang=pseudo`. */
export const PSEUDO = 'pseudo';

const KEY = 'lang';

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

function known(name: string | null | undefined): Language | typeof PSEUDO | undefined {
  if (name === PSEUDO) return PSEUDO;
  const base = name?.split('-')[0]?.toLowerCase();
  return (Object.keys(LANGUAGES) as Language[]).find((language) => language === base);
}

/** The address, then what was chosen here before, then what the browser speaks, then English. */
export function detect(): Language | typeof PSEUDO {
  const asked = known(new URLSearchParams(location.search).get('lang'));
  if (asked) return asked;
  let kept: string | null = null;
  try {
    kept = localStorage.getItem(KEY);
  } catch {
    // Storage may be forbidden; the browser's own language then.
  }
  return known(kept) ?? navigator.languages.map(known).find((language) => language && language !== PSEUDO) ?? 'en';
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
