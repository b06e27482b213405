// How streets look, by day and by night. Text is drawn with the device's own fonts: no glyph server is asked.

import type { StyleSpecification } from 'maplibre-gl';
import type { Streets } from './streets';

interface Palette {
  ground: string;
  green: string;
  water: string;
  building: string;
  buildingEdge: string;
  road: string;
  roadEdge: string;
  path: string;
  text: string;
  halo: string;
}
const DAY: Palette = {
  ground: '#f1eee6', green: '#d5e6c8', water: '#b5d3e6', building: '#dcd5c8', buildingEdge: '#b9af9e', road: '#ffffff',
  roadEdge: '#b8b1a2', path: '#a2977f', text: '#1b2224', halo: '#ffffff',
};
const NIGHT: Palette = {
  ground: '#161d20', green: '#1d3226', water: '#17313f', building: '#2a3438', buildingEdge: '#45535a', road: '#4a5a61',
  roadEdge: '#0d1214', path: '#5f6f66', text: '#eef1f0', halo: '#0d1214',
};

export function style(data: Streets | null, night: boolean): StyleSpecification {
  const c = night ? NIGHT : DAY;
  const width = (major: number, minor: number, grow: number) =>
    ['interpolate', ['exponential', 1.7], ['zoom'], 13, ['match', ['get', 'c'], 'major', major, minor], 18, ['match', ['get', 'c'], 'major', major * grow, minor * grow]] as never;
  const is = (kind: string) => ['==', ['get', 'k'], kind] as never;
  const road = ['all', ['==', ['get', 'k'], 'road'], ['!=', ['get', 'c'], 'path']] as never;
  return {
    version: 8,
    sources: {
      streets: {
        type: 'geojson',
        data: data ?? { type: 'FeatureCollection', features: [] },
      },
    },
    layers: [
      { id: 'ground', type: 'background', paint: { 'background-color': c.ground } },
      { id: 'green', type: 'fill', source: 'streets', filter: is('green'), paint: { 'fill-color': c.green } },
      { id: 'water', type: 'fill', source: 'streets', filter: is('water'), paint: { 'fill-color': c.water } },
      {
        id: 'building', type: 'fill', source: 'streets', filter: is('building'),
        paint: { 'fill-color': c.building, 'fill-outline-color': c.buildingEdge },
      },
      {
        id: 'path', type: 'line', source: 'streets', filter: ['all', is('road'), ['==', ['get', 'c'], 'path']] as never,
        paint: { 'line-color': c.path, 'line-width': 1.4, 'line-dasharray': [2, 1.5] },
      },
      {
        id: 'road-edge', type: 'line', source: 'streets', filter: road, layout: { 'line-cap': 'round', 'line-join': 'round' },
        paint: { 'line-color': c.roadEdge, 'line-width': width(4, 2.6, 7) },
      },
      {
        id: 'road', type: 'line', source: 'streets', filter: road, layout: { 'line-cap': 'round', 'line-join': 'round' },
        paint: { 'line-color': c.road, 'line-width': width(2.8, 1.6, 8) },
      },
      {
        id: 'name', type: 'symbol', source: 'streets', filter: ['all', road, ['has', 'n']] as never,
        layout: {
          'symbol-placement': 'line', 'text-field': ['get', 'n'], 'text-font': ['system-ui'], 'text-size': 13,
          'symbol-spacing': 220,
        },
        paint: { 'text-color': c.text, 'text-halo-color': c.halo, 'text-halo-width': 1.6 },
      },
    ],
  };
}
