// The few words that the shared components speak by themselves. Small enough to come with every app.

import { locale, PSEUDO } from './locale.svelte';

const en = {
  close: 'Close',
  cancel: 'Cancel',
  back: 'Back',
  again: 'Try again',
  loading: 'Loading',
  more: 'More',
  language: 'Language',
  copied: 'Copied',
  now: 'just now',
};
type Common = typeof en;
const de: Common = {
  close: 'Schließen',
  cancel: 'Abbrechen',
  back: 'Zurück',
  again: 'Noch einmal versuchen',
  loading: 'Wird geladen',
  more: 'Mehr',
  language: 'Sprache',
  copied: 'Kopiert',
  now: 'gerade eben',
};
const es: Common = {
  close: 'Cerrar',
  cancel: 'Cancelar',
  back: 'Volver',
  again: 'Intentar de nuevo',
  loading: 'Cargando',
  more: 'Más',
  language: 'Idioma',
  copied: 'Copiado',
  now: 'ahora mismo',
};

const all = { en, de, es };
/** Reactive: read it in markup or in `$derived`. */
export function common(): Common {
  return all[locale.chosen === PSEUDO ? 'en' : locale.chosen];
}
