// Two who share a car: one stops everything for both, the other one can only ask, and hears no.
import assert from 'node:assert/strict';
import { allowed, carReady, linked, openedSince, owns, press, signedUp } from './wallet-steps.mjs';

export default (test) => {
  test('is stopped by one of two who share a car; the other asks, is told no, and sees it go on', async (t) => {
    const { stage, someone, check } = t;
    const kim = await someone();
    const alex = await someone();
    const { wallet, car } = await owns(t, kim);
    await signedUp(alex.page, wallet);
    await linked(alex.page, wallet, car);
    await carReady(alex.page, stage, car);
    const doors = await stage.counted(car);
    const parcel = await stage.ship();
    await kim.page.goto(parcel.consent_url);
    await allowed(kim.page);

    const sees = async ({ page }, text) => {
      await page.goto(`${wallet}/cars`);
      await page.locator('main a[href^="/cars/"]').first().click();
      await page.getByRole('heading', { name: 'Who uses this car too' }).waitFor();
      await page.getByText(text).first().waitFor();
    };
    // Alex sees that something was allowed, and nothing of what.
    await sees(alex, 'Another wallet of this car allowed a delivery or a service.');
    assert.equal(await alex.page.getByText('Fjord Books').count(), 0);
    await check.screen(alex.page, 'a car that two share');
    await press(alex.page, 'Stop everything, for everybody');
    await alex.page.getByText(/You stopped it, /).waitFor();

    await sees(kim, /Another wallet of this car stopped it, /);
    await check.screen(kim.page, 'a car that the other one has stopped');
    assert.equal(await kim.page.getByRole('button', { name: 'Let it go on' }).count(), 0, 'only whoever stopped lifts it');
    await press(kim.page, 'Ask that it goes on');
    await kim.page.getByText(/It was asked that it goes on/).waitFor();
    assert.equal(await kim.page.getByRole('button', { name: 'Ask that it goes on' }).count(), 0);

    await sees(alex, /Somebody asks that it goes on/);
    await check.screen(alex.page, 'a stop whose end was asked for');
    await press(alex.page, 'No, it stays stopped');
    await alex.page.getByText(/You said that it stays so/).waitFor();
    await sees(kim, /They keep it so/);
    await kim.page.goto(`${wallet}/cars`);
    await kim.page.getByText('Stopped', { exact: true }).waitFor();

    await press(alex.page, 'Let it go on');
    await alex.page.getByRole('button', { name: 'Stop everything, for everybody' }).waitFor();
    await sees(kim, 'Another wallet of this car let it go on.');
    assert.equal(await openedSince(t, car, doors), 0, 'nothing opened while it was stopped');
  });
};
