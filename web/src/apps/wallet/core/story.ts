// What is said about a delivery: which of the messages holds now, and the timeline in plain words. Pure, so that every case
// can be tried.

import type { More } from '../i18n/more.en';
import { pick } from '../parts/words';
import type { Delivery, Entry, Timeline } from './model';

type Words = More['delivery'];
export type MessageName = keyof Words['messages'];
export type Tone = 'info' | 'good' | 'warn' | 'bad';

export interface Message {
  name: MessageName;
  tone: Tone;
  /** Codes whose words are added: what is known, and what to do. */
  because: string[];
}

const BY_STATE: Partial<Record<string, [MessageName, Tone]>> = {
  intended: ['opening', 'info'],
  sent: ['opening', 'info'],
  ready: ['opening', 'info'],
  open: ['open', 'info'],
  unknown: ['unsure', 'warn'],
  locking: ['locking', 'info'],
  locked: ['done', 'good'],
  acknowledged: ['acknowledged', 'good'],
};

/** Which message holds now. What is dangerous comes first, then what moves, then what was decided, then what was foreseen. */
export function messageOf(d: Delivery, told: Timeline | null, nowMs: number, paused = false): Message {
  const say = (name: MessageName, tone: Tone, because: (string | null | undefined)[] = []): Message => ({
    name,
    tone,
    because: because.filter((code): code is string => Boolean(code)),
  });
  const attempt = d.attempt;
  if (attempt?.alarm) return say('alarm', 'bad', [attempt.alarm]);
  const moved = attempt ? BY_STATE[attempt.state] : undefined;
  if (attempt && moved) return say(moved[0], moved[1], [attempt.state === 'locked' ? attempt.lock_proof : null]);
  if (d.blocked) return say('stopped', 'warn');
  if (attempt?.state === 'did_not_happen') return say('notOpened', 'warn', [attempt.reason]);
  if (Date.parse(d.until) < nowMs) return say('over', 'info');
  if (paused) return say('paused', 'warn');
  if (told?.entries.some((e) => e.kind === 'place_disclosed')) return say('place', 'info');
  const asked = told?.readiness.at(-1);
  if (asked?.answer === 'no') return say('notReady', 'warn', asked.reasons.map((r) => r.code));
  if (d.state === 'delegated' || d.state === 'located') return say('coming', 'info');
  if (asked?.answer === 'yes') return asked.slot === 'evening_before' ? say('evening', 'good') : say('morning', 'good');
  return say(d.rule ? 'announced' : 'waiting', 'info');
}

/** The words for a message's codes. The same code means something else in another message. */
export function becauseOf(message: Message, words: Words): string[] {
  const books: Partial<Record<MessageName, object>> = {
    alarm: words.alarms,
    done: words.proof,
    notOpened: words.refusals,
    notReady: words.reasons,
  };
  const book = books[message.name] ?? {};
  return message.because.flatMap((code) => pick(book, code) ?? []);
}

export interface Told {
  key: string;
  at: string;
  title: string;
  text?: string;
  tone: 'neutral' | 'good' | 'warn' | 'bad';
}

const TONES: Partial<Record<string, Told['tone']>> = {
  locked: 'good', alarm: 'bad', alarm_acknowledged: 'good', blocked: 'warn', place_disclosed: 'warn',
};

/** The timeline, oldest first. A kind that is not known yet is shown by its name: nothing is left out. */
export function momentsOf(told: Timeline, words: Words, inAdvance = false): Told[] {
  const entries = told.entries.map((entry, index) => ({ ...ofEntry(entry, words, inAdvance), key: `${index}`, at: entry.at }));
  return entries.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

function ofEntry(entry: Entry, words: Words, inAdvance: boolean): Omit<Told, 'key' | 'at'> {
  const title = pick(words.entries, entry.kind) ?? entry.kind;
  const tone = TONES[entry.kind] ?? 'neutral';
  switch (entry.kind) {
    case 'grant_accepted':
      return { title: inAdvance ? words.announced : title, tone };
    case 'outcome': {
      const [what, why] = (entry['outcome'] ?? '').split(':');
      if (what === 'did_not_happen') {
        return { title: words.messages.notOpened.title, text: pick(words.refusals, why) ?? why, tone: 'warn' };
      }
      return { title: pick(words.outcomes, what) ?? title, tone: what === 'unknown' ? 'warn' : 'neutral' };
    }
    case 'locked':
      return { title, text: pick(words.proof, entry['lock_proof']), tone: entry['lock_proof'] === 'attested' ? 'warn' : tone };
    case 'alarm':
      return { title, text: pick(words.alarms, entry['reason']), tone };
    case 'ready_asked': {
      const slot = pick(words.slots, entry['slot']);
      const answer = pick(words.answers, entry['answer']);
      return { title, text: [slot, answer].filter(Boolean).join(': '), tone: entry['answer'] === 'no' ? 'warn' : tone };
    }
    default:
      return { title, tone };
  }
}

/** Devices that were sent to this delivery: whoever left a photo is one of them. */
export function devicesOf(told: Timeline): string[] {
  const named = told.entries.filter((e) => e.kind === 'delegation_accepted').map((e) => e['device'] ?? '');
  return [...new Set(named.filter(Boolean))];
}
