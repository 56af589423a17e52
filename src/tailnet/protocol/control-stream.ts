/**
 * The inside of a control connection as an ordinary stream: the handshake's answer, records off and on,
 * and the early payload taken out. Before HTTP/2 a server may send, inside the records:
 *
 *   offset  bytes  what
 *   0       5      ff ff ff "TS", which no HTTP/2 frame starts with
 *   5       4      L, big-endian
 *   9       L      JSON; its challenge is for device certificates and is not answered here
 */
import { Duplex } from 'node:stream';
import type { NoiseInitiator } from '../../crypto/index.ts';
import { CONTROL_FRAME, readHandshakeAnswer, RecordOpener, RecordSealer } from './control-records.ts';
import { controlError, printable } from './errors.ts';
import { FrameSplitter } from './frame-splitter.ts';

const EARLY_MAGIC = Buffer.from('ffffff5453', 'hex');
/** As long as a header of HTTP/2, so that the first 9 bytes are always there to be looked at. */
const EARLY_HEADER_BYTES = 9;
const EARLY_MAX_BYTES = 65_536;

export interface ControlStreamOptions {
  /** Taken over; its first bytes are the answer to the handshake's message 1. */
  readonly raw: Duplex;
  /** What was read of it before. */
  readonly head: Buffer;
  /** Has written message 1. */
  readonly handshake: NoiseInitiator;
}

export class ControlStream extends Duplex {
  readonly #raw: Duplex;
  readonly #splitter = new FrameSplitter(CONTROL_FRAME);
  #handshake: NoiseInitiator | null;
  #opener: RecordOpener | null = null;
  #sealer: RecordSealer | null = null;
  /** What came before it is known whether an early payload comes; null once that is settled. */
  #early: Buffer | null = Buffer.alloc(0);

  constructor({ raw, head, handshake }: ControlStreamOptions) {
    super({ allowHalfOpen: false });
    this.#raw = raw;
    this.#handshake = handshake;
    raw.on('data', (chunk: Buffer) => this.#receive(chunk));
    /* Half a connection serves nobody, and HTTP/2 that is answering its end must not be written to. */
    raw.on('end', () => this.destroy());
    raw.on('close', () => this.destroy());
    raw.on('error', (cause) =>
      this.destroy(
        controlError('control_unreachable', 'the connection to the control server broke', { cause }),
      ),
    );
    if (head.length > 0) queueMicrotask(() => this.#receive(head));
  }

  /**
   * Resolves when the handshake is done; only then may be written.
   * @throws AppError<ControlErrorCode>
   */
  async ready(signal: AbortSignal): Promise<void> {
    if (this.#opener !== null) return;
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        reject(controlError('control_timed_out', 'the control server did not finish the handshake in time'));
        this.destroy();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.once('handshake', resolve);
      this.once('error', reject);
      this.once('close', () =>
        reject(
          controlError('control_unreachable', 'the control server ended the connection within the handshake'),
        ),
      );
    });
  }

  #receive(chunk: Buffer): void {
    if (this.destroyed) return;
    const isWhole = this.#splitter.push(chunk, (header, body) => {
      if (this.#opener === null) return this.#finishHandshake(header, body);
      const plain = this.#opener.open(header, body);
      if (plain === null) return false;
      if (plain.length > 0 && !this.#deliver(plain)) this.#raw.pause();
      return !this.destroyed;
    });
    if (!isWhole && !this.destroyed) {
      this.destroy(controlError('control_protocol', 'the control server sent a record that does not open'));
    }
  }

  #finishHandshake(header: Buffer, body: Buffer): boolean {
    const handshake = this.#handshake;
    const answer = readHandshakeAnswer(header, body);
    this.#handshake = null;
    if (answer.type === 'response' && handshake?.readMessage(answer.message) === null) {
      this.destroy(
        controlError('control_protocol', 'the control server does not have the key that it states'),
      );
      return false;
    }
    if (answer.type !== 'response' || handshake === null) {
      const said = answer.type === 'error' ? `: ${printable(answer.text, 200)}` : '';
      this.destroy(controlError('control_protocol', `the control server refused the handshake${said}`));
      return false;
    }
    const keys = handshake.split();
    this.#opener = new RecordOpener(keys.receive);
    this.#sealer = new RecordSealer(keys.send);
    keys.receive.fill(0);
    keys.send.fill(0);
    this.emit('handshake');
    return true;
  }

  /** False: the reader has enough for now. */
  #deliver(plain: Buffer): boolean {
    if (this.#early === null) return this.push(plain);
    const bytes = Buffer.concat([this.#early, plain]);
    this.#early = bytes;
    if (bytes.length < EARLY_HEADER_BYTES) return true;
    if (!bytes.subarray(0, EARLY_MAGIC.length).equals(EARLY_MAGIC)) return this.#settle(bytes);
    const length = bytes.readUInt32BE(EARLY_MAGIC.length);
    if (length > EARLY_MAX_BYTES) {
      this.destroy(
        controlError('control_protocol', 'the control server sent an early payload that is too large'),
      );
      return true;
    }
    const end = EARLY_HEADER_BYTES + length;
    return bytes.length < end ? true : this.#settle(bytes.subarray(end));
  }

  #settle(rest: Buffer): boolean {
    this.#early = null;
    return rest.length === 0 ? true : this.push(rest);
  }

  override _read(): void {
    this.#raw.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#sealer === null) {
      done(controlError('control_protocol', 'nothing may be written before the handshake is done'));
      return;
    }
    this.#raw.write(this.#sealer.seal(chunk), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#raw.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#raw.destroy();
    done(error);
  }
}
