/**
 * TCP segments (RFC 9293 section 3.1). Numbers are big-endian:
 *
 *   offset  bytes  what
 *   0       2      source port
 *   2       2      destination port
 *   4       4      sequence number
 *   8       4      acknowledgment number
 *   12      1      data offset in 32-bit words (4 bits, 5 to 15), reserved (4 bits)
 *   13      1      flags: CWR ECE URG ACK PSH RST SYN FIN
 *   14      2      window
 *   16      2      checksum over the pseudo header and the segment
 *   18      2      urgent pointer
 *   20      …      options, then data
 *
 * Options: kind (1 byte), length with these two bytes (1 byte), contents.
 *
 *   kind  length    what
 *   0     –         end of list, one byte
 *   1     –         padding, one byte
 *   2     4         maximum segment size (2 bytes)
 *   3     3         window scale (1 byte), RFC 7323
 *   4     2         SACK permitted, RFC 2018
 *   5     2 + 8n    SACK blocks: left and right edge (4 bytes each), n = 1 to 4
 *   8     10        timestamps: value, echo reply (4 bytes each), RFC 7323
 *
 * Sequence numbers, acknowledgments, timestamps and SACK edges are kept as signed 32-bit integers, so
 * that a difference is `(a - b) | 0`. Left out: the urgent pointer is not read (urgent data is data in
 * line), ECN is not negotiated, unknown options are skipped.
 */
import { addToChecksum, finishChecksum, pseudoHeaderSum } from './checksum.ts';
import { IP_PROTOCOL, type IpPacket } from './ip-packet.ts';

export const TCP_HEADER_BYTES = 20;

export const TCP_FLAG = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 } as const;

/** Larger shift counts are read as this one (RFC 7323 section 2.3). */
const WINDOW_SCALE_MAX = 14;
/** Blocks that fit in the 40 bytes of options. */
export const SACK_BLOCKS_MAX = 4;
/** What timestamps take, with padding to a multiple of four. */
export const TIMESTAMP_OPTION_BYTES = 12;

/** A segment as `readTcp` fills it; one record may serve for all. Numbers of 32 bits are signed. */
export interface TcpSegment {
  sourcePort: number;
  destinationPort: number;
  sequence: number;
  acknowledgment: number;
  flags: number;
  /** As on the wire, not scaled. */
  window: number;
  /** Offsets into the packet. */
  dataAt: number;
  dataEnd: number;
  /** 0 if absent. */
  mss: number;
  /** -1 if absent. */
  windowScale: number;
  sackPermitted: boolean;
  hasTimestamps: boolean;
  timestamp: number;
  timestampEcho: number;
  /** Blocks in `sackEdges`: left, right, left, right, … */
  sackCount: number;
  readonly sackEdges: Int32Array;
}

/** A record to fill. */
export function createTcpSegment(): TcpSegment {
  return {
    sourcePort: 0,
    destinationPort: 0,
    sequence: 0,
    acknowledgment: 0,
    flags: 0,
    window: 0,
    dataAt: 0,
    dataEnd: 0,
    mss: 0,
    windowScale: -1,
    sackPermitted: false,
    hasTimestamps: false,
    timestamp: 0,
    timestampEcho: 0,
    sackCount: 0,
    sackEdges: new Int32Array(2 * SACK_BLOCKS_MAX),
  };
}

/**
 * Reads the segment in a packet whose headers `ip` describes into `into`. False for anything
 * malformed, a port of 0, or a wrong checksum. Never throws.
 */
export function readTcp(packet: Buffer, ip: IpPacket, into: TcpSegment): boolean {
  const at = ip.payloadAt;
  const length = ip.end - at;
  if (length < TCP_HEADER_BYTES) return false;
  const headerBytes = ((packet[at + 12] ?? 0) >> 4) * 4;
  if (headerBytes < TCP_HEADER_BYTES || headerBytes > length) return false;
  const sum = pseudoHeaderSum(packet, ip.sourceAt, ip.addressesEnd, IP_PROTOCOL.tcp, length);
  if (finishChecksum(addToChecksum(sum, packet, at, ip.end)) !== 0) return false;
  into.sourcePort = read16(packet, at);
  into.destinationPort = read16(packet, at + 2);
  if (into.sourcePort === 0 || into.destinationPort === 0) return false;
  into.sequence = read32(packet, at + 4);
  into.acknowledgment = read32(packet, at + 8);
  into.flags = packet[at + 13] ?? 0;
  into.window = read16(packet, at + 14);
  into.dataAt = at + headerBytes;
  into.dataEnd = ip.end;
  into.mss = 0;
  into.windowScale = -1;
  into.sackPermitted = false;
  into.hasTimestamps = false;
  into.sackCount = 0;
  return headerBytes === TCP_HEADER_BYTES || readOptions(packet, at + TCP_HEADER_BYTES, into.dataAt, into);
}

