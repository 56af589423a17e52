/**
 * The bytes of an answer on their way from the provider to the caller: written as they come, with
 * back-pressure both ways, seen by a meter, kept for the record as far as the capture allows. What
 * this knows of formats it is given; what it learns is an `Answer`.
 */
import type { ServerResponse } from 'node:http';
import type { Meter, MeterResult } from '../llm/index.ts';
import type { Outcome } from '../store/index.ts';
import { Refused, type ReasonCode } from './reasons.ts';
import { PROXIED_HEADERS, filterAnswerHeaders, type RawHeaders } from './response-headers.ts';

/** Control over an answer that is arriving. */
export interface AnswerSource {
  pause(): void;
  resume(): void;
  /** Stops the exchange with the provider; safe to call more than once. */
  abort(reason: Error): void;
}

/** Changes a stream on its way (the usage stripper); gives the bytes to send, possibly none. */
export interface StreamTransform {
  /** The bytes to send on for this chunk; may be none. */
  push(chunk: Uint8Array): Buffer;
  /** What is left at the end. */
  finish(): Buffer;
}

/** What became of an answer. */
export interface Answer {
  /** Sent to the caller; 0 if nothing was. */
  readonly status: number;
  readonly outcome: Outcome;
  readonly reason: ReasonCode | null;
  readonly meter: MeterResult | null;
  /** Monotonic marks; null where it did not come to that. */
  readonly sentMark: number;
  readonly firstByteMark: number | null;
  readonly lastByteMark: number;
  readonly waitedForReaderMs: number;
  readonly responseBytes: number;
  readonly captured: readonly Buffer[];
  readonly captureTruncated: boolean;
  readonly contentType: string | null;
}

export interface RelayOptions {
  readonly res: ServerResponse;
  readonly requestId: string;
  /** Made when the answer's content type is known. */
  readonly createMeter: (contentType: string | null) => Meter;
  readonly transform: StreamTransform | null;
  /** The caller asked for a stream: an answer that ends before its format's end is an error. */
  readonly streamed: boolean;
  /** What the answer says is metered to its end, also if the caller leaves. Default false. */
  readonly readsOn?: boolean;
  /** Error event of the stream's format, for an answer that has begun. */
  readonly renderStreamError: (refused: Refused) => Buffer;
  /** Answers a failure before the first byte. */
  readonly refuse: (refused: Refused) => void;
  /** A caller that reads nothing for this long while bytes wait for it is cut off: it holds a connection of the provider. */
  readonly readerIdleMs: number;
  /** Bytes of the answer kept for the record; 0 keeps none. */
  readonly captureMaxBytes: number;
  readonly monotonicMs: () => number;
}

