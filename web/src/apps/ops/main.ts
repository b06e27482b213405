import '$lib/tt';
import '$lib/ui/tokens.css';
import { mount } from 'svelte';
import { detect, setLanguage } from '$lib/i18n';
import { startRouter } from '$lib/router.svelte';
import { registerServiceWorker } from '$lib/service-worker';
import App from './App.svelte';
import './i18n';
import { ops } from './ops.svelte';

await setLanguage(detect(), false);
startRouter();
mount(App, { target: document.getElementById('app')! });
void registerServiceWorker();
await ops.start();
