/** The node: a device of a private network inside this process. */
export { answerDns } from './dns-answerer.ts';
export type { NodeErrorCode } from './errors.ts';
export type { NodePeer, NodePeerStatus, StaticPeer } from './node-peer.ts';
export { STATIC_DEVICES_MAX } from './static-state.ts';
export { TailnetNode } from './tailnet-node.ts';
export type { NodeListenOptions, NodeStatus, TailnetNodeOptions } from './tailnet-node.ts';
export { formatClientConfiguration, formatPublicKey, generateClientKey, parsePublicKey } from './wg-quick.ts';
export type { ClientConfiguration } from './wg-quick.ts';
