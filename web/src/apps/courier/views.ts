// Each view comes when it is needed; the service worker keeps all of them for when there is no network.

export const views = {
  route: () => import('./Route.svelte'),
  signIn: () => import('./SignIn.svelte'),
  stop: () => import('./Stop.svelte'),
  back: () => import('./Back.svelte'),
  messages: () => import('./Messages.svelte'),
  language: () => import('$lib/ui/LanguageSwitch.svelte'),
};
