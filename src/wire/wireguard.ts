/**
 * WireGuard's four messages (white paper, section 5.4): where the fields lie, and nothing else.
 * Numbers are little-endian; the three bytes after the type are zero.
 *
 * Handshake initiation, 148 bytes:
 *
 * | offset | bytes | what                                                                     |
 * | ------ | ----- | ------------------------------------------------------------------------ |
 * | 0      | 4     | type 1                                                                   |
 * | 4      | 4     | sender's index                                                           |
 * | 8      | 108   | Noise message 1: ephemeral key, sealed static key, sealed TAI64N (12)    |
 * | 116    | 16    | mac1, over everything before it                                          |
 * | 132    | 16    | mac2, over everything before it; zeros without a cookie                  |
 *
 * Handshake response, 92 bytes:
 *
 * | offset | bytes | what                                            |
 * | ------ | ----- | ----------------------------------------------- |
 * | 0      | 4     | type 2                                          |
 * | 4      | 4     | sender's index                                  |
 * | 8      | 4     | receiver's index                                |
 * | 12     | 48    | Noise message 2: ephemeral key, sealed nothing  |
 * | 60     | 16    | mac1                                            |
 * | 76     | 16    | mac2                                            |
 *
 * Cookie reply, 64 bytes:
 *
 * | offset | bytes | what                                                         |
 * | ------ | ----- | ------------------------------------------------------------ |
 * | 0      | 4     | type 3                                                       |
 * | 4      | 4     | receiver's index                                             |
 * | 8      | 24    | nonce                                                        |
 * | 32     | 32    | cookie (16), sealed; mac1 of the cause is authenticated too  |
 *
 * Transport data, 32 bytes or more:
 *
 * | offset | bytes  | what                                                                 |
 * | ------ | ------ | -------------------------------------------------------------------- |
 * | 0      | 4      | type 4                                                               |
 * | 4      | 4      | receiver's index                                                     |
 * | 8      | 8      | counter                                                              |
 * | 16     | n + 16 | inner packet, padded with zeros to a multiple of 16, sealed          |
 */

/** The first four bytes of a message, as a little-endian number. */
export const WIREGUARD_TYPE = { initiation: 1, response: 2, cookieReply: 3, data: 4 } as const;

/** A message type. */
export type WireguardType = (typeof WIREGUARD_TYPE)[keyof typeof WIREGUARD_TYPE];

export const INITIATION_BYTES = 148;
const RESPONSE_BYTES = 92;
const COOKIE_REPLY_BYTES = 64;
/** Transport data with an empty inner packet: a keepalive. */
const DATA_MIN_BYTES = 32;
/** Bytes before the sealed part of transport data. */
export const DATA_HEADER_BYTES = 16;
/** Bytes of mac1, of mac2 and of a cookie. */
const MAC_BYTES = 16;

const INITIATION_NOISE_END = INITIATION_BYTES - 2 * MAC_BYTES;
const RESPONSE_NOISE_END = RESPONSE_BYTES - 2 * MAC_BYTES;
const NONCE_BYTES = 24;
const TWO_32 = 0x1_0000_0000;

/** The type of a datagram whose length fits that type, or null for anything else. */
export function wireguardType(datagram: Buffer): WireguardType | null {
  const length = datagram.byteLength;
  if (length < DATA_MIN_BYTES) return null;
  switch (datagram.readUInt32LE(0)) {
    case WIREGUARD_TYPE.data:
      return WIREGUARD_TYPE.data;
    case WIREGUARD_TYPE.initiation:
      return length === INITIATION_BYTES ? WIREGUARD_TYPE.initiation : null;
    case WIREGUARD_TYPE.response:
      return length === RESPONSE_BYTES ? WIREGUARD_TYPE.response : null;
    case WIREGUARD_TYPE.cookieReply:
      return length === COOKIE_REPLY_BYTES ? WIREGUARD_TYPE.cookieReply : null;
    default:
      return null;
  }
}

/** The fields of an initiation. Views on the datagram, nothing verified. */
export interface WireguardInitiation {
  readonly sender: number;
  readonly noise: Buffer;
}

/** Takes apart what `wireguardType` called an initiation. */
export function readInitiation(datagram: Buffer): WireguardInitiation {
  return { sender: datagram.readUInt32LE(4), noise: datagram.subarray(8, INITIATION_NOISE_END) };
}

