/** A network that a node is in, whoever says who its peers are. */
import type { X25519PublicKey } from '../../crypto/index.ts';
import type { IpAddress } from '../../wire/ip.ts';
import type { NetstackSocket, UserspaceNetwork } from '../netstack/index.ts';
import type { WireguardDevice } from '../wireguard/index.ts';
import type { NodePeer } from './node-peer.ts';
import type { ControlStatus, NodeState } from './node-status.ts';

/** A peer, with what WireGuard does not know of it. */
export interface ListedPeer {
  readonly peer: NodePeer;
  readonly path: 'direct' | 'relay' | null;
  readonly relayRegion: number;
  readonly isOnline: boolean | null;
}

export interface NodeNetwork {
  readonly state: NodeState;
  /** Null while the network has not said which addresses are ours. */
  readonly stack: UserspaceNetwork | null;
  readonly device: WireguardDevice;
  readonly publicKey: X25519PublicKey;
  readonly udpPort: number;
  /** Own addresses, IPv4 first; empty while they are not known. */
  readonly addresses: readonly string[];
  /** Names that lead to this node. */
  readonly ownNames: readonly string[];
  readonly control: ControlStatus | null;
  peers(): readonly ListedPeer[];
  /** The peer with this inner address; null for nobody, the node itself among them. */
  whois(address: IpAddress): NodePeer | null;
  /** The peer with this key; null if there is none any more. */
  peerOf(key: string): NodePeer | null;
  /** Whether a connection that came in may be, by the rules of now. */
  allows(socket: NetstackSocket): boolean;
  /** Addresses of a name, IPv4 first; empty for an unknown one. */
  resolve(name: string): readonly string[];
  close(): Promise<void>;
}
