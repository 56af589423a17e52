/**
 * What arrived and the application has not read: bytes in order, and ranges beyond a gap (RFC 9293
 * section 3.10.7.4, RFC 2018). Both are bounded: in order by the window that was offered, beyond a
 * gap by `maxBytes` and by the budget of the stack.
 */
import { SACK_BLOCKS_MAX } from '../../../wire/tcp.ts';
import type { MemoryBudget } from '../memory-budget.ts';
import { advance, distance, isBefore } from './sequence.ts';

/** Smaller pieces are gathered in blocks, so that a byte does not keep a whole packet alive. */
const SMALL_BYTES = 512;
const BLOCK_BYTES = 4096;
/** What a reader gets at once; as a socket of the kernel gives. */
const GATHERED_MAX_BYTES = 65_536;
/** What a piece beyond a gap is charged at least: the packet that it is a view of. */
const HELD_CHARGE_MIN_BYTES = 1280;
/** Gaps remembered; more are not worth their search, the peer repeats what is dropped. */
const RANGES_MAX = 256;

interface HeldRange {
  start: number;
  end: number;
  chunks: Buffer[];
  chargedBytes: number;
  /** Larger is more recent: RFC 2018 section 4 reports the latest first. */
  stamp: number;
}

export class ReceiveQueue {
  readonly #memory: MemoryBudget;
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #head = 0;
  #queuedBytes = 0;
  /** The last chunk's own block while small pieces are gathered in it. */
  #block: Buffer | null = null;
  #blockUsed = 0;
  #ranges: HeldRange[] = [];
  #heldChargedBytes = 0;
  #stamp = 0;

  constructor(memory: MemoryBudget, maxBytes: number) {
    this.#memory = memory;
    this.#maxBytes = maxBytes;
  }

  /** Bytes in order that `read` would return. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get hasGap(): boolean {
    return this.#ranges.length > 0;
  }

  /** The next bytes, or null. They belong to the caller. */
  read(): Buffer | null {
    const chunk = this.#chunks[this.#head];
    if (chunk === undefined) return null;
    this.#head += 1;
    if (this.#head === this.#chunks.length) {
      this.#chunks.length = 0;
      this.#head = 0;
      this.#block = null;
    } else if (this.#head >= 256 && this.#head * 2 >= this.#chunks.length) {
      this.#chunks.splice(0, this.#head);
      this.#head = 0;
    }
    this.#queuedBytes -= chunk.length;
    this.#memory.give(chunk.length);
    return chunk;
  }

  /**
   * As `read`, but several chunks as one, up to 64 KiB: whoever handles bytes has a price per piece
   * that is far above that of the copy.
   */
  readGathered(): Buffer | null {
    const { length } = this.#chunks;
    let bytes = 0;
    let end = this.#head;
    while (end < length) {
      const next = this.#chunks[end]?.length ?? 0;
      if (bytes + next > GATHERED_MAX_BYTES) break;
      bytes += next;
      end += 1;
    }
    if (end - this.#head < 2) return this.read();
    const gathered = Buffer.allocUnsafeSlow(bytes);
    for (let at = 0; at < bytes;) {
      const chunk = this.read();
      if (chunk === null) break;
      gathered.set(chunk, at);
      at += chunk.length;
    }
    return gathered;
  }

  /** Appends the bytes that come next; returns the sequence number after them and after what was held. */
  append(data: Buffer, next: number): number {
    this.#push(data);
    return this.#join(advance(next, data.length));
  }

  /** Moves what is held and now comes next into the queue. */
  #join(next: number): number {
    let after = next;
    for (;;) {
      const range = this.#ranges[0];
      if (range === undefined || isBefore(after, range.start)) return after;
      this.#ranges.shift();
      this.#heldChargedBytes -= range.chargedBytes;
      this.#memory.give(range.chargedBytes);
      /* What is new may overlap the front of the range. */
      let skip = distance(after, range.start);
      for (const chunk of range.chunks) {
        if (skip >= chunk.length) skip -= chunk.length;
        else {
          this.#push(skip > 0 ? chunk.subarray(skip) : chunk);
          skip = 0;
        }
      }
      if (isBefore(after, range.end)) after = range.end;
    }
  }

