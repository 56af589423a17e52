/**
 * Server-sent events (WHATWG HTML, section 9.2) as bytes: splits a stream into whole events in
 * any chunking, reads single ones, writes new ones. Lines end in LF, CRLF or CR.
 *
 * Splitting and reading are apart, so that a meter reads only those events that matter to it and
 * a rewriter keeps every byte. Left out: `id` and `retry`, which no LLM provider uses.
 */

/** What becomes of a stream's pieces, in order. Together they are the stream's bytes, unchanged. */
export interface SseSink {
  /**
   * A whole event with the blank line that ends it, and blank lines before it. It may share
   * memory with the chunk.
   */
  event(raw: Buffer): void;
  /** Bytes of an event beyond the limit, as they come, up to and including its end. */
  oversized(raw: Buffer): void;
}

export interface SseSplitterOptions {
  /** Larger events go to `oversized` in pieces. Bytes. */
  readonly eventMaxBytes: number;
}

const LF = 0x0a;
const CR = 0x0d;
const EMPTY = Buffer.alloc(0);
/** Room taken for an unfinished event at first. */
const HELD_MIN_BYTES = 512;

/**
 * Cuts a byte stream after each blank line. Keeps at most one unfinished event of
 * `eventMaxBytes`. A CR as the last byte of a chunk waits for the next one, which may be its LF.
 */
export class SseSplitter {
  readonly #maxBytes: number;
  /** Bytes of the unfinished event, with room to grow; one copy, so that tiny chunks cost no more than their bytes. */
  #held: Buffer = EMPTY;
  #heldBytes = 0;
  /** The event at hand is beyond the limit. */
  #oversized = false;
  /** Bytes of the current line so far, not counting its end: only zero or more matters. */
  #lineIsEmpty = true;
  /** The event at hand has a line with something in it: the next blank line ends it. */
  #hasLines = false;
  /** The last byte of the last chunk was a CR, of which it is open whether an LF follows. */
  #pendingCr = false;

  constructor(options: SseSplitterOptions) {
    this.#maxBytes = options.eventMaxBytes;
  }

  /** Takes the next bytes; calls `sink` for everything that is whole. */
  push(chunk: Uint8Array, sink: SseSink): void {
    const bytes = Buffer.isBuffer(chunk)
      ? chunk
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (bytes.length === 0) return;
    const start =
      this.#pendingCr || bytes.includes(CR) ? this.#splitAnyEnds(bytes, sink) : this.#splitAtLf(bytes, sink);
    if (start < bytes.length) this.#hold(bytes.subarray(start), sink);
  }

  /** The stream is over; gives back what is left of an unfinished event, or an empty buffer. */
  finish(): Buffer {
    return this.#takeHeld();
  }

  /** The usual case, no CR in sight: finds line ends by a native search. */
  #splitAtLf(bytes: Buffer, sink: SseSink): number {
    let start = 0;
    let line = 0;
    for (;;) {
      const end = bytes.indexOf(LF, line);
      if (end < 0) break;
      const isBlank = end === line && this.#lineIsEmpty;
      this.#lineIsEmpty = true;
      line = end + 1;
      if (!isBlank) this.#hasLines = true;
      else if (this.#hasLines) {
        this.#emit(bytes.subarray(start, line), sink);
        start = line;
      }
    }
    if (line < bytes.length) this.#lineIsEmpty = false;
    return start;
  }

  #splitAnyEnds(bytes: Buffer, sink: SseSink): number {
    let start = 0;
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at];
      if (this.#pendingCr) {
        // The line ended with the CR before; this byte may be the rest of that line end.
        this.#pendingCr = false;
        const after = byte === LF ? at + 1 : at;
        if (this.#endLine()) {
          this.#emit(bytes.subarray(start, after), sink);
          start = after;
        }
        if (byte === LF) continue;
      }
      if (byte === CR) {
        this.#pendingCr = true;
      } else if (byte === LF) {
        if (this.#endLine()) {
          this.#emit(bytes.subarray(start, at + 1), sink);
          start = at + 1;
        }
      } else {
        this.#lineIsEmpty = false;
      }
    }
    return start;
  }

  /** A line ended; whether it was the blank one that ends an event. */
  #endLine(): boolean {
    const isBlank = this.#lineIsEmpty;
    this.#lineIsEmpty = true;
    if (!isBlank) this.#hasLines = true;
    return isBlank && this.#hasLines;
  }

  #emit(last: Buffer, sink: SseSink): void {
    this.#hasLines = false;
    if (this.#oversized || this.#heldBytes + last.length > this.#maxBytes) {
      this.#oversized = false;
      if (this.#heldBytes > 0) sink.oversized(this.#takeHeld());
      sink.oversized(last);
    } else if (this.#heldBytes === 0) {
      sink.event(last);
    } else {
      this.#keep(last);
      sink.event(this.#takeHeld());
    }
  }

  #hold(rest: Buffer, sink: SseSink): void {
    if (!this.#oversized && this.#heldBytes + rest.length <= this.#maxBytes) {
      this.#keep(rest);
      return;
    }
    this.#oversized = true;
    if (this.#heldBytes > 0) sink.oversized(this.#takeHeld());
    sink.oversized(rest);
  }

  #keep(bytes: Buffer): void {
    const needed = this.#heldBytes + bytes.length;
    if (needed > this.#held.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#held.length * 2, HELD_MIN_BYTES));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    bytes.copy(this.#held, this.#heldBytes);
    this.#heldBytes = needed;
  }

  #takeHeld(): Buffer {
    const held = this.#held.subarray(0, this.#heldBytes);
    this.#held = EMPTY;
    this.#heldBytes = 0;
    return held;
  }
}

