import { encodeSseEvent, readSseEvent, SseSplitter } from '../../../wire/sse.ts';
import { EVENT_MAX_BYTES, type Framing, type StreamEvent, type StreamEventSink } from './framing.ts';

/** What may differ between the dialects that stream server-sent events. */
export interface SseFramingOptions {
  /** Sent between events while a call is held. Default: a comment, which every reader skips. */
  readonly keepAlive?: Buffer;
}

const COMMENT = Buffer.from(': keep-alive\n\n');

/** Server-sent events (WHATWG HTML, section 9.2). */
export class SseFraming implements Framing {
  readonly keepAlive: Buffer;
  readonly #splitter = new SseSplitter({ eventMaxBytes: EVENT_MAX_BYTES });
  #isFirst = true;

  constructor(options: SseFramingOptions = {}) {
    this.keepAlive = options.keepAlive ?? COMMENT;
  }

  push(chunk: Uint8Array, sink: StreamEventSink): void {
    this.#splitter.push(chunk, {
      event: (raw) => this.#read(raw, sink),
      oversized: () => sink.broken(`an event is larger than ${EVENT_MAX_BYTES} bytes`),
    });
  }

  /** An event without its blank line is dropped by strict readers only: it is looked at like any other. */
  finish(sink: StreamEventSink): void {
    const rest = this.#splitter.finish();
    if (rest.length > 0) this.#read(rest, sink);
  }

  encode(name: string, json: string): Buffer {
    return encodeSseEvent(name === '' ? { data: json } : { name, data: json });
  }

  replace(event: StreamEvent, data: Buffer): Buffer {
    return this.encode(event.name, data.toString('utf8'));
  }

  #read(raw: Buffer, sink: StreamEventSink): void {
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    // Readers skip a byte order mark at the start of the stream only; later it hides the line behind it.
    if (!isFirst && hasMark(raw)) {
      sink.broken('an event begins with a byte order mark');
      return;
    }
    const event = readSseEvent(raw);
    if (event !== null && !hasOnlyFields(raw)) {
      sink.broken('an event has lines that readers could take for data');
      return;
    }
    sink.event({ raw, name: event?.name ?? '', data: event?.data ?? null });
  }
}

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const FIELDS = ['data', 'event', 'id', 'retry'].map((name) => Buffer.from(name));

/**
 * Whether each line is a field of the specification. Some readers take all that follows the first
 * `data:` for data, comments and unknown lines included, and so see another event than others do.
 */
function hasOnlyFields(raw: Buffer): boolean {
  let at = hasMark(raw) ? 3 : 0;
  const hasCr = raw.includes(CR);
  while (at < raw.length) {
    const lf = raw.indexOf(LF, at);
    const cr = hasCr ? raw.indexOf(CR, at) : -1;
    const end = Math.min(lf < 0 ? raw.length : lf, cr < 0 ? raw.length : cr);
    if (end > at && !FIELDS.some((field) => startsField(raw, at, end, field))) return false;
    at = end + 1;
  }
  return true;
}

function hasMark(raw: Buffer): boolean {
  return raw[0] === 0xef && raw[1] === 0xbb && raw[2] === 0xbf;
}

function startsField(raw: Buffer, at: number, end: number, field: Buffer): boolean {
  const nameEnd = at + field.length;
  if (nameEnd > end || (nameEnd < end && raw[nameEnd] !== COLON)) return false;
  for (let i = 0; i < field.length; i += 1) {
    if (raw[at + i] !== field[i]) return false;
  }
  return true;
}
