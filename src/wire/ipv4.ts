/**
 * IPv4 headers (RFC 791). Numbers are big-endian:
 *
 *   offset  bytes  what
 *   0       1      version (4 bits, 4), header length in 32-bit words (4 bits, 5 to 15)
 *   1       1      differentiated services (6 bits), ECN (2 bits)
 *   2       2      total length, header and payload
 *   4       2      identification
 *   6       2      flags (3 bits: 0, don't fragment, more fragments), fragment offset in 8 bytes
 *   8       1      time to live
 *   9       1      protocol
 *   10      2      checksum of the header
 *   12      4      source
 *   16      4      destination
 *   20      …      options, up to the header length
 *
 * Left out: options are skipped unread when received, and never sent; fragments are recognized, not
 * put together.
 */
import { addToChecksum, finishChecksum } from './checksum.ts';
import type { IpPacket } from './ip-packet.ts';

/** Bytes of a header without options. */
export const IPV4_HEADER_BYTES = 20;

const DONT_FRAGMENT = 0x40;
const MORE_FRAGMENTS_AND_OFFSET = 0x3fff;

/** Reads a header into `into`; false if it is malformed or its checksum is wrong. */
export function readIpv4(packet: Buffer, into: IpPacket): boolean {
  if (packet.length < IPV4_HEADER_BYTES) return false;
  const first = packet[0] ?? 0;
  const headerBytes = (first & 0x0f) * 4;
  const totalBytes = ((packet[2] ?? 0) << 8) | (packet[3] ?? 0);
  if (first >> 4 !== 4 || headerBytes < IPV4_HEADER_BYTES) return false;
  if (totalBytes < headerBytes || totalBytes > packet.length) return false;
  if (finishChecksum(addToChecksum(0, packet, 0, headerBytes)) !== 0) return false;
  into.family = 4;
  into.protocol = packet[9] ?? 0;
  into.hopLimit = packet[8] ?? 0;
  into.sourceAt = 12;
  into.destinationAt = 16;
  into.addressesEnd = 20;
  into.payloadAt = headerBytes;
  into.end = totalBytes;
  into.isFragment = ((((packet[6] ?? 0) << 8) | (packet[7] ?? 0)) & MORE_FRAGMENTS_AND_OFFSET) !== 0;
  return true;
}

export interface IpHeaderFields {
  /** 4 or 16 bytes. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  /** Bytes after the header. */
  readonly payloadBytes: number;
  /** 1 to 255. */
  readonly hopLimit: number;
}

/**
 * Writes a header of 20 bytes at the start of `target`, with "don't fragment" set: path MTU discovery
 * is ours (RFC 1191), and an atomic datagram's identification may be 0 (RFC 6864 section 4.1).
 */
export function writeIpv4(target: Buffer, fields: IpHeaderFields): void {
  const { source, destination } = fields;
  const totalBytes = IPV4_HEADER_BYTES + fields.payloadBytes;
  target[0] = 0x45;
  target[1] = 0;
  target[2] = totalBytes >> 8;
  target[3] = totalBytes & 0xff;
  target[4] = 0;
  target[5] = 0;
  target[6] = DONT_FRAGMENT;
  target[7] = 0;
  target[8] = fields.hopLimit;
  target[9] = fields.protocol;
  target[10] = 0;
  target[11] = 0;
  for (let index = 0; index < 4; index += 1) {
    target[12 + index] = source[index] ?? 0;
    target[16 + index] = destination[index] ?? 0;
  }
  const checksum = finishChecksum(addToChecksum(0, target, 0, IPV4_HEADER_BYTES));
  target[10] = checksum >> 8;
  target[11] = checksum & 0xff;
}
