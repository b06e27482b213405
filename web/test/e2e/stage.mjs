// Everybody around the browser: the services and simulated makers, each a process of its own on ports of its own.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { PATIENCE } from './browser.mjs';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target');
const program = process.env.PARCELSHELF_BIN ?? join(target, 'debug/parcelshelf');
const START_MS = 60_000 * PATIENCE;

/** Starts everybody; `cars` of each maker wait to be linked. */
export async function startStage(cars = 80) {
  const dir = mkdtempSync(join(tmpdir(), 'parcelshelf-e2e-'));
  const child = spawn(program, ['demo', '--stage', String(cars), '--out', dir], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (bytes) => (said = (said + bytes).slice(-8_000)));
  const desk = await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`the stage did not start in time\n${said}`)), START_MS);
    child.once('exit', (code) => reject(new Error(`the stage ended with ${code}\n${said}`)));
    child.once('error', reject);
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.startsWith('{')) return;
      clearTimeout(late);
      resolve(JSON.parse(line).desk);
    });
  });
  return new Stage(child, desk, dir);
}

export class Stage {
  #child;
  #taken = new Set();

  constructor(child, desk, dir) {
    this.#child = child;
    this.desk = desk;
    this.dir = dir;
  }

  async #ask(path, body) {
    const options = body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const answer = await fetch(this.desk + path, options);
    const json = await answer.json();
    if (!answer.ok) throw new Error(`${path}: ${json.error ?? json.title ?? answer.status}`);
    return json;
  }
  /** Addresses, log-ins, cars, deliveries. */
  state() {
    return this.#ask('/state');
  }
  /** Ships parcels; the answer has `delivery`, `consent_url`, `labels`, `parcels`. */
  ship(order = {}) {
    return this.#ask('/parcels', order);
  }
  /** A car that nobody has linked: `{maker, vin, owner (the log-in), …}`. */
  async car(maker = 'volvo') {
    const car = (await this.state()).cars.find((c) => c.maker === maker && !this.#taken.has(c.vin));
    if (!car) throw new Error(`no ${maker} is left; start the stage with more cars`);
    this.#taken.add(car.vin);
    return car;
  }
  /** One more car at a maker, as its simulator takes it: `{owner, model_year, …}`. */
  async addCar(maker, file) {
    const { sims } = await this.state();
    const answer = await fetch(`${sims[maker]}/__sim/cars`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(file),
    });
    const { vin } = await answer.json();
    if (!answer.ok) throw new Error(`${maker} takes no car ${JSON.stringify(file)}`);
    this.#taken.add(vin);
    return (await this.state()).cars.find((c) => c.vin === vin);
  }
  /** What a maker's simulator has counted of a car: `unlocks`, `locks`, `tailgate_openings`, `position_reads`. */
  async counted(car) {
    const { sims } = await this.state();
    const { cars } = await (await fetch(`${sims[car.maker]}/__sim/summary`)).json();
    return cars.find((c) => c.vin === car.vin);
  }
  /** As it really is, whatever its maker's cloud says. */
  async look(car) {
    return (await this.state()).cars.find((c) => c.vin === car.vin);
  }
  hand(car, action, more = {}) {
    return this.#ask('/hands', { maker: car.maker, vin: car.vin, action: { action, ...more } });
  }
  /** `more`: `times`, `rate`, `after_s`, `slow_s`. */
  fault(car, command, fault, more = {}) {
    return this.#ask('/faults', { maker: car.maker, vin: car.vin, fault: { command, fault, ...more } });
  }
  /** The maker's cloud answers about this car as it should again. */
  async mend(car) {
    const { sims } = await this.state();
    await fetch(`${sims[car.maker]}/__sim/cars/${car.vin}/faults`, { method: 'DELETE' });
  }
  /** How many commands of this name arrived at the maker for this car, such as `unlock`. */
  async commands(car, command) {
    const { sims } = await this.state();
    const { cars } = await (await fetch(`${sims[car.maker]}/__sim/summary`)).json();
    return cars.find((c) => c.vin === car.vin).commands[command] ?? 0;
  }
  hire(name) {
    return this.#ask('/couriers', { name });
  }
  invite(name, role) {
    return this.#ask('/staff', { name, role });
  }
  /** An owner who is played: links this car, proves possession, allows the delivery. */
  allow(delivery, car, disclose) {
    return this.#ask('/owner', { delivery, maker: car.maker, vin: car.vin, ...(disclose && { disclose }) });
  }
  /** The depot scans what a phone shows. */
  certify(text, courier) {
    return this.#ask('/depot', { text, courier });
  }
  /** The courier sets out: `stop_url`. */
  leg(delivery, courier) {
    return this.#ask('/leg', { delivery, courier });
  }
  load(delivery, courier) {
    return this.#ask('/load', { delivery, courier });
  }
  /** Dispatch gives it to another courier, whoever has set out. */
  reassign(delivery, courier) {
    return this.#ask('/reassign', { delivery, courier });
  }
  route(courier, stops) {
    return this.#ask('/route', { courier, stops });
  }
  play(delivery) {
    return this.#ask('/play', { delivery });
  }
  /** Waits until the carrier says that a delivery is in one of these states. */
  async delivery(delivery, ...states) {
    return until(`${delivery} in state ${states.join(' or ')}`, async () => {
      const found = (await this.state()).deliveries.find((d) => d.delivery === delivery);
      return states.includes(found?.state) ? found : undefined;
    }, 20_000, 300);
  }

  /** Ends everybody; what they stored goes with them. */
  async stop() {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.removeAllListeners('exit');
    this.#child.once('exit', () => {});
    this.#child.kill('SIGTERM');
    const hard = setTimeout(() => this.#child.kill('SIGKILL'), 40_000);
    if (this.#child.exitCode === null) await Promise.race([ended, new Promise((r) => this.#child.once('exit', r))]);
    clearTimeout(hard);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Looks every 100 ms until there is something. */
export async function until(what, look, ms = 20_000, everyMs = 100) {
  const end = Date.now() + ms * PATIENCE;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
