/**
 * Disco: the messages by which Tailscale nodes look for direct paths to each other (disco/disco.go of
 * the public client). Numbers are big-endian. On the wire, over UDP or within a relay's frame:
 *
 *   offset  bytes  what
 *   0       6      "TS" U+1F4AC
 *   6       32     the sender's disco key (X25519, public)
 *   38      24     nonce
 *   62      16+M   NaCl box (XSalsa20-Poly1305) of a message
 *
 * A message:
 *
 *   0       1      type
 *   1       1      version, 0
 *   2       …      by type; longer ones are taken, as newer clients may say more
 *
 *   0x01 ping           transaction id (12), the sender's node key (32, absent in old clients), padding
 *   0x02 pong           transaction id (12), where the ping came from (18: address, port)
 *   0x03 call me maybe  where the sender may be reached (18 each); sent through relays only
 *
 * Left out: the messages of peer relays (0x04 to 0x09).
 */
import { IP_PORT_BYTES, type IpPort, readIpPort, writeIpPort } from './ip-port.ts';

const DISCO_KEY_BYTES = 32;
export const DISCO_NONCE_BYTES = 24;
export const DISCO_TX_BYTES = 12;
/** Endpoints read from one call-me-maybe; more than any honest node has. */
export const DISCO_ENDPOINTS_MAX = 64;

const MAGIC = Buffer.from('TS\u{1F4AC}', 'utf8');
const KEY_AT = MAGIC.length;
const NONCE_AT = KEY_AT + DISCO_KEY_BYTES;
const BOX_AT = NONCE_AT + DISCO_NONCE_BYTES;
const TAG_BYTES = 16;
const NODE_KEY_BYTES = 32;

const TYPE_PING = 0x01;
const TYPE_PONG = 0x02;
const TYPE_CALL_ME_MAYBE = 0x03;
const VERSION = 0;

/** The parts of a datagram, which share its memory. Nothing of it is authenticated yet. */
export interface DiscoEnvelope {
  readonly sender: Buffer;
  readonly nonce: Buffer;
  readonly box: Buffer;
}

export type DiscoMessage =
  /** `nodeKey`: the sender's claim, for who has several disco keys; null from old clients. */
  | {
      readonly type: 'ping';
      readonly tx: Buffer;
      readonly nodeKey: Buffer | null;
      readonly paddingBytes: number;
    }
  /** `source`: where the ping was seen to come from. */
  | { readonly type: 'pong'; readonly tx: Buffer; readonly source: IpPort }
  | { readonly type: 'call_me_maybe'; readonly endpoints: readonly IpPort[] };

/** True for what is disco and not WireGuard or STUN: its first bytes. */
export function looksLikeDisco(datagram: Buffer): boolean {
  return (
    datagram.length >= BOX_AT &&
    datagram[0] === MAGIC[0] &&
    datagram.compare(MAGIC, 0, MAGIC.length, 0, MAGIC.length) === 0
  );
}

/** The parts of a disco datagram, or null. */
export function parseDiscoEnvelope(datagram: Buffer): DiscoEnvelope | null {
  if (datagram.length < BOX_AT + TAG_BYTES || !looksLikeDisco(datagram)) return null;
  return {
    sender: datagram.subarray(KEY_AT, NONCE_AT),
    nonce: datagram.subarray(NONCE_AT, BOX_AT),
    box: datagram.subarray(BOX_AT),
  };
}

export function encodeDiscoEnvelope(sender: Uint8Array, nonce: Uint8Array, box: Uint8Array): Buffer {
  return Buffer.concat([MAGIC, sender, nonce, box]);
}

/** What was in the box, or null: too short, or of a type that is not known here. */
export function parseDiscoMessage(plain: Buffer): DiscoMessage | null {
  if (plain.length < 2) return null;
  const body = plain.subarray(2);
  switch (plain.readUInt8(0)) {
    case TYPE_PING:
      return parsePing(body);
    case TYPE_PONG:
      if (body.length < DISCO_TX_BYTES + IP_PORT_BYTES) return null;
      return {
        type: 'pong',
        tx: body.subarray(0, DISCO_TX_BYTES),
        source: readIpPort(body, DISCO_TX_BYTES),
      };
    case TYPE_CALL_ME_MAYBE:
      return { type: 'call_me_maybe', endpoints: plain[1] === VERSION ? parseEndpoints(body) : [] };
    default:
      return null;
  }
}

function parsePing(body: Buffer): DiscoMessage | null {
  if (body.length < DISCO_TX_BYTES) return null;
  const hasKey = body.length >= DISCO_TX_BYTES + NODE_KEY_BYTES;
  const used = DISCO_TX_BYTES + (hasKey ? NODE_KEY_BYTES : 0);
  return {
    type: 'ping',
    tx: body.subarray(0, DISCO_TX_BYTES),
    nodeKey: hasKey ? body.subarray(DISCO_TX_BYTES, used) : null,
    paddingBytes: body.length - used,
  };
}

function parseEndpoints(body: Buffer): IpPort[] {
  if (body.length % IP_PORT_BYTES !== 0) return [];
  const endpoints: IpPort[] = [];
  const end = Math.min(body.length, DISCO_ENDPOINTS_MAX * IP_PORT_BYTES);
  for (let at = 0; at < end; at += IP_PORT_BYTES) endpoints.push(readIpPort(body, at));
  return endpoints;
}

export function encodeDiscoMessage(message: DiscoMessage): Buffer {
  if (message.type === 'ping') {
    const padding = Buffer.alloc(message.paddingBytes);
    const nodeKey = message.nodeKey ?? Buffer.alloc(0);
    return Buffer.concat([Uint8Array.of(TYPE_PING, VERSION), message.tx, nodeKey, padding]);
  }
  if (message.type === 'pong') {
    const bytes = Buffer.alloc(2 + DISCO_TX_BYTES + IP_PORT_BYTES);
    bytes[0] = TYPE_PONG;
    bytes.set(message.tx, 2);
    writeIpPort(bytes, 2 + DISCO_TX_BYTES, message.source);
    return bytes;
  }
  const bytes = Buffer.alloc(2 + message.endpoints.length * IP_PORT_BYTES);
  bytes[0] = TYPE_CALL_ME_MAYBE;
  for (const [index, endpoint] of message.endpoints.entries()) {
    writeIpPort(bytes, 2 + index * IP_PORT_BYTES, endpoint);
  }
  return bytes;
}
