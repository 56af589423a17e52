/** Who is at the other end, as the network says: by the WireGuard key, and by nothing that was written. */

/** A device that may reach the node. One object as long as nothing of it changes. */
export interface NodePeer {
  /** Public key, 64 lower-case hex digits: the identity. */
  readonly key: string;
  /** Stable id within its network; survives a rename. */
  readonly stableId: string;
  readonly name: string;
  /** Inner addresses that it may send from. */
  readonly addresses: readonly string[];
  /** `tag:x`; empty where the network has none. */
  readonly tags: readonly string[];
  /** Null for static peers and tagged devices. */
  readonly user: { readonly id: string; readonly login: string; readonly displayName: string | null } | null;
  /** App capabilities that the network's policy gives it here. */
  readonly capabilities: ReadonlyMap<string, readonly unknown[]>;
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
  /** Where its packets come from; null before the first. */
  readonly endpoint: string | null;
  /** Milliseconds since keys were agreed; null for never. */
  readonly handshakeAgeMs: number | null;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** Open TCP connections that it made. */
  readonly connections: number;
}
