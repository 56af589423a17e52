/**
 * STUN binding: asking a server from which address it sees us (RFC 8489 sections 5, 14). Numbers are
 * big-endian. A message:
 *
 *   offset  bytes  what
 *   0       2      type: 0x0001 binding request, 0x0101 success
 *   2       2      L, bytes after the header
 *   4       4      0x2112a442
 *   8       12     transaction id
 *   20      L      attributes: type (2), length (2), value, padding to 4 bytes
 *
 *   0x0001  MAPPED-ADDRESS      0 (1), family 1 or 2 (1), port (2), address (4 or 16)
 *   0x0020  XOR-MAPPED-ADDRESS  the same, port and address XORed with bytes 4 to 19 of the message
 *   0x8020  the same, as old servers number it
 *   0x8022  SOFTWARE            text
 *   0x8028  FINGERPRINT         CRC-32 of everything before, XOR 0x5354554e; comes last
 *
 * Requests say SOFTWARE `tailnode` and carry a FINGERPRINT: Tailscale's relays answer no other.
 */
import { crc32 } from 'node:zlib';
import type { IpPort } from './ip-port.ts';
import { readIp16 } from './ip-port.ts';

export const STUN_TX_BYTES = 12;

const HEADER_BYTES = 20;
const COOKIE = 0x2112a442;
const REQUEST = 0x0001;
const SUCCESS = 0x0101;
const ATTRIBUTE_MAPPED = 0x0001;
const ATTRIBUTE_XOR_MAPPED = 0x0020;
const ATTRIBUTE_XOR_MAPPED_OLD = 0x8020;
const ATTRIBUTE_SOFTWARE = 0x8022;
const ATTRIBUTE_FINGERPRINT = 0x8028;
const FINGERPRINT_MASK = 0x5354554e;
/** 8 bytes: no padding. */
const SOFTWARE = Buffer.from('tailnode', 'latin1');
const FINGERPRINT_BYTES = 8;

export interface StunAnswer {
  readonly tx: Buffer;
  /** Where the server saw the request come from. */
  readonly address: IpPort;
}

/** True for what is STUN and not WireGuard or disco: the two first bits and the cookie. */
export function looksLikeStun(datagram: Buffer): boolean {
  return (
    datagram.length >= HEADER_BYTES && (datagram[0] ?? 0xff) < 0x40 && datagram.readUInt32BE(4) === COOKIE
  );
}

/** `tx`: 12 unpredictable bytes, by which the answer is known. */
export function encodeStunRequest(tx: Uint8Array): Buffer {
  const attributesBytes = 4 + SOFTWARE.length + FINGERPRINT_BYTES;
  const bytes = Buffer.alloc(HEADER_BYTES + attributesBytes);
  writeHeader(bytes, REQUEST, tx);
  bytes.writeUInt16BE(ATTRIBUTE_SOFTWARE, HEADER_BYTES);
  bytes.writeUInt16BE(SOFTWARE.length, HEADER_BYTES + 2);
  bytes.set(SOFTWARE, HEADER_BYTES + 4);
  const fingerprintAt = bytes.length - FINGERPRINT_BYTES;
  bytes.writeUInt16BE(ATTRIBUTE_FINGERPRINT, fingerprintAt);
  bytes.writeUInt16BE(4, fingerprintAt + 2);
  bytes.writeUInt32BE(fingerprint(bytes.subarray(0, fingerprintAt)), fingerprintAt + 4);
  return bytes;
}

function writeHeader(bytes: Buffer, type: number, tx: Uint8Array): void {
  bytes.writeUInt16BE(type, 0);
  bytes.writeUInt16BE(bytes.length - HEADER_BYTES, 2);
  bytes.writeUInt32BE(COOKIE, 4);
  bytes.set(tx.subarray(0, STUN_TX_BYTES), 8);
}

function fingerprint(bytes: Buffer): number {
  return (crc32(bytes) ^ FINGERPRINT_MASK) >>> 0;
}

/**
 * The transaction id of a binding request with SOFTWARE `tailnode` and a right FINGERPRINT as its
 * last attribute, or null. Everyone else's requests are not ours to answer.
 */
