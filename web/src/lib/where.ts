// Where this device is, once.

import type { Position } from '$lib/protocol/content';

/** Asked when somebody has pressed, never before. */
export function whereAmI(): Promise<Position> {
  return new Promise((resolve, reject) => {
    const found = ({ coords }: GeolocationPosition) =>
      resolve({ lat: coords.latitude, lng: coords.longitude, accuracyM: Math.min(coords.accuracy, 100_000) });
    const failed = () => reject(Object.assign(new Error('no position'), { code: 'no_position' }));
    navigator.geolocation.getCurrentPosition(found, failed, { enableHighAccuracy: true, maximumAge: 0, timeout: 30_000 });
  });
}
