/** A tailnet's policy: who may reach whom. Read, check, compile for devices, test, explain. Pure. */
export {
  DEFAULT_NETWORK_POLICY,
  NETWORK_POLICY_MAX_LENGTH,
  parseNetworkPolicy,
  type ParsedNetworkPolicy,
  type ParseNetworkOptions,
} from './parse-policy.ts';
export type { NetworkPolicy, NetworkRole, NetworkSettings } from './policy.ts';
export type { NetworkNodeFacts, NetworkUser, NetworkWorld } from './world.ts';
export { compileNetworkPolicy, type CompiledNetwork } from './compiled-network.ts';
export type { NodeCapabilities } from './node-rights.ts';
export type { WireCapGrant, WireFilterRule, WirePortRange } from './node-filter.ts';
export type { SshVerdict, WireSshAction, WireSshRule } from './ssh-policy.ts';
export { runNetworkTests, type NetworkTestFailure } from './run-tests.ts';
export { mapReach } from './reach-map.ts';
export { explainReach, type ReachExplanation, type ReachPair, type ReachQuestion } from './explain-reach.ts';
