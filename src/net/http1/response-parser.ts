/**
 * Reads the bytes of one answer after another (RFC 9112): heads, informational ones dropped, and
 * bodies by length, in chunks, or until the connection closes. Knows no socket: bytes go in by
 * `push`, what they held is read from its fields. Nothing that comes can make it throw, and what
 * it keeps is bounded by `HEAD_MAX_BYTES`.
 */
import { CR, LF, SEMICOLON, hexValue, isTextByte } from './bytes.ts';
import { type ResponseHead, parseResponseHead } from './response-head.ts';

/** 64 KiB: some providers send long lists of rate-limit headers and cookies; Node's own limit is 16 KiB. */
export const HEAD_MAX_BYTES = 64 * 1024;
/** Informational answers to one request; more than any honest server sends. */
const INFORMATIONAL_MAX = 1000;
/** Bytes of chunk extensions in one body: nobody uses them, and they cost as much as data. */
const EXTENSIONS_MAX_BYTES = 16 * 1024;
/** Digits of a chunk's size; its value is bounded apart. */
const SIZE_DIGITS_MAX = 16;

const HEAD_END = '\r\n\r\n';
const START = 'HTTP/1.';

/** Where the parser stands; numbers, since it looks at every turn. */
const IN_HEAD = 0;
const IN_LENGTH = 1;
const UNTIL_CLOSE = 2;
const CHUNK_SIZE = 3;
const CHUNK_EXTENSION = 4;
const CHUNK_SIZE_LF = 5;
const CHUNK_DATA = 6;
const CHUNK_DATA_CR = 7;
const CHUNK_DATA_LF = 8;
const TRAILER_START = 9;
const TRAILER = 10;
const TRAILER_LF = 11;
const LAST_LF = 12;
const COMPLETE = 13;
const FAILED = 14;

export class ResponseParser {
  /** Whether the final head has come. */
  hasHead = false;
  /** What that head asks for, or null. */
  keepAliveSec: number | null = null;
  /**
   * The body's bytes within the buffer of the last `push`. Those of several chunks are moved
   * together there, so the buffer is no longer what came in.
   */
  bodyStart = 0;
  bodyEnd = 0;
  /** Bytes of the last `push` that were read; with a complete answer the rest belongs to no request. */
  consumed = 0;
  /** Why the answer is refused: completes "the answer of … ". */
  fault: string | null = null;
  /** Whether any byte of an answer to this request has come, informational ones included. */
  hasBegun = false;
  /** Whether the connection is at the start of an answer again, if `isComplete`. */
  mayReuse = false;

  #state = IN_HEAD;
  #head: ResponseHead | null = null;
  #keepsAlive = false;
  #isHeadRequest = false;
  #informational = 0;
  /** What is left of the length or of the chunk. */
  #left = 0;
  #digits = 0;
  #extensionBytes = 0;
  #trailerBytes = 0;
  /** A head that came in pieces. */
  #partial: Buffer | null = null;
  #partialLength = 0;

  get isComplete(): boolean {
    return this.#state === COMPLETE;
  }

  /** Before each request. An answer to `HEAD` has no body, whatever its head says (RFC 9112 section 6.3). */
  begin(isHeadRequest: boolean): void {
    this.hasHead = false;
    this.keepAliveSec = null;
    this.#head = null;
    this.#keepsAlive = false;
    this.bodyStart = 0;
    this.bodyEnd = 0;
    this.consumed = 0;
    this.fault = null;
    this.hasBegun = false;
    this.mayReuse = false;
    this.#state = IN_HEAD;
    this.#isHeadRequest = isHeadRequest;
    this.#informational = 0;
    this.#left = 0;
    this.#dropPartial();
  }

  /** The final head, to whoever asks first; not kept here for as long as its body takes. */
  takeHead(): ResponseHead | null {
    const head = this.#head;
    this.#head = null;
    return head;
  }