/** One event, read. */
export interface SseEvent {
  /** The `event` field, or '' where there is none (then it is a `message`). */
  readonly name: string;
  /** The `data` lines, joined by LF; shares memory with the raw event if there is only one. */
  readonly data: Buffer;
}

/** Longer event names are cut: no provider has one. */
const NAME_MAX_BYTES = 128;

/** Reads a raw event; null if it has no `data` (a comment, a heartbeat). Never throws. */
export function readSseEvent(raw: Buffer): SseEvent | null {
  let name = '';
  let data: Buffer | null = null;
  let more: Buffer[] | null = null;
  let at = raw[0] === 0xef && raw[1] === 0xbb && raw[2] === 0xbf ? 3 : 0;
  while (at < raw.length) {
    const end = lineEnd(raw, at);
    if (isField(raw, at, end, DATA)) {
      const value = raw.subarray(valueStart(raw, at + DATA.length, end), end);
      if (data === null) data = value;
      else (more ??= []).push(value);
    } else if (isField(raw, at, end, EVENT)) {
      const from = valueStart(raw, at + EVENT.length, end);
      name = raw.toString('latin1', from, Math.min(end, from + NAME_MAX_BYTES));
    }
    at = end + (raw[end] === CR && raw[end + 1] === LF ? 2 : 1);
  }
  if (data === null) return null;
  return { name, data: more === null ? data : joinLines([data, ...more]) };
}

const DATA = Buffer.from('data');
const EVENT = Buffer.from('event');
const COLON = 0x3a;
const SPACE = 0x20;

function lineEnd(raw: Buffer, from: number): number {
  const lf = raw.indexOf(LF, from);
  const end = lf < 0 ? raw.length : lf;
  const cr = raw.indexOf(CR, from);
  return cr >= 0 && cr < end ? cr : end;
}

/** Whether the line from `at` to `end` is the field `name`, with or without a colon. */
function isField(raw: Buffer, at: number, end: number, name: Buffer): boolean {
  const nameEnd = at + name.length;
  if (nameEnd > end) return false;
  for (let i = 0; i < name.length; i += 1) {
    if (raw[at + i] !== name[i]) return false;
  }
  return nameEnd === end || raw[nameEnd] === COLON;
}

/** After the colon and one space. */
function valueStart(raw: Buffer, nameEnd: number, end: number): number {
  if (nameEnd >= end) return end;
  return raw[nameEnd + 1] === SPACE && nameEnd + 1 < end ? nameEnd + 2 : nameEnd + 1;
}

function joinLines(lines: readonly Buffer[]): Buffer {
  const lf = Buffer.from('\n');
  return Buffer.concat(lines.flatMap((line, i) => (i === 0 ? [line] : [lf, line])));
}

/** What `encodeSseEvent` writes. */
export interface SseEventFields {
  /** The event's name; must not hold a line end. */
  readonly name?: string;
  /** Any text; each of its lines becomes a `data` line. */
  readonly data: string;
}

/** An event as bytes, with LF and its blank line. */
export function encodeSseEvent(event: SseEventFields): Buffer {
  const name = event.name === undefined ? '' : `event: ${event.name}\n`;
  return Buffer.from(`${name}data: ${event.data.replaceAll(/\r\n|\r|\n/g, '\ndata: ')}\n\n`, 'utf8');
}
