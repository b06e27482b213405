// Distances and directions on the ground, as the keyholder reckons them (crates/core/src/area.rs).

export interface Point {
  readonly lat: number;
  readonly lng: number;
}

const EARTH_RADIUS_M = 6_371_008.8;
const rad = (deg: number): number => (deg * Math.PI) / 180;
const deg = (radians: number): number => (radians * 180) / Math.PI;

/** Great-circle distance in metres. */
export function distanceM(a: Point, b: Point): number {
  const [dlat, dlng] = [rad(b.lat - a.lat), rad(b.lng - a.lng)];
  const h = Math.sin(dlat / 2) ** 2 + Math.cos(rad(a.lat)) * Math.cos(rad(b.lat)) * Math.sin(dlng / 2) ** 2;
  return 2 * EARTH_RADIUS_M * Math.asin(Math.min(1, Math.sqrt(h)));
}
/** Direction from `a` to `b` in degrees, 0 = north, clockwise. */
export function bearingDeg(a: Point, b: Point): number {
  const [lat1, lat2, dlng] = [rad(a.lat), rad(b.lat), rad(b.lng - a.lng)];
  const y = Math.sin(dlng) * Math.cos(lat2);
  const x = Math.cos(lat1) * Math.sin(lat2) - Math.sin(lat1) * Math.cos(lat2) * Math.cos(dlng);
  return (deg(Math.atan2(y, x)) + 360) % 360;
}

export const COMPASS = ['n', 'ne', 'e', 'se', 's', 'sw', 'w', 'nw'] as const;
export type Compass = (typeof COMPASS)[number];
export function compassOf(bearing: number): Compass {
  return COMPASS[Math.round(bearing / 45) % 8]!;
}
/** What a person reads: nearest 5 m below 100, 10 m below 1 km, then 100 m. */
export function roundedM(metres: number): number {
  const step = metres < 100 ? 5 : metres < 1_000 ? 10 : 100;
  return Math.round(metres / step) * step;
}
