import '$lib/tt';
import '$lib/ui/tokens.css';
import './first.css';
import { firstView } from './first';

const root = document.getElementById('app')!;
// Both at once: what is kept here is shown as soon as it is read, the app when it has come.
const first = firstView(root);
const { begin } = await import('./app');
await first;
await begin(root);
