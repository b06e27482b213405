export { Problem, Silence, answered, createApi, inTime, type Options } from './client';
export type { paths as GatewayPaths } from './gateway';
export type { paths as CarrierPaths } from './carrier';
