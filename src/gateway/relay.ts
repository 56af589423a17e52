/**
 * The bytes of an answer on their way from the provider to the caller: written as they come, with
 * back-pressure both ways, seen by a meter, kept for the record as far as the capture allows. What
 * this knows of formats it is given; what it learns is an `Answer`.
 */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import type { Meter, MeterResult } from '../llm/index.ts';
import type { Outcome } from '../store/index.ts';
import { AnswerWriter } from './answer-writer.ts';
import type { Inspection } from './governing/inspection.ts';
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

/** What a relay does not know of an answer: its format, and how a refusal is worded. */
export interface AnswerFormat {
  /** Asked when the answer's content type is known. */
  createMeter(contentType: string | null): Meter;
  /** Error event of the stream's format, for an answer that has begun. */
  renderStreamError(refused: Refused): Buffer;
  /** Answers a failure before the first byte. */
  refuse(refused: Refused): void;
}

/** Rules and budgets, as far as an answer meets them. */
export interface AnswerRules {
  /** Postern's own headers, a flat list. */
  readonly headers: readonly string[];
  /** Whether `inspect` is to be asked: else a successful answer passes unread. */
  readonly inspects: boolean;
  /** Whether an answer with another status than 2xx must be read, too. */
  readonly inspectsErrors: boolean;
  /** Asked once the head of an answer is known; null where its format needs none. */
  inspect(contentType: string | null, isPlain: boolean, status: number): Inspection | null;
  /** Whether the budget lets the stream go on, by what the meter has seen. */
  mayGoOn(meter: Meter): boolean;
  /** The answer is kept whole, whatever the capture mode, for those who are told of it. */
  readonly keepsAnswer: boolean;
  /** Nobody waits any more for what is decided about this answer. */
  gone(): void;
}

export interface RelayOptions {
  readonly res: ServerResponse;
  readonly requestId: string;
  readonly format: AnswerFormat;
  readonly transform: StreamTransform | null;
  /** What governs the answer; null where nothing does. */
  readonly rules: AnswerRules | null;
  /** The caller asked for a stream: an answer that ends before its format's end is an error. */
  readonly streamed: boolean;
  /** What the answer says is metered to its end, also if the caller leaves. Default false. */
  readonly readsOn?: boolean;
  /** A caller that reads nothing for this long while bytes wait for it is cut off: it holds a connection of the provider. */
  readonly readerIdleMs: number;
  /** Bytes of the answer kept for the record; 0 keeps none. */
  readonly captureMaxBytes: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

const NOTHING_CAPTURED: readonly Buffer[] = [];
const EMPTY = Buffer.alloc(0);
/** While a call waits for a person. Proxies and clients give up on a silent stream after 30 s and more. */
const KEEP_ALIVE_MS = 10_000;

/** Receives an answer and relays it; `done` settles when the caller has it all, or never will. */
export class Relay {
  readonly #options: RelayOptions;
  readonly #writer: AnswerWriter;
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
  #captured: Buffer[] | null = null;
  #capturedBytes = 0;
  #captureTruncated = false;
  #contentType: string | null = null;
  #isEventStream = false;
  #settled = false;
  #inspection: Inspection | null = null;
  /** The head of an answer that is checked whole. */
  #heldHead: readonly string[] | null = null;
  #isHolding = false;
  #keepAliveTimer: NodeJS.Timeout | null = null;
  /** The provider has ended, and what it sent waits for a decision. */
  #hasEnded = false;
  /** The caller has left; the rest is read for the meter. */
  #isReadingOn = false;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#writer = new AnswerWriter(options.res);
    this.#sentMark = options.clock.monotonicMs();
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
    this.#firstByteMark = this.#options.clock.monotonicMs();
    this.#upstreamStatus = status;
    const isSuccess = status < 400;
    const { rules } = this.#options;
    const isInspected = rules !== null && (status < 300 ? rules.inspects : rules.inspectsErrors);
    // Behind a length no error event could follow: the caller would take it for the next answer.
    const passes = this.#options.transform === null && !isInspected && !this.#options.streamed;
    const keepsLength = passes || (!isSuccess && !isInspected);
    const answer = filterAnswerHeaders(rawHeaders, keepsLength);
    this.#contentType = answer.contentType;
    // Compressed though nobody asked for it: passed as it is, since no event of ours can stand within it.
    const isPlain = answer.contentEncoding === null || answer.contentEncoding === 'identity';
    this.#isEventStream = this.#options.streamed && isSuccess && isPlain;
    this.#meter = this.#options.format.createMeter(answer.contentType);
    this.#status = status;
    answer.headers.push(...PROXIED_HEADERS, 'x-postern-request-id', this.#options.requestId);
    if (rules !== null) answer.headers.push(...rules.headers);
    if (isInspected) this.#inspection = rules.inspect(answer.contentType, isPlain, status);
    if (this.#inspection?.isWhole === true) {
      this.#heldHead = answer.headers;
      this.#stopAtFault(this.#inspection);
      return;
    }
    this.#writer.head(status, answer.headers, keepsLength ? answer.contentLength : null);
  }

