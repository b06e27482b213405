// Runs after `vite build`: says which files each app's host serves, and puts compressed forms beside them.
//
// An app serves what lies in its own folder and those of the shared assets that its files mention, directly or through
// others. So the carrier's hosts cannot even serve the wallet's code.
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { APPS as apps } from './apps.mjs';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url).pathname;
const best = process.env.WEB_COMPRESS === 'best';
// Smaller ones fit one packet anyway.
const COMPRESSED_FROM_BYTES = 1024;
const TEXT = /\.(html|js|mjs|css|json|geojson|svg|wasm|webmanifest|txt|map)$/;

const below = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile() && !/\.(br|gz)$/.test(e.name))
    .map((e) => relative(dist, join(e.parentPath ?? e.path, e.name)))
    .sort();

const assets = below(join(dist, 'assets'));
const texts = new Map();
const text = (file) => {
  if (!texts.has(file)) texts.set(file, TEXT.test(file) && !file.endsWith('.wasm') ? readFileSync(join(dist, file), 'utf8') : '');
  return texts.get(file);
};

const sites = {};
for (const app of apps) {
  const own = below(join(dist, app));
  const reached = new Set(own);
  const open = [...own];
  while (open.length) {
    const said = text(open.pop());
    for (const asset of assets) {
      // Names carry a hash: one that is mentioned is meant.
      if (!reached.has(asset) && said.includes(asset.slice('assets/'.length))) {
        reached.add(asset);
        open.push(asset);
      }
    }
  }
  sites[app] = [...reached].sort().map((file) => ({
    path: file.startsWith('assets/') ? `/${file}` : `/${relative(app, file)}`,
    file,
  }));
}

const served = new Set(Object.values(sites).flatMap((files) => files.map((f) => f.file)));
for (const file of served) {
  const bytes = readFileSync(join(dist, file));
  const beside = [
    ['br', () => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: best ? 11 : 5 } })],
    ['gz', () => gzipSync(bytes, { level: best ? 9 : 6 })],
  ];
  for (const [ending, make] of beside) {
    const small = TEXT.test(file) && bytes.length >= COMPRESSED_FROM_BYTES ? make() : bytes;
    if (small.length < bytes.length) writeFileSync(join(dist, `${file}.${ending}`), small);
    else rmSync(join(dist, `${file}.${ending}`), { force: true });
  }
}
writeFileSync(join(dist, 'files.json'), JSON.stringify({ v: 1, sites }));

// What each app costs until something is seen: its page's scripts and one language. `--max KB` fails above that; staff sit at
// desks.
const max = Number(process.argv[process.argv.indexOf('--max') + 1] || NaN);
for (const app of apps) {
  const page = text(`${app}/index.html`);
  const scripts = sites[app].filter((f) => /\.m?js$/.test(f.path));
  const zipped = (f) => gzipSync(readFileSync(join(dist, f.file))).length;
  const first = scripts.filter((f) => page.includes(f.path)).reduce((sum, f) => sum + zipped(f), 0);
  const language = Math.max(0, ...scripts.filter((f) => /\/(en|de|es)-[^/]+$/.test(f.path)).map(zipped));
  const all = sites[app].reduce((sum, f) => sum + statSync(join(dist, f.file)).size, 0);
  const kb = (bytes) => (bytes / 1000).toFixed(1);
  console.log(
    `${app.padEnd(8)} first view ${kb(first + language)} kB of JS gzipped (${kb(language)} of it words); ` +
      `${sites[app].length} files, ${kb(all)} kB`,
  );
  if (app !== 'ops' && first + language > max * 1000) process.exitCode = 1;
}
