// The courier's stop page in a real browser, against real services and a simulated car with doors.
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from 'uqr';
import { video, within } from './browser.mjs';
import { goTo, north, onTheWay, photograph, screen, type, untilOpenPressed } from './courier-steps.mjs';

const MAP = /\.geojson|maplibre|tile|glyph|sprite/;

export default (test) => {
  test('a parcel into a car, from the place to the lock', async (t) => {
    const { stage, check } = t;
    const { car, place, parcel, phone, page, stop_url } = await onTheWay(t);
    await page.goto(stop_url);
    await screen(page, 'start');
    await page.waitForSelector('[data-ready=true]');
    await check.screen(page, 'stop-start');
    const asked = phone.requests.length;
    await page.getByRole('button', { name: 'Show the place' }).click();
    await screen(page, 'go');
    await page.getByText('Plate is shown within 300 m', { exact: false }).or(page.getByText('The plate is shown within 300 m.')).waitFor();
    await check.screen(page, 'stop-go');

    await goTo(phone, place, 20);
    await page.getByText('DEM 042').waitFor();
    await page.getByRole('button', { name: 'Scan parcels' }).click();
    await type(page, 'FJB00000000');
    await page.getByRole('dialog').getByText('Wrong parcel', { exact: false }).waitFor();
    await check.screen(page, 'stop-scan');
    await type(page, parcel.labels[0].toLowerCase());
    await page.getByText('All parcels scanned').first().waitFor();
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('button', { name: 'Open', exact: true }).click();
    await screen(page, 'pull');
    await check.screen(page, 'stop-pull');
    await stage.hand(car, 'open_tailgate');
    await screen(page, 'load');
    await check.screen(page, 'stop-load');

    await page.getByRole('button', { name: 'Take a photo' }).click();
    await page.getByRole('button', { name: 'Take the photo' }).click();
    await page.getByRole('button', { name: 'Use it' }).click();
    await page.getByText('Photo sealed for the owner').waitFor();
    await stage.hand(car, 'close_tailgate');
    await page.getByRole('button', { name: 'I have shut the lid' }).click();
    await screen(page, 'released', 'locked');
    await check.screen(page, 'stop-locked');
    await page.getByRole('button', { name: 'Next stop' }).click();
    await screen(page, 'over');
    await check.screen(page, 'stop-over');

    // Nothing of it is left, and the place went nowhere in the clear.
    assert.equal(new URL(page.url()).pathname, '/');
    assert.equal(new URL(page.url()).hash, '');
    assert.ok(!(await page.content()).includes('DEM 042'));
    const later = phone.requests.slice(asked);
    assert.deepEqual(later.filter((r) => MAP.test(r.url)).map((r) => r.url), [], 'no map request after the reveal');
    const near = [place.lat, place.lng].map((x) => String(x).slice(0, String(x).indexOf('.') + 4));
    assert.ok(!later.some((r) => near.some((n) => (r.url + r.body).includes(n))), 'no place in any request');
    const stored = await page.evaluate(async () => {
      const all = {};
      for (const { name } of await indexedDB.databases()) {
        const db = await new Promise((done) => (indexedDB.open(name).onsuccess = (e) => done(e.target.result)));
        for (const store of db.objectStoreNames) {
          const rows = await new Promise((done) => (db.transaction(store).objectStore(store).getAll().onsuccess = (e) => done(e.target.result)));
          all[store] = JSON.stringify(rows);
        }
      }
      return all;
    });
    assert.ok(!near.some((n) => JSON.stringify(stored).includes(n)), 'no place on the device');
    assert.equal(stored.outbox, '[]');
  });

  test('evidence waits for a network, an opening does not', async (t) => {
    const { stage } = t;
    const { car, place, parcel, phone, page, stop_url } = await onTheWay({ ...t, metres: 20 });
    phone.expect(/Failed to load resource|ERR_INTERNET_DISCONNECTED/);
    await page.goto(stop_url);
    await screen(page, 'start');
    await page.waitForSelector('[data-ready=true]');
    await page.getByRole('button', { name: 'Show the place' }).click();
    await screen(page, 'go');
    await page.getByRole('button', { name: 'Scan parcels' }).click();
    await type(page, parcel.labels[0]);
    await page.getByRole('button', { name: 'Done' }).click();
    const open = page.getByRole('button', { name: 'Open', exact: true });
    await phone.context.setOffline(true);
    await page.getByText('No signal. Step to the street', { exact: false }).waitFor();
    assert.ok(await open.isDisabled(), 'nothing opens without signal');
    await phone.context.setOffline(false);
    await goTo(phone, place, 18);
    await open.click();
    await screen(page, 'pull');
    await stage.hand(car, 'open_tailgate');
    await screen(page, 'load');
    await phone.context.setOffline(true);
    await page.getByRole('button', { name: 'Take a photo' }).click();
    await page.getByRole('button', { name: 'Take the photo' }).click();
    await page.getByRole('button', { name: 'Use it' }).click();
    await page.getByText('it is sent when there is signal', { exact: false }).waitFor();
    await stage.hand(car, 'close_tailgate');
    await page.getByRole('button', { name: 'I have shut the lid' }).click();
    await page.getByText('2 notes wait for signal').waitFor();
    await phone.context.setOffline(false);
    await page.getByText('notes wait', { exact: false }).waitFor({ state: 'detached', ...within(40_000) });
    await screen(page, 'released', 'locked');
  });

  test('nobody can say whether it opened: the courier looks, and no second opening is offered', async (t) => {
    const { stage, check } = t;
    const { car, parcel, page, stop_url } = await onTheWay({ ...t, metres: 20 });
    await stage.fault(car, 'unlock', 'connection_drop_not_acted');
    await untilOpenPressed(page, stop_url, parcel);
    await screen(page, 'look');
    await check.screen(page, 'stop-look');
    await page.getByRole('button', { name: 'It is shut' }).click();
    await screen(page, 'wait');
    assert.equal(await page.getByRole('button', { name: 'Open', exact: true }).count(), 0);
    await page.getByRole('button', { name: 'Problem' }).click();
    await page.getByText('Not while the car may be open', { exact: false }).waitFor();
  });

  test('it will not open: the fallback, and back to the courier app with a reason alone', async (t) => {
    const { stage, check } = t;
    const { courier } = await stage.state();
    const { car, parcel, page, stop_url } = await onTheWay({ ...t, metres: 20 });
    const back = Buffer.from(`${courier}/back`).toString('base64url');
    await stage.fault(car, 'unlock', 'rejected');
    await untilOpenPressed(page, `${stop_url}~${back}`, parcel);
    await screen(page, 'wont_open');
    await check.screen(page, 'stop-wont-open');
    await page.getByRole('button', { name: 'Choose the fallback' }).click();
    await check.screen(page, 'stop-problem');
    await page.getByRole('button', { name: 'It does not open' }).click();
    await screen(page, 'over');
    const link = page.getByRole('link', { name: 'Back to the courier app' });
    assert.equal(await link.getAttribute('href'), `${courier}/back#d=${parcel.delivery}&o=did_not_open`);
  });

  test('a car that tells nothing: photo, and the handle after the lock', async (t) => {
    const { stage } = t;
    const { car, parcel, page, stop_url } = await onTheWay({ ...t, maker: 'onstar', metres: 20 });
    await untilOpenPressed(page, stop_url, parcel);
    await screen(page, 'load');
    await stage.hand(car, 'open_tailgate');
    await photograph(page);
    await stage.hand(car, 'close_tailgate');
    await page.getByRole('button', { name: 'I have shut the lid' }).click();
    await screen(page, 'handle');
    await page.getByRole('button', { name: 'It holds' }).click();
    await screen(page, 'locked');
    await page.getByText('The maker says so, and you checked the handle.').waitFor();
  });

  test('a photo that is still on its way keeps nobody at the handle', async (t) => {
    const { stage } = t;
    const { car, parcel, page, stop_url } = await onTheWay({ ...t, maker: 'onstar', metres: 20 });
    let isLet;
    const let_ = new Promise((done) => (isLet = done));
    await page.route('**/photos', async (route) => {
      await let_;
      await route.continue();
    });
    await untilOpenPressed(page, stop_url, parcel);
    await screen(page, 'load');
    await stage.hand(car, 'open_tailgate');
    await page.getByRole('button', { name: 'Take a photo' }).click();
    await page.getByRole('button', { name: 'Take the photo' }).click();
    await page.getByRole('button', { name: 'Use it' }).click();
    await page.getByText('Photo sealed; it is on its way').waitFor();
    await stage.hand(car, 'close_tailgate');
    await page.getByRole('button', { name: 'I have shut the lid' }).click();
    await screen(page, 'handle');
    await page.getByRole('button', { name: 'It holds' }).click();
    // The lock is proved by a photo that the front has not got yet.
    await screen(page, 'locked');
    await page.getByText('Photo sealed; it is on its way').waitFor();
    isLet();
    await page.getByText('Photo sealed for the owner').waitFor();
  });

  test('a page that was lost in the middle joins what is open', async (t) => {
    const { stage } = t;
    const { car, parcel, page, stop_url } = await onTheWay({ ...t, metres: 20 });
    await untilOpenPressed(page, stop_url, parcel);
    await screen(page, 'pull');
    await stage.hand(car, 'open_tailgate');
    await screen(page, 'load');
    await page.reload();
    await screen(page, 'load');
    await stage.hand(car, 'close_tailgate');
    await page.getByRole('button', { name: 'I have shut the lid' }).click();
    await screen(page, 'released', 'locked');
    const { seen } = await stage.look(car);
    if (seen) assert.equal(seen.unlocks ?? 1, 1);
  });

  test('the camera reads the label, and finds it in the photo', async (t) => {
    const { stage } = t;
    const films = ({ labels }) => video(join(tmpdir(), `parcelshelf-${labels[0]}.y4m`), encode(labels[0], { border: 0 }).data);
    const { car, parcel, page, stop_url, browser } = await onTheWay({ ...t, metres: 20, films });
    try {
      await page.goto(stop_url);
      await screen(page, 'start');
      await page.getByRole('button', { name: 'Show the place' }).click();
      await screen(page, 'go');
      await page.getByRole('button', { name: 'Scan parcels' }).click();
      await page.getByText('All parcels scanned').first().waitFor();
      await page.getByRole('button', { name: 'Done' }).click();
      await page.getByRole('button', { name: 'Open', exact: true }).click();
      await screen(page, 'pull');
      await stage.hand(car, 'open_tailgate');
      await screen(page, 'load');
      await page.getByRole('button', { name: 'Take a photo' }).click();
      await page.getByRole('button', { name: 'Take the photo' }).click();
      await page.getByText(`The label ending in ${parcel.labels[0].slice(-4)} is in the picture.`).waitFor();
      await page.getByRole('button', { name: 'Use it' }).click();
      await page.getByText('Photo sealed for the owner').waitFor();
    } finally {
      await browser.close();
    }
  });

  test('another phone does not open this stop', async (t) => {
    const { stage, someone } = t;
    const { place, page, stop_url } = await onTheWay({ ...t, metres: 20 });
    void page;
    const other = await someone({ place: north(place, 20), camera: true });
    await other.page.goto(stop_url);
    await other.page.waitForSelector('.stop[data-screen=not_enrolled]');
    await other.page.getByText('This phone is not enrolled', { exact: false }).waitFor();
  });

  test('police, Spanish, by night', async (t) => {
    const { check } = t;
    const { page, stop_url } = await onTheWay({ ...t, metres: 20, language: 'es-ES', theme: 'dark' });
    await page.goto(stop_url);
    await screen(page, 'start');
    await page.getByRole('button', { name: 'Acreditación' }).click();
    await page.getByRole('heading', { name: 'Entrega con permiso' }).waitFor();
    await check.screen(page, 'stop-badge');
  });
};
