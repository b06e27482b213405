// The first view: what the carrier said, drawn without any framework. On a bad network it stands a second or two before the
// page that can do something has come.

import { parseFragment } from './fragment';

const WORDS = {
  en: { heading: 'Next stop', put: 'Put in', take: 'Take out', ends: 'ends in', loading: 'Getting ready…' },
  de: { heading: 'Nächster Halt', put: 'Hineinlegen', take: 'Herausnehmen', ends: 'endet auf', loading: 'Wird vorbereitet…' },
  es: { heading: 'Próxima parada', put: 'Meter', take: 'Sacar', ends: 'termina en', loading: 'Preparando…' },
};

/** Draws into `root`; the page itself takes its place. Nothing for an address that is no stop's. */
export function firstView(root: HTMLElement, hash: string, language: string): void {
  const fragment = parseFragment(hash);
  if (!fragment) return;
  const w = WORDS[(language.slice(0, 2) in WORDS ? language.slice(0, 2) : 'en') as keyof typeof WORDS];
  const add = (parent: HTMLElement, tag: string, text = ''): HTMLElement => {
    const element = parent.appendChild(document.createElement(tag));
    element.textContent = text;
    return element;
  };
  const main = add(root, 'main');
  main.className = 'first-view';
  add(main, 'h1', w.heading);
  const list = add(main, 'ul');
  for (const p of fragment.parcels) {
    const size = p.sizeMm.map((mm) => Math.round(mm / 10)).join(' × ');
    add(list, 'li', `${w[p.direction]}: ${w.ends} ${p.tail} · ${size} cm`);
  }
  add(main, 'p', w.loading);
}
