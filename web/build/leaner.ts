// Leaves out of Svelte's runtime what no page here uses and the bundler cannot prove unused: custom elements, and through
// them the classes of Svelte 4. About 2 kB of every first view.

import type { Plugin } from 'vite';

const CUSTOM_ELEMENTS = /\/svelte\/src\/internal\/client\/dom\/elements\/custom-element\.js$/;

export function leaner(): Plugin {
  return {
    name: 'parcelshelf-leaner',
    apply: 'build',
    enforce: 'pre',
    load(id) {
      if (!CUSTOM_ELEMENTS.test(id)) return null;
      const unused = "() => { throw new Error('custom elements are left out: see build/leaner.ts') }";
      return `export const SvelteElement = undefined;\nexport const create_custom_element = ${unused};\n`;
    },
  };
}
