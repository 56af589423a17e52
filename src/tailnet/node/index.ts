/** The node: a device of a private network inside this process. */
export { answerDns } from './dns-answerer.ts';
export type { NodeErrorCode } from './errors.ts';
export type { Connector, ConnectorTarget } from './http-connectors.ts';
export { allowLoopbackPaths } from './node-options.ts';
export type { NodeListenOptions, TailnetNodeOptions, UpOptions } from './node-options.ts';
export type { NodePeer, NodePeerStatus, NodeUser, StaticPeer } from './node-peer.ts';
export type { ControlCounters, ControlStatus, NodeEvent, NodeState, NodeStatus } from './node-status.ts';
export { STATIC_DEVICES_MAX } from './static-state.ts';
export { TailnetNode } from './tailnet-node.ts';
export { formatClientConfiguration, formatPublicKey, generateClientKey, parsePublicKey } from './wg-quick.ts';
export type { ClientConfiguration } from './wg-quick.ts';
