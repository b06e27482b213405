// What an owner does in many tests, in the words of the page.
import assert from 'node:assert/strict';
import { within } from './browser.mjs';
import { digits, enrol, north, placeOf } from './courier-steps.mjs';

/** Presses a button or link by its name. */
export async function press(page, name, role = 'button') {
  await page.getByRole(role, { name, exact: true }).first().click();
}

export async function signedUp(page, wallet) {
  await page.goto(wallet);
  await press(page, 'Create my wallet');
  await page.getByRole('navigation').waitFor();
}

const MAKERS = { volvo: 'Volvo', onstar: 'Chevrolet, Buick, GMC and Cadillac' };

/** Goes to the maker of a car, logs in there as its owner, and comes back. */
export async function throughTheMaker(page, wallet, car) {
  await page.goto(`${wallet}/cars/link`);
  await page.getByRole('radio', { name: MAKERS[car.maker] }).check();
  await press(page, 'Go to the maker');
  await atTheMaker(page, car);
}

/** Links a car at its simulated maker, and stops at the car's page, which says whether it can take part. */
export async function linked(page, wallet, car, says = 'This car can take part.') {
  await throughTheMaker(page, wallet, car);
  await page.getByRole('heading', { name: 'Your car is linked' }).waitFor(within(20_000));
  await page.locator('main a[href^="/cars/"]').first().waitFor();
  await press(page, 'Go on', 'link');
  await page.getByText(says).waitFor();
}

/** The maker's log-in page belongs to the simulator. */
async function atTheMaker(page, car) {
  await page.getByLabel('Owner').selectOption(car.owner);
  await press(page, car.maker === 'volvo' ? 'Allow' : 'Sign in');
}

/** Agrees, describes, proves possession; or waits for what else may come of the doors. */
export async function carReady(page, stage, car, done = page.getByText(/^Proved/).first()) {
  for (const box of await page.getByRole('checkbox').all()) {
    const label = await box.evaluate((e) => e.labels?.[0]?.textContent ?? '');
    if (!label.includes('films')) await box.check();
  }
  await press(page, 'I agree');
  await page.getByText('Agreed.').waitFor();
  await page.getByLabel('Number plate').fill('KLM 482');
  await page.getByLabel('Colour').fill('blue');
  await page.getByLabel('Make and model').fill('Estate');
  await press(page, 'Save');
  await page.getByText('Saved, sealed.').waitFor();
  if (car.maker === 'volvo') await stage.hand(car, 'unlock_with_key');
  await press(page, 'I stand at the car');
  await carReady.doors(page, stage, car, done);
  if (car.maker === 'volvo') await stage.hand(car, 'lock_with_key');
}

/** Opens and shuts each door that the page names, until `done` shows. A car without doors waits. */
carReady.doors = async (page, stage, car, done) => {
  const prompt = page.getByText(/^Open and shut: /);
  const waits = page.getByText('This car reports no doors.');
  let last = '';
  for (const until = Date.now() + within(60_000).timeout; Date.now() < until; ) {
    if (await done.isVisible()) return;
    if (await waits.isVisible()) await page.getByRole('button', { name: 'Look now' }).click();
    // It may be gone by the time it is read: the last door has moved.
    const named = (await prompt.isVisible().catch(() => false)) ? await prompt.textContent(within(1_000)).catch(() => '') : '';
    if (named && named !== last) {
      last = named;
      const door = DOORS[named.replace('Open and shut: ', '').trim()];
      if (door === 'lid') {
        await stage.hand(car, 'open_tailgate');
        await stage.hand(car, 'close_tailgate');
      } else {
        await stage.hand(car, 'open_door', { door });
        await stage.hand(car, 'close_door', { door });
      }
    }
    await page.waitForTimeout(150);
  }
  throw new Error(`possession was not proved; last asked for: ${last}`);
};
const DOORS = {
  'front left door': 'front_left',
  'front right door': 'front_right',
  'rear left door': 'rear_left',
  'rear right door': 'rear_right',
  'the tailgate': 'lid',
};

export async function allowed(page) {
  const button = page.getByRole('button', { name: 'Allow', exact: true });
  await page.waitForFunction(() => [...document.querySelectorAll('button')].some((b) => b.textContent?.trim() === 'Allow' && !b.disabled));
  await button.click();
  await page.getByText('Allowed.', { exact: true }).waitFor(within(20_000));
}

