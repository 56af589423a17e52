/** What the coordination server needs of others; `server.ts` joins them. */
import type { JsonValue } from '../protocol/index.ts';
import type { NodeRecord, TailnetRole, UserRecord } from './records.ts';
import { carriedRoutes } from './routes.ts';

/** A record as the store keeps it. The name is unique in tailnet and kind. */
export interface StoredRecord {
  /** Empty for what belongs to the organization. */
  readonly tailnet: string;
  readonly kind: string;
  readonly name: string;
  /** JSON. */
  readonly body: string;
}

export type StoredRecordName = Omit<StoredRecord, 'body'>;

/** `src/store` satisfies it. */
export interface ControlStore {
  listControlRecords(): Promise<readonly StoredRecord[]>;
  /** One transaction, durable when it resolves. */
  writeControlRecords(puts: readonly StoredRecord[], deletes: readonly StoredRecordName[]): Promise<void>;
}

/** A device as policies see it. */
export interface PolicyNode {
  readonly id: number;
  readonly userId: number | null;
  readonly tags: readonly string[];
  readonly addresses: readonly string[];
  /** Prefixes that it carries. */
  readonly routes: readonly string[];
}

export interface PolicyUser {
  readonly id: number;
  readonly login: string;
  readonly groups: readonly string[];
  readonly role: TailnetRole;
}

/** The network's policy of one tailnet, over its present people and devices. `src/policy` satisfies it. */
export interface NetworkRules {
  /** Devices that this one may reach, or that may reach it; without itself. */
  peersOf(node: number): ReadonlySet<number>;
  /** Packet filter of a device, as `tailcfg.FilterRule` writes it; the same array until it changes. */
  filterOf(node: number): readonly object[];
  /** `tailcfg.SSHPolicy`, the same object until it changes; null where there is none. */
  sshPolicyOf(node: number): object | null;
  /** Capabilities that the policy gives a device. */
  capabilitiesOf(node: number): Readonly<Record<string, readonly JsonValue[] | null>>;
  /** Of the routes of `peer`, those that `viewer` may use. */
  routesFor(viewer: number, peer: number): readonly string[];
  /** Whether an offered route of a known device needs nobody's approval. */
  approvesRoute(node: number, route: string): boolean;
  /** Whether the person may give a device this tag. */
  mayTag(user: number, tag: string): boolean;
  /** These give the ids of devices whose filter, peers or SSH policy may differ. */
  setNode(node: PolicyNode): ReadonlySet<number>;
  removeNode(node: number): ReadonlySet<number>;
  setUser(user: PolicyUser): ReadonlySet<number>;
}

export interface PolicyWorld {
  readonly users: readonly PolicyUser[];
  readonly nodes: readonly PolicyNode[];
}

export interface NetworkPolicyCompiler {
  /**
   * `text` is null for the default policy. Throws AppError for a policy that is none; and, where somebody
   * writes it now (`isWritten`), for one whose own tests fail: what is stored holds whoever has gone since.
   */
  compile(text: string | null, world: PolicyWorld, isWritten: boolean): NetworkRules;
}

/** What is told of other relays and this process's own. */
export interface RelayMap {
  /** `tailcfg.DERPMap`; the same object until it changes. */
  current(): object;
}

export function policyUser({ id, login, role, groups = [] }: UserRecord): PolicyUser {
  return { id, login, groups, role };
}

export function policyNode(node: NodeRecord): PolicyNode {
  return {
    id: node.id,
    userId: node.userId,
    tags: node.tags,
    addresses: [node.ipv4, node.ipv6],
    routes: carriedRoutes(node),
  };
}
