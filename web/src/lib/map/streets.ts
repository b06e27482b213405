// Street data of the area, fetched before a place is known and kept in memory: after the reveal the map asks for nothing.

import type { FeatureCollection } from 'geojson';
import helsinki from './streets/helsinki.geojson?url';

export interface Streets extends FeatureCollection {
  readonly attribution: string;
  readonly bbox: [west: number, south: number, east: number, north: number];
}

let loaded: Promise<Streets | null> | null = null;
/** Null where there are none: the map then shows car and phone on plain ground, and the text tells the rest. */
export function streets(): Promise<Streets | null> {
  loaded ??= fetch(helsinki, { redirect: 'error' })
    .then(async (response) => (response.ok ? ((await response.json()) as Streets) : null))
    .catch(() => {
      loaded = null;
      return null;
    });
  return loaded;
}
export function covers(data: Streets | null, at: { lat: number; lng: number }): boolean {
  if (!data) return false;
  const [west, south, east, north] = data.bbox;
  return at.lng >= west && at.lng <= east && at.lat >= south && at.lat <= north;
}
