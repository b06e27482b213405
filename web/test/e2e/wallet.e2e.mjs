// The owner's whole way: sign up, link, prove, allow, follow, stop, check. Nothing here knows what the pages are made of:
// it presses what a person sees.
import assert from 'node:assert/strict';
import { within } from './browser.mjs';
import { allowed, carReady, codeFor, keepsThePlaceSecret, linked, owns, press, signedUp, withThePasskeysOf } from './wallet-steps.mjs';

/** Before a courier sets out; whether the carrier has asked after the car already is a matter of a second. */
const NOT_BEGUN = /Allowed\. Nothing has begun|your car stands in the area/;

export default (test) => {
  test('signs up without a name, logs out, logs in again', async ({ stage, someone, check }) => {
    const owner = await someone();
    const { page } = owner;
    const { wallet } = await stage.state();
    await page.goto(wallet);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await check.screen(page, 'welcome');
    await signedUp(page, wallet);
    await check.screen(page, 'first steps');
    await page.getByRole('link', { name: 'Settings' }).click();
    await page.getByText('Your passkey alone makes a new device ready.').waitFor();
    await check.screen(page, 'settings');
    await press(page, 'Log out on this device');
    await press(page, 'Yes, log out');
    await press(page, 'I have a wallet');
    await page.getByRole('navigation').waitFor();
    // The seed came back: unwrapped by the passkey.
    await page.getByRole('link', { name: 'Settings' }).click();
    await page.getByRole('button', { name: 'Show the code' }).waitFor();
    for (const { url, body } of owner.requests) assert.ok(!/@|name=|mail/i.test(body) || url.includes('authorize'), url);
  });

  test('a passkey without PRF: a second device gets the key by a code', async ({ stage, someone }) => {
    const owner = await someone({ passkey: { hasPrf: false } });
    const { wallet } = await stage.state();
    await signedUp(owner.page, wallet);
    await owner.page.goto(`${wallet}/settings`);
    await owner.page.getByText('cannot carry the wallet’s key').waitFor();
    await press(owner.page, 'Show the code');
    await owner.page.getByRole('img', { name: 'Code for your other device' }).waitFor();
    const code = await codeFor(owner.page, wallet);
    const phone = await someone({ passkey: { hasPrf: false } });
    await withThePasskeysOf(owner, phone);
    await phone.page.goto(code);
    await press(phone.page, 'Log in');
    await phone.page.getByText('This device is ready.').waitFor();
    assert.equal(new URL(phone.page.url()).hash, '', 'the code left the address');
  });

  for (const maker of ['volvo', 'onstar']) {
    test(`links a car of ${maker}, sees what it can tell, proves possession`, async ({ stage, someone, check }) => {
      const owner = await someone();
      const { wallet } = await stage.state();
      await signedUp(owner.page, wallet);
      const car = await stage.car(maker);
      await linked(owner.page, wallet, car);
      await check.screen(owner.page, 'a car just linked');
      await carReady(owner.page, stage, car);
      await check.screen(owner.page, 'a car that is ready');
      await keepsThePlaceSecret(stage, owner, car);
    });
  }

  test('allows, follows to the end, checks the receipts', async ({ stage, someone, check }) => {
    const owner = await someone();
    const { page } = owner;
    const { wallet } = await stage.state();
    await signedUp(page, wallet);
    const car = await stage.car('volvo');
    await linked(page, wallet, car);
    await carReady(page, stage, car);
    const shipped = await stage.ship();
    await page.goto(shipped.consent_url);
    await page.getByRole('heading', { name: 'Put it in your car?' }).waitFor();
    await page.getByText('This is what the carrier learns').waitFor();
    await check.screen(page, 'allow');
    await allowed(page);
    await press(page, 'Follow this delivery', 'link');
    await page.getByText(NOT_BEGUN).first().waitFor();
    await check.screen(page, 'a delivery');
    await stage.delivery(shipped.delivery, 'accepted');
    await stage.play(shipped.delivery);
    await page.getByText('The courier now knows where your car stands').waitFor(within(40_000));
    await check.screen(page, 'a delivery whose place is known');
    await page.getByText('Done. Your car is locked').waitFor(within(60_000));
    await page.getByText('The car itself reported that it is locked.').first().waitFor();
    await press(page, 'Show photos');
    // This courier is played and takes none; one that a real page took is looked at in `stop-kerb`.
    await page.getByText('No photo was left.').waitFor();
    // Asked for too early, the case is not ready; the page asks again.
    owner.expect(/\/bundle\)/);
    await press(page, 'Check now');
    await page.getByText(/In order: \d+ records, signed and in the log\./).waitFor(within(20_000));
    await check.screen(page, 'a delivery that is done');
    await page.goto(wallet);
    await page.getByText('Done and locked').waitFor();
    await check.screen(page, 'deliveries');
    await keepsThePlaceSecret(stage, owner, car);
  });

  test('stops everything from any screen, and allows it again with the passkey', async ({ stage, someone, check }) => {
    const owner = await someone();
    const { page } = owner;
    const { wallet } = await stage.state();
    await signedUp(page, wallet);
    const car = await stage.car('volvo');
    await linked(page, wallet, car);
    await carReady(page, stage, car);
    const shipped = await stage.ship();
    await page.goto(shipped.consent_url);
    await allowed(page);
    for (const path of ['/', '/cars', '/settings', `/deliveries/${shipped.delivery}`]) {
      await page.goto(wallet + path);
      await page.getByRole('button', { name: 'Stop', exact: true }).waitFor();
    }
    await press(page, 'Stop');
    await check.screen(page, 'stop');
    await press(page, 'Stop everything');
    await page.getByText('Stopped. No command leaves any more.').waitFor();
    await page.keyboard.press('Escape');
    await page.getByText('You stopped this').waitFor();
    await page.goto(`${wallet}/settings`);
    await page.getByText('Everything', { exact: true }).waitFor();
    await press(page, 'Allow again');
    await page.getByText('Nothing is stopped.').waitFor();
    await page.goto(`${wallet}/deliveries/${shipped.delivery}`);
    await page.getByText(NOT_BEGUN).first().waitFor();
    // One delivery, from its own page.
    await press(page, 'Stop this delivery');
    await page.getByText('You stopped this').waitFor();
    await press(page, 'Allow it again');
    await page.getByText('Allowed again.').waitFor();
    await keepsThePlaceSecret(stage, owner, car);
  });

  test('a damaged, a foreign and a missing request are refused in words', async ({ stage, someone, check }) => {
    const owner = await someone();
    const { page } = owner;
    const { wallet } = await stage.state();
    await signedUp(page, wallet);
    const { consent_url } = await stage.ship();
    const [origin, ticket] = consent_url.split('#');
    const parts = ticket.split('~');
    const letter = parts[0].slice(-1) === 'A' ? 'Q' : 'A';
    const forged = [parts[0].slice(0, -1) + letter, ...parts.slice(1)].join('~');
    for (const [fragment, said] of [
      [ticket.slice(0, 200), 'The link is damaged or incomplete.'],
      [forged, /does not hold|damaged/],
      ['', 'There is no request in this link.'],
    ]) {
      await page.goto('about:blank');
      await page.goto(`${origin}#${fragment}`);
      await page.getByText(said).first().waitFor();
    }
    await check.screen(page, 'a request that is refused');
  });

  test('somebody in the car stops it without an account', async ({ stage, someone, check }) => {
    const owner = await someone();
    const { wallet } = await stage.state();
    await signedUp(owner.page, wallet);
    const car = await stage.car('volvo');
    await linked(owner.page, wallet, car);
    await carReady(owner.page, stage, car);
    const inside = await someone();
    const { page } = inside;
    await page.goto(`${wallet}/occupant`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await check.screen(page, 'occupant');
    await page.getByLabel('Vehicle number (VIN)').fill(car.vin.toLowerCase());
    await press(page, 'Begin');
    await stage.hand(car, 'unlock_with_key');
    await carReady.doors(page, stage, car, page.getByText('You stand at this car.'));
    await check.screen(page, 'occupant who stands at the car');
    await press(page, 'Stop everything for this car');
    await page.getByText(/^Stopped until/).waitFor();
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
    assert.ok(!kept.includes(car.vin), 'nothing of it is kept');
    // To the owner the car looks like one that does not answer.
    const shipped = await stage.ship();
    await owner.page.goto(shipped.consent_url);
    await owner.page.getByText('It does not say where it stands.').waitFor();
    owner.expect(/409/);
    await keepsThePlaceSecret(stage, owner, car);
    await keepsThePlaceSecret(stage, inside, car);
    for (const { url, body } of inside.requests) assert.ok(!(url + body).includes(car.vin), 'the number goes sealed');
  });

  test('every page of a wallet fits in every language', async (t) => {
    const owner = await t.someone();
    const { page } = owner;
    const { wallet } = await owns(t, owner);
    await page.goto(`${wallet}/cars`);
    const car = await page.locator('main a.car').first().getAttribute('href');
    for (const [lang, title] of [['de', 'Ihre Daten'], ['es', 'Sus datos'], ['pseudo', '⟦']]) {
      for (const path of ['/settings/data', '/settings', car, `${car}/rehearsal`, '/cars', '/']) {
        await page.goto(`${wallet}${path}?lang=${lang}`);
        await page.getByRole('heading', { level: 1 }).waitFor();
        if (path === '/settings/data') await page.getByRole('heading', { level: 1, name: title }).waitFor();
        await page.locator('main button, main .card, main .car').first().waitFor();
        await t.check.screen(page, `${path} in ${lang}`);
      }
    }
  });

  test('German, Spanish and the strange language fit, also at 320 px', async ({ stage, someone, check }) => {
    const { wallet } = await stage.state();
    for (const [lang, words] of [['de', 'Meine Wallet anlegen'], ['es', 'Crear mi cartera'], ['pseudo', '⟦']]) {
      const owner = await someone();
      await owner.page.goto(`${wallet}/?lang=${lang}`);
      await owner.page.getByText(words).first().waitFor();
      await check.screen(owner.page, `welcome in ${lang}`);
    }
  });

  test('another wallet’s passkey, and a log-out that found no answer: nothing of that wallet is stopped from here', async (t) => {
    const { stage, someone, check } = t;
    const { wallet } = await stage.state();
    const owner = await someone();
    const other = await someone();
    await signedUp(owner.page, wallet);
    await signedUp(other.page, wallet);
    // The session is over, and the only passkey at hand is another's.
    await owner.authenticator.cdp.send('WebAuthn.clearCredentials', { authenticatorId: owner.authenticator.id });
    await withThePasskeysOf(other, owner);
    await owner.context.clearCookies();
    owner.expect(/401|ERR_FAILED/);
    await owner.page.route('**/v1/sessions', (route) => (route.request().method() === 'DELETE' ? route.abort() : route.continue()));
    await owner.page.reload();
    await press(owner.page, 'Log in');
    await owner.page.getByText('That passkey belongs to another wallet.', { exact: false }).first().waitFor();
    assert.equal((await owner.context.cookies(wallet)).length, 1, 'the other wallet’s cookie is still here');
    const before = owner.requests.length;
    await press(owner.page, 'Stop');
    const all = owner.page.getByRole('button', { name: 'Stop everything' });
    await all.waitFor();
    assert.ok(await all.isDisabled());
    await check.screen(owner.page, 'stop-logged-out');
    const asked = owner.requests.slice(before).map((r) => new URL(r.url).pathname);
    assert.ok(!asked.some((path) => path.startsWith('/v1/wallet/')), `asked as the other wallet: ${asked}`);
  });
};
