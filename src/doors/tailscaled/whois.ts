/**
 * What a whois answer of tailscaled says about a peer (tailscale.com/client/tailscale/apitype
 * WhoIsResponse): its node, its person unless it is tagged, and the app capabilities that the
 * network's policy gives it towards this node. Parsed at the edge: what is missing or malformed is
 * no identity.
 */
import type { UnixMs } from '../../base/clock.ts';
import type { Caller, Device, User } from '../../identity/caller.ts';
import {
  isPlainIdentityText,
  tailscaleNodePrincipal,
  tailscaleUserPrincipal,
} from '../../identity/principal.ts';
import { parseCidr } from '../../wire/ip.ts';
import { type DoorAnswer, NO_CAPABILITIES } from '../door.ts';
import { type Fields, asFields } from './fields.ts';

export interface WhoisContext {
  readonly tailnet: string;
  readonly now: UnixMs;
  /** Stable ids, names or tags of devices that carry the traffic of others, besides those that route. */
  readonly sharedDevices: ReadonlySet<string>;
}

const CAPABILITIES_MAX = 500;
const VALUES_MAX = 1000;
const GROUPS_MAX = 1000;
const TAGS_MAX = 100;

/** Never throws; anything that is not a sound answer is refused. */
export function readWhois(answer: unknown, context: WhoisContext): DoorAnswer {
  if (answer === null) return { kind: 'none', why: 'the network knows no such peer' };
  const fields = asFields(answer);
  const node = asFields(fields?.['Node']);
  if (fields === null || node === null)
    return refused('identity_unavailable', 'the whois answer has no node');
  const stableId = node['StableID'];
  if (typeof stableId !== 'string' || !isPlainIdentityText(stableId, 128))
    return refused('identity_unavailable', 'the node has no stable id');
  if (isSharedIn(node))
    return refused('device_shared_in', `the device ${stableId} is shared in from another network`);
  if (isExpired(node, context.now))
    return refused('device_expired', `the key of the device ${stableId} has expired`);
  const device = readDevice(node, stableId, context.sharedDevices);
  if (device === null) return refused('identity_unavailable', `the node ${stableId} has malformed tags`);
  const standsForItself = device.tags.length > 0 || device.shared;
  const profile = asFields(fields['UserProfile']);
  const user = standsForItself ? null : readUser(profile, node);
  if (!standsForItself && user === null)
    return refused('identity_unavailable', `the device ${stableId} has neither a person nor tags`);
  const caller: Caller = {
    principal: user === null ? tailscaleNodePrincipal(stableId) : tailscaleUserPrincipal(user.id),
    tailnet: context.tailnet,
    door: 'tailscaled',
    via: null,
    device,
    user,
    groups: user === null ? [] : readGroups(profile?.['Groups']),
    capabilities: readCapabilities(fields['CapMap']),
    token: null,
  };
  return { kind: 'caller', caller };
}

/** Text that is equal exactly when two callers are, so that an unchanged answer keeps its object. */
export function callerFingerprint(caller: Caller): string {
  return JSON.stringify([
    caller.principal,
    caller.device,
    caller.user,
    caller.groups,
    [...caller.capabilities],
  ]);
}

function isSharedIn(node: Fields): boolean {
  const sharer = node['Sharer'];
  return sharer !== undefined && sharer !== null && sharer !== 0;
}

/** The zero time of Go means that a key does not expire. */
function isExpired(node: Fields, now: UnixMs): boolean {
  if (node['Expired'] === true) return true;
  const expiry = node['KeyExpiry'];
  if (typeof expiry !== 'string' || expiry.startsWith('0001-')) return false;
  const at = Date.parse(expiry);
  return Number.isFinite(at) && at <= now;
}

function readDevice(node: Fields, stableId: string, sharedDevices: ReadonlySet<string>): Device | null {
  const tags = asStrings(node['Tags'], TAGS_MAX);
  if (tags === null || tags.some((tag) => !tag.startsWith('tag:'))) return null;
  const addresses = (asStrings(node['Addresses'], 16) ?? []).map((prefix) =>
    prefix.replace(/\/(?:32|128)$/, ''),
  );
  const name = nameOf(node) ?? stableId;
  const isListed = [stableId, name, ...tags].some((label) => sharedDevices.has(label));
  return {
    stableId,
    name,
    addresses,
    tags: [...tags].sort(),
    shared: isListed || routesForOthers(node, addresses),
  };
}

function nameOf(node: Fields): string | null {
  for (const candidate of [node['ComputedName'], node['Name']]) {
    if (typeof candidate !== 'string') continue;
    const name = candidate.replace(/\.$/, '');
    if (isPlainIdentityText(name, 255)) return name;
  }
  return null;
}

/**
 * A subnet router sends the traffic of a whole network under its own address. An exit node
 * (default routes) does not: it carries traffic out, away from us.
 */
function routesForOthers(node: Fields, addresses: readonly string[]): boolean {
  const own = new Set(addresses);
  const routes = [
    ...(asStrings(node['AllowedIPs'], 10_000) ?? []),
    ...(asStrings(node['PrimaryRoutes'], 10_000) ?? []),
  ];
  return routes.some((route) => {
    if (own.has(route.replace(/\/(?:32|128)$/, ''))) return false;
    return parseCidr(route)?.prefixLength !== 0;
  });
}

function readUser(profile: Fields | null, node: Fields): User | null {
  if (profile === null) return null;
  const id = asId(profile['ID']);
  const login = profile['LoginName'];
  if (id === null) return null;
  /* The profile must be that of the node's owner. */
  if (asId(node['User']) !== id) return null;
  if (typeof login !== 'string' || !isPlainIdentityText(login, 320) || login === 'tagged-devices')
    return null;
  const name = profile['DisplayName'];
  return { id, login, displayName: typeof name === 'string' && isPlainIdentityText(name, 255) ? name : null };
}

/** Decimal digits of a positive 64-bit id, from a number or (where a number could not hold it) a string. */
function asId(value: unknown): string | null {
  if (typeof value !== 'number' && typeof value !== 'string') return null;
  const digits = String(value);
  return /^[1-9]\d{0,19}$/.test(digits) ? digits : null;
}

/** Names of the policy file arrive as `group:x`, those of a directory as `x@example.com`. */
function readGroups(value: unknown): readonly string[] {
  return (asStrings(value, GROUPS_MAX) ?? [])
    .filter((group) => isPlainIdentityText(group, 255))
    .map((group) => (group.startsWith('group:') ? group : `group:${group}`));
}

function readCapabilities(value: unknown): ReadonlyMap<string, readonly unknown[]> {
  const map = asFields(value);
  if (map === null) return NO_CAPABILITIES;
  const names = Object.keys(map);
  if (names.length === 0) return NO_CAPABILITIES;
  const capabilities = new Map<string, readonly unknown[]>();
  for (const name of names.slice(0, CAPABILITIES_MAX)) {
    const values = map[name];
    /* A capability without values is null on the wire. */
    capabilities.set(name, Array.isArray(values) ? values.slice(0, VALUES_MAX) : []);
  }
  return capabilities;
}

/** A list of strings; absent is empty; anything else, or too many, is null. */
function asStrings(value: unknown, max: number): readonly string[] | null {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > max) return null;
  return value.every((item): item is string => typeof item === 'string') ? value : null;
}

function refused(
  code: 'identity_unavailable' | 'device_shared_in' | 'device_expired',
  why: string,
): DoorAnswer {
  return { kind: 'refused', status: 403, code, why };
}
