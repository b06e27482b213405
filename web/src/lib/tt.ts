// First import of every app. The pages' policy demands Trusted Types: no string becomes markup or the address of a
// script unless a named policy has looked at it. Svelte brings its own policy for its templates; this one is for
// libraries that pass plain strings, and lets only files of our own build through.

interface Policies {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): unknown;
}

/** Whether an address may be loaded as a script or worker: a hashed file of this build, or this app's service worker. */
export function isOwnScript(url: string, base: string): boolean {
  let full: URL;
  try {
    full = new URL(url, base);
  } catch {
    return false;
  }
  if (full.origin !== new URL(base).origin || full.search !== '') return false;
  return full.pathname === '/sw.js' || /^\/assets\/[\w.-]+\.m?js$/.test(full.pathname);
}

const policies = (globalThis as { trustedTypes?: Policies }).trustedTypes;
if (policies && !import.meta.env.DEV) {
  policies.createPolicy('default', {
    createScriptURL(url) {
      if (!isOwnScript(url, location.href)) throw new TypeError('not a script of this app');
      return url;
    },
  });
}
