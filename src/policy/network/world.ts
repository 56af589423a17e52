/** Who and what is in a tailnet, as a policy sees it. Given by whoever keeps it; trusted. */
import type { NetworkRole } from './policy.ts';

export interface NetworkUser {
  /** The control protocol's user id. */
  readonly id: number;
  /** `alice@example.com`; case does not matter. */
  readonly login: string;
  /** From sign-in, without `group:`. They count only where the policy defines no group of that name. */
  readonly groups: readonly string[];
  readonly role: NetworkRole;
}

export interface NetworkNodeFacts {
  /** The control protocol's node id. */
  readonly id: number;
  /** Null, or not looked at, for a device with tags: it stands for nobody. */
  readonly userId: number | null;
  /** With `tag:`. */
  readonly tags: readonly string[];
  /** Its own addresses in the tailnet. */
  readonly addresses: readonly string[];
  /** Prefixes that it advertises and that were approved; `0.0.0.0/0` and `::/0` make it an exit node. */
  readonly routes: readonly string[];
}

export interface NetworkWorld {
  readonly users: Iterable<NetworkUser>;
  readonly nodes: Iterable<NetworkNodeFacts>;
  /** What `*` is as a source. Default: 100.64.0.0/10 (without ChromeOS' part) and fd7a:115c:a1e0::/48. */
  readonly tailnetRanges?: readonly string[];
  /** Where a device asks whether an SSH session of a `check` rule may go on; see `sshPolicyOf`. */
  readonly sshCheckUrl?: string;
}
