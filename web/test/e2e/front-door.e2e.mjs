// A parcel behind a front door: its camera is proved, somebody goes in and out, the owner looks on, and has every picture afterwards.
import assert from 'node:assert/strict';
import { within } from './browser.mjs';
import { enrol, north, photograph, scan, screen } from './courier-steps.mjs';
import { doorLinked, FRONT, HOUSE } from './house-steps.mjs';
import { allowed, press, signedUp } from './wallet-steps.mjs';

/** The number of the picture that is shown, and how many there are. */
async function pictureOf(page) {
  const text = await page.getByText(/^Picture \d+ of \d+/).textContent();
  return text.match(/\d+/g).slice(0, 2).map(Number);
}

export default (test) => {
  test('a front door: a camera that hangs opens nothing; mended it does, the owner looks on and has the recording', async ({ stage, someone, check, until }) => {
    const owner = await someone();
    const { page } = owner;
    const { wallet, stop } = await stage.state();
    await signedUp(page, wallet);
    await doorLinked(page, wallet, undefined, 'A front door');
    await press(page, 'I stand at the door');
    // On this stage nobody waits for 72 hours.
    await page.getByText('Look in again then.', { exact: false }).waitFor();
    await check.screen(page, 'a front door that waits');
    await press(page, 'Look now');
    await page.getByText(/^Proved/).first().waitFor(within(20_000));
    await check.screen(page, 'a front door that is ready');

    const parcel = await stage.ship();
    await page.goto(parcel.consent_url);
    await page.getByText('This is what the carrier learns').waitFor();
    await check.screen(page, 'allow behind a front door');
    assert.equal(await page.getByText(/\b(car|lid|trunk)\b/i).count(), 0, 'no word speaks of a car');
    await allowed(page);
    await stage.delivery(parcel.delivery, 'accepted');
    const sam = await stage.hire('Sam Rivera');
    const phone = await someone({ place: north(HOUSE, 20), camera: true });
    await enrol(phone, stage, stop, sam);
    await stage.load(parcel.delivery, sam.courier);
    const { stop_url } = await stage.leg(parcel.delivery, sam.courier);
    await phone.page.goto(stop_url);
    await screen(phone.page, 'go');
    await phone.page.getByText('A camera inside records', { exact: false }).waitFor();
    await check.screen(phone.page, 'before a front door');
    await scan(phone.page, ...parcel.labels);

    const before = await stage.commands(FRONT, 'unlock');
    await stage.hand(FRONT, 'freeze_camera');
    phone.expect(/\/open\)|409/);
    await press(phone.page, 'Open');
    await phone.page.getByRole('button', { name: 'Open', exact: true }).waitFor(within(60_000));
    await phone.page.getByRole('status').filter({ hasText: /./ }).first().waitFor(within(60_000));
    await check.screen(phone.page, 'a front door that does not open');
    await page.goto(`${wallet}/deliveries/${parcel.delivery}`);
    await page.getByText('The camera did not show what is there now', { exact: false }).waitFor(within(30_000));
    assert.equal(await stage.commands(FRONT, 'unlock'), before, 'nothing was told to the lock');
    await stage.hand(FRONT, 'mend_camera');

    await press(phone.page, 'Open');
    await screen(phone.page, 'pull');
    await check.screen(phone.page, 'a front door to be opened by hand');
    await stage.hand(FRONT, 'open_door');
    await screen(phone.page, 'load');
    await check.screen(phone.page, 'behind a front door');

    // While somebody is inside the newest picture follows by itself.
    await press(page, 'See it live');
    await page.getByAltText(/^Picture \d+ of \d+, seen by the camera behind the door/).waitFor(within(20_000));
    const [first] = await pictureOf(page);
    await until('a newer picture', async () => (await pictureOf(page))[0] > first);
    await check.screen(page, 'looking on');
    await photograph(phone.page);
    await stage.hand(FRONT, 'shut_door');
    await press(phone.page, 'I am out, and the door is shut');
    await screen(phone.page, 'locked');
    await check.screen(phone.page, 'a front door that is locked');
    await press(phone.page, 'Next stop');
    await screen(phone.page, 'over');
    assert.equal(await stage.commands(FRONT, 'unlock'), before + 1, 'one opening, one command');

    await page.reload();
    await press(page, 'Show the recording');
    await page.getByText(/^Picture 1 of \d+/).waitFor(within(20_000));
    const slider = page.getByRole('slider', { name: 'Which picture' });
    await slider.focus();
    await page.keyboard.press('End');
    const [, all] = await pictureOf(page);
    await page.getByText(`Picture ${all} of ${all}`).first().waitFor(within(20_000));
    assert.ok(all >= 4, `${all} pictures`);
    await page.keyboard.press('Home');
    await press(page, 'Play');
    await page.getByRole('button', { name: 'Pause' }).waitFor();
    await page.getByText(`Picture 3 of ${all}`).waitFor(within(20_000));
    await check.screen(page, 'a recording');
    await press(page, 'Show photos');
    await page.getByAltText('Photo 1, taken by the courier').waitFor(within(20_000));
  });
};
