// Runs after `vite build`: says which files each app's host serves, and puts compressed forms beside them.
//
// An app serves what lies in its own folder and those of the shared assets that its files mention, directly or through
// others. So the carrier's hosts cannot even serve the wallet's code.
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url).pathname;
const apps = ['wallet', 'stop', 'courier', 'ops'];
const best = process.env.WEB_COMPRESS === 'best';
// Smaller ones fit one packet anyway.
const COMPRESSED_FROM_BYTES = 1024;
const TEXT = /\.(html|js|mjs|css|json|geojson|svg|wasm|webmanifest|txt|map)$/;

const below = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile() && !/\.(br|gz)$/.test(e.name))
    .map((e) => relative(dist, join(e.parentPath ?? e.path, e.name)))
    .sort();

// Vite's own list of what it made: nobody asks for it.
rmSync(join(dist, '.vite'), { recursive: true, force: true });
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

// What the first view of each app costs, for people; the tests hold the limit.
for (const app of apps) {
  const page = text(`${app}/index.html`);
  const first = sites[app].filter((f) => /\.m?js$/.test(f.path) && page.includes(f.path));
  const bytes = first.reduce((sum, f) => sum + gzipSync(readFileSync(join(dist, f.file))).length, 0);
  const all = sites[app].reduce((sum, f) => sum + statSync(join(dist, f.file)).size, 0);
  console.log(`${app.padEnd(8)} first view ${(bytes / 1000).toFixed(1)} kB of JS gzipped; ${sites[app].length} files, ${(all / 1000).toFixed(0)} kB`);
}
