// The owner plays courier once at the own car.
import assert from 'node:assert/strict';
import { within } from './browser.mjs';
import { keepsThePlaceSecret, openedSince, owns, press, standsAt } from './wallet-steps.mjs';

const GREY_DOT = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADklEQVR4nGNogAIGyhgAgIQgAQ2AJGEAAAAASUVORK5CYII=',
  'base64',
);

async function toTheRehearsal(page, wallet) {
  await page.goto(`${wallet}/cars`);
  await page.locator('main a.car').first().click();
  await press(page, 'Rehearse at the car', 'link');
  await page.getByRole('heading', { name: 'Rehearsal', level: 1 }).waitFor();
  await page.getByRole('button', { name: 'Open my car now' }).waitFor();
}

export default (test) => {
  test('opens the own car once, and sees it locked', async (t) => {
    const { stage, someone, check } = t;
    const owner = await someone();
    const { page } = owner;
    const { wallet, car, before } = await owns(t, owner);
    await toTheRehearsal(page, wallet);
    await check.screen(page, 'rehearsal');

    // Without a place, and from far away, nothing opens.
    await press(page, 'Open my car now');
    await page.getByText('Your browser did not say where you are.').waitFor();
    owner.expect(/409/);
    await standsAt(owner, wallet, car, 600);
    await press(page, 'Open my car now');
    await page.getByText('You are too far away from the car.').waitFor(within(20_000));
    await check.screen(page, 'rehearsal from afar');
    assert.equal(await openedSince(t, car, before), 0);

    await standsAt(owner, wallet, car);
    await press(page, 'Open my car now');
    await page.getByText('Pull the handle now').waitFor(within(20_000));
    await check.screen(page, 'rehearsal, pull');
    await stage.hand(car, 'open_tailgate');
    await page.getByText('It is open', { exact: true }).waitFor();
    await check.screen(page, 'rehearsal, open');
    await stage.hand(car, 'close_tailgate');
    // The car may tell that it is shut before the owner does.
    await page.getByRole('button', { name: 'I have shut the lid' }).click({ timeout: 2_000 }).catch(() => {});
    await page.getByText('It works: your car is locked').waitFor(within(30_000));
    await page.getByText('The car itself reported that it is locked.').waitFor();
    await page.getByText(/^Opening took/).waitFor();
    await check.screen(page, 'rehearsal, done');
    assert.ok((await stage.look(car)).shut_and_locked);
    assert.equal((await stage.counted(car)).tailgate_openings - before.tailgate_openings, 1);
    await press(page, 'To what was written about it', 'link');
    await page.getByText('About to be opened').waitFor();
    await keepsThePlaceSecret(stage, owner, car);
  });

  test('a car that does not tell: a photo and a hand at the handle', async (t) => {
    const { stage, someone, check } = t;
    const owner = await someone();
    const { page } = owner;
    const { wallet, car } = await owns(t, owner, 'onstar');
    await standsAt(owner, wallet, car);
    await toTheRehearsal(page, wallet);
    await press(page, 'Open my car now');
    await page.getByText('It is open', { exact: true }).waitFor(within(30_000));
    await stage.hand(car, 'open_tailgate');
    await stage.hand(car, 'close_tailgate');
    assert.ok(await page.getByRole('button', { name: 'I have shut the lid' }).isDisabled(), 'first the photo');
    await page.getByLabel('Take a photo of the shut lid').setInputFiles({ name: 'lid.png', mimeType: 'image/png', buffer: GREY_DOT });
    await page.getByText('The photo is sealed to you').waitFor();
    await check.screen(page, 'rehearsal, photo');
    await press(page, 'I have shut the lid');
    await page.getByText('Pull the handle once').waitFor(within(30_000));
    await press(page, 'It holds');
    await page.getByText('It works: your car is locked').waitFor(within(40_000));
    await page.getByText('the courier pulled the handle and took a photo').waitFor();
    await keepsThePlaceSecret(stage, owner, car);
  });
};