function readOptions(packet: Buffer, start: number, end: number, into: TcpSegment): boolean {
  let at = start;
  while (at < end) {
    const kind = packet[at] ?? 0;
    if (kind === 0) return true;
    if (kind === 1) {
      at += 1;
      continue;
    }
    const length = at + 1 < end ? (packet[at + 1] ?? 0) : 0;
    if (length < 2 || at + length > end) return false;
    readOption(packet, at, length, kind, into);
    at += length;
  }
  return true;
}

/** An option of a known kind and a wrong length is skipped, as an unknown one is. */
function readOption(packet: Buffer, at: number, length: number, kind: number, into: TcpSegment): void {
  if (kind === 8 && length === 10) {
    into.hasTimestamps = true;
    into.timestamp = read32(packet, at + 2);
    into.timestampEcho = read32(packet, at + 6);
  } else if (kind === 5 && length >= 10 && (length - 2) % 8 === 0) {
    const count = Math.min((length - 2) / 8, SACK_BLOCKS_MAX);
    for (let edge = 0; edge < count * 2; edge += 1) into.sackEdges[edge] = read32(packet, at + 2 + edge * 4);
    into.sackCount = count;
  } else if (kind === 2 && length === 4) into.mss = read16(packet, at + 2);
  else if (kind === 3 && length === 3) into.windowScale = Math.min(packet[at + 2] ?? 0, WINDOW_SCALE_MAX);
  else if (kind === 4 && length === 2) into.sackPermitted = true;
}

/** The two bytes at `at`, unsigned. */
function read16(bytes: Buffer, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** The four bytes at `at`, signed. */
function read32(bytes: Buffer, at: number): number {
  return (
    ((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)
  );
}

/** What `writeTcpHeader` writes. Options are sent if their field says so. */
export interface TcpHeaderFields {
  sourcePort: number;
  destinationPort: number;
  sequence: number;
  /** Sent with the flag ACK only. */
  acknowledgment: number;
  flags: number;
  /** 0 to 65,535, already scaled. */
  window: number;
  /** 0: not sent. */
  mss: number;
  /** -1: not sent. */
  windowScale: number;
  sackPermitted: boolean;
  hasTimestamps: boolean;
  timestamp: number;
  timestampEcho: number;
  sackCount: number;
  readonly sackEdges: Int32Array;
}

/** Writes a header at `at`, the checksum still 0; returns where the data goes. */
export function writeTcpHeader(target: Buffer, at: number, fields: TcpHeaderFields): number {
  write16(target, at, fields.sourcePort);
  write16(target, at + 2, fields.destinationPort);
  write32(target, at + 4, fields.sequence);
  write32(target, at + 8, (fields.flags & TCP_FLAG.ack) === 0 ? 0 : fields.acknowledgment);
  target[at + 13] = fields.flags;
  write16(target, at + 14, fields.window);
  write32(target, at + 16, 0);
  let next = at + TCP_HEADER_BYTES;
  if (fields.mss > 0) {
    write32(target, next, 0x02040000 | fields.mss);
    next += 4;
  }
  if (fields.windowScale >= 0) {
    write32(target, next, 0x01030300 | fields.windowScale);
    next += 4;
  }
  if (fields.sackPermitted) {
    write32(target, next, 0x01010402);
    next += 4;
  }
  if (fields.hasTimestamps) {
    write32(target, next, 0x0101080a);
    write32(target, next + 4, fields.timestamp);
    write32(target, next + 8, fields.timestampEcho);
    next += TIMESTAMP_OPTION_BYTES;
  }
  if (fields.sackCount > 0) {
    write32(target, next, 0x01010500 | (2 + fields.sackCount * 8));
    next += 4;
    for (let edge = 0; edge < fields.sackCount * 2; edge += 1) {
      write32(target, next, fields.sackEdges[edge] ?? 0);
      next += 4;
    }
  }
  target[at + 12] = ((next - at) / 4) << 4;
  return next;
}

/**
 * Puts the checksum into a whole segment at `at`, behind an IP header whose addresses begin at
 * `addressesAt` and end where the segment begins (no options or extension headers).
 */
export function sealTcp(target: Buffer, addressesAt: number, at: number, end: number): void {
  const sum = pseudoHeaderSum(target, addressesAt, at, IP_PROTOCOL.tcp, end - at);
  write16(target, at + 16, finishChecksum(addToChecksum(sum, target, at, end)));
}

function write16(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 0xff;
}

function write32(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >> 24;
  bytes[at + 1] = value >> 16;
  bytes[at + 2] = value >> 8;
  bytes[at + 3] = value;
}
