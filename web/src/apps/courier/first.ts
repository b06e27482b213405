// What is seen before the app is there: the addresses of the route as it was read last, in plain DOM. No words, so that no
// language has to be loaded.

import { stored } from './db';

interface Kept {
  route: { stops: { door?: { address: string; state: string } | null }[] };
}

export async function first(target: HTMLElement): Promise<void> {
  const main = document.createElement('main');
  main.className = 'first';
  main.ariaBusy = 'true';
  const heading = document.createElement('h1');
  heading.textContent = document.title;
  main.append(heading);
  target.replaceChildren(main);
  // Storage may be forbidden; then there is nothing to show yet.
  const kept = await stored<Kept | undefined>('kept', 'readonly', (s) => s.get('route')).catch(() => undefined);
  const list = document.createElement('ol');
  for (const { door } of kept?.route.stops ?? []) {
    if (!door || door.state === 'done') continue;
    const item = document.createElement('li');
    item.textContent = door.address;
    list.append(item);
  }
  // The app may have come meanwhile.
  if (list.childElementCount && main.isConnected) main.append(list);
}
