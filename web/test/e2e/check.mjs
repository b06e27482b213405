// What holds for every screen: no finding of axe in both themes, nothing to scroll sideways at 320 px, a way to reach
// everything with the keyboard.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { within } from './browser.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

async function findings(page) {
  // Evaluated, not added as a script: the page's policy lets no foreign script in.
  await page.evaluate(axe);
  const { violations } = await page.evaluate((values) => globalThis.axe.run(document, { runOnly: { type: 'tag', values } }), RULES);
  return violations.map((v) => `${v.id}: ${v.help} (${v.nodes.map((n) => n.target.join(' ')).join('; ')})`);
}

/** Until nothing fades or slides any more: what turns for ever is no change, and stands still by then. */
async function stands(page) {
  await page.evaluate(async () => {
    const frames = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    await frames();
    const moving = document.getAnimations().filter((a) => a.effect?.getComputedTiming().endTime !== Infinity);
    // One that is taken away in the middle has ended, too.
    await Promise.all(moving.filter((a) => a.playState === 'running').map((a) => a.finished.catch(() => undefined)));
    await frames();
  });
}

/** Until no button waits for an answer. A screen that is meant to be busy for long is measured as it is. */
const rests = (page) => page.waitForFunction(() => !document.querySelector('[aria-busy=true]'), null, within(3_000)).catch(() => undefined);

/** Fails with everything that is wrong on this screen. */
export async function screen(page, name) {
  const wrong = [];
  const before = page.viewportSize();
  // What moves is not measured: half-faded text has half the contrast.
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await rests(page);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    // The browser repaints in its own time; half of each theme is no theme.
    await page.waitForFunction((scheme) => matchMedia(`(prefers-color-scheme: ${scheme})`).matches, colorScheme);
    await stands(page);
    for (const finding of await findings(page)) wrong.push(`${colorScheme}: ${finding}`);
  }
  await page.setViewportSize({ width: 320, height: 640 });
  const wide = await page.evaluate(() => {
    const { scrollWidth } = document.documentElement;
    if (scrollWidth <= innerWidth) return null;
    const out = [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5);
    return `${scrollWidth} px wide: ${out.slice(0, 3).map((e) => e.outerHTML.slice(0, 120)).join(' | ')}`;
  });
  if (wide) wrong.push(`at 320 px: ${wide}`);
  await page.setViewportSize(before);
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'no-preference' });
  if (wrong.length) throw new Error(`${name}:\n  ${wrong.join('\n  ')}`);
}

/** No request of these to this origin carries one of these texts. */
export function neverSent(requests, origin, texts) {
  for (const { method, url, body } of requests) {
    if (!url.startsWith(origin)) continue;
    for (const text of texts) {
      if (url.includes(text) || body.includes(text)) throw new Error(`${method} ${url} carries ${text}`);
    }
  }
}
