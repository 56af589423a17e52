/** A userspace TCP/IP stack: the pure core, and Node's sockets on top of it. */
export type { NetStackCounters } from './counters.ts';
export {
  type DialOptions,
  type ListenOptions,
  UserspaceNetwork,
  type UserspaceNetworkOptions,
} from './sockets/network.ts';
export { SocketError, type SocketErrorCode } from './sockets/socket-error.ts';
export { NetstackServer } from './sockets/tcp-server.ts';
export { NetstackSocket, type SocketAddress } from './sockets/tcp-socket.ts';
export { type DatagramSource, NetstackUdpSocket } from './sockets/udp-socket.ts';
export { NetStack, type NetStackOptions } from './stack.ts';
export type { TcpFailure, TcpHandlers, TcpState } from './tcp/block.ts';
export type { TcpConnection } from './tcp/connection.ts';
export type { TcpListener, TcpListenOptions } from './tcp/listener.ts';
export type { NetStackErrorCode } from './tcp/table.ts';
export type { UdpBindOptions, UdpMessage, UdpPort } from './udp-ports.ts';
