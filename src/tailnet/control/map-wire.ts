/**
 * Parts of map responses (tailcfg.MapResponse) as JSON texts. What is the same for every viewer is written
 * once and joined as text.
 */
import { parseIp } from '../../wire/ip.ts';
import { formatKeyText, type KeyHex, zeroKeyText } from '../protocol/key-text.ts';
import type { JsonValue } from '../protocol/wire-fields.ts';
import type { NodeRecord, TailnetRecord, UserRecord } from './records.ts';

/** How Go writes "none". */
const NO_TIME = '0001-01-01T00:00:00Z';

export interface NodeView {
  readonly node: NodeRecord;
  /** Its owner towards clients: the person, or the tailnet's tagged devices. */
  readonly userId: number;
  /** With the tailnet's domain, without a dot at the end. */
  readonly fullName: string;
  readonly isOnline: boolean;
  /** Prefixes besides its addresses that the viewer may send to it. */
  readonly routes: readonly string[];
  /** Of `routes`, those that nobody else carries. */
  readonly primaryRoutes: readonly string[];
  /** For the device itself only. */
  readonly capabilities: ReadonlyMap<string, readonly JsonValue[]> | null;
  readonly isExpired: boolean;
}

/** `tailcfg.Node`. */
export function nodeJson(view: NodeView): string {
  const { node, isExpired } = view;
  const addresses = [`${node.ipv4}/32`, `${node.ipv6}/128`];
  return JSON.stringify({
    ID: node.id,
    StableID: node.stableId,
    Name: `${view.fullName}.`,
    User: view.userId,
    Key: formatKeyText('nodekey', node.nodeKey),
    KeyExpiry: node.keyExpiry === null ? NO_TIME : new Date(node.keyExpiry).toISOString(),
    Machine: formatKeyText('mkey', node.machineKey),
    DiscoKey: discoText(node.reach.discoKey),
    Addresses: addresses,
    AllowedIPs: [...addresses, ...view.routes],
    Endpoints: node.reach.endpoints,
    HomeDERP: node.reach.homeDerp,
    Hostinfo: hostinfo(node, view.capabilities !== null),
    Created: new Date(node.createdAt).toISOString(),
    Cap: node.capabilityVersion,
    ...(node.tags.length === 0 ? {} : { Tags: node.tags }),
    ...(view.primaryRoutes.length === 0 ? {} : { PrimaryRoutes: view.primaryRoutes }),
    ...(view.isOnline ? {} : { LastSeen: new Date(node.lastSeen).toISOString() }),
    Online: view.isOnline,
    MachineAuthorized: node.isAuthorized,
    ...(view.capabilities === null ? {} : { CapMap: Object.fromEntries(view.capabilities) }),
    ...(isExpired ? { Expired: true } : {}),
  });
}

/** The digits, or the zero key: an empty text is no key to clients. */
export function discoText(key: KeyHex | null): string {
  return key === null ? zeroKeyText('discokey') : formatKeyText('discokey', key);
}

/** What everybody who sees a device is told of it: no versions, no serial numbers, nothing of its owner. */
function hostinfo({ facts }: NodeRecord, isSelf: boolean): object {
  return {
    OS: facts.os,
    Hostname: facts.hostname,
    ...(facts.services.length === 0
      ? {}
      : { Services: facts.services.map(({ proto, port }) => ({ Proto: proto, Port: port })) }),
    ...(facts.sshHostKeys.length === 0 ? {} : { sshHostKeys: facts.sshHostKeys }),
    ...(isSelf && facts.offeredRoutes.length > 0 ? { RoutableIPs: facts.offeredRoutes } : {}),
  };
}

/** `tailcfg.UserProfile`. */
export function profileJson(user: Pick<UserRecord, 'id' | 'login' | 'displayName'>): string {
  return JSON.stringify({ ID: user.id, LoginName: user.login, DisplayName: user.displayName });
}

/** How the owner of tagged devices is written; never a person. */
export function taggedProfile({
  taggedUserId,
}: TailnetRecord): Pick<UserRecord, 'id' | 'login' | 'displayName'> {
  return { id: taggedUserId, login: 'tagged-devices', displayName: 'Tagged Devices' };
}

/** `tailcfg.DNSConfig`. `domain` is the tailnet's own. */
export function dnsJson({ dns }: TailnetRecord, domain: string): string {
  const resolvers = (addresses: readonly string[]): object[] => addresses.map((Addr) => ({ Addr }));
  const routes: Record<string, object[] | null> = {};
  for (const [suffix, addresses] of Object.entries(dns.split)) routes[suffix] = resolvers(addresses);
  /* Null: the client answers for it from its map. */
  if (dns.magicDns) routes[domain] = null;
  return JSON.stringify({
    ...(dns.resolvers.length === 0 ? {} : { Resolvers: resolvers(dns.resolvers) }),
    Routes: routes,
    Domains: [...(dns.magicDns ? [domain] : []), ...dns.searchDomains],
    Proxied: dns.magicDns,
    ...(dns.extraRecords.length === 0
      ? {}
      : {
          ExtraRecords: dns.extraRecords.map(({ name, value }) => ({
            Name: name,
            Type: parseIp(value)?.family === 6 ? 'AAAA' : 'A',
            Value: value,
          })),
        }),
  });
}

/** Fields of a peer that `tailcfg.PeerChange` can tell alone. */
export interface ReachChange {
  readonly node: NodeRecord;
  readonly isOnline: boolean;
}

/** `tailcfg.PeerChange` from one to the other, without its id; null if the whole device has to be sent. */
export function reachPatch(before: ReachChange, after: ReachChange): object | null {
  if (!isReachAlone(before.node, after.node)) return null;
  const [was, is] = [before.node.reach, after.node.reach];
  /* A patch cannot take a key, a home or the last endpoint away. */
  const takesAway =
    (is.discoKey === null && was.discoKey !== null) ||
    (is.homeDerp === 0 && was.homeDerp !== 0) ||
    (is.endpoints.length === 0 && was.endpoints.length > 0);
  if (takesAway) return null;
  const isSeenAnew = before.isOnline || before.node.lastSeen !== after.node.lastSeen;
  return {
    ...(was.homeDerp === is.homeDerp ? {} : { DERPRegion: is.homeDerp }),
    ...(sameTexts(was.endpoints, is.endpoints) ? {} : { Endpoints: is.endpoints }),
    ...(was.discoKey === is.discoKey ? {} : { DiscoKey: discoText(is.discoKey) }),
    ...(before.isOnline === after.isOnline ? {} : { Online: after.isOnline }),
    ...(after.isOnline || !isSeenAnew ? {} : { LastSeen: new Date(after.node.lastSeen).toISOString() }),
  };
}

/** Whether everything that others see, but for how to reach it and when it was seen, is the same. */
function isReachAlone(before: NodeRecord, after: NodeRecord): boolean {
  return (
    before === after ||
    (before.nodeKey === after.nodeKey &&
      before.userId === after.userId &&
      before.tags === after.tags &&
      before.name === after.name &&
      before.keyExpiry === after.keyExpiry &&
      before.facts === after.facts &&
      before.isAuthorized === after.isAuthorized &&
      before.capabilityVersion === after.capabilityVersion)
  );
}

export function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((text, index) => text === b[index]));
}
