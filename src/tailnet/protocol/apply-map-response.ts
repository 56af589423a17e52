/**
 * The next network map out of the last one and a response. Pure; the rules are those of
 * tailcfg.MapResponse: what a response does not say is unchanged.
 */
import { EMPTY_DERP_MAP, updateDerpMap } from './derp-map.ts';
import { controlError } from './errors.ts';
import type { DnsConfig, FilterRule, Netmap, NetmapChanges, NetworkNode, UserProfile } from './netmap.ts';
import { type MapResponse, PEERS_MAX } from './read-map-response.ts';

export interface NetmapUpdate {
  readonly netmap: Netmap;
  readonly changes: NetmapChanges;
}

export interface ApplyOptions {
  /** The map so far of this stream; null before its first response, which must be whole. */
  readonly session: Netmap | null;
  /** What users of the map have now, possibly from an earlier stream; for telling what was removed. */
  readonly shown: Netmap | null;
  /** Our wall clock, ms since 1970. */
  readonly now: number;
}

const NO_DNS: DnsConfig = {
  isMagic: false,
  domains: [],
  extraRecords: [],
  certificateDomains: [],
  resolvers: [],
  routes: new Map(),
};
/** Profiles of people who own no device any more are kept up to this number. */
const USERS_MAX = 100_000;
/** Of the parts of the filter together, over time. */
const FILTERS_MAX = 10_000;

/**
 * @throws AppError<ControlErrorCode> `control_protocol`: a first response without this node, a
 *   malformed one, or more peers than any network has; `control_tailnet_lock`: the network has
 *   tailnet lock, under which peers' keys must be verified by signatures that this node cannot check
 */
export function applyMapResponse(response: MapResponse, { session, shown, now }: ApplyOptions): NetmapUpdate {
  if (response.isLocked === true) {
    throw controlError(
      'control_tailnet_lock',
      'this network has tailnet lock, whose signatures this node cannot verify: turn it off for this network, or run the official client here',
    );
  }
  const clockOffsetMs =
    response.controlTime === null ? (session?.clockOffsetMs ?? 0) : response.controlTime - now;
  const controlNow = now + clockOffsetMs;
  const self = response.self ?? session?.self ?? null;
  if (self === null) {
    throw controlError(
      'control_protocol',
      'the first map response does not have this node, or a malformed one',
    );
  }
  const peers = nextPeers(response, session?.peers ?? new Map(), controlNow);
  if (peers.map.size > PEERS_MAX) {
    throw controlError('control_protocol', `the network map has more than ${PEERS_MAX} peers`);
  }
  const filters = nextFilters(response, session?.filters ?? new Map());
  const netmap: Netmap = {
    self: withExpiry(self, controlNow),
    peers: peers.map,
    users: nextUsers(response, session?.users ?? new Map()),
    derpMap: updateDerpMap(session?.derpMap ?? EMPTY_DERP_MAP, response.derpMap),
    dns: response.dns ?? session?.dns ?? NO_DNS,
    domain: response.domain === null || response.domain === '' ? (session?.domain ?? '') : response.domain,
    filters,
    health: response.health ?? session?.health ?? [],
    clockOffsetMs,
  };
  /* A new stream starts from nothing: what the last one had and this one has not is gone. */
  const before = session ?? shown;
  const removed = new Set(peers.removed);
  if (session === null || response.peers !== null) {
    for (const id of (before?.peers ?? new Map<number, NetworkNode>()).keys()) {
      if (!peers.map.has(id)) removed.add(id);
    }
  }
  return {
    netmap,
    changes: {
      self: netmap.self !== before?.self,
      peersChanged: [...peers.changed],
      peersRemoved: [...removed],
      users: netmap.users !== before?.users,
      filters: netmap.filters !== before?.filters,
      derpMap: netmap.derpMap !== before?.derpMap,
      dns: netmap.dns !== before?.dns,
    },
  };
}

interface NextPeers {
  readonly map: ReadonlyMap<number, NetworkNode>;
  readonly changed: ReadonlySet<number>;
  readonly removed: ReadonlySet<number>;
}

