/**
 * A policy joined to the devices and people of a tailnet. Each answer is computed for one device when it
 * is asked for and remembered until a change touches that device, so a change costs work in proportion
 * to whom it touches. Answers are deterministic: the same policy and world give the same bytes.
 */
import { NetworkDirectory, type NetworkNode } from './directory.ts';
import {
  coversWhole,
  formatRange,
  overlapsAny,
  parseIpRange,
  rangeOfIp,
  sameRange,
  unionOf,
  type IpRange,
  type IpRanges,
} from './ip-ranges.ts';
import { approvesRoute, capabilitiesOf, mayTag, tagsMayTag, type NodeCapabilities } from './node-rights.ts';
import { usualTailnetRanges } from './known-ranges.ts';
import { buildFilter, type SourceTexts, type WireFilterRule } from './node-filter.ts';
import {
  carriesVia,
  destinationSide,
  isInternet,
  isSelf,
  isWildcard,
  NodeSets,
  sourceSide,
  type RuleSide,
} from './node-sets.ts';
import type { AccessRule, NetworkPolicy, Selector } from './policy.ts';
import {
  buildSshRules,
  judgeSsh,
  SSH_CHECK_URL,
  sshReachOf,
  type SshVerdict,
  type WireSshRule,
} from './ssh-policy.ts';
import type { NetworkNodeFacts, NetworkUser, NetworkWorld } from './world.ts';

/** Without grants and acls: everybody reaches everything. */
const ALLOW_ALL: AccessRule = {
  path: '',
  line: 0,
  sources: [{ kind: 'any' }],
  destinations: [{ kind: 'any' }],
  traffic: [{ protocol: null, ports: [{ first: 0, last: 65_535 }] }],
  app: null,
  via: [],
};

/** Texts of sources that are remembered. */
const TEXTS_MAX = 1_000_000;

interface PreparedRule {
  readonly rule: AccessRule;
  readonly sources: RuleSide;
  readonly destinations: RuleSide;
  readonly hasSelf: boolean;
}

export function compileNetworkPolicy(policy: NetworkPolicy, world: NetworkWorld): CompiledNetwork {
  return new CompiledNetwork(policy, world);
}

export class CompiledNetwork {
  readonly policy: NetworkPolicy;
  readonly directory: NetworkDirectory;
  /** In the order in which they are sent. */
  readonly rules: readonly AccessRule[];
  readonly #prepared: readonly PreparedRule[];
  readonly #sets: NodeSets;
  readonly #tailnetRanges: IpRanges;
  readonly #sshCheckUrl: string;
  readonly #texts = new Map<string, SourceTexts>();
  /** Since they were last forgotten. */
  #textCount = 0;
  readonly #filters = new Map<number, readonly WireFilterRule[]>();
  readonly #peers = new Map<number, ReadonlySet<number>>();
  readonly #ssh = new Map<number, { readonly rules: readonly WireSshRule[] }>();

