// Drives a simulated cloud with a client package that strangers wrote for the real one.
//
// Run by `onstarjs2.rs` as a process of its own: `driver.cjs MODULES BASE OWNER FOLDER`, where MODULES is the folder with the
// installed package, BASE the simulator's address, FOLDER an empty folder for the tokens that the package keeps. Prints one
// JSON object with what it saw; any surprise is an exception, so the exit code is not 0.
//
// The package knows the maker's addresses by heart. An interceptor on the HTTP library that it uses sends what is meant for
// those to BASE and refuses every other address, so nothing here can reach a real cloud. Nothing of the package is changed.
"use strict";

const { createRequire } = require("node:module");
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const MAKERS_HOSTS = new Set(["na-mobile-api.gm.com", "custlogin.gm.com"]);
const CLIENT_ID = "3ff30506-d242-4bed-835b-422bf992622e";
const REDIRECT = "msauth.com.gm.myChevrolet://auth";
const POLICY = "/gmb2cprod.onmicrosoft.com/b2c_1a_seamless_mobile_signuporsignin";

const [modules, base, owner, folder] = process.argv.slice(2);
// The package talks a lot; what this prints is JSON.
console.log = console.info = (...words) => console.error(...words);

const of_package = createRequire(path.join(modules, "package.json"));
const axios = createRequire(of_package.resolve("onstarjs2"))("axios");
const seen = [];
function redirected(config) {
  const url = new URL(axios.getUri(config));
  if (url.protocol === "https:" && MAKERS_HOSTS.has(url.host)) {
    config.url = base + url.pathname + url.search;
    config.params = undefined;
  } else if (url.origin !== base) {
    throw new Error(`not an address of the maker: ${url.origin}`);
  }
  seen.push(`${(config.method ?? "get").toUpperCase()} ${url.pathname}`);
  return config;
}
axios.interceptors.request.use(redirected);
const create = axios.create;
axios.create = (...options) => {
  const instance = create.apply(axios, options);
  instance.interceptors.request.use(redirected);
  return instance;
};
const { default: OnStar } = of_package("onstarjs2");

const json = (response) => {
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
  return response.json();
};
const post = (url, body) =>
  fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** Plays the owner in the browser of the app: the tokens of the login. */
async function logIn() {
  const verifier = crypto.randomBytes(32).toString("base64url");
  const challenge = crypto.createHash("sha256").update(verifier).digest("base64url");
  const asked = new URLSearchParams({
    client_id: CLIENT_ID,
    response_type: "code",
    redirect_uri: REDIRECT,
    scope: `https://gmb2cprod.onmicrosoft.com/${CLIENT_ID}/Test.Read openid profile offline_access`,
    code_challenge: challenge,
    code_challenge_method: "S256",
    login_hint: owner,
  });
  const answer = await fetch(`${base}${POLICY}/oauth2/v2.0/authorize?${asked}`, { redirect: "manual" });
  const back = answer.headers.get("location") ?? "";
  if (!back.startsWith(`${REDIRECT}?`)) throw new Error("login sent the browser somewhere else");
  const form = new URLSearchParams({
    grant_type: "authorization_code",
    client_id: CLIENT_ID,
    code: new URL(back).searchParams.get("code"),
    redirect_uri: REDIRECT,
    code_verifier: verifier,
  });
  return json(await fetch(`${base}${POLICY}/oauth2/v2.0/token`, { method: "POST", body: form }));
}

async function play() {
  const { cars } = await json(await fetch(`${base}/__sim/cars`));
  const { vin } = cars.find((car) => car.owner === owner);
  const there = `${base}/__sim/cars/${vin}`;
  const hand = async (action) => (await post(`${there}/hand`, { action })).status;
  const fault = async (command, fault) => json(await post(`${there}/faults`, { command, fault }));

  const tokens = await logIn();
  const now = Math.floor(Date.now() / 1000);
  const kept = { ...tokens, expires_at: now + tokens.expires_in, refresh_obtained_at: now };
  fs.writeFileSync(path.join(folder, "microsoft_tokens.json"), JSON.stringify(kept));
  const onstar = OnStar.create({
    deviceId: crypto.randomUUID(),
    vin,
    username: owner,
    password: "unused",
    onStarPin: "0000",
    onStarTOTP: "JBSWY3DPEHPK3PXP",
    tokenLocation: folder,
    requestPollingIntervalSeconds: 0.1,
  });
  const outcome = async (doing) => {
    try {
      return (await doing).status;
    } catch (why) {
      return why.message;
    }
  };

  const garage = (await onstar.getAccountVehicles()).data.vehicles;
  const details = (await onstar.getVehicleDetails()).data.vehicleDetails;
  const health = (await onstar.diagnostics()).response.data;
  const twin = (await onstar.location()).response.data.telemetry.data;

  const forced = await hand("open_trunk");
  const unlock = await outcome(onstar.unlockTrunk());
  const opened = await hand("open_trunk");
  const whileOpen = await outcome(onstar.lockTrunk());
  const shut = await hand("close_trunk");
  const lock = await outcome(onstar.lockTrunk());
  const forcedAgain = await hand("open_trunk");
  const others = [];
  for (const one of ["unlockDoor", "lockDoor", "alert", "flashLights", "cancelAlert"]) {
    others.push(await outcome(onstar[one]()));
  }
  await fault("unlockTrunk", "403");
  const refused = await outcome(onstar.unlockTrunk());
  await fault("unlockTrunk", "429");
  const tooMany = await outcome(onstar.unlockTrunk());
  // The new API says 400, once: the client sends the same command again through the old one and stays there.
  await fault("unlockTrunk", "400");
  const before = seen.length;
  const fallenBack = await outcome(onstar.unlockTrunk());
  const lockedAgain = await outcome(onstar.lockTrunk());
  return {
    garage,
    eligible: details.vehicleCommands.filter((c) => c.isEligible).map((c) => c.name),
    not_eligible: details.vehicleCommands.filter((c) => !c.isEligible).map((c) => [c.name, c.inEligibleReason]),
    details_year: details.year,
    health: health.status,
    pending: twin.session.updatePending,
    position: [twin.position.lat, twin.position.lng],
    hand_before_unlock: forced,
    unlock,
    hand_after_unlock: opened,
    lock_while_open: whileOpen,
    hand_closes: shut,
    lock,
    hand_after_lock: forcedAgain,
    others,
    refused,
    too_many: tooMany,
    fallen_back: fallenBack,
    locked_again: lockedAgain,
    posts_of_the_fallback: seen.slice(before).filter((s) => s.startsWith("POST")).map((s) => s.replace(vin, "VIN")),
    exchanged: seen.filter((s) => s.endsWith("/sec/authz/v3/oauth/token")).length,
    car: await json(await fetch(there)),
  };
}

play().then(
  (saw) => process.stdout.write(`${JSON.stringify(saw)}\n`, () => process.exit(0)),
  (why) => {
    console.error(why);
    process.exit(1);
  },
);
