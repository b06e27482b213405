// What every screen needs. The rest is in more.en.ts and comes with the pages that speak it.

import { pluralIn } from '$lib/i18n/plural';

const n = pluralIn('en');

const en = {
  title: 'Parcelshelf wallet',
  brand: 'Parcelshelf',
  skip: 'Skip to the content',
  nav: { label: 'Main', deliveries: 'Deliveries', cars: 'Cars', settings: 'Settings' },
  newVersion: 'A new version of this page is ready.',
  useNewVersion: 'Use it now',
  welcome: {
    title: 'Parcels into your parked car',
    lead: 'A courier puts your parcel into the locked trunk while you are elsewhere. You sign for each time it opens. Nobody else can.',
    points: [
      'The carrier never learns where you park.',
      'Nothing opens that you have not signed for: this parcel, this hour, once.',
      'You can stop everything with one press, at any time.',
    ],
    create: 'Create my wallet',
    createHint: 'No name, no e-mail. Your device makes a passkey and asks you twice.',
    login: 'I have a wallet',
    occupant: 'Somebody can open the car I sit in, and I want to stop it',
  },
  home: {
    title: 'Deliveries',
    now: 'Needs you',
    active: 'Allowed',
    past: 'Earlier',
    none: 'Nothing is allowed at the moment.',
    noneHint: 'When a shop or carrier sends you a link “put it in my car”, open it here. You see who asks, and decide.',
    first: 'First, link your car',
    firstHint: 'It takes about five minutes and you should stand at the car.',
    linkCar: 'Link a car',
    more: 'Older deliveries are not shown here.',
    asOf: (ago: string) => `As of ${ago}`,
    offline: (ago: string) => `No connection. This is how it stood ${ago}.`,
    parcels: (k: number) => n(k, { one: '# parcel', other: '# parcels' }),
    rehearsal: 'Rehearsal',
    unknownMerchant: 'Delivery',
    noSeed: 'This device cannot read your wallet yet. You can stop everything all the same.',
    noSeedAction: 'Make this device ready',
  },
  phase: {
    alarm: 'Please look at your car',
    open: 'Your car is being opened',
    unknown: 'It is not certain whether it opened',
    locking: 'Being locked',
    coming: 'The courier is on the way',
    waiting: 'Allowed, not begun',
    blocked: 'Stopped by you',
    done: 'Done and locked',
    not_done: 'Did not open',
    over: 'Time has passed',
  },
  block: {
    button: 'Stop',
    title: 'Stop at once',
    hint: 'Nothing opens from the moment you press. To allow it again you confirm with your passkey.',
    all: 'Stop everything',
    allHint: 'Every delivery, every carrier, until you allow it again.',
    carrier: 'Stop this carrier',
    delivery: 'Stop this delivery',
    done: 'Stopped. No command leaves any more.',
    settling: (time: string) => `Stopped. One command had already left and may still act until ${time}. Your car is locked again afterwards.`,
    failed: 'It could not be stopped: no answer. Press again; if your car is near, look at it.',
    allBlocked: 'Everything is stopped. Nothing can open your car.',
    unblockAll: 'Allow again',
    close: 'Close',
  },
  error: {
    silence: 'No answer. Check your connection and try again.',
    passkey: 'Your device did not confirm. Nothing was done. Try again when you are ready.',
    passkeyUnable: 'This browser cannot use passkeys here. Open the wallet in an up-to-date browser over its own address.',
    login: 'You are logged out. Log in again.',
    loginAction: 'Log in',
    unknown: (code: string) => `That did not work (${code}). Try again; if it stays so, tell whoever runs this gateway.`,
    wait: (time: string) => `Try again in ${time}.`,
  },
};
export type Catalogue = typeof en;
export default en;
