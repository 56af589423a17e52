/**
 * One request under way and what its handler has still to hear. What a connection read is handed
 * over in one piece; while the handler pauses it waits here (one read at most), so a connection
 * whose answer is complete serves the next request at once.
 */
import type { Readable } from 'node:stream';
import type { AppError } from '../../base/errors.ts';
import { type UpstreamErrorCode, netError } from '../errors.ts';
import { toUpstreamError } from '../upstream-errors.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';

/** Stops, slows and resumes an exchange. */
export interface UpstreamControl {
  pause(): void;
  resume(): void;
  abort(reason: Error): void;
}

/**
 * Receives an answer. Exactly one of `onEnd` and `onError` is called, last; what another of these
 * throws ends the exchange with `onError`.
 */
export interface UpstreamHandler {
  /** The request is about to be written to a connection. */
  onStart(control: UpstreamControl): void;
  /** Final status and headers (informational answers are dropped); a flat list as received. */
  onHeaders(status: number, rawHeaders: readonly (Buffer | string)[]): void;
  /** The bytes are the handler's own. Those of one read come as one, however the other side framed them. */
  onData(chunk: Buffer): void;
  onEnd(): void;
  onError(error: AppError<UpstreamErrorCode>): void;
}

/** The connection that carries an exchange, as the exchange sees it. */
export interface Carrier {
  pause(): void;
  resume(): void;
  /** The exchange has ended before its answer did: nothing more can be read from here. */
  drop(): void;
}

/** What one read brought. */
export interface Arrival {
  /** The final head, if it came with this read. */
  readonly head: ResponseHead | null;
  readonly body: Buffer | null;
  /** The answer is complete, or refused, with these bytes. */
  readonly ending: 'whole' | AppError<UpstreamErrorCode> | null;
}

/** Who counts exchanges. */
export interface ExchangeOwner {
  /** Called once, before the handler hears of the end. */
  leave(exchange: Exchange): void;
  /** No connection carries it any more, and its handler pauses before the end. */
  hold(exchange: Exchange): void;
}

export interface OutgoingRequest {
  readonly head: RequestHead;
  readonly body: Buffer | Readable | null;
}

export interface ExchangeOptions {
  readonly origin: string;
  readonly handler: UpstreamHandler;
  readonly head: RequestHead;
  readonly isHeadRequest: boolean;
  readonly body: Buffer | Readable | null;
  readonly signal: AbortSignal | undefined;
  readonly firstByteMs: number;
  readonly idleMs: number;
  readonly owner: ExchangeOwner;
}

export class Exchange implements UpstreamControl {
  readonly isHeadRequest: boolean;
  readonly firstByteMs: number;
  readonly idleMs: number;
  /** The request, until it is sent: an answer may stream for an hour. */
  #request: OutgoingRequest | null;
  #stream: Readable | null;
  readonly #origin: string;
  readonly #handler: UpstreamHandler;
  readonly #owner: ExchangeOwner;
  readonly #signal: AbortSignal | null;
  #onAbort: (() => void) | null = null;
  #carrier: Carrier | null = null;
  #isOver = false;
  #isPaused = false;
  #isDelivering = false;
  #waitingHead: ResponseHead | null = null;
  #waitingBody: Buffer | null = null;
  #ending: Arrival['ending'] = null;

  constructor(options: ExchangeOptions) {
    const { head, body } = options;
    this.#request = { head, body };
    this.#stream = body === null || Buffer.isBuffer(body) ? null : body;
    this.isHeadRequest = options.isHeadRequest;
    this.firstByteMs = options.firstByteMs;
    this.idleMs = options.idleMs;
    this.#origin = options.origin;
    this.#handler = options.handler;
    this.#owner = options.owner;
    this.#signal = options.signal ?? null;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Listens to its signal; false if that has spoken already, and the handler has heard. */
  watchSignal(): boolean {
    const signal = this.#signal;
    if (signal === null) return true;
    if (signal.aborted) {
      this.abort(toError(signal.reason));
      return false;
    }
    this.#onAbort = () => this.abort(toError(signal.reason));
    signal.addEventListener('abort', this.#onAbort, { once: true });
    return true;
  }

  /** Tells the handler that a connection is there; false if the exchange ended by that. */
  begin(): boolean {
    try {
      this.#handler.onStart(this);
    } catch (error) {
      this.fail(error);
    }
    return !this.#isOver;
  }

  /** What to send, once; null if the exchange is over. */
  takeRequest(): OutgoingRequest | null {
    const request = this.#request;
    this.#request = null;
    return request;
  }

  /** From here on `carrier` reads for this exchange. */
  carriedBy(carrier: Carrier): void {
    this.#carrier = carrier;
    if (this.#isPaused) carrier.pause();
  }

  pause(): void {
    if (this.#isPaused || this.#isOver) return;
    this.#isPaused = true;
    this.#carrier?.pause();
  }

  resume(): void {
    if (!this.#isPaused || this.#isOver) return;
    this.#isPaused = false;
    this.#deliver();
    // `#deliver` may have paused again.
    if (!this.isPaused) this.#carrier?.resume();
  }

  abort(reason: Error): void {
    this.#end(netError('upstream_aborted', 'the exchange was stopped', reason));
  }

  /** What the connection read. With an ending the connection has let go of this exchange. */
  receive({ head, body, ending }: Arrival): void {
    if (this.#isOver) return;
    if (head !== null) this.#waitingHead = head;
    if (body !== null) {
      this.#waitingBody = this.#waitingBody === null ? body : Buffer.concat([this.#waitingBody, body]);
    }
    if (ending !== null) {
      this.#ending = ending;
      this.#carrier = null;
    }
    if (!this.#isPaused) this.#deliver();
    if (ending !== null && !this.#isOver) this.#owner.hold(this);
  }

  /** Ends it at once, whatever still waits for its handler. */
  fail(error: unknown): void {
    this.#end(toUpstreamError(error, this.#origin));
  }

  #deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    try {
      this.#hand();
    } catch (error) {
      // The handler's own fault: only it can say what that means.
      this.fail(error);
    }
    this.#isDelivering = false;
  }

  #hand(): void {
    const head = this.#waitingHead;
    if (head !== null) {
      this.#waitingHead = null;
      this.#handler.onHeaders(head.status, head.headers);
      if (this.#isOver || this.#isPaused) return;
    }
    const body = this.#waitingBody;
    if (body !== null) {
      this.#waitingBody = null;
      this.#handler.onData(body);
      if (this.#isOver || this.#isPaused) return;
    }
    if (this.#ending === null) return;
    if (this.#ending !== 'whole') return this.fail(this.#ending);
    this.#leave();
    try {
      this.#handler.onEnd();
    } catch (error) {
      this.#handler.onError(toUpstreamError(error, this.#origin));
    }
  }

  #end(error: AppError<UpstreamErrorCode>): void {
    if (this.#isOver) return;
    const carrier = this.#carrier;
    this.#leave();
    carrier?.drop();
    this.#handler.onError(error);
  }

  #leave(): void {
    this.#isOver = true;
    this.#carrier = null;
    this.#waitingHead = null;
    this.#waitingBody = null;
    if (this.#onAbort !== null) this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#onAbort = null;
    this.#request = null;
    this.#stream?.destroy();
    this.#stream = null;
    this.#owner.leave(this);
  }
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
