/** The network's policy for the coordination server: text to rules, refused with line and column. */
import { AppError } from '../base/errors.ts';
import { compileNetworkPolicy, DEFAULT_NETWORK_POLICY, parseNetworkPolicy } from '../policy/network/index.ts';
import type { NetworkPolicyCompiler } from '../tailnet/control/index.ts';

/** Codes of refusals; the API maps them. */
export type NetworkPolicyErrorCode = 'network_policy_invalid';

const PROBLEMS_TOLD_MAX = 5;

export function createNetworkCompiler(): NetworkPolicyCompiler {
  return {
    compile(text, world) {
      const { policy, problems } = parseNetworkPolicy(text ?? DEFAULT_NETWORK_POLICY);
      if (policy !== null) return compileNetworkPolicy(policy, world);
      const told = problems
        .filter(({ severity }) => severity === 'error')
        .slice(0, PROBLEMS_TOLD_MAX)
        .map(({ line, column, message }) => `line ${line}, column ${column}: ${message}`);
      throw new AppError<NetworkPolicyErrorCode>(
        'network_policy_invalid',
        `the network policy is refused: ${told.join('; ')}`,
      );
    },
  };
}
