// What a push shows, in the language of the browser: the build writes it into the service worker, which has no catalogue.
// It is the same whatever happened, for it may lie on a locked screen.
export const NUDGE = {
  en: { title: 'Wallet', body: 'Something is waiting for you. Open your wallet.' },
  de: { title: 'Wallet', body: 'Etwas wartet auf Sie. Öffnen Sie Ihre Wallet.' },
  es: { title: 'Cartera', body: 'Algo le espera. Abra su cartera.' },
} as const;
