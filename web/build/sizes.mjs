// How much JavaScript an app loads before its first view: its entry and what that imports, compressed. `--max KB` fails
// above that.

import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { fileURLToPath } from 'node:url';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const manifest = JSON.parse(readFileSync(`${dist}.vite/manifest.json`, 'utf8'));
/** The language that is loaded before mounting counts as well. */
const ALSO = (app) => [`src/apps/${app}/i18n/de.ts`];
const max = Number(process.argv[process.argv.indexOf('--max') + 1] || NaN);

let over = 0;
for (const app of ['wallet', 'stop', 'courier', 'ops']) {
  const seen = new Set();
  const visit = (key) => {
    const chunk = manifest[key];
    if (!chunk || seen.has(chunk.file)) return;
    seen.add(chunk.file);
    chunk.imports?.forEach(visit);
  };
  [`${app}/index.html`, ...ALSO(app)].forEach(visit);
  const bytes = [...seen].reduce((sum, file) => sum + gzipSync(readFileSync(dist + file), { level: 9 }).length, 0);
  console.log(`${app.padEnd(8)} ${(bytes / 1000).toFixed(1)} kB JS gzip in ${seen.size} files`);
  if (bytes > max * 1000) over += 1;
}
process.exit(over ? 1 : 0);
