/** Runs `work` now, then every so often while the page is looked at, and when it comes back. Returns how to end it. */
export function everyWhileVisible(everyMs: number, work: () => unknown): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let ended = false;
  const next = async () => {
    clearTimeout(timer);
    if (ended || document.hidden) return;
    await work();
    if (!ended) timer = setTimeout(next, everyMs);
  };
  const back = () => {
    if (!document.hidden) void next();
  };
  document.addEventListener('visibilitychange', back);
  addEventListener('online', back);
  // Not inside whoever calls: what `work` reads is no reason to begin anew.
  queueMicrotask(() => void next());
  return () => {
    ended = true;
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', back);
    removeEventListener('online', back);
  };
}
