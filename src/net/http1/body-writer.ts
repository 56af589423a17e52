/** Sends a streamed request body, no faster than the other side takes it (RFC 9112 sections 6.2 and 7.1). */
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { netError } from '../errors.ts';

export interface BodyWriterOptions {
  readonly socket: Socket;
  readonly body: Readable;
  /** Exact number of bytes, or null: in chunks. */
  readonly length: number | null;
  readonly onProgress: () => void;
  readonly onDone: () => void;
  /** The body failed, ended early, or is longer than it said. */
  readonly onFail: (error: unknown) => void;
}

export class BodyWriter {
  readonly #options: BodyWriterOptions;
  #sent = 0;
  #isOver = false;
  /** The other side holds us back, rather than the body. */
  #waitsForDrain = false;

  constructor(options: BodyWriterOptions) {
    this.#options = options;
    const { body } = options;
    body.on('data', this.#onData);
    body.once('end', this.#onEnd);
    body.on('error', this.#onError);
    body.once('close', this.#onClose);
    if (body.errored !== null) this.#onError(body.errored);
    else if (body.destroyed) this.#onClose();
  }

  get waitsForDrain(): boolean {
    return this.#waitsForDrain;
  }

  /** The socket takes more. */
  drained(): void {
    this.#waitsForDrain = false;
    this.#options.onProgress();
    if (!this.#isOver) this.#options.body.resume();
  }

  /** Lets go of the body; its late errors are nobody's. */
  stop(): void {
    this.#isOver = true;
    const { body } = this.#options;
    body.off('data', this.#onData);
    body.off('end', this.#onEnd);
    body.off('close', this.#onClose);
  }

  readonly #onData = (piece: Buffer | string): void => {
    if (this.#isOver) return;
    const { socket, body, length, onProgress } = this.#options;
    const chunk = typeof piece === 'string' ? Buffer.from(piece) : piece;
    if (chunk.length === 0) return;
    this.#sent += chunk.length;
    if (length !== null && this.#sent > length) return this.#fail(`is longer than its ${length} bytes`);
    onProgress();
    let goesOn: boolean;
    if (length === null) {
      socket.cork();
      socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
      socket.write(chunk);
      goesOn = socket.write('\r\n', 'latin1');
      socket.uncork();
    } else {
      goesOn = socket.write(chunk);
    }
    if (goesOn) return;
    this.#waitsForDrain = true;
    body.pause();
  };

  readonly #onEnd = (): void => {
    if (this.#isOver) return;
    const { socket, length, onDone } = this.#options;
    if (length !== null && this.#sent < length) {
      return this.#fail(`ended after ${this.#sent} of its ${length} bytes`);
    }
    this.stop();
    if (length === null) socket.write('0\r\n\r\n', 'latin1');
    onDone();
  };

  readonly #onClose = (): void => {
    if (!this.#isOver) this.#fail('was closed before its end');
  };

  readonly #onError = (error: Error): void => {
    if (this.#isOver) return;
    this.stop();
    this.#options.onFail(netError('upstream_aborted', 'the body of the request failed', error));
  };

  #fail(why: string): void {
    this.stop();
    this.#options.onFail(netError('upstream_protocol', `the body of the request ${why}`));
  }
}
