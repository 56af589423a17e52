/**
 * The door `node` over a network that Postern joined by itself (`postern up`): the WireGuard key that
 * sealed a connection's packets names the device, and the network's control server says whose it is.
 * What the control server leaves out or malforms is no identity.
 */
import type { Caller, Device } from '../identity/caller.ts';
import {
  isJoinedPrincipal,
  isPlainIdentityText,
  joinedNodePrincipal,
  joinedUserPrincipal,
} from '../identity/principal.ts';
import type { ConnectionSocket, Door, DoorAnswer, Revocation } from './door.ts';

/** A device as the joined network knows it; one object as long as nothing of it changes. */
export interface JoinedPeer {
  readonly stableId: string;
  readonly name: string;
  readonly addresses: readonly string[];
  readonly tags: readonly string[];
  /** Null for tagged devices, and where the control server does not tell. */
  readonly user: (NonNullable<Caller['user']> & { readonly groups: readonly string[] }) | null;
  readonly capabilities: Caller['capabilities'];
  /** Shared in from somebody else's network. */
  readonly isSharedIn: boolean;
  /** It sends the traffic of a network behind it under its own address. */
  readonly carriesOthers: boolean;
}

/** The joined network, whichever it is now. */
export interface JoinedPeers {
  /** Null if the device is gone; undefined for a connection that did not come through this network. */
  peerOf(socket: ConnectionSocket): JoinedPeer | null | undefined;
  /** `host[:port]` of the control server that vouches for the peers of now. */
  readonly controlHost: string;
  /** A device is gone, has expired, or is another now. */
  onPeerEnded(listener: (peer: JoinedPeer) => void): () => void;
  /** The network gives a device other capabilities, or its person another name. */
  onPeerChanged(listener: (peer: JoinedPeer) => void): () => void;
}

export interface JoinedNodeDoor extends Door {
  onRevoked(listener: (revocation: Revocation) => void): () => void;
  onChanged(listener: (caller: Caller) => void): () => void;
}

const GROUPS_MAX = 1000;
const LOGIN_MAX_CHARS = 320;
const NAME_MAX_CHARS = 255;
const ID_MAX_CHARS = 128;

const FOREIGN: DoorAnswer = { kind: 'none', why: 'the connection did not come through the joined network' };

export function createJoinedNodeDoor({
  peers,
  tailnet,
}: {
  readonly peers: JoinedPeers;
  readonly tailnet: string;
}): JoinedNodeDoor {
  const answers = new WeakMap<JoinedPeer, DoorAnswer>();
  const answerOf = (peer: JoinedPeer): DoorAnswer => {
    const known = answers.get(peer);
    if (known !== undefined) return known;
    const answer = readPeer(peer, { tailnet, controlHost: peers.controlHost });
    answers.set(peer, answer);
    return answer;
  };
  return {
    name: 'node',
    identify({ socket }) {
      const peer = peers.peerOf(socket);
      if (peer === undefined) return FOREIGN;
      return peer === null
        ? refused('not_recognised', 'the device of this connection left the network')
        : answerOf(peer);
    },
    onRevoked: (listener) =>
      peers.onPeerEnded((peer) => {
        const { controlHost } = peers;
        listener({
          door: 'node',
          why: 'the device left the network, or is another now',
          matches: ({ door, principal, device }) =>
            door === 'node' &&
            device?.stableId === peer.stableId &&
            isJoinedPrincipal(principal, controlHost),
        });
      }),
    onChanged: (listener) =>
      peers.onPeerChanged((peer) => {
        const answer = answerOf(peer);
        if (answer.kind === 'caller') listener(answer.caller);
      }),
  };
}

function readPeer(
  peer: JoinedPeer,
  { tailnet, controlHost }: { readonly tailnet: string; readonly controlHost: string },
): DoorAnswer {
  const { stableId, name } = peer;
  if (!isPlainIdentityText(stableId, ID_MAX_CHARS))
    return refused('identity_unavailable', 'the device has no stable id');
  if (peer.isSharedIn)
    return refused('device_shared_in', `the device ${stableId} is shared in from another network`);
  if (peer.tags.some((tag) => !tag.startsWith('tag:')))
    return refused('identity_unavailable', `the device ${stableId} has malformed tags`);
  const device: Device = {
    stableId,
    name: isPlainIdentityText(name, NAME_MAX_CHARS) ? name : stableId,
    addresses: peer.addresses,
    tags: [...peer.tags].sort(),
    shared: peer.carriesOthers,
  };
  const standsForItself = device.tags.length > 0 || device.shared;
  const user = standsForItself ? null : readUser(peer.user);
  if (!standsForItself && user === null)
    return refused('identity_unavailable', `the device ${stableId} has neither a person nor tags`);
  const caller: Caller = {
    principal:
      user === null ? joinedNodePrincipal(controlHost, stableId) : joinedUserPrincipal(controlHost, user.id),
    tailnet,
    door: 'node',
    via: null,
    device,
    user,
    groups: user === null ? [] : readGroups(peer.user?.groups ?? []),
    capabilities: peer.capabilities,
    token: null,
  };
  return { kind: 'caller', caller };
}

/** `tagged-devices` is the placeholder that stands for nobody. */
function readUser(user: JoinedPeer['user']): Caller['user'] {
  if (user === null || !/^[1-9]\d{0,19}$/.test(user.id)) return null;
  if (!isPlainIdentityText(user.login, LOGIN_MAX_CHARS) || user.login === 'tagged-devices') return null;
  const { id, login, displayName } = user;
  const isShown = displayName !== null && isPlainIdentityText(displayName, NAME_MAX_CHARS);
  return { id, login, displayName: isShown ? displayName : null };
}

/** Names of the policy file arrive as `group:x`, those of a directory as `x@example.com`. */
function readGroups(groups: readonly string[]): readonly string[] {
  return groups
    .slice(0, GROUPS_MAX)
    .filter((group) => isPlainIdentityText(group, NAME_MAX_CHARS))
    .map((group) => (group.startsWith('group:') ? group : `group:${group}`));
}

function refused(
  code: 'not_recognised' | 'identity_unavailable' | 'device_shared_in',
  why: string,
): DoorAnswer {
  return { kind: 'refused', status: 403, code, why };
}
