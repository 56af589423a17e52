/**
 * One device's packet filter in the control protocol's shape (tailcfg.FilterRule): the rules of the
 * policy, reduced to what reaches this device, in the order of the policy, with equal sources and
 * protocols joined. The filter stands at the receiver, so only destinations count here.
 */
import type { JsonValue } from '../../wire/hujson.ts';
import type { NetworkDirectory, NetworkNode } from './directory.ts';
import { covers, formatRange, overlaps, prefixesOf, rangeOfIp } from './ip-ranges.ts';
import { internetRanges } from './known-ranges.ts';
import { carriesVia, isExitFor, isInternet, isSelf, receives } from './node-sets.ts';
import type { AccessRule, Selector, Traffic } from './policy.ts';

/** Addresses of one device's filter; what is beyond it is left out, and so not allowed. */
const FILTER_ADDRESSES_MAX = 250_000;

export interface WirePortRange {
  /** An address, a prefix, `first-last`, or `*`. */
  readonly IP: string;
  readonly Ports: { readonly First: number; readonly Last: number };
}

export interface WireCapGrant {
  readonly Dsts: readonly string[];
  readonly CapMap: Readonly<Record<string, readonly JsonValue[] | null>>;
}

/** As MapResponse.PacketFilter has it; either DstPorts or CapGrant is there. */
export interface WireFilterRule {
  readonly SrcIPs: readonly string[];
  readonly DstPorts?: readonly WirePortRange[];
  /** IP protocol numbers; absent: TCP, UDP and ICMP. */
  readonly IPProto?: readonly number[];
  readonly CapGrant?: readonly WireCapGrant[];
}

/** The sources of a rule as texts; `joined` tells equal ones. */
export interface SourceTexts {
  readonly texts: readonly string[];
  readonly joined: string;
}

/** Capabilities that come with another one, for the sources and from the destinations (tailcfg.PeerCapability*). */
const COMPANIONS: readonly (readonly [string, string])[] = [
  ['tailscale.com/cap/drive', 'tailscale.com/cap/drive-sharer'],
  ['tailscale.com/cap/relay', 'tailscale.com/cap/relay-target'],
];

/** What a filter is built from; `textsOf` remembers what it made. */
export interface FilterInputs {
  readonly directory: NetworkDirectory;
  readonly rules: readonly AccessRule[];
  /** The addresses of selectors, as SrcIPs has them. */
  textsOf(selectors: readonly Selector[]): SourceTexts;
}

/** The filter of one device. */
export function buildFilter(node: NetworkNode, inputs: FilterInputs): readonly WireFilterRule[] {
  const filter = new FilterList();
  for (const rule of inputs.rules) {
    const others = rule.destinations.filter((one) => !isSelf(one));
    const asked: Asked = { node, rule, inputs, destinations: others };
    const reached = others.flatMap((one) => reachedBy(one, asked));
    if (reached.length > 0) {
      for (const traffic of rule.traffic) filter.addPorts(inputs.textsOf(rule.sources), traffic, reached);
    }
    /* A router in between has no program that reads a capability, so `via` gives none (as at Tailscale). */
    if (rule.app !== null && rule.via.length === 0) {
      const grants = others.flatMap((one) => capGrant(capDestinations(one, asked), rule.app));
      filter.addGrants(grants.length === 0 ? [] : inputs.textsOf(rule.sources).texts, grants);
      addCompanions(filter, asked);
    }
    if (others.length < rule.destinations.length) addSelf(filter, asked);
  }
  return filter.rules;
}

/** One rule, asked for one device; `destinations` are those that do not depend on who asks. */
interface Asked {
  readonly node: NetworkNode;
  readonly rule: AccessRule;
  readonly inputs: FilterInputs;
  readonly destinations: readonly Selector[];
}

/** Where this device is what a destination means: texts for DstPorts. */
function reachedBy(destination: Selector, { rule, node, inputs }: Asked): readonly string[] {
  const isVia = rule.via.length > 0;
  if (isVia && !carriesVia(rule.via, destination, node)) return [];
  if (destination.kind === 'any') return ['*'];
  if (isInternet(destination)) {
    return internetRanges()
      .filter((range) => isExitFor(node, range))
      .map(formatRange);
  }
  if (destination.kind === 'addresses') {
    return destination.ranges
      .filter((range) =>
        isVia ? node.subnets.some((one) => overlaps(one.range, range)) : receives(node, range),
      )
      .map(formatRange);
  }
  return inputs.directory.selects(destination, node) ? node.addressTexts : [];
}

