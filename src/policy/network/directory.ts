/**
 * The devices and people of a tailnet, indexed by what selectors name: tag, person, group. Knows whether
 * a selector selects a device, and which devices it selects, without asking each.
 */
import { formatIp, parseIp, type IpAddress } from '../../wire/ip.ts';
import { covers, overlapsAny, parseIpRange, rangeOfIp, type IpRange } from './ip-ranges.ts';
import type { AutogroupName, Selector } from './policy.ts';
import type { NetworkNodeFacts, NetworkUser, NetworkWorld } from './world.ts';

/** A device with its texts parsed. */
export interface NetworkNode {
  readonly id: number;
  /** Null for a device with tags, and for a person whom nobody knows. */
  readonly user: NetworkUser | null;
  readonly tags: readonly string[];
  readonly addresses: readonly IpAddress[];
  /** The same as they are sent. */
  readonly addressTexts: readonly string[];
  /** Approved, without exit routes. */
  readonly subnets: readonly { readonly text: string; readonly range: IpRange }[];
  /** Its exit routes, as written. */
  readonly exitRoutes: readonly string[];
}

/** A device that may not exist, for tests of a policy before anybody has joined. */
export type NodeIdentity = Pick<NetworkNode, 'user' | 'tags' | 'addresses'>;

/** Indexed devices and people; changes are told by `set` and `remove`. */
export class NetworkDirectory {
  readonly #nodes = new Map<number, NetworkNode>();
  readonly #facts = new Map<number, NetworkNodeFacts>();
  readonly #users = new Map<number, NetworkUser>();
  readonly #byTag = new Map<string, Set<number>>();
  readonly #byUser = new Map<number, Set<number>>();
  readonly #groups: ReadonlyMap<string, ReadonlySet<string>>;

  /** `groups` are those of the policy: login names in lower case, by name with `group:`. */
  constructor(groups: ReadonlyMap<string, ReadonlySet<string>>, world: NetworkWorld) {
    this.#groups = groups;
    for (const user of world.users) this.setUser(user);
    for (const node of world.nodes) this.setNode(node);
  }

  get nodes(): ReadonlyMap<number, NetworkNode> {
    return this.#nodes;
  }

  get users(): ReadonlyMap<number, NetworkUser> {
    return this.#users;
  }

