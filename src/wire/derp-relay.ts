/**
 * The relay's half of DERP (`derp.ts` has the table of frames): what clients say, read; what a relay
 * says, written.
 */
import {
  DERP_FRAME,
  DERP_HEADER_BYTES,
  DERP_KEY_BYTES,
  DERP_NONCE_BYTES,
  DERP_PING_BYTES,
  encodeDerpFrame,
} from './derp.ts';

/** Of a ping's body: its 8 bytes, and what later versions may add. */
const PING_MAX_BYTES = 1000;
/** What a health frame says; more would be cut by clients. */
const HEALTH_MAX_BYTES = 500;

/** What only relays say to each other; a client that says it is refused. */
export const DERP_MESH_FRAMES: ReadonlySet<number> = new Set([0x0a, 0x10, 0x11]);

/** A client's proof that it has its private key. Buffers share memory with the frame. */
export interface DerpClientInfo {
  readonly key: Buffer;
  readonly nonce: Buffer;
  /** A NaCl box of JSON from `key` to the relay. */
  readonly box: Buffer;
}

/** The body of a client info frame, or null if it is too short. */
export function parseDerpClientInfo(body: Buffer): DerpClientInfo | null {
  if (body.length < DERP_KEY_BYTES + DERP_NONCE_BYTES) return null;
  return {
    key: body.subarray(0, DERP_KEY_BYTES),
    nonce: body.subarray(DERP_KEY_BYTES, DERP_KEY_BYTES + DERP_NONCE_BYTES),
    box: body.subarray(DERP_KEY_BYTES + DERP_NONCE_BYTES),
  };
}

/** Whether the relay is the client's home; null for a body that says neither. */
export function parseDerpNotePreferred(body: Buffer): boolean | null {
  if (body.length !== 1) return null;
  return body[0] !== 0;
}

/** The 8 bytes of a ping or pong, or null for a body of another length. */
export function parseDerpPing(body: Buffer): Buffer | null {
  if (body.length < DERP_PING_BYTES || body.length > PING_MAX_BYTES) return null;
  return body.subarray(0, DERP_PING_BYTES);
}

/**
 * Makes the client's send frame at `start` the receive frame that its destination gets: both have the
 * same length, and the key of the one stands where the key of the other does. Alters `bytes`.
 */
export function turnDerpSendIntoReceive(bytes: Buffer, start: number, source: Uint8Array): void {
  bytes[start] = DERP_FRAME.receivePacket;
  bytes.set(source, start + DERP_HEADER_BYTES);
}

/** `not_here`: the relay does not know the peer. `disconnected`: it did, and the peer has left. */
export function encodeDerpPeerGone(peer: Uint8Array, reason: 'disconnected' | 'not_here'): Buffer {
  return encodeDerpFrame(DERP_FRAME.peerGone, peer, Uint8Array.of(reason === 'not_here' ? 1 : 0));
}

/** A text for people; empty when all is well again. */
export function encodeDerpHealth(problem: string): Buffer {
  return encodeDerpFrame(DERP_FRAME.health, Buffer.from(problem, 'utf8').subarray(0, HEALTH_MAX_BYTES));
}

/** Asks the client to come back after `reconnectInMs`, and to go on trying for `tryForMs`. */
export function encodeDerpRestarting(reconnectInMs: number, tryForMs: number): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt32BE(reconnectInMs, 0);
  body.writeUInt32BE(tryForMs, 4);
  return encodeDerpFrame(DERP_FRAME.restarting, body);
}
