// How long until a person on a slow phone sees the first delivery: the stop page from a courier's link, the wallet at its start.
// Real services, real browser; the phone is slowed down (processor, bandwidth, round trip). It prints what it measured and fails
// only if a page shows nothing at all: figures are for people, who know how busy their machine is.
//
//   npm run build && npm run bench:first            # RUNS=7 by default
import { loadavg } from 'node:os';
import { openBrowser, person } from '../e2e/browser.mjs';
import { onTheWay } from '../e2e/courier-steps.mjs';
import { startStage } from '../e2e/stage.mjs';
import { allowed, carReady, linked, signedUp } from '../e2e/wallet-steps.mjs';

const RUNS = Number(process.env.RUNS ?? 7);
const GOAL_MS = 1_000;
const SLOW = { cpu: 4, bitsPerSecond: 1_600_000, roundTripMs: 150 };
const LATE_MS = 60_000;

/** Runs in the page before anything of it: when each of these was first painted, in ms since the navigation began. */
function watch(wanted) {
  const seen = (globalThis.firstSeen = {});
  const look = () => {
    for (const [name, selector] of Object.entries(wanted)) {
      if (seen[name] !== undefined || !document.querySelector(selector)) continue;
      seen[name] = null;
      requestAnimationFrame(() => setTimeout(() => (seen[name] = performance.now())));
    }
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ['data-screen'] });
}

const slowed = async (cdp) => {
  await cdp.send('Network.enable');
  const bytes = SLOW.bitsPerSecond / 8;
  await cdp.send('Network.emulateNetworkConditions', { offline: false, latency: SLOW.roundTripMs, downloadThroughput: bytes, uploadThroughput: bytes });
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: SLOW.cpu });
};
const asItIs = async (cdp) => {
  await cdp.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: 1 });
};

/** One navigation. Cold: no file of the app on the device; what a person has there (keys, sessions, lists) stays. */
async function once(page, cdp, url, names, cold) {
  if (cold) {
    await page.evaluate(async () => {
      for (const registration of await navigator.serviceWorker.getRegistrations()) await registration.unregister();
      for (const name of await caches.keys()) await caches.delete(name);
    });
    await cdp.send('Network.clearBrowserCache');
  }
  await page.goto('about:blank');
  await slowed(cdp);
  try {
    await page.goto(url, { waitUntil: 'commit', timeout: LATE_MS });
    await page.waitForFunction((all) => all.every((n) => globalThis.firstSeen?.[n]), names, { timeout: LATE_MS });
    return await page.evaluate(() => ({ ...globalThis.firstSeen }));
  } finally {
    await asItIs(cdp);
  }
}
async function measured(who, url, wanted) {
  const { page, context } = who;
  const cdp = await context.newCDPSession(page);
  await page.addInitScript(watch, wanted);
  await page.goto(url);
  await page.evaluate(() => navigator.serviceWorker.ready);
  // What is fetched at idle belongs to the warm state.
  await page.waitForTimeout(3_000);
  const results = {};
  for (const kind of ['cold', 'warm']) {
    for (let n = 0; n < RUNS; n++) {
      const seen = await once(page, cdp, url, Object.keys(wanted), kind === 'cold');
      for (const [name, ms] of Object.entries(seen)) (results[`${kind}, ${name}`] ??= []).push(ms);
      await page.waitForTimeout(1_500);
    }
  }
  return results;
}
/** What no page can go below: an icon of the same host, on the same slow phone. */
async function floor(who, origin) {
  const page = await who.context.newPage();
  const cdp = await who.context.newCDPSession(page);
  const all = [];
  for (let n = 0; n < RUNS; n++) {
    await page.goto('about:blank');
    await cdp.send('Network.clearBrowserCache').catch(() => {});
    await slowed(cdp);
    await page.goto(`${origin}/healthz`);
    all.push(await page.evaluate(() => performance.getEntriesByType('navigation')[0].responseEnd));
    await asItIs(cdp);
  }
  await page.close();
  return all;
}

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
function tell(name, list) {
  const all = [...list].sort((a, b) => a - b).map((ms) => Math.round(ms));
  console.log(`  ${name.padEnd(34)} ${String(Math.round(median(list))).padStart(6)} ms   (${all.join(' ')})`);
}

const stage = await startStage(8);
const browser = await openBrowser();
const people = [];
const someone = async (options = {}) => {
  const who = await person(options.browser ?? browser, options);
  people.push(who);
  return who;
};
try {
  console.log(`first delivery shown: ${SLOW.cpu} times slower processor, ${SLOW.bitsPerSecond / 1e6} Mbit/s, ${SLOW.roundTripMs} ms round trip`);
  console.log(`median of ${RUNS} (all of them), since the navigation began, until painted; goal ${GOAL_MS} ms; load of this machine ${loadavg()[0].toFixed(1)}`);
  console.log('HTTP/1.1 without TLS on this machine; the processor is slowed for the page, not for its service worker\n');

  const { phone, stop_url } = await onTheWay({ stage, someone, metres: 400 });
  const { stop, wallet } = await stage.state();
  console.log('stop page, from a link: parcels in the first view, then the page that can ask for the place');
  tell('floor: /healthz of this host', await floor(phone, stop));
  const onStop = await measured(phone, stop_url, { shown: '.first-view li, .stop li', 'can be used': '.stop[data-screen=start]' });
  for (const [name, list] of Object.entries(onStop)) tell(name, list);

  const owner = await someone();
  await signedUp(owner.page, wallet);
  const car = await stage.car('volvo');
  await linked(owner.page, wallet, car);
  await carReady(owner.page, stage, car);
  const shipped = await stage.ship();
  await owner.page.goto(shipped.consent_url);
  await allowed(owner.page);
  console.log('\nwallet, at its start: a delivery in the list of what this device knew, then the list as it is now');
  tell('floor: /healthz of this host', await floor(owner, wallet));
  const onWallet = await measured(owner, `${wallet}/`, { shown: 'a[href^="/deliveries/"]', 'can be used': 'nav' });
  for (const [name, list] of Object.entries(onWallet)) tell(name, list);
} finally {
  await Promise.all(people.map((p) => p.close().catch(() => {})));
  await browser.close();
  await stage.stop();
}
