/**
 * What was sent and is not acknowledged: one record per segment, with the SACK scoreboard (RFC 2018,
 * RFC 6675), the estimate of what is in the network ("pipe", RFC 6675 section 4), and loss detection by
 * time (RACK, RFC 8985 section 6), which stands in for the counting rule of RFC 6675 as RFC 8985
 * section 9.3 allows: with three segments reported and no reordering seen it gives the same answer.
 */
import type { TcpSegment } from '../../../wire/tcp.ts';
import type { RoundTrip } from './round-trip.ts';
import { advance, distance, isBefore, later } from './sequence.ts';

export interface SentSegment {
  readonly sequence: number;
  /** Sequence numbers that it takes: its bytes, and one if it carries FIN. */
  length: number;
  fin: boolean;
  /** Of the latest transmission, ms. */
  sentAt: number;
  transmissions: number;
  sacked: boolean;
  /** Taken for lost, and not yet sent again. */
  lost: boolean;
}

/** RFC 6675: reports above a segment after which it is lost. */
const DUPLICATES_FOR_LOSS = 3;
/** RFC 8985 section 6.2 step 4: recoveries for which a widened reordering window stays. */
const REORDER_WINDOW_PERSIST = 16;
const COMPACT_AT = 256;

export class InFlight {
  /** Bytes of sequence space, all records. */
  totalBytes = 0;
  sackedBytes = 0;
  sackedSegments = 0;
  lostBytes = 0;
  lostSegments = 0;
  /** What the last `acknowledge` and `readSack` found; `beginAck` resets it. */
  deliveredBytes = 0;
  /** ms; -1 if nothing was measured. */
  roundTripSample = -1;
  sawDuplicateSack = false;
  /** Whether a segment that had been sent again was acknowledged: only timestamps can tell its time. */
  acknowledgedRepeat = false;

  readonly #roundTrip: RoundTrip;
  #items: SentSegment[] = [];
  #head = 0;
  /** No record before this index is lost. */
  #lostFrom = 0;
  /** RACK: the most recently sent segment that was delivered. */
  #rackSentAt = -1;
  #rackEnd = 0;
  #rackRoundTrip = 0;
  #highestDelivered: number;
  #reorderingSeen = false;
  #windowFactor = 1;
  #windowPersist = 0;

  constructor(roundTrip: RoundTrip, initialSequence: number) {
    this.#roundTrip = roundTrip;
    this.#highestDelivered = initialSequence;
  }

  get count(): number {
    return this.#items.length - this.#head;
  }

  /** RFC 6675: what is still in the network. */
  get pipeBytes(): number {
    return this.totalBytes - this.sackedBytes - this.lostBytes;
  }

  get first(): SentSegment | undefined {
    return this.#items[this.#head];
  }

  get last(): SentSegment | undefined {
    return this.count === 0 ? undefined : this.#items.at(-1);
  }

  /** A new segment left. */
  push(sequence: number, length: number, fin: boolean, now: number): void {
    this.#items.push({ sequence, length, fin, sentAt: now, transmissions: 1, sacked: false, lost: false });
    this.totalBytes += length;
  }

  /** A segment left again. */
  noteRetransmission(segment: SentSegment, now: number): void {
    if (segment.lost) {
      segment.lost = false;
      this.lostBytes -= segment.length;
      this.lostSegments -= 1;
    }
    segment.sentAt = now;
    segment.transmissions += 1;
  }

  beginAck(): void {
    this.deliveredBytes = 0;
    this.roundTripSample = -1;
    this.sawDuplicateSack = false;
    this.acknowledgedRepeat = false;
  }

  /** Everything before `una` arrived. */
  acknowledge(una: number, now: number): void {
    for (;;) {
      const segment = this.#items[this.#head];
      if (segment === undefined || !isBefore(segment.sequence, una)) break;
      const excess = distance(advance(segment.sequence, segment.length), una);
      if (excess > 0) {
        this.#items[this.#head] = this.#cutFront(segment, segment.length - excess);
        break;
      }
      this.#drop(segment, segment.length);
      if (!segment.sacked) this.#delivered(segment, now);
      this.#head += 1;
    }
    this.#compact();
  }

