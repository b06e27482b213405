// Several cars in one area: the carrier plans by areas, the order inside is found on the phone, from here, and shown as text.
import assert from 'node:assert/strict';
import { within } from './browser.mjs';
import { enrol, goTo, north, nobodyKnows, placeOf, PLATE, press, pressOpen, scan, screen, shut, thrownAway } from './courier-steps.mjs';

const rad = (deg) => (deg * Math.PI) / 180;
function metres(a, b) {
  const h = Math.sin(rad(b.lat - a.lat) / 2) ** 2 + Math.cos(rad(a.lat)) * Math.cos(rad(b.lat)) * Math.sin(rad(b.lng - a.lng) / 2) ** 2;
  return 2 * 6_371_008.8 * Math.asin(Math.sqrt(h));
}
const orders = (list) => (list.length < 2 ? [list] : list.flatMap((x) => orders(list.filter((y) => y !== x)).map((rest) => [x, ...rest])));

export default (test) => {
  test('three cars in one area, in the order that is shortest from here; the carrier learns outcomes alone', async (t) => {
    const { stage, someone, check } = t;
    const stops = [];
    for (let n = 0; n < 3; n++) {
      const car = await stage.car('volvo');
      const parcel = await stage.ship();
      await stage.allow(parcel.delivery, car, 'area');
      stops.push({ car, parcel, place: placeOf(car), tail: parcel.labels[0].slice(-4) });
    }
    const { stop, courier } = await stage.state();
    const sam = await stage.hire('Sam Rivera');
    const from = { lat: stops[0].place.lat - 60 / 111_195, lng: stops[0].place.lng };
    const phone = await someone({ place: north(from, 0), camera: true });
    const { page } = phone;
    await enrol(phone, stage, stop, sam);
    // On the van in an order of the carrier's, which knows no places.
    for (const { parcel } of [stops[2], stops[0], stops[1]]) await stage.load(parcel.delivery, sam.courier);
    await page.goto(sam.link);
    await page.getByRole('link', { name: /Into a car/ }).first().click();
    await press(page, 'Set out to all 3 stops of this area');
    await screen(page, 'list');
    await page.waitForSelector('[data-ready=true]');
    await check.screen(page, 'area-before');
    phone.revealed = phone.requests.length;
    await press(page, 'Show the places');
    await page.getByText('The shortest way from here', { exact: false }).waitFor(within(30_000));
    assert.equal(await page.getByText('Its place is not shown yet.').count(), 0, 'all are found before the order is called one');
    await check.screen(page, 'area');
    const tails = async () => (await page.locator('ol > li').allInnerTexts()).map((text) => /ends in (\w+)/.exec(text)[1]);
    const length = (list) => list.reduce(([sum, at], s) => [sum + metres(at, s.place), s.place], [0, from])[0];
    const best = orders(stops).sort((a, b) => length(a) - length(b))[0];
    assert.deepEqual(await tails(), best.map((s) => s.tail), 'the shortest of all six orders');
    await page.getByText(/60\s*m north of you/).waitFor();
    const asked = () => phone.requests.filter((r) => new URL(r.url).pathname.endsWith('/locate')).length;
    assert.equal(asked(), 3);

    // The first: opened, without asking for its place once more.
    const [first, second] = best;
    await goTo(phone, first.place, 15);
    await press(page, 'To this stop, 1');
    await screen(page, 'go');
    await page.getByText(PLATE).waitFor();
    await check.screen(page, 'area-stop');
    await scan(page, ...first.parcel.labels);
    await pressOpen(phone);
    await screen(page, 'pull');
    await stage.hand(first.car, 'open_tailgate');
    await screen(page, 'load');
    await shut(page, stage, first.car);
    await screen(page, 'released', 'locked');
    await press(page, 'Next stop');
    await press(page, 'To the other stops');
    await screen(page, 'list');
    assert.equal(asked(), 3);
    assert.ok(!(await tails()).includes(first.tail));

    // Put off, then given up.
    await press(page, 'To this stop, 1');
    await screen(page, 'go');
    await press(page, 'To the other stops');
    await screen(page, 'list');
    assert.equal((await tails()).length, 2);
    await press(page, 'To this stop, 1');
    await screen(page, 'go');
    await press(page, 'Problem');
    await press(page, 'It is not safe here');
    await screen(page, 'over');
    // Thrown away by the system before anything was pressed: what became of both stops is found again.
    await thrownAway(phone);
    await screen(page, 'list');
    assert.equal((await tails()).length, 1);
    assert.equal(asked(), 3, 'and no place is asked for by itself');
    await page.getByRole('link', { name: 'Back to the courier app' }).click();
    await page.getByText('Noted. What did not work goes elsewhere').waitFor();
    for (const { place } of stops) await nobodyKnows(phone, stage, place);
    const end = await stage.delivery(first.parcel.delivery, 'ended');
    assert.deepEqual(end.parcels.map((p) => p.state), ['placed']);
    const elsewhere = await stage.delivery(second.parcel.delivery, 'falling_back');
    assert.equal(elsewhere.parcels[0].reason, 'unsafe');
    assert.equal(new URL(page.url()).origin, courier);
  });

  test('a damaged list is refused in words', async (t) => {
    const { stage, someone, check } = t;
    const { stop } = await stage.state();
    const { page } = await someone();
    await page.goto(`${stop}/area#AAAA~x`);
    await screen(page, 'bad_link');
    await page.getByText('This address is damaged', { exact: false }).waitFor();
    await check.screen(page, 'area-damaged');
  });
};
