// Builds the apps one by one, so that none carries what only another needs (Svelte's runtime above all), then says what each
// host serves. `APP=courier npm run build` builds one of them anew.
import { rmSync } from 'node:fs';
import { build } from 'vite';
import { APPS } from './apps.mjs';

const dist = new URL('../dist/', import.meta.url).pathname;
const one = process.env.APP;
if (!one) rmSync(dist, { recursive: true, force: true });
for (const app of one ? [one] : APPS) {
  process.env.APP = app;
  await build({ logLevel: 'warn' });
}
await import('./files.mjs');
