/**
 * Whether one thing may reach another, asked of the policy and not of filters: ends may be devices,
 * people and tags that have no device yet, or addresses behind a router. Used by tests and by explain.
 */
import type { CompiledNetwork } from './compiled-network.ts';
import type { NetworkDirectory, NodeIdentity } from './directory.ts';
import { coversWhole, formatRange, rangeOfIp, type IpRange } from './ip-ranges.ts';
import { isSelf, isWildcard } from './node-sets.ts';
import type { AccessRule, Selector } from './policy.ts';
import { carries, USUAL_PROTOCOLS } from './traffic.ts';

/** One end of a connection. */
export type ReachEnd =
  /** A device, or one that a person or tag would have. */
  | { readonly kind: 'node'; readonly name: string; readonly node: NodeIdentity; readonly id: number | null }
  /** An address that no device of the tailnet has. */
  | { readonly kind: 'address'; readonly name: string; readonly range: IpRange };

/** What is tried; protocol null: any of TCP, UDP and ICMP will do. */
export interface Attempt {
  readonly source: ReachEnd;
  readonly destination: ReachEnd;
  readonly protocol: number | null;
  readonly port: number;
}

/** How far a rule carries an attempt: `allowed`, or the first thing that does not fit. */
export type RuleVerdict = 'allowed' | 'source' | 'destination' | 'traffic' | 'app_only';

export function judgeRule(rule: AccessRule, attempt: Attempt, directory: NetworkDirectory): RuleVerdict {
  const { source, destination, protocol, port } = attempt;
  if (!rule.sources.some((one) => meansSource(one, source, directory))) return 'source';
  const fits = rule.destinations.some((one) =>
    isSelf(one) ? isSamePerson(source, destination) : meansDestination(one, destination, directory),
  );
  if (!fits) return 'destination';
  if (rule.traffic.length === 0) return 'app_only';
  const protocols = protocol === null ? USUAL_PROTOCOLS : [protocol];
  const isCarried = rule.traffic.some((one) => protocols.some((number) => carries(one, number, port)));
  return isCarried ? 'allowed' : 'traffic';
}

function meansSource(selector: Selector, end: ReachEnd, directory: NetworkDirectory): boolean {
  if (end.kind === 'node') return directory.selects(selector, end.node);
  return isWildcard(selector)
    ? selector.kind !== 'any' || isApprovedSubnet(end.range, directory)
    : selector.kind === 'addresses' && coversWhole(selector.ranges, end.range);
}

/** `*` as a source: the tailnet's devices and its approved subnets, and nothing else. */
function isApprovedSubnet(range: IpRange, directory: NetworkDirectory): boolean {
  for (const { subnets } of directory.nodes.values()) {
    if (subnets.some((subnet) => coversWhole([subnet.range], range))) return true;
  }
  return false;
}

function meansDestination(selector: Selector, end: ReachEnd, directory: NetworkDirectory): boolean {
  if (end.kind === 'node') return directory.selects(selector, end.node);
  return (
    selector.kind === 'any' || (selector.kind === 'addresses' && coversWhole(selector.ranges, end.range))
  );
}

function isSamePerson(source: ReachEnd, destination: ReachEnd): boolean {
  if (source.kind !== 'node' || destination.kind !== 'node' || source.node.user === null) return false;
  return source.node.user === destination.node.user;
}

/**
 * The ends that a selector names: its devices, and for people and tags without one, the device that they
 * would have, so that a policy can be tested before anybody has joined.
 */
export function endsOf(selector: Selector, text: string, compiled: CompiledNetwork): readonly ReachEnd[] {
  const { directory } = compiled;
  if (selector.kind === 'addresses')
    return selector.ranges.map((range) => addressEnd(range, text, directory));
  const found: ReachEnd[] = [];
  for (const node of directory.candidates(selector)) {
    if (directory.selects(selector, node))
      found.push({ kind: 'node', name: `device ${node.id}`, node, id: node.id });
  }
  if (selector.kind === 'tag' && found.length === 0) {
    return [
      { kind: 'node', name: text, node: { user: null, tags: [selector.name], addresses: [] }, id: null },
    ];
  }
  if (selector.kind === 'any')
    found.push({ kind: 'node', name: 'any other device', node: NOBODYS_DEVICE, id: null });
  return [...found, ...withoutDevices(selector, found, directory)];
}

const NOBODYS_DEVICE: NodeIdentity = { user: null, tags: ['tag:'], addresses: [] };

/** Also an address of a device is that device. */
export function addressEnd(range: IpRange, name: string, directory: NetworkDirectory): ReachEnd {
  const node = range.first === range.last ? directory.nodeAt(range) : null;
  if (node === null) return { kind: 'address', name: formatRange(range), range };
  const address = node.addresses.filter((own) => coversWhole([range], rangeOfIp(own)));
  return { kind: 'node', name, node: { ...node, user: node.user, addresses: address }, id: node.id };
}

function withoutDevices(
  selector: Selector,
  found: readonly ReachEnd[],
  directory: NetworkDirectory,
): readonly ReachEnd[] {
  const known = [...directory.users.values()].filter((user) => directory.isPerson(selector, user));
  const logins = new Set(known.map(({ login }) => login));
  const withDevices = new Set(found.map((end) => (end.kind === 'node' ? end.node.user : null)));
  const listed =
    selector.kind === 'user'
      ? [selector.login]
      : selector.kind === 'group'
        ? [...directory.membersOf(selector.name)]
        : [];
  /* People whom the policy names and who never signed in. */
  const strangers = listed
    .filter((login) => !logins.has(login))
    .map((login) => ({ id: -1, login, groups: [], role: 'member' as const }));
  return [...known, ...strangers]
    .filter((user) => !withDevices.has(user))
    .map((user) => ({ kind: 'node', name: user.login, node: { user, tags: [], addresses: [] }, id: null }));
}
