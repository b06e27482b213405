// Types of the services' interfaces, from the committed documents: `npm run api` writes them, `npm run api:check` fails
// when they are stale.

import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import openapiTS, { astToString } from 'openapi-typescript';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const check = process.argv.includes('--check');
let stale = 0;
for (const name of ['gateway', 'carrier']) {
  const document = JSON.parse(await readFile(path(`../../openapi/${name}.json`), 'utf8'));
  // Names of operations follow the Rust functions and repeat over modules; the client goes by path and method.
  for (const item of Object.values(document.paths)) {
    for (const operation of Object.values(item)) delete operation.operationId;
  }
  const text = `// Generated from openapi/${name}.json by \`npm run api\`; do not edit.\n\n${astToString(await openapiTS(document))}`;
  const target = path(`../src/lib/api/${name}.d.ts`);
  if (!check) {
    await writeFile(target, text);
    continue;
  }
  const kept = await readFile(target, 'utf8').catch(() => '');
  if (kept !== text) {
    stale += 1;
    console.error(`src/lib/api/${name}.d.ts is stale: run \`npm run api\` in web/ and commit it`);
  }
}
process.exit(stale ? 1 : 0);
