// Stopping needs next to nothing: a session and one request. It must work when the rest of the app has not loaded.

export type StopScope = { scope: 'delivery' | 'carrier' | 'courier'; id: string } | { scope: 'all' };

export interface Stopped {
  settled: boolean;
  mayActUntil: string | null;
}

const TRIES = 3;
const PAUSE_MS = 400;
/** A network that swallows everything must not leave somebody waiting before a button that cannot be pressed. */
const TRY_MS = 8_000;

export async function stop(what: StopScope): Promise<Stopped> {
  for (let tried = 1; ; tried += 1) {
    try {
      const answer = await fetch('/v1/wallet/blocks', {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'parcelshelf-session': 'cookie' },
        body: JSON.stringify(what),
        cache: 'no-store',
        signal: AbortSignal.timeout(TRY_MS),
      });
      const body = (await answer.json()) as { settled?: boolean; may_act_until?: string | null; code?: string };
      if (!answer.ok) throw Object.assign(new Error(body.code ?? 'http'), { name: 'Problem', code: body.code });
      return { settled: body.settled === true, mayActUntil: body.may_act_until ?? null };
    } catch (error) {
      const lasting = (error as { name?: string; code?: string }).name === 'Problem';
      if (lasting || tried >= TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * tried));
    }
  }
}
