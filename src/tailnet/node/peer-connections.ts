/** Which peer each accepted connection belongs to, so that a peer that goes takes its connections along. */
import type { NetstackSocket } from '../netstack/index.ts';
import type { NodePeer } from './node-peer.ts';

export class PeerConnections {
  readonly #byKey = new Map<string, Set<NetstackSocket>>();
  readonly #owners = new WeakMap<object, string>();

  add(peer: NodePeer, socket: NetstackSocket): void {
    const { key } = peer;
    let sockets = this.#byKey.get(key);
    if (sockets === undefined) this.#byKey.set(key, (sockets = new Set()));
    const own = sockets;
    own.add(socket);
    this.#owners.set(socket, key);
    socket.once('close', () => {
      own.delete(socket);
      if (own.size === 0 && this.#byKey.get(key) === own) this.#byKey.delete(key);
    });
  }

  /** The key by which a connection came; undefined for one that was not accepted here. */
  keyOf(socket: object): string | undefined {
    return this.#owners.get(socket);
  }

  count(key: string): number {
    return this.#byKey.get(key)?.size ?? 0;
  }

  /** Ends all of a peer's connections now. */
  cut(key: string): void {
    for (const socket of this.#byKey.get(key) ?? []) socket.resetAndDestroy();
  }
}
