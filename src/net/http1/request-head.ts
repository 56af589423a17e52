/**
 * The head of a request as it goes over the wire (RFC 9112 sections 3 and 6). What could be read
 * as another line, another message or another framing is refused; the framing is ours alone.
 */
import type { Readable } from 'node:stream';
import { netError } from '../errors.ts';
import { SPACE, isTextByte, isTokenByte } from './bytes.ts';

export interface RequestHead {
  /** Ends with the empty line; each character is one byte (latin1). */
  readonly text: string;
  /** Bytes of body that will follow; null: in chunks. */
  readonly bodyLength: number | null;
  /** The connection ends with the answer. */
  readonly isLast: boolean;
}

export interface RequestHeadInput {
  readonly method: string;
  readonly path: string;
  /** Flat list: name, value, name, value …; a wrong `content-length` is refused, a right one made anew. */
  readonly headers: readonly string[];
  readonly body: Buffer | Readable | null;
  /** Sent as `host` unless the headers have one. */
  readonly host: string;
}

/** Methods whose requests say so if they have no body (RFC 9110 section 8.6). */
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH']);

/** Decided here, hop by hop, or spoken by nobody here (RFC 9110 section 7.6.1, 10.1.1). */
const REFUSED = new Set(['transfer-encoding', 'keep-alive', 'upgrade', 'expect']);

/** @throws AppError<'upstream_protocol'> where a part cannot be sent; messages name headers, never values. */
export function createRequestHead(input: RequestHeadInput): RequestHead {
  const { method, path, headers, body } = input;
  if (!isToken(method) || method === 'CONNECT') refuse('the method is not one that can be sent');
  if (!isTarget(path)) refuse('the path must begin with "/" and have no blanks or control characters');
  if (headers.length % 2 !== 0) refuse('the list of headers has a name without a value');
  let host: string | null = null;
  let givenLength: number | null = null;
  let isLast = false;
  let lines = '';
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? '';
    const value = headers[i + 1] ?? '';
    if (!isToken(name)) refuse('the name of a header is not a token');
    if (!isText(value)) refuse(`the header "${name}" has a value with control characters or beyond latin1`);
    switch (framingName(name)) {
      case '':
        lines += `${name}: ${value}\r\n`;
        break;
      case 'host':
        if (host !== null) refuse('the header "host" is given twice');
        host = value;
        break;
      case 'content-length':
        if (givenLength !== null || !/^\d{1,15}$/.test(value)) refuse('the content-length is unusable');
        givenLength = Number(value);
        break;
      case 'connection':
        isLast ||= /(?:^|,)\s*close\s*(?:,|$)/i.test(value);
        break;
      default:
        refuse(`the header "${name}" cannot be sent to a provider`);
    }
  }
  const bodyLength = lengthOf(body, givenLength);
  const connection = isLast ? 'connection: close\r\n' : '';
  const framing = framingOf(method, body, bodyLength);
  const text = `${method} ${path} HTTP/1.1\r\nhost: ${host ?? input.host}\r\n${connection}${lines}${framing}\r\n`;
  return { text, bodyLength, isLast };
}

function framingOf(method: string, body: Buffer | Readable | null, bodyLength: number | null): string {
  if (bodyLength === null) return 'transfer-encoding: chunked\r\n';
  if (body === null && bodyLength === 0 && !WITH_BODY.has(method)) return '';
  return `content-length: ${bodyLength}\r\n`;
}

function lengthOf(body: Buffer | Readable | null, given: number | null): number | null {
  if (body !== null && !Buffer.isBuffer(body)) return given;
  const length = body === null ? 0 : body.length;
  if (given !== null && given !== length)
    refuse(`the content-length is ${given}, the body has ${length} bytes`);
  return length;
}

/** Lower-case name of a header that is handled here, or ''. Most names differ by length alone. */
function framingName(name: string): string {
  switch (name.length) {
    case 4:
    case 6:
    case 7:
    case 10:
    case 14:
    case 17: {
      const lower = name.toLowerCase();
      const isOurs = lower === 'host' || lower === 'connection' || lower === 'content-length';
      return isOurs || REFUSED.has(lower) ? lower : '';
    }
    default:
      return '';
  }
}

function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (!isTokenByte(text.charCodeAt(i))) return false;
  return text.length > 0;
}

function isText(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (!isTextByte(text.charCodeAt(i))) return false;
  return true;
}

function isTarget(path: string): boolean {
  for (let i = 0; i < path.length; i += 1) {
    const code = path.charCodeAt(i);
    if (code <= SPACE || !isTextByte(code)) return false;
  }
  return path.startsWith('/');
}

function refuse(why: string): never {
  throw netError('upstream_protocol', `the request cannot be sent: ${why}`);
}