/** Receives an answer and relays it; `done` settles when the caller has it all, or never will. */
export class Relay {
  readonly #options: RelayOptions;
  readonly #sentMark: number;
  readonly done: Promise<Answer>;
  #resolve: (answer: Answer) => void = () => {};
  #source: AnswerSource | null = null;
  #meter: Meter | null = null;
  #status = 0;
  #upstreamStatus = 0;
  #firstByteMark: number | null = null;
  #pausedMark: number | null = null;
  #readerTimer: NodeJS.Timeout | null = null;
  #waitedForReaderMs = 0;
  #responseBytes = 0;
  #captured: Buffer[] = [];
  #capturedBytes = 0;
  #captureTruncated = false;
  #contentType: string | null = null;
  #isEventStream = false;
  #settled = false;
  /** The caller has left; the rest is read for the meter. */
  #isReadingOn = false;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#sentMark = options.monotonicMs();
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    options.res.on('close', () => {
      if (!options.res.writableFinished) this.#clientLeft();
    });
  }

  /** The provider's side is known and can be paused or stopped. */
  begin(source: AnswerSource): void {
    this.#source = source;
    if (this.#settled) source.abort(new Error('the exchange has ended'));
  }

  /** Whether the head of an answer has come. */
  get hasBegun(): boolean {
    return this.#firstByteMark !== null;
  }

  /** Status and headers of the answer. */
  head(status: number, rawHeaders: RawHeaders): void {
    if (this.#settled) return;
    const { res } = this.#options;
    this.#firstByteMark = this.#options.monotonicMs();
    this.#upstreamStatus = status;
    const isSuccess = status < 400;
    const answer = filterAnswerHeaders(rawHeaders, this.#options.transform === null || !isSuccess);
    this.#contentType = answer.contentType;
    // Compressed though nobody asked for it: passed as it is, since no event of ours can stand within it.
    const isPlain = answer.contentEncoding === null || answer.contentEncoding === 'identity';
    this.#isEventStream = this.#options.streamed && isSuccess && isPlain;
    this.#meter = this.#options.createMeter(answer.contentType);
    this.#status = status;
    answer.headers.push(...PROXIED_HEADERS, 'x-postern-request-id', this.#options.requestId);
    res.writeHead(status, answer.headers);
  }

  /** Bytes of the answer. */
  data(chunk: Buffer): void {
    if (this.#settled) return;
    this.#meter?.push(chunk);
    if (this.#isReadingOn) return;
    const out = this.#activeTransform()?.push(chunk) ?? chunk;
    if (out.length > 0) this.#write(out);
  }

  /** The provider ended its answer in an orderly way, as far as HTTP tells. */
  end(): void {
    if (this.#settled) return;
    if (this.#isReadingOn) return this.#settle('client_abort', null, this.#meter?.finish() ?? null);
    const rest = this.#activeTransform()?.finish();
    if (rest !== undefined && rest.length > 0) this.#write(rest);
    const meter = this.#meter?.finish() ?? null;
    if (this.#isEventStream && meter !== null && !meter.complete && meter.error === null) {
      const refused = new Refused('upstream_truncated', 'the stream of the provider ended before its end');
      this.#options.res.end(this.#options.renderStreamError(refused));
      return this.#settle('truncated', refused.code, meter);
    }
    this.#options.res.end();
    const isError = this.#upstreamStatus >= 400 || (meter !== null && meter.error !== null);
    this.#settle(isError ? 'upstream_error' : 'ok', null, meter);
  }

  /** The provider, or a rule, ended the answer. Before the first byte the caller gets a plain refusal. */
  fail(refused: Refused, outcome: Outcome): void {
    if (this.#settled) return;
    if (this.#isReadingOn) {
      // Not all was read: nothing is known of the rest.
      this.#settle('truncated', refused.code, null);
      this.#source?.abort(refused);
      return;
    }
    const { res } = this.#options;
    if (!res.headersSent) {
      this.#status = refused.status;
      this.#options.refuse(refused);
    } else if (this.#isEventStream) {
      res.end(this.#options.renderStreamError(refused));
    } else {
      // A plain answer with a part missing must not look whole.
      res.destroy();
    }
    this.#settle(outcome, refused.code, this.#meter?.finish() ?? null);
    this.#source?.abort(refused);
  }

  /** Errors and unstreamed answers pass unchanged. */
  #activeTransform(): StreamTransform | null {
    return this.#isEventStream ? this.#options.transform : null;
  }

  #write(chunk: Buffer): void {
    this.#responseBytes += chunk.length;
    this.#capture(chunk);
    if (this.#options.res.write(chunk) || this.#source === null) return;
    if (this.#pausedMark === null) {
      this.#pausedMark = this.#options.monotonicMs();
      this.#source.pause();
      this.#options.res.once('drain', () => this.#onDrain());
      this.#readerTimer = setTimeout(() => this.#readerIsGone(), this.#options.readerIdleMs);
    }
  }

  #onDrain(): void {
    if (this.#pausedMark === null || this.#settled) return;
    this.#waitedForReaderMs += this.#options.monotonicMs() - this.#pausedMark;
    this.#pausedMark = null;
    this.#stopWaiting();
    this.#source?.resume();
  }

  #capture(chunk: Buffer): void {
    if (this.#captureTruncated || this.#options.captureMaxBytes === 0) return;
    if (this.#capturedBytes + chunk.length > this.#options.captureMaxBytes) {
      this.#captureTruncated = true;
      return;
    }
    this.#capturedBytes += chunk.length;
    this.#captured.push(chunk);
  }

  #stopWaiting(): void {
    if (this.#readerTimer !== null) clearTimeout(this.#readerTimer);
    this.#readerTimer = null;
  }

  /** No error event could be read by who does not read: the connection ends. */
  #readerIsGone(): void {
    if (this.#settled || this.#readsOnAlone()) return;
    const refused = new Refused('reader_too_slow', 'the caller did not read its answer');
    this.#settle('client_abort', refused.code, this.#meter?.finish() ?? null);
    this.#source?.abort(refused);
    this.#options.res.destroy();
  }

  #clientLeft(): void {
    if (this.#settled || this.#readsOnAlone()) return;
    this.#settle('client_abort', null, this.#meter?.finish() ?? null);
    this.#source?.abort(new Error('the caller closed the connection'));
  }

  /** What is metered to its end goes on without its reader; true if it does. */
  #readsOnAlone(): boolean {
    if (this.#options.readsOn !== true || !this.hasBegun) return false;
    if (this.#isReadingOn) return true;
    this.#isReadingOn = true;
    this.#stopWaiting();
    this.#options.res.destroy();
    this.#source?.resume();
    return true;
  }

  /** What was written last may wait for a reader, too, with nobody left to notice. */
  #endUnread(): void {
    const { res } = this.#options;
    if (!res.writableEnded || res.writableLength === 0 || res.destroyed) return;
    const timer = setTimeout(() => res.destroy(), this.#options.readerIdleMs);
    res.once('close', () => clearTimeout(timer));
  }

  #settle(outcome: Outcome, reason: ReasonCode | null, meter: MeterResult | null): void {
    this.#settled = true;
    this.#stopWaiting();
    this.#endUnread();
    this.#resolve({
      status: this.#status,
      outcome,
      reason,
      meter,
      sentMark: this.#sentMark,
      firstByteMark: this.#firstByteMark,
      lastByteMark: this.#options.monotonicMs(),
      waitedForReaderMs: this.#waitedForReaderMs,
      responseBytes: this.#responseBytes,
      captured: this.#captured,
      captureTruncated: this.#captureTruncated,
      contentType: this.#contentType,
    });
  }
}
