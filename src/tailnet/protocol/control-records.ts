/**
 * The encrypted transport of the 2021 control protocol (control/controlbase of the public client):
 * `Noise_IK_25519_ChaChaPoly_BLAKE2s`, prologue `Tailscale Control Protocol v<N>`, empty payloads.
 * Numbers are big-endian.
 *
 *   initiation, 101 bytes              response, 51 bytes
 *   0   2   N, the capability version  0   1   0x02
 *   2   1   0x01                       1   2   48
 *   3   2   96                         3   48  Noise message 2
 *   5   96  Noise message 1
 *
 *   error                              record, at most 4,096 bytes
 *   0   1   0x03                       0   1   0x04
 *   1   2   L                          1   2   L
 *   3   L   text                       3   L   ciphertext with its 16-byte tag, no associated data
 *
 * A record's nonce is 4 zero bytes and its number as 64 bits big-endian: not as the Noise
 * specification has it. A record that does not open ends the connection.
 */
import {
  CHACHA_TAG_BYTES,
  ChaChaKey,
  NOISE_MESSAGE_1_BYTES,
  NOISE_MESSAGE_2_BYTES,
} from '../../crypto/index.ts';
import type { FrameShape } from './frame-splitter.ts';

/** Header and ciphertext. */
const FRAME_MAX_BYTES = 4096;
export const CONTROL_FRAME_HEADER_BYTES = 3;
/** What one record carries. */
export const RECORD_PLAIN_MAX_BYTES = FRAME_MAX_BYTES - CONTROL_FRAME_HEADER_BYTES - CHACHA_TAG_BYTES;

const INITIATION_HEADER_BYTES = 5;
const TYPE_INITIATION = 0x01;
const TYPE_RESPONSE = 0x02;
const TYPE_ERROR = 0x03;
const TYPE_RECORD = 0x04;

export function controlPrologue(version: number): Buffer {
  return Buffer.from(`Tailscale Control Protocol v${version}`, 'latin1');
}

/** `message`: Noise message 1, 96 bytes. */
export function encodeInitiation(version: number, message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(INITIATION_HEADER_BYTES + NOISE_MESSAGE_1_BYTES);
  bytes.writeUInt16BE(version, 0);
  bytes[2] = TYPE_INITIATION;
  bytes.writeUInt16BE(NOISE_MESSAGE_1_BYTES, 3);
  bytes.set(message, INITIATION_HEADER_BYTES);
  return bytes;
}

/** Frames after the initiation, in both directions. */
export const CONTROL_FRAME: FrameShape = {
  headerBytes: CONTROL_FRAME_HEADER_BYTES,
  bodyBytes(header) {
    const length = header.readUInt16BE(1);
    return length > FRAME_MAX_BYTES - CONTROL_FRAME_HEADER_BYTES ? null : length;
  },
};

/** What answers an initiation. */
export type HandshakeAnswer =
  | { readonly type: 'response'; readonly message: Buffer }
  | { readonly type: 'error'; readonly text: string }
  | { readonly type: 'malformed' };

export function readHandshakeAnswer(header: Buffer, body: Buffer): HandshakeAnswer {
  if (header[0] === TYPE_ERROR) return { type: 'error', text: body.toString('utf8') };
  return header[0] === TYPE_RESPONSE && body.length === NOISE_MESSAGE_2_BYTES
    ? { type: 'response', message: body }
    : { type: 'malformed' };
}

/** `message`: Noise message 2, 48 bytes. */
export function encodeResponse(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(CONTROL_FRAME_HEADER_BYTES + NOISE_MESSAGE_2_BYTES);
  bytes[0] = TYPE_RESPONSE;
  bytes.writeUInt16BE(NOISE_MESSAGE_2_BYTES, 1);
  bytes.set(message, CONTROL_FRAME_HEADER_BYTES);
  return bytes;
}

/** Seals one direction. */
export class RecordSealer {
  readonly #key: ChaChaKey;
  #count = 0;

  /** Copies the 32 bytes. */
  constructor(key: Uint8Array) {
    this.#key = new ChaChaKey(key, 'big-endian');
  }

  /** The records for these bytes, in one buffer; empty for none. */
  seal(plain: Buffer): Buffer {
    const records = Math.ceil(plain.length / RECORD_PLAIN_MAX_BYTES);
    const overhead = CONTROL_FRAME_HEADER_BYTES + CHACHA_TAG_BYTES;
    const bytes = Buffer.allocUnsafe(plain.length + records * overhead);
    let at = 0;
    for (let from = 0; from < plain.length; from += RECORD_PLAIN_MAX_BYTES) {
      const part = plain.subarray(from, from + RECORD_PLAIN_MAX_BYTES);
      bytes[at] = TYPE_RECORD;
      bytes.writeUInt16BE(part.length + CHACHA_TAG_BYTES, at + 1);
      this.#key.sealInto(this.#count, part, bytes, at + CONTROL_FRAME_HEADER_BYTES);
      this.#count += 1;
      at += overhead + part.length;
    }
    return bytes;
  }
}

/** Opens one direction. */
export class RecordOpener {
  readonly #key: ChaChaKey;
  #count = 0;

  /** Copies the 32 bytes. */
  constructor(key: Uint8Array) {
    this.#key = new ChaChaKey(key, 'big-endian');
  }

  /** The bytes of a record; null if it is not a record or was altered, which ends the connection. */
  open(header: Buffer, body: Buffer): Buffer | null {
    if (header[0] !== TYPE_RECORD) return null;
    const plain = this.#key.open(this.#count, body);
    this.#count += 1;
    return plain;
  }
}