  /** Reads what came. Changes `chunk` where it holds more than one chunk of a body; keeps nothing of it. */
  push(chunk: Buffer): void {
    this.bodyStart = 0;
    this.bodyEnd = 0;
    if (chunk.length > 0) this.hasBegun = true;
    let at = 0;
    while (at < chunk.length && this.#state < COMPLETE) {
      if (this.#state === IN_HEAD) at = this.#readHead(chunk, at);
      else if (this.#state <= UNTIL_CLOSE || this.#state === CHUNK_DATA) at = this.#readData(chunk, at);
      else at = this.#readFraming(chunk, at);
    }
    this.consumed = at;
  }

  /** The other side has closed: true if that ended the answer in an orderly way. */
  finish(): boolean {
    if (this.#state === UNTIL_CLOSE) this.#complete(false);
    return this.#state === COMPLETE;
  }

  #readHead(chunk: Buffer, start: number): number {
    if (this.#partial === null) {
      const end = chunk.indexOf(HEAD_END, start, 'latin1');
      if (end < 0) return this.#keepPartial(chunk, start);
      if (end - start > HEAD_MAX_BYTES) return this.#tooLong(chunk);
      this.#apply(chunk.toString('latin1', start, end));
      return end + HEAD_END.length;
    }
    const before = this.#partialLength;
    this.#keepPartial(chunk, start);
    const partial = this.#partial;
    if (partial === null) return chunk.length;
    const end = partial.subarray(0, this.#partialLength).indexOf(HEAD_END, Math.max(0, before - 3), 'latin1');
    if (end < 0) return chunk.length;
    const text = partial.toString('latin1', 0, end);
    this.#dropPartial();
    this.#apply(text);
    return start + end + HEAD_END.length - before;
  }

  /** Keeps the beginning of a head, unless it can become none already. */
  #keepPartial(chunk: Buffer, start: number): number {
    const added = Math.min(chunk.length - start, HEAD_MAX_BYTES + HEAD_END.length - this.#partialLength);
    const length = this.#partialLength + added;
    if (this.#partial === null || this.#partial.length < length) {
      const larger = Buffer.allocUnsafe(Math.max(1024, length * 2));
      this.#partial?.copy(larger, 0, 0, this.#partialLength);
      this.#partial = larger;
    }
    chunk.copy(this.#partial, this.#partialLength, start, start + added);
    const before = this.#partialLength;
    this.#partialLength = length;
    const partial = this.#partial.subarray(0, length);
    if (partial.indexOf(HEAD_END, Math.max(0, before - 3), 'latin1') >= 0) return chunk.length;
    if (!beginsLikeHttp(partial)) {
      this.#fail('does not begin with an HTTP/1.1 status line');
    } else if (hasBareLineEnd(partial, before)) {
      this.#fail('has a control character in its head');
    } else if (length >= HEAD_MAX_BYTES + HEAD_END.length) {
      return this.#tooLong(chunk);
    }
    return chunk.length;
  }

  #tooLong(chunk: Buffer): number {
    this.#fail(`has headers over the limit of ${HEAD_MAX_BYTES} bytes`);
    return chunk.length;
  }

  #dropPartial(): void {
    this.#partial = null;
    this.#partialLength = 0;
  }

  #apply(text: string): void {
    const head = parseResponseHead(text);
    if (typeof head === 'string') return this.#fail(head);
    const { status } = head;
    if (status === 101) return this.#fail('switches to a protocol that nobody asked for');
    if (status < 200) {
      this.#informational += 1;
      if (this.#informational > INFORMATIONAL_MAX) this.#fail('comes after too many informational ones');
      return;
    }
    this.hasHead = true;
    this.#head = head;
    this.#keepsAlive = head.keepsAlive;
    this.keepAliveSec = head.keepAliveSec;
    const isBodyless = status === 204 || status === 304;
    if (this.#isHeadRequest || isBodyless) {
      // A body that must not be there could still come and look like the next answer.
      const isDoubtful = status === 204 && (head.isChunked || (head.length ?? 0) > 0);
      this.#complete(head.keepsAlive && !isDoubtful && !(status === 304 && head.isChunked));
    } else if (head.isChunked) {
      this.#state = CHUNK_SIZE;
      this.#digits = 0;
      this.#extensionBytes = 0;
      this.#trailerBytes = 0;
    } else if (head.length === null) {
      this.#state = UNTIL_CLOSE;
    } else {
      this.#left = head.length;
      if (head.length === 0) this.#complete(head.keepsAlive);
      else this.#state = IN_LENGTH;
    }
  }

  #readData(chunk: Buffer, start: number): number {
    const there = chunk.length - start;
    const take = this.#state === UNTIL_CLOSE || this.#left > there ? there : this.#left;
    const end = start + take;
    if (this.bodyStart === this.bodyEnd) {
      this.bodyStart = start;
      this.bodyEnd = end;
    } else if (this.bodyEnd === start) {
      this.bodyEnd = end;
    } else {
      chunk.copyWithin(this.bodyEnd, start, end);
      this.bodyEnd += take;
    }
    if (this.#state === UNTIL_CLOSE) return end;
    this.#left -= take;
    if (this.#left > 0) return end;
    if (this.#state === CHUNK_DATA) this.#state = CHUNK_DATA_CR;
    else this.#complete(this.#keepsAlive);
    return end;
  }

  /** What stands between the data of a chunked body (RFC 9112 section 7.1), as far as this buffer has it. */
  #readFraming(chunk: Buffer, start: number): number {
    let at = start;
    while (at < chunk.length && this.#state !== CHUNK_DATA && this.#state < COMPLETE) {
      const byte = chunk[at] ?? 0;
      at += 1;
      if (this.#state === CHUNK_SIZE) this.#sizeByte(byte);
      else if (this.#state <= CHUNK_SIZE_LF) this.#sizeLineByte(byte);
      else if (this.#state <= CHUNK_DATA_LF) this.#dataEndByte(byte);
      else this.#trailerByte(byte);
    }
    return at;
  }

  #sizeByte(byte: number): void {
    const value = hexValue(byte);
    if (value >= 0) {
      this.#digits += 1;
      this.#left = this.#left * 16 + value;
      if (this.#digits > SIZE_DIGITS_MAX || this.#left > Number.MAX_SAFE_INTEGER) {
        this.#fail('has a chunk size over the limit');
      }
    } else if (this.#digits === 0) this.#fail('has a chunk without a size');
    else if (byte === CR) this.#state = CHUNK_SIZE_LF;
    else if (byte === SEMICOLON) this.#state = CHUNK_EXTENSION;
    else this.#fail('has a chunk size that is not hexadecimal');
  }

  #sizeLineByte(byte: number): void {
    if (this.#state === CHUNK_EXTENSION) {
      this.#extensionBytes += 1;
      if (byte === CR) this.#state = CHUNK_SIZE_LF;
      else if (!isTextByte(byte)) this.#fail('has a control character in a chunk extension');
      else if (this.#extensionBytes > EXTENSIONS_MAX_BYTES) this.#fail('has chunk extensions over the limit');
    } else if (byte !== LF) this.#fail('has a bare CR after a chunk size');
    else this.#state = this.#left === 0 ? TRAILER_START : CHUNK_DATA;
  }

  #dataEndByte(byte: number): void {
    if (this.#state === CHUNK_DATA_CR && byte === CR) this.#state = CHUNK_DATA_LF;
    else if (this.#state === CHUNK_DATA_LF && byte === LF) {
      this.#state = CHUNK_SIZE;
      this.#digits = 0;
      this.#left = 0;
    } else this.#fail('has a chunk that is longer than its size');
  }

  /** Trailers are bounded and dropped: nothing of what follows a body may change what came before it. */
  #trailerByte(byte: number): void {
    if (this.#state === LAST_LF || this.#state === TRAILER_LF) {
      if (byte !== LF) this.#fail('has a bare CR in its trailers');
      else if (this.#state === LAST_LF) this.#complete(this.#keepsAlive);
      else this.#state = TRAILER_START;
      return;
    }
    if (byte === CR) {
      this.#state = this.#state === TRAILER_START ? LAST_LF : TRAILER_LF;
      return;
    }
    this.#trailerBytes += 1;
    if (!isTextByte(byte)) this.#fail('has a control character in its trailers');
    else if (this.#trailerBytes > HEAD_MAX_BYTES) this.#fail('has trailers over the limit');
    else this.#state = TRAILER;
  }

  #complete(mayReuse: boolean): void {
    this.#state = COMPLETE;
    this.mayReuse = mayReuse;
  }

  #fail(why: string): void {
    this.#state = FAILED;
    this.fault = why;
    this.#dropPartial();
  }
}

function beginsLikeHttp(bytes: Buffer): boolean {
  const length = Math.min(bytes.length, START.length);
  for (let i = 0; i < length; i += 1) if (bytes[i] !== START.charCodeAt(i)) return false;
  return true;
}

/** Whether an LF without its CR, or a CR without its LF, stands in what came from `before` on. */
function hasBareLineEnd(bytes: Buffer, before: number): boolean {
  for (let i = before; i < bytes.length; i += 1) {
    const isAfterCr = i > 0 && bytes[i - 1] === CR;
    if ((bytes[i] === LF) !== isAfterCr) return true;
  }
  return false;
}
