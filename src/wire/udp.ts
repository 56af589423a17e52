/**
 * UDP datagrams (RFC 768). Numbers are big-endian:
 *
 *   offset  bytes  what
 *   0       2      source port
 *   2       2      destination port
 *   4       2      length, header and data
 *   6       2      checksum over the pseudo header, header and data; 0 is "none" (IPv4 only)
 *   8       …      data
 */
import { addToChecksum, finishChecksum, pseudoHeaderSum } from './checksum.ts';
import { IP_PROTOCOL, type IpPacket } from './ip-packet.ts';

export const UDP_HEADER_BYTES = 8;

/** A datagram's place in its packet. */
export interface UdpDatagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly dataAt: number;
  readonly dataEnd: number;
}

/** The datagram in a packet whose headers `ip` describes; null if malformed or its checksum is wrong. */
export function parseUdp(packet: Buffer, ip: IpPacket): UdpDatagram | null {
  const at = ip.payloadAt;
  if (ip.end - at < UDP_HEADER_BYTES) return null;
  const length = packet.readUInt16BE(at + 4);
  if (length < UDP_HEADER_BYTES || at + length > ip.end) return null;
  const destinationPort = packet.readUInt16BE(at + 2);
  if (destinationPort === 0) return null;
  if (packet.readUInt16BE(at + 6) === 0) {
    /* RFC 8200 section 8.1: over IPv6 the checksum is not optional. */
    if (ip.family === 6) return null;
  } else {
    const sum = pseudoHeaderSum(packet, ip.sourceAt, ip.addressesEnd, IP_PROTOCOL.udp, length);
    if (finishChecksum(addToChecksum(sum, packet, at, at + length)) !== 0) return null;
  }
  return {
    sourcePort: packet.readUInt16BE(at),
    destinationPort,
    dataAt: at + UDP_HEADER_BYTES,
    dataEnd: at + length,
  };
}

export interface UdpFields {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly data: Uint8Array;
}

/** Writes a datagram behind an IP header of `ipBytes` that is already in `target`; returns the packet's bytes. */
export function writeUdp(target: Buffer, ipBytes: number, fields: UdpFields): number {
  const length = UDP_HEADER_BYTES + fields.data.length;
  target.writeUInt16BE(fields.sourcePort, ipBytes);
  target.writeUInt16BE(fields.destinationPort, ipBytes + 2);
  target.writeUInt16BE(length, ipBytes + 4);
  target.writeUInt16BE(0, ipBytes + 6);
  target.set(fields.data, ipBytes + UDP_HEADER_BYTES);
  const end = ipBytes + length;
  const addressesAt = ipBytes === 20 ? 12 : 8;
  const sum = pseudoHeaderSum(target, addressesAt, ipBytes, IP_PROTOCOL.udp, length);
  const checksum = finishChecksum(addToChecksum(sum, target, ipBytes, end));
  /* A computed 0 is sent as all ones, since 0 means "none". */
  target.writeUInt16BE(checksum === 0 ? 0xffff : checksum, ipBytes + 6);
  return end;
}
