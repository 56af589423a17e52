/**
 * The server's end of a control connection: answers the handshake of an upgrade, and gives its inside as an
 * ordinary stream, records off and on. See `protocol/control-records.ts` for the layout.
 */
import { Duplex } from 'node:stream';
import type { Random } from '../../base/random.ts';
import {
  createNoiseProtocol,
  NOISE_MESSAGE_1_BYTES,
  type NoiseKeys,
  NoiseResponder,
  type X25519PrivateKey,
  X25519PublicKey,
} from '../../crypto/index.ts';
import {
  CONTROL_FRAME,
  controlPrologue,
  encodeResponse,
  RecordOpener,
  RecordSealer,
} from '../protocol/control-records.ts';
import { FrameSplitter } from '../protocol/frame-splitter.ts';
import type { KeyHex } from '../protocol/index.ts';

const INITIATION_HEADER_BYTES = 5;
const INITIATION_BYTES = INITIATION_HEADER_BYTES + NOISE_MESSAGE_1_BYTES;
const TYPE_INITIATION = 0x01;
/** 101 bytes as base64. */
const INITIATION_MAX_CHARS = 136;
const EARLY_MAGIC = Buffer.from('ffffff5453', 'hex');

export interface Handshake {
  /** Capability version of the client. */
  readonly version: number;
  readonly machineKey: KeyHex;
  /** To be written first. */
  readonly response: Buffer;
  readonly keys: NoiseKeys;
}

/** The capability version that an initiation states; null for what is none. Costs nothing. */
export function peekVersion(
  header: unknown,
): { readonly version: number; readonly initiation: Buffer } | null {
  if (typeof header !== 'string' || header.length > INITIATION_MAX_CHARS) return null;
  const initiation = Buffer.from(header, 'base64');
  const isInitiation =
    initiation.length === INITIATION_BYTES &&
    initiation[2] === TYPE_INITIATION &&
    initiation.readUInt16BE(3) === NOISE_MESSAGE_1_BYTES;
  return isInitiation ? { version: initiation.readUInt16BE(0), initiation } : null;
}

/** Answers an initiation; null if it was not made for this server's key. */
export function answerHandshake(
  { version, initiation }: { readonly version: number; readonly initiation: Buffer },
  { key, random }: { readonly key: X25519PrivateKey; readonly random: Random },
): Handshake | null {
  const responder = new NoiseResponder({
    protocol: createNoiseProtocol('IK', controlPrologue(version)),
    localStatic: key,
    random,
  });
  const opened = responder.readMessage(initiation.subarray(INITIATION_HEADER_BYTES), (bytes) => ({
    publicKey: X25519PublicKey.fromBytes(bytes),
  }));
  const message = opened === null ? null : responder.writeMessage(Buffer.alloc(0));
  if (opened === null || message === null) return null;
  return {
    version,
    machineKey: opened.peer.publicKey.bytes.toString('hex'),
    response: encodeResponse(message),
    keys: responder.split(),
  };
}

/** What may come before HTTP/2: a challenge for keys that live in hardware, which nothing here asks for. */
export function earlyPayload(challenge: KeyHex): Buffer {
  const json = Buffer.from(JSON.stringify({ nodeKeyChallenge: `chalpub:${challenge}` }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length, 0);
  return Buffer.concat([EARLY_MAGIC, length, json]);
}

export interface NoiseStreamOptions {
  /** Taken over. */
  readonly raw: Duplex;
  /** What was read of it before. */
  readonly head: Buffer;
  /** Wiped. */
  readonly keys: NoiseKeys;
}

export class NoiseStream extends Duplex {
  readonly #raw: Duplex;
  readonly #splitter = new FrameSplitter(CONTROL_FRAME);
  readonly #opener: RecordOpener;
  readonly #sealer: RecordSealer;

  constructor({ raw, head, keys }: NoiseStreamOptions) {
    super({ allowHalfOpen: false });
    this.#raw = raw;
    this.#opener = new RecordOpener(keys.receive);
    this.#sealer = new RecordSealer(keys.send);
    keys.receive.fill(0);
    keys.send.fill(0);
    raw.on('data', (chunk: Buffer) => this.#receive(chunk));
    /*
     * Half a connection serves nobody. Besides, Node's HTTP/2 over a stream that is none of the system's ends
     * it in turn and may go on writing meanwhile, which is a failed assertion and the end of the process.
     */
    raw.on('end', () => this.destroy());
    raw.on('close', () => this.destroy());
    raw.on('error', () => this.destroy());
    /* Nobody else listens before HTTP/2 does. */
    this.on('error', () => this.destroy());
    if (head.length > 0) queueMicrotask(() => this.#receive(head));
  }

  #receive(chunk: Buffer): void {
    if (this.destroyed) return;
    const isWhole = this.#splitter.push(chunk, (header, body) => {
      const plain = this.#opener.open(header, body);
      if (plain === null) return false;
      if (plain.length > 0 && !this.push(plain)) this.#raw.pause();
      return !this.destroyed;
    });
    if (!isWhole) this.destroy();
  }

  override _read(): void {
    this.#raw.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#raw.write(this.#sealer.seal(chunk), done);
  }

  /** HTTP/2 writes a header and its data apart: one pass of the cipher and one write for both. */
  override _writev(
    chunks: readonly { readonly chunk: Buffer; readonly encoding: BufferEncoding }[],
    done: (error?: Error | null) => void,
  ): void {
    this.#raw.write(this.#sealer.seal(Buffer.concat(chunks.map(({ chunk }) => chunk))), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#raw.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#raw.destroy();
    done(error);
  }
}
