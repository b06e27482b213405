// Which languages there are, and which one to begin with. No Svelte here: it is needed before anything is loaded.

export const LANGUAGES = { en: 'English', de: 'Deutsch', es: 'Español' } as const;
export type Language = keyof typeof LANGUAGES;
/** English, made strange: for tests, chosen by `?lang=pseudo`. */
export const PSEUDO = 'pseudo';

export const KEY = 'lang';

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
