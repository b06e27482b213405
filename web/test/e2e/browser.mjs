// Debian's Chromium with people in it: each has a context of their own, an authenticator, and a console that must be clean.
import { writeFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** How many times longer than on an idle machine everything may take: `PATIENCE=5 npm run e2e`. */
export const PATIENCE = Number(process.env.PATIENCE ?? 1);
/** How long something may take that takes longer than most: `waitFor(within(60_000))`. A time-out of a story's own comes from here alone. */
export const within = (ms) => ({ timeout: ms * PATIENCE });
/** What Chromium says about itself, not about our pages. */
const NOT_OURS = [/GPU stall due to ReadPixels/, /GroupMarkerNotSet/, /Automatic fallback to software WebGL/];

/** `camera`: a file of `video()` that the browser's camera shows. */
export async function openBrowser({ camera } = {}) {
  const args = ['--disable-gpu', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];
  if (camera) args.push(`--use-file-for-fake-video-capture=${camera}`);
  return chromium.launch({ executablePath, args: [...args, '--no-sandbox'] });
}

/**
 * Somebody at a screen. `place`: where the phone is ({latitude, longitude, accuracy}); `passkey`: options of the
 * authenticator (`{hasPrf: false}`, `{isUserVerified: false}`).
 */
export async function person(browser, { width = 412, height = 915, place, camera = false, passkey = {}, language = 'en-GB', theme = 'light' } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    locale: language,
    colorScheme: theme,
    permissions: [...(place ? ['geolocation'] : []), ...(camera ? ['camera'] : [])],
    ...(place && { geolocation: place }),
  });
  context.setDefaultTimeout(within(30_000).timeout);
  const who = new Person(context, passkey);
  await who.open();
  return who;
}

class Person {
  constructor(context, passkey) {
    this.context = context;
    this.passkey = passkey;
    /** What went wrong on any page: a test with one of these fails. */
    this.errors = [];
    /** Every request: method, address, body. */
    this.requests = [];
    /** Tests name what they provoke: a pattern of a console error that is expected. */
    this.expected = [];
  }
  async open() {
    const page = await this.context.newPage();
    page.on('console', (message) => {
      if (!['error', 'warning'].includes(message.type())) return;
      const text = `${message.text()} (${message.location().url})`;
      if (!NOT_OURS.some((p) => p.test(text))) this.errors.push(text);
    });
    page.on('pageerror', (error) => this.errors.push(String(error.stack ?? error)));
    page.on('request', (r) => this.requests.push({ method: r.method(), url: r.url(), body: r.postData() ?? '', proof: r.headers().dpop }));
    await this.#addAuthenticator(page);
    this.page = page;
    return page;
  }
  async #addAuthenticator(page) {
    const cdp = await this.context.newCDPSession(page);
    await cdp.send('WebAuthn.enable');
    const options = {
      protocol: 'ctap2',
      ctap2Version: 'ctap2_1',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
      hasPrf: true,
      ...this.passkey,
    };
    const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', { options });
    this.authenticator = { cdp, id: authenticatorId };
  }
  /** The same passkeys on another page of this person, as a synced passkey would be. */
  async openWithSamePasskeys() {
    const { cdp, id } = this.authenticator;
    const { credentials } = await cdp.send('WebAuthn.getCredentials', { authenticatorId: id });
    const page = await this.open();
    for (const credential of credentials) {
      await this.authenticator.cdp.send('WebAuthn.addCredential', { authenticatorId: this.authenticator.id, credential });
    }
    return page;
  }
  /** An error that this test provokes does not count. */
  expect(pattern) {
    this.expected.push(pattern);
  }
  complaints() {
    return this.errors.filter((e) => !this.expected.some((p) => p.test(e)));
  }
  close() {
    return this.context.close();
  }
}

/** Grey frames as a camera film: `rows` is a matrix of booleans (true = dark), such as a QR code. */
export function video(file, rows, { frames = 4, width = 640, height = 480 } = {}) {
  const cell = Math.floor(Math.min(width, height) / (rows.length + 8));
  const [left, top] = [(width - cell * rows.length) >> 1, (height - cell * rows.length) >> 1];
  const y = Buffer.alloc(width * height, 235);
  rows.forEach((row, r) => {
    row.forEach((dark, c) => {
      if (!dark) return;
      for (let line = 0; line < cell; line++) {
        const from = (top + r * cell + line) * width + left + c * cell;
        y.fill(16, from, from + cell);
      }
    });
  });
  const chroma = Buffer.alloc((width * height) / 2, 128);
  const parts = [Buffer.from(`YUV4MPEG2 W${width} H${height} F10:1 Ip A1:1 C420jpeg\n`)];
  for (let n = 0; n < frames; n++) parts.push(Buffer.from('FRAME\n'), y, chroma);
  writeFileSync(file, Buffer.concat(parts));
  return file;
}
