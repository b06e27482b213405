// The wallet's worker alone: a push shows one sentence, a press on it opens the wallet. A push carries nothing, and
// nothing is read of it. Filled in by build/service-workers.ts.
const NUDGE = '__NUDGE__';

self.addEventListener('push', (event) => {
  const language = (self.navigator.language ?? '').slice(0, 2);
  const { title, body } = NUDGE[language] ?? NUDGE.en;
  // One at a time: a second one says the same, and makes itself heard.
  const shown = { body, tag: 'news', renotify: true, icon: '/icon.svg', lang: NUDGE[language] ? language : 'en' };
  event.waitUntil(self.registration.showNotification(title, shown));
});

self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(openWallet());
});

async function openWallet() {
  const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  return pages[0] ? pages[0].focus() : self.clients.openWindow('/');
}
