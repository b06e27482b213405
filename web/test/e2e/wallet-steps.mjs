// What an owner does in many tests, in the words of the page.

/** Presses a button or link by its name. */
export async function press(page, name, role = 'button') {
  await page.getByRole(role, { name, exact: true }).first().click();
}

export async function signedUp(page, wallet) {
  await page.goto(wallet);
  await press(page, 'Create my wallet');
  await page.getByRole('navigation').waitFor();
}

const MAKERS = { volvo: 'Volvo', onstar: 'Chevrolet, Buick, GMC and Cadillac' };

/** Links a car at its simulated maker, and stops at the car's page. */
export async function linked(page, wallet, car) {
  await page.goto(`${wallet}/cars/link`);
  await page.getByRole('radio', { name: MAKERS[car.maker] }).check();
  await press(page, 'Go to the maker');
  await atTheMaker(page, car);
  await page.getByRole('heading', { name: 'Your car is linked' }).waitFor({ timeout: 20_000 });
  await page.locator('main a[href^="/cars/"]').first().waitFor();
  await press(page, 'Go on', 'link');
  await page.getByText('This car can take part.').waitFor();
}

/** The maker's log-in page belongs to the simulator. */
async function atTheMaker(page, car) {
  await page.getByLabel('Owner').selectOption(car.owner);
  await press(page, car.maker === 'volvo' ? 'Allow' : 'Sign in');
}

/** Agrees, describes, proves possession. */
export async function carReady(page, stage, car) {
  for (const box of await page.getByRole('checkbox').all()) {
    const label = await box.evaluate((e) => e.labels?.[0]?.textContent ?? '');
    if (!label.includes('films')) await box.check();
  }
  await press(page, 'I agree');
  await page.getByText('Agreed.').waitFor();
  await page.getByLabel('Number plate').fill('KLM 482');
  await page.getByLabel('Colour').fill('blue');
  await page.getByLabel('Make and model').fill('Estate');
  await press(page, 'Save');
  await page.getByText('Saved, sealed.').waitFor();
  if (car.maker === 'volvo') await stage.hand(car, 'unlock_with_key');
  await press(page, 'I stand at the car');
  await carReady.doors(page, stage, car, page.getByText(/^Proved/).first());
  if (car.maker === 'volvo') await stage.hand(car, 'lock_with_key');
}

/** Opens and shuts each door that the page names, until `done` shows. A car without doors waits. */
carReady.doors = async (page, stage, car, done) => {
  const prompt = page.getByText(/^Open and shut: /);
  const waits = page.getByText('This car reports no doors.');
  let last = '';
  for (let tries = 0; tries < 400; tries++) {
    if (await done.isVisible()) return;
    if (await waits.isVisible()) await page.getByRole('button', { name: 'Look now' }).click();
    const named = (await prompt.isVisible().catch(() => false)) ? await prompt.textContent() : '';
    if (named && named !== last) {
      last = named;
      const door = DOORS[named.replace('Open and shut: ', '').trim()];
      if (door === 'lid') {
        await stage.hand(car, 'open_tailgate');
        await stage.hand(car, 'close_tailgate');
      } else {
        await stage.hand(car, 'open_door', { door });
        await stage.hand(car, 'close_door', { door });
      }
    }
    await page.waitForTimeout(150);
  }
  throw new Error(`possession was not proved; last asked for: ${last}`);
};
const DOORS = {
  'front left door': 'front_left',
  'front right door': 'front_right',
  'rear left door': 'rear_left',
  'rear right door': 'rear_right',
  'the tailgate': 'lid',
};

export async function allowed(page) {
  const button = page.getByRole('button', { name: 'Allow', exact: true });
  await page.waitForFunction(() => [...document.querySelectorAll('button')].some((b) => b.textContent?.trim() === 'Allow' && !b.disabled));
  await button.click();
  await page.getByText('Allowed.', { exact: true }).waitFor({ timeout: 20_000 });
}
