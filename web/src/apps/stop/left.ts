// Where a courier was when the page called them back to a car that is not locked: the way on, once it is. It is kept in this tab
// alone, with the links of the stops that are left, and no place.

const KEY = 'left';
const OURS = /^\/(?:area|s\/[\w-]{22})#/;

/** To a stop that was left, remembering this one. */
export function callBackTo(address: string): void {
  const here = location.pathname + location.hash;
  taken = null;
  if (OURS.test(here)) sessionStorage.setItem(KEY, here);
  else sessionStorage.removeItem(KEY);
  location.assign(address);
}
let taken: string | null = null;
/** The address that was left, if it was a stop or a list of stops. Asked for when a stop is over: it is kept no longer. */
export function whereFrom(): string | null {
  const from = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  if (from && OURS.test(from)) taken = from;
  return taken;
}
export function goOn(): void {
  const from = whereFrom();
  taken = null;
  if (from) location.assign(from);
}
