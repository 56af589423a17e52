/** Direct paths between nodes, and where this one may be reached. Pure. */
export { gatherEndpoints } from './local-endpoints.ts';
export type { InterfaceAddress, LocalEndpointsOptions } from './local-endpoints.ts';
export { createUdpPath } from './path.ts';
export type { UdpPath } from './path.ts';
export { PathFinder } from './path-finder.ts';
export type { PathAction, PathDrops, PathFinderOptions, PathSource } from './path-finder.ts';
export type { PathPeer, Route } from './peer-paths.ts';
