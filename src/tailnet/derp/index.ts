/** The client side of DERP: the relays of a network, and where we are seen from. */
export { chooseHome } from './choose-home.ts';
export type { HomeOptions } from './choose-home.ts';
export { DerpConnection } from './derp-connection.ts';
export type { DerpConnectOptions, DerpHandlers, DerpSent } from './derp-connection.ts';
export { DerpRelays } from './derp-relays.ts';
export type { DerpRelaysOptions, RelaySent, RelayState } from './derp-relays.ts';
export { measureHttps } from './measure-https.ts';
export type { MeasureHttpsOptions } from './measure-https.ts';
export { relayTarget } from './region-link.ts';
export { STUN_RETRY_MS, STUN_ROUND_MS, STUN_TRIES, StunProbes } from './stun-probes.ts';
export type { StunReport, StunSend, StunServer } from './stun-probes.ts';
