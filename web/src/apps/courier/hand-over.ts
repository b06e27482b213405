// To the stop page and back: what goes there stands in the fragment, which no server sees; what comes back is an outcome.

export interface Outcome {
  delivery: string;
  /** In the order of the parcels, or one for all: `done` or a reason. */
  codes: string[];
}

/** The stop page's address with a fourth part: where to come back to. */
export function handOver(stopUrl: string, origin: string): string {
  const back = btoa(`${origin}/back`).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
  return `${stopUrl}~${back}`;
}

/** What the stop page says in the fragment, if it is that. */
export function cameBack(fragment: string): Outcome | undefined {
  const said = new URLSearchParams(fragment.replace(/^#/, ''));
  const [delivery, codes] = [said.get('d') ?? '', (said.get('o') ?? '').split(',')];
  const fits = /^[\w-]{22}$/.test(delivery) && codes.length <= 8 && codes.every((c) => /^[a-z_]{1,40}$/.test(c));
  return fits ? { delivery, codes } : undefined;
}

export interface Said {
  what: string;
  path: string;
  body: unknown;
}

/** What dispatch is told for an outcome: a message per parcel that has none yet, then that the stop is left. */
export function messages(outcome: Outcome, parcels: readonly { parcel: string; state: string }[]): Said[] {
  const at = `/v1/deliveries/${outcome.delivery}`;
  const said: Said[] = [];
  parcels.forEach(({ parcel, state }, n) => {
    const code = outcome.codes.length === 1 ? outcome.codes[0] : outcome.codes[n];
    // A parcel without a word falls back when the stop is left.
    if (state !== 'planned' || !code) return;
    const body = code === 'done' ? { outcome: 'done' } : { outcome: 'not_done', reason: code };
    said.push({ what: 'outcome', path: `${at}/parcels/${parcel}/outcome`, body });
  });
  return [...said, { what: 'finish', path: `${at}/finish`, body: {} }];
}
