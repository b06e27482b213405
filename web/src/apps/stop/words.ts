// Words that more than one screen needs.

import { format } from '$lib/i18n';
import { roundedM } from './geo';
import { i18n } from './i18n';
import { notYet, wayOf, type State } from './machine';

/** Why *Open* cannot be pressed, as a sentence; empty when it can. */
export function whyNotYet(s: State, nowMs: number): string {
  const t = i18n.t.not_yet;
  const why = notYet(s, nowMs);
  if (why === null) return '';
  return why === 'too_far' ? t.too_far(format.distance(roundedM(wayOf(s)?.distanceM ?? 0))) : t[why];
}
