// Without a finger on the glass: a courier with a keyboard, and one with a hand scanner that types.
import assert from 'node:assert/strict';
import { enrol, fromTheApp, nobodyKnows, north, placeOf, press, pressOpen, reveal, screen, stepAside } from './courier-steps.mjs';

/** Tabs to what has this name, and presses a key there. Nothing that cannot be reached is pressed. */
async function go(page, name, key = 'Enter') {
  const nameOf = () =>
    page.evaluate(() => {
      const e = document.activeElement;
      // A view that has just come has the focus itself, and is nothing to press.
      if (!e || e === document.body || e.getAttribute('tabindex') === '-1') return '';
      return (e?.getAttribute('aria-label') ?? e?.labels?.[0]?.textContent ?? e?.textContent ?? '').replace(/\s+/g, ' ').trim();
    });
  const seen = [];
  for (let n = 0; n < 80; n++) {
    const here = await nameOf();
    if (typeof name === 'string' ? here === name : name.test(here)) {
      const visible = await page.evaluate(() => document.activeElement.matches(':focus-visible'));
      assert.ok(visible, `the focus on ${here} cannot be seen`);
      if (key) await page.keyboard.press(key);
      return;
    }
    seen.push(here.slice(0, 30));
    await page.keyboard.press('Tab');
  }
  throw new Error(`${name} cannot be reached by keyboard; on the way: ${[...new Set(seen)].join(' | ')}`);
}

/** As a hand scanner types: a key every five milliseconds by the keyboard's own clock, then Enter. */
async function scanner(who, text) {
  const cdp = await who.context.newCDPSession(who.page);
  const began = Date.now() / 1_000;
  for (const [n, key] of [...text, 'Enter'].entries()) {
    const one = { key, timestamp: began + n * 0.005, ...(key === 'Enter' ? { code: 'Enter', windowsVirtualKeyCode: 13, text: '\r' } : { text: key }) };
    await cdp.send('Input.dispatchKeyEvent', { type: 'keyDown', ...one });
    await cdp.send('Input.dispatchKeyEvent', { type: 'keyUp', key, timestamp: one.timestamp + 0.002 });
  }
  await cdp.detach();
}

export default (test) => {
  test('log-in, shift, stop, photo, lock and back by keyboard alone', async (t) => {
    const { stage, someone } = t;
    const car = await stage.car('volvo');
    const place = placeOf(car);
    const parcel = await stage.ship();
    await stage.allow(parcel.delivery, car);
    const { stop, courier } = await stage.state();
    const sam = await stage.hire('Sam Rivera');
    const phone = await someone({ place: north(place, 20), camera: true });
    const { page } = phone;
    phone.at = { place, metres: 20 };
    phone.expect(/401/);
    await enrol(phone, stage, stop, sam);
    await stage.load(parcel.delivery, sam.courier);

    await page.goto(courier);
    await page.getByLabel('Your code').waitFor();
    await go(page, /^Your code/, null);
    await page.keyboard.type(sam.code);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Route of Sam Rivera' }).waitFor();
    await go(page, 'Begin the shift');
    await page.getByText(/On shift since/).waitFor();
    await go(page, /Into a car/);
    await page.getByRole('button', { name: 'Set out to this stop' }).waitFor();
    await go(page, 'Set out to this stop');
    await screen(page, 'start');
    await page.waitForSelector('[data-ready=true]');
    phone.revealed = phone.requests.length;
    await go(page, 'Show the place');
    await screen(page, 'go');
    await go(page, 'Badge');
    await page.getByRole('heading', { name: 'Delivery with permission' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('heading', { name: 'Delivery with permission' }).waitFor({ state: 'detached' });
    await go(page, 'Scan parcels');
    await page.locator('dialog').waitFor();
    await go(page, /^Or type the label/, null);
    await page.keyboard.type(parcel.labels[0], { delay: 60 });
    await page.keyboard.press('Enter');
    await page.getByText('All parcels scanned').first().waitFor();
    await go(page, 'Done');
    await stepAside(phone);
    await go(page, 'Open');
    await screen(page, 'pull');
    await stage.hand(car, 'open_tailgate');
    await screen(page, 'load');
    await go(page, 'Take a photo');
    await page.getByRole('button', { name: 'Take the photo' }).and(page.locator(':enabled')).waitFor();
    await go(page, 'Take the photo');
    await page.getByRole('button', { name: 'Use it' }).waitFor();
    await go(page, 'Use it');
    await page.getByText('Photo sealed for the owner').waitFor();
    await stage.hand(car, 'close_tailgate');
    await go(page, 'I have shut the lid');
    await screen(page, 'released', 'locked');
    await go(page, 'Next stop');
    await screen(page, 'over');
    await go(page, 'Back to the courier app');
    await page.getByRole('heading', { name: 'Back from the stop' }).waitFor();
    await nobodyKnows(phone, stage, place);
    await go(page, 'To the route');
    await page.getByRole('heading', { name: 'Route of Sam Rivera' }).waitFor();
    await go(page, 'End the shift');
    await page.getByText('You are not on shift.').waitFor();
  });

  test('a hand scanner types wherever the courier is, and never presses a button', async (t) => {
    const { stage, check } = t;
    const { car, parcel, phone, page } = await fromTheApp({ ...t, order: { parcels: 2 } });
    // The first parcel in the van, before the place is asked for. The Enter of the scan must not press what has the focus.
    await page.getByRole('button', { name: 'Show the place' }).focus();
    await scanner(phone, parcel.labels[0]);
    await page.getByText('scanned', { exact: false }).first().waitFor();
    await page.waitForFunction(() => document.querySelectorAll('li.done').length === 1);
    assert.equal(await page.locator('.stop').getAttribute('data-screen'), 'start', 'the scan pressed nothing');
    await reveal(phone);
    await scanner(phone, 'FJB00000000');
    await page.getByText('Wrong parcel: it ends in 0000', { exact: false }).waitFor();
    await check.screen(page, 'stop-go-wrong');
    const open = page.getByRole('button', { name: 'Open', exact: true });
    await open.focus();
    await scanner(phone, parcel.labels[1].toLowerCase());
    await page.waitForFunction(() => document.querySelectorAll('li.done').length === 2);
    assert.equal(await stage.commands(car, 'unlock'), 0, 'the scan opened nothing');
    // In the sheet, too: it listens for itself, once.
    await pressOpen(phone);
    await screen(page, 'pull');
    await stage.hand(car, 'open_tailgate');
    await screen(page, 'load');
  });
};
