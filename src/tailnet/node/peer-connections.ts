/** Which peer each connection belongs to, so that a peer that goes takes its connections along. */
import type { NetstackSocket } from '../netstack/index.ts';
import type { NodePeer } from './node-peer.ts';

interface PeerSockets {
  readonly accepted: Set<NetstackSocket>;
  readonly dialled: Set<NetstackSocket>;
}

export class PeerConnections {
  readonly #byKey = new Map<string, PeerSockets>();
  readonly #owners = new WeakMap<object, string>();
  #cut = 0;

  /** Connections that were ended here. */
  get cutCount(): number {
    return this.#cut;
  }

  add({ key }: NodePeer, socket: NetstackSocket, side: keyof PeerSockets): void {
    const own = this.#byKey.get(key) ?? { accepted: new Set(), dialled: new Set() };
    this.#byKey.set(key, own);
    own[side].add(socket);
    this.#owners.set(socket, key);
    socket.once('close', () => {
      own[side].delete(socket);
      const isEmpty = own.accepted.size + own.dialled.size === 0;
      if (isEmpty && this.#byKey.get(key) === own) this.#byKey.delete(key);
    });
  }

  /** The key at the other end; undefined for a connection that is not of this node. */
  keyOf(socket: object): string | undefined {
    return this.#owners.get(socket);
  }

  /** Of those that the peer made. */
  count(key: string): number {
    return this.#byKey.get(key)?.accepted.size ?? 0;
  }

  /** Ends all of a peer's connections now, whoever made them. */
  cut(key: string): void {
    const own = this.#byKey.get(key);
    for (const socket of [...(own?.accepted ?? []), ...(own?.dialled ?? [])]) this.#end(socket);
  }

  /** Ends those that came in and may not be any more. */
  judge(allows: (socket: NetstackSocket) => boolean): void {
    for (const { accepted } of this.#byKey.values()) {
      for (const socket of accepted) if (!allows(socket)) this.#end(socket);
    }
  }

  #end(socket: NetstackSocket): void {
    this.#cut += 1;
    socket.resetAndDestroy();
  }
}
