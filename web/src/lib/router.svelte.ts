// A router for pages on one host: plain links, the History API, patterns such as `/cars/:vehicle`.

class Route {
  path = $state.raw(typeof location === 'undefined' ? '/' : location.pathname);
  /** Counts navigations, for moving the focus to the new page's heading. */
  visits = $state(0);
}
export const route = new Route();

/** The named parts of `path` when it has the form of `pattern`. */
export function match<P extends string>(pattern: P, path: string): Record<string, string> | undefined {
  const want = pattern.split('/');
  const have = path.replace(/\/+$/, '').split('/');
  if (path === '/') have.length = 1;
  if (pattern === '/') want.length = 1;
  if (want.length !== have.length) return undefined;
  const found: Record<string, string> = {};
  for (const [i, part] of want.entries()) {
    const value = have[i] ?? '';
    if (part.startsWith(':')) {
      if (value === '') return undefined;
      found[part.slice(1)] = decodeURIComponent(value);
    } else if (part !== value) return undefined;
  }
  return found;
}

export function navigate(to: string, { replace = false } = {}): void {
  history[replace ? 'replaceState' : 'pushState']({}, '', to);
  arrive();
  scrollTo(0, 0);
}

function arrive(): void {
  route.path = location.pathname;
  route.visits += 1;
}

/** Call once, in `main.ts`: links of the own origin change the page without loading it anew. */
export function startRouter(): void {
  addEventListener('popstate', arrive);
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = (event.target as Element | null)?.closest?.('a[href]');
    if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute('download')) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || (url.pathname === location.pathname && url.hash)) return;
    event.preventDefault();
    navigate(url.pathname + url.search + url.hash);
  });
}
