/** Rules under which nobody reaches anybody: what holds where a policy cannot be had. */
import type { NetworkPolicyCompiler, NetworkRules } from './ports.ts';

const NOBODY: ReadonlySet<number> = new Set();

const RULES: NetworkRules = {
  peersOf: () => NOBODY,
  filterOf: () => [],
  sshPolicyOf: () => null,
  capabilitiesOf: () => ({}),
  routesFor: () => [],
  approvesRoute: () => false,
  mayTag: () => false,
  setNode: () => NOBODY,
  removeNode: () => NOBODY,
  setUser: () => NOBODY,
};

export const DENY_ALL: NetworkPolicyCompiler = { compile: () => RULES };
