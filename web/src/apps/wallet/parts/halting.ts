// A stop in words. Only a stop that was answered has any: without an answer nothing may be called stopped.

import { format } from '$lib/i18n';
import { session } from '../core/session.svelte';
import { i18n } from '../i18n';
import { stop, type Stopped, type StopScope } from './stop';

export interface Said {
  tone: 'good' | 'warn';
  text: string;
}
/** Not settled: a command that had left before may still act. */
export function saidOf({ settled, mayActUntil }: Stopped): Said {
  const words = i18n.t.block;
  const text = settled || !mayActUntil ? words.done : words.settling(format.seconds(mayActUntil));
  return { tone: settled ? 'good' : 'warn', text };
}
/**
 * Stops and says how it stands. Throws when it is not known to be stopped. Once the session is over the cookie may be another
 * wallet's, whose log-out found no answer: nothing of that one may be stopped and called this one's.
 */
export async function halted(what: StopScope): Promise<Said> {
  if (session.ended) throw Object.assign(new Error('log in first'), { name: 'Problem', code: 'session_missing' });
  return saidOf(await stop(what));
}
