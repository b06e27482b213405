import { I18n } from '$lib/i18n';
import type { Catalogue } from './en';

export const i18n = new I18n<Catalogue>({
  en: () => import('./en'),
  de: () => import('./de'),
  es: () => import('./es'),
});
