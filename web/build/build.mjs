// Builds each app by itself. They are served by hosts of their own, so that nothing is gained by sharing files, and each
// carries only the part of Svelte's runtime that it uses.

import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const APPS = ['wallet', 'stop', 'courier', 'ops'];
const root = fileURLToPath(new URL('..', import.meta.url));

rmSync(`${root}dist`, { recursive: true, force: true });
for (const app of APPS) {
  process.env.WEB_APP = app;
  await build({ root, logLevel: 'warn', build: { emptyOutDir: false } });
}
