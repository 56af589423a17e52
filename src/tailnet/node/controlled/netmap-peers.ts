/** Devices of the network map as this node knows its peers. Pure. */
import { X25519PublicKey } from '../../../crypto/index.ts';
import { type Cidr, formatIp, type IpAddress } from '../../../wire/ip.ts';
import type { Netmap, NetworkNode, NetworkView } from '../../protocol/index.ts';
import type { NodePeer } from '../node-peer.ts';
import type { CarriedPeer } from './packet-carrier.ts';

/** Ordinary WireGuard peers open no path by themselves. */
const WIREGUARD_ONLY_KEEPALIVE_MS = 25_000;

/**
 * Whether there may be traffic at all: a key that has expired, or a device that nobody has approved,
 * is no member of the network, and neither are its peers to it.
 */
export function isMember({ self }: Netmap): boolean {
  return !self.isExpired && self.isAuthorized && self.addresses.length > 0;
}

/** Peers that packets are carried for, by key; of two that claim one key the first. */
export function membersOf({ peers, self }: Netmap): ReadonlyMap<string, NetworkNode> {
  const members = new Map<string, NetworkNode>();
  for (const node of peers.values()) {
    const isUsable = !node.isExpired && node.addresses.length > 0 && node.nodeKey !== self.nodeKey;
    if (isUsable && !members.has(node.nodeKey)) members.set(node.nodeKey, node);
  }
  return members;
}

/** How packets for it are carried. */
export function toCarriedPeer(node: NetworkNode, acceptRoutes: boolean): CarriedPeer {
  return {
    wireguard: {
      publicKey: X25519PublicKey.fromBytes(Buffer.from(node.nodeKey, 'hex')),
      allowedIps: acceptRoutes ? [...node.addresses, ...subnetsOf(node)] : node.addresses,
      persistentKeepaliveMs: node.isWireguardOnly ? WIREGUARD_ONLY_KEEPALIVE_MS : 0,
    },
    path: node,
  };
}

/** What it routes, without everything: this node is nobody's way out into the internet. */
function subnetsOf({ allowedIps, addresses }: NetworkNode): readonly Cidr[] {
  const isOwn = ({ family, base, prefixLength }: Cidr): boolean =>
    prefixLength === (family === 4 ? 32 : 128) &&
    addresses.some((own) => own.family === family && own.base === base);
  return allowedIps.filter((prefix) => prefix.prefixLength > 0 && !isOwn(prefix));
}

/** Whether the WireGuard and path sides of a peer have to hear of a change. */
export function isCarriedAlike(a: NetworkNode, b: NetworkNode): boolean {
  return (
    a.discoKey === b.discoKey &&
    a.homeDerp === b.homeDerp &&
    a.endpoints === b.endpoints &&
    a.addresses === b.addresses &&
    a.allowedIps === b.allowedIps &&
    a.isWireguardOnly === b.isWireguardOnly
  );
}

/** Whether connections of the one may go on as connections of the other. Both have the same key. */
export function isSameIdentity(a: NetworkNode, b: NetworkNode): boolean {
  return (
    a.stableId === b.stableId &&
    a.userId === b.userId &&
    a.sharerId === b.sharerId &&
    a.tags.join() === b.tags.join() &&
    subnetsOf(a).length > 0 === subnetsOf(b).length > 0 &&
    addressesOf(a).join() === addressesOf(b).join()
  );
}

/** Own addresses of a device as text, IPv4 first. */
export function addressesOf({ addresses }: Pick<NetworkNode, 'addresses'>): readonly string[] {
  return addresses.toSorted((a, b) => a.family - b.family).map((prefix) => formatIp(hostOf(prefix)));
}

export function hostOf({ family, base }: Cidr): IpAddress {
  return { family, value: base };
}

/** A device with what the network's policy gives it at this node. */
export function describePeer(view: NetworkView, node: NetworkNode): NodePeer {
  const { netmap } = view;
  const [first] = node.addresses.toSorted((a, b) => a.family - b.family);
  const known = first === undefined ? null : view.whois(hostOf(first));
  const user = known?.user ?? null;
  return {
    key: node.nodeKey,
    stableId: node.stableId,
    name: node.sharerId === null ? shortName(node.name) : node.name,
    dnsName: node.name,
    addresses: addressesOf(node),
    tags: node.tags,
    user:
      user === null
        ? null
        : {
            id: String(user.id),
            login: user.loginName,
            displayName: user.displayName === '' ? null : user.displayName,
            groups: user.groups,
          },
    capabilities: known?.capabilities ?? new Map(),
    isSharedIn: node.sharerId !== null,
    carriesOthers: subnetsOf(node).length > 0,
    network: netmap.domain,
  };
}

/** The first label. */
export function shortName(name: string): string {
  return name.split('.', 1)[0] ?? name;
}
