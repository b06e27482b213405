// What a courier does in many stories, and what must hold behind each of them: nobody but the stop page knows the place.
import assert from 'node:assert/strict';
import { openBrowser, within } from './browser.mjs';
import { neverSent } from './check.mjs';
import { countOf, heapOf, heldBy } from './heap.mjs';

const MAP = /\.geojson|maplibre|tile|glyph|sprite/;
/** Plate of every played owner's car (crates/parcelshelf/src/desk/play.rs). */
export const PLATE = 'DEM 042';

/** A point so many metres north of another. */
export const north = (at, metres) => ({ latitude: at.lat + metres / 111_195, longitude: at.lng, accuracy: 8 });
/** Waits for one of these screens of the stop page. */
export const screen = (page, ...names) =>
  page.waitForSelector(names.map((n) => `[data-screen=${n}]`).join(','), within(30_000));
export const press = (page, name) => page.getByRole('button', { name, exact: true }).first().click();

/** Where a simulated car really stands. */
export function placeOf(car) {
  const at = [car, car.place, car.parked, car.position].find((p) => typeof p?.latitude === 'number');
  return { lat: at.latitude, lng: at.longitude };
}
/** One browser has one clipboard: stories that are played at once take turns. */
let clipboard = Promise.resolve();
function copied(page) {
  const turn = clipboard.then(async () => {
    await page.locator('.actions button').first().click();
    return page.evaluate(() => navigator.clipboard.readText());
  });
  clipboard = turn.catch(() => {});
  return turn;
}
/** A phone at the depot: its keys, six digits on both screens. */
export async function enrol(phone, stage, stop, courier) {
  const { page } = phone;
  await phone.context.grantPermissions(['clipboard-read', 'clipboard-write', 'geolocation', 'camera'], { origin: stop });
  await page.goto(`${stop}/enrol`);
  await page.getByRole('button').first().click();
  await page.waitForSelector('.digits');
  const shown = (await page.locator('.digits').innerText()).replace(/\D/g, '');
  const text = await copied(page);
  const { digits } = await stage.certify(text, courier.courier);
  assert.equal(shown, digits, 'both screens show the same six digits');
  await page.locator('.actions button').nth(1).click();
  await page.waitForSelector('.frame.good');
}

async function hired({ stage, someone, place, metres = 400, language = 'en-GB', theme = 'light', width = 412, browser }) {
  const { stop } = await stage.state();
  const sam = await stage.hire('Sam Rivera');
  const phone = await someone({ place: north(place, metres), camera: true, language, theme, width, ...(browser && { browser }) });
  phone.at = { place, metres };
  await enrol(phone, stage, stop, sam);
  return { sam, phone, page: phone.page };
}
/** An owner with a car, a courier with an enrolled phone on the way to it; the link comes by itself, without the courier app. */
export async function onTheWay({ stage, maker = 'volvo', order = {}, films = null, ...how }) {
  const car = await stage.car(maker);
  const place = placeOf(car);
  const parcel = await stage.ship(order);
  await stage.allow(parcel.delivery, car);
  const browser = films ? await openBrowser({ camera: await films(parcel) }) : undefined;
  const who = await hired({ stage, place, ...how, ...(browser && { browser }) });
  await stage.load(parcel.delivery, who.sam.courier);
  const { stop_url } = await stage.leg(parcel.delivery, who.sam.courier);
  return { car, place, parcel, stop_url, browser, ...who };
}
/** As the courier sees it: the courier app, a stop on the route, over to the stop page. `allow` plays the owner otherwise. */
export async function fromTheApp({ stage, maker = 'volvo', order = {}, allow = null, ...how }) {
  const car = await stage.car(maker);
  const place = placeOf(car);
  const parcel = await stage.ship(order);
  await (allow ? allow(parcel, car) : stage.allow(parcel.delivery, car));
  const who = await hired({ stage, place, metres: 20, ...how });
  await stage.load(parcel.delivery, who.sam.courier);
  await setOut(who.page, who.sam);
  return { car, place, parcel, ...who };
}
/** Logs in at the courier app and sets out to the first car. */
export async function setOut(page, sam) {
  await page.goto(sam.link);
  await page.getByRole('link', { name: /Into a car/ }).first().click();
  await page.getByRole('button', { name: /^(Set out to this stop|Go on to the stop page)$/ }).click();
  await screen(page, 'start');
  await page.waitForSelector('[data-ready=true]');
}

