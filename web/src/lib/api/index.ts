export { Problem, Silence, answered, createApi, type Options } from './client';
export type { paths as GatewayPaths } from './gateway';
export type { paths as CarrierPaths } from './carrier';