export function parseStunRequest(datagram: Buffer): Buffer | null {
  if (!looksLikeStun(datagram) || datagram.readUInt16BE(0) !== REQUEST) return null;
  if (datagram.readUInt16BE(2) !== datagram.length - HEADER_BYTES) return null;
  let isTailnode = false;
  let last = -1;
  let claimed = -1;
  for (const { type, value } of attributes(datagram) ?? []) {
    last = type;
    if (type === ATTRIBUTE_SOFTWARE) isTailnode = value.equals(SOFTWARE);
    if (type === ATTRIBUTE_FINGERPRINT && value.length === 4) claimed = value.readUInt32BE(0);
  }
  if (!isTailnode || last !== ATTRIBUTE_FINGERPRINT) return null;
  if (claimed !== fingerprint(datagram.subarray(0, datagram.length - FINGERPRINT_BYTES))) return null;
  return datagram.subarray(8, HEADER_BYTES);
}

/** The answer to a request that came from `address`. */
export function encodeStunAnswer(tx: Uint8Array, { ip, port }: IpPort): Buffer {
  const addressBytes = ip.family === 4 ? 4 : 16;
  const bytes = Buffer.alloc(HEADER_BYTES + 8 + addressBytes);
  writeHeader(bytes, SUCCESS, tx);
  bytes.writeUInt16BE(ATTRIBUTE_XOR_MAPPED, 20);
  bytes.writeUInt16BE(4 + addressBytes, 22);
  bytes[25] = ip.family === 4 ? 1 : 2;
  bytes.writeUInt16BE(port ^ (COOKIE >>> 16), 26);
  for (let i = 0; i < addressBytes; i += 1) {
    const octet = Number((ip.value >> BigInt(8 * (addressBytes - 1 - i))) & 0xffn);
    bytes[28 + i] = octet ^ (bytes[4 + i] ?? 0);
  }
  return bytes;
}

/** A success with an address, or null. */
export function parseStunAnswer(datagram: Buffer): StunAnswer | null {
  if (!looksLikeStun(datagram) || datagram.readUInt16BE(0) !== SUCCESS) return null;
  const found = attributes(datagram);
  if (found === null) return null;
  let plain: IpPort | null = null;
  for (const { type, value } of found) {
    if (type === ATTRIBUTE_XOR_MAPPED || type === ATTRIBUTE_XOR_MAPPED_OLD) {
      const address = readAddress(value, datagram.subarray(4, HEADER_BYTES));
      if (address !== null) return { tx: datagram.subarray(8, HEADER_BYTES), address };
    }
    if (type === ATTRIBUTE_MAPPED) plain ??= readAddress(value, null);
  }
  return plain === null ? null : { tx: datagram.subarray(8, HEADER_BYTES), address: plain };
}

function readAddress(value: Buffer, mask: Buffer | null): IpPort | null {
  const addressBytes = value[1] === 1 ? 4 : 16;
  if ((value[1] !== 1 && value[1] !== 2) || value.length < 4 + addressBytes) return null;
  const octets = Buffer.from(value.subarray(4, 4 + addressBytes));
  for (const [i, octet] of octets.entries()) octets[i] = octet ^ (mask?.[i] ?? 0);
  const port = value.readUInt16BE(2) ^ (mask === null ? 0 : COOKIE >>> 16);
  return addressBytes === 4
    ? { ip: { family: 4, value: BigInt(octets.readUInt32BE(0)) }, port }
    : { ip: readIp16(octets, 0), port };
}

/** All attributes, or null where lengths do not fit. Bytes after the stated length are passed over. */
function attributes(datagram: Buffer): { type: number; value: Buffer }[] | null {
  const end = HEADER_BYTES + datagram.readUInt16BE(2);
  if (end > datagram.length) return null;
  const found: { type: number; value: Buffer }[] = [];
  let at = HEADER_BYTES;
  while (at < end) {
    if (end - at < 4) return null;
    const length = datagram.readUInt16BE(at + 2);
    const next = at + 4 + ((length + 3) & ~3);
    if (next > end) return null;
    found.push({ type: datagram.readUInt16BE(at), value: datagram.subarray(at + 4, at + 4 + length) });
    at = next;
  }
  return found;
}
