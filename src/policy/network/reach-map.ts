/**
 * Who may reach what in a whole tailnet, for a drawing: devices of the same person or tags are one end, and
 * people whose ends are treated alike are one too. Read from the very packet filters that devices are sent, so
 * that the map cannot say otherwise than the network does.
 */
import type { CompiledNetwork } from './compiled-network.ts';
import type { NetworkNode } from './directory.ts';
import { covers, parseIpRange, rangeOfIp, type IpRange } from './ip-ranges.ts';
import type { WireFilterRule } from './node-filter.ts';

/** Devices that the network treats alike. */
export interface ReachGroup {
  /** `g1`, in the order of the directory; it names nothing elsewhere. */
  readonly id: string;
  /** Logins, or one set of tags; sorted. */
  readonly names: readonly string[];
  readonly kind: 'people' | 'tags' | 'nobody';
  readonly nodes: readonly number[];
}

export interface ReachLink {
  readonly from: string;
  readonly to: string;
  /** `*` for everything, else `tcp:443`, `udp:1-1023`, `22` (TCP and UDP); sorted. */
  readonly traffic: readonly string[];
  /** Ranges behind devices of `to` (subnets, `0.0.0.0/0`) that may be reached through them; sorted. */
  readonly behind: readonly string[];
  /** Not every device of `from` may, or not to every device of `to`. */
  readonly isPartial: boolean;
}

export interface ReachMap {
  readonly groups: readonly ReachGroup[];
  readonly links: readonly ReachLink[];
  /** False where the work was more than a drawing may cost, and links may be missing. */
  readonly isComplete: boolean;
}

/** Comparisons of a device with a source of a filter, in one map: some 0.3 s. */
const WORK_MAX = 8_000_000;
/** Texts of one link; more are one `…`. */
const TEXTS_MAX = 50;
const PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [58, 'icmpv6'],
  [132, 'sctp'],
]);

/** Links of ends before they are joined. */
interface Found {
  readonly traffic: Set<string>;
  readonly behind: Set<string>;
  /** Device to another device. */
  pairs: number;
}

export function mapReach(compiled: CompiledNetwork): ReachMap {
  const nodes = [...compiled.directory.nodes.values()];
  const ends = endsOf(nodes);
  const sources = new Sources(nodes);
  const endOf = new Map(ends.flatMap((end) => end.nodes.map((id) => [id, end.id] as const)));
  const found = new Map<string, Found>();
  for (const node of nodes) {
    if (sources.workLeft <= 0) break;
    const callers = new Map<Found, Set<number>>();
    for (const rule of compiled.filterOf(node.id)) {
      const told = toldBy(rule, node);
      if (told === null) continue;
      for (const source of sources.of(rule.SrcIPs)) {
        const key = `${endOf.get(source) ?? ''} ${endOf.get(node.id) ?? ''}`;
        const link = found.get(key) ?? { traffic: new Set(), behind: new Set(), pairs: 0 };
        found.set(key, link);
        const known = callers.get(link);
        if (known === undefined) callers.set(link, new Set([source]));
        else known.add(source);
        for (const text of told.traffic) link.traffic.add(text);
        for (const text of told.behind) link.behind.add(text);
      }
    }
    for (const [link, ids] of callers) link.pairs += ids.has(node.id) ? ids.size - 1 : ids.size;
  }
  const links = [...found].map(([key, link]) => linkOf(key, link, ends));
  return { ...joinAlike(ends, links), isComplete: sources.workLeft > 0 };
}

function endsOf(nodes: readonly NetworkNode[]): readonly ReachGroup[] {
  const ends = new Map<string, { kind: ReachGroup['kind']; names: readonly string[]; nodes: number[] }>();
  for (const { id, tags, user } of nodes) {
    const sorted = [...tags].sort();
    const kind = sorted.length > 0 ? 'tags' : user === null ? 'nobody' : 'people';
    const names = kind === 'tags' ? sorted : user === null ? [] : [user.login];
    const key = `${kind} ${names.join(' ')}`;
    const end = ends.get(key) ?? { kind, names, nodes: [] };
    end.nodes.push(id);
    ends.set(key, end);
  }
  return [...ends.values()].map((end, index) => ({ id: `g${index + 1}`, ...end }));
}

/** Devices that a list of sources means; lists that are the same object are looked at once. */
class Sources {
  workLeft = WORK_MAX;
  readonly #nodes: readonly NetworkNode[];
  readonly #byAddress = new Map<string, number>();
  readonly #known = new Map<readonly string[], ReadonlySet<number>>();

  constructor(nodes: readonly NetworkNode[]) {
    this.#nodes = nodes;
    for (const { id, addressTexts } of nodes) for (const text of addressTexts) this.#byAddress.set(text, id);
  }

  of(texts: readonly string[]): ReadonlySet<number> {
    const known = this.#known.get(texts);
    if (known !== undefined) {
      this.workLeft -= known.size;
      return known;
    }
    const meant = new Set<number>();
    for (const text of texts) {
      if (this.workLeft <= 0) break;
      this.workLeft -= 1;
      const one = this.#byAddress.get(text);
      if (one === undefined) this.#addWithin(text, meant);
      else meant.add(one);
    }
    this.workLeft -= meant.size;
    this.#known.set(texts, meant);
    return meant;
  }

