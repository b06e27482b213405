// What an owner can have back or gone: one file with everything, a hold, an erasure, a car taken back.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { within } from './browser.mjs';
import {
  allowed, carReady, courierFor, hasAllowed, keepsThePlaceSecret, keptHere, linked, openedSince, owns, press, signedUp,
  throughTheMaker,
} from './wallet-steps.mjs';

/** Presses what saves a file, and reads that. */
async function saved(page, name) {
  const [download] = await Promise.all([page.waitForEvent('download'), press(page, name)]);
  return { name: download.suggestedFilename(), json: JSON.parse(readFileSync(await download.path(), 'utf8')) };
}

export default (test) => {
  test('saves everything in one file, then erases the wallet: nothing is readable, the session is over', async (t) => {
    const { stage, someone, check } = t;
    const owner = await someone();
    const { page } = owner;
    const { wallet, car, parcel } = await hasAllowed(t, owner);
    await page.goto(`${wallet}/settings`);
    await press(page, 'Your data: save or erase it', 'link');
    await page.getByRole('heading', { name: 'Your data', level: 1 }).waitFor();
    await check.screen(page, 'your data');

    const file = await saved(page, 'Save it as a file');
    await page.getByText('Saved, with 1 delivery.').waitFor();
    assert.match(file.name, /^parcelshelf-export-\d{4}-\d\d-\d\d\.json$/);
    assert.equal(file.json.format, 'psh-export-v1');
    assert.equal(file.json.wallet.format, 'psh-wallet-export-v1');
    assert.equal(file.json.wallet.vehicles.length, 1);
    assert.ok(JSON.stringify(file.json.wallet.vehicles).includes(car.vin), 'the owner may have the own VIN');
    assert.deepEqual(file.json.deliveries.map((d) => d.delivery), [parcel.delivery]);
    assert.ok(file.json.deliveries[0].records.length > 0);

    const cookies = (await owner.context.cookies()).filter((c) => c.name === '__Host-psh');
    assert.equal(cookies.length, 1);
    await press(page, 'Erase my wallet');
    await check.screen(page, 'erase the wallet?');
    await page.keyboard.press('Escape');
    await press(page, 'Erase my wallet');
    await press(page, 'Yes, erase everything');
    await page.getByRole('heading', { name: 'Your wallet is erased' }).waitFor(within(40_000));
    await check.screen(page, 'a wallet that is erased');
    assert.equal(await page.getByRole('button', { name: 'Stop', exact: true }).count(), 0, 'nobody is logged in');
    assert.equal(await keptHere(page), '[]', 'this device has forgotten it');

    assert.deepEqual((await owner.context.cookies()).filter((c) => c.name === '__Host-psh'), [], 'nor is there a session');
    // That session is over, also for whoever has kept the cookie.
    await owner.context.addCookies(cookies);
    owner.expect(/40[134]/);
    const asked = await page.evaluate(async () => {
      const headers = { 'parcelshelf-session': 'cookie' };
      const paths = ['/v1/wallet/deliveries', '/v1/wallet/vehicles', '/v1/wallet/export', '/v1/wallet/seed-box'];
      return Promise.all(paths.map(async (path) => (await fetch(path, { headers })).status));
    });
    assert.deepEqual(asked, [401, 401, 401, 401]);
    // The passkey opens nothing any more.
    await page.goto(wallet);
    await press(page, 'I have a wallet');
    await page.getByText('This gateway does not know this passkey.').waitFor();
    await keepsThePlaceSecret(stage, owner, car);
  });

  test('keeps a delivery, lets it go, erases it alone', async (t) => {
    const { stage, someone, check } = t;
    const owner = await someone();
    const { page } = owner;
    const { wallet, car, parcel } = await hasAllowed(t, owner);
    await page.goto(`${wallet}/deliveries/${parcel.delivery}`);
    await page.getByText('It can be erased when it is over').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Erase this delivery' }).count(), 0);
    const file = await saved(page, 'Save all that is kept about it');
    assert.equal(file.json.format, 'psh-delivery-export-v1');
    await press(page, 'Stop this delivery');
    await page.getByText('You stopped this').waitFor();

    await press(page, 'Keep it');
    await page.getByText(/^You have kept this since/).waitFor();
    await check.screen(page, 'a delivery that is kept');
    assert.equal(await page.getByRole('button', { name: 'Erase this delivery' }).count(), 0, 'nothing erases it');
    // Nor does erasing everything, while it is kept.
    owner.expect(/409/);
    await page.goto(`${wallet}/settings/data`);
    await press(page, 'Erase my wallet');
    await press(page, 'Yes, erase everything');
    await page.getByText('A hold keeps this.').waitFor();

    await page.goto(`${wallet}/deliveries/${parcel.delivery}`);
    await press(page, 'Keep it no longer');
    await press(page, 'Erase this delivery');
    await check.screen(page, 'erase a delivery?');
    await press(page, 'Yes, erase it');
    await page.getByText('Erased. Nothing of it can be read any more.').waitFor();
    await check.screen(page, 'a delivery that is erased');
    owner.expect(/404/);
    await page.goto(`${wallet}/deliveries/${parcel.delivery}`);
    await page.getByText('There is no such delivery in this wallet.').waitFor();
    await page.goto(wallet);
    await page.getByRole('heading', { name: 'Deliveries' }).waitFor();
    assert.ok(!(await page.content()).includes(parcel.delivery));
    assert.ok(!(await keptHere(page)).includes(parcel.delivery), 'nor is it kept on this device');
    await keepsThePlaceSecret(stage, owner, car);
  });

  test('takes a car back: its permission at the maker ends, and what was allowed cannot open it', async (t) => {
    const { stage, someone, check } = t;
    const owner = await someone();
    const { page } = owner;
    const { wallet, car, parcel, before } = await hasAllowed(t, owner);
    const { phone, page: courier, stop_url } = await courierFor(t, { car, parcel });
    await page.goto(`${wallet}/cars`);
    await page.locator('main a[href^="/cars/"]').first().click();
    await press(page, 'Unlink this car');
    await check.screen(page, 'unlink?');
    await press(page, 'Yes, unlink it');
    await page.getByText(/^Unlinked\./).waitFor();
    await check.screen(page, 'a car that is unlinked');
    await press(page, 'Cars and doors');
    await page.getByText('No car is linked yet.').waitFor();
    phone.expect(/409/);
    await courier.goto(stop_url);
    await courier.getByRole('button', { name: 'Show the place' }).click();
    await courier.getByText('Choose the fallback').first().waitFor();
    assert.equal(await openedSince(t, car, before), 0);
    await keepsThePlaceSecret(stage, owner, car);
  });

  test('an account with several cars: one is chosen, nothing is kept of the others', async (t) => {
    const { stage, someone, check } = t;
    const owner = await someone();
    const { page } = owner;
    const { wallet } = await stage.state();
    await signedUp(page, wallet);
    const login = `two-cars-${Date.now()}@example.org`;
    const at = { latitude: 60.1695, longitude: 24.948 };
    const one = await stage.addCar('volvo', { owner: login, colour: 'Vapour Grey', ...at });
    const other = await stage.addCar('volvo', { owner: login, colour: 'Fusion Red', ...at });
    await throughTheMaker(page, wallet, one);
    await page.getByRole('heading', { name: 'Which cars take part?' }).waitFor(within(20_000));
    const boxes = page.getByRole('checkbox');
    await boxes.nth(1).waitFor();
    assert.equal(await boxes.count(), 2);
    await check.screen(page, 'which cars take part');
    assert.ok(await page.getByRole('button', { name: 'Link these cars' }).isDisabled());
    await page.getByRole('checkbox', { name: new RegExp(one.vin.slice(-4)) }).check();
    await press(page, 'Link these cars');
    await page.getByRole('heading', { name: 'Your car is linked' }).waitFor(within(20_000));
    await page.goto(`${wallet}/cars`);
    await page.locator('main a.car').first().waitFor();
    assert.equal(await page.locator('main a.car').count(), 1);
    await page.goto(`${wallet}/settings/data`);
    const { json } = await saved(page, 'Save it as a file');
    const text = JSON.stringify(json);
    assert.ok(text.includes(one.vin) && !text.includes(other.vin), 'only the chosen car is kept');
  });

  test('a Volvo and a Chevrolet in one wallet, and the owner chooses for each delivery', async (t) => {
    const { stage, someone, check } = t;
    const owner = await someone();
    const { page } = owner;
    const { wallet } = await owns(t, owner, 'volvo');
    const chevrolet = await stage.car('onstar');
    await linked(page, wallet, chevrolet);
    await carReady(page, stage, chevrolet);
    await page.goto(`${wallet}/cars`);
    await page.locator('main a.car').nth(1).waitFor();
    await check.screen(page, 'two cars');
    const parcel = await stage.ship();
    await page.goto(parcel.consent_url);
    await page.getByRole('radio', { name: /Volvo/ }).waitFor();
    await page.getByRole('radio', { name: /Chevrolet/ }).check();
    await allowed(page);
    await page.goto(`${wallet}/deliveries/${parcel.delivery}`);
    await page.getByText(/^Chevrolet/).waitFor();
    await keepsThePlaceSecret(stage, owner, chevrolet);
  });
};
