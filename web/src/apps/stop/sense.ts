// Where the phone is, as fixes that a machine can take.

import type { Fix } from './machine';

const ASK_EVERY_MS = 10_000;
export type NoFix = 'denied' | 'unavailable';

/** Until the returned function is called. */
export function watchWhere(found: (fix: Fix) => void, failed: (why: NoFix) => void): () => void {
  const heard = ({ coords, timestamp }: GeolocationPosition): void => {
    const { latitude: lat, longitude: lng, accuracy: accuracyM, heading } = coords;
    // Phones' clocks and their positions' clocks may differ: an age is counted from when it came.
    const atMs = Math.min(Date.now(), Math.max(timestamp, Date.now() - 60_000));
    found({ lat, lng, accuracyM, headingDeg: Number.isFinite(heading) ? heading : null, atMs });
  };
  const lost = (error: GeolocationPositionError): void => failed(error.code === error.PERMISSION_DENIED ? 'denied' : 'unavailable');
  const how: PositionOptions = { enableHighAccuracy: true, maximumAge: 5_000, timeout: 20_000 };
  const id = navigator.geolocation.watchPosition(heard, lost, how);
  // A phone that lies still may say nothing for minutes; whether it is still here only a new answer tells. None is no news.
  const asking = setInterval(() => navigator.geolocation.getCurrentPosition(heard, () => undefined, how), ASK_EVERY_MS);
  return () => {
    navigator.geolocation.clearWatch(id);
    clearInterval(asking);
  };
}