/** An initiation whose macs are still zeros (see `macsOf`). `noise` has 108 bytes. */
export function buildInitiation(sender: number, noise: Uint8Array): Buffer {
  const datagram = Buffer.alloc(INITIATION_BYTES);
  datagram.writeUInt32LE(WIREGUARD_TYPE.initiation, 0);
  datagram.writeUInt32LE(sender, 4);
  datagram.set(noise, 8);
  return datagram;
}

/** The fields of a response. Views on the datagram, nothing verified. */
export interface WireguardResponse {
  readonly sender: number;
  readonly receiver: number;
  readonly noise: Buffer;
}

/** Takes apart what `wireguardType` called a response. */
export function readResponse(datagram: Buffer): WireguardResponse {
  return {
    sender: datagram.readUInt32LE(4),
    receiver: datagram.readUInt32LE(8),
    noise: datagram.subarray(12, RESPONSE_NOISE_END),
  };
}

/** A response whose macs are still zeros (see `macsOf`). `noise` has 48 bytes. */
export function buildResponse(sender: number, receiver: number, noise: Uint8Array): Buffer {
  const datagram = Buffer.alloc(RESPONSE_BYTES);
  datagram.writeUInt32LE(WIREGUARD_TYPE.response, 0);
  datagram.writeUInt32LE(sender, 4);
  datagram.writeUInt32LE(receiver, 8);
  datagram.set(noise, 12);
  return datagram;
}

/** The macs of an initiation or a response and what each covers. Views on the datagram. */
export interface WireguardMacs {
  readonly mac1: Buffer;
  readonly mac2: Buffer;
  readonly coveredByMac1: Buffer;
  readonly coveredByMac2: Buffer;
}

/** The macs at the end of an initiation or a response. */
export function macsOf(datagram: Buffer): WireguardMacs {
  const mac1At = datagram.byteLength - 2 * MAC_BYTES;
  const mac2At = datagram.byteLength - MAC_BYTES;
  return {
    mac1: datagram.subarray(mac1At, mac2At),
    mac2: datagram.subarray(mac2At),
    coveredByMac1: datagram.subarray(0, mac1At),
    coveredByMac2: datagram.subarray(0, mac2At),
  };
}

/** The fields of a cookie reply. Views on the datagram, nothing verified. */
export interface WireguardCookieReply {
  readonly receiver: number;
  readonly nonce: Buffer;
  readonly sealedCookie: Buffer;
}

/** Takes apart what `wireguardType` called a cookie reply. */
export function readCookieReply(datagram: Buffer): WireguardCookieReply {
  return {
    receiver: datagram.readUInt32LE(4),
    nonce: datagram.subarray(8, 8 + NONCE_BYTES),
    sealedCookie: datagram.subarray(8 + NONCE_BYTES),
  };
}

/** A cookie reply; `nonce` has 24 bytes and `sealedCookie` 32. */
export function buildCookieReply({
  receiver,
  nonce,
  sealedCookie,
}: {
  readonly receiver: number;
  readonly nonce: Uint8Array;
  readonly sealedCookie: Uint8Array;
}): Buffer {
  const datagram = Buffer.alloc(COOKIE_REPLY_BYTES);
  datagram.writeUInt32LE(WIREGUARD_TYPE.cookieReply, 0);
  datagram.writeUInt32LE(receiver, 4);
  datagram.set(nonce, 8);
  datagram.set(sealedCookie, 8 + NONCE_BYTES);
  return datagram;
}

/** The receiver's index of transport data. */
export function dataReceiver(datagram: Buffer): number {
  return datagram.readUInt32LE(4);
}

/** The counter of transport data; above 2^53 it is not exact, and always above every limit. */
export function dataCounter(datagram: Buffer): number {
  return datagram.readUInt32LE(8) + datagram.readUInt32LE(12) * TWO_32;
}

/** Writes the 16 bytes before the sealed part of transport data. */
export function writeDataHeader(target: Buffer, receiver: number, counter: number): void {
  const low = counter % TWO_32;
  target.writeUInt32LE(WIREGUARD_TYPE.data, 0);
  target.writeUInt32LE(receiver, 4);
  target.writeUInt32LE(low, 8);
  target.writeUInt32LE((counter - low) / TWO_32, 12);
}
