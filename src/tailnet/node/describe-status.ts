/** A node's status out of its parts. Pure. */
import type { NodeNetwork, ListedPeer } from './node-network.ts';
import type { NodePeerStatus } from './node-peer.ts';
import type { NodeStatus } from './node-status.ts';
import type { PeerConnections } from './peer-connections.ts';
import { formatPublicKey } from './wg-quick.ts';

export interface StatusParts {
  /** Null while the node is not up. */
  readonly network: NodeNetwork | null;
  readonly listed: readonly ListedPeer[];
  readonly hostname: string;
  readonly connections: Pick<PeerConnections, 'count'>;
  /** Monotonic ms. */
  readonly now: number;
}

export function describeStatus({ network, listed, hostname, connections, now }: StatusParts): NodeStatus {
  const describe = ({ peer, path, relayRegion, isOnline }: ListedPeer): NodePeerStatus => {
    const seen = network?.device.peer(peer.key, now) ?? null;
    const hasAddress = seen?.endpoint?.source !== peer.key;
    return {
      peer,
      endpoint: hasAddress ? (seen?.endpoint?.key ?? null) : null,
      handshakeAgeMs: seen?.lastHandshakeAt == null ? null : now - seen.lastHandshakeAt,
      receivedBytes: seen?.receivedBytes ?? 0,
      sentBytes: seen?.sentBytes ?? 0,
      connections: connections.count(peer.key),
      path: path ?? (seen?.lastHandshakeAt == null ? null : 'direct'),
      relayRegion,
      isOnline,
    };
  };
  return {
    state: network?.state ?? 'stopped',
    hostname,
    addresses: network?.addresses ?? [],
    publicKey: network === null ? null : formatPublicKey(network.publicKey),
    udpPort: network?.udpPort ?? null,
    peers: listed.map(describe),
    wireguard: network?.device.counters ?? null,
    netstack: network?.stack?.counters ?? null,
    control: network?.control ?? null,
  };
}