export async function goTo(phone, place, metres) {
  phone.at = { place, metres };
  await phone.context.setGeolocation(north(place, metres));
}
/** A position that is new: an emulated phone that lies still says nothing, and old positions open nothing. */
export async function stepAside(phone) {
  phone.aside = !phone.aside;
  const { place, metres } = phone.at;
  await phone.context.setGeolocation(north(place, metres + (phone.aside ? 0.3 : 0)));
}
export async function pressOpen(phone, name = 'Open') {
  await stepAside(phone);
  await press(phone.page, name);
}
export async function type(page, label) {
  await page.locator('dialog input').fill(label);
  await page.locator('dialog form button').click();
}
/** Shows the place. From here on no request may carry it, and none may be for a map. */
export async function reveal(phone) {
  phone.revealed = phone.requests.length;
  await press(phone.page, 'Show the place');
  await screen(phone.page, 'go');
}
export async function scan(page, ...labels) {
  await press(page, 'Scan parcels');
  for (const label of labels) await type(page, label);
  await press(page, 'Done');
}
/** Opens the stop's link, shows the place, types the labels, presses Open. */
export async function untilOpenPressed(page, stop_url, parcel) {
  await page.goto(stop_url);
  await screen(page, 'start');
  await press(page, 'Show the place');
  await screen(page, 'go');
  await scan(page, ...parcel.labels);
  await press(page, 'Open');
}
export async function photograph(page) {
  await page.getByRole('button', { name: /^Take (a|another) photo$/ }).click();
  await press(page, 'Take the photo');
  await press(page, 'Use it');
  await page.getByText('Photo sealed for the owner').waitFor();
}
/** A hand shuts the lid, and the courier says so. */
export async function shut(page, stage, car) {
  await stage.hand(car, 'close_tailgate');
  await press(page, 'I have shut the lid');
}
/** From the lock to the courier app; looks at everything that was sent and at everything that is left. */
export async function backToTheApp(phone, stage, place, plate = PLATE) {
  const { page } = phone;
  await press(page, 'Next stop');
  await screen(page, 'over');
  await home(phone, stage, place, plate);
}
export async function home(phone, stage, place, plate = PLATE) {
  const { page } = phone;
  await page.getByRole('link', { name: 'Back to the courier app' }).click();
  await page.getByRole('heading', { name: 'Back from the stop' }).waitFor();
  await nobodyKnows(phone, stage, place, plate);
}

/** Digits of a place as they stand in texts and numbers, about a hundred (three) or ten (four) metres wide. */
export function digits(place, after) {
  // A car may stand at a rounder number: all of its digits then.
  const found = [place.lat, place.lng].map(String).filter((x) => x.length - x.indexOf('.') > 3);
  assert.ok(found.length > 0, 'a place too round to be looked for');
  return found.map((x) => x.slice(0, x.indexOf('.') + 1 + after));
}

/**
 * No request told the place in the clear, none to the carrier had place or plate, no map was asked for after the place was shown,
 * and the carrier's page, which is open now, has no key and no place: not in any storage, not in its heap.
 */
export async function nobodyKnows(phone, stage, place, plate = PLATE) {
  const { carrier, courier, ops } = await stage.state();
  const near = digits(place, 3);
  neverSent(phone.requests, 'http', near);
  for (const origin of [carrier, courier, ops]) neverSent(phone.requests, origin, [...near, plate, plate.replace(' ', '')]);
  noMapAfterThePlace(phone);
  assert.equal(new URL(phone.page.url()).origin, courier, 'the carrier’s page is open');
  const left = await holdings(phone);
  assert.equal(left.keys, 0, 'a key is in the carrier’s page');
  const needles = [...digits(place, 4), plate];
  for (const [where, text] of Object.entries(left.texts)) {
    for (const needle of needles) assert.ok(!text.includes(needle), `${needle} is in ${where} of the carrier’s page`);
  }
}

/** From the moment at which a place is shown no map is asked for; a page that is loaded anew knows none. */
export function noMapAfterThePlace(phone) {
  if (phone.revealed === undefined) return;
  const maps = phone.requests.slice(phone.revealed).filter((r) => MAP.test(r.url));
  assert.deepEqual(maps.map((r) => r.url), [], 'no map request after the place was shown');
}
/** The request arrives; what comes back is lost on the way. Answers with what nobody heard. */
export async function answerIsLost(route) {
  // Whoever asks for the page is no browser: it knows no names below localhost.
  const url = new URL(route.request().url());
  const headers = { ...route.request().headers(), host: url.host };
  url.hostname = '127.0.0.1';
  const answer = await route.fetch({ url: url.href, headers });
  await route.abort();
  return answer;
}
/** Loads the page anew, as a system does that has thrown it away. */
export async function thrownAway(phone) {
  noMapAfterThePlace(phone);
  phone.revealed = undefined;
  await phone.page.reload();
}

/** What the open page holds: keys in heap and storages by count, everything else as text. */
export async function holdings({ page, context }) {
  const cdp = await context.newCDPSession(page);
  try {
    // Before anything is evaluated in the page: what is looked for must not come there by the looking.
    const heap = await heapOf(cdp);
    // The snapshot has them, too: `Runtime.queryObjects` does not come back from some pages in newer browsers.
    const keys = countOf(heap, 'CryptoKey');
    const stored = await page.evaluate(storages);
    return { keys: keys + stored.keys, texts: { heap: heap.strings.join('\n'), ...stored.texts }, heldBy: (needle) => heldBy(heap, needle) };
  } finally {
    await cdp.detach();
  }
}
/** Runs in the page: localStorage, sessionStorage, every database, every cache but the app's own files. */
async function storages() {
  let keys = 0;
  const plain = (_, value) => {
    if (value instanceof CryptoKey) keys++;
    if (ArrayBuffer.isView(value)) return [...value].join(',');
    return value;
  };
  const texts = { localStorage: JSON.stringify({ ...localStorage }), sessionStorage: JSON.stringify({ ...sessionStorage }) };
  for (const { name } of await indexedDB.databases()) {
    const db = await new Promise((done) => (indexedDB.open(name).onsuccess = (e) => done(e.target.result)));
    for (const store of db.objectStoreNames) {
      const rows = await new Promise((done) => (db.transaction(store).objectStore(store).getAll().onsuccess = (e) => done(e.target.result)));
      texts[`database ${name}/${store}`] = JSON.stringify(rows, plain);
    }
    db.close();
  }
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    const requests = (await cache.keys()).filter((r) => !new URL(r.url).pathname.startsWith('/assets/'));
    texts[`cache ${name}`] = (await Promise.all(requests.map(async (r) => r.url + (await (await cache.match(r)).text())))).join('\n');
  }
  return { keys, texts };
}
