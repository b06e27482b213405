// Drives a simulated cloud with a client package that others wrote for the real one.
//
// Run by `smartcarjs.rs` as a process of its own: `driver.cjs MODULES BASE OWNER`, where MODULES is the folder with the
// installed package and BASE the simulator's address. Prints one JSON object with what it saw; any surprise is an exception,
// so the exit code is not 0.
//
// The package takes the vendor's addresses from its environment, which is set here before it is loaded; anything that is
// missing there would lead to the real cloud, so every other address is refused. Nothing of the package is changed.
"use strict";

const { createRequire } = require("node:module");
const path = require("node:path");

const [modules, base, owner] = process.argv.slice(2);
const PERMISSIONS = ["read_vehicle_info", "read_vin", "read_location", "read_security", "control_security"];
const BACK = "http://localhost/callback";
Object.assign(process.env, {
  SMARTCAR_API_ORIGIN: base,
  SMARTCAR_AUTH_ORIGIN: base, // without a path
  SMARTCAR_API_V3_ORIGIN: base,
  SMARTCAR_CONNECT_ORIGIN: base,
  SMARTCAR_MANAGEMENT_API_ORIGIN: base,
  SMARTCAR_CLIENT_ID: "parcelshelf-demo",
  SMARTCAR_CLIENT_SECRET: "simulated-client-secret",
});

const seen = [];
const own = globalThis.fetch;
globalThis.fetch = (asked, options) => {
  const request = asked instanceof Request ? asked : new Request(asked, options);
  const url = new URL(request.url);
  if (url.origin !== base) throw new Error(`not an address of the simulator: ${url.origin}`);
  seen.push(`${request.method} ${url.pathname.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, "ID")}`);
  return own(asked, options);
};
const smartcar = createRequire(path.join(modules, "package.json"))("smartcar");

const json = (response) => {
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
  return response.json();
};
const post = (url, body) =>
  own(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
const errorOf = async (call) => {
  try {
    await call();
    return ["works"];
  } catch (told) {
    return [told.statusCode, told.type, told.code ?? null, told.resolution?.type ?? null];
  }
};

async function main() {
  const client = new smartcar.AuthClient({ redirectUri: BACK, mode: "test" });
  const address = new URL(client.getAuthUrl(PERMISSIONS, { state: "x", forcePrompt: true }));
  const page = new URL(address.pathname + address.search, base);
  page.searchParams.set("login_hint", owner);
  const answer = await own(page, { redirect: "manual" });
  const code = new URL(answer.headers.get("location")).searchParams.get("code");
  const first = await client.exchangeCode(code);
  const second = await client.exchangeRefreshToken(first.refreshToken);
  const stale = await errorOf(() => client.exchangeRefreshToken(first.refreshToken));
  const token = second.accessToken;

  const { vehicles, paging } = await smartcar.getVehicles(token);
  const vehicle = new smartcar.Vehicle(vehicles[0], token);
  const { vin } = await vehicle.vin();
  const control = `${base}/__sim/cars/${vin}`;
  const hand = async (action) => (await post(`${control}/hand`, { action })).status;
  const fault = async (command, name) => json(await post(`${control}/faults`, { command, fault: name }));

  const attributes = await vehicle.attributes();
  const { permissions } = await vehicle.permissions();
  const compatibility = await smartcar.getCompatibility(vin, ["control_security"], "SE");
  const location = await vehicle.location();
  const before = await vehicle.lockStatus();

  const forced = await hand("open_tailgate");
  const unlocked = await vehicle.unlock();
  const opened = await hand("open_tailgate");
  const whileOpen = await errorOf(() => vehicle.lock());
  const shut = await hand("close_tailgate");
  const locked = await vehicle.lock();
  const forcedAgain = await hand("open_tailgate");
  const after = await vehicle.lockStatus();

  await fault("unlock", "no_response_acted");
  const silent = await errorOf(() => vehicle.unlock());
  const openedAllTheSame = await hand("open_tailgate");
  await hand("close_tailgate");
  await vehicle.lock();
  await fault("lock", "account_suspended");
  const billing = await errorOf(() => vehicle.lock());

  const batch = await vehicle.batch(["/", "/location", "/security"]);
  const v3 = await smartcar.getVehicle(token, vehicles[0]);
  const car = await json(await own(control));
  const disconnected = await vehicle.disconnect();
  return {
    rotated: first.refreshToken !== second.refreshToken,
    stale,
    count: paging.count,
    vin,
    attributes: [attributes.make, attributes.model, attributes.year],
    permissions: permissions.sort(),
    capable: [compatibility.compatible, compatibility.capabilities[0].capable],
    location: [location.latitude, location.longitude, location.meta.dataAge instanceof Date],
    before: [before.isLocked, before.storage],
    hand_before_unlock: forced,
    unlock: unlocked.status,
    hand_after_unlock: opened,
    lock_while_open: whileOpen,
    hand_closes: shut,
    lock: locked.status,
    hand_after_lock: forcedAgain,
    after: after.isLocked,
    silent: [silent, openedAllTheSame],
    billing,
    batch: [batch.attributes().make, batch.location().latitude, batch.lockStatus().isLocked],
    v3: [v3.body.data.id === vehicles[0], v3.body.data.attributes.year],
    disconnected: disconnected.status,
    after_the_end: (await errorOf(() => vehicle.lock())).slice(0, 2),
    slashes: seen.filter((line) => line.endsWith("/")),
    car,
  };
}

main().then(
  (saw) => process.stdout.write(`${JSON.stringify(saw)}\n`),
  (why) => {
    console.error(why);
    process.exitCode = 1;
  },
);
