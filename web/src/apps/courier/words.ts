// What went wrong, in the words of the catalogue.

import { Problem, Silence } from './api';
import { i18n } from './i18n';

export function said(why: unknown): string {
  const words = i18n.t.error;
  if (why instanceof Silence) return words.silence;
  // Whatever else it was: nobody has answered, and the page goes on.
  if (!(why instanceof Problem)) {
    console.warn(why);
    return words.silence;
  }
  if (why.code === 'code_unknown') return i18n.t.sign.wrong;
  return coded(why.code);
}
export function coded(code: string): string {
  const { other, ...known } = i18n.t.error;
  return (known as Record<string, string>)[code] ?? other(code);
}
