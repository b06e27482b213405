// What an owner allows in advance: made with a delivery, used by the carrier without asking, stopped one by one, and ended.
import assert from 'node:assert/strict';
import { pressKey, tabTo } from './keys.mjs';
import { allowed, keepsThePlaceSecret, owns, press } from './wallet-steps.mjs';

/** By which the carrier announces later ones. */
const ruleOf = async (stage, delivery) => (await stage.delivery(delivery, 'accepted')).rule;

export default (test) => {
  test('allows later ones too, sees each that is announced, stops one, ends the rule', async (t) => {
    const { stage, someone, check, until } = t;
    const owner = await someone();
    const { page } = owner;
    const { wallet, car } = await owns(t, owner);
    const first = await stage.ship();
    await page.goto(first.consent_url);
    await page.getByRole('heading', { name: 'And later ones?' }).waitFor();
    await page.getByLabel('Also allow later parcels from this sender, without asking me').check();
    for (const day of ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']) await page.getByLabel(day).check();
    await page.getByLabel('Not before').fill('00:00');
    await page.getByLabel('Not after').fill('23:59');
    await page.getByRole('heading', { name: 'What you allow in advance' }).waitFor();
    await page.getByText(/^00:00 to 23:59/).waitFor();
    await check.screen(page, 'a delivery, and later ones');
    await page.getByLabel('Until').fill('2020-01-01');
    await page.getByText(/^Choose at least one day/).waitFor();
    assert.ok(await page.getByRole('button', { name: 'Allow', exact: true }).isDisabled(), 'what cannot be is not signed');
    const inAWeek = new Date(Date.now() + 7 * 86_400_000).toISOString().slice(0, 10);
    await page.getByLabel('Until').fill(inAWeek);
    await allowed(page);
    const signed = owner.requests.find((r) => r.url.endsWith('/v1/rules'));
    const grant = JSON.parse(Buffer.from(JSON.parse(signed.body).grant.split('.')[1], 'base64url'));
    assert.deepEqual([grant.merchants, grant.schedule.from, grant.schedule.to], [['fjord-books'], '00:00', '23:59']);
    assert.ok(!('delivery' in grant) && !('request' in grant));

    // The day after tomorrow's is announced, and nobody asked the owner.
    const rule = await ruleOf(stage, first.delivery);
    const later = await stage.ship({ rule, in_days: 2 });
    await stage.delivery(later.delivery, 'accepted');
    await page.goto(`${wallet}/deliveries/${later.delivery}`);
    await page.getByText('Announced. You allowed it in advance').waitFor();
    await page.getByText('Announced by the carrier; you had allowed it in advance').waitFor();
    await check.screen(page, 'a delivery that was announced');
    await press(page, 'Stop this delivery');
    await page.getByText('You stopped this').waitFor();
    await stage.delivery(later.delivery, 'falling_back', 'ended');
    // One for the same day is asked for, as if there were no rule.
    const another = await stage.ship({ rule, in_days: 2 });

    await press(page, 'Allowed in advance', 'link');
    await page.getByRole('heading', { name: 'Allowed in advance', level: 1 }).waitFor();
    await page.getByText('In force').waitFor();
    await page.getByRole('heading', { name: 'Announced under it' }).waitFor();
    assert.equal(await page.locator('main li a[href^="/deliveries/"]').count(), 2);
    await check.screen(page, 'what is allowed in advance');
    await press(page, 'End this rule: Parcels from Fjord Books');
    await check.screen(page, 'end the rule?');
    await press(page, 'Yes, end it');
    await page.getByText(/^Ended\. /).waitFor();
    await page.getByText('Over', { exact: true }).waitFor();
    const late = await stage.ship({ rule, in_days: 3 });
    // Both wait for their owner, whatever the carrier names.
    await until('two that ask', async () => {
      const found = await Promise.all([another, late].map(({ delivery }) => stage.delivery(delivery, 'requested')));
      return found.length === 2;
    });
    await keepsThePlaceSecret(stage, owner, car);
  });

  test('ends a rule without a mouse, in German', async (t) => {
    const { stage, someone } = t;
    const owner = await someone();
    const { page } = owner;
    const { wallet } = await owns(t, owner);
    // Tomorrow's: what begins now may end on another date than it begins on.
    const first = await stage.ship({ in_days: 1 });
    await page.goto(first.consent_url);
    await page.getByRole('heading', { name: 'And later ones?' }).waitFor();
    await tabTo(page, 'Also allow later parcels from this sender, without asking me');
    await page.keyboard.press('Space');
    await page.getByLabel('Not before').fill('00:00');
    await page.getByLabel('Not after').fill('23:59');
    for (const day of ['Saturday', 'Sunday']) await page.getByLabel(day).check();
    await allowed(page);
    await page.goto(`${wallet}/rules?lang=de`);
    await page.getByRole('heading', { name: 'Im Voraus erlaubt', level: 1 }).waitFor();
    await pressKey(page, 'Diese Regel beenden: Pakete von Fjord Books');
    await pressKey(page, 'Ja, beenden');
    await page.getByText(/^Beendet\. 1 Lieferung/).waitFor();
  });
};
