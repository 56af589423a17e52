/** A device out of a map response (tailcfg.Node), and changes of one (tailcfg.PeerChange). */
import { type Cidr, formatCidr } from '../../wire/ip.ts';
import { parseKeyText } from './key-text.ts';
import type { CapabilityMap, NetworkNode } from './netmap.ts';
import {
  asBoolean,
  asCidr,
  asCount,
  asEntries,
  asIpPort,
  asJson,
  asList,
  asObject,
  asText,
  asTime,
  type JsonValue,
  type WireObject,
} from './wire-fields.ts';

/** Of one device; a subnet router of a large network announces a few hundred. */
const PREFIXES_MAX = 4096;
const ADDRESSES_MAX = 16;
const ENDPOINTS_MAX = 64;
const TAGS_MAX = 256;
const CAPABILITIES_MAX = 1024;
const VALUES_MAX = 1024;
/** How old servers write a home relay: its region as the port of this address. */
const LEGACY_DERP = /^127\.3\.3\.40:([0-9]{1,5})$/;

/** A device, or null where what identifies or addresses it is missing or malformed. */
export function readNode(value: unknown): NetworkNode | null {
  const fields = asObject(value);
  if (fields === null) return null;
  const id = asCount(fields['ID']);
  const nodeKey = parseKeyText('nodekey', fields['Key']);
  const addresses = asList(fields['Addresses'], ADDRESSES_MAX, asCidr);
  if (id === null || id === 0 || nodeKey === null || !addresses.every(isHost)) return null;
  const hostinfo = asObject(fields['Hostinfo']);
  const sharer = asCount(fields['Sharer']) ?? 0;
  return {
    id,
    stableId: asText(fields['StableID']) ?? '',
    name: (asText(fields['Name'], 254) ?? '').toLowerCase().replace(/\.$/, ''),
    hostname: asText(hostinfo?.['Hostname']) ?? '',
    userId: asCount(fields['User']) ?? 0,
    sharerId: sharer === 0 ? null : sharer,
    nodeKey,
    discoKey: parseKeyText('discokey', fields['DiscoKey']),
    keyExpiry: asTime(fields['KeyExpiry']),
    isExpired: asBoolean(fields['Expired']) ?? false,
    addresses,
    allowedIps: readAllowedIps(fields, addresses),
    endpoints: asList(fields['Endpoints'], ENDPOINTS_MAX, asIpPort),
    homeDerp: readHome(fields),
    tags: asList(fields['Tags'], TAGS_MAX, asText),
    capabilities: readNodeCapabilities(fields),
    os: asText(hostinfo?.['OS']) ?? '',
    isOnline: asBoolean(fields['Online']),
    lastSeen: asTime(fields['LastSeen']),
    capabilityVersion: asCount(fields['Cap']) ?? 0,
    isAuthorized: asBoolean(fields['MachineAuthorized']) ?? false,
    isWireguardOnly: asBoolean(fields['IsWireGuardOnly']) ?? false,
    isJailed: asBoolean(fields['IsJailed']) ?? false,
  };
}

function isHost(prefix: Cidr): boolean {
  return prefix.prefixLength === (prefix.family === 4 ? 32 : 128);
}

/** Missing or null stands for the addresses. A device that tailnet lock does not cover gets no more than those. */
function readAllowedIps(fields: WireObject, addresses: readonly Cidr[]): readonly Cidr[] {
  const value = fields['AllowedIPs'];
  if (!Array.isArray(value) || asBoolean(fields['UnsignedPeerAPIOnly']) === true) return addresses;
  const prefixes = asList(value, PREFIXES_MAX, asCidr);
  return prefixes.length === addresses.length &&
    prefixes.every((prefix, index) => formatCidr(prefix) === formatCidr(addresses[index] ?? prefix))
    ? addresses
    : prefixes;
}

function readHome(fields: WireObject): number {
  const home = asCount(fields['HomeDERP']) ?? 0;
  if (home !== 0) return home;
  return Number(LEGACY_DERP.exec(asText(fields['DERP']) ?? '')?.[1] ?? 0);
}

/** `CapMap`, and `Capabilities`, its older form without values. */
function readNodeCapabilities(fields: WireObject): CapabilityMap {
  const capabilities = new Map(readCapabilityMap(fields['CapMap']));
  for (const name of asList(fields['Capabilities'], CAPABILITIES_MAX, asText)) {
    if (!capabilities.has(name)) capabilities.set(name, []);
  }
  return capabilities;
}

const NO_VALUES: readonly JsonValue[] = [];

/** Names to lists of JSON values; null stands for an empty list. */
export function readCapabilityMap(value: unknown): CapabilityMap {
  const capabilities = new Map<string, readonly JsonValue[]>();
  for (const [name, values] of asEntries(value, CAPABILITIES_MAX)) {
    if (asText(name) === null) continue;
    const list = asList(values, VALUES_MAX, (item) => {
      const json = asJson(item);
      return json === undefined ? null : { json };
    }).map(({ json }) => json);
    capabilities.set(name, list.length === 0 ? NO_VALUES : list);
  }
  return capabilities;
}

/** Fields that are different; what is missing is unchanged. */
export interface NodePatch {
  readonly id: number;
  readonly fields: Partial<NetworkNode>;
}

export function readNodePatch(value: unknown): NodePatch | null {
  const fields = asObject(value);
  const id = asCount(fields?.['NodeID']);
  if (fields === null || id === null) return null;
  const home = asCount(fields['DERPRegion']) ?? 0;
  const version = asCount(fields['Cap']) ?? 0;
  const nodeKey = parseKeyText('nodekey', fields['Key']);
  const discoKey = parseKeyText('discokey', fields['DiscoKey']);
  const isOnline = asBoolean(fields['Online']);
  const lastSeen = asTime(fields['LastSeen']);
  const keyExpiry = typeof fields['KeyExpiry'] === 'string' ? asTime(fields['KeyExpiry']) : undefined;
  const capabilities = asObject(fields['CapMap']);
  return {
    id,
    fields: {
      ...(home === 0 ? {} : { homeDerp: home }),
      ...(version === 0 ? {} : { capabilityVersion: version }),
      ...(Array.isArray(fields['Endpoints'])
        ? { endpoints: asList(fields['Endpoints'], ENDPOINTS_MAX, asIpPort) }
        : {}),
      ...(nodeKey === null ? {} : { nodeKey }),
      ...(discoKey === null ? {} : { discoKey }),
      ...(isOnline === null ? {} : { isOnline }),
      ...(lastSeen === null ? {} : { lastSeen }),
      /* A new expiry settles anew whether the key has expired. */
      ...(keyExpiry === undefined ? {} : { keyExpiry, isExpired: false }),
      ...(capabilities === null ? {} : { capabilities: readCapabilityMap(capabilities) }),
    },
  };
}
