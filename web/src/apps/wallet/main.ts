import '$lib/tt';
import '$lib/ui/tokens.css';
import { mount } from 'svelte';
import { detect, setLanguage } from '$lib/i18n';
import { startRouter } from '$lib/router.svelte';
import { registerServiceWorker } from '$lib/service-worker';
import App from './App.svelte';
import { release } from './core/release.svelte';
import { startSession } from './core/session.svelte';
import './i18n';

await Promise.all([setLanguage(detect(), false), startSession()]);
startRouter();
mount(App, { target: document.getElementById('app')!, props: { release } });
void registerServiceWorker((useIt) => (release.useIt = useIt));
