/** The client side of the control protocol: joining a network and following its map. */
export { applyMapResponse, expireKeys } from './apply-map-response.ts';
export type { ApplyOptions, ExpiredKeys, NetmapUpdate } from './apply-map-response.ts';
export { ControlClient } from './control-client.ts';
export type { ControlClientOptions, ControlEvent, ControlState } from './control-client.ts';
export { CAPABILITY_VERSION } from './control-connection.ts';
export { parseControlUrl } from './control-url.ts';
export type { ControlUrl } from './control-url.ts';
export { EMPTY_DERP_MAP } from './derp-map.ts';
export type { DerpMap, DerpNode, DerpRegion } from './derp-map.ts';
export { controlError, printable, RateLimited, RefusedByControl } from './errors.ts';
export type { ControlErrorCode } from './errors.ts';
export { NO_NET_FACTS } from './host-facts.ts';
export type { EndpointSource, HostFacts, LocalEndpoint, NetFacts } from './host-facts.ts';
export { formatKeyText, parseKeyText } from './key-text.ts';
export type { KeyHex, KeyKind } from './key-text.ts';
export type {
  CapabilityMap,
  DnsConfig,
  FilterRule,
  Netmap,
  NetmapChanges,
  NetworkNode,
  UserProfile,
} from './netmap.ts';
export { createNetworkView } from './network-view.ts';
export type { NetworkView, WhoIs } from './network-view.ts';
export { createNodeState, parseNodeState, revealNodeState } from './node-state.ts';
export type { NodeState } from './node-state.ts';
export { PacketFilter, RuleSet } from './packet-filter.ts';
export type { FilterQuestion, FilterVerdict, RuleSources } from './packet-filter.ts';
export type { Sleep, StreamDialer, StreamTarget } from './ports.ts';
export type { JsonValue } from './wire-fields.ts';
export { systemSleep } from './retry-delay.ts';