/** A wallet with one car that is ready. */
export async function owns({ stage }, owner, maker = 'volvo') {
  const { wallet } = await stage.state();
  await signedUp(owner.page, wallet);
  const car = await stage.car(maker);
  await linked(owner.page, wallet, car);
  await carReady(owner.page, stage, car);
  return { wallet, car, before: await stage.counted(car) };
}

/** How often a car was unlocked or its tailgate opened since then, by whomever. */
export async function openedSince({ stage }, car, before) {
  const now = await stage.counted(car);
  return now.unlocks - before.unlocks + now.tailgate_openings - before.tailgate_openings;
}

/** A wallet, a car, and a delivery that was allowed with it. */
export async function hasAllowed(t, owner, { maker = 'volvo', order = {} } = {}) {
  const { wallet, car, before } = await owns(t, owner, maker);
  const parcel = await t.stage.ship(order);
  await owner.page.goto(parcel.consent_url);
  await allowed(owner.page);
  return { wallet, car, parcel, before };
}

/** A courier with an enrolled phone who has set out for this delivery: `{ sam, phone, page, place, stop_url }`. */
export async function courierFor({ stage, someone }, { car, parcel }, metres = 400) {
  const { stop } = await stage.state();
  await stage.delivery(parcel.delivery, 'accepted');
  const place = placeOf(car);
  const sam = await stage.hire('Sam Rivera');
  const phone = await someone({ place: north(place, metres), camera: true });
  await enrol(phone, stage, stop, sam);
  await stage.load(parcel.delivery, sam.courier);
  const { stop_url } = await stage.leg(parcel.delivery, sam.courier);
  return { sam, phone, page: phone.page, place, stop_url };
}

/** The owner stands so many metres from the car, and lets the wallet know where that is. */
export async function standsAt(owner, wallet, car, metres = 3) {
  await owner.context.grantPermissions(['geolocation'], { origin: wallet });
  await owner.context.setGeolocation(north(placeOf(car), metres));
}

const MAP = /\.geojson|maplibre|tile\b|glyph|sprite/;
/** The owner's browser speaks with the gateway and the maker alone, says no place, and shows no map. */
export async function keepsThePlaceSecret(stage, who, car) {
  const { carrier, courier, ops } = await stage.state();
  const near = digits(placeOf(car), 3);
  for (const { method, url, body } of who.requests) {
    assert.ok(!near.some((n) => (url + body).includes(n)), `${method} ${url} carries a place`);
    assert.ok(![carrier, courier, ops].some((origin) => url.startsWith(`${origin}/`)), `${method} ${url} goes to the carrier`);
    assert.ok(!MAP.test(url), `${url} asks for a map`);
  }
}

/** Everything that this browser has kept for the page's origin, as one text. */
export async function keptHere(page) {
  return page.evaluate(async () => {
    const all = [{ ...localStorage }, { ...sessionStorage }, document.cookie];
    for (const { name } of await indexedDB.databases()) {
      const db = await new Promise((done) => (indexedDB.open(name).onsuccess = (e) => done(e.target.result)));
      for (const store of db.objectStoreNames) {
        const read = db.transaction(store).objectStore(store).getAll();
        all.push(await new Promise((done) => (read.onsuccess = () => done(read.result))));
      }
      db.close();
    }
    return JSON.stringify(all.flat().filter((one) => one && Object.keys(one).length > 0));
  });
}

/** The address that a device shows as a code for the next one; read from where the device keeps it. */
export async function codeFor(page, wallet) {
  const code = await page.evaluate(async () => {
    const db = await new Promise((done) => (indexedDB.open('parcelshelf-wallet').onsuccess = (e) => done(e.target.result)));
    const read = db.transaction('kept').objectStore('kept').get('account');
    const account = await new Promise((done) => (read.onsuccess = () => done(read.result)));
    const text = btoa(String.fromCharCode(...account.seed)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
    return `${account.wallet}.${text}`;
  });
  return `${wallet}/add-device#${code}`;
}

/** Another device of the same owner, with the same passkeys as if they were synced. */
export async function withThePasskeysOf(owner, device) {
  const { credentials } = await owner.authenticator.cdp.send('WebAuthn.getCredentials', {
    authenticatorId: owner.authenticator.id,
  });
  for (const credential of credentials) {
    await device.authenticator.cdp.send('WebAuthn.addCredential', { authenticatorId: device.authenticator.id, credential });
  }
}
