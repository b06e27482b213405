// The operations page: invitation and passkey, the board, a delivery, reassigning, the switch, who looked up whom.
import assert from 'node:assert/strict';
import { within } from './browser.mjs';

async function joined(stage, someone, role = 'lead', name = 'Alex Moreno') {
  const { url } = await stage.invite(name, role);
  const who = await someone({ width: 1280, height: 900 });
  who.expect(/401/);
  await who.page.goto(url);
  await who.page.getByRole('button', { name: 'Make the passkey' }).click();
  await who.page.getByRole('button', { name: 'Confirm and log in' }).click();
  await who.page.getByRole('heading', { name: 'Board' }).waitFor();
  return { who, url };
}

export default (test) => {
  test('an invitation makes one passkey; the passkey logs in, on this host alone', async ({ stage, someone, check }) => {
    const { url } = await stage.invite('Alex Moreno', 'lead');
    const { ops, courier } = await stage.state();
    const who = await someone({ width: 1280, height: 900 });
    who.expect(/401/);
    who.expect(/403/);
    const { page } = who;
    await page.goto(url);
    await page.getByRole('heading', { name: 'Make your passkey' }).waitFor();
    await check.screen(page, 'invitation');
    assert.ok(!page.url().includes('#'), 'the invitation does not stay in the address');
    await page.getByRole('button', { name: 'Make the passkey' }).click();
    await page.getByRole('button', { name: 'Confirm and log in' }).click();
    await page.getByRole('heading', { name: 'Board' }).waitFor();
    await page.getByRole('heading', { name: 'Loading, before departure' }).waitFor();
    await check.screen(page, 'a first board');
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('heading', { name: 'Log in' }).waitFor();
    await check.screen(page, 'log-in');
    await page.getByRole('button', { name: 'Log in with a passkey' }).click();
    await page.getByRole('heading', { name: 'Board' }).waitFor();
    // Used up.
    const other = await someone();
    other.expect(/40[13]/);
    await other.page.goto(url);
    await other.page.getByRole('button', { name: 'Make the passkey' }).click();
    await other.page.getByRole('button', { name: 'Confirm and log in' }).click();
    await other.page.getByText('This invitation is over or was used').waitFor();
    // The session of the one host is nothing on the other, and nothing without the page's own header.
    const there = await page.context().request.get(`${courier}/v1/ops/board`, { headers: { 'parcelshelf-session': 'cookie' } }).catch(() => null);
    assert.ok(!there || there.status() === 401);
    const plain = await page.evaluate(async (u) => (await fetch(`${u}/v1/ops/board`)).status, ops);
    assert.equal(plain, 401, 'a request without the header has no session');
  });

  test('the board; a delivery is given away, and looked up with a reason', async ({ stage, someone, check }) => {
    const { who } = await joined(stage, someone);
    const { page } = who;
    const [robin, kaya] = [await stage.hire('Robin Falk'), await stage.hire('Kaya Demir')];
    const shipped = await stage.ship({ recipient: 'Jordan Quist', fallback_address: '7 Quay Row' });
    await stage.allow(shipped.delivery, await stage.car('volvo'));
    await stage.load(shipped.delivery, robin.courier);
    const tail = shipped.labels[0].slice(-4);
    const row = page.getByRole('row', { name: new RegExp(tail) });
    await row.getByText('Robin Falk').waitFor();
    await check.screen(page, 'board');
    await row.getByRole('link').click();
    await page.getByRole('heading', { name: new RegExp(tail) }).waitFor();
    await page.getByText('The owner allowed it').waitFor();
    await check.screen(page, 'delivery');
    await page.getByLabel('Choose a courier').selectOption({ label: 'Kaya Demir' });
    await page.getByRole('button', { name: 'Give it' }).click();
    await page.getByText('It is on the other van').waitFor();
    const now = await stage.delivery(shipped.delivery, 'loaded');
    assert.equal(now.courier, kaya.courier);
    assert.equal(await page.getByText('Jordan Quist').count(), 0, 'nobody is shown unasked');
    await page.getByLabel('Why do you need it?').selectOption({ label: 'A complaint' });
    await page.getByRole('button', { name: 'Show it' }).click();
    await page.getByText('Jordan Quist').waitFor();
    await check.screen(page, 'looked up');
    await page.getByRole('link', { name: 'People' }).click();
    await page.getByText('A complaint').first().waitFor();
    await check.screen(page, 'people');
    await page.goBack();
    await page.getByLabel('Reason').selectOption({ label: 'Too late' });
    await page.getByRole('button', { name: 'Use the fallback' }).click();
    await page.getByText('The parcels take their fallback').waitFor();
    await stage.delivery(shipped.delivery, 'falling_back');
    // Answers hold no place, plate or VIN.
    const car = (await stage.state()).cars[0];
    check.neverSent(who.requests, 'http', [car.vin]);
  });

  test('the switch stops couriers who would set out', async ({ stage, someone, check }) => {
    const { who } = await joined(stage, someone, 'dispatcher', 'Sascha Vogt');
    const { page } = who;
    const robin = await stage.hire('Robin Lind');
    const shipped = await stage.ship();
    await stage.allow(shipped.delivery, await stage.car('volvo'));
    await stage.load(shipped.delivery, robin.courier);
    assert.equal(await page.getByRole('link', { name: 'People' }).count(), 0, 'a dispatcher invites nobody');
    await page.getByRole('button', { name: 'Stop setting out to cars' }).click();
    await check.screen(page, 'asked again');
    await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click();
    await page.getByText(/Stopped by Sascha Vogt/).waitFor();
    await check.screen(page, 'stopped');
    const courier = await someone();
    courier.expect(/409/);
    await courier.page.goto(robin.link);
    await courier.page.getByText('Operations has stopped deliveries into cars').waitFor();
    await courier.page.getByRole('link', { name: /Into a car/ }).click();
    await courier.page.getByRole('button', { name: 'Set out to this stop' }).click();
    await courier.page.getByText('Operations has stopped deliveries into cars.', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Let couriers set out again' }).click();
    await page.getByText('Couriers set out to cars').waitFor();
  }, { alone: true });

  test('a courier is hired; the code is shown once, and a new one ends the old', async ({ stage, someone, check }) => {
    const { who } = await joined(stage, someone);
    const { page } = who;
    await page.getByRole('link', { name: 'Couriers' }).click();
    await page.getByLabel('Name').fill('Noor Haddad');
    await page.getByRole('button', { name: 'Hire' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Shown once').waitFor();
    const code = await dialog.locator('code').textContent();
    await check.screen(page, 'a code');
    await dialog.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('heading', { name: 'Noor Haddad' }).waitFor();
    await check.screen(page, 'couriers');
    const { courier } = await stage.state();
    const noor = await someone();
    noor.expect(/401/);
    await noor.page.goto(`${courier}/#code=${code}`);
    await noor.page.getByRole('heading', { name: 'Route of Noor Haddad' }).waitFor();
    await page.getByRole('button', { name: 'New code for Noor Haddad' }).click();
    await dialog.getByRole('button', { name: 'New code' }).click();
    await dialog.getByText('Shown once').waitFor();
    await noor.page.reload();
    await noor.page.getByLabel('Your code').waitFor();
  });

  test('a car that is not proved locked is on the board until somebody takes care of it, by name', async ({ stage, someone, check }) => {
    const { who } = await joined(stage, someone, 'dispatcher', 'Ines Okoye');
    const { page } = who;
    const shipped = await stage.ship();
    const car = await stage.car('volvo');
    await stage.allow(shipped.delivery, car);
    // The bolt jams: the car closes and does not lock.
    await stage.hand(car, 'jam_lock');
    await stage.play(shipped.delivery);
    const exception = page.getByRole('listitem').filter({ hasText: shipped.labels[0].slice(-4) });
    await exception.getByText('alarm: not proved locked').waitFor(within(100_000));
    await check.screen(page, 'an alarm');
    await exception.getByRole('button', { name: 'I take care of it' }).click();
    await exception.getByText(/Ines Okoye takes care of it/).waitFor();
    await check.screen(page, 'taken care of');
    await exception.getByRole('link').click();
    await page.getByText('Somebody takes care').waitFor();
    await stage.hand(car, 'free_lock');
  });
};
