import '$lib/tt';
import '$lib/ui/tokens.css';
import './first.css';
import { registerServiceWorker } from '$lib/service-worker';
import { first } from './first';

const target = document.getElementById('app')!;
void first(target);
void registerServiceWorker();
const { start } = await import('./app');
await start(target);
