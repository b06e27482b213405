// Runs every *.e2e.mjs below this folder, or those whose name holds one of the arguments: one stage, one browser, people of
// their own for each test. Ends with one line, `N passed, N failed`, and status 1 if any failed.
import { mkdirSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as check from './check.mjs';
import { openBrowser, PATIENCE, person } from './browser.mjs';
import { startStage, until } from './stage.mjs';

const TEST_MS = 180_000;
/** At most so many may be played a second time. */
const SECOND_TRIES = Number(process.env.SECOND_TRIES ?? 2);
const AT_ONCE = Number(process.env.AT_ONCE ?? 1);
const here = fileURLToPath(new URL('.', import.meta.url));
const shots = fileURLToPath(new URL('../../../target/e2e', import.meta.url));
mkdirSync(shots, { recursive: true });
const wanted = process.argv.slice(2);
const files = readdirSync(here).filter((f) => f.endsWith('.e2e.mjs')).sort();
const tests = [];
for (const file of files) {
  if (wanted.length && !wanted.some((w) => file.includes(w))) continue;
  const { default: declare } = await import(`./${file}`);
  // `ms`: how long it may take; `aside`: it mostly waits; `alone`: it changes something for everybody.
  declare((name, run, { ms, aside, alone } = {}) => {
    // `ONLY='words|other words'` runs the tests whose name has one of these.
    if ((process.env.ONLY ?? '').split('|').some((words) => name.includes(words))) tests.push({ name: `${file.replace('.e2e.mjs', '')}: ${name}`, run, ms, aside, alone });
  });
}

const stage = await startStage();
const browser = await openBrowser();
let passed = 0;
let failed = [];
async function play(test) {
  const { name, run, ms = TEST_MS } = test;
  const people = [];
  const someone = async (options = {}) => {
    const who = await person(options.browser ?? browser, options);
    people.push(who);
    return who;
  };
  const began = Date.now();
  let timer;
  try {
    const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error('took too long')), ms * PATIENCE)));
    await Promise.race([run({ stage, someone, check, until, browser }), late]);
    const complaints = people.flatMap((p) => p.complaints());
    if (complaints.length) throw new Error(`the console is not clean:\n  ${complaints.join('\n  ')}`);
    passed++;
    console.log(`ok    ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed.push(test);
    console.log(`FAIL  ${name}\n${String(error.stack ?? error).replace(/^/gm, '      ')}`);
    const complaints = people.flatMap((p) => p.complaints());
    if (complaints.length) console.log(`      console: ${complaints.join('\n      ')}`);
    for (const [n, who] of people.entries()) {
      const shot = `${shots}/${name.replace(/[^a-z0-9]+/gi, '-')}-${n}.png`;
      await who.page?.screenshot({ path: shot, fullPage: true }).then(() => console.log(`      ${shot}`), () => {});
    }
  } finally {
    clearTimeout(timer);
    await Promise.all(people.map((p) => p.close().catch(() => {})));
  }
}
// A story that mostly waits is played beside the others; `AT_ONCE=2` plays two of those at a time. One that turns a
// switch for everybody is played alone.
const aside = tests.filter((t) => t.aside).map(play);
const together = tests.filter((t) => !t.aside && !t.alone);
const players = Array.from({ length: AT_ONCE }, async () => {
  for (let next = together.shift(); next; next = together.shift()) await play(next);
});
await Promise.all([...aside, ...players]);
for (const test of tests.filter((t) => t.alone)) await play(test);
// A story or two that failed beside others are played once more, alone: a machine that was busy is no fault of the project's. They
// are named all the same, for a story that needs this often hides something. Three that fail are no accident.
if (failed.length <= SECOND_TRIES) {
  const unsteady = failed;
  failed = [];
  for (const test of unsteady) await play(test);
  for (const { name } of unsteady.filter((t) => !failed.includes(t))) console.log(`unsteady: ${name}`);
}
await browser.close();
await stage.stop();
if (failed.length) console.log(`\nfailed: ${failed.map((t) => t.name).join('\n        ')}`);
console.log(`${passed} passed, ${failed.length} failed`);
process.exit(failed.length ? 1 : 0);
