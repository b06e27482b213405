import '$lib/tt';
import '$lib/ui/tokens.css';
import { mount } from 'svelte';
import { detect, setLanguage } from '$lib/i18n';
import { startRouter } from '$lib/router.svelte';
import { registerServiceWorker } from '$lib/service-worker';
import App from './App.svelte';
import { app } from './app.svelte';
import { views } from './views';
import './i18n';

await setLanguage(detect(), false);
startRouter();
mount(App, { target: document.getElementById('app')! });
void registerServiceWorker();
await app.start();
// The views that were not needed yet, before the network goes.
for (const view of Object.values(views)) void view().catch(() => {});
