import { I18n } from '$lib/i18n';
import type { More } from './more.en';

/** The pages' words; whoever loads a page awaits `more.ready()` first. */
export const more = new I18n<More>({
  en: () => import('./more.en'),
  de: () => import('./more.de'),
  es: () => import('./more.es'),
});
