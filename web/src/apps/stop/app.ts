// The page itself, in the place of the first view.

import { mount } from 'svelte';
import { detect, setLanguage } from '$lib/i18n';
import { startRouter } from '$lib/router.svelte';
import { registerServiceWorker } from '$lib/service-worker';
import App from './App.svelte';
import './i18n';

export async function begin(root: HTMLElement): Promise<void> {
  await setLanguage(detect(), false);
  startRouter();
  root.replaceChildren();
  mount(App, { target: root });
  // A new release is taken when the page is opened the next time, never in the middle of a stop.
  void registerServiceWorker();
  if (!location.pathname.startsWith('/s/')) void import('./core/run').then((run) => run.sendWhatWaits(), () => undefined);
}