  constructor(policy: NetworkPolicy, world: NetworkWorld) {
    this.policy = policy;
    this.directory = new NetworkDirectory(policy.groups, world);
    this.rules = policy.rules ?? [ALLOW_ALL];
    this.#prepared = this.rules.map((rule) => ({
      rule,
      sources: sourceSide(rule),
      destinations: destinationSide(rule),
      hasSelf: rule.destinations.some(isSelf),
    }));
    this.#sets = new NodeSets(this.directory);
    const ranges = world.tailnetRanges?.flatMap((text) => parseIpRange(text) ?? []);
    this.#tailnetRanges = ranges === undefined ? usualTailnetRanges() : unionOf(ranges);
    this.#sshCheckUrl = world.sshCheckUrl ?? SSH_CHECK_URL;
  }

  /** What may come in at a device: MapResponse.PacketFilter. Empty for an unknown device, and then nothing may. */
  filterOf(nodeId: number): readonly WireFilterRule[] {
    const known = this.#filters.get(nodeId);
    const node = this.directory.nodes.get(nodeId);
    if (known !== undefined || node === undefined) return known ?? [];
    const filter = buildFilter(node, {
      directory: this.directory,
      rules: this.rules,
      textsOf: (selectors) => this.#textsOf(selectors),
    });
    this.#filters.set(nodeId, filter);
    return filter;
  }

  /** The devices that this one is to know: it may reach them, or they it. */
  peersOf(nodeId: number): ReadonlySet<number> {
    const known = this.#peers.get(nodeId);
    if (known !== undefined) return known;
    const node = this.directory.nodes.get(nodeId);
    const peers = new Set<number>();
    if (node === undefined) return peers;
    const done = new Set<string>();
    for (const one of this.#prepared) {
      if (peers.size >= this.directory.nodes.size) break;
      const { sources, destinations } = one;
      /* Equal lists on both sides give nothing new. */
      if (this.#sets.of(sources).has(nodeId)) addAll(peers, done, destinations, this.#sets);
      if (this.#sets.of(destinations).has(nodeId)) addAll(peers, done, sources, this.#sets);
      if (one.hasSelf) for (const id of this.#selfPeers(one.rule, node)) peers.add(id);
    }
    peers.delete(nodeId);
    this.#peers.set(nodeId, peers);
    return peers;
  }

  /** Which approved routes of a peer belong into its AllowedIPs at a viewer; exit routes among them. */
  routesFor(viewerId: number, peerId: number): readonly string[] {
    const viewer = this.directory.nodes.get(viewerId);
    const peer = this.directory.nodes.get(peerId);
    if (viewer === undefined || peer === undefined || peer.subnets.length + peer.exitRoutes.length === 0)
      return [];
    const subnets = peer.subnets.filter(({ range }) =>
      this.#prepared.some((one) => this.#needsSubnet(one, viewer, peer, range)),
    );
    const isExit =
      peer.exitRoutes.length > 0 && this.#prepared.some((one) => this.#usesExit(one, viewer, peer));
    return [...subnets.map(({ text }) => text), ...(isExit ? peer.exitRoutes : [])];
  }

  /** Who may log in at a device: MapResponse.SSHPolicy. Null where the policy has no `ssh`. */
  sshPolicyOf(nodeId: number): { readonly rules: readonly WireSshRule[] } | null {
    const node = this.directory.nodes.get(nodeId);
    if (this.policy.ssh === null || node === undefined) return null;
    const known = this.#ssh.get(nodeId);
    if (known !== undefined) return known;
    const policy = { rules: buildSshRules(node, this.policy.ssh, this.directory, this.#sshCheckUrl) };
    this.#ssh.set(nodeId, policy);
    return policy;
  }

  /** What the policy says of a login as a user of the host; null: it is not allowed. */
  sshVerdict(sourceId: number, destinationId: number, user: string): SshVerdict | null {
    const source = this.directory.nodes.get(sourceId);
    const destination = this.directory.nodes.get(destinationId);
    if (source === undefined || destination === undefined) return null;
    return judgeSsh(source, destination, user, { rules: this.policy.ssh ?? [], directory: this.directory });
  }

  /** What `nodeAttrs` and the file's settings give a device: into its own Node.CapMap. */
  capabilitiesOf(nodeId: number): NodeCapabilities {
    const node = this.directory.nodes.get(nodeId);
    return node === undefined ? {} : capabilitiesOf(node, this.policy, this.directory);
  }

  /** What peers are told of a device's capabilities: only what clients read there. */
  peerCapabilitiesOf(nodeId: number): NodeCapabilities {
    const isExit = (this.directory.nodes.get(nodeId)?.exitRoutes.length ?? 0) > 0;
    return isExit && Object.hasOwn(this.capabilitiesOf(nodeId), 'suggest-exit-node')
      ? { 'suggest-exit-node': null }
      : {};
  }

  /** Whether a person may give a device a tag: as its owner, as the owner of a tag that owns it, or by role. */
  mayTag(userId: number, tag: string): boolean {
    const user = this.directory.users.get(userId);
    return user !== undefined && mayTag(user, tag, this.policy, this.directory);
  }

  /** Whether a key or device with these tags may give a tag: one of them, or one that they own. */
  tagsMayTag(tags: readonly string[], tag: string): boolean {
    return tagsMayTag(tags, tag, this.policy);
  }

  /** Whether a route that a device advertises is approved by the policy, without anybody's click. */
  approvesRoute(nodeId: number, prefix: string): boolean {
    const node = this.directory.nodes.get(nodeId);
    return node !== undefined && approvesRoute(node, prefix, this.policy, this.directory);
  }

  /** A device came or changed. Says whose filter, peers, routes or SSH policy may differ, the device included. */
  setNode(facts: NetworkNodeFacts): ReadonlySet<number> {
    return this.#change([facts.id], () => this.directory.setNode(facts));
  }

  /** A device went. Says whom that touches. */
  removeNode(id: number): ReadonlySet<number> {
    return this.#change([id], () => this.directory.removeNode(id));
  }

  /** A person came or changed (name, groups, role). Says whom that touches. */
  setUser(user: NetworkUser): ReadonlySet<number> {
    return this.#change(this.directory.nodesOf(user.id), () => this.directory.setUser(user));
  }

  removeUser(id: number): ReadonlySet<number> {
    return this.#change(this.directory.nodesOf(id), () => this.directory.removeUser(id));
  }

  #change(ids: readonly number[], apply: () => void): ReadonlySet<number> {
    const touched = new Set<number>(ids);
    for (const id of ids) this.#addTouched(touched, id);
    apply();
    for (const id of ids) {
      const keys = this.#sets.update(id);
      /* Also the texts of `*`, which name this device's subnets: every device is among its members. */
      for (const key of this.#texts.keys()) {
        if (keys.has(key) || !this.#sets.has(key)) this.#texts.delete(key);
      }
      this.#peers.delete(id);
    }
    for (const id of ids) this.#addTouched(touched, id);
    for (const id of touched) {
      this.#filters.delete(id);
      this.#peers.delete(id);
      this.#ssh.delete(id);
    }
    return touched;
  }

  #addTouched(touched: Set<number>, id: number): void {
    const node = this.directory.nodes.get(id);
    if (node === undefined) return;
    for (const peer of this.peersOf(id)) touched.add(peer);
    for (const peer of sshReachOf(node, this.policy.ssh ?? [], this.directory)) touched.add(peer);
  }

  /** SrcIPs: addresses of devices and written ranges; `*` adds the approved subnets each by itself, as Tailscale does. */
  #textsOf(selectors: readonly Selector[]): SourceTexts {
    const one = sourceSide({ sources: selectors });
    const known = this.#texts.get(one.key);
    if (known !== undefined) return known;
    const named = this.#namedTexts(selectors);
    const isDanger = selectors.some((selector) => isWildcard(selector) && selector.kind !== 'any');
    const isAny = selectors.some(({ kind }) => kind === 'any');
    const texts = isDanger
      ? ['*']
      : isAny
        ? [...new Set([...this.#tailnetRanges.map(formatRange), ...this.#subnets(), ...named])].sort()
        : named.sort();
    const made = { texts, joined: texts.join() };
    /* Registered, so that a change of a member is told apart from a change of others. */
    this.#sets.of(one);
    if (this.#textCount > TEXTS_MAX) {
      this.#texts.clear();
      this.#textCount = 0;
    }
    this.#texts.set(one.key, made);
    this.#textCount += texts.length;
    return made;
  }

  /** Written ranges joined, and the addresses of devices that lie in none of them. */
  #namedTexts(selectors: readonly Selector[]): string[] {
    const ranges = unionOf(selectors.flatMap((one) => (one.kind === 'addresses' ? one.ranges : [])));
    const texts = new Set(ranges.map(formatRange));
    for (const selector of selectors) {
      if (selector.kind === 'any' || selector.kind === 'addresses' || isWildcard(selector)) continue;
      for (const node of this.directory.candidates(selector)) {
        if (!this.directory.selects(selector, node)) continue;
        for (const [index, text] of node.addressTexts.entries()) {
          const own = node.addresses[index];
          if (own !== undefined && !coversWhole(ranges, rangeOfIp(own))) texts.add(text);
        }
      }
    }
    return [...texts];
  }

  *#subnets(): Generator<string> {
    for (const node of this.directory.nodes.values()) for (const { text } of node.subnets) yield text;
  }

  #selfPeers(rule: AccessRule, node: NetworkNode): readonly number[] {
    if (node.user === null) return [];
    const isSource = (id: number): boolean => {
      const one = this.directory.nodes.get(id);
      return one !== undefined && rule.sources.some((source) => this.directory.selects(source, one));
    };
    const own = this.directory.nodesOf(node.user.id);
    return isSource(node.id) ? own : own.filter(isSource);
  }

  /** Whether a rule needs a subnet's route at a viewer: to send there, or to take traffic from there. */
  #needsSubnet(
    { rule, sources, destinations }: PreparedRule,
    viewer: NetworkNode,
    peer: NetworkNode,
    range: IpRange,
  ): boolean {
    /* Routers of one subnet know each other's route, so that the one that stands by can send there. */
    if (viewer.subnets.some((own) => sameRange(own.range, range))) return true;
    if (
      this.#sets.of(sources).has(viewer.id) &&
      destinations.selectors.some((one) =>
        rule.via.length > 0
          ? carriesVia(rule.via, one, peer) && touches(one, range)
          : one.kind === 'any' || touches(one, range),
      )
    ) {
      return true;
    }
    return (
      this.#sets.of(destinations).has(viewer.id) &&
      sources.selectors.some((one) => isWildcard(one) || touches(one, range))
    );
  }

  #usesExit({ rule, sources, destinations }: PreparedRule, viewer: NetworkNode, peer: NetworkNode): boolean {
    if (!this.#sets.of(sources).has(viewer.id)) return false;
    return destinations.selectors.some((one) =>
      rule.via.length > 0
        ? isInternet(one) && carriesVia(rule.via, one, peer)
        : isInternet(one) ||
          one.kind === 'any' ||
          (one.kind === 'addresses' && peer.exitRoutes.some((text) => isWithin(text, one.ranges))),
    );
  }
}

function addAll(into: Set<number>, done: Set<string>, side: RuleSide, sets: NodeSets): void {
  if (done.has(side.key)) return;
  done.add(side.key);
  for (const id of sets.of(side)) into.add(id);
}

function touches(selector: Selector, range: IpRange): boolean {
  return selector.kind === 'addresses' && overlapsAny(selector.ranges, range);
}

function isWithin(route: string, ranges: IpRanges): boolean {
  const range = parseIpRange(route);
  return range !== null && coversWhole(ranges, range);
}
