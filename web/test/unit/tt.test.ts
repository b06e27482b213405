import { describe, expect, it } from 'vitest';
import { isOwnScript } from '../../src/lib/tt';

const base = 'https://wallet.example/consent';

describe('addresses of scripts', () => {
  it.each(['/sw.js', 'https://wallet.example/assets/map-B1x_2.js', '/assets/worker.mjs'])('lets %s through', (url) => {
    expect(isOwnScript(url, base)).toBe(true);
  });
  it.each([
    'https://other.example/assets/a.js',
    '//other.example/sw.js',
    '/v1/keys',
    '/assets/../v1/keys',
    '/assets/a.js?x=1',
    '/assets/a.css',
    'data:text/javascript,1',
    'blob:https://wallet.example/0',
    'javascript:alert(1)',
  ])('refuses %s', (url) => {
    expect(isOwnScript(url, base)).toBe(false);
  });
});
