// A push comes to the wallet's service worker, in a real browser: one sentence, the same for everything, and nothing else.
import assert from 'node:assert/strict';
import { signedUp } from './wallet-steps.mjs';

/** The worker's registration, as the browser's inspector calls it. */
async function registrationOf(inspector, origin) {
  const found = new Promise((resolve) => {
    inspector.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
      const own = registrations.find((one) => one.scopeURL.startsWith(origin) && !one.isDeleted);
      if (own) resolve(own.registrationId);
    });
  });
  await inspector.send('ServiceWorker.enable');
  return found;
}

export default (test) => {
  test('shows one sentence when it is woken, whatever came with the push; says where nobody is woken', async (t) => {
    const { stage, someone, check, until } = t;
    const owner = await someone();
    const { page, context } = owner;
    const { wallet } = await stage.state();
    await signedUp(page, wallet);
    await page.goto(`${wallet}/settings`);
    // The stage has no push service: that is said, and nothing is offered.
    await page.getByText('This gateway wakes no devices. Look here when you expect something.').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Tell me on this device' }).count(), 0);
    await check.screen(page, 'settings where nobody is woken');

    await context.grantPermissions(['notifications'], { origin: wallet });
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    const inspector = await context.newCDPSession(page);
    const registrationId = await registrationOf(inspector, wallet);
    await page.waitForLoadState('networkidle');
    const asked = owner.requests.length;
    for (const data of ['', 'a car at 60.1695, 24.9480']) {
      await inspector.send('ServiceWorker.deliverPushMessage', { origin: wallet, registrationId, data });
    }
    const shown = await until('a notification', async () => {
      const all = await page.evaluate(async () => {
        const registration = await navigator.serviceWorker.ready;
        return (await registration.getNotifications()).map(({ title, body, tag, data }) => ({ title, body, tag, data }));
      });
      return all.length > 0 && all;
    });
    assert.deepEqual(shown, [
      { title: 'Wallet', body: 'Something is waiting for you. Open your wallet.', tag: 'news', data: null },
    ]);
    assert.equal(owner.requests.length, asked, 'a push makes the page or its worker ask nobody');
  });
};
