/**
 * A streamed JSON array (`[{…},\n{…}]`, Gemini without `alt=sse`), element by element with the bytes
 * between them. A bare object (an error) is one element. Anything else breaks the stream.
 */
import {
  EVENT_MAX_BYTES,
  NO_BYTES,
  TRUNCATED,
  type Framing,
  type StreamEvent,
  type StreamEventSink,
} from './framing.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const SPACE = Buffer.from(' ');

/** `start`: nothing came. `first`: an element or the end may come. `after`: a comma or the end. `next`: an element must come. `end`: only white space. */
type Place = 'start' | 'first' | 'after' | 'next' | 'end';

export class ArrayFraming implements Framing {
  /** White space between two elements. */
  readonly keepAlive = SPACE;
  #place: Place = 'start';
  #isBare = false;
  /** Levels open within the element; 0 between elements. */
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** Bytes since the last event, and where in them the element begins. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #elementAt = 0;

  push(chunk: Uint8Array, sink: StreamEventSink): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let start = 0;
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at] ?? 0;
      if (this.#depth > 0) {
        if (!this.#inside(byte)) continue;
        this.#emit(bytes.subarray(start, at + 1), sink);
        start = at + 1;
      } else if (byte > 0x20 && !this.#between(byte, at - start)) {
        sink.broken('the stream is no JSON array of objects');
        return;
      }
    }
    this.#hold(bytes.subarray(start), sink);
  }

  finish(sink: StreamEventSink): void {
    if (this.#place !== 'end' && this.#place !== 'start') {
      sink.broken(TRUNCATED);
      return;
    }
    const rest = this.#take();
    if (rest.length > 0) sink.event({ raw: rest, name: '', data: null, isLast: true });
  }

  encode(_: string, json: string): Buffer {
    return Buffer.from(`,\r\n${json}`, 'utf8');
  }

  replace({ raw, data }: StreamEvent, changed: Buffer): Buffer {
    return Buffer.concat([raw.subarray(0, raw.length - (data?.length ?? 0)), changed]);
  }

  /** A byte within an element; whether it is the last. */
  #inside(byte: number): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) this.#inString = false;
    } else if (byte === QUOTE) {
      this.#inString = true;
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      this.#depth += 1;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      this.#depth -= 1;
      return this.#depth === 0;
    }
    return false;
  }

  /** A byte between elements, `offset` into what is not held yet; whether it may stand there. */
  #between(byte: number, offset: number): boolean {
    const place = this.#place;
    if (byte === OPEN_BRACE && (place === 'start' || place === 'first' || place === 'next')) {
      this.#isBare = place === 'start';
      this.#depth = 1;
      this.#elementAt = this.#heldBytes + offset;
    } else if (byte === OPEN_BRACKET && place === 'start') {
      this.#place = 'first';
    } else if (byte === COMMA && place === 'after') {
      this.#place = 'next';
    } else if (byte === CLOSE_BRACKET && (place === 'first' || place === 'after')) {
      this.#place = 'end';
    } else {
      return false;
    }
    return true;
  }

  #emit(last: Buffer, sink: StreamEventSink): void {
    this.#place = this.#isBare ? 'end' : 'after';
    this.#hold(last, sink);
    const elementAt = this.#elementAt;
    const raw = this.#take();
    if (raw.length > 0) sink.event({ raw, name: '', data: raw.subarray(elementAt) });
  }

  #hold(bytes: Buffer, sink: StreamEventSink): void {
    if (bytes.length === 0) return;
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > EVENT_MAX_BYTES) {
      this.#take();
      sink.broken(`an element is larger than ${EVENT_MAX_BYTES} bytes`);
    }
  }

  #take(): Buffer {
    const [only] = this.#held;
    const taken = this.#held.length === 1 ? (only ?? NO_BYTES) : Buffer.concat(this.#held, this.#heldBytes);
    this.#held = [];
    this.#heldBytes = 0;
    return taken;
  }
}
