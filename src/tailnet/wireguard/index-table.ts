import type { Random } from '../../base/random.ts';
import type { Initiation, Peer } from './peer.ts';
import type { Session } from './session.ts';

/** Who a receiver's index belongs to. Indices are random, so that they tell strangers nothing. */
export class IndexTable {
  readonly #entries = new Map<number, Session<Peer> | Initiation>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(index: number): Session<Peer> | Initiation | undefined {
    return this.#entries.get(index);
  }

  /** An index that nobody has. At most four per peer are in use of 2^32, so a few draws suffice. */
  free(): number {
    for (;;) {
      const bytes = this.#random.bytes(4);
      const index = Buffer.from(bytes.buffer, bytes.byteOffset, 4).readUInt32LE(0);
      if (!this.#entries.has(index)) return index;
    }
  }

  /** Takes an index; a session takes over that of its handshake. */
  set(entry: Session<Peer> | Initiation): void {
    this.#entries.set(entry.localIndex, entry);
  }

  /** Gives an index back, unless it has passed to another. */
  delete(entry: Session<Peer> | Initiation): void {
    if (this.#entries.get(entry.localIndex) === entry) this.#entries.delete(entry.localIndex);
  }
}
