/**
 * What the application wrote and the peer has not acknowledged: a ring that grows by doubling up to a
 * limit, and gives its memory back when it empties. Bytes are copied in, so the caller's are free at once.
 */
import type { MemoryBudget } from '../memory-budget.ts';

/** Enough for most requests; kept by idle connections that have written. */
const FIRST_BYTES = 8192;

export class SendBuffer {
  readonly #memory: MemoryBudget;
  readonly #maxBytes: number;
  #ring: Buffer | null = null;
  #start = 0;
  #length = 0;

  /** `maxBytes` is rounded up to 8 KiB times a power of two. */
  constructor(memory: MemoryBudget, maxBytes: number) {
    this.#memory = memory;
    this.#maxBytes = maxBytes;
  }

  /** Bytes held. */
  get length(): number {
    return this.#length;
  }

  /** Copies as much of `chunk` from `offset` as there is room for; returns the bytes taken. */
  write(chunk: Uint8Array, offset: number): number {
    const wanted = chunk.length - offset;
    const ring = this.#reserve(wanted);
    const count = Math.min(wanted, ring.length - this.#length);
    const at = (this.#start + this.#length) & (ring.length - 1);
    const first = Math.min(count, ring.length - at);
    ring.set(chunk.subarray(offset, offset + first), at);
    if (count > first) ring.set(chunk.subarray(offset + first, offset + count), 0);
    this.#length += count;
    return count;
  }

  /** The ring, grown for `more` bytes as far as the limits allow. */
  #reserve(more: number): Buffer {
    let ring = this.#ring;
    if (ring === null) {
      /* The first one is not refused: connections are limited in number, and each must be able to move. */
      this.#memory.charge(FIRST_BYTES);
      ring = Buffer.allocUnsafeSlow(FIRST_BYTES);
      this.#start = 0;
    }
    let bytes = ring.length;
    while (bytes < this.#length + more && bytes < this.#maxBytes) bytes *= 2;
    while (bytes > ring.length && !this.#memory.take(bytes - ring.length)) bytes /= 2;
    if (bytes > ring.length) {
      const grown = Buffer.allocUnsafeSlow(bytes);
      this.#copyFrom(ring, grown, 0, 0, this.#length);
      this.#start = 0;
      ring = grown;
    }
    this.#ring = ring;
    return ring;
  }

  /** Copies `count` bytes that begin `offset` after the first held one to `target`. */
  copy(target: Buffer, at: number, offset: number, count: number): void {
    if (this.#ring !== null) this.#copyFrom(this.#ring, target, at, offset, count);
  }

  #copyFrom(ring: Buffer, target: Buffer, at: number, offset: number, count: number): void {
    const from = (this.#start + offset) & (ring.length - 1);
    const first = Math.min(count, ring.length - from);
    ring.copy(target, at, from, from + first);
    if (count > first) ring.copy(target, at + first, 0, count - first);
  }

  /** Forgets the first `count` bytes: they are acknowledged. */
  release(count: number): void {
    const ring = this.#ring;
    if (ring === null) return;
    this.#length -= count;
    this.#start = (this.#start + count) & (ring.length - 1);
    if (this.#length === 0 && ring.length > FIRST_BYTES) this.clear();
  }

  /** Forgets everything and gives the memory back. */
  clear(): void {
    if (this.#ring !== null) this.#memory.give(this.#ring.length);
    this.#ring = null;
    this.#start = 0;
    this.#length = 0;
  }
}
