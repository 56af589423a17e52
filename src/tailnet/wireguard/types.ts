/** What the WireGuard core says and is told. */
import type { SecretBytes, X25519PublicKey } from '../../crypto/index.ts';
import type { Cidr } from '../../wire/ip.ts';

/** A peer's public key as 64 lower-case hex digits: the identity of whoever sends through it. */
export type PeerKey = string;

/** Where a peer is reached; opaque here. Drivers make one object per place and reuse it. */
export interface Endpoint {
  /** Names the place, address and port included; two endpoints with one key are the same place. */
  readonly key: string;
  /** What limits for strangers count by: the address without the port. Absent: `key`. */
  readonly source?: string;
}

/** A peer as it is configured. */
export interface WireguardPeerOptions {
  readonly publicKey: X25519PublicKey;
  /** 32 bytes; null or absent for none. The core keeps the reference; the caller does not wipe it before the peer is gone. */
  readonly presharedKey?: SecretBytes | null;
  /** Inner addresses that the peer may send from and that are sent to it. Of several peers the last to name a prefix has it. */
  readonly allowedIps: readonly Cidr[];
  /** Where to begin; authenticated packets move it. Null or absent: wait for the peer, or leave the choice to the driver. */
  readonly endpoint?: Endpoint | null;
  /** Milliseconds of silence after which an empty packet keeps the path through a NAT open; 0 or absent for never. */
  readonly persistentKeepaliveMs?: number;
}

/** What happened to a peer. Not for every packet. */
export type WireguardEvent =
  /** Keys were agreed and both sides are known to have them. */
  | { readonly type: 'handshake'; readonly peer: PeerKey; readonly role: 'initiator' | 'responder' }
  /** Authenticated packets come from another place. */
  | { readonly type: 'roamed'; readonly peer: PeerKey; readonly endpoint: Endpoint }
  /** 90 s of tries gave no answer; what was waiting was dropped. */
  | { readonly type: 'unreachable'; readonly peer: PeerKey }
  /** Nine minutes without a new session: all keys are gone. */
  | { readonly type: 'keys-wiped'; readonly peer: PeerKey };

/** What the core asks of its driver. Called during `receive`, `send` and `tick`; may call back into the core. */
export interface WireguardOutput {
  /**
   * Sends a datagram, which the driver owns from now on. `to` null: the driver chooses, or drops.
   * `peer` null: an answer to a stranger, who has not shown a key.
   */
  send(peer: PeerKey | null, to: Endpoint | null, datagram: Buffer): void;
  /** An inner IP packet whose source belongs to the peer. The buffer is the receiver's. */
  deliver(peer: PeerKey, packet: Buffer): void;
  event(event: WireguardEvent): void;
}

/** A peer as it stands. Times in monotonic milliseconds. */
export interface WireguardPeerStatus {
  readonly key: PeerKey;
  readonly endpoint: Endpoint | null;
  /** When keys were agreed last, or null. */
  readonly lastHandshakeAt: number | null;
  /** When an authenticated packet came last, or null. */
  readonly lastReceivedAt: number | null;
  /** Whether there is a session that can send. */
  readonly isConnected: boolean;
  /** Datagrams' bytes, handshakes included. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
}
