/** The network's policy for the coordination server: text to rules, refused with its lines. */
import { AppError } from '../base/errors.ts';
import { sha256Hex } from '../crypto/index.ts';
import {
  compileNetworkPolicy,
  DEFAULT_NETWORK_POLICY,
  type NetworkTestFailure,
  parseNetworkPolicy,
  runNetworkTests,
} from '../policy/network/index.ts';
import type { NetworkPolicyCompiler } from '../tailnet/control/index.ts';

/** Codes of refusals; the API maps them. */
export type NetworkPolicyErrorCode =
  | 'network_policy_invalid'
  | 'network_policy_tests'
  | 'network_policy_overtaken';

/** A test that does not hold, in words. */
export interface PolicyFailure {
  /** `tests[0]`, `sshTests[0]`. */
  readonly path: string;
  /** Of the test, 1-based. */
  readonly line: number;
  readonly message: string;
}

/** A policy whose own tests do not hold. */
export class PolicyTestsFailed extends AppError<NetworkPolicyErrorCode> {
  readonly failures: readonly PolicyFailure[];

  constructor(failures: readonly PolicyFailure[]) {
    const told = failures.slice(0, PROBLEMS_TOLD_MAX).map(({ line, message }) => `line ${line}: ${message}`);
    const more = failures.length - told.length;
    super(
      'network_policy_tests',
      `the network policy is refused, for its own tests fail: ${told.join('; ')}${more > 0 ? `; and ${more} more` : ''}`,
    );
    this.name = 'PolicyTestsFailed';
    this.failures = failures.slice(0, FAILURES_MAX);
  }
}

const PROBLEMS_TOLD_MAX = 5;
const FAILURES_MAX = 100;

export function createNetworkCompiler(): NetworkPolicyCompiler {
  return {
    compile(text, world, isWritten) {
      const { policy, problems } = parseNetworkPolicy(text ?? DEFAULT_NETWORK_POLICY);
      if (policy !== null) {
        const compiled = compileNetworkPolicy(policy, world);
        const failures = isWritten ? runNetworkTests(compiled) : [];
        if (failures.length > 0) throw new PolicyTestsFailed(failures.map(policyFailure));
        return compiled;
      }
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

export function policyFailure({
  path,
  line,
  source,
  target,
  expected,
  got,
}: NetworkTestFailure): PolicyFailure {
  return { path, line, message: `${source} to ${target} should be ${expected}: ${got}` };
}

/** Quoted, for `ETag` and `If-Match`: equal texts have equal tags, and none that of the default. */
export function policyTag(text: string | null): string {
  return `"${sha256Hex(text ?? DEFAULT_NETWORK_POLICY)}"`;
}
