/** `postern/tailnet`: a network node as a library. */
export { allowLoopbackPaths, TailnetNode } from './node/index.ts';
export type {
  Connector,
  ConnectorTarget,
  ControlCounters,
  ControlStatus,
  NodeErrorCode,
  NodeEvent,
  NodeListenOptions,
  NodePeer,
  NodePeerStatus,
  NodeState,
  NodeStatus,
  NodeUser,
  StaticPeer,
  TailnetNodeOptions,
  UpOptions,
} from './node/index.ts';
export { NetstackServer, NetstackSocket } from './netstack/index.ts';
export type { DialOptions, SocketErrorCode } from './netstack/index.ts';
export type { ControlErrorCode, StreamDialer, StreamTarget } from './protocol/index.ts';
