/**
 * The Internet checksum (RFC 1071): the one's complement sum of 16-bit words, big-endian. Sums are
 * kept unfolded while parts are added; a value stays exact up to 65,536 words, more than any packet.
 */

/**
 * Adds `bytes[start, end)` to a running sum. An odd last byte counts as the high half of a word, so
 * only the last part of a sum may have an odd length.
 */
export function addToChecksum(sum: number, bytes: Uint8Array, start: number, end: number): number {
  let total = sum;
  let at = start;
  for (const last = end - 15; at < last; at += 16) {
    total +=
      (((bytes[at] ?? 0) +
        (bytes[at + 2] ?? 0) +
        (bytes[at + 4] ?? 0) +
        (bytes[at + 6] ?? 0) +
        (bytes[at + 8] ?? 0) +
        (bytes[at + 10] ?? 0) +
        (bytes[at + 12] ?? 0) +
        (bytes[at + 14] ?? 0)) <<
        8) +
      (bytes[at + 1] ?? 0) +
      (bytes[at + 3] ?? 0) +
      (bytes[at + 5] ?? 0) +
      (bytes[at + 7] ?? 0) +
      (bytes[at + 9] ?? 0) +
      (bytes[at + 11] ?? 0) +
      (bytes[at + 13] ?? 0) +
      (bytes[at + 15] ?? 0);
  }
  for (const last = end - 1; at < last; at += 2) total += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  if (at < end) total += (bytes[at] ?? 0) << 8;
  return total;
}

/** The 16-bit checksum of a sum: folded and complemented. Over data with a right checksum it is 0. */
export function finishChecksum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return ~folded & 0xffff;
}

/**
 * The pseudo header of TCP, UDP and ICMPv6 (RFC 9293 section 3.1, RFC 8200 section 8.1), as a sum to
 * start from. `addresses[start, end)` is source and destination one after the other, which is how
 * both IP versions carry them.
 */
export function pseudoHeaderSum(
  addresses: Uint8Array,
  start: number,
  end: number,
  protocol: number,
  payloadBytes: number,
): number {
  return addToChecksum(protocol + payloadBytes, addresses, start, end);
}
