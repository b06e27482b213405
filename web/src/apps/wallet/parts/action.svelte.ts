// Something that takes time and can fail: busy while it runs, and afterwards either done or an error in plain words.

import { format } from '$lib/i18n';
import { i18n } from '../i18n';
import { more } from '../i18n/more';
import { session } from '../core/session.svelte';

interface ProblemLike {
  name: string;
  code?: unknown;
  retryAfterS?: unknown;
  status?: unknown;
}

/** What went wrong and what to do. Names of errors, not their classes: what throws may not be loaded yet. */
export function explain(error: unknown): string {
  const said = (error ?? {}) as ProblemLike;
  const words = i18n.t.error;
  switch (said.name) {
    case 'Silence':
    case 'TypeError':
    case 'TimeoutError':
      return words.silence;
    case 'NotAllowedError':
    case 'AbortError':
      return words.passkey;
    case 'SecurityError':
    case 'NotSupportedError':
      return words.passkeyUnable;
    case 'SeedMissing':
      return i18n.t.home.noSeed;
    case 'OtherWallet':
      return words.otherWallet;
  }
  const code = typeof said.code === 'string' ? said.code : (said.name ?? 'error');
  const known = (more.loaded?.errors as Record<string, string> | undefined)?.[code];
  const wait = typeof said.retryAfterS === 'number' ? ` ${words.wait(format.duration(Math.max(1, said.retryAfterS)))}` : '';
  return (known ?? words.unknown(code)) + wait;
}

/** True when the session is over. The app then offers to log in. */
export function noteEnded(error: unknown): boolean {
  const ended = (error as ProblemLike | null)?.code === 'session_missing';
  if (ended) session.ended = true;
  return ended;
}

export class Action {
  busy = $state(false);
  error = $state.raw<string | null>(null);

  /** True when it was done. A second press while it runs does nothing. */
  async run(work: () => Promise<void>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.error = null;
    try {
      await work();
      return true;
    } catch (error) {
      this.error = explain(error);
      noteEnded(error);
      return false;
    } finally {
      this.busy = false;
    }
  }
}
