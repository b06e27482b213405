// When it goes wrong at the kerb, as the owner sees and stops it, with a real courier's page beside.
import assert from 'node:assert/strict';
import { within } from './browser.mjs';
import { goTo, screen, type, untilOpenPressed } from './courier-steps.mjs';
import {
  allowed, carReady, codeFor, courierFor, hasAllowed, keepsThePlaceSecret, linked, openedSince, owns, press, signedUp, withThePasskeysOf,
} from './wallet-steps.mjs';

/** What a courier reads who may not go on; which words they are is the stop page's affair. */
const NOT_HERE = /cannot be done now|stopped|Choose the fallback/;

export default (test) => {
  test('the owner stops it while a courier is on the way: nothing opens', async (t) => {
    const { stage, someone, check } = t;
    const owner = await someone();
    const { wallet, car, parcel, before } = await hasAllowed(t, owner);
    const { phone, page: courier, place, stop_url } = await courierFor(t, { car, parcel });
    await courier.goto(stop_url);
    await screen(courier, 'start');
    await courier.getByRole('button', { name: 'Show the place' }).click();
    await screen(courier, 'go');

    const { page } = owner;
    await page.goto(`${wallet}/deliveries/${parcel.delivery}`);
    await page.getByText('The courier now knows where your car stands').waitFor();
    await press(page, 'Stop this delivery');
    await page.getByText('You stopped this').waitFor();
    await check.screen(page, 'stopped during the approach');

    // The courier walks up, scans, presses Open: the keyholder says no, and no command leaves.
    phone.expect(/409/);
    await goTo(phone, place, 20);
    await courier.getByRole('button', { name: 'Scan parcels' }).click();
    await type(courier, parcel.labels[0]);
    await courier.getByRole('button', { name: 'Done' }).click();
    await courier.getByRole('button', { name: 'Open', exact: true }).click({ timeout: 10_000 }).catch(() => {});
    await courier.getByText(NOT_HERE).first().waitFor();
    assert.ok(!(await courier.content()).includes('KLM 482'), 'nor is the plate shown any more');
    await stage.hand(car, 'open_tailgate').then(
      () => assert.fail('the tailgate opened'),
      () => {},
    );
    assert.equal(await openedSince(t, car, before), 0);
    await page.getByText('You have stopped this. Allow it again if you want it.').waitFor(within(20_000));
    await keepsThePlaceSecret(stage, owner, car);
  });

  test('a second device reads everything and stops it; the first sees it', async (t) => {
    const { stage, someone, check } = t;
    const first = await someone({ passkey: { hasPrf: false } });
    const { wallet, car, parcel } = await hasAllowed(t, first);
    const code = await codeFor(first.page, wallet);
    const second = await someone({ passkey: { hasPrf: false } });
    await withThePasskeysOf(first, second);
    const { page } = second;
    // Without the key it can stop everything already, and says what it cannot.
    await page.goto(wallet);
    await press(page, 'I have a wallet');
    await page.getByText('This device cannot read your wallet yet.').waitFor();
    await page.getByRole('button', { name: 'Stop', exact: true }).waitFor();
    await check.screen(page, 'a device without the key');
    await page.goto(code);
    await page.getByText('This device is ready.').waitFor();
    await press(page, 'To my deliveries', 'link');
    await page.getByText('Fjord Books').first().click();
    await press(page, 'Stop this delivery');
    await page.getByText('You stopped this').waitFor();
    await first.page.goto(`${wallet}/deliveries/${parcel.delivery}`);
    await first.page.getByText('You stopped this').waitFor();
    await keepsThePlaceSecret(stage, second, car);
  });

  test('a car that cannot take part: why, and what to do', async (t) => {
    const { stage, someone, check } = t;
    const owner = await someone();
    const { page } = owner;
    const { wallet } = await stage.state();
    await signedUp(page, wallet);
    const old = await stage.addCar('volvo', {
      owner: `old-${Date.now()}@example.org`, model_year: 2012, latitude: 60.1695, longitude: 24.948,
    });
    await linked(page, wallet, old, 'This car cannot take part as it is.');
    await page.getByText('The car is older than model year 2015.').waitFor();
    await page.getByText('There is nothing you can do; another car may work.').waitFor();
    await check.screen(page, 'a car that cannot take part');
    assert.equal(await page.getByRole('button', { name: 'I stand at the car' }).count(), 0);
    await page.goto(`${wallet}/cars`);
    await page.getByText('Cannot take part').waitFor();
    const parcel = await stage.ship();
    await page.goto(parcel.consent_url);
    await page.getByText('None of your cars is ready.').waitFor();
    await check.screen(page, 'a request without a car');
    await keepsThePlaceSecret(stage, owner, old);
  });

  test('a car that sleeps when the courier stands at it: nothing opens, and the owner reads why', async (t) => {
    const { stage, someone, check } = t;
    const owner = await someone();
    const { page } = owner;
    const { wallet, car, parcel, before } = await hasAllowed(t, owner);
    const { phone, page: courier, stop_url } = await courierFor(t, { car, parcel }, 20);
    phone.expect(/409|503/);
    await courier.goto(stop_url);
    await screen(courier, 'start');
    await courier.getByRole('button', { name: 'Show the place' }).click();
    await screen(courier, 'go');
    await stage.hand(car, 'sleep');
    await courier.getByRole('button', { name: 'Scan parcels' }).click();
    await type(courier, parcel.labels[0]);
    await courier.getByRole('button', { name: 'Done' }).click();
    await courier.getByRole('button', { name: 'Open', exact: true }).click();
    await page.goto(`${wallet}/deliveries/${parcel.delivery}`);
    await page.getByText(/The car slept|the car could not be reached|could not reach the car/).first().waitFor(within(60_000));
    await check.screen(page, 'a car that sleeps');
    assert.equal(await openedSince(t, car, before), 0);
    await keepsThePlaceSecret(stage, owner, car);
  });

  test('it does not lock: the alarm, "lock now", and "I am at the car, it is locked"', async (t) => {
    const { stage, someone, check } = t;
    const owner = await someone();
    const { wallet, car, parcel } = await hasAllowed(t, owner);
    const { page: courier, stop_url } = await courierFor(t, { car, parcel }, 20);
    await untilOpenPressed(courier, stop_url, parcel);
    await screen(courier, 'pull');
    const { page } = owner;
    await page.goto(`${wallet}/deliveries/${parcel.delivery}`);
    await page.getByText('Your car is being opened').waitFor();
    await stage.hand(car, 'open_tailgate');
    await page.getByText('The lid is open', { exact: true }).waitFor();
    await check.screen(page, 'a lid that is open');
    await stage.hand(car, 'jam_lock');
    await stage.hand(car, 'close_tailgate');
    await screen(courier, 'load');
    await courier.getByRole('button', { name: 'I have shut the lid' }).click();
    await page.getByText('Please look at your car now').waitFor(within(130_000));
    await page.getByText('Locking did not work, although it was tried several times.').first().waitFor();
    await check.screen(page, 'an alarm');
    await page.goto(wallet);
    await page.getByText('Please look at your car').first().waitFor();
    await page.getByText('Fjord Books').first().click();
    // A person looks, and says so; whoever mends the bolt can still have it locked and proved.
    await press(page, 'I am at the car, it is locked');
    await page.getByText('Thank you. The alarm is closed.').waitFor();
    await check.screen(page, 'an alarm that is closed');
    await stage.hand(car, 'free_lock');
    await press(page, 'Lock now');
    await page.getByText('The car was asked to lock.').waitFor();
    await page.getByText('The car itself reported that it is locked.').first().waitFor(within(30_000));
    assert.ok((await stage.look(car)).shut_and_locked);
    await keepsThePlaceSecret(stage, owner, car);
  });

  test('stops one courier: the delivery stands, another may come', async (t) => {
    const { stage, someone, check } = t;
    const owner = await someone();
    const { page } = owner;
    const { wallet, car, parcel, before } = await hasAllowed(t, owner);
    const { phone, page: courier, stop_url } = await courierFor(t, { car, parcel });
    await courier.goto(stop_url);
    await courier.getByRole('button', { name: 'Show the place' }).click();
    await screen(courier, 'go');
    await page.goto(`${wallet}/deliveries/${parcel.delivery}`);
    await press(page, 'Stop this courier');
    await page.getByText('This courier is stopped').waitFor();
    await check.screen(page, 'a courier who is stopped');
    phone.expect(/409/);
    await courier.reload();
    await courier.getByRole('button', { name: 'Show the place' }).click();
    await courier.getByText(NOT_HERE).first().waitFor();
    await page.goto(`${wallet}/settings`);
    await page.getByText(/^A courier \(/).waitFor();
    await check.screen(page, 'settings with a courier who is stopped');
    await page.getByRole('button', { name: /^Allow again: A courier/ }).click();
    await page.getByText('Nothing is stopped.').waitFor();
    await courier.getByRole('button', { name: 'Show the place' }).click();
    await screen(courier, 'go');
    assert.equal(await openedSince(t, car, before), 0);
    await keepsThePlaceSecret(stage, owner, car);
  });

  test('a pause: nothing opens until the owner ends it', async (t) => {
    const { stage, someone, check } = t;
    const owner = await someone();
    const { page } = owner;
    const { wallet, car, parcel } = await hasAllowed(t, owner);
    const { phone, page: courier, stop_url } = await courierFor(t, { car, parcel });
    await page.goto(`${wallet}/settings`);
    const until = page.getByLabel('Until');
    await until.fill('2020-01-01T08:00');
    await press(page, 'Pause until then');
    await page.getByText('Choose a time that lies ahead').waitFor();
    const ahead = new Date(Date.now() + 86_400_000 - new Date().getTimezoneOffset() * 60_000);
    await until.fill(ahead.toISOString().slice(0, 16));
    await press(page, 'Pause until then');
    await page.getByText(/^Paused until/).waitFor();
    await page.getByText(/^Everything is paused until/).waitFor();
    await check.screen(page, 'settings with a pause');
    phone.expect(/409/);
    await courier.goto(stop_url);
    await courier.getByRole('button', { name: 'Show the place' }).click();
    await courier.getByText(NOT_HERE).first().waitFor();
    await press(page, 'End the pause');
    await page.getByRole('button', { name: 'Pause until then' }).waitFor();
    await courier.getByRole('button', { name: 'Show the place' }).click();
    await screen(courier, 'go');
    await keepsThePlaceSecret(stage, owner, car);
  });

  test('nobody can say whether it opened: the owner reads that, and that it can be locked', async (t) => {
    const { stage, someone, check } = t;
    const owner = await someone();
    const { page } = owner;
    const { wallet, car, parcel, before } = await hasAllowed(t, owner);
    const { page: courier, stop_url } = await courierFor(t, { car, parcel }, 20);
    await stage.fault(car, 'unlock', 'connection_drop_not_acted');
    await page.goto(`${wallet}/deliveries/${parcel.delivery}`);
    await untilOpenPressed(courier, stop_url, parcel);
    await screen(courier, 'look');
    await page.getByText('It is not certain whether your car opened').waitFor();
    await check.screen(page, 'nobody can say whether it opened');
    await courier.getByRole('button', { name: 'It is shut' }).click();
    // An unlock that may still act is not called off by anybody's word; the owner can have it locked at once.
    await page.waitForTimeout(3_000);
    await page.getByText('It is not certain whether your car opened').waitFor();
    await press(page, 'Lock now');
    await page.getByText('The car was asked to lock.').waitFor();
    assert.equal(await openedSince(t, car, before), 0);
    await keepsThePlaceSecret(stage, owner, car);
  });

  test('somebody else links the same car: who had it before sees that, refuses, and confirms', async (t) => {
    const { stage, someone, check } = t;
    const first = await someone();
    const { wallet, car } = await owns(t, first);
    // On this stage nobody has to wait, so that the link counts until somebody refuses it.
    const second = await someone();
    await signedUp(second.page, wallet);
    await linked(second.page, wallet, car);
    await carReady(second.page, stage, car);
    const { page } = first;
    await page.goto(`${wallet}/cars`);
    await page.locator('main a.car').first().click();
    await page.getByRole('heading', { name: 'Who else has linked this car' }).waitFor();
    await check.screen(page, 'who else has linked this car');
    await press(page, 'Refuse');
    await page.getByText('You refused it', { exact: true }).waitFor();
    await second.page.goto(`${wallet}/cars`);
    await second.page.getByText('Waits until its link is confirmed').waitFor();
    await check.screen(second.page, 'a link that was refused');
    await press(page, 'I know who that is');
    await page.getByText('You confirmed it', { exact: true }).waitFor();
    await second.page.goto(`${wallet}/cars`);
    await second.page.getByText('Ready', { exact: true }).waitFor();
    await keepsThePlaceSecret(stage, first, car);
    await keepsThePlaceSecret(stage, second, car);
  });
};
