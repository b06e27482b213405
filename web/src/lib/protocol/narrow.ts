// Narrowing: a later link may permit less than the one before, never more. Widening is refused, not clipped.

import { encloses, type Window } from './jws';
import { Refused } from './refused';
import { DISCLOSE, type AccessClass, type Disclose, type Purpose } from './text';

/** The six fields that a delegation repeats and may narrow. */
export interface Scope {
  readonly purpose: Purpose;
  readonly opens: readonly AccessClass[];
  readonly uses: number;
  readonly area: readonly string[];
  readonly disclose: Disclose;
  readonly window: Window;
}

export function checkNarrows(outer: Scope, inner: Scope): void {
  const rank = (d: Disclose): number => DISCLOSE.indexOf(d);
  if (inner.purpose !== outer.purpose) throw new Refused('delegation_widens_purpose');
  if (!inner.opens.every((c) => outer.opens.includes(c))) throw new Refused('delegation_widens_opens');
  if (inner.uses > outer.uses) throw new Refused('delegation_widens_uses');
  if (!inner.area.every((c) => outer.area.includes(c))) throw new Refused('delegation_widens_area');
  if (rank(inner.disclose) > rank(outer.disclose)) throw new Refused('delegation_widens_disclose');
  if (!encloses(outer.window, inner.window)) throw new Refused('delegation_widens_window');
}
