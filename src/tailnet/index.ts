/** `postern/tailnet`: a network node as a library. */
export { TailnetNode } from './node/index.ts';
export type {
  NodeErrorCode,
  NodeListenOptions,
  NodePeer,
  NodePeerStatus,
  NodeStatus,
  StaticPeer,
  TailnetNodeOptions,
} from './node/index.ts';
export { NetstackServer, NetstackSocket } from './netstack/index.ts';
export type { DialOptions, SocketErrorCode } from './netstack/index.ts';
