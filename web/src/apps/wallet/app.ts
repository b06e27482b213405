import { mount } from 'svelte';
import { detect, setLanguage } from '$lib/i18n';
import { startRouter } from '$lib/router.svelte';
import { registerServiceWorker } from '$lib/service-worker';
import App from './App.svelte';
import { release } from './core/release.svelte';
import { session, startSession } from './core/session.svelte';
import './i18n';

/** Takes the page over from the first view. */
export async function begin(root: HTMLElement): Promise<void> {
  await Promise.all([setLanguage(detect(), false), startSession()]);
  startRouter();
  root.replaceChildren();
  mount(App, { target: root, props: { release } });
  void registerServiceWorker((useIt) => (release.useIt = useIt));
  // Where the owner has let it show something once: the switch is in the settings.
  if (session.state === 'in' && 'Notification' in globalThis && Notification.permission === 'granted') {
    void import('./core/push').then(({ stayAwake }) => stayAwake()).catch(() => undefined);
  }
}
