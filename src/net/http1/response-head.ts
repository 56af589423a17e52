/**
 * The head of an answer: status line and fields, with what they say of the body's framing
 * (RFC 9112 sections 4, 5 and 6.3). Stricter than the specification has to be where two readers
 * could differ: folded lines, bare CR or LF, repeated lengths and foreign codings are refused.
 */
import { COLON, CR, LF, SPACE, TAB, isTextByte, isTokenByte } from './bytes.ts';

/** Fields of one head; more than any honest server sends, and far less than what 64 KiB could hold. */
const FIELDS_MAX = 512;

export interface ResponseHead {
  readonly status: number;
  /** Flat list: name, value, name, value … as received, each byte one character. */
  readonly headers: string[];
  /** `Content-Length`, or null. */
  readonly length: number | null;
  readonly isChunked: boolean;
  /** The other side will read another request on this connection, as far as the head tells. */
  readonly keepsAlive: boolean;
  /** `Keep-Alive: timeout=n`, or null. */
  readonly keepAliveSec: number | null;
}

/**
 * `text` is the head as latin1 without the empty line that ends it. Gives the head, or why it is
 * refused as a string that begins "the answer …" would complete.
 */
export function parseResponseHead(text: string): ResponseHead | string {
  const minor = text.charCodeAt(7) - 0x30;
  if (!text.startsWith('HTTP/1.') || (minor !== 0 && minor !== 1) || text.charCodeAt(8) !== SPACE) {
    return 'does not begin with an HTTP/1.1 status line';
  }
  const status = statusOf(text);
  if (status === 0) return 'has a status that is not three digits from 100';
  let at = 12;
  while (at < text.length && isTextByte(text.charCodeAt(at))) at += 1;
  const fields = new Fields();
  while (at < text.length) {
    if (text.charCodeAt(at) !== CR || text.charCodeAt(at + 1) !== LF) {
      return 'has a control character in its head';
    }
    at = fields.read(text, at + 2);
    if (at < 0) return fields.fault;
  }
  return headOf(status, minor === 1, fields);
}

/** 0 unless characters 9 to 11 are a status and end there; RFC 9112 section 4 wants a space even before no reason, servers forget it. */
function statusOf(text: string): number {
  let status = 0;
  for (let at = 9; at < 12; at += 1) {
    const digit = text.charCodeAt(at) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return 0;
    status = status * 10 + digit;
  }
  const after = text.charCodeAt(12);
  return status >= 100 && (text.length === 12 || after === SPACE || after === CR) ? status : 0;
}

function headOf(status: number, isHttp11: boolean, fields: Fields): ResponseHead | string {
  const { headers, lengths, codings, connection, keepAlive } = fields;
  if (lengths > 1) return 'has more than one content-length';
  if (codings !== null && lengths > 0) return 'has both content-length and transfer-encoding';
  if (codings !== null && codings !== 'chunked') {
    return 'has a transfer-encoding other than chunked, which nobody asked for';
  }
  const keepsAlive = isHttp11 ? !says(connection, 'close') : says(connection, 'keep-alive');
  return {
    status,
    headers,
    length: lengths === 1 ? fields.length : null,
    isChunked: codings !== null,
    // RFC 9112 section 6.1: chunks in an HTTP/1.0 answer make its framing doubtful, so nothing may follow it.
    keepsAlive: keepsAlive && (isHttp11 || codings === null) && !says(connection, 'close'),
    keepAliveSec: keepAlive === '' ? null : timeoutOf(keepAlive),
  };
}

function says(connection: string, option: string): boolean {
  if (connection === '') return false;
  if (connection === option) return true;
  return connection.split(',').some((part) => part.trim() === option);
}

/** `timeout=5, max=100` of the `Keep-Alive` field (RFC 2068 section 19.7.1). */
function timeoutOf(keepAlive: string): number | null {
  const digits = /(?:^|[,;\s])timeout\s*=\s*"?(\d{1,9})/.exec(keepAlive)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** Fields as they are read, those that frame the body apart. */
class Fields {
  readonly headers: string[] = [];
  fault = '';
  length = 0;
  lengths = 0;
  /** Lower case; several are joined by commas. */
  codings: string | null = null;
  connection = '';
  keepAlive = '';

  /** Reads the line that begins at `start`; gives where it ends, or -1 with `fault` set. */
  read(text: string, start: number): number {
    let at = start;
    while (isTokenByte(text.charCodeAt(at))) at += 1;
    if (at === start || text.charCodeAt(at) !== COLON) {
      return this.#refuse('has a line in its head that is no field of the form "name: value"');
    }
    const name = text.slice(start, at);
    at += 1;
    while (isBlank(text.charCodeAt(at))) at += 1;
    const valueStart = at;
    while (isTextByte(text.charCodeAt(at))) at += 1;
    let valueEnd = at;
    while (valueEnd > valueStart && isBlank(text.charCodeAt(valueEnd - 1))) valueEnd -= 1;
    const value = text.slice(valueStart, valueEnd);
    if (this.headers.length >= FIELDS_MAX * 2) return this.#refuse(`has more than ${FIELDS_MAX} headers`);
    this.headers.push(name, value);
    return this.#note(name, value) ? at : -1;
  }

  /** False where the field cannot be believed. */
  #note(name: string, value: string): boolean {
    switch (name.length) {
      case 10: {
        const lower = name.toLowerCase();
        if (lower === 'connection') this.connection = joined(this.connection, value);
        else if (lower === 'keep-alive') this.keepAlive = joined(this.keepAlive, value);
        return true;
      }
      case 14:
        return name.toLowerCase() !== 'content-length' || this.#noteLength(value);
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') this.codings = joined(this.codings ?? '', value);
        return true;
      default:
        return true;
    }
  }

  #noteLength(value: string): boolean {
    this.lengths += 1;
    this.length = Number(value);
    if (/^\d+$/.test(value) && Number.isSafeInteger(this.length)) return true;
    this.#refuse('has a content-length that is no number of bytes');
    return false;
  }

  #refuse(why: string): -1 {
    this.fault = why;
    return -1;
  }
}

function joined(before: string, value: string): string {
  return before === '' ? value.toLowerCase() : `${before}, ${value.toLowerCase()}`;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}
