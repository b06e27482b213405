// A household's garage, from the link to the photo that its owner sees: two browsers, real services, a simulated home server.
import assert from 'node:assert/strict';
import { within } from './browser.mjs';
import { answerIsLost, enrol, north, photograph, scan, screen } from './courier-steps.mjs';
import { doorLinked, GARAGE, HOUSE, provedByHand } from './house-steps.mjs';
import { allowed, press, signedUp } from './wallet-steps.mjs';

/** Somebody is invited on the owner's screen, paired by six digits, lets themselves in once, and is seen. */
async function invitesAGuest({ owner, stage, someone, check, wallet }) {
  const { page } = owner;
  const before = await stage.commands(GARAGE, 'open_cover');
  await page.goto(`${wallet}/cars`);
  await page.locator('main a[href^="/cars/"]').first().click();
  await press(page, 'Guests', 'link');
  await page.getByLabel('Name').fill('Anna');
  await press(page, 'Invite somebody');
  const link = (await page.locator('.link').textContent()).trim();
  await check.screen(page, 'an invitation');

  const guest = await someone({ place: north(HOUSE, 20) });
  await guest.page.goto(link);
  const digits = (await guest.page.locator('.digits').textContent()).replace(/\D/g, '');
  await check.screen(guest.page, 'six digits of a guest');
  // Whoever opens the same link on another phone is told, and has no digits to read out.
  const other = await someone({ place: north(HOUSE, 20) });
  other.expect(/\/answer\)/);
  await other.page.goto(link);
  await other.page.getByText('Another phone has answered this invitation already.').waitFor();

  await press(page, 'Type the digits');
  await page.getByLabel('Six digits').fill(digits === '123456' ? '654321' : '123456');
  await press(page, 'Let them in');
  await page.getByText('These are not the digits of the phone that answered.').waitFor();
  await page.getByLabel('Six digits').fill(digits);
  await check.screen(page, 'six digits at the owner');
  await press(page, 'Let them in');
  await page.getByText('May come', { exact: true }).waitFor(within(20_000));

  await guest.page.getByRole('heading', { name: 'You may come in' }).waitFor(within(20_000));
  await check.screen(guest.page, 'a guest who may come in');
  // The request arrives, and no answer comes back: nobody is told that it stayed shut, and a page loaded anew knows it, too.
  guest.expect(/Failed to load resource|ERR_FAILED/);
  await guest.page.route('**/v1/stops/*/open', answerIsLost);
  await press(guest.page, 'Open');
  await guest.page.getByText('No answer came: it may be open.', { exact: false }).waitFor(within(90_000));
  await check.screen(guest.page, 'a guest whom nobody has answered');
  await guest.page.unroute('**/v1/stops/*/open');
  await guest.page.reload();
  await guest.page.getByText('No answer came: it may be open.', { exact: false }).waitFor(within(20_000));
  assert.equal(await guest.page.getByRole('button', { name: 'Open', exact: true }).count(), 0, 'nothing is opened a second time');
  await press(guest.page, 'Look again');
  await guest.page.getByRole('heading', { name: 'It is open' }).waitFor(within(30_000));
  await check.screen(guest.page, 'a guest inside');
  await press(guest.page, 'Done: shut it');
  await guest.page.getByRole('heading', { name: 'Shut', exact: true }).waitFor(within(30_000));

  await press(page, 'See this visit', 'link');
  await page.getByRole('heading', { name: 'Guest: Anna' }).waitFor();
  await page.getByText('Done. Your door is shut').waitFor(within(60_000));
  assert.equal(await stage.commands(GARAGE, 'open_cover'), before + 1, 'one visit, one command');
}

