import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { APPS } from './build/apps.ts';
import { hosts } from './build/hosts.ts';
import { leaner } from './build/leaner.ts';
import { serviceWorkers } from './build/service-workers.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** One app at a time: see build/build.mjs. */
const built = APPS.filter((app) => (process.env['WEB_APP'] ?? app) === app);

export default defineConfig({
  plugins: [leaner(), svelte(), hosts(), serviceWorkers()],
  resolve: { alias: { $lib: here('./src/lib') } },
  build: {
    target: 'es2022',
    // Nothing inline: the pages' policy allows files of the own origin only.
    assetsInlineLimit: 0,
    cssCodeSplit: true,
    modulePreload: { polyfill: false },
    manifest: true,
    rolldownOptions: {
      input: Object.fromEntries(built.map((app) => [app, here(`./${app}/index.html`)])),
    },
  },
  server: { host: 'localhost', allowedHosts: ['.localhost'] },
  preview: { host: 'localhost', allowedHosts: ['.localhost'] },
  test: { include: ['test/unit/**/*.test.ts'], environment: 'node' },
});
