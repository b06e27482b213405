// The whole way by keyboard alone: no pointer is used on any page of ours.
import assert from 'node:assert/strict';
import { within } from './browser.mjs';
import { choose, pressKey, tabTo, typeInto } from './keys.mjs';
import { carReady, keepsThePlaceSecret } from './wallet-steps.mjs';

export default (test) => {
  test('signs up, links, allows, stops and allows again by keyboard alone', async ({ stage, someone }) => {
    const owner = await someone({ width: 900 });
    const { page } = owner;
    const { wallet } = await stage.state();
    // Anything that clicks is a fault of this test.
    const clicks = [];
    await page.exposeFunction('clickedHere', (where) => clicks.push(where));
    await page.addInitScript(() => addEventListener('pointerdown', () => globalThis.clickedHere(location.href), true));
    await page.goto(wallet);
    await page.getByRole('button', { name: 'Create my wallet' }).waitFor();
    await pressKey(page, 'Create my wallet');
    await page.getByRole('navigation').waitFor();
    // The first stop of every page leads past the menu.
    await page.reload();
    await page.getByRole('heading', { level: 1 }).waitFor();
    await pressKey(page, 'Skip to the content');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'content');

    await page.reload();
    await page.getByRole('navigation').waitFor();
    await pressKey(page, 'Cars and doors');
    await page.getByRole('heading', { name: 'Cars and doors', level: 1 }).waitFor();
    await page.getByRole('link', { name: 'Link a car' }).waitFor();
    await pressKey(page, 'Link a car');
    const car = await stage.car('volvo');
    await page.getByRole('radio', { name: 'Volvo' }).waitFor();
    await choose(page, 'Volvo');
    await pressKey(page, 'Go to the maker');
    // The maker's page is the simulator's, not ours.
    await page.getByLabel('Owner').selectOption(car.owner);
    await page.getByRole('button', { name: 'Allow' }).press('Enter');
    await page.getByRole('heading', { name: 'Your car is linked' }).waitFor(within(20_000));
    await page.locator('main a[href^="/cars/"]').first().waitFor();
    await pressKey(page, 'Go on');
    await page.getByText('This car can take part.').waitFor();

    for (const box of await page.getByRole('checkbox').all()) {
      const label = await box.evaluate((e) => e.labels?.[0]?.innerText.trim().replace(/\s+/g, ' ') ?? '');
      if (label.includes('films')) continue;
      await tabTo(page, label);
      await page.keyboard.press('Space');
      assert.ok(await box.isChecked(), label);
    }
    await pressKey(page, 'I agree');
    await page.getByText('Agreed.').waitFor();
    await typeInto(page, 'Number plate', 'KLM 482');
    await typeInto(page, 'Colour', 'blue');
    await typeInto(page, 'Make and model', 'Estate');
    await pressKey(page, 'Save');
    await page.getByText('Saved, sealed.').waitFor();
    await stage.hand(car, 'unlock_with_key');
    await pressKey(page, 'I stand at the car');
    await carReady.doors(page, stage, car, page.getByText(/^Proved/).first());
    await stage.hand(car, 'lock_with_key');

    const parcel = await stage.ship();
    await page.goto(parcel.consent_url);
    await page.getByText('This is what the carrier learns').waitFor();
    await pressKey(page, 'Allow');
    await page.getByText('Allowed.', { exact: true }).waitFor(within(20_000));
    await pressKey(page, 'Follow this delivery');
    await page.getByRole('heading', { name: 'Fjord Books' }).waitFor();

    // Stop, from the bar: the dialog takes the focus, keeps it, and gives it back.
    await pressKey(page, 'Stop');
    await page.getByRole('dialog').waitFor();
    assert.ok(await page.evaluate(() => document.querySelector('dialog[open]').contains(document.activeElement)), 'the dialog has the focus');
    await pressKey(page, 'Stop everything', 'Space');
    await page.getByText('Stopped. No command leaves any more.').waitFor();
    await page.keyboard.press('Escape');
    assert.equal(await page.evaluate(() => document.activeElement?.textContent?.trim()), 'Stop', 'the focus is back');
    await page.getByText('You stopped this').waitFor();
    await pressKey(page, 'Settings');
    await page.getByText('Everything', { exact: true }).waitFor();
    await pressKey(page, 'Allow again');
    await page.getByText('Nothing is stopped.').waitFor();
    assert.deepEqual(clicks, [], 'no pointer was used');
    await keepsThePlaceSecret(stage, owner, car);
  });
};
