// What the Rust services do in production, for `vite` and `vite preview`: the host chooses the app, addresses without a
// file behind them are the app's page, and the interface is asked where it is.
//
//   GATEWAY=http://127.0.0.1:8470 CARRIER=http://127.0.0.1:8471 npm run dev

import type { IncomingMessage } from 'node:http';
import type { Connect, Plugin, ProxyOptions } from 'vite';
import { appOfHost } from './apps.ts';

/** What belongs to the services and never to a page. */
const INTERFACE = ['/v1/', '/oauth/', '/log/', '/.well-known/', '/openapi.json'];

function isInterface(path: string): boolean {
  return INTERFACE.some((prefix) => path.startsWith(prefix));
}

const chooseApp: Connect.NextHandleFunction = (request, _response, next) => {
  const app = appOfHost(request.headers.host);
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  if (app && !isInterface(path)) {
    const isPage = (request.headers.accept ?? '').includes('text/html');
    const ownFile = /^\/(sw\.js|manifest\.webmanifest|icon[\w-]*\.(svg|png))$/.test(path);
    if (isPage) request.url = `/${app}/index.html`;
    else if (ownFile) request.url = `/${app}${path}`;
  }
  next();
};

function proxies(): Record<string, ProxyOptions> {
  const targets = { gateway: process.env['GATEWAY'], carrier: process.env['CARRIER'] };
  const target = targets.gateway ?? targets.carrier;
  if (!target) return {};
  const options: ProxyOptions = {
    target,
    router: undefined,
    configure: (proxy) => {
      proxy.on('proxyReq', (out, request: IncomingMessage) => {
        const port = new URL(target).port;
        const name = (request.headers.host ?? 'localhost').split(':')[0];
        out.setHeader('host', `${name}:${port}`);
      });
    },
  } as ProxyOptions;
  return Object.fromEntries(INTERFACE.map((prefix) => [prefix, options]));
}

export function hosts(): Plugin {
  return {
    name: 'parcelshelf-hosts',
    config: () => ({ appType: 'mpa', server: { proxy: proxies() }, preview: { proxy: proxies() } }),
    configureServer: (server) => void server.middlewares.use(chooseApp),
    configurePreviewServer: (server) => void server.middlewares.use(chooseApp),
  };
}
