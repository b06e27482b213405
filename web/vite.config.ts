import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { APPS } from './build/apps.ts';
import { hosts } from './build/hosts.ts';
import { leaner } from './build/leaner.ts';
import { serviceWorkers } from './build/service-workers.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** One at a time (build/all.mjs): together they would share one runtime with what any of them needs. */
const apps = process.env['APP'] ? [process.env['APP']] : APPS;

export default defineConfig({
  plugins: [leaner(), svelte(), hosts(), serviceWorkers()],
  resolve: { alias: { $lib: here('./src/lib') } },
  build: {
    target: 'es2022',
    emptyOutDir: false,
    // Nothing inline: the pages' policy allows files of the own origin only.
    assetsInlineLimit: 0,
    cssCodeSplit: true,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: Object.fromEntries(apps.map((app) => [app, here(`./${app}/index.html`)])),
    },
  },
  server: { host: 'localhost', allowedHosts: ['.localhost'] },
  preview: { host: 'localhost', allowedHosts: ['.localhost'] },
  test: { include: ['test/unit/**/*.test.ts'], environment: 'node' },
});
