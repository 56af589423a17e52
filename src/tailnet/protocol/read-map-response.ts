/**
 * A map response (tailcfg.MapResponse) from its JSON: bounded, with unknown fields passed over. A
 * malformed device or rule is left out and counted; whoever is left out is not reachable, and a rule
 * that is left out allows nothing.
 */
import type { DnsConfig, FilterRule, NetworkNode, UserProfile } from './netmap.ts';
import { type NodePatch, readCapabilityMap, readNode, readNodePatch } from './read-node.ts';
import {
  asBoolean,
  asCidr,
  asCount,
  asEntries,
  asList,
  asObject,
  asPort,
  asText,
  asTime,
  type WireObject,
} from './wire-fields.ts';

/** Of one network, as this node sees it. */
export const PEERS_MAX = 50_000;
const USERS_MAX = 50_000;
const FILTERS_MAX = 10_000;
const RULES_MAX = 50_000;
/** Of one rule: a group of a large network, by addresses. */
const RULE_ITEMS_MAX = 50_000;
const HEALTH_MAX = 64;
const PING_PAYLOAD_MAX_CHARS = 65_536;

/** A question whether we are still there. */
export interface PingRequest {
  readonly url: string;
  readonly isOverNoise: boolean;
  /** Empty: a HEAD of the URL is asked for. */
  readonly types: string;
  /** An HTTP request for this node, where `types` is `c2n`. */
  readonly payload: Buffer;
}

export interface MapResponse {
  readonly isKeepAlive: boolean;
  readonly ping: PingRequest | null;
  readonly popBrowserUrl: string | null;
  readonly self: NetworkNode | null;
  /** The whole list; null unless it is not empty. */
  readonly peers: readonly NetworkNode[] | null;
  readonly peersChanged: readonly NetworkNode[];
  readonly peersRemoved: readonly number[];
  readonly patches: readonly NodePatch[];
  /** True: seen now; false: gone. */
  readonly seen: readonly (readonly [number, boolean])[];
  readonly online: readonly (readonly [number, boolean])[];
  readonly users: readonly UserProfile[];
  /** As it came: only what is there changes something. */
  readonly derpMap: unknown;
  readonly dns: DnsConfig | null;
  readonly domain: string | null;
  /** The whole filter, which is the part called `base`. */
  readonly filter: readonly FilterRule[] | null;
  /** Parts by name; null deletes one, and `*` with null all. */
  readonly filters: readonly (readonly [string, readonly FilterRule[] | null])[];
  readonly health: readonly string[] | null;
  readonly controlTime: number | null;
  /** Tailnet lock is on. */
  readonly isLocked: boolean | null;
  /** Devices and rules that were left out because they are malformed. */
  readonly leftOut: number;
}

/** The response, or null if it is no JSON object. */
export function readMapResponse(json: Buffer): MapResponse | null {
  const fields = parse(json);
  if (fields === null) return null;
  let leftOut = 0;
  const counted =
    <Item>(read: (value: unknown) => Item | null) =>
    (value: unknown): Item | null => {
      const made = read(value);
      if (made === null) leftOut += 1;
      return made;
    };
  const peers = asList(fields['Peers'], PEERS_MAX, counted(readNode));
  const lock = asObject(fields['TKAInfo']);
  return {
    isKeepAlive: asBoolean(fields['KeepAlive']) ?? false,
    ping: readPing(fields['PingRequest']),
    popBrowserUrl: asText(fields['PopBrowserURL'], 4096),
    self: fields['Node'] === undefined || fields['Node'] === null ? null : counted(readNode)(fields['Node']),
    peers: Array.isArray(fields['Peers']) && fields['Peers'].length > 0 ? peers : null,
    peersChanged: asList(fields['PeersChanged'], PEERS_MAX, counted(readNode)),
    peersRemoved: asList(fields['PeersRemoved'], PEERS_MAX, asCount),
    patches: asList(fields['PeersChangedPatch'], PEERS_MAX, counted(readNodePatch)),
    seen: readFlags(fields['PeerSeenChange']),
    online: readFlags(fields['OnlineChange']),
    users: asList(fields['UserProfiles'], USERS_MAX, readUser),
    derpMap: fields['DERPMap'] ?? null,
    dns: readDns(fields['DNSConfig']),
    domain: asText(fields['Domain'], 253),
    filter: Array.isArray(fields['PacketFilter'])
      ? asList(fields['PacketFilter'], RULES_MAX, counted(readRule))
      : null,
    filters: asEntries(fields['PacketFilters'], FILTERS_MAX).map(([name, rules]) => [
      name,
      rules === null ? null : asList(rules, RULES_MAX, counted(readRule)),
    ]),
    health: Array.isArray(fields['Health']) ? asList(fields['Health'], HEALTH_MAX, asText) : null,
    controlTime: asTime(fields['ControlTime']),
    isLocked: lock === null ? null : asBoolean(lock['Disabled']) !== true,
    leftOut,
  };
}

