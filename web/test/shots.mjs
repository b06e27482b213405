// Pictures of the main screens, for README and docs: a delivery is played with real services, and each screen is kept as
// docs/screens/NAME.png. `npm run build && npm run shots`. Times and numbers in them differ from run to run.
import assert from 'node:assert/strict';
import { mkdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openBrowser, person } from './e2e/browser.mjs';
import { enrol, goTo, north, photograph, placeOf, PLATE, press, reveal, scan, screen, shut } from './e2e/courier-steps.mjs';
import { doorLinked, GARAGE, HOUSE, provedByHand } from './e2e/house-steps.mjs';
import { startStage } from './e2e/stage.mjs';
import { allowed, carReady, linked, press as tap, signedUp } from './e2e/wallet-steps.mjs';

const folder = fileURLToPath(new URL('../../docs/screens/', import.meta.url));
/** A picture in the documentation should not weigh more. */
const BYTES_MAX = 120_000;
const PHONE = { width: 360, height: 720 };
mkdirSync(folder, { recursive: true });

async function shot(page, name) {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await page.evaluate(() => {
    document.activeElement?.blur?.();
    scrollTo(0, 0);
  });
  await page.waitForTimeout(400);
  const path = `${folder}${name}.png`;
  await page.screenshot({ path, animations: 'disabled' });
  const { size } = statSync(path);
  console.log(`${name}.png ${(size / 1_000).toFixed(0)} kB`);
  if (size > BYTES_MAX) throw new Error(`${name}.png is larger than ${BYTES_MAX / 1_000} kB`);
}

const stage = await startStage(8);
const browser = await openBrowser();
const people = [];
const someone = async (options = {}) => {
  const who = await person(browser, { ...PHONE, ...options });
  people.push(who);
  return who;
};
try {
  const { wallet, stop } = await stage.state();
  const car = await stage.car('volvo');
  const place = placeOf(car);

  const owner = await someone();
  await signedUp(owner.page, wallet);
  await linked(owner.page, wallet, car);
  await carReady(owner.page, stage, car);
  await shot(owner.page, 'wallet-car');
  const parcel = await stage.ship({ parcels: 2 });
  await owner.page.goto(parcel.consent_url);
  await owner.page.getByRole('heading', { name: 'Put it in your car?' }).waitFor();
  await owner.page.getByText('This is what the carrier learns').waitFor();
  await shot(owner.page, 'wallet-allow');
  await allowed(owner.page);
  await stage.delivery(parcel.delivery, 'accepted');

  const { url } = await stage.invite('Alex Moreno', 'lead');
  const staff = await someone({ width: 1_024, height: 720 });
  await staff.page.goto(url);
  await tap(staff.page, 'Make the passkey');
  await tap(staff.page, 'Confirm and log in');
  await staff.page.getByRole('heading', { name: 'Board' }).waitFor();

  const sam = await stage.hire('Sam Rivera');
  const phone = await someone({ place: north(place, 400), camera: true });
  const { page } = phone;
  await enrol(phone, stage, stop, sam);
  await stage.load(parcel.delivery, sam.courier);
  await stage.route(sam.courier, [
    { door: { name: 'Ada Holm', address: '4 Mill Lane', note: 'Ring twice', parcels: 2 } },
    { delivery: parcel.delivery },
  ]);
  await page.goto(sam.link);
  await page.getByRole('link', { name: /Into a car/ }).waitFor();
  await shot(page, 'courier-route');
  await page.getByRole('link', { name: /Into a car/ }).click();
  await page.getByText(/About \d+ km²/).waitFor();
  await shot(page, 'courier-car');
  await press(page, 'Set out to this stop');
  await screen(page, 'start');
  await page.waitForSelector('[data-ready=true]');
  await shot(page, 'stop-start');
  await reveal(phone);
  await shot(page, 'stop-way');
  await owner.page.goto(`${wallet}/deliveries/${parcel.delivery}`);
  await owner.page.getByText('The courier now knows where your car stands').first().waitFor({ timeout: 40_000 });
  await shot(owner.page, 'wallet-on-the-way');
  await goTo(phone, place, 20);
  await page.getByText('KLM 482').or(page.getByText(PLATE)).first().waitFor();
  await shot(page, 'stop-at-the-car');
  await press(page, 'Badge');
  await page.getByRole('heading', { name: 'Delivery with permission' }).waitFor();
  await shot(page, 'stop-badge');
  await press(page, 'Close');
  await scan(page, ...parcel.labels);
  await press(page, 'Open');
  await screen(page, 'pull');
  await shot(page, 'stop-pull');
  await stage.hand(car, 'open_tailgate');
  await screen(page, 'load');
  await shot(page, 'stop-load');
  await staff.page.reload();
  await staff.page.getByRole('heading', { name: 'Board' }).waitFor();
  await shot(staff.page, 'ops-board');
  await photograph(page);
  await shut(page, stage, car);
  await screen(page, 'locked');
  await shot(page, 'stop-locked');
  await press(page, 'Next stop');
  await screen(page, 'over');
  await owner.page.getByText('Done. Your car is locked').waitFor({ timeout: 60_000 });
  await shot(owner.page, 'wallet-done');

  // A house's garage.
  const household = await someone();
  await signedUp(household.page, wallet);
  await doorLinked(household.page, wallet);
  await tap(household.page, 'I stand at the door');
  await household.page.locator('.prompt').waitFor();
  await shot(household.page, 'wallet-at-the-door');
  await provedByHand(household.page, stage);
  const box = await stage.ship();
  await household.page.goto(box.consent_url);
  await household.page.getByText('This is what the carrier learns').waitFor();
  await shot(household.page, 'wallet-allow-garage');
  await allowed(household.page);
  await stage.delivery(box.delivery, 'accepted');
  const kaya = await stage.hire('Kaya Demir');
  const other = await someone({ place: north(HOUSE, 20), camera: true });
  await enrol(other, stage, stop, kaya);
  await stage.load(box.delivery, kaya.courier);
  const { stop_url } = await stage.leg(box.delivery, kaya.courier);
  await other.page.goto(stop_url);
  await screen(other.page, 'go');
  await scan(other.page, ...box.labels);
  await press(other.page, 'Open');
  await screen(other.page, 'load');
  await shot(other.page, 'stop-garage-open');
  await photograph(other.page);
  await press(other.page, 'I am out: shut it');
  await screen(other.page, 'locked');
  assert.equal(await stage.commands(GARAGE, 'open_cover'), 1);
  await shot(other.page, 'stop-garage-shut');
} finally {
  await Promise.all(people.map((p) => p.close().catch(() => {})));
  await browser.close();
  await stage.stop();
}
