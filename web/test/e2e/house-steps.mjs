// What is done at a household's garage in several stories: linked through its server, proved by hand.
import { within } from './browser.mjs';
import { press } from './wallet-steps.mjs';

/** The one house of the stage (crates/parcelshelf/src/demo/garage.rs). */
export const GARAGE = { maker: 'homeassistant-garage', vin: '0GARAGE0000000001' };
/** The front door of the same house (crates/simulator/src/homeassistant/front.rs). */
export const FRONT = { maker: 'homeassistant-door', vin: '0HALLWAY000000001' };
export const HOUSE = { lat: 60.169, lng: 24.941 };

/** Links the garage, or another door, as the user of the home server that was made for it. */
export async function doorLinked(page, wallet, look = () => {}, kind = 'A garage') {
  await page.goto(`${wallet}/cars/link`);
  await page.getByRole('radio', { name: `${kind}, through Home Assistant` }).check();
  await page.getByRole('heading', { name: 'Link a door' }).waitFor();
  await look('link a door');
  await press(page, 'Go to my home server');
  await page.locator('select').selectOption('keyholder');
  await page.getByRole('button').click();
  await page.getByRole('heading', { name: 'Your door is linked' }).waitFor(within(20_000));
  await page.locator('main a[href^="/cars/"]').first().waitFor();
  await press(page, 'Go on', 'link');
  await page.getByText('This door can take part.').waitFor();
}
/** Does by hand what the page asks for. */
export async function provedByHand(page, stage) {
  const done = page.getByText(/^Proved/).first();
  let last = '';
  for (let tries = 0; tries < 600; tries++) {
    if (await done.isVisible()) return;
    const asked = await page.locator('.prompt').textContent({ timeout: 500 }).catch(() => '');
    if (asked && asked !== last) {
      last = asked;
      const actions = asked.includes('Put a hand') ? ['block_doorway', 'clear_doorway'] : ['press_button'];
      for (const action of actions) await stage.hand(GARAGE, action);
    }
    await page.waitForTimeout(150);
  }
  throw new Error(`possession was not proved; last asked for: ${last}`);
}
