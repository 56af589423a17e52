/**
 * A network policy as read: Tailscale's policy file with every name checked and every text parsed, and
 * nothing resolved to devices. Each element knows its place in the text.
 */
import type { JsonValue } from '../../wire/hujson.ts';
import type { IpRange, IpRanges } from './ip-ranges.ts';

/** Where an element stands: `grants[2]` and its line (1-based). */
export interface Place {
  readonly path: string;
  readonly line: number;
}

/** Groups that the network itself knows, by the role or kind of a device's owner. */
export const ROLE_AUTOGROUPS = [
  'owner',
  'admin',
  'it-admin',
  'network-admin',
  'billing-admin',
  'auditor',
  'member',
] as const;

/** What a person is to the tailnet. */
export type NetworkRole = (typeof ROLE_AUTOGROUPS)[number];

export type AutogroupName = NetworkRole | 'tagged' | 'self' | 'internet' | 'danger-all' | 'shared';

/** Names devices, people or addresses in a rule. */
export type Selector =
  /** `*`: every address of the tailnet, and as a source every approved subnet. */
  | { readonly kind: 'any' }
  /** The untagged devices of one person, by login name in lower case. */
  | { readonly kind: 'user'; readonly login: string }
  /** `user:*@domain`: the untagged devices of everybody of a mail domain. */
  | { readonly kind: 'domain'; readonly domain: string }
  /** Name with `group:`. */
  | { readonly kind: 'group'; readonly name: string }
  /** Name with `tag:`. */
  | { readonly kind: 'tag'; readonly name: string }
  | { readonly kind: 'autogroup'; readonly name: AutogroupName }
  /** An address, a prefix, a range, a host of `hosts` or a set of `ipsets`; the name as it was written. */
  | { readonly kind: 'addresses'; readonly text: string; readonly ranges: IpRanges };

/** Ports, both included; `{0, 65535}` is every port. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** What may be sent. */
export interface Traffic {
  /** IP protocol number; null stands for TCP, UDP and ICMP. */
  readonly protocol: number | null;
  readonly ports: readonly PortRange[];
}

/** One grant, or one destination of an `acls` entry: all of them only ever allow. */
export interface AccessRule extends Place {
  readonly sources: readonly Selector[];
  readonly destinations: readonly Selector[];
  readonly traffic: readonly Traffic[];
  /** Application capabilities by name; null if there are none. */
  readonly app: Readonly<Record<string, readonly JsonValue[]>> | null;
  /** Tags (with `tag:`) of the routers that carry this; empty for any. */
  readonly via: readonly string[];
}

export interface SshRule extends Place {
  readonly action: 'accept' | 'check';
  readonly sources: readonly Selector[];
  readonly destinations: readonly Selector[];
  /** Names on the host, `root`, `autogroup:nonroot`, `localpart:*@domain`. */
  readonly users: readonly string[];
  /** Seconds; 0: at every connection; null: the usual 12 h. */
  readonly checkPeriodSec: number | null;
  readonly acceptEnv: readonly string[];
}

export interface NodeAttribute extends Place {
  readonly targets: readonly Selector[];
  readonly attributes: readonly string[];
  readonly app: Readonly<Record<string, readonly JsonValue[]>> | null;
}

/** `tests`: from one source, what must be reached and what must not. */
export interface NetworkTest extends Place {
  readonly source: Selector;
  readonly sourceText: string;
  readonly protocol: number | null;
  readonly accept: readonly TestTarget[];
  readonly deny: readonly TestTarget[];
}

export interface TestTarget {
  readonly text: string;
  readonly selector: Selector;
  readonly port: number;
}

export interface SshTest extends Place {
  readonly source: Selector;
  readonly sourceText: string;
  readonly destinations: readonly { readonly text: string; readonly selector: Selector }[];
  readonly accept: readonly string[];
  readonly check: readonly string[];
  readonly deny: readonly string[];
}

/** A policy without a fault. */
export interface NetworkPolicy {
  /** Login names in lower case, by name with `group:`. */
  readonly groups: ReadonlyMap<string, ReadonlySet<string>>;
  /** What `hosts` and `ipsets` name. */
  readonly addresses: ReadonlyMap<string, IpRanges>;
  /** Who may give a tag, by name with `tag:`. */
  readonly tagOwners: ReadonlyMap<string, readonly Selector[]>;
  /** In the order in which they are sent: grants, then acls. Null: the file has neither, which allows everything. */
  readonly rules: readonly AccessRule[] | null;
  /** Null: the file has no `ssh`. */
  readonly ssh: readonly SshRule[] | null;
  readonly nodeAttributes: readonly NodeAttribute[];
  readonly autoApprovers: {
    readonly routes: readonly { readonly range: IpRange; readonly approvers: readonly Selector[] }[];
    readonly exitNode: readonly Selector[];
  };
  readonly tests: readonly NetworkTest[];
  readonly sshTests: readonly SshTest[];
  readonly settings: NetworkSettings;
}

export interface NetworkSettings {
  readonly randomizeClientPort: boolean;
  readonly disableIpv4: boolean;
  /** Route 100.64.0.0/10 as one; null leaves it to the clients. */
  readonly oneCgnatRoute: boolean | null;
}
