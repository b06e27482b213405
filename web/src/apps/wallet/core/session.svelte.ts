// Who is logged in on this device, known before anything heavy is loaded.

import { kept, type Account } from './db';
import type { Deliveries } from './model';

class Session {
  /** `unknown` until IndexedDB has answered. */
  state = $state.raw<'unknown' | 'out' | 'in'>('unknown');
  /** The gateway does not know the session any more. */
  ended = $state(false);
  account = $state.raw<Account | null>(null);
  /** The last list that was read, and when: shown at once, with its age. */
  deliveries = $state.raw<Deliveries | null>(null);
  readAt = $state(0);

  become(account: Account | null): void {
    this.account = account;
    this.state = account ? 'in' : 'out';
    this.ended = false;
    if (!account) {
      this.deliveries = null;
      this.readAt = 0;
    }
  }
}
export const session = new Session();

export interface KeptList {
  list: Deliveries;
  at: number;
}

export async function startSession(): Promise<void> {
  const [account, list] = await Promise.all([kept<Account>('account'), kept<KeptList>('deliveries')]).catch(
    () => [undefined, undefined] as const,
  );
  if (account && list) {
    session.deliveries = list.list;
    session.readAt = list.at;
  }
  session.become(account ?? null);
}
