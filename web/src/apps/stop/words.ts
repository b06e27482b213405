// Words that more than one screen needs.

import { format } from '$lib/i18n';
import { roundedM } from './geo';
import { i18n } from './i18n';
import type { Catalogue } from './i18n/en';
import { notYet, wayOf, type State } from './machine';

/** The words of a stop: at a house's door those that speak of a car or a lid are others. */
export function wordsOf(t: Catalogue, s: Pick<State, 'house'> | null): Catalogue {
  if (!s?.house) return t;
  const house = wordsOfHouse(t);
  return s.house === 'door' ? wordsOfFrontDoor(house) : house;
}
/** One that hands open and shut: its lock is no drive. */
function wordsOfFrontDoor(t: Catalogue): Catalogue {
  const { opening, pull, load, locking, come_back, alarm } = t.house.door;
  return {
    ...t,
    opening: { ...t.opening, ...opening },
    pull: { ...t.pull, ...pull },
    load: { ...t.load, ...load },
    locking: { ...t.locking, ...locking },
    come_back: { ...t.come_back, ...come_back },
    alarm: { ...t.alarm, ...alarm },
  };
}
function wordsOfHouse(t: Catalogue): Catalogue {
  const h = t.house;
  return {
    ...t,
    not_yet: { ...t.not_yet, ...h.not_yet },
    opening: { ...t.opening, ...h.opening },
    look: { ...t.look, ...h.look },
    load: { ...t.load, ...h.load },
    locking: { ...t.locking, ...h.locking },
    locked: { ...t.locked, ...h.locked, proof: { ...t.locked.proof, ...h.locked.proof } },
    wont_open: { ...t.wont_open, reason: { ...t.wont_open.reason, ...h.wont_open.reason } },
    come_back: { ...t.come_back, ...h.come_back },
    taken: { ...t.taken, ...h.taken },
    alarm: { ...t.alarm, ...h.alarm, cause: { ...t.alarm.cause, ...h.alarm.cause } },
    problem: { ...t.problem, ...h.problem, reason: { ...t.problem.reason, ...h.problem.reason } },
    badge: { ...t.badge, ...h.badge },
    trouble: { ...t.trouble, ...h.trouble },
  };
}

/** Why *Open* cannot be pressed, as a sentence; empty when it can. */
export function whyNotYet(s: State, nowMs: number): string {
  const t = wordsOf(i18n.t, s).not_yet;
  const why = notYet(s, nowMs);
  if (why === null) return '';
  return why === 'too_far' ? t.too_far(format.distance(roundedM(wayOf(s)?.distanceM ?? 0))) : t[why];
}
