/**
 * ICMP (RFC 792) and ICMPv6 (RFC 4443): echo and errors. Numbers are big-endian:
 *
 *   offset  bytes  what
 *   0       1      type
 *   1       1      code
 *   2       2      checksum; ICMPv6 includes the pseudo header
 *   4       2      echo: identifier
 *   6       2      echo: sequence number; ICMP "fragmentation needed": the next hop's MTU (RFC 1191)
 *   4       4      ICMPv6 "packet too big": the MTU
 *   8       …      echo: data; errors: the start of the packet that they are about
 *
 * Left out: redirects, router and neighbour discovery (a tunnel has no neighbours), timestamps.
 */
import { addToChecksum, finishChecksum, pseudoHeaderSum } from './checksum.ts';
import { IP_PROTOCOL, type IpPacket } from './ip-packet.ts';

export const ICMP_HEADER_BYTES = 8;

/** What is understood of a message; `quoteAt` is where the packet that an error is about begins. */
export type IcmpMessage =
  | { readonly type: 'echo-request' | 'echo-reply'; readonly identifier: number; readonly sequence: number }
  | { readonly type: 'too-big'; readonly mtu: number; readonly quoteAt: number }
  | { readonly type: 'unreachable'; readonly reason: UnreachableReason; readonly quoteAt: number }
  | { readonly type: 'other' };

export type UnreachableReason = 'network' | 'host' | 'protocol' | 'port' | 'prohibited';

/** The message in a packet whose headers `ip` describes; null if malformed or its checksum is wrong. */
export function parseIcmp(packet: Buffer, ip: IpPacket): IcmpMessage | null {
  const at = ip.payloadAt;
  const length = ip.end - at;
  if (length < ICMP_HEADER_BYTES) return null;
  const start =
    ip.family === 4 ? 0 : pseudoHeaderSum(packet, ip.sourceAt, ip.addressesEnd, IP_PROTOCOL.icmpv6, length);
  if (finishChecksum(addToChecksum(start, packet, at, ip.end)) !== 0) return null;
  return ip.family === 4 ? readV4(packet, at) : readV6(packet, at);
}

const UNREACHABLE_V4: readonly UnreachableReason[] = ['network', 'host', 'protocol', 'port'];

function readV4(packet: Buffer, at: number): IcmpMessage {
  const [type, code] = [packet[at] ?? 0, packet[at + 1] ?? 0];
  const quoteAt = at + ICMP_HEADER_BYTES;
  if ((type === 8 || type === 0) && code === 0) return echo(type === 8, packet, at);
  if (type !== 3) return { type: 'other' };
  if (code === 4) return { type: 'too-big', mtu: packet.readUInt16BE(at + 6), quoteAt };
  const reason = UNREACHABLE_V4[code] ?? (code === 9 || code === 10 || code === 13 ? 'prohibited' : 'host');
  return { type: 'unreachable', reason, quoteAt };
}

function readV6(packet: Buffer, at: number): IcmpMessage {
  const [type, code] = [packet[at] ?? 0, packet[at + 1] ?? 0];
  const quoteAt = at + ICMP_HEADER_BYTES;
  if ((type === 128 || type === 129) && code === 0) return echo(type === 128, packet, at);
  if (type === 2) return { type: 'too-big', mtu: packet.readUInt32BE(at + 4), quoteAt };
  if (type === 4 && code === 1) return { type: 'unreachable', reason: 'protocol', quoteAt };
  if (type !== 1) return { type: 'other' };
  return { type: 'unreachable', reason: reasonV6(code), quoteAt };
}

function reasonV6(code: number): UnreachableReason {
  if (code === 0) return 'network';
  if (code === 4) return 'port';
  return code === 3 ? 'host' : 'prohibited';
}

function echo(isRequest: boolean, packet: Buffer, at: number): IcmpMessage {
  return {
    type: isRequest ? 'echo-request' : 'echo-reply',
    identifier: packet.readUInt16BE(at + 4),
    sequence: packet.readUInt16BE(at + 6),
  };
}

const TYPES = {
  4: {
    'echo-request': [8, 0],
    'echo-reply': [0, 0],
    'port-unreachable': [3, 3],
    'protocol-unreachable': [3, 2],
  },
  6: {
    'echo-request': [128, 0],
    'echo-reply': [129, 0],
    'port-unreachable': [1, 4],
    'protocol-unreachable': [4, 1],
  },
} as const;

export interface IcmpFields {
  readonly type: keyof (typeof TYPES)[4];
  /** The second 32 bits: identifier and sequence of an echo, a pointer for ICMPv6 protocol-unreachable, else 0. */
  readonly rest: number;
  /** Echoed data, or the start of the packet that an error is about. */
  readonly body: Uint8Array;
}

/** Writes a message behind an IP header of `ipBytes` that is already in `target`; returns the packet's bytes. */
export function writeIcmp(target: Buffer, ipBytes: number, fields: IcmpFields): number {
  const family = ipBytes === 20 ? 4 : 6;
  const [type, code] = TYPES[family][fields.type];
  const end = ipBytes + ICMP_HEADER_BYTES + fields.body.length;
  target[ipBytes] = type;
  target[ipBytes + 1] = code;
  target.writeUInt16BE(0, ipBytes + 2);
  target.writeInt32BE(fields.rest | 0, ipBytes + 4);
  target.set(fields.body, ipBytes + ICMP_HEADER_BYTES);
  const start = family === 4 ? 0 : pseudoHeaderSum(target, 8, ipBytes, IP_PROTOCOL.icmpv6, end - ipBytes);
  target.writeUInt16BE(finishChecksum(addToChecksum(start, target, ipBytes, end)), ipBytes + 2);
  return end;
}

/** The packet that an error is about, as far as it is quoted: who sent it where, and the start of its payload. */
export interface QuotedPacket {
  readonly protocol: number;
  /** Offsets into the packet that carries the quote; the source is ours if the error is honest. */
  readonly sourceAt: number;
  readonly destinationAt: number;
  /** 4 or 16. */
  readonly addressBytes: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** The next four bytes, signed: TCP's sequence number. */
  readonly sequence: number;
}

/** Reads the quote of an error at `at`; null if it is too short or has extension headers. */
export function parseQuote(packet: Buffer, at: number, end: number): QuotedPacket | null {
  if (at >= end) return null;
  const version = (packet[at] ?? 0) >> 4;
  const headerBytes = version === 4 ? ((packet[at] ?? 0) & 0x0f) * 4 : 40;
  const payloadAt = at + headerBytes;
  if ((version !== 4 && version !== 6) || headerBytes < 20 || payloadAt + 8 > end) return null;
  return {
    protocol: packet[version === 4 ? at + 9 : at + 6] ?? 0,
    sourceAt: version === 4 ? at + 12 : at + 8,
    destinationAt: version === 4 ? at + 16 : at + 24,
    addressBytes: version === 4 ? 4 : 16,
    sourcePort: packet.readUInt16BE(payloadAt),
    destinationPort: packet.readUInt16BE(payloadAt + 2),
    sequence: packet.readInt32BE(payloadAt + 4),
  };
}