  setNode(facts: NetworkNodeFacts): NetworkNode {
    this.removeNode(facts.id);
    const node = this.#read(facts);
    this.#facts.set(facts.id, facts);
    this.#nodes.set(node.id, node);
    for (const tag of node.tags) add(this.#byTag, tag, node.id);
    if (node.tags.length === 0 && facts.userId !== null) add(this.#byUser, facts.userId, node.id);
    return node;
  }

  removeNode(id: number): void {
    const facts = this.#facts.get(id);
    if (facts === undefined) return;
    this.#facts.delete(id);
    this.#nodes.delete(id);
    for (const tag of facts.tags) this.#byTag.get(tag)?.delete(id);
    if (facts.userId !== null) this.#byUser.get(facts.userId)?.delete(id);
  }

  setUser(user: NetworkUser): void {
    this.#users.set(user.id, { ...user, login: user.login.toLowerCase() });
    this.#readAgain(user.id);
  }

  removeUser(id: number): void {
    this.#users.delete(id);
    this.#readAgain(id);
  }

  /** The untagged devices of a person. */
  nodesOf(userId: number): readonly number[] {
    return [...(this.#byUser.get(userId) ?? [])];
  }

  /** The device that has an address. */
  nodeAt(address: IpRange): NetworkNode | null {
    for (const node of this.#nodes.values()) {
      if (node.addresses.some((own) => covers(rangeOfIp(own), address))) return node;
    }
    return null;
  }

  /** Whether a selector selects a device, by who it is or by an own address; routes are not looked at. */
  selects(selector: Selector, node: NodeIdentity): boolean {
    switch (selector.kind) {
      case 'any':
        return true;
      case 'tag':
        return node.tags.includes(selector.name);
      case 'addresses':
        return node.addresses.some((own) => overlapsAny(selector.ranges, rangeOfIp(own)));
      case 'user':
      case 'domain':
      case 'group':
        return node.user !== null && this.isPerson(selector, node.user);
      case 'autogroup':
        return this.#isInAutogroup(selector.name, node);
      default:
        return selector satisfies never;
    }
  }

  /** Whether a selector of people means this person. */
  isPerson(selector: Selector, user: Pick<NetworkUser, 'login' | 'groups' | 'role'>): boolean {
    if (selector.kind === 'user') return user.login === selector.login;
    if (selector.kind === 'domain') return user.login.endsWith(`@${selector.domain}`);
    if (selector.kind === 'group') {
      const members = this.#groups.get(selector.name);
      return members === undefined
        ? user.groups.some((name) => `group:${name}` === selector.name)
        : members.has(user.login);
    }
    if (selector.kind !== 'autogroup') return false;
    if (selector.name === 'member') return true;
    /* The owner is an administrator too, as at Tailscale. */
    return user.role === selector.name || (selector.name === 'admin' && user.role === 'owner');
  }

  /** The login names that a group of the policy lists. */
  membersOf(group: string): ReadonlySet<string> {
    return this.#groups.get(group) ?? new Set();
  }

  /** The devices that a selector may select; `selects` decides. */
  candidates(selector: Selector): Iterable<NetworkNode> {
    if (selector.kind === 'tag') return this.#existing(this.#byTag.get(selector.name) ?? []);
    if (selector.kind === 'user' || selector.kind === 'group') {
      const owners = [...this.#users.values()].filter((user) => this.isPerson(selector, user));
      return this.#existing(owners.flatMap(({ id }) => this.nodesOf(id)));
    }
    return this.#nodes.values();
  }

  *#existing(ids: Iterable<number>): Generator<NetworkNode> {
    for (const id of ids) {
      const node = this.#nodes.get(id);
      if (node !== undefined) yield node;
    }
  }

  #isInAutogroup(name: AutogroupName, node: NodeIdentity): boolean {
    if (name === 'danger-all') return true;
    if (name === 'tagged') return node.tags.length > 0;
    /* These name no device by itself; the rest are people, and a device of nobody known is nobody's. */
    if (name === 'shared' || name === 'self' || name === 'internet' || node.user === null) return false;
    return this.isPerson({ kind: 'autogroup', name }, node.user);
  }

  /** A person's devices carry the person, so they are read again when that changes. */
  #readAgain(userId: number): void {
    for (const id of this.nodesOf(userId)) {
      const facts = this.#facts.get(id);
      if (facts !== undefined) this.#nodes.set(id, this.#read(facts));
    }
  }

  #read(facts: NetworkNodeFacts): NetworkNode {
    const routes = facts.routes.flatMap((text) => {
      const range = parseIpRange(text);
      return range === null ? [] : [{ text, range }];
    });
    const isExit = ({ range }: { range: IpRange }): boolean => range.first === 0n && isWholeFamily(range);
    const addresses = facts.addresses.flatMap((text) => parseIp(text) ?? []);
    return {
      id: facts.id,
      user: facts.tags.length > 0 || facts.userId === null ? null : (this.#users.get(facts.userId) ?? null),
      tags: [...facts.tags],
      addresses,
      addressTexts: addresses.map(formatIp),
      subnets: routes.filter((route) => !isExit(route)),
      exitRoutes: routes.filter(isExit).map(({ text }) => text),
    };
  }
}

function isWholeFamily({ family, last }: IpRange): boolean {
  return last === (1n << (family === 4 ? 32n : 128n)) - 1n;
}

function add(index: Map<string, Set<number>>, key: string, id: number): void;
function add(index: Map<number, Set<number>>, key: number, id: number): void;
function add<Key>(index: Map<Key, Set<number>>, key: Key, id: number): void {
  const set = index.get(key);
  if (set === undefined) index.set(key, new Set([id]));
  else set.add(id);
}
