/**
 * IPv6 headers (RFC 8200). Numbers are big-endian:
 *
 *   offset  bytes  what
 *   0       4      version (4 bits, 6), traffic class (8 bits), flow label (20 bits)
 *   4       2      payload length, everything after these 40 bytes
 *   6       1      next header: a protocol, or an extension header
 *   7       1      hop limit
 *   8       16     source
 *   24      16     destination
 *
 * An extension header (hop-by-hop 0, routing 43, destination options 60): next header (1 byte),
 * length in 8 bytes beyond the first 8 (1 byte), contents. Fragment (44) is always 8 bytes:
 *
 *   0       1      next header
 *   1       1      reserved
 *   2       2      fragment offset in 8 bytes (13 bits), reserved (2 bits), more fragments (1 bit)
 *   4       4      identification
 *
 * Left out: options inside extension headers are skipped unread; a routing header with segments left
 * is malformed here (a node that is no router, RFC 8200 section 4.4); no jumbograms.
 */
import type { IpPacket } from './ip-packet.ts';
import type { IpHeaderFields } from './ipv4.ts';

/** Bytes of the fixed header. */
export const IPV6_HEADER_BYTES = 40;

/** Extension headers looked through; ordinary packets have none. */
const EXTENSION_HEADERS_MAX = 4;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;
/** Offset and "more fragments"; a datagram with neither is whole (RFC 6946). */
const FRAGMENT_BITS = 0xfff9;

/** Reads the headers into `into`; false if they are malformed or more than four extensions long. */
export function readIpv6(packet: Buffer, into: IpPacket): boolean {
  if (packet.length < IPV6_HEADER_BYTES || (packet[0] ?? 0) >> 4 !== 6) return false;
  const end = IPV6_HEADER_BYTES + (((packet[4] ?? 0) << 8) | (packet[5] ?? 0));
  if (end > packet.length) return false;
  into.family = 6;
  into.hopLimit = packet[7] ?? 0;
  into.sourceAt = 8;
  into.destinationAt = 24;
  into.addressesEnd = 40;
  into.end = end;
  into.isFragment = false;
  let at = IPV6_HEADER_BYTES;
  let next = packet[6] ?? 0;
  for (let count = 0; isExtension(next); count += 1) {
    if (count === EXTENSION_HEADERS_MAX || at + 8 > end) return false;
    if (next === FRAGMENT) {
      const bits = ((packet[at + 2] ?? 0) << 8) | (packet[at + 3] ?? 0);
      if ((bits & FRAGMENT_BITS) !== 0) {
        into.isFragment = true;
        break;
      }
    }
    if (next === ROUTING && packet[at + 3] !== 0) return false;
    const bytes = next === FRAGMENT ? 8 : 8 + (packet[at + 1] ?? 0) * 8;
    next = packet[at] ?? 0;
    at += bytes;
    if (at > end) return false;
  }
  into.protocol = next;
  into.payloadAt = at;
  return true;
}

function isExtension(next: number): boolean {
  return next === HOP_BY_HOP || next === ROUTING || next === FRAGMENT || next === DESTINATION_OPTIONS;
}

/** Writes a header of 40 bytes at the start of `target`; traffic class and flow label are 0. */
export function writeIpv6(target: Buffer, fields: IpHeaderFields): void {
  const { source, destination, payloadBytes } = fields;
  target[0] = 0x60;
  target[1] = 0;
  target[2] = 0;
  target[3] = 0;
  target[4] = payloadBytes >> 8;
  target[5] = payloadBytes & 0xff;
  target[6] = fields.protocol;
  target[7] = fields.hopLimit;
  for (let index = 0; index < 16; index += 1) {
    target[8 + index] = source[index] ?? 0;
    target[24 + index] = destination[index] ?? 0;
  }
}
