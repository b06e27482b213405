// To the stop page and back: what goes there stands in the fragment, which no server sees; what comes back is an outcome.

export interface Outcome {
  delivery: string;
  /** In the order of the parcels, or one for all: `done` or a reason. */
  codes: string[];
}

function wayBack(origin: string): string {
  return btoa(`${origin}/back`).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
/** The stop page's address with a fourth part: where to come back to. */
export function handOver(stopUrl: string, origin: string): string {
  return `${stopUrl}~${wayBack(origin)}`;
}
/** Several stops of one area as one address: the stop page puts them in order. */
export function handOverAll(stopUrls: readonly string[], origin: string): string {
  const urls = stopUrls.map((u) => new URL(u));
  const stops = urls.map((u) => `${u.pathname.replace('/s/', '')}~${u.hash.slice(1)}`);
  return `${urls[0]!.origin}/area#${[...stops, `~${wayBack(origin)}`].join('!')}`;
}

/** As many stops as a phone may hold places of. */
export const OUTCOMES_MAX = 40;

/** What the stop page says in the fragment, if it is that: one outcome for each stop that is over. */
export function cameBack(fragment: string): Outcome[] {
  const said = new URLSearchParams(fragment.replace(/^#/, ''));
  const [deliveries, codes] = [said.getAll('d'), said.getAll('o').map((o) => o.split(','))];
  const outcomes = deliveries.map((delivery, n) => ({ delivery, codes: codes[n] ?? [] }));
  const fits = ({ delivery, codes: c }: Outcome): boolean =>
    /^[\w-]{22}$/.test(delivery) && c.length >= 1 && c.length <= 8 && c.every((code) => /^[a-z_]{1,40}$/.test(code));
  const whole = deliveries.length === codes.length && deliveries.length <= OUTCOMES_MAX && outcomes.every(fits);
  return whole ? outcomes : [];
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
