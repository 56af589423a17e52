/**
 * What waits for a client that reads more slowly than others send to it: whole frames, the oldest of
 * which are dropped to make room, as a full network would drop them. TCP inside the tunnel slows down.
 */
import { DERP_HEADER_BYTES } from '../../../wire/derp.ts';

/** Bytes that several queues share: of a tailnet, of all. */
export class QueueBudget {
  readonly #maxBytes: number;
  readonly #parent: QueueBudget | null;
  #bytes = 0;

  constructor(maxBytes: number, parent: QueueBudget | null) {
    this.#maxBytes = maxBytes;
    this.#parent = parent;
  }

  get bytes(): number {
    return this.#bytes;
  }

  hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= this.#maxBytes && (this.#parent === null || this.#parent.hasRoom(bytes));
  }

  /** Counts bytes in, or out if negative. */
  add(bytes: number): void {
    this.#bytes += bytes;
    this.#parent?.add(bytes);
  }
}

/** What an entry costs beside its bytes, so that many tiny packets are not cheaper than they are. */
const ENTRY_BYTES = 128;

/** A row of whole frames, of which the front may have been dropped. */
interface Entry {
  readonly frames: Buffer;
  at: number;
}

export class SendQueue {
  readonly #maxBytes: number;
  readonly #budget: QueueBudget;
  readonly #entries: Entry[] = [];
  #bytes = 0;

  constructor(maxBytes: number, budget: QueueBudget) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
  }

  /** Appends whole frames and gives how many frames were dropped for them, the new ones included. */
  push(frames: Buffer): number {
    let dropped = 0;
    let at = 0;
    while (!this.#hasRoom(frames.length - at)) {
      if (this.#dropOldest()) {
        dropped += 1;
        continue;
      }
      /* The queue is empty: the oldest are among the new ones. */
      if (at >= frames.length) return dropped;
      at += frameBytes(frames, at);
      dropped += 1;
    }
    if (at >= frames.length) return dropped;
    this.#entries.push({ frames, at });
    this.#add(ENTRY_BYTES + frames.length - at);
    return dropped;
  }

  /** The oldest frames, which leave the queue; null if there are none. */
  shift(): Buffer | null {
    const entry = this.#entries.shift();
    if (entry === undefined) return null;
    this.#add(entry.at - entry.frames.length - ENTRY_BYTES);
    return entry.at === 0 ? entry.frames : entry.frames.subarray(entry.at);
  }

  clear(): void {
    this.#entries.length = 0;
    this.#add(-this.#bytes);
  }

  #hasRoom(bytes: number): boolean {
    const cost = ENTRY_BYTES + bytes;
    return this.#bytes + cost <= this.#maxBytes && this.#budget.hasRoom(cost);
  }

  #add(bytes: number): void {
    this.#bytes += bytes;
    this.#budget.add(bytes);
  }

  #dropOldest(): boolean {
    const entry = this.#entries[0];
    if (entry === undefined) return false;
    const bytes = frameBytes(entry.frames, entry.at);
    entry.at += bytes;
    this.#add(-bytes);
    if (entry.at >= entry.frames.length) {
      this.#entries.shift();
      this.#add(-ENTRY_BYTES);
    }
    return true;
  }
}

function frameBytes(frames: Buffer, at: number): number {
  return DERP_HEADER_BYTES + frames.readUInt32BE(at + 1);
}
