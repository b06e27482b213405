// The app itself, loaded while the first view stands.

import { mount } from 'svelte';
import { detect, setLanguage } from '$lib/i18n';
import { startRouter } from '$lib/router.svelte';
import App from './App.svelte';
import { app } from './app.svelte';
import './i18n';
import { views } from './views';

export async function start(target: HTMLElement): Promise<void> {
  await setLanguage(detect(), false);
  startRouter();
  target.replaceChildren();
  mount(App, { target });
  await app.start();
  // The views that were not needed yet, before the network goes.
  for (const view of Object.values(views)) void view().catch(() => {});
}