function parse(json: Buffer): WireObject | null {
  try {
    return asObject(JSON.parse(json.toString('utf8')));
  } catch {
    return null;
  }
}

function readPing(value: unknown): PingRequest | null {
  const fields = asObject(value);
  const url = asText(fields?.['URL'], 4096);
  if (fields === null || url === null || url === '') return null;
  return {
    url,
    isOverNoise: asBoolean(fields['URLIsNoise']) ?? false,
    types: asText(fields['Types']) ?? '',
    payload: Buffer.from(asText(fields['Payload'], PING_PAYLOAD_MAX_CHARS) ?? '', 'base64'),
  };
}

function readFlags(value: unknown): (readonly [number, boolean])[] {
  return asEntries(value, PEERS_MAX).flatMap(([key, flag]) => {
    const id = /^[1-9][0-9]{0,15}$/.test(key) ? Number(key) : null;
    return id === null || typeof flag !== 'boolean' ? [] : [[id, flag] as const];
  });
}

function readUser(value: unknown): UserProfile | null {
  const fields = asObject(value);
  const id = asCount(fields?.['ID']);
  if (fields === null || id === null || id === 0) return null;
  return {
    id,
    loginName: asText(fields['LoginName']) ?? '',
    displayName: asText(fields['DisplayName']) ?? '',
    pictureUrl: asText(fields['ProfilePicURL'], 4096) ?? '',
    groups: asList(fields['Groups'], 4096, asText),
  };
}

/** Null, which leaves the rule out, for the forms of before 2021 too: what they say cannot be told from a mistake. */
function readRule(value: unknown): FilterRule | null {
  const fields = asObject(value);
  if (fields === null || (Array.isArray(fields['SrcBits']) && fields['SrcBits'].length > 0)) return null;
  return {
    sources: asList(fields['SrcIPs'], RULE_ITEMS_MAX, asText),
    destinations: asList(fields['DstPorts'], RULE_ITEMS_MAX, readDestination),
    protocols: readProtocols(fields['IPProto']),
    grants: asList(fields['CapGrant'], RULE_ITEMS_MAX, (item) => {
      const grant = asObject(item);
      if (grant === null) return null;
      const capabilities = new Map(readCapabilityMap(grant['CapMap']));
      for (const name of asList(grant['Caps'], 1024, asText)) {
        if (!capabilities.has(name)) capabilities.set(name, []);
      }
      return { destinations: asList(grant['Dsts'], RULE_ITEMS_MAX, asCidr), capabilities };
    }),
  };
}

/** Numbers that are no IP protocol stay, so that a list of them only does not turn into "the usual ones". */
function readProtocols(value: unknown): number[] {
  return asList(value, 512, (item) => (typeof item === 'number' && Number.isSafeInteger(item) ? item : null));
}

function readDestination(value: unknown): FilterRule['destinations'][number] | null {
  const fields = asObject(value);
  const ports = asObject(fields?.['Ports']);
  const addresses = asText(fields?.['IP']);
  const firstPort = asPort(ports?.['First']);
  const lastPort = asPort(ports?.['Last']);
  const hasBits = typeof fields?.['Bits'] === 'number';
  return addresses === null || firstPort === null || lastPort === null || hasBits
    ? null
    : { addresses, firstPort, lastPort };
}

function readDns(value: unknown): DnsConfig | null {
  const fields = asObject(value);
  if (fields === null) return null;
  const readResolver = (item: unknown): string | null => asText(asObject(item)?.['Addr'], 1024);
  return {
    isMagic: asBoolean(fields['Proxied']) ?? false,
    domains: asList(fields['Domains'], 64, asText).map((name) => name.toLowerCase().replace(/\.$/, '')),
    extraRecords: asList(fields['ExtraRecords'], 10_000, (item) => {
      const record = asObject(item);
      const name = asText(record?.['Name'], 254);
      const text = asText(record?.['Value'], 1024);
      return record === null || name === null || text === null
        ? null
        : { name: name.toLowerCase().replace(/\.$/, ''), type: asText(record['Type']) ?? '', value: text };
    }),
    certificateDomains: asList(fields['CertDomains'], 64, asText),
    resolvers: asList(fields['Resolvers'], 64, readResolver),
    routes: new Map(
      asEntries(fields['Routes'], 4096).map(([suffix, list]) => [
        suffix.toLowerCase().replace(/\.$/, ''),
        asList(list, 64, readResolver),
      ]),
    ),
  };
}
