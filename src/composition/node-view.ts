/** The joined network as the API shows it, and who may name its control server. */
import type { NetworkPort, NetworkView } from '../api/network-port.ts';
import type { Clock } from '../base/clock.ts';
import { BREAK_GLASS_PRINCIPAL, localPrincipal } from '../identity/index.ts';
import type { NodePeerStatus } from '../tailnet/node/index.ts';
import type { JoinedNetwork, JoinedStatus } from './node-join.ts';
import { webAddress } from './node-join-request.ts';

export interface NetworkPortOptions {
  readonly network: JoinedNetwork;
  /** Of this process; null where the system has none. */
  readonly ownUid: number | null;
  readonly clock: Clock;
}

export function createNetworkPort({ network, ownUid, clock }: NetworkPortOptions): NetworkPort {
  const view = (status: JoinedStatus): NetworkView => networkView(status, clock.now());
  return {
    status: () => view(network.status()),
    up: async ({ actor, ...request }) =>
      view(await network.up({ ...request, isOperator: isOperator(actor, ownUid) })),
    down: async () => view(await network.down()),
    logout: async () => view(await network.logout()),
  };
}

/**
 * The break-glass token, or the OS user of this process on this machine: who can stop the process and
 * start it with other settings. Not an admin elsewhere, and no token that was handed on.
 */
function isOperator(
  { principal, door }: { readonly principal: string; readonly door: string },
  ownUid: number | null,
): boolean {
  if (door === 'operator' || principal === BREAK_GLASS_PRINCIPAL) return true;
  return door === 'local' && ownUid !== null && principal === localPrincipal(ownUid);
}

function networkView(status: JoinedStatus, now: number): NetworkView {
  const { node } = status;
  const control = node?.control ?? null;
  return {
    state: status.state,
    loginServer: status.loginServer,
    loginUrl: control?.loginUrl == null ? null : webAddress(control.loginUrl),
    problem: status.problem,
    control: control?.state ?? null,
    hostname: status.hostname,
    domain: control?.domain ?? '',
    dnsName: control?.dnsName ?? '',
    addresses: node?.addresses ?? [],
    urls: status.urls,
    user: control?.user ?? null,
    tags: control?.tags ?? [],
    keyExpiresAt: control?.keyExpiresAt ?? null,
    health: control?.health ?? [],
    homeRelay: control?.homeDerp ?? 0,
    relays: control?.relays ?? [],
    endpoints: control?.endpoints ?? [],
    peers: (node?.peers ?? []).map((peer) => peerView(peer, now)),
    allowed: status.allowed,
  };
}

function peerView(status: NodePeerStatus, now: number): NetworkView['peers'][number] {
  const { peer, handshakeAgeMs } = status;
  return {
    id: peer.stableId,
    name: peer.name,
    user: peer.user?.login ?? null,
    tags: peer.tags,
    addresses: peer.addresses,
    path: status.path,
    endpoint: status.endpoint,
    online: status.isOnline,
    lastHandshakeAt: handshakeAgeMs === null ? null : Math.round(now - handshakeAgeMs),
    receivedBytes: status.receivedBytes,
    sentBytes: status.sentBytes,
    connections: status.connections,
  };
}
