// Filled in by build/service-workers.ts: which files make the app's shell.
const APP = '__APP__';
const VERSION = '__VERSION__';
const FILES = ['__FILES__'];

const SHELL = `${APP}-shell-${VERSION}`;
/** Hashed files that are loaded on use: languages, map, scanner. They never change under one name. */
const LATER = `${APP}-later`;
const LATER_MAX = 60;
/** The services' interface. Nothing of it is ever kept. */
const NEVER = ['/v1/', '/oauth/', '/log/', '/.well-known/', '/openapi.json'];

self.addEventListener('install', (event) => {
  const requests = ['/', ...FILES].map((path) => new Request(path, { cache: 'reload' }));
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(requests)));
});

self.addEventListener('activate', (event) => {
  const old = (name) => name.startsWith(`${APP}-shell-`) && name !== SHELL;
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

/** The page asks for the new version when it suits it: never in the middle of a delivery. */
self.addEventListener('message', (event) => {
  if (event.data === 'use-new-version') self.skipWaiting();
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== self.location.origin) return;
  if (NEVER.some((prefix) => url.pathname.startsWith(prefix))) return;
  if (request.mode === 'navigate') event.respondWith(page(request));
  else if (url.pathname.startsWith('/assets/')) event.respondWith(asset(request));
});

/** A link that is up and carries nothing is no network. */
const PAGE_WITHIN_MS = 4_000;

/** The network first, so that a new release shows; the kept page when there is none, or none within four seconds. */
async function page(request) {
  const asked = fetch(request).then(
    (answer) => (answer.ok ? answer : null),
    () => null,
  );
  const late = new Promise((resolve) => setTimeout(resolve, PAGE_WITHIN_MS, null));
  const answer = await Promise.race([asked, late]);
  if (answer) return answer;
  const kept = await caches.match('/', { cacheName: SHELL });
  // Without a kept page there is nothing but to wait.
  return kept ?? (await asked) ?? Response.error();
}

async function asset(request) {
  const kept = await caches.match(request);
  if (kept) return kept;
  const answer = await fetch(request);
  // A full phone keeps nothing more; the file itself is there.
  if (answer.ok) await keep(request, answer.clone()).catch(() => undefined);
  return answer;
}
async function keep(request, answer) {
  const cache = await caches.open(LATER);
  await cache.put(request, answer);
  const keys = await cache.keys();
  await Promise.all(keys.slice(0, Math.max(0, keys.length - LATER_MAX)).map((key) => cache.delete(key)));
}
