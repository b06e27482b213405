// The first view, in plain DOM: what this device knows already, before the app has loaded. A person on a slow network sees
// at once how their delivery stood, and how old that is. The app then takes the page over.

import { detect, PSEUDO, type Language } from '$lib/i18n/languages';
import { kept, type Account } from './core/db';
import { isActive, phaseOf, phaseWords, titleOf, type Delivery } from './core/model';
import type { KeptList } from './core/session.svelte';
import type { Catalogue } from './i18n/en';

const SHOWN_MAX = 5;
const LOADERS: Record<Language, () => Promise<{ default: Catalogue }>> = {
  en: () => import('./i18n/en'),
  de: () => import('./i18n/de'),
  es: () => import('./i18n/es'),
};

function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  className: string,
  ...inside: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  made.className = className;
  made.append(...inside);
  return made;
}

function row(d: Delivery, words: Catalogue, now: number, tag: string): HTMLElement {
  const when = new Intl.DateTimeFormat(tag, {
    weekday: 'short', day: 'numeric', month: 'short', hour: 'numeric', minute: '2-digit',
  });
  const title = titleOf(words.home, d);
  const phase = phaseOf(d, now);
  const link = element(
    'a',
    `first-row ${phase}`,
    element('strong', '', title),
    element('span', 'muted', when.formatRange(Date.parse(d.from), Date.parse(d.until))),
    element('span', 'first-phase', phaseWords(words, d, phase)),
  );
  link.href = `/deliveries/${d.delivery}`;
  return link;
}

/** Shows what is kept; never fails, for the app comes after it. */
export async function firstView(root: HTMLElement): Promise<void> {
  try {
    const language = detect();
    const [{ default: words }, account, list] = await Promise.all([
      LOADERS[language === PSEUDO ? 'en' : language](),
      kept<Account>('account'),
      kept<KeptList>('deliveries'),
    ]);
    document.documentElement.lang = language === PSEUDO ? 'en' : language;
    document.title = words.title;
    const main = element('main', 'first');
    if (!account) {
      main.append(element('h1', '', words.welcome.title), element('p', 'first-lead', words.welcome.lead));
    } else if (location.pathname === '/' && list) {
      const now = Date.now();
      const tag = navigator.languages.find((t) => t.startsWith(language)) ?? 'en';
      const shown = list.list.deliveries.filter((d) => isActive(d, now)).slice(0, SHOWN_MAX);
      const read = new Intl.DateTimeFormat(tag, { dateStyle: 'medium', timeStyle: 'short' }).format(list.at);
      main.append(element('h1', '', words.home.title), ...shown.map((d) => row(d, words, now, tag)));
      main.append(element('p', 'muted small', words.home.asOf(read)));
    }
    const brand = element('a', 'first-brand', words.brand);
    brand.href = '/';
    root.replaceChildren(element('header', 'first-header', brand), main);
  } catch {
    // Nothing kept can be read: the app shows what there is.
  }
}