/** Whoever stands at the door scans its code, says who they are, and is let in once; the owner has the photo. */
async function someoneKnocks({ owner, stage, someone, check, wallet }) {
  const { page } = owner;
  const before = await stage.commands(GARAGE, 'open_cover');
  await page.goto(`${wallet}/cars`);
  await page.locator('main a[href^="/cars/"]').first().click();
  await press(page, 'Guests', 'link');
  await press(page, 'Make a code');
  const code = (await page.locator('.link').last().textContent()).trim();
  await check.screen(page, 'a code for the door');

  const robin = await someone({ place: north(HOUSE, 20), camera: true });
  await robin.page.goto(code);
  await robin.page.getByRole('heading', { name: 'Say who is there' }).waitFor();
  await check.screen(robin.page, 'at a door');
  await robin.page.getByLabel('Who is there').fill('Robin, Postal Service');
  // The request arrives, and no answer comes back: asked again it is the same question, and the owner sees one person.
  robin.expect(/Failed to load resource|ERR_FAILED/);
  await robin.page.route('**/v1/door-signs/*/knocks', answerIsLost);
  await press(robin.page, 'Ask to be let in');
  await robin.page.getByText('No answer. Try again when there is signal.').waitFor(within(20_000));
  await check.screen(robin.page, 'at a door without an answer');
  await robin.page.unroute('**/v1/door-signs/*/knocks');
  await press(robin.page, 'Ask to be let in');
  await robin.page.getByRole('heading', { name: 'The owner is asked' }).waitFor();
  await check.screen(robin.page, 'somebody who has asked at a door');
  // A page that is loaded anew asks for nobody else.
  await robin.page.reload();
  await robin.page.getByRole('heading', { name: 'The owner is asked' }).waitFor();

  await page.goto(wallet);
  await page.getByText('Somebody stands at your door').waitFor(within(20_000));
  await check.screen(page, 'somebody is at the door');
  await press(page, 'See who', 'link');
  await page.getByRole('heading', { name: 'At your door: Robin, Postal Service' }).waitFor();
  assert.equal(await page.getByRole('heading', { name: /^At your door/ }).count(), 1, 'asked twice, one question');
  await check.screen(page, 'who is at the door');
  await press(page, 'Open once');

  await robin.page.getByRole('heading', { name: 'You may come in' }).waitFor(within(20_000));
  await press(robin.page, 'Open');
  await robin.page.getByRole('heading', { name: 'It is open' }).waitFor(within(30_000));
  await press(robin.page, 'Photo for the owner');
  await press(robin.page, 'Take the photo');
  await press(robin.page, 'Use it');
  await robin.page.getByText('The owner has the photo.').waitFor(within(20_000));
  await check.screen(robin.page, 'inside by a code');
  await press(robin.page, 'Done: shut it');
  await robin.page.getByRole('heading', { name: 'Shut', exact: true }).waitFor(within(30_000));
  // Tomorrow the same phone asks again.
  await robin.page.reload();
  await robin.page.getByRole('heading', { name: 'Say who is there' }).waitFor();

  await page.goto(wallet);
  await page.getByRole('link', { name: /Guest: Robin, Postal Service/ }).first().click();
  await page.getByText('Done. Your door is shut').waitFor(within(60_000));
  await press(page, 'Show photos');
  await page.getByAltText('Photo 1, taken by the courier').waitFor(within(20_000));
  assert.equal(await stage.commands(GARAGE, 'open_cover'), before + 1, 'one knock, one command');
  await page.goto(`${wallet}/cars`);
  await page.locator('main a[href^="/cars/"]').first().click();
  await press(page, 'Guests', 'link');
  await press(page, 'Make it worthless');
  await page.getByRole('button', { name: 'Make a code' }).waitFor();
  robin.expect(/Failed to load resource/);
  await robin.page.getByLabel('Who is there').fill('Robin');
  await press(robin.page, 'Ask to be let in');
  await robin.page.getByText('This code is not valid any more.').waitFor(within(20_000));
}

