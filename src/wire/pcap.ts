/**
 * Capture files of raw IP packets, as tcpdump and Wireshark read them (draft-ietf-opsawg-pcap), for
 * writing only. Numbers are little-endian:
 *
 *   offset  bytes  what
 *   0       4      magic number 0xa1b2c3d4: times in microseconds
 *   4       4      version 2.4
 *   8       8      reserved
 *   16      4      the most bytes that a record keeps
 *   20      4      link type 101: IPv4 or IPv6 without a link header
 *
 * Then for each packet:
 *
 *   0       4      seconds since 1970
 *   4       4      microseconds
 *   8       4      bytes that follow
 *   12      4      bytes that the packet had
 *   16      …      the packet
 */
import type { UnixMs } from '../base/clock.ts';

/** As tcpdump's own; more than any packet. */
const SNAPSHOT_MAX_BYTES = 262_144;
const LINKTYPE_RAW = 101;

/** The 24 bytes that a capture file begins with. */
export function pcapFileHeader(): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(SNAPSHOT_MAX_BYTES, 16);
  header.writeUInt32LE(LINKTYPE_RAW, 20);
  return header;
}

/** The 16 bytes before a packet; the packet itself follows unchanged. */
export function pcapRecordHeader(time: UnixMs, packetBytes: number): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(Math.floor(time / 1000) >>> 0, 0);
  header.writeUInt32LE(Math.floor((time % 1000) * 1000), 4);
  header.writeUInt32LE(packetBytes, 8);
  header.writeUInt32LE(packetBytes, 12);
  return header;
}
