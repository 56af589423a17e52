/**
 * The frames of DERP, Tailscale's relay protocol (derp/derp.go of the public client), version 2.
 * Numbers are big-endian. A frame:
 *
 *   offset  bytes  what
 *   0       1      type
 *   1       4      N, bytes that follow
 *   5       N      body
 *
 *   type  direction  body
 *   0x01  to client  server key: "DERP" U+1F511 (8), public key (32), more in the future
 *   0x02  to server  client info: public key (32), nonce (24), NaCl box of JSON
 *   0x03  to client  server info: nonce (24), NaCl box of JSON
 *   0x04  to server  send: destination key (32), packet
 *   0x05  to client  receive: source key (32), packet
 *   0x06  to client  keep-alive: empty
 *   0x07  to server  whether this is the client's home: 1 byte, 0 or 1
 *   0x08  to client  peer gone: key (32), reason (1; absent in old servers)
 *   0x09  to client  peer present: key (32), then optional: address (18), flags (1)
 *   0x12  both       ping: 8 bytes
 *   0x13  both       pong: the ping's 8 bytes
 *   0x14  to client  health: text, empty when all is well again
 *   0x15  to client  restarting: ms until to reconnect (4), ms to go on trying (4)
 *
 * Left out: what only relays say to each other (forward, watch, close peer: 0x0a, 0x10, 0x11).
 */
import { IP_PORT_BYTES, type IpPort, readIpPort } from './ip-port.ts';

export const DERP_HEADER_BYTES = 5;
export const DERP_KEY_BYTES = 32;
export const DERP_NONCE_BYTES = 24;
export const DERP_PING_BYTES = 8;
/** Of what a frame carries for a peer. */
export const DERP_PACKET_MAX_BYTES = 65_536;
/** Of any frame's body: a longer one breaks the connection. */
export const DERP_BODY_MAX_BYTES = 1 << 20;
/** Spoken here; it is what `version` of the client's info says. */
export const DERP_PROTOCOL_VERSION = 2;

/** A health text is shown to people; the rest of a longer one is cut. */
const HEALTH_MAX_CHARS = 500;
const MAGIC = Buffer.from('DERP\u{1F511}', 'utf8');

export const DERP_FRAME = {
  serverKey: 0x01,
  clientInfo: 0x02,
  serverInfo: 0x03,
  sendPacket: 0x04,
  receivePacket: 0x05,
  keepAlive: 0x06,
  notePreferred: 0x07,
  peerGone: 0x08,
  peerPresent: 0x09,
  ping: 0x12,
  pong: 0x13,
  health: 0x14,
  restarting: 0x15,
} as const;

/** Why a peer cannot be reached through this relay. */
export type DerpGoneReason = 'disconnected' | 'not_here' | 'other';

/** What a server says. Buffers share memory with the frame. */
export type DerpServerFrame =
  | { readonly type: 'server_key'; readonly key: Buffer }
  | { readonly type: 'server_info'; readonly nonce: Buffer; readonly box: Buffer }
  | { readonly type: 'packet'; readonly source: Buffer; readonly packet: Buffer }
  | { readonly type: 'keep_alive' }
  | { readonly type: 'peer_gone'; readonly peer: Buffer; readonly reason: DerpGoneReason }
  /** `address`: where the peer is seen from, if the server says. */
  | { readonly type: 'peer_present'; readonly peer: Buffer; readonly address: IpPort | null }
  | { readonly type: 'ping' | 'pong'; readonly data: Buffer }
  /** Empty: healthy again. */
  | { readonly type: 'health'; readonly problem: string }
  | { readonly type: 'restarting'; readonly reconnectInMs: number; readonly tryForMs: number };

/** The length of a body from its header, or null where it is over the limit. */
export function derpBodyBytes(header: Buffer): number | null {
  const length = header.readUInt32BE(1);
  return length > DERP_BODY_MAX_BYTES ? null : length;
}

/** A server's frame, or null: of a type that is not known here, or too short for its type. Both are passed over. */
export function parseDerpServerFrame(type: number, body: Buffer): DerpServerFrame | null {
  switch (type) {
    case DERP_FRAME.receivePacket:
      if (body.length < DERP_KEY_BYTES || body.length > DERP_KEY_BYTES + DERP_PACKET_MAX_BYTES) return null;
      return {
        type: 'packet',
        source: body.subarray(0, DERP_KEY_BYTES),
        packet: body.subarray(DERP_KEY_BYTES),
      };
    case DERP_FRAME.serverKey:
      if (body.length < MAGIC.length + DERP_KEY_BYTES || !body.subarray(0, MAGIC.length).equals(MAGIC))
        return null;
      return { type: 'server_key', key: body.subarray(MAGIC.length, MAGIC.length + DERP_KEY_BYTES) };
    case DERP_FRAME.serverInfo:
      if (body.length < DERP_NONCE_BYTES) return null;
      return {
        type: 'server_info',
        nonce: body.subarray(0, DERP_NONCE_BYTES),
        box: body.subarray(DERP_NONCE_BYTES),
      };
    case DERP_FRAME.keepAlive:
      return { type: 'keep_alive' };
    case DERP_FRAME.peerGone:
      if (body.length < DERP_KEY_BYTES) return null;
      return {
        type: 'peer_gone',
        peer: body.subarray(0, DERP_KEY_BYTES),
        reason: goneReason(body[DERP_KEY_BYTES]),
      };
    case DERP_FRAME.peerPresent:
      return parsePeerPresent(body);
    case DERP_FRAME.ping:
    case DERP_FRAME.pong:
      if (body.length < DERP_PING_BYTES) return null;
      return {
        type: type === DERP_FRAME.ping ? 'ping' : 'pong',
        data: body.subarray(0, DERP_PING_BYTES),
      };
    case DERP_FRAME.health:
      return {
        type: 'health',
        problem: body.toString('utf8', 0, HEALTH_MAX_CHARS * 4).slice(0, HEALTH_MAX_CHARS),
      };
    case DERP_FRAME.restarting:
      if (body.length < 8) return null;
      return { type: 'restarting', reconnectInMs: body.readUInt32BE(0), tryForMs: body.readUInt32BE(4) };
    default:
      return null;
  }
}

function goneReason(code: number | undefined): DerpGoneReason {
  if (code === undefined || code === 0) return 'disconnected';
  return code === 1 ? 'not_here' : 'other';
}

function parsePeerPresent(body: Buffer): DerpServerFrame | null {
  if (body.length < DERP_KEY_BYTES) return null;
  const hasAddress = body.length >= DERP_KEY_BYTES + IP_PORT_BYTES;
  return {
    type: 'peer_present',
    peer: body.subarray(0, DERP_KEY_BYTES),
    address: hasAddress ? readIpPort(body, DERP_KEY_BYTES) : null,
  };
}

/** A frame of any type in one buffer; `parts` one after the other are its body. */
export function encodeDerpFrame(type: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const frame = Buffer.allocUnsafe(DERP_HEADER_BYTES + length);
  frame[0] = type;
  frame.writeUInt32BE(length, 1);
  let at = DERP_HEADER_BYTES;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

/** What a server greets with. */
export function encodeDerpServerKey(key: Uint8Array): Buffer {
  return encodeDerpFrame(DERP_FRAME.serverKey, MAGIC, key);
}

export function encodeDerpNotePreferred(isHome: boolean): Buffer {
  return encodeDerpFrame(DERP_FRAME.notePreferred, Uint8Array.of(isHome ? 1 : 0));
}
