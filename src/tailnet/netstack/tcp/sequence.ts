/**
 * Arithmetic on sequence numbers (RFC 9293 section 3.4): signed 32-bit integers that wrap. Two numbers
 * compare as long as they are less than 2^31 apart.
 */

/** `a - b`: negative if `a` comes before `b`. */
export function distance(a: number, b: number): number {
  return (a - b) | 0;
}

/** `a + count`, wrapped. */
export function advance(a: number, count: number): number {
  return (a + count) | 0;
}

/** Whether `a` comes before `b`. */
export function isBefore(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

/** The later of the two. */
export function later(a: number, b: number): number {
  return ((a - b) | 0) < 0 ? b : a;
}