  #push(data: Buffer): void {
    this.#queuedBytes += data.length;
    this.#memory.charge(data.length);
    if (data.length >= SMALL_BYTES || this.#chunks.length === 0) {
      this.#chunks.push(data);
      this.#block = null;
      return;
    }
    let block = this.#block;
    if (block === null || this.#blockUsed + data.length > block.length) {
      block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.#block = block;
      this.#blockUsed = 0;
      this.#chunks.push(block.subarray(0, 0));
    }
    block.set(data, this.#blockUsed);
    const last = this.#chunks.length - 1;
    const begin = this.#blockUsed - (this.#chunks[last]?.length ?? 0);
    this.#blockUsed += data.length;
    this.#chunks[last] = block.subarray(begin, this.#blockUsed);
  }

  /** Keeps bytes beyond a gap: `known` if nothing of them is new, `dropped` if there is no room. */
  hold(data: Buffer, start: number): 'kept' | 'known' | 'dropped' {
    const charge = Math.max(data.length, HELD_CHARGE_MIN_BYTES);
    if (this.#heldChargedBytes + charge > 2 * this.#maxBytes) return 'dropped';
    const end = advance(start, data.length);
    let index = 0;
    while (index < this.#ranges.length && isBefore(this.#ranges[index]?.end ?? 0, start)) index += 1;
    let range = this.#ranges[index];
    if (range === undefined || isBefore(end, range.start)) {
      if (this.#ranges.length >= RANGES_MAX || !this.#memory.take(charge)) return 'dropped';
      this.#stamp += 1;
      const fresh = { start, end, chunks: [data], chargedBytes: charge, stamp: this.#stamp };
      this.#ranges.splice(index, 0, fresh);
      this.#heldChargedBytes += charge;
      return 'kept';
    }
    this.#stamp += 1;
    range.stamp = this.#stamp;
    if (!isBefore(start, range.start) && !isBefore(range.end, end)) return 'known';
    if (!this.#memory.take(charge)) return 'dropped';
    this.#heldChargedBytes += charge;
    range.chargedBytes += charge;
    if (isBefore(start, range.start)) {
      range.chunks.unshift(data.subarray(0, distance(range.start, start)));
      range.start = start;
    }
    while (isBefore(range.end, end)) range = this.#extend(range, index, data, start, end);
    this.#mergeWithNext(range, index);
    return 'kept';
  }

  /** Lengthens a range with the new bytes up to the next range, and takes that one in if they meet. */
  #extend(range: HeldRange, index: number, data: Buffer, start: number, end: number): HeldRange {
    const following = this.#ranges[index + 1];
    const limit = following !== undefined && isBefore(following.start, end) ? following.start : end;
    if (isBefore(range.end, limit)) {
      range.chunks.push(data.subarray(distance(range.end, start), distance(limit, start)));
      range.end = limit;
    }
    this.#mergeWithNext(range, index);
    return range;
  }

  #mergeWithNext(range: HeldRange, index: number): void {
    const following = this.#ranges[index + 1];
    if (following === undefined || following.start !== range.end) return;
    for (const chunk of following.chunks) range.chunks.push(chunk);
    range.end = following.end;
    range.chargedBytes += following.chargedBytes;
    this.#ranges.splice(index + 1, 1);
  }

  /** Writes up to `max` SACK blocks, the most recent first, from edge `from` on; returns how many. */
  writeSackBlocks(edges: Int32Array, from: number, max: number): number {
    const ranges = this.#ranges;
    if (ranges.length === 0) return 0;
    const wanted = Math.min(max, SACK_BLOCKS_MAX, ranges.length);
    let below = Number.POSITIVE_INFINITY;
    for (let count = 0; count < wanted; count += 1) {
      let best: HeldRange | undefined;
      for (const range of ranges)
        if (range.stamp < below && (best === undefined || range.stamp > best.stamp)) best = range;
      if (best === undefined) return count;
      below = best.stamp;
      edges[from + count * 2] = best.start;
      edges[from + count * 2 + 1] = best.end;
    }
    return wanted;
  }

  /** Forgets everything and gives the memory back. */
  clear(): void {
    this.#memory.give(this.#queuedBytes + this.#heldChargedBytes);
    this.#chunks = [];
    this.#head = 0;
    this.#queuedBytes = 0;
    this.#block = null;
    this.#ranges = [];
    this.#heldChargedBytes = 0;
  }
}