/** The same for CapGrant, where a device appears with its addresses, and a subnet as it was written. */
function capDestinations(destination: Selector, { node, inputs }: Asked): readonly string[] {
  if (destination.kind !== 'addresses') {
    return inputs.directory.selects(destination, node) ? ownPrefixes(node) : [];
  }
  const own = node.addresses
    .map(rangeOfIp)
    .filter((address) => destination.ranges.some((range) => covers(range, address)));
  const behind = destination.ranges.filter((range) => node.subnets.some((one) => overlaps(one.range, range)));
  return [...own, ...behind].flatMap(prefixesOf);
}

function ownPrefixes(node: NetworkNode): readonly string[] {
  return node.addresses.map(rangeOfIp).flatMap(prefixesOf);
}

function capGrant(destinations: readonly string[], app: AccessRule['app']): readonly WireCapGrant[] {
  return destinations.length === 0 || app === null ? [] : [{ Dsts: destinations, CapMap: app }];
}

/** The sources of some capabilities are told so, by a rule the other way round. */
function addCompanions(filter: FilterList, { node, rule, inputs, destinations }: Asked): void {
  if (!rule.sources.some((source) => inputs.directory.selects(source, node))) return;
  for (const [capability, companion] of COMPANIONS) {
    if (rule.app === null || !Object.hasOwn(rule.app, capability)) continue;
    const { texts } = inputs.textsOf(destinations);
    filter.addGrants(texts, [{ Dsts: ownPrefixes(node), CapMap: { [companion]: null } }]);
  }
}

/** `autogroup:self`: among the untagged devices of this device's person. */
function addSelf(filter: FilterList, { node, rule, inputs }: Asked): void {
  if (node.user === null) return;
  const { directory } = inputs;
  const own = directory.nodesOf(node.user.id).flatMap((id) => directory.nodes.get(id) ?? []);
  const sources = own.filter((one) => rule.sources.some((source) => directory.selects(source, one)));
  const texts = sources.flatMap(({ addressTexts }) => addressTexts).sort();
  for (const traffic of rule.traffic) {
    filter.addPorts({ texts, joined: texts.join() }, traffic, node.addressTexts);
  }
  if (rule.app === null) return;
  filter.addGrants(texts, capGrant(ownPrefixes(node), rule.app));
  const everywhere = own.flatMap(({ addressTexts }) => addressTexts);
  for (const [capability, companion] of COMPANIONS) {
    if (!Object.hasOwn(rule.app, capability) || !sources.includes(node)) continue;
    filter.addGrants(everywhere, [{ Dsts: ownPrefixes(node), CapMap: { [companion]: null } }]);
  }
}

class FilterList {
  readonly rules: WireFilterRule[] = [];
  /** By the sources' text, then the protocol. */
  readonly #portsBySource = new Map<string, Map<number | null, WirePortRange[]>>();
  #addresses = 0;

  /** Joined to the earlier rule with the same sources and protocol, if there is one. */
  addPorts(
    { texts, joined }: SourceTexts,
    { protocol, ports }: Traffic,
    destinations: readonly string[],
  ): void {
    if (destinations.length === 0 || texts.length === 0) return;
    const byProtocol = this.#portsBySource.get(joined) ?? new Map<number | null, WirePortRange[]>();
    this.#portsBySource.set(joined, byProtocol);
    const known = byProtocol.get(protocol);
    this.#addresses += destinations.length * ports.length + (known === undefined ? texts.length : 0);
    if (this.#addresses > FILTER_ADDRESSES_MAX) return;
    const list = known ?? [];
    for (const IP of destinations) {
      for (const { first, last } of ports) list.push({ IP, Ports: { First: first, Last: last } });
    }
    if (known !== undefined) return;
    byProtocol.set(protocol, list);
    this.rules.push({ SrcIPs: texts, DstPorts: list, ...(protocol === null ? {} : { IPProto: [protocol] }) });
  }

  addGrants(texts: readonly string[], grants: readonly WireCapGrant[]): void {
    if (grants.length === 0 || texts.length === 0) return;
    this.#addresses += texts.length + grants.reduce((count, { Dsts }) => count + Dsts.length, 0);
    if (this.#addresses > FILTER_ADDRESSES_MAX) return;
    this.rules.push({ SrcIPs: texts, CapGrant: grants });
  }
}
