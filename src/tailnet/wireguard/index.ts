/** WireGuard: a pure core (`WireguardDevice`) and a driver for UDP. */
export type { WireguardCounters, WireguardDrop } from './counters.ts';
export { WireguardDevice } from './device.ts';
export type { WireguardCapture, WireguardDeviceOptions } from './device.ts';
export type { WireguardErrorCode } from './errors.ts';
export type {
  Endpoint,
  PeerKey,
  WireguardEvent,
  WireguardOutput,
  WireguardPeerOptions,
  WireguardPeerStatus,
} from './types.ts';
export { WireguardUdp } from './udp-driver.ts';
export type { UdpDriverCounters, WireguardUdpOptions } from './udp-driver.ts';
export { udpEndpoint, UdpSockets } from './udp-sockets.ts';
export type { UdpEndpoint, UdpSocketCounters, UdpSocketsOptions } from './udp-sockets.ts';
