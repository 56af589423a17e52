/** The server side of DERP: a relay for the devices of tailnets, and STUN beside it. */
export type { NodeKeyHex, RelayAdmission, RelayMember } from './ports.ts';
export { createRelay } from './relay.ts';
export type { Relay, RelayOptions } from './relay.ts';
export type { RelayCounters } from './relay-counters.ts';
export type { RelayLimits, RelayRate } from './relay-limits.ts';
export { StunServer } from './stun-server.ts';
export type { StunCounters, StunErrorCode, StunServerOptions } from './stun-server.ts';
