// What was told of where and what: overwritten when the stop is over. A browser holds on to the field that was typed into last, and
// with it to everything that its component has seen, until another one is used.

import type { Event } from './machine';

export class Told {
  private readonly all: WeakRef<object>[] = [];

  note(e: Event): void {
    if (e.is === 'fix') this.all.push(new WeakRef(e.fix));
    if (e.is === 'located') this.all.push(new WeakRef(e.place));
    if (e.is === 'described') this.all.push(new WeakRef(e.description));
  }
  /** Whoever still holds one of them holds nothing. `shared`: it is another's to forget. */
  forget(shared?: object): void {
    for (const ref of this.all.splice(0)) {
      if (shared && ref.deref() === shared) continue;
      const told = ref.deref() as Record<string, unknown> | undefined;
      for (const name of Object.keys(told ?? {})) delete told![name];
    }
  }
}
