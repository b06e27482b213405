// The weekly hours of a standing rule, on the calendar of its zone. The browser's zones say what protocol and wire cannot.

import type { Schedule } from './grant';
import type { Window } from './jws';
import { DAYS, type Day } from './text';

interface Wall {
  readonly date: string;
  readonly day: Day;
  /** Minutes after local midnight. */
  readonly minute: number;
}
/** What the wall clock shows; null for a zone that is none here. */
export function wallClock(zone: string, ms: number): Wall | null {
  let parts: Map<string, string>;
  try {
    const format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone, weekday: 'short', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit',
      hourCycle: 'h23',
    });
    parts = new Map(format.formatToParts(ms).map((part) => [part.type, part.value]));
  } catch {
    return null;
  }
  const day = DAYS.find((d) => d === parts.get('weekday')?.toLowerCase());
  if (!day) return null;
  const date = `${parts.get('year')}-${parts.get('month')}-${parts.get('day')}`;
  return { date, day, minute: Number(parts.get('hour')) * 60 + Number(parts.get('minute')) };
}

/** `HH:MM` in minutes. */
export function minutesOf(clock: string): number {
  const [hours, minutes] = clock.split(':').map(Number);
  return (hours ?? 0) * 60 + (minutes ?? 0);
}

/** Whether a window lies in the hours of one date. What cannot be told is outside. */
export function coversHours(schedule: Schedule, window: Window): boolean {
  const start = wallClock(schedule.zone, window.startMs);
  // The end itself is outside: the last moment inside counts.
  const last = wallClock(schedule.zone, window.endMs - 1);
  if (!start || !last || start.date !== last.date || !schedule.days.includes(start.day)) return false;
  return minutesOf(schedule.from) <= start.minute && last.minute < minutesOf(schedule.to);
}