  #cutFront(segment: SentSegment, count: number): SentSegment {
    this.#drop(segment, count);
    if (segment.sacked) this.sackedSegments += 1;
    if (segment.lost) this.lostSegments += 1;
    return { ...segment, sequence: advance(segment.sequence, count), length: segment.length - count };
  }

  #drop(segment: SentSegment, bytes: number): void {
    this.totalBytes -= bytes;
    if (segment.sacked) {
      this.sackedBytes -= bytes;
      this.sackedSegments -= 1;
    }
    if (segment.lost) {
      this.lostBytes -= bytes;
      this.lostSegments -= 1;
    }
  }

  #compact(): void {
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
      this.#lostFrom = 0;
    } else if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#lostFrom = Math.max(0, this.#lostFrom - this.#head);
      this.#head = 0;
    }
  }

  /** RFC 8985 section 6.2, steps 1 to 3, for one segment that is newly known to have arrived. */
  #delivered(segment: SentSegment, now: number): void {
    const end = advance(segment.sequence, segment.length);
    this.deliveredBytes += segment.length;
    const elapsed = now - segment.sentAt;
    if (segment.transmissions === 1) {
      this.roundTripSample = elapsed;
      if (isBefore(end, this.#highestDelivered)) this.#reorderingSeen = true;
    } else {
      this.acknowledgedRepeat = true;
      /* Sooner than any round trip: it was an earlier transmission that arrived. */
      if (elapsed < this.#roundTrip.leastMs) return;
    }
    this.#highestDelivered = later(this.#highestDelivered, end);
    if (
      segment.sentAt > this.#rackSentAt ||
      (segment.sentAt === this.#rackSentAt && isBefore(this.#rackEnd, end))
    ) {
      this.#rackSentAt = segment.sentAt;
      this.#rackEnd = end;
      this.#rackRoundTrip = elapsed;
    }
  }

  /**
   * Reads the SACK blocks of a segment that acknowledges up to `una`, while `next` was sent. Blocks that
   * cannot be true are passed over; one below `una`, or inside the second, is a D-SACK (RFC 2883).
   */
  readSack(segment: TcpSegment, una: number, next: number, now: number): void {
    const edges = segment.sackEdges;
    for (let block = 0; block < segment.sackCount; block += 1) {
      const left = edges[block * 2] ?? 0;
      const right = edges[block * 2 + 1] ?? 0;
      if (!isBefore(left, right) || isBefore(next, right)) continue;
      if (block === 0 && (!isBefore(una, right) || isInside(left, right, segment))) {
        this.sawDuplicateSack = true;
        this.#windowFactor += 1;
        this.#windowPersist = REORDER_WINDOW_PERSIST;
      }
      if (isBefore(una, right)) this.#markSacked(left, right, now);
    }
  }

  #markSacked(left: number, right: number, now: number): void {
    for (let index = this.#indexAt(left); index < this.#items.length; index += 1) {
      const segment = this.#items[index];
      if (segment === undefined || !isBefore(segment.sequence, right)) return;
      if (segment.sacked || isBefore(right, advance(segment.sequence, segment.length))) continue;
      if (segment.lost) {
        segment.lost = false;
        this.lostBytes -= segment.length;
        this.lostSegments -= 1;
      }
      segment.sacked = true;
      this.sackedBytes += segment.length;
      this.sackedSegments += 1;
      this.#delivered(segment, now);
    }
  }

  /** The first record that begins at or after `sequence`, by bisection. */
  #indexAt(sequence: number): number {
    let low = this.#head;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(this.#items[middle]?.sequence ?? 0, sequence)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Marks what must be lost by now; returns in how many ms more may be, or 0. RFC 8985 section 6.2
   * step 5.
   */
  detectLoss(now: number, isRecovering: boolean): number {
    if (this.#rackSentAt < 0 || (this.sackedSegments === 0 && !isRecovering)) return 0;
    const patience = this.#rackRoundTrip + this.#reorderWindow(isRecovering);
    let wait = 0;
    for (let index = this.#head; index < this.#items.length; index += 1) {
      const segment = this.#items[index];
      if (segment === undefined) break;
      if (segment.sacked || segment.lost) continue;
      if (!this.#wasSentBeforeDelivered(segment)) {
        /* What follows was sent later still, also if it was sent again. */
        if (segment.transmissions === 1) break;
        continue;
      }
      const remaining = segment.sentAt + patience - now;
      if (remaining <= 0) this.#markLost(segment, index);
      else wait = Math.max(wait, remaining);
    }
    return wait;
  }

  #wasSentBeforeDelivered(segment: SentSegment): boolean {
    if (segment.sentAt !== this.#rackSentAt) return segment.sentAt < this.#rackSentAt;
    return isBefore(advance(segment.sequence, segment.length), this.#rackEnd);
  }

  #reorderWindow(isRecovering: boolean): number {
    if (!this.#reorderingSeen && (isRecovering || this.sackedSegments >= DUPLICATES_FOR_LOSS)) return 0;
    return Math.min((this.#windowFactor * this.#roundTrip.leastMs) / 4, this.#roundTrip.smoothedMs);
  }

  /** A recovery ended: a widened reordering window narrows again after sixteen. */
  noteRecoveryEnd(): void {
    if (this.#windowPersist === 0) return;
    this.#windowPersist -= 1;
    if (this.#windowPersist === 0) this.#windowFactor = 1;
  }

  /** The oldest one is lost: RFC 6582, and the retransmission timer. */
  markFirstLost(): void {
    const segment = this.first;
    if (segment !== undefined && !segment.lost && !segment.sacked) this.#markLost(segment, this.#head);
  }

  /** All that is not reported is lost. If the oldest is reported, the peer reneged: nothing it reported counts. */
  markAllLost(): void {
    const hasReneged = this.first?.sacked === true;
    for (let index = this.#head; index < this.#items.length; index += 1) {
      const segment = this.#items[index];
      if (segment === undefined) continue;
      if (hasReneged && segment.sacked) {
        segment.sacked = false;
        this.sackedBytes -= segment.length;
        this.sackedSegments -= 1;
      }
      if (!segment.sacked && !segment.lost) this.#markLost(segment, index);
    }
    this.#lostFrom = this.#head;
  }

  #markLost(segment: SentSegment, index: number): void {
    segment.lost = true;
    this.lostBytes += segment.length;
    this.lostSegments += 1;
    if (index < this.#lostFrom) this.#lostFrom = index;
  }

  /** The oldest lost one. */
  firstLost(): SentSegment | undefined {
    if (this.lostSegments === 0) return undefined;
    for (let index = Math.max(this.#lostFrom, this.#head); index < this.#items.length; index += 1) {
      if (this.#items[index]?.lost === true) {
        this.#lostFrom = index;
        return this.#items[index];
      }
    }
    return undefined;
  }

  /** Cuts a segment in two that no longer fits the path; returns the first part. */
  split(segment: SentSegment, bytes: number): SentSegment {
    const index = this.#indexAt(segment.sequence);
    const rest: SentSegment = {
      ...segment,
      sequence: advance(segment.sequence, bytes),
      length: segment.length - bytes,
    };
    segment.length = bytes;
    segment.fin = false;
    this.#items.splice(index + 1, 0, rest);
    if (rest.lost) this.lostSegments += 1;
    if (rest.sacked) this.sackedSegments += 1;
    return segment;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
    this.#lostFrom = 0;
    this.totalBytes = 0;
    this.sackedBytes = 0;
    this.sackedSegments = 0;
    this.lostBytes = 0;
    this.lostSegments = 0;
  }
}

/** Whether the first block lies inside the second: RFC 2883 section 4.1.2. */
function isInside(left: number, right: number, segment: TcpSegment): boolean {
  if (segment.sackCount < 2) return false;
  const outerLeft = segment.sackEdges[2] ?? 0;
  const outerRight = segment.sackEdges[3] ?? 0;
  return !isBefore(left, outerLeft) && !isBefore(outerRight, right);
}
