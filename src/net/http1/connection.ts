/**
 * One connection to one origin: writes a request, reads its answer, and is free for the next when
 * that is complete. One request at a time; what arrives while none is under way ends it.
 *
 * Plain sockets read into one buffer that all connections share (`ReadBuffer`): a read costs no
 * allocation, and what a handler keeps is copied out. TLS sockets bring buffers of their own.
 */
import type { OnReadOpts, Socket } from 'node:net';
import type { AppError } from '../../base/errors.ts';
import { UpstreamFailure, type UpstreamErrorCode, netError } from '../errors.ts';
import { toUpstreamError } from '../upstream-errors.ts';
import { BodyWriter } from './body-writer.ts';
import type { CoarseClock } from './coarse-clock.ts';
import type { Arrival, Carrier, Exchange } from './exchange.ts';
import { ResponseParser } from './response-parser.ts';

export interface ConnectionOwner {
  /** The answer is complete and the connection may serve another request. */
  onFree(connection: Connection): void;
  /** The socket is gone; called once. */
  onGone(connection: Connection): void;
}

export interface ConnectionOptions {
  readonly origin: string;
  readonly owner: ConnectionOwner;
  readonly clock: CoarseClock;
  /** Shared by all connections; null where the platform reads ahead of its callbacks. */
  readonly readBuffer: Buffer | null;
  /** An unused connection is kept this long unless the server asks for less. */
  readonly keepAliveMs: number;
}

/** Head and body up to this size are copied into one piece: cheaper than a gathering write. */
const ONE_WRITE_MAX_BYTES = 32 * 1024;
/** Sooner than the server said, since its clock and ours see the end of an answer at different times. */
const KEEP_ALIVE_MARGIN_MS = 1000;

