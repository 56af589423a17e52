/**
 * The door `node`: connections that came through Postern's own node. Who is there is known by the
 * WireGuard key that sealed every packet, and the inner source address was checked against that key.
 * A connection whose device has gone is nobody's, whatever else knows its address.
 */
import type { Caller, Device } from '../identity/caller.ts';
import { devicePrincipal } from '../identity/principal.ts';
import type { ConnectionSocket, Door, DoorAnswer, Revocation } from './door.ts';

/** A device as the node knows it; one object as long as nothing of it changes. */
export interface NodeDoorPeer {
  readonly key: string;
  readonly stableId: string;
  readonly name: string;
  readonly addresses: readonly string[];
  readonly tags: readonly string[];
  readonly user: Caller['user'];
  readonly capabilities: Caller['capabilities'];
}

/** The part of the node that the door asks. */
export interface NodePeers {
  /** Null if the device is gone; undefined for a connection that did not come through the node. */
  peerOf(socket: ConnectionSocket): NodeDoorPeer | null | undefined;
  /** A device was removed, or is another now. */
  onPeerEnded(listener: (peer: NodeDoorPeer) => void): () => void;
}

export interface NodeDoor extends Door {
  onRevoked(listener: (revocation: Revocation) => void): () => void;
}

const FOREIGN: DoorAnswer = { kind: 'none', why: "the connection did not come through Postern's own node" };
const GONE: DoorAnswer = {
  kind: 'refused',
  status: 403,
  code: 'not_recognised',
  why: 'the device of this connection was removed',
};

export function createNodeDoor({
  peers,
  tailnet,
}: {
  readonly peers: NodePeers;
  readonly tailnet: string;
}): NodeDoor {
  const answers = new WeakMap<NodeDoorPeer, DoorAnswer>();
  const answerOf = (peer: NodeDoorPeer): DoorAnswer => {
    const known = answers.get(peer);
    if (known !== undefined) return known;
    const answer: DoorAnswer = { kind: 'caller', caller: callerOf(peer, tailnet) };
    answers.set(peer, answer);
    return answer;
  };
  return {
    name: 'node',
    identify({ socket }) {
      const peer = peers.peerOf(socket);
      if (peer === undefined) return FOREIGN;
      return peer === null ? GONE : answerOf(peer);
    },
    onRevoked: (listener) =>
      peers.onPeerEnded((peer) => {
        listener({
          door: 'node',
          why: 'the device was removed',
          matches: (caller) => caller.door === 'node' && caller.device?.stableId === peer.stableId,
        });
      }),
  };
}

function callerOf(peer: NodeDoorPeer, tailnet: string): Caller {
  const device: Device = {
    stableId: peer.stableId,
    name: peer.name,
    addresses: peer.addresses,
    tags: peer.tags,
    shared: false,
  };
  return {
    principal: devicePrincipal(peer.key),
    tailnet,
    door: 'node',
    via: null,
    device,
    user: peer.user,
    groups: [],
    capabilities: peer.capabilities,
    token: null,
  };
}
