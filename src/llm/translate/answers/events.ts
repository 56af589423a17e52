/** The framings in which providers stream: server-sent events, and AWS event streams with events of JSON. */
import { AppError } from '../../../base/errors.ts';
import {
  createEventStreamDecoder,
  eventStreamText,
  type EventStreamMessage,
} from '../../../wire/aws-event-stream.ts';
import { readSseEvent, SseSplitter, type SseSink } from '../../../wire/sse.ts';
import { asBuffer } from '../../formats/as-buffer.ts';
import type { TargetFormat } from '../contract.ts';
import { parseObject, type AnswerError } from './answer.ts';

/** Bytes of one event; the last event of Responses holds the whole answer. */
const EVENT_MAX_BYTES = 16 * 1024 * 1024;

/** What a stream brings, in its order. */
export interface EventSink {
  /** `name` is '' where the framing has none. */
  event(data: Buffer, name: string): void;
  /** A sign of life. */
  comment(): void;
  /** The provider's own error, told by the framing. */
  failed(error: AnswerError): void;
  /** The stream cannot be read on. */
  broken(why: string): void;
}

/** Reads one stream. Never throws. */
export interface EventSource {
  push(chunk: Uint8Array): void;
  /** The stream has ended. */
  finish(): void;
}

/** For streams of a provider's format. */
export function createEventSource(format: TargetFormat, sink: EventSink): EventSource {
  if (format === 'bedrock_converse') return new FrameEvents(sink, false);
  return format === 'bedrock_model_invoke' ? new FrameEvents(sink, true) : new SseEvents(sink);
}

const COLON = 0x3a;

class SseEvents implements EventSource, SseSink {
  readonly #splitter = new SseSplitter({ eventMaxBytes: EVENT_MAX_BYTES });
  readonly #sink: EventSink;

  constructor(sink: EventSink) {
    this.#sink = sink;
  }

  push(chunk: Uint8Array): void {
    this.#splitter.push(chunk, this);
  }

  finish(): void {
    const rest = this.#splitter.finish();
    // The last event may lack its blank line.
    if (rest.length > 0) this.event(rest);
  }

  event(raw: Buffer): void {
    const event = readSseEvent(raw);
    if (event !== null) this.#sink.event(event.data, event.name);
    else if (raw.includes(COLON)) this.#sink.comment();
  }

  oversized(): void {
    this.#sink.broken(`the provider sent an event of more than ${EVENT_MAX_BYTES} bytes`);
  }
}

/** Statuses of what Bedrock tells within a stream (API reference, "ResponseStream"); in lower case. */
const EXCEPTION_STATUSES: ReadonlyMap<string, number> = new Map([
  ['validationexception', 400],
  ['accessdeniedexception', 403],
  ['resourcenotfoundexception', 404],
  ['throttlingexception', 429],
  ['modeltimeoutexception', 504],
  ['serviceunavailableexception', 503],
]);

class FrameEvents implements EventSource {
  readonly #decoder = createEventStreamDecoder({ payloadMaxBytes: EVENT_MAX_BYTES });
  readonly #sink: EventSink;
  /** Events are those of the model, in base64 in events of Bedrock's. */
  readonly #isWrapped: boolean;
  #isBroken = false;

  constructor(sink: EventSink, isWrapped: boolean) {
    this.#sink = sink;
    this.#isWrapped = isWrapped;
  }

  push(chunk: Uint8Array): void {
    if (this.#isBroken) return;
    try {
      for (const message of this.#decoder.push(chunk)) this.#read(message);
    } catch (error) {
      this.#break(error);
    }
  }

  finish(): void {
    if (this.#isBroken) return;
    try {
      this.#decoder.finish();
    } catch (error) {
      this.#break(error);
    }
  }

  #break(error: unknown): void {
    if (!(error instanceof AppError)) throw error;
    this.#isBroken = true;
    this.#sink.broken(`the provider's event stream cannot be read: ${error.message}`);
  }

  #read(message: EventStreamMessage): void {
    const payload = asBuffer(message.payload);
    if ((eventStreamText(message, ':message-type') ?? 'event') !== 'event')
      return this.#sink.failed(readException(message, payload));
    const name = eventStreamText(message, ':event-type') ?? '';
    if (!this.#isWrapped) return this.#sink.event(payload, name);
    const bytes = name === 'chunk' ? parseObject(payload.toString('utf8'))?.['bytes'] : undefined;
    if (typeof bytes === 'string') this.#sink.event(Buffer.from(bytes, 'base64'), '');
  }
}

function readException(message: EventStreamMessage, payload: Buffer): AnswerError {
  const type =
    eventStreamText(message, ':exception-type') ?? eventStreamText(message, ':error-code') ?? 'error';
  const told =
    parseObject(payload.toString('utf8'))?.['message'] ?? eventStreamText(message, ':error-message');
  return {
    status: EXCEPTION_STATUSES.get(type.toLowerCase()) ?? 500,
    message: typeof told === 'string' && told !== '' ? told.slice(0, MESSAGE_MAX_CHARS) : type,
    code: null,
  };
}

const MESSAGE_MAX_CHARS = 4_000;
