/**
 * Questions to a network map: who has this address, what may they do, which address has this name,
 * what may come in. Built once per map; asked often.
 */
import { formatIp, type IpAddress, parseIp } from '../../wire/ip.ts';
import { IpRangeSet } from './ip-ranges.ts';
import type { FilterRule, Netmap, NetworkNode, UserProfile } from './netmap.ts';
import { isWithin, readSources, RuleSet } from './packet-filter.ts';
import type { JsonValue } from './wire-fields.ts';

/** Who is behind an address. */
export interface WhoIs {
  readonly node: NetworkNode;
  /** The owner; null for a device with tags, which stands for no person, and where the server does not tell. */
  readonly user: UserProfile | null;
  /** App capabilities that the network's policy grants this device at the address it talks to. */
  readonly capabilities: ReadonlyMap<string, readonly JsonValue[]>;
}

export interface NetworkView {
  readonly netmap: Netmap;
  readonly rules: RuleSet;
  /** This node, or a peer whose key is valid; null for addresses behind a router, which are nobody's identity. */
  nodeOf(address: IpAddress): NetworkNode | null;
  /**
   * Who talks from `source`, and what they may do at `destination` (default: any address of this node).
   * Null: nobody known. True of packets only whose source was checked against the peer's key.
   */
  whois(source: IpAddress, destination?: IpAddress): WhoIs | null;
  /** Addresses of a name: full, short within the network, or an address itself. Empty if there is none. IPv4 first. */
  resolve(name: string): readonly IpAddress[];
  /** The full name of an address. */
  nameOf(address: IpAddress): string | null;
}

export function createNetworkView(netmap: Netmap): NetworkView {
  const byAddress = indexAddresses(netmap);
  const names = indexNames(netmap);
  const nodeOf = (address: IpAddress): NetworkNode | null => byAddress.get(formatIp(address)) ?? null;
  const hasCapability = (source: IpAddress, name: string): boolean =>
    nodeOf(source)?.capabilities.has(name) ?? false;
  const allRules = [...netmap.filters.values()].flat();
  const grants = compileGrants(allRules);
  const own = netmap.self.addresses.map(({ family, base }): IpAddress => ({ family, value: base }));
  return {
    netmap,
    rules: new RuleSet(allRules, { hasCapability, mayBegin: (source) => nodeOf(source)?.isJailed !== true }),
    nodeOf,
    whois(source, destination) {
      const node = nodeOf(source);
      if (node === null) return null;
      const to = destination === undefined ? own : [destination];
      const capabilities = new Map<string, JsonValue[]>();
      for (const grant of grants) {
        const isFrom =
          grant.sources.has(source) || grant.capabilities.some((name) => hasCapability(source, name));
        if (!isFrom || !to.some((ip) => isWithin(ip, grant.destinations))) continue;
        for (const [name, values] of grant.granted) {
          capabilities.set(name, [...(capabilities.get(name) ?? []), ...values]);
        }
      }
      const user = node.tags.length > 0 ? null : (netmap.users.get(node.userId) ?? null);
      return { node, user, capabilities };
    },
    resolve(name) {
      const plain = name.toLowerCase().replace(/\.$/, '');
      const literal = parseIp(plain);
      return literal === null ? (names.get(plain) ?? []) : [literal];
    },
    nameOf: (address) => {
      const name = nodeOf(address)?.name ?? '';
      return name === '' ? null : name;
    },
  };
}

/** An address that two devices claim is nobody's: the map is wrong, and no identity may come of it. */
function indexAddresses({ self, peers }: Netmap): ReadonlyMap<string, NetworkNode> {
  const index = new Map<string, NetworkNode>();
  const contested = new Set<string>();
  for (const node of [self, ...peers.values()]) {
    if (node.isExpired && node !== self) continue;
    for (const { family, base } of node.addresses) {
      const text = formatIp({ family, value: base });
      if (index.has(text)) contested.add(text);
      else index.set(text, node);
    }
  }
  for (const text of contested) index.delete(text);
  return index;
}

function indexNames({ self, peers, dns }: Netmap): ReadonlyMap<string, readonly IpAddress[]> {
  const names = new Map<string, IpAddress[]>();
  const add = (name: string, ips: readonly IpAddress[]): void => {
    if (name !== '' && ips.length > 0) names.set(name, [...(names.get(name) ?? []), ...ips]);
  };
  const ownSuffix = self.name.slice(self.name.indexOf('.'));
  for (const node of [self, ...peers.values()]) {
    const ips = node.addresses.map(({ family, base }): IpAddress => ({ family, value: base }));
    ips.sort((a, b) => a.family - b.family);
    add(node.name, ips);
    /* The short form is for this network's own names: a device shared in keeps its full name. */
    if (ownSuffix.startsWith('.') && node.name.endsWith(ownSuffix)) {
      const short = node.name.slice(0, -ownSuffix.length);
      if (!short.includes('.')) add(short, ips);
    }
  }
  for (const { name, type, value } of dns.extraRecords) {
    const ip = parseIp(value);
    const isAddress =
      type === '' || (type === 'A' && ip?.family === 4) || (type === 'AAAA' && ip?.family === 6);
    if (ip !== null && isAddress) add(name, [ip]);
  }
  return names;
}

interface CompiledGrant {
  readonly sources: IpRangeSet;
  readonly capabilities: readonly string[];
  readonly destinations: FilterRule['grants'][number]['destinations'];
  readonly granted: ReadonlyMap<string, readonly JsonValue[]>;
}

function compileGrants(rules: readonly FilterRule[]): CompiledGrant[] {
  return rules.flatMap((rule) => {
    if (rule.grants.length === 0) return [];
    const { ranges, capabilities } = readSources(rule.sources);
    const sources = new IpRangeSet(ranges);
    return rule.grants.map((grant) => ({
      sources,
      capabilities,
      destinations: grant.destinations,
      granted: grant.capabilities,
    }));
  });
}