  /** Bytes of the answer. */
  data(chunk: Buffer): void {
    if (this.#settled) return;
    this.#meter?.push(chunk);
    if (this.#isReadingOn) return;
    const out = this.#activeTransform()?.push(chunk) ?? chunk;
    if (this.#inspection !== null) return this.#inspect(this.#inspection, out);
    if (out.length > 0) this.#write(out);
    this.#cutIfSpent();
  }

  #cutIfSpent(): void {
    const { rules } = this.#options;
    if (rules === null || this.#meter === null || this.#settled || rules.mayGoOn(this.#meter)) return;
    this.fail(new Refused('budget_exhausted', 'the budget was spent while the answer came'), 'gateway_error');
  }

  #inspect(inspection: Inspection, chunk: Buffer): void {
    const out = inspection.push(chunk);
    // What came in the piece that stops the answer is not sent: a guardrail may have emptied it.
    if (this.#stopAtFault(inspection)) return;
    if (out.length > 0) this.#write(out);
    this.#cutIfSpent();
    this.#waitWhileHeld(inspection);
  }

  #stopAtFault({ stop }: Inspection): boolean {
    if (stop === null || this.#settled) return this.#settled;
    this.fail(stop, 'gateway_error');
    return true;
  }

  /** What comes meanwhile is read on, so that further calls are decided at the same time. */
  #waitWhileHeld(inspection: Inspection): void {
    if (this.#isHolding || this.#settled || inspection.held === null) return;
    this.#isHolding = true;
    this.#keepAliveTimer ??= setInterval(() => {
      const sign = inspection.keepAlive();
      if (sign.length > 0 && this.#pausedMark === null) this.#write(sign);
    }, KEEP_ALIVE_MS);
    void inspection.held.then(() => this.#onDecided(inspection));
  }

  #onDecided(inspection: Inspection): void {
    this.#isHolding = false;
    this.#stopKeepAlive();
    if (this.#settled) return;
    if (!inspection.isWhole) this.#inspect(inspection, EMPTY);
    if (this.#isHolding || this.#settled || !this.#hasEnded) return;
    this.#finish();
  }

  #stopKeepAlive(): void {
    if (this.#keepAliveTimer !== null) clearInterval(this.#keepAliveTimer);
    this.#keepAliveTimer = null;
  }

  /** The provider ended its answer in an orderly way, as far as HTTP tells. */
  end(): void {
    if (this.#settled) return;
    if (this.#isReadingOn) return this.#settle('client_abort', null, this.#meter?.finish() ?? null);
    const rest = this.#activeTransform()?.finish();
    const inspection = this.#inspection;
    if (inspection !== null) {
      if (rest !== undefined && rest.length > 0) this.#inspect(inspection, rest);
      this.#hasEnded = true;
      inspection.end();
      this.#waitWhileHeld(inspection);
      if (this.#isHolding || this.#settled) return;
    } else if (rest !== undefined && rest.length > 0) this.#write(rest);
    this.#finish();
  }

  #finish(): void {
    const inspection = this.#inspection;
    const rest = inspection?.finish() ?? EMPTY;
    if (inspection !== null && this.#stopAtFault(inspection)) return;
    const meter = this.#meter?.finish() ?? null;
    const isTruncated = this.#isEventStream && meter !== null && !meter.complete && meter.error === null;
    if (this.#heldHead !== null) {
      // What is told of a truncation follows what came, and has no part in a length.
      const length = isTruncated ? [] : ['content-length', String(rest.length)];
      this.#writer.head(this.#status, [...this.#heldHead, ...length], isTruncated ? null : rest.length);
    }
    if (rest.length > 0) this.#write(rest);
    if (isTruncated) {
      const refused = new Refused('upstream_truncated', 'the stream of the provider ended before its end');
      this.#options.res.end(this.#options.format.renderStreamError(refused));
      return this.#settle('truncated', refused.code, meter);
    }
    this.#writer.end();
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
      this.#options.format.refuse(refused);
    } else if (this.#isEventStream) {
      res.end(this.#options.format.renderStreamError(refused));
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
    if (this.#writer.write(chunk) || this.#source === null) return;
    if (this.#pausedMark === null) {
      this.#pausedMark = this.#options.clock.monotonicMs();
      this.#source.pause();
      this.#writer.whenRoom(() => this.#onDrain());
      this.#readerTimer = setTimeout(() => this.#readerIsGone(), this.#options.readerIdleMs);
    }
  }

  #onDrain(): void {
    if (this.#pausedMark === null || this.#settled) return;
    this.#waitedForReaderMs += this.#options.clock.monotonicMs() - this.#pausedMark;
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
    (this.#captured ??= []).push(chunk);
  }

  #stopWaiting(): void {
    if (this.#readerTimer === null) return;
    clearTimeout(this.#readerTimer);
    this.#readerTimer = null;
    this.#writer.stopWaiting();
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
    this.#stopKeepAlive();
    this.#options.rules?.gone();
    this.#endUnread();
    this.#resolve({
      status: this.#status,
      outcome,
      reason,
      meter,
      sentMark: this.#sentMark,
      firstByteMark: this.#firstByteMark,
      lastByteMark: this.#options.clock.monotonicMs(),
      waitedForReaderMs: this.#waitedForReaderMs,
      responseBytes: this.#responseBytes,
      captured: this.#captured ?? NOTHING_CAPTURED,
      captureTruncated: this.#captureTruncated,
      contentType: this.#contentType,
    });
  }
}
