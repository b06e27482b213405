// The courier app: log-in by link and by typing, the shift, doors and cars, hand-over and back, problems, no network.
import assert from 'node:assert/strict';

/** A courier with a parcel for a car on the van, and one door. */
async function loaded(stage, order = {}) {
  const courier = await stage.hire('Robin Berg');
  const shipped = await stage.ship(order);
  await stage.allow(shipped.delivery, await stage.car('volvo'));
  await stage.load(shipped.delivery, courier.courier);
  await stage.route(courier.courier, [
    { door: { name: 'Ada Holm', address: '4 Mill Lane', note: 'Ring twice', parcels: 2 } },
    { delivery: shipped.delivery },
  ]);
  return { courier, shipped };
}

export default (test) => {
  test('a code logs in, by typing and by link; logging out leaves nothing', async ({ stage, someone, check }) => {
    const robin = await stage.hire('Robin Berg');
    const { courier } = await stage.state();
    const who = await someone();
    who.expect(/401/);
    who.expect(/403/);
    await who.page.goto(courier);
    const code = who.page.getByLabel('Your code');
    await code.fill('too short');
    await who.page.getByRole('button', { name: 'Log in' }).click();
    await who.page.getByText('A code has 43 characters').waitFor();
    await check.screen(who.page, 'log-in with an error');
    await code.fill('A'.repeat(43));
    await who.page.getByRole('button', { name: 'Log in' }).click();
    await who.page.getByText('This code does not log in').waitFor();
    await code.fill(robin.code);
    await who.page.keyboard.press('Enter');
    await who.page.getByRole('heading', { name: 'Route of Robin Berg' }).waitFor();
    await check.screen(who.page, 'an empty route');
    const cookies = await who.context.cookies();
    const session = cookies.find((c) => c.name === '__Host-psh');
    assert.ok(session?.httpOnly && session.secure && session.sameSite === 'Strict', 'the session is a cookie that no script reads');
    await who.page.getByRole('button', { name: 'Log out' }).click();
    await who.page.getByLabel('Your code').waitFor();
    assert.equal((await who.context.cookies()).find((c) => c.name === '__Host-psh'), undefined);
    const left = await who.page.evaluate(async () => {
      const open = await new Promise((resolve) => {
        const r = indexedDB.open('courier', 1);
        r.onsuccess = () => resolve(r.result);
      });
      const count = (store) => new Promise((resolve) => {
        const r = open.transaction(store).objectStore(store).count();
        r.onsuccess = () => resolve(r.result);
      });
      return (await count('kept')) + (await count('outbox'));
    });
    assert.equal(left, 0);
    await who.page.goto(robin.link);
    await who.page.getByRole('heading', { name: 'Route of Robin Berg' }).waitFor();
    assert.ok(!who.page.url().includes('code='), 'the code does not stay in the address');
  });

  test('a shift with a door and a car; hand-over to the stop page, and back with an outcome', async ({ stage, someone, check }) => {
    const { courier, shipped } = await loaded(stage);
    const { stop, courier: origin } = await stage.state();
    const who = await someone();
    const { page } = who;
    await page.goto(courier.link);
    await page.getByRole('button', { name: 'Begin the shift' }).click();
    await page.getByText(/On shift since/).waitFor();
    await check.screen(page, 'route');
    await page.getByRole('link', { name: /4 Mill Lane/ }).click();
    await page.getByText('Ring twice').waitFor();
    await check.screen(page, 'door');
    await page.getByRole('button', { name: 'Handed over' }).click();
    await page.getByText('1 stop is done').waitFor();
    await page.getByRole('link', { name: /Into a car/ }).click();
    await page.getByText(/About \d+ km²/).waitFor();
    await page.getByText(`ends with ${shipped.labels[0].slice(-4)}`).waitFor();
    await check.screen(page, 'car');
    // No phone is enrolled yet.
    who.expect(/409/);
    await page.getByRole('button', { name: 'Set out to this stop' }).click();
    await page.getByText('This phone is not enrolled for cars').waitFor();
    await check.screen(page, 'an error');
    // What the stop page would say after a delivery; the whole way is played in the stop page's own tests.
    await stage.play(shipped.delivery).catch(() => {});
    await page.goto(`${origin}/back#d=${shipped.delivery}&o=not_in_area`);
    await page.getByText('What did not work goes elsewhere').waitFor();
    await check.screen(page, 'back');
    const now = await stage.delivery(shipped.delivery, 'falling_back');
    assert.equal(now.parcels[0].reason, 'not_in_area');
    await page.getByRole('button', { name: 'To the route' }).click();
    await page.getByRole('link', { name: /Into a car/ }).click();
    await page.getByText('12 Harbour Street').waitFor();
    await check.screen(page, 'fallback');
    await page.getByRole('button', { name: 'It is there' }).click();
    const end = await stage.delivery(shipped.delivery, 'ended');
    assert.equal(end.end, 'fallback');
    assert.ok(stop.startsWith('http://stop.'));
  });

  test('a problem at the kerb is said without network, and arrives when there is one', async ({ stage, someone, check }) => {
    const { courier, shipped } = await loaded(stage);
    const who = await someone();
    const { page } = who;
    who.expect(/ERR_INTERNET_DISCONNECTED/);
    await page.goto(courier.link);
    await page.getByRole('link', { name: /Into a car/ }).click();
    await page.getByText('It cannot be done').waitFor();
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    await who.context.setOffline(true);
    await page.getByText('It cannot be done').click();
    await page.getByLabel('The lid is blocked by a wall or a car').check();
    await page.getByLabel('Back to the sender').check();
    await check.screen(page, 'problem');
    await page.getByRole('button', { name: 'Use the fallback' }).click();
    await page.getByText('1 message waits for the network').waitFor();
    // The app opens without a network, and the message is still there.
    await page.reload();
    await page.getByText('1 message waits for the network').waitFor();
    await page.getByText(/This is the route as it was at/).waitFor();
    await check.screen(page, 'no network');
    const before = await stage.delivery(shipped.delivery, 'loaded');
    assert.equal(before.parcels[0].state, 'planned');
    await who.context.setOffline(false);
    const after = await stage.delivery(shipped.delivery, 'falling_back');
    assert.deepEqual([after.parcels[0].reason, after.parcels[0].fallback], ['blocked_by_wall', 'return']);
  });

  test('in three languages and in a strange one; with the keyboard alone', async ({ stage, someone, check }) => {
    const { courier } = await loaded(stage);
    const who = await someone();
    const { page } = who;
    await page.goto(courier.link);
    await page.getByRole('heading', { name: 'Route of Robin Berg' }).waitFor();
    const { courier: origin } = await stage.state();
    for (const [language, name] of [['de', 'Tour von Robin Berg'], ['es', 'Ruta de Robin Berg'], ['pseudo', /./]]) {
      await page.goto(`${origin}/?lang=${language}`);
      await page.getByRole('heading', { name, level: 1 }).waitFor();
      await check.screen(page, language);
    }
    await page.goto(`${origin}/?lang=en`);
    await page.getByRole('link', { name: /4 Mill Lane/ }).waitFor();
    for (let n = 0; n < 12; n++) {
      await page.keyboard.press('Tab');
      if (await page.evaluate(() => document.activeElement?.textContent?.includes('4 Mill Lane'))) break;
    }
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: '4 Mill Lane' }).waitFor();
    const focused = await page.evaluate(() => document.activeElement?.tagName);
    assert.equal(focused, 'H1', 'the focus is on the new page');
  });

  test('the pages hold no key and ask for no place', async ({ stage, someone }) => {
    const { courier } = await loaded(stage);
    const who = await someone();
    const answer = await who.page.goto(courier.link);
    const headers = answer.headers();
    assert.match(headers['permissions-policy'], /camera=\(\).*geolocation=\(\)/);
    assert.match(headers['content-security-policy'], /frame-ancestors 'none'.*require-trusted-types-for 'script'/);
    await who.page.getByRole('heading', { name: 'Route of Robin Berg' }).waitFor();
    const scripts = who.requests.filter((r) => r.url.endsWith('.js'));
    assert.ok(scripts.length > 0);
    for (const { url } of scripts) {
      const text = await who.page.evaluate(async (u) => (await fetch(u)).text(), url);
      for (const word of ['generateKey', 'importKey', 'decapsulate', 'getCurrentPosition', 'watchPosition', 'getUserMedia']) {
        assert.ok(!text.includes(word), `${url} knows ${word}`);
      }
    }
  });
};
