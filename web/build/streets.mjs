// Trims OpenStreetMap features (GeoJSON, one a line) to what the map draws: kind, class and name, five decimals.

import { createInterface } from 'node:readline';

const MAJOR = /^(motorway|trunk|primary|secondary|tertiary)/;
const MINOR = /^(residential|unclassified|living_street|service|pedestrian|road)/;

/** `road` with class, `building`, `green`, `water`; undefined for what is not drawn. */
function kindOf({ geometry: { type }, properties: p }) {
  const area = type === 'MultiPolygon' || type === 'Polygon';
  if (type === 'LineString' && p.highway) {
    if (p.tunnel === 'yes' || p.area === 'yes') return undefined;
    return { k: 'road', c: MAJOR.test(p.highway) ? 'major' : MINOR.test(p.highway) ? 'minor' : 'path' };
  }
  if (!area) return undefined;
  if (p.building) return { k: 'building' };
  if (p.natural === 'water') return { k: 'water' };
  if (p.leisure || p.landuse) return { k: 'green' };
  return undefined;
}
const round = (x) => (typeof x === 'number' ? Math.round(x * 1e5) / 1e5 : trim(x.map(round)));
/** Points that became the same one are dropped. */
function trim(list) {
  if (!Array.isArray(list[0]) || typeof list[0][0] !== 'number') return list;
  return list.filter((p, i) => i === 0 || p[0] !== list[i - 1][0] || p[1] !== list[i - 1][1]);
}

const features = [];
let box = [180, 90, -180, -90];
for await (const line of createInterface({ input: process.stdin })) {
  const feature = JSON.parse(line);
  const kind = kindOf(feature);
  if (!kind) continue;
  const name = kind.k === 'road' || kind.k === 'green' ? feature.properties.name : undefined;
  const geometry = { type: feature.geometry.type, coordinates: round(feature.geometry.coordinates) };
  for (const [x, y] of geometry.coordinates.flat(geometry.type === 'LineString' ? 0 : 2)) {
    box = [Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x), Math.max(box[3], y)];
  }
  features.push({ type: 'Feature', properties: name ? { ...kind, n: name } : kind, geometry });
}
process.stdout.write(
  `{"type":"FeatureCollection","attribution":"© OpenStreetMap contributors, ODbL 1.0","bbox":${JSON.stringify(box)},` +
    `"features":[\n${features.map((f) => JSON.stringify(f)).join(',\n')}\n]}\n`,
);