export default (test) => {
  test('a garage: linked, proved by hand, allowed; a parcel goes in, and its owner sees the photo; another courier shuts what the next one left open', async ({ stage, someone, check }) => {
    const owner = await someone();
    const { page } = owner;
    const { wallet, stop, carrier } = await stage.state();
    await signedUp(page, wallet);
    await doorLinked(page, wallet, (name) => check.screen(page, name));
    await check.screen(page, 'a door just linked');
    assert.equal(await page.getByText('What you agree to').count(), 0, 'a door is asked nothing that only a car has');
    await press(page, 'I stand at the door');
    await page.locator('.prompt').waitFor();
    await check.screen(page, 'a step at the door');
    await provedByHand(page, stage);
    await check.screen(page, 'a door that is ready');
    await page.goto(`${wallet}/cars`);
    await page.getByRole('heading', { name: 'Cars and doors' }).waitFor();
    await check.screen(page, 'doors');

    const parcel = await stage.ship();
    await page.goto(parcel.consent_url);
    await page.getByRole('heading', { name: 'Put it in your garage?' }).waitFor();
    await page.getByText('This is what the carrier learns').waitFor();
    await check.screen(page, 'allow at a house');
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
    await scan(phone.page, ...parcel.labels);
    const before = await stage.commands(GARAGE, 'open_cover');
    await press(phone.page, 'Open');
    await screen(phone.page, 'load');
    await check.screen(phone.page, 'inside a garage');
    await photograph(phone.page);
    await press(phone.page, 'I am out: shut it');
    await screen(phone.page, 'locked');
    await phone.page.getByText('The door itself says so.').waitFor();
    await press(phone.page, 'Next stop');
    await screen(phone.page, 'over');
    check.neverSent(phone.requests, carrier, [parcel.labels[0]]);

    await page.goto(`${wallet}/deliveries/${parcel.delivery}`);
    await page.getByText('Done. Your door is shut').waitFor(within(60_000));
    await press(page, 'Show photos');
    await page.getByAltText('Photo 1, taken by the courier').waitFor(within(20_000));
    // Asked for too early, the case is not ready; the page asks again.
    owner.expect(/\/bundle\)/);
    await press(page, 'Check now');
    await page.getByText(/In order: \d+ records, signed and in the log\./).waitFor(within(20_000));
    await check.screen(page, 'a delivery at a house that is done');
    await page.goto(wallet);
    await page.getByText('Done and shut').waitFor();
    assert.equal(await stage.commands(GARAGE, 'open_cover'), before + 1, 'one opening, one command');

    // One more, and a phone that dies while the door is open: whoever is sent after it has the door shut.
    const next = await stage.ship();
    await page.goto(next.consent_url);
    await page.getByText('This is what the carrier learns').waitFor();
    await allowed(page);
    await stage.delivery(next.delivery, 'accepted');
    await stage.load(next.delivery, sam.courier);
    const leg = await stage.leg(next.delivery, sam.courier);
    await phone.page.goto(leg.stop_url);
    await screen(phone.page, 'go');
    await scan(phone.page, ...next.labels);
    await press(phone.page, 'Open');
    await screen(phone.page, 'load');
    await phone.page.close();
    const kaya = await stage.hire('Kaya Demir');
    const other = await someone({ place: north(HOUSE, 20), camera: true });
    await enrol(other, stage, stop, kaya);
    await stage.reassign(next.delivery, kaya.courier);
    const after = await stage.leg(next.delivery, kaya.courier);
    await other.page.goto(after.stop_url);
    await screen(other.page, 'go');
    await press(other.page, 'It stands open already');
    await screen(other.page, 'come_back');
    await other.page.getByText('Another courier had it opened', { exact: false }).waitFor();
    await check.screen(other.page, 'a garage taken over');
    assert.equal(await other.page.getByText(/\b(car|lid|trunk)\b/i).count(), 0, 'no word speaks of a car');
    await press(other.page, 'I am out: shut it');
    await screen(other.page, 'locked');
    await press(other.page, 'Yes: done');
    await screen(other.page, 'over');
    assert.equal(await stage.commands(GARAGE, 'open_cover'), before + 2, 'and opens nothing');

    await invitesAGuest({ owner, stage, someone, check, wallet });
    await someoneKnocks({ owner, stage, someone, check, wallet });
  }, { ms: 360_000 });
};