  #addWithin(text: string, meant: Set<number>): void {
    const range = text === '*' ? null : parseIpRange(text);
    if (range === null && text !== '*') return;
    this.workLeft -= this.#nodes.length;
    for (const node of this.#nodes) if (range === null || holds(range, node)) meant.add(node.id);
  }
}

function holds(range: IpRange, { addresses }: NetworkNode): boolean {
  return addresses.some((address) => covers(range, rangeOfIp(address)));
}

/** What a rule of a device's filter lets in: to itself, and to what is behind it. Null: capabilities alone. */
function toldBy(
  { DstPorts = [], IPProto = [] }: WireFilterRule,
  node: NetworkNode,
): { readonly traffic: ReadonlySet<string>; readonly behind: ReadonlySet<string> } | null {
  if (DstPorts.length === 0) return null;
  const traffic = new Set<string>();
  const behind = new Set<string>();
  for (const { IP, Ports } of DstPorts) {
    const range = IP === '*' ? null : parseIpRange(IP);
    const isItself = IP === '*' || (range !== null && holds(range, node));
    if (isItself) traffic.add(trafficText(IPProto, Ports.First, Ports.Last));
    else behind.add(IP);
    if (IP === '*') for (const { text } of node.subnets) behind.add(text);
  }
  return { traffic, behind };
}

function trafficText(protocols: readonly number[], first: number, last: number): string {
  const isAll = first === 0 && last === 65_535;
  if (protocols.length === 0 && isAll) return '*';
  const ports = isAll ? '*' : first === last ? String(first) : `${first}-${last}`;
  if (protocols.length === 0) return ports;
  return `${protocols.map((one) => PROTOCOLS.get(one) ?? `protocol-${one}`).join(',')}:${ports}`;
}

function linkOf(key: string, { traffic, behind, pairs }: Found, ends: readonly ReachGroup[]): ReachLink {
  const [from = '', to = ''] = key.split(' ');
  const size = (id: string): number => ends.find((end) => end.id === id)?.nodes.length ?? 0;
  const all = from === to ? size(from) * (size(from) - 1) : size(from) * size(to);
  return {
    from,
    to,
    traffic: shortened(traffic.has('*') ? ['*'] : [...traffic].sort()),
    behind: shortened([...behind].sort()),
    isPartial: pairs < all,
  };
}

function shortened(texts: readonly string[]): readonly string[] {
  return texts.length <= TEXTS_MAX ? texts : [...texts.slice(0, TEXTS_MAX), '…'];
}

interface Drawing {
  readonly groups: readonly ReachGroup[];
  readonly links: readonly ReachLink[];
}

/** People whose links are alike become one group: first those who reach each other, then those who do not. */
function joinAlike(groups: readonly ReachGroup[], links: readonly ReachLink[]): Drawing {
  const mutual = joinedBy({ groups, links }, { areMutual: true });
  const joined = joinedBy(mutual, { areMutual: false });
  const isAlone = (id: string): boolean =>
    joined.groups.some((one) => one.id === id && one.nodes.length === 1);
  return {
    groups: joined.groups,
    /* A device reaches itself whatever a policy says. */
    links: joined.links.filter(({ from, to }) => from !== to || !isAlone(from)),
  };
}

function joinedBy({ groups, links }: Drawing, { areMutual }: { readonly areMutual: boolean }): Drawing {
  const marks = new Map<string, string[]>(groups.map(({ id }) => [id, []]));
  for (const { from, to, ...told } of links) {
    const isOwn = from === to;
    const text = isOwn && !areMutual ? 'itself' : null;
    const traffic = JSON.stringify(isOwn ? { ...told, isPartial: false } : told);
    marks.get(from)?.push(`out ${text ?? to} ${traffic}`);
    marks.get(to)?.push(`in ${text ?? from} ${traffic}`);
  }
  const joined = new Map<string, ReachGroup>();
  const newId = new Map<string, string>();
  const widened = new Set<string>();
  for (const group of groups) {
    const key = group.kind === 'people' ? (marks.get(group.id) ?? []).sort().join('\n') : group.id;
    const before = joined.get(key);
    newId.set(group.id, before?.id ?? group.id);
    if (before !== undefined) widened.add(before.id);
    joined.set(key, before === undefined ? group : withMore(before, group));
  }
  const renamed = new Map<string, ReachLink>();
  for (const link of links) {
    const from = newId.get(link.from) ?? link.from;
    const to = newId.get(link.to) ?? link.to;
    const before = renamed.get(`${from} ${to}`);
    const isWidened = !areMutual && from === to && widened.has(from);
    const isPartial = link.isPartial || isWidened || before?.isPartial === true;
    renamed.set(`${from} ${to}`, { ...link, from, to, isPartial });
  }
  return { groups: [...joined.values()], links: [...renamed.values()] };
}

function withMore(group: ReachGroup, { names, nodes }: ReachGroup): ReachGroup {
  return { ...group, names: [...group.names, ...names].sort(), nodes: [...group.nodes, ...nodes] };
}
