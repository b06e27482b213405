/** Each is one page on one host: the first label of the host's name in development. */
export const APPS = ['wallet', 'stop', 'courier', 'ops'] as const;
export type AppName = (typeof APPS)[number];

export function appOfHost(host: string | undefined): AppName | undefined {
  const first = (host ?? '').split(/[.:]/)[0];
  return APPS.find((app) => app === first);
}
