// Parcels: several, one that was forgotten, one that is fetched; and evidence that comes twice while an opening never does.
import assert from 'node:assert/strict';
import { within } from './browser.mjs';
import { answerIsLost, backToTheApp, fromTheApp, home, photograph, press, pressOpen, reveal, scan, screen, shut, type } from './courier-steps.mjs';

export default (test) => {
  test('two parcels: a wrong one stays outside, both are scanned, each has its outcome', async (t) => {
    const { stage, check } = t;
    const { car, place, parcel, phone, page } = await fromTheApp({ ...t, order: { parcels: 2 } });
    await reveal(phone);
    await press(page, 'Scan parcels');
    await type(page, parcel.labels[0]);
    await page.getByText('1 parcel still to scan').first().waitFor();
    await type(page, 'FJB00000000');
    await page.getByRole('dialog').getByText('Wrong parcel: it ends in 0000', { exact: false }).waitFor();
    await check.screen(page, 'stop-scan-two');
    await type(page, parcel.labels[1]);
    await page.getByText('All parcels scanned').first().waitFor();
    await press(page, 'Done');
    await pressOpen(phone);
    await screen(page, 'pull');
    await stage.hand(car, 'open_tailgate');
    await screen(page, 'load');
    await shut(page, stage, car);
    await screen(page, 'released', 'locked');
    await backToTheApp(phone, stage, place);
    const end = await stage.delivery(parcel.delivery, 'ended');
    assert.deepEqual(end.parcels.map((p) => p.state), ['placed', 'placed']);
  });

  test('one of two is missing: it goes elsewhere, the other is in the car', async (t) => {
    const { stage, check } = t;
    const { car, place, parcel, phone, page } = await fromTheApp({ ...t, order: { parcels: 2 } });
    await reveal(phone);
    await scan(page, parcel.labels[1]);
    await pressOpen(phone);
    await screen(page, 'pull');
    await stage.hand(car, 'open_tailgate');
    await screen(page, 'load');
    await shut(page, stage, car);
    await screen(page, 'released', 'locked');
    await press(page, 'Next stop');
    await page.getByText('1 parcel was not scanned: it goes elsewhere, as agreed.').waitFor();
    await check.screen(page, 'stop-over-missing');
    await home(phone, stage, place);
    await page.getByText('Noted. What did not work goes elsewhere').waitFor();
    const now = await stage.delivery(parcel.delivery, 'falling_back');
    assert.deepEqual(now.parcels.map((p) => [p.state, p.reason ?? null]), [['falling_back', 'missing_parcel'], ['placed', null]]);
  });

  test('the second parcel was forgotten: opened once more, and a third time only by the owner', async (t) => {
    const { stage, check } = t;
    const { car, place, parcel, phone, page } = await fromTheApp({ ...t, order: { parcels: 2 } });
    await reveal(phone);
    await scan(page, parcel.labels[0]);
    await pressOpen(phone);
    await screen(page, 'pull');
    await stage.hand(car, 'open_tailgate');
    await screen(page, 'load');
    await photograph(page);
    await shut(page, stage, car);
    await screen(page, 'locked');
    await check.screen(page, 'stop-forgotten');
    await press(page, 'Scan more');
    await type(page, parcel.labels[1]);
    await page.getByText('All parcels scanned').first().waitFor();
    await press(page, 'Done');
    await pressOpen(phone, 'A parcel was forgotten: open once more');
    await screen(page, 'pull');
    await stage.hand(car, 'open_tailgate');
    await screen(page, 'load');
    await shut(page, stage, car);
    await screen(page, 'locked');
    assert.equal(await stage.commands(car, 'unlock'), 2);
    await page.getByText('It was opened twice. Only the owner can allow it again.').waitFor();
    assert.equal(await page.getByRole('button', { name: /open once more/ }).count(), 0);
    // Two proofs in all: one for each opening that a person asked for.
    const proofs = phone.requests.filter((r) => r.method === 'POST' && new URL(r.url).pathname.endsWith('/open')).map((r) => r.proof);
    assert.equal(new Set(proofs).size, 2);
    await backToTheApp(phone, stage, place);
    const end = await stage.delivery(parcel.delivery, 'ended');
    assert.deepEqual(end.parcels.map((p) => p.state), ['placed', 'placed']);
  });

  test('a pick-up: taken out, and the courier app says so', async (t) => {
    const { stage, check } = t;
    const { car, place, parcel, phone, page } = await fromTheApp({ ...t, order: { direction: 'take' } });
    await page.getByText('Take out', { exact: false }).first().waitFor();
    await reveal(phone);
    await scan(page, ...parcel.labels);
    await pressOpen(phone);
    await screen(page, 'pull');
    await stage.hand(car, 'open_tailgate');
    await screen(page, 'load');
    await page.getByText('Take the parcels out').waitFor();
    await check.screen(page, 'stop-take');
    await photograph(page);
    await shut(page, stage, car);
    await screen(page, 'released', 'locked');
    await backToTheApp(phone, stage, place);
    const end = await stage.delivery(parcel.delivery, 'ended');
    assert.deepEqual(end.parcels.map((p) => p.state), ['taken']);
  });

  test('answers that are lost: photo and close come twice and count once, the opening is one proof', async (t) => {
    const { stage } = t;
    const { car, place, parcel, phone, page } = await fromTheApp(t);
    phone.expect(/Failed to load resource|ERR_/);
    // The first answer to each of these is lost on the way; the request has arrived.
    const lost = { open: 0, photos: 0, close: 0 };
    await phone.context.route(/\/v1\/stops\/[\w-]+\/(open|photos|close)$/, async (route) => {
      const what = new URL(route.request().url()).pathname.split('/').at(-1);
      if (lost[what]++ > 0) return route.continue();
      assert.ok((await answerIsLost(route)).ok());
    });
    await reveal(phone);
    await scan(page, ...parcel.labels);
    await pressOpen(phone);
    await screen(page, 'pull');
    await stage.hand(car, 'open_tailgate');
    await screen(page, 'load');
    await press(page, 'Take a photo');
    await press(page, 'Take the photo');
    await press(page, 'Use it');
    await page.getByText('it is sent when there is signal', { exact: false }).waitFor();
    await shut(page, stage, car);
    await page.getByText(/notes? waits? for signal/).first().waitFor();
    await page.getByText(/notes? waits? for signal/).first().waitFor({ state: 'detached', ...within(60_000) });
    await screen(page, 'released', 'locked');
    const sent = (what) => phone.requests.filter((r) => r.method === 'POST' && new URL(r.url).pathname.endsWith(`/${what}`));
    assert.equal(new Set(sent('open').map((r) => r.proof)).size, 1, 'the very same bytes were sent again');
    assert.ok(sent('open').length >= 2 && sent('photos').length >= 2 && sent('close').length >= 2);
    assert.equal(new Set(sent('photos').map((r) => r.body)).size, 1, 'one photo, sealed once');
    assert.equal(await stage.commands(car, 'unlock'), 1);
    await phone.context.unroute(/\/v1\/stops\/[\w-]+\/(open|photos|close)$/);
    await backToTheApp(phone, stage, place);
  });

  test('what a photo is: no note of camera or browser, padded before it is sealed', async (t) => {
    const { stage } = t;
    const { car, place, parcel, phone, page } = await fromTheApp(t);
    // Looks at what goes into the cipher, for nobody but the owner can look behind it.
    await page.evaluate(() => {
      const { encrypt } = SubtleCrypto.prototype;
      globalThis.sealed = [];
      SubtleCrypto.prototype.encrypt = function (algorithm, key, data) {
        globalThis.sealed.push(new Uint8Array(ArrayBuffer.isView(data) ? data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) : data.slice(0)));
        return encrypt.call(this, algorithm, key, data);
      };
    });
    await reveal(phone);
    await scan(page, ...parcel.labels);
    await pressOpen(phone);
    await screen(page, 'pull');
    await stage.hand(car, 'open_tailgate');
    await screen(page, 'load');
    await photograph(page);
    const { length, markers, header } = await page.evaluate(() => {
      const padded = globalThis.sealed.find((b) => b[4] === 0xff && b[5] === 0xd8);
      const size = new DataView(padded.buffer).getUint32(0);
      const jpeg = padded.slice(4, 4 + size);
      const markers = [];
      for (let at = 2; jpeg[at + 1] !== 0xda; at += 2 + ((jpeg[at + 2] << 8) | jpeg[at + 3])) markers.push(jpeg[at + 1]);
      const rest = padded.slice(4 + size);
      return { length: padded.length, markers, header: String.fromCharCode(...jpeg.slice(6, 10)) + rest.some((b) => b !== 0) };
    });
    assert.equal(length % 65_536, 0, 'padded');
    assert.equal(header, 'JFIFfalse', 'zeros behind the picture');
    assert.deepEqual(markers.filter((m) => (m >= 0xe1 && m <= 0xef) || m === 0xfe), [], 'no EXIF, profile, XMP, comment');
    assert.equal(markers.filter((m) => m === 0xe0).length, 1);
    await shut(page, stage, car);
    await screen(page, 'released', 'locked');
    await backToTheApp(phone, stage, place);
  });
};