function nextPeers(
  response: MapResponse,
  known: ReadonlyMap<number, NetworkNode>,
  controlNow: number,
): NextPeers {
  if (response.peers !== null) {
    const map = new Map(response.peers.map((peer) => [peer.id, withExpiry(peer, controlNow)]));
    return { map, changed: new Set(map.keys()), removed: new Set() };
  }
  const { peersRemoved, peersChanged, patches, seen, online } = response;
  if (peersRemoved.length + peersChanged.length + patches.length + seen.length + online.length === 0) {
    return { map: known, changed: new Set(), removed: new Set() };
  }
  const map = new Map(known);
  const changed = new Set<number>();
  const removed = new Set<number>();
  const change = (id: number, fields: Partial<NetworkNode>): void => {
    const peer = map.get(id);
    if (peer === undefined) return;
    map.set(id, withExpiry({ ...peer, ...fields }, controlNow));
    changed.add(id);
  };
  for (const id of peersRemoved) {
    if (map.delete(id)) removed.add(id);
  }
  for (const peer of peersChanged) {
    map.set(peer.id, withExpiry(peer, controlNow));
    changed.add(peer.id);
    removed.delete(peer.id);
  }
  for (const [id, isSeen] of seen) change(id, { lastSeen: isSeen ? controlNow : null });
  for (const [id, isOnline] of online) change(id, { isOnline });
  for (const patch of patches) change(patch.id, patch.fields);
  return { map, changed, removed };
}

function withExpiry(node: NetworkNode, controlNow: number): NetworkNode {
  return !node.isExpired && node.keyExpiry !== null && node.keyExpiry <= controlNow
    ? { ...node, isExpired: true }
    : node;
}

function nextUsers(
  { users }: MapResponse,
  known: ReadonlyMap<number, UserProfile>,
): ReadonlyMap<number, UserProfile> {
  if (users.length === 0) return known;
  const next = new Map(known);
  for (const user of users) {
    next.delete(user.id);
    next.set(user.id, user);
  }
  /* The longest unheard of go first. */
  for (const id of next.keys()) {
    if (next.size <= USERS_MAX) break;
    next.delete(id);
  }
  return next;
}

function nextFilters(
  { filter, filters }: MapResponse,
  known: ReadonlyMap<string, readonly FilterRule[]>,
): ReadonlyMap<string, readonly FilterRule[]> {
  if (filter === null && filters.length === 0) return known;
  const next = new Map(known);
  if (filter !== null) next.set('base', filter);
  if (filters.some(([name, rules]) => name === '*' && rules === null)) next.clear();
  for (const [name, rules] of filters) {
    if (name === '*') continue;
    if (rules === null) next.delete(name);
    else next.set(name, rules);
  }
  if (next.size > FILTERS_MAX) {
    throw controlError('control_protocol', `the packet filter has more than ${FILTERS_MAX} parts`);
  }
  return next;
}

/** The map with every key marked whose time has come, and when the next one comes. */
export interface ExpiredKeys extends NetmapUpdate {
  /** Our wall clock; null if no key expires any more. */
  readonly nextAt: number | null;
}

/** Marks keys that expire without a word of the server. Pure; `now` is our wall clock. */
export function expireKeys(netmap: Netmap, now: number): ExpiredKeys {
  const controlNow = now + netmap.clockOffsetMs;
  let nextAt: number | null = null;
  const look = (node: NetworkNode): NetworkNode => {
    const marked = withExpiry(node, controlNow);
    if (!marked.isExpired && marked.keyExpiry !== null) {
      const at = marked.keyExpiry - netmap.clockOffsetMs;
      nextAt = nextAt === null ? at : Math.min(nextAt, at);
    }
    return marked;
  };
  const self = look(netmap.self);
  const changed: NetworkNode[] = [];
  for (const peer of netmap.peers.values()) {
    const marked = look(peer);
    if (marked !== peer) changed.push(marked);
  }
  const peers =
    changed.length === 0
      ? netmap.peers
      : new Map([...netmap.peers, ...changed.map((peer) => [peer.id, peer] as const)]);
  return {
    netmap: self === netmap.self && peers === netmap.peers ? netmap : { ...netmap, self, peers },
    changes: {
      self: self !== netmap.self,
      peersChanged: changed.map(({ id }) => id),
      peersRemoved: [],
      users: false,
      filters: false,
      derpMap: false,
      dns: false,
    },
    nextAt,
  };
}
