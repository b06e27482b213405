// One service worker per app: it keeps the app's own files so that the page opens without a network. What the services
// answer is never kept.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Plugin, Rolldown } from 'vite';
import { NUDGE } from '../src/apps/wallet/i18n/nudge.ts';
import { APPS } from './apps.ts';

const TEMPLATE = fileURLToPath(new URL('./service-worker.js', import.meta.url));
/** What the wallet's worker does besides: it shows that there is something to look at. */
const PUSH = fileURLToPath(new URL('./service-worker-push.js', import.meta.url));

type Bundle = Rolldown.OutputBundle;

/** Everything an entry needs before its first view: its chunk, what that imports, and their styles. */
export function shell(bundle: Bundle, entry: Rolldown.OutputChunk): string[] {
  const files = new Set<string>();
  // An entry that draws its first view by itself loads the page behind it; both belong to the shell. So do the languages,
  // whichever of them asks for one.
  const later = new RegExp(`/apps/${entry.name}/(app|i18n/(en|de|es))\\.ts$`);
  const visit = (name: string) => {
    const chunk = bundle[name];
    if (!chunk || files.has(name)) return;
    files.add(name);
    if (chunk.type !== 'chunk') return;
    chunk.imports.forEach(visit);
    const styles = (chunk as { viteMetadata?: { importedCss?: Set<string> } }).viteMetadata?.importedCss;
    styles?.forEach((style) => files.add(style));
    for (const behind of chunk.dynamicImports) {
      const target = bundle[behind];
      if (target?.type === 'chunk' && later.test(target.facadeModuleId ?? '')) visit(behind);
    }
  };
  visit(entry.fileName);
  return [...files].sort();
}

export function serviceWorkers(): Plugin {
  return {
    name: 'parcelshelf-service-workers',
    apply: 'build',
    enforce: 'post',
    generateBundle: {
      order: 'post',
      handler(_options, bundle) {
        const template = readFileSync(TEMPLATE, 'utf8');
        const push = readFileSync(PUSH, 'utf8').replace("'__NUDGE__'", JSON.stringify(NUDGE));
        for (const app of APPS) {
          const entry = Object.values(bundle).find(
            (file) => file.type === 'chunk' && file.isEntry && file.name === app,
          );
          if (!entry || entry.type !== 'chunk') continue;
          const files = shell(bundle, entry).map((file) => `/${file}`);
          const version = createHash('sha256').update(files.join('\n')).digest('hex').slice(0, 16);
          const source = template
            .replace("'__APP__'", JSON.stringify(app))
            .replace("'__VERSION__'", JSON.stringify(version))
            .replace("['__FILES__']", JSON.stringify(files));
          const whole = app === 'wallet' ? `${source}\n${push}` : source;
          this.emitFile({ type: 'asset', fileName: `${app}/sw.js`, source: whole });
        }
      },
    },
  };
}
