/**
 * TAI64N timestamps as WireGuard sends them (white paper, section 5.4.2): they only ever rise, and
 * say no more about the clock than they must.
 *
 * | offset | bytes | what                                     |
 * | ------ | ----- | ---------------------------------------- |
 * | 0      | 8     | 2^62 + 10 + seconds since 1970, big-endian |
 * | 8      | 4     | nanoseconds, big-endian                  |
 */

export const TAI64N_BYTES = 12;

/** High word of 2^62. */
const LABEL_HIGH = 0x4000_0000;
/** TAI was 10 s ahead of UTC in 1970; nobody needs the leap seconds since. */
const TAI_OFFSET_SEC = 10;
const TWO_32 = 0x1_0000_0000;
/** Steps of 2^24 ns (about 17 ms), so that the fine clock of this machine is not published. */
const STEP_NS = 2 ** 24;
const STEPS_PER_SEC = Math.floor(1_000_000_000 / STEP_NS);

/**
 * The timestamp of a wall time, or the next one above `previous` if the clock stood still or went
 * back. `previous` is null for a peer that was never sent one.
 */
export function nextTai64n(unixMs: number, previous: Buffer | null): Buffer {
  const wholeMs = Math.max(0, Math.floor(unixMs));
  const stamp = encode(Math.floor(wholeMs / 1000), Math.floor(((wholeMs % 1000) * 1_000_000) / STEP_NS));
  return previous === null || isLater(stamp, previous) ? stamp : stepAfter(previous);
}

/** Whether `stamp` is later than `other`; both have 12 bytes. */
export function isLater(stamp: Buffer, other: Buffer): boolean {
  return stamp.compare(other) > 0;
}

function encode(unixSec: number, step: number): Buffer {
  const stamp = Buffer.alloc(TAI64N_BYTES);
  const seconds = unixSec + TAI_OFFSET_SEC;
  stamp.writeUInt32BE(LABEL_HIGH + Math.floor(seconds / TWO_32), 0);
  stamp.writeUInt32BE(seconds % TWO_32, 4);
  stamp.writeUInt32BE(step * STEP_NS, 8);
  return stamp;
}

function stepAfter(previous: Buffer): Buffer {
  const seconds =
    (previous.readUInt32BE(0) - LABEL_HIGH) * TWO_32 + previous.readUInt32BE(4) - TAI_OFFSET_SEC;
  const step = Math.floor(previous.readUInt32BE(8) / STEP_NS) + 1;
  return step < STEPS_PER_SEC ? encode(seconds, step) : encode(seconds + 1, 0);
}
