import '$lib/tt';
import '$lib/ui/tokens.css';
import './first.css';
import { firstView } from './first';

const root = document.getElementById('app')!;
firstView(root, location.hash, navigator.language);
const { begin } = await import('./app');
await begin(root);