export class Connection implements Carrier {
  /** For the dialer: where the bytes of a plain socket go. */
  readonly onread: OnReadOpts | undefined;
  readonly #options: ConnectionOptions;
  readonly #parser = new ResponseParser();
  #socket: Socket | null = null;
  #exchange: Exchange | null = null;
  #bodyWriter: BodyWriter | null = null;
  /** Sent, or last heard of within an answer, or free since. */
  #stampMs = 0;
  #freeMs: number;
  #served = 0;
  #isUnreferenced = false;
  #isDropped = false;
  /** The request asked for the end of the connection. */
  #isLast = false;
  #error: Error | null = null;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#freeMs = options.keepAliveMs;
    const { readBuffer } = options;
    this.onread =
      readBuffer === null
        ? undefined
        : {
            buffer: readBuffer,
            callback: (length) => {
              this.#read(readBuffer.subarray(0, length), true);
              return true;
            },
          };
  }

  /** Whether it can carry a request now. */
  get isUsable(): boolean {
    const socket = this.#socket;
    // What stands in the socket already would be taken for the next answer.
    return socket !== null && socket.writable && !this.#isDropped && socket.readableLength === 0;
  }

  /** Takes a connected socket; `onread` was given to it where that is set. */
  attach(socket: Socket): void {
    this.#socket = socket;
    this.#stampMs = this.#options.clock.stampMs;
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    socket.on('end', () => this.#ended());
    socket.on('close', () => this.#closed());
    socket.on('drain', () => this.#bodyWriter?.drained());
    if (this.onread === undefined) socket.on('data', (chunk: Buffer) => this.#read(chunk, false));
    if (this.#isDropped) socket.destroy();
    if (socket.destroyed) this.#closed();
  }

  /** Writes the request of an exchange that has begun. */
  send(exchange: Exchange): void {
    const socket = this.#socket;
    const request = exchange.takeRequest();
    if (socket === null || request === null) return exchange.fail(this.#closedError());
    if (this.#isUnreferenced) {
      socket.ref();
      this.#isUnreferenced = false;
    }
    this.#exchange = exchange;
    this.#parser.begin(exchange.isHeadRequest);
    this.#stampMs = this.#options.clock.stampMs;
    exchange.carriedBy(this);
    const { head, body } = request;
    this.#isLast = head.isLast;
    if (body === null) socket.write(head.text, 'latin1');
    else if (Buffer.isBuffer(body)) writeWhole(socket, head.text, body);
    else {
      socket.write(head.text, 'latin1');
      this.#bodyWriter = new BodyWriter({
        socket,
        body,
        length: head.bodyLength,
        onProgress: () => this.#noteSending(),
        onDone: () => {
          this.#noteSending();
          this.#bodyWriter = null;
        },
        onFail: (error) => exchange.fail(error),
      });
      // A body that had failed already has ended the exchange meanwhile.
      if (exchange.isOver) this.#stopBody();
    }
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#stampMs = this.#options.clock.stampMs;
    this.#socket?.resume();
  }

  drop(): void {
    this.#exchange = null;
    this.#isDropped = true;
    this.#stopBody();
    this.#socket?.destroy();
  }

  /** Ends what it carries, or nothing if it is free. */
  fail(error: AppError<UpstreamErrorCode>): void {
    if (this.#exchange !== null) this.#letGo(this.#exchange, error);
  }

  /** Ends what is late; called at each turn of the clock. */
  check(nowMs: number): void {
    const exchange = this.#exchange;
    const passedMs = nowMs - this.#stampMs;
    if (exchange === null) {
      if (passedMs >= this.#freeMs) return this.drop();
      if (this.#isUnreferenced || this.#socket === null) return;
      // Nobody waits for it, so the process need not.
      this.#socket.unref();
      this.#isUnreferenced = true;
      return;
    }
    const waitsForBody = this.#bodyWriter !== null && !this.#bodyWriter.waitsForDrain;
    const { origin, clock } = this.#options;
    if (exchange.isPaused || (waitsForBody && !this.#parser.hasHead)) {
      this.#stampMs = clock.stampMs;
    } else if (!this.#parser.hasHead) {
      if (passedMs < exchange.firstByteMs) return;
      this.#letGo(exchange, netError('upstream_first_byte_timeout', `${origin} did not answer in time`));
    } else if (passedMs >= exchange.idleMs) {
      this.#letGo(exchange, netError('upstream_idle_timeout', `${origin} stopped sending`));
    }
  }

  #noteSending(): void {
    if (!this.#parser.hasHead) this.#stampMs = this.#options.clock.stampMs;
  }

  /** `isShared` bytes are overwritten by the next read of any connection. */
  #read(chunk: Buffer, isShared: boolean): void {
    const exchange = this.#exchange;
    // Between requests nobody asked for anything.
    if (exchange === null) return this.drop();
    const parser = this.#parser;
    parser.push(chunk);
    if (parser.hasHead) this.#stampMs = this.#options.clock.stampMs;
    const { bodyStart, bodyEnd } = parser;
    let body: Buffer | null = null;
    if (bodyEnd > bodyStart)
      body = isShared ? copyOf(chunk, bodyStart, bodyEnd) : chunk.subarray(bodyStart, bodyEnd);
    const head = parser.takeHead();
    if (parser.fault !== null) this.#refuse(exchange, head, body, parser.fault);
    else if (parser.isComplete) this.#complete(exchange, head, body, parser.consumed === chunk.length);
    else if (head !== null || body !== null) exchange.receive({ head, body, ending: null });
  }

  #refuse(exchange: Exchange, head: Arrival['head'], body: Buffer | null, fault: string): void {
    const { origin } = this.#options;
    this.drop();
    exchange.receive({
      head,
      body,
      ending: netError('upstream_protocol', `the answer of ${origin} ${fault}`),
    });
  }

  #complete(exchange: Exchange, head: Arrival['head'], body: Buffer | null, isClean: boolean): void {
    const isWritten = this.#bodyWriter === null;
    this.#exchange = null;
    this.#served += 1;
    const freeMs = this.#keptMs();
    if (!isClean || !isWritten || !this.#parser.mayReuse || this.#isLast || freeMs <= 0) this.drop();
    else {
      this.#freeMs = freeMs;
      // An answer that came while its request was paused leaves the socket so.
      if (exchange.isPaused) this.#socket?.resume();
      this.#options.owner.onFree(this);
    }
    exchange.receive({ head, body, ending: 'whole' });
  }

  #keptMs(): number {
    const { keepAliveMs } = this.#options;
    const asked = this.#parser.keepAliveSec;
    return asked === null ? keepAliveMs : Math.min(keepAliveMs, asked * 1000 - KEEP_ALIVE_MARGIN_MS);
  }

  /** The other side sends no more. */
  #ended(): void {
    const exchange = this.#exchange;
    if (exchange === null) return this.drop();
    const isWhole = this.#parser.finish();
    const ending = isWhole ? 'whole' : this.#closedError();
    this.drop();
    exchange.receive({ head: null, body: null, ending });
  }

  #closed(): void {
    if (this.#socket === null) return;
    const exchange = this.#exchange;
    this.#isDropped = true;
    this.#exchange = null;
    this.#stopBody();
    this.#socket = null;
    this.#options.owner.onGone(this);
    exchange?.fail(this.#closedError());
  }

  #letGo(exchange: Exchange, error: AppError<UpstreamErrorCode>): void {
    this.drop();
    exchange.fail(error);
  }

  #closedError(): AppError<UpstreamErrorCode> {
    const { origin } = this.#options;
    const cause = this.#error;
    const known = cause === null ? null : toUpstreamError(cause, origin);
    if (known !== null && known.code !== 'upstream_closed') return known;
    return new UpstreamFailure(`${origin} closed the connection before the answer ended`, {
      cause,
      wasReused: this.#served > 0,
      hasAnswered: this.#parser.hasBegun,
    });
  }

  #stopBody(): void {
    this.#bodyWriter?.stop();
    this.#bodyWriter = null;
  }
}

function writeWhole(socket: Socket, head: string, body: Buffer): void {
  if (head.length + body.length <= ONE_WRITE_MAX_BYTES) {
    const whole = Buffer.allocUnsafe(head.length + body.length);
    whole.write(head, 0, 'latin1');
    body.copy(whole, head.length);
    socket.write(whole);
    return;
  }
  socket.cork();
  socket.write(head, 'latin1');
  socket.write(body);
  socket.uncork();
}

function copyOf(chunk: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start);
  chunk.copy(copy, 0, start, end);
  return copy;
}
