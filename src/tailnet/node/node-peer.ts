/** Who is at the other end, as the network says: by the WireGuard key, and by nothing that was written. */
import { isDeepStrictEqual } from 'node:util';

/** A device that may reach the node. One object as long as nothing of it changes. */
export interface NodePeer {
  /** Public key, 64 lower-case hex digits: the identity. */
  readonly key: string;
  /** Stable id within its network; survives a rename. */
  readonly stableId: string;
  /** Short for this network's own devices, the full name for one that was shared in. */
  readonly name: string;
  /** Its full name in the network; empty for static peers. */
  readonly dnsName: string;
  /** Inner addresses that it may send from. */
  readonly addresses: readonly string[];
  /** `tag:x`; empty where the network has none. */
  readonly tags: readonly string[];
  /** Null for static peers and tagged devices. */
  readonly user: NodeUser | null;
  /** App capabilities that the network's policy gives it here. */
  readonly capabilities: ReadonlyMap<string, readonly unknown[]>;
  /** It belongs to another network, whose owner shared it with this one. */
  readonly isSharedIn: boolean;
  /** A router of subnets: it may send other devices' traffic under its own address. */
  readonly carriesOthers: boolean;
  /** The network that says all this; null for static peers. */
  readonly network: string | null;
}

/** A person, as the control server knows them. */
export interface NodeUser {
  /** Decimal, of this control server. */
  readonly id: string;
  /** `alice@example.com`. */
  readonly login: string;
  readonly displayName: string | null;
  readonly groups: readonly string[];
}

/** A device as an embedder adds it, without a control server. */
export interface StaticPeer {
  /** As `wg pubkey` prints it. */
  readonly publicKey: string;
  readonly name: string;
  /** Single addresses, each of one peer only. */
  readonly addresses: readonly string[];
  /** Default: the key. */
  readonly stableId?: string;
  readonly tags?: readonly string[];
  /** 32 bytes in base64; absent for none. */
  readonly presharedKey?: string;
  /** `address:port` where the peer is reached; absent: wait until it calls. */
  readonly endpoint?: { readonly address: string; readonly port: number };
  readonly keepaliveSec?: number;
}

/** A peer as it stands. */
export interface NodePeerStatus {
  readonly peer: NodePeer;
  /** Where its packets come from; null before the first, and through a relay. */
  readonly endpoint: string | null;
  /** Milliseconds since keys were agreed; null for never. */
  readonly handshakeAgeMs: number | null;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** Open TCP connections that it made. */
  readonly connections: number;
  /** How packets travel now; null while none has. */
  readonly path: 'direct' | 'relay' | null;
  /** Region of the relay; 0 for none. */
  readonly relayRegion: number;
  /** As the control server says; null where none says. */
  readonly isOnline: boolean | null;
}

/** Whether nothing of a peer has changed. */
export function isSamePeer(a: NodePeer, b: NodePeer): boolean {
  return isDeepStrictEqual(a, b);
}
