// What goes wrong at the kerb, and what must hold behind every story: the carrier's page learns an outcome and nothing else.
import assert from 'node:assert/strict';
import { within } from './browser.mjs';
import {
  answerIsLost, backToTheApp, enrol, fromTheApp, goTo, holdings, home, nobodyKnows, north, onTheWay, photograph, placeOf, PLATE, press, pressOpen, reveal, scan, screen,
  setOut, shut, stepAside, thrownAway,
} from './courier-steps.mjs';
import { allowed, carReady, linked, press as tap, signedUp } from './wallet-steps.mjs';

/** How a played owner's car opens, in the owner's words (crates/parcelshelf/src/people.rs). */
const WORDS = 'hand under the tailgate';

/** From the place to the open lid. */
async function opened({ phone, page, stage, car, parcel }) {
  await reveal(phone);
  await scan(page, ...parcel.labels);
  await pressOpen(phone);
  await screen(page, 'pull');
  await stage.hand(car, 'open_tailgate');
  await screen(page, 'load');
}

export default (test) => {
  test('from the courier app to the car and back: the carrier’s page learns an outcome alone', async (t) => {
    const { stage } = t;
    const { car, place, parcel, phone, page } = await fromTheApp(t);
    await opened({ phone, page, stage, car, parcel });
    // The same look finds both where they are: what it does not find elsewhere is not there.
    const here = await holdings(phone);
    assert.ok(here.keys >= 1, 'the device’s keys are in the stop page');
    assert.ok(here.texts.heap.includes(PLATE), 'the plate is in the stop page');
    assert.ok(here.texts.heap.includes(String(place.lat)), 'the place is in the stop page');
    await photograph(page);
    await shut(page, stage, car);
    await screen(page, 'released', 'locked');
    await press(page, 'Next stop');
    await screen(page, 'over');
    // Not in the heap either: what a garbage collector leaves is held by somebody.
    // The longitude is the phone's own, too, which is no secret from the phone.
    const gone = [PLATE, WORDS, String(place.lat)];
    for (const needle of gone) assert.ok(here.texts.heap.includes(needle), `${needle} was in the stop page`);
    const wiped = await holdings(phone);
    wiped.texts.page = await page.content();
    const kept = Object.entries(wiped.texts).flatMap(([where, text]) => gone.filter((n) => text.includes(n)).map((n) => `${n} in ${where}`));
    assert.deepEqual(kept, [], gone.map((needle) => [needle, ...wiped.heldBy(needle)].join('\n')).join('\n'));
    await home(phone, stage, place);
    await page.getByText('Done. The outcome is on its way').waitFor();
    const end = await stage.delivery(parcel.delivery, 'ended');
    assert.deepEqual(end.parcels.map((p) => p.state), ['placed']);
    assert.equal(await stage.commands(car, 'unlock'), 1);
  });

  test('the answer is lost and the car acts: seconds, what to do, and one command', async (t) => {
    const { stage, check } = t;
    const { car, place, parcel, phone, page } = await fromTheApp(t);
    await reveal(phone);
    await scan(page, ...parcel.labels);
    await stage.fault(car, 'unlock', 'connection_drop_acted');
    await pressOpen(phone);
    await screen(page, 'look');
    await press(page, 'It is shut');
    await screen(page, 'wait');
    await page.getByText(/It may still open until .* Keep the parcels with you/).waitFor();
    const seconds = async () => Number(await page.locator('.count').innerText());
    const first = await seconds();
    assert.ok(first > 0 && first <= 600, `${first} seconds`);
    await t.until('fewer seconds', async () => (await seconds()) < first);
    await check.screen(page, 'stop-wait');
    assert.equal(await page.getByRole('button', { name: 'Open', exact: true }).count(), 0, 'no second opening is offered');
    await press(page, 'Problem');
    await page.getByText('Not while the car may be open', { exact: false }).waitFor();
    await press(page, 'Cancel');
    // It had been armed all the time.
    await stage.hand(car, 'open_tailgate');
    await screen(page, 'load');
    await shut(page, stage, car);
    await screen(page, 'released', 'locked');
    assert.equal(await stage.commands(car, 'unlock'), 1, 'nothing was sent twice');
    await backToTheApp(phone, stage, place);
  });

  test('no answer to Open comes back: it may be open, a page loaded anew knows that, and nothing leaves twice', async (t) => {
    const { stage, check } = t;
    const { car, place, parcel, phone, page } = await fromTheApp(t);
    phone.expect(/Failed to load resource|ERR_FAILED/);
    await reveal(phone);
    await scan(page, ...parcel.labels);
    await page.route('**/v1/stops/*/open', answerIsLost);
    await pressOpen(phone);
    await screen(page, 'opening');
    await t.until('a command', async () => (await stage.commands(car, 'unlock')) === 1);
    await stage.hand(car, 'open_tailgate');
    const unanswered = page.getByText('It is not known whether it opened: no answer came.', { exact: false });
    await unanswered.waitFor(within(90_000));
    await screen(page, 'look');
    await check.screen(page, 'stop-unanswered');
    await press(page, 'Problem');
    await page.getByText('Not while the car may be open', { exact: false }).waitFor();
    await press(page, 'Cancel');
    await thrownAway(phone);
    await unanswered.waitFor();
    // The map is there before the place, though it is not shown here.
    await page.waitForSelector('[data-ready=true]', { state: 'attached' });
    await page.unroute('**/v1/stops/*/open');
    await stepAside(phone);
    phone.revealed = phone.requests.length;
    await press(page, 'Look again');
    await screen(page, 'load');
    await shut(page, stage, car);
    await screen(page, 'released', 'locked');
    assert.equal(await stage.commands(car, 'unlock'), 1, 'nothing was sent twice');
    await backToTheApp(phone, stage, place);
  });

  test('a page that is loaded anew without a network takes that the lid is shut, and says it later', async (t) => {
    const { stage, check } = t;
    const { car, place, parcel, phone, page } = await fromTheApp(t);
    phone.expect(/Failed to load resource|ERR_FAILED/);
    await opened({ phone, page, stage, car, parcel });
    // The page itself comes from the phone's memory; nobody answers it.
    await page.route('**/v1/**', (route) => route.abort());
    await thrownAway(phone);
    // What the car says nobody hears; what the courier sees is asked.
    await screen(page, 'look');
    await check.screen(page, 'stop-silent');
    await press(page, 'It is open');
    await screen(page, 'load');
    await shut(page, stage, car);
    await page.getByText('1 note waits for signal').waitFor();
    await page.unroute('**/v1/**');
    await screen(page, 'released', 'locked');
    assert.equal(await stage.commands(car, 'unlock'), 1);
    await backToTheApp(phone, stage, place);
  });

  test('a car that sleeps: seconds until it is awake, and no second command', async (t) => {
    const { stage, check } = t;
    const { car, place, parcel, phone, page } = await fromTheApp({ ...t, maker: 'onstar' });
    await reveal(phone);
    await scan(page, ...parcel.labels);
    await stage.hand(car, 'sleep');
    await pressOpen(phone);
    await screen(page, 'opening');
    await page.getByText('Some cars need up to a minute. Do not pull yet.').waitFor();
    await check.screen(page, 'stop-opening');
    const seconds = async () => Number(await page.locator('.count').innerText());
    await t.until('some seconds', async () => (await seconds()) >= 5);
    await page.waitForSelector('[data-screen=load]', within(120_000));
    await stage.hand(car, 'open_tailgate');
    await photograph(page);
    await shut(page, stage, car);
    await screen(page, 'handle');
    await check.screen(page, 'stop-handle');
    await press(page, 'It holds');
    await screen(page, 'locked');
    await backToTheApp(phone, stage, place);
  });

  test('a lid that is left open: nobody may go, the alarm after three minutes, and a proof ends it', async (t) => {
    const { stage, check } = t;
    const { car, place, parcel, phone, page } = await fromTheApp(t);
    await opened({ phone, page, stage, car, parcel });
    await press(page, 'I have shut the lid');
    await screen(page, 'locking');
    await page.getByText('The car says that the lid is still open', { exact: false }).waitFor(within(30_000));
    await check.screen(page, 'stop-still-open');
    assert.equal(await page.getByRole('button', { name: 'Next stop' }).count(), 0);
    await press(page, 'Problem');
    await page.getByText('Not while the car may be open', { exact: false }).waitFor();
    await press(page, 'Cancel');
    await page.waitForSelector('[data-screen=alarm]', within(240_000));
    await page.getByText('The lid has been open for three minutes. Shut it.').waitFor();
    await check.screen(page, 'stop-alarm');
    assert.equal(await page.getByRole('button', { name: 'Next stop' }).count(), 0);
    await shut(page, stage, car);
    await screen(page, 'locked');
    await backToTheApp(phone, stage, place);
  }, { ms: 330_000, aside: true });

  test('released after twenty seconds with a watch behind; the next stop calls back to a lid that is open', async (t) => {
    const { stage, check } = t;
    const { car, place, parcel, phone, page, sam } = await fromTheApp(t);
    const next = await stage.car('volvo');
    const second = await stage.ship();
    await stage.allow(second.delivery, next);
    await stage.load(second.delivery, sam.courier);
    await opened({ phone, page, stage, car, parcel });
    // From here on the maker's cloud does not tell lids and locks.
    await stage.fault(car, 'doors', '500', { times: 1_000 });
    const before = Date.now();
    await shut(page, stage, car);
    await screen(page, 'locking');
    await page.getByText(/You may go in/).waitFor();
    await screen(page, 'released');
    assert.ok(Date.now() - before >= 19_000, 'not before twenty seconds');
    await check.screen(page, 'stop-released');
    await press(page, 'Next stop');
    await screen(page, 'over');
    await home(phone, stage, place);
    await stage.delivery(parcel.delivery, 'ended');
    // Somebody opens it; then its cloud tells again.
    await stage.hand(car, 'unlock_with_key');
    await stage.hand(car, 'open_tailgate');
    await stage.mend(car);
    await goTo(phone, placeOf(next), 200);
    await setOut(page, sam);
    await page.getByText('Go back: the last car is not locked').waitFor(within(60_000));
    await check.screen(page, 'stop-behind');
    await press(page, 'To that stop');
    await screen(page, 'come_back');
    await page.getByText('The car is not locked. Shut the lid', { exact: false }).waitFor();
    await check.screen(page, 'stop-come-back');
    await shut(page, stage, car);
    await screen(page, 'locked');
    await press(page, 'Next stop');
    await screen(page, 'over');
    const { shut_and_locked } = await stage.look(car);
    assert.equal(shut_and_locked, true);
    // The way back to the courier app belongs to the stop that was left for this one.
    await page.goto(sam.link);
    await page.getByRole('heading', { name: /^Route of/ }).waitFor();
    phone.revealed = undefined;
    await nobodyKnows(phone, stage, place);
    await nobodyKnows(phone, stage, placeOf(next));
  }, { ms: 240_000 });

  for (const when of ['before it opens', 'while it is open', 'after it is locked']) {
    test(`the owner stops it at the stop, ${when}`, async (t) => {
      const { stage, someone, check } = t;
      const owner = await someone();
      const { wallet } = await stage.state();
      const allow = async (parcel, car) => {
        await signedUp(owner.page, wallet);
        await linked(owner.page, wallet, car);
        await carReady(owner.page, stage, car);
        await owner.page.goto(parcel.consent_url);
        await allowed(owner.page);
        await stage.delivery(parcel.delivery, 'accepted');
      };
      const { car, place, parcel, phone, page } = await fromTheApp({ ...t, allow });
      phone.expect(/409/);
      const stops = async () => {
        await owner.page.goto(`${wallet}/deliveries/${parcel.delivery}`);
        await tap(owner.page, 'Stop this delivery');
        await owner.page.getByText(/^You stopped this|^Stopped\. /).first().waitFor();
      };
      if (when === 'before it opens') {
        await reveal(phone);
        await scan(page, ...parcel.labels);
        await stops();
        await pressOpen(phone);
        await page.getByText('This cannot be done now, and not from here. Choose the fallback.').waitFor();
        await check.screen(page, 'stop-blocked');
        assert.equal(await stage.commands(car, 'unlock'), 0, 'no command has left');
        await press(page, 'Problem');
        await press(page, 'It does not open');
        await screen(page, 'over');
        await home(phone, stage, place, 'KLM 482');
        return;
      }
      await opened({ phone, page, stage, car, parcel });
      const again = page.getByRole('button', { name: /open once more/ });
      if (when === 'after it is locked') {
        await shut(page, stage, car);
        await screen(page, 'locked', 'released');
        await again.waitFor();
        await tap(owner.page, 'Stop');
        await tap(owner.page, 'Stop everything');
        await owner.page.getByText('Stopped. No command leaves any more.').waitFor();
        // The button goes by itself.
        await again.waitFor({ state: 'detached' });
        await backToTheApp(phone, stage, place, 'KLM 482');
        return;
      }
      await stops();
      // Locking is never refused, nor what shows how it was left.
      await photograph(page);
      await shut(page, stage, car);
      await screen(page, 'locked', 'released');
      await tap(owner.page, 'Show photos');
      // Not a frame only: the picture was fetched, opened with the owner's key and decoded.
      await owner.page.waitForFunction(() => [...document.images].some((image) => image.complete && image.naturalWidth > 1));
      // What was stopped is not opened once more, whatever was forgotten: it is not offered, and the keyholder would refuse.
      assert.equal(await again.count(), 0);
      assert.equal(await stage.commands(car, 'unlock'), 1, 'it is not opened once more');
      await backToTheApp(phone, stage, place, 'KLM 482');
    });
  }

  test('a link that is handed over after the leg began opens the stop all the same', async (t) => {
    const { stage } = t;
    const { car, place, parcel, phone, page, sam, stop_url } = await onTheWay({ ...t, metres: 20 });
    await setOut(page, sam);
    const fragment = (url) => new URL(url).hash.split('~').slice(0, 3).join('~');
    assert.equal(fragment(page.url()), fragment(stop_url), 'one leg has one link');
    await opened({ phone, page, stage, car, parcel });
    await shut(page, stage, car);
    await screen(page, 'released', 'locked');
    await backToTheApp(phone, stage, place);
  });

  test('a phone that dies with the lid open: another courier finds the car, shuts it, and says what became of it', async (t) => {
    const { stage, someone, check } = t;
    const { car, place, parcel, phone, page } = await fromTheApp(t);
    await opened({ phone, page, stage, car, parcel });
    // Gone, with everything on it.
    await page.close();
    const { stop } = await stage.state();
    const kaya = await stage.hire('Kaya Demir');
    const other = await someone({ place: north(place, 250), camera: true });
    other.at = { place, metres: 250 };
    await enrol(other, stage, stop, kaya);
    await stage.reassign(parcel.delivery, kaya.courier);
    await setOut(other.page, kaya);
    other.revealed = other.requests.length;
    await press(other.page, 'Show the place');
    await screen(other.page, 'come_back');
    await other.page.getByText('Another courier opened it', { exact: false }).waitFor();
    await other.page.getByText(/2[45]0\s*m away, south/).waitFor();
    await check.screen(other.page, 'stop-taken-over');
    // A page that is thrown away on the way there knows that it only shuts; it asks for the way once more.
    await thrownAway(other);
    await screen(other.page, 'come_back');
    await other.page.waitForSelector('[data-ready=true]');
    other.revealed = other.requests.length;
    await press(other.page, 'Show the way there');
    await other.page.getByText(/2[45]0\s*m away, south/).waitFor();
    await goTo(other, place, 3);
    await other.page.getByText('You are at the car').waitFor();
    assert.equal(await other.page.getByText(PLATE).count(), 0, 'the plate is for whoever opens');
    assert.equal(await other.page.getByRole('button', { name: /^Open/ }).count(), 0, 'nothing opens');
    // Said first: a car that is seen shut is locked without any phone, and the page goes on by itself.
    await press(other.page, 'I have shut the lid');
    await stage.hand(car, 'close_tailgate');
    await screen(other.page, 'released', 'locked');
    await other.page.getByText('Was everything where it belongs?').waitFor();
    await check.screen(other.page, 'stop-taken-over-locked');
    await press(other.page, 'Yes: done');
    await screen(other.page, 'over');
    await home(other, stage, place);
    const end = await stage.delivery(parcel.delivery, 'ended');
    assert.deepEqual(end.parcels.map((p) => p.state), ['placed']);
    assert.equal(await stage.commands(car, 'unlock'), 1, 'opened once');
    assert.equal((await stage.look(car)).shut_and_locked, true);
  });

  test('given to another courier on the way: the later link opens, the earlier one no more', async (t) => {
    const { stage, someone } = t;
    const { car, place, parcel, phone, page } = await fromTheApp(t);
    phone.expect(/403/);
    await reveal(phone);
    await scan(page, ...parcel.labels);
    const { stop } = await stage.state();
    const kaya = await stage.hire('Kaya Demir');
    const other = await someone({ place: north(place, 25), camera: true });
    other.at = { place, metres: 25 };
    await enrol(other, stage, stop, kaya);
    await stage.reassign(parcel.delivery, kaya.courier);
    await setOut(other.page, kaya);
    await pressOpen(phone);
    await page.getByText('This stop was given to another courier.').waitFor();
    assert.equal(await stage.commands(car, 'unlock'), 0);
    await opened({ phone: other, page: other.page, stage, car, parcel });
    await shut(other.page, stage, car);
    await screen(other.page, 'released', 'locked');
    await backToTheApp(other, stage, place);
  });
};
