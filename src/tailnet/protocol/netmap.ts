/**
 * What the control server says about the network: this node, its peers, who owns them, what may come
 * in, names and relays. Immutable; every update makes a new one and shares what did not change.
 * All of it is the control server's word: it is the authority of the network.
 */
import type { Cidr } from '../../wire/ip.ts';
import type { IpPort } from '../../wire/ip-port.ts';
import type { DerpMap } from './derp-map.ts';
import type { KeyHex } from './key-text.ts';
import type { JsonValue } from './wire-fields.ts';

/** Capability names with their values; a capability without values has an empty list. */
export type CapabilityMap = ReadonlyMap<string, readonly JsonValue[]>;

/** A device, this one or another. Times are milliseconds since 1970. */
export interface NetworkNode {
  /** Never used again for another device of this control server. */
  readonly id: number;
  readonly stableId: string;
  /** Full name in lower case, without the last dot: `host.tailnet.example`. */
  readonly name: string;
  /** What the device calls itself: said by it, not checked. */
  readonly hostname: string;
  /** Who made it; for a device with tags this is nobody's identity. */
  readonly userId: number;
  /** Who shared it from another network; null for this network's own devices. */
  readonly sharerId: number | null;
  /** The WireGuard key, which is its identity. */
  readonly nodeKey: KeyHex;
  /** Null for a device that cannot be reached: it takes no discovery. */
  readonly discoKey: KeyHex | null;
  /** Null: the key does not expire. */
  readonly keyExpiry: number | null;
  /** Its key has expired, by its time or by the server's word: no traffic with it. */
  readonly isExpired: boolean;
  /** Its own addresses, single ones as prefixes. */
  readonly addresses: readonly Cidr[];
  /** What it may send from and is sent for; routes of subnets among them. */
  readonly allowedIps: readonly Cidr[];
  readonly endpoints: readonly IpPort[];
  /** The region of its home relay; 0 if it is not known. */
  readonly homeDerp: number;
  /** With any, it stands for no person. */
  readonly tags: readonly string[];
  readonly capabilities: CapabilityMap;
  readonly os: string;
  /** Null: not known, or not told. */
  readonly isOnline: boolean | null;
  readonly lastSeen: number | null;
  readonly capabilityVersion: number;
  /** False while an administrator has not approved it. */
  readonly isAuthorized: boolean;
  /** An ordinary WireGuard peer without discovery and relays. */
  readonly isWireguardOnly: boolean;
  /** It may be reached, and may not begin a connection. */
  readonly isJailed: boolean;
}

export interface UserProfile {
  readonly id: number;
  /** `alice@example.com`. */
  readonly loginName: string;
  readonly displayName: string;
  readonly pictureUrl: string;
  readonly groups: readonly string[];
}

/** One row of what may come in, as it was sent; `compilePacketFilter` makes it fast. */
export interface FilterRule {
  /** Addresses, prefixes, `a-b` ranges, `*`, or `cap:` and a node capability. */
  readonly sources: readonly string[];
  readonly destinations: readonly {
    readonly addresses: string;
    readonly firstPort: number;
    readonly lastPort: number;
  }[];
  /** IP protocol numbers; empty stands for TCP, UDP and ICMP. */
  readonly protocols: readonly number[];
  /** What sources may do at these destinations; for WhoIs only. */
  readonly grants: readonly {
    readonly destinations: readonly Cidr[];
    readonly capabilities: CapabilityMap;
  }[];
}

export interface DnsConfig {
  /** MagicDNS is on. */
  readonly isMagic: boolean;
  /** Search domains, without dots at the end. */
  readonly domains: readonly string[];
  /** Names that the network answers itself. */
  readonly extraRecords: readonly { readonly name: string; readonly type: string; readonly value: string }[];
  /** Names that a certificate can be had for. */
  readonly certificateDomains: readonly string[];
  /** Addresses of the servers for everything else, as written. */
  readonly resolvers: readonly string[];
  /** Servers by suffix; an empty list: the network answers itself. */
  readonly routes: ReadonlyMap<string, readonly string[]>;
}

export interface Netmap {
  readonly self: NetworkNode;
  readonly peers: ReadonlyMap<number, NetworkNode>;
  readonly users: ReadonlyMap<number, UserProfile>;
  readonly derpMap: DerpMap;
  readonly dns: DnsConfig;
  /** The network's name, for people. */
  readonly domain: string;
  /** By the server's own names for its parts. No rule: nothing may come in. */
  readonly filters: ReadonlyMap<string, readonly FilterRule[]>;
  /** What the server finds wrong with this node; texts for people. */
  readonly health: readonly string[];
  /** What to add to our clock to get the server's, in ms. */
  readonly clockOffsetMs: number;
}

/** What an update touched, so that users of a netmap need not compare. */
export interface NetmapChanges {
  readonly self: boolean;
  /** New or different; a whole list names every peer in it. */
  readonly peersChanged: readonly number[];
  readonly peersRemoved: readonly number[];
  readonly users: boolean;
  readonly filters: boolean;
  readonly derpMap: boolean;
  readonly dns: boolean;
}
