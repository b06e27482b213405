// A person without a mouse: everything with Tab, Shift+Tab, Enter, Space and arrows, and what has the focus must be seen.
import assert from 'node:assert/strict';

const STOPS_MAX = 80;

/** What has the focus: its name as a person reads it, and whether anything shows that it has it. */
async function focused(page) {
  return page.evaluate(() => {
    const e = document.activeElement;
    if (!e || e === document.body) return { name: '', seen: true, tag: 'body' };
    const label = e.getAttribute('aria-label') ?? e.labels?.[0]?.innerText ?? e.innerText ?? '';
    const { outlineStyle, outlineWidth } = getComputedStyle(e);
    const ring = outlineStyle !== 'none' && parseFloat(outlineWidth) > 0;
    const box = e.getBoundingClientRect();
    const inView = box.width > 0 && box.bottom > 0 && box.top < innerHeight;
    return { name: label.trim().replace(/\s+/g, ' '), seen: ring && inView, tag: e.tagName.toLowerCase() };
  });
}

/** Presses Tab until what is called so has the focus. Whatever has it on the way must be seen to have it. */
export async function tabTo(page, name) {
  const met = [];
  for (let stops = 0; stops < STOPS_MAX; stops++) {
    const at = await focused(page);
    if (at.name === name) return;
    await page.keyboard.press('Tab');
    const next = await focused(page);
    assert.ok(next.seen, `the focus on "${next.name}" (${next.tag}) cannot be seen`);
    met.push(next.name.slice(0, 40));
  }
  throw new Error(`"${name}" cannot be reached by Tab; met: ${met.join(' | ')}`);
}
/** Goes to a button or link and presses it. */
export async function pressKey(page, name, key = 'Enter') {
  await tabTo(page, name);
  await page.keyboard.press(key);
}
/** Goes to a field and types. */
export async function typeInto(page, name, text) {
  await tabTo(page, name);
  await page.keyboard.type(text);
}
/** Goes to a group of radio buttons and chooses one by arrows. */
export async function choose(page, name) {
  for (let stops = 0; stops < STOPS_MAX; stops++) {
    const at = await focused(page);
    if (at.name.startsWith(name)) return page.keyboard.press('Space');
    const isRadio = await page.evaluate(() => document.activeElement?.getAttribute('type') === 'radio');
    // Within a group Tab leaves it; the arrows go round in it.
    await page.keyboard.press(isRadio && stops % 8 !== 7 ? 'ArrowDown' : 'Tab');
  }
  throw new Error(`the choice "${name}" cannot be reached by keys`);
}
