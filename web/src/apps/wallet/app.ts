import { mount } from 'svelte';
import { detect, setLanguage } from '$lib/i18n';
import { startRouter } from '$lib/router.svelte';
import { registerServiceWorker } from '$lib/service-worker';
import App from './App.svelte';
import { release } from './core/release.svelte';
import { startSession } from './core/session.svelte';
import './i18n';

/** Takes the page over from the first view. */
export async function begin(root: HTMLElement): Promise<void> {
  await Promise.all([setLanguage(detect(), false), startSession()]);
  startRouter();
  root.replaceChildren();
  mount(App, { target: root, props: { release } });
  void registerServiceWorker((useIt) => (release.useIt = useIt));
}
