/**
 * IP packets of both versions behind one record: where the parts are, without a copy. The byte tables
 * are in `ipv4.ts` and `ipv6.ts`.
 */
import type { IpAddress } from './ip.ts';
import { IPV4_HEADER_BYTES, type IpHeaderFields, readIpv4, writeIpv4 } from './ipv4.ts';
import { IPV6_HEADER_BYTES, readIpv6, writeIpv6 } from './ipv6.ts';

/** Protocol numbers (IANA). */
export const IP_PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const;

/** What `readIpPacket` fills: offsets into the packet. One record may serve for every packet. */
export interface IpPacket {
  family: 4 | 6;
  /** The payload's protocol; the next header of the fragment header for a fragment. */
  protocol: number;
  hopLimit: number;
  sourceAt: number;
  destinationAt: number;
  /** The addresses are [sourceAt, destinationAt) and [destinationAt, addressesEnd). */
  addressesEnd: number;
  payloadAt: number;
  /** Of the packet; what follows is padding. */
  end: number;
  isFragment: boolean;
}

/** A record to fill. */
export function createIpPacket(): IpPacket {
  return {
    family: 4,
    protocol: 0,
    hopLimit: 0,
    sourceAt: 0,
    destinationAt: 0,
    addressesEnd: 0,
    payloadAt: 0,
    end: 0,
    isFragment: false,
  };
}

/** Reads the headers of a packet into `into`. False, with `into` undefined, for anything malformed. Never throws. */
export function readIpPacket(packet: Buffer, into: IpPacket): boolean {
  if (packet.length === 0) return false;
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4) return readIpv4(packet, into);
  return version === 6 ? readIpv6(packet, into) : false;
}

/** Bytes that the header of a packet between two addresses takes. */
export function ipHeaderBytes(family: 4 | 6): number {
  return family === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
}

/** Writes a header at the start of `target`, by the length of the source; returns its bytes. */
export function writeIpHeader(target: Buffer, fields: IpHeaderFields): number {
  if (fields.source.length === 4) {
    writeIpv4(target, fields);
    return IPV4_HEADER_BYTES;
  }
  writeIpv6(target, fields);
  return IPV6_HEADER_BYTES;
}

/** The 4 or 16 bytes of an address, as on the wire. */
export function ipToBytes(ip: IpAddress): Buffer {
  const bytes = Buffer.alloc(ip.family === 4 ? 4 : 16);
  let rest = ip.value;
  for (let index = bytes.length - 1; index >= 0; index -= 1) {
    bytes[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** The address of 4 or 16 bytes. */
export function ipFromBytes(bytes: Uint8Array): IpAddress {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return { family: bytes.length === 4 ? 4 : 6, value };
}
