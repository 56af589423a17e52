/**
 * The frames of AWS event streams, in which Bedrock streams its answers
 * (https://smithy.io/2.0/aws/amazon-eventstream.html). Numbers are big-endian:
 *
 *   offset        bytes  what
 *   0             4      total length, of the whole frame
 *   4             4      headers length
 *   8             4      CRC-32 of the 8 bytes before
 *   12            H      headers
 *   12 + H        P      payload, P = total - headers - 16
 *   total - 4     4      CRC-32 of everything before
 *
 * A header:
 *
 *   0             1      length of the name, 1 or more
 *   1             N      name, UTF-8
 *   1 + N         1      type
 *   2 + N         V      value
 *
 *   type  value                             type  value
 *   0     true, no bytes                    5     64-bit signed
 *   1     false, no bytes                   6     16-bit length, bytes
 *   2     8-bit signed                      7     16-bit length, UTF-8
 *   3     16-bit signed                     8     64-bit signed, milliseconds since 1970
 *   4     32-bit signed                     9     16 bytes, a UUID
 *
 * Left out: signed event streams, which are sent to AWS and never come from it.
 */
import { isUtf8 } from 'node:buffer';
import { crc32 } from 'node:zlib';
import { AppError } from '../base/errors.ts';

export type EventStreamValue =
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'byte' | 'short' | 'integer'; readonly value: number }
  | { readonly type: 'long'; readonly value: bigint }
  | { readonly type: 'binary'; readonly value: Uint8Array }
  | { readonly type: 'string'; readonly value: string }
  /** Milliseconds since 1970. */
  | { readonly type: 'timestamp'; readonly value: bigint }
  /** 8-4-4-4-12 lower-case hex digits. */
  | { readonly type: 'uuid'; readonly value: string };

export interface EventStreamMessage {
  /** In the order of the wire; of equal names the last counts. */
  readonly headers: ReadonlyMap<string, EventStreamValue>;
  /** May share memory with the chunk that it came in. */
  readonly payload: Uint8Array;
}

/**
 * `event_stream_checksum`: a CRC differs. `event_stream_malformed`: lengths or headers that cannot
 * be. `event_stream_too_large`: more than a limit. `event_stream_truncated`: the end came in a frame.
 */
export type EventStreamErrorCode =
  | 'event_stream_checksum'
  | 'event_stream_malformed'
  | 'event_stream_too_large'
  | 'event_stream_truncated';

/** The format's own limit of headers: 128 KiB. */
const EVENT_STREAM_HEADERS_MAX_BYTES = 131_072;
/** The format's own limit of a payload is 24 MiB. */
const EVENT_STREAM_PAYLOAD_MAX_BYTES = 25_165_824;

const PRELUDE_BYTES = 12;
/** Prelude and the last checksum. */
const FRAMING_BYTES = 16;
/** Real frames have three to five; each takes 3 bytes at least. */
const HEADERS_MAX = 256;

export interface EventStreamLimits {
  /** Of one frame's payload. Default: the format's own. */
  readonly payloadMaxBytes?: number;
}

/** Reads frames out of chunks that are split anywhere. After an error it takes nothing more. */
export interface EventStreamDecoder {
  /**
   * The frames that this chunk completes. Throws `EventStreamErrorCode`; where good frames come
   * before the bad one, they are given first and the next call throws, so that what is read does
   * not depend on how the stream was cut.
   */
  push(chunk: Uint8Array): EventStreamMessage[];
  /** Throws `event_stream_truncated` if the stream ends within a frame, and an error that `push` still owes. */
  finish(): void;
}

export function createEventStreamDecoder(limits: EventStreamLimits = {}): EventStreamDecoder {
  const payloadMaxBytes = limits.payloadMaxBytes ?? EVENT_STREAM_PAYLOAD_MAX_BYTES;
  // Bytes of an unfinished frame. They are joined once, when the frame is whole, so that a stream in
  // one-byte chunks costs no more than its length.
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let neededBytes = PRELUDE_BYTES;
  let failure: unknown = null;

  function take(chunk: Uint8Array): Uint8Array | null {
    if (pendingBytes === 0) return chunk;
    pending.push(chunk);
    pendingBytes += chunk.length;
    return pendingBytes < neededBytes ? null : Buffer.concat(pending, pendingBytes);
  }

  function keep(rest: Uint8Array): void {
    pending = rest.length === 0 ? [] : [rest];
    pendingBytes = rest.length;
  }

  function read(chunk: Uint8Array, messages: EventStreamMessage[]): void {
    const bytes = take(chunk);
    if (bytes === null) return;
    let at = 0;
    for (;;) {
      const left = bytes.length - at;
      neededBytes = left < PRELUDE_BYTES ? PRELUDE_BYTES : checkPrelude(bytes, at, payloadMaxBytes);
      if (left < neededBytes) break;
      messages.push(decodeFrame(bytes.subarray(at, at + neededBytes)));
      at += neededBytes;
    }
    keep(bytes.subarray(at));
  }

  return {
    push(chunk) {
      if (failure !== null) throw failure;
      const messages: EventStreamMessage[] = [];
      try {
        read(chunk, messages);
      } catch (error) {
        failure = error;
        keep(new Uint8Array(0));
        if (messages.length === 0) throw error;
      }
      return messages;
    },
    finish() {
      if (failure !== null) throw failure;
      if (pendingBytes > 0) {
        throw streamError(
          'event_stream_truncated',
          `the event stream ended after ${pendingBytes} bytes of a frame`,
        );
      }
    },
  };
}

/** One frame, whole and alone. Throws `EventStreamErrorCode`. */
export function decodeEventStreamMessage(frame: Uint8Array): EventStreamMessage {
  if (
    frame.length < FRAMING_BYTES ||
    checkPrelude(frame, 0, EVENT_STREAM_PAYLOAD_MAX_BYTES) !== frame.length
  ) {
    throw malformed('the frame is not as long as it says');
  }
  return decodeFrame(frame);
}

/** The bytes of a frame. Throws `EventStreamErrorCode` for what does not fit. */
export function encodeEventStreamMessage(message: EventStreamMessage): Buffer {
  const headers = Buffer.concat([...message.headers].map(([name, value]) => encodeHeader(name, value)));
  if (headers.length > EVENT_STREAM_HEADERS_MAX_BYTES)
    throw tooLarge('headers', headers.length, EVENT_STREAM_HEADERS_MAX_BYTES);
  if (message.payload.length > EVENT_STREAM_PAYLOAD_MAX_BYTES) {
    throw tooLarge('payload', message.payload.length, EVENT_STREAM_PAYLOAD_MAX_BYTES);
  }
  const frame = Buffer.allocUnsafe(FRAMING_BYTES + headers.length + message.payload.length);
  frame.writeUInt32BE(frame.length, 0);
  frame.writeUInt32BE(headers.length, 4);
  frame.writeUInt32BE(crc32(frame.subarray(0, 8)), 8);
  frame.set(headers, PRELUDE_BYTES);
  frame.set(message.payload, PRELUDE_BYTES + headers.length);
  frame.writeUInt32BE(crc32(frame.subarray(0, frame.length - 4)), frame.length - 4);
  return frame;
}

/** A string header's value; null if it is absent or of another type. */
export function eventStreamText(message: EventStreamMessage, name: string): string | null {
  const header = message.headers.get(name);
  return header?.type === 'string' ? header.value : null;
}

/** The frame's length, once its prelude is there and believable. Nothing is allocated on its word. */
function checkPrelude(bytes: Uint8Array, at: number, payloadMaxBytes: number): number {
  const view = viewOf(bytes);
  const total = view.getUint32(at);
  const headers = view.getUint32(at + 4);
  if (crc32(bytes.subarray(at, at + 8)) !== view.getUint32(at + 8)) {
    throw streamError('event_stream_checksum', 'the checksum of a frame prelude differs');
  }
  if (headers > EVENT_STREAM_HEADERS_MAX_BYTES)
    throw tooLarge('headers', headers, EVENT_STREAM_HEADERS_MAX_BYTES);
  if (total < FRAMING_BYTES + headers) throw malformed('a frame is shorter than its headers');
  const payload = total - headers - FRAMING_BYTES;
  if (payload > payloadMaxBytes) throw tooLarge('payload', payload, payloadMaxBytes);
  return total;
}

function decodeFrame(frame: Uint8Array): EventStreamMessage {
  const view = viewOf(frame);
  const end = frame.length - 4;
  if (crc32(frame.subarray(0, end)) !== view.getUint32(end)) {
    throw streamError('event_stream_checksum', 'the checksum of a frame differs');
  }
  const headersEnd = PRELUDE_BYTES + view.getUint32(4);
  return {
    headers: decodeHeaders(frame.subarray(PRELUDE_BYTES, headersEnd)),
    payload: frame.subarray(headersEnd, end),
  };
}

function decodeHeaders(bytes: Uint8Array): Map<string, EventStreamValue> {
  const headers = new Map<string, EventStreamValue>();
  const reader = createReader(bytes);
  for (let count = 0; reader.left() > 0; count += 1) {
    if (count >= HEADERS_MAX) throw tooLarge('headers', count + 1, HEADERS_MAX);
    const nameLength = reader.number('Uint8');
    if (nameLength === 0) throw malformed('a header has no name');
    headers.set(reader.text(nameLength), decodeValue(reader));
  }
  return headers;
}

function decodeValue(reader: Reader): EventStreamValue {
  const type = reader.number('Uint8');
  switch (type) {
    case 0:
    case 1:
      return { type: 'boolean', value: type === 0 };
    case 2:
      return { type: 'byte', value: reader.number('Int8') };
    case 3:
      return { type: 'short', value: reader.number('Int16') };
    case 4:
      return { type: 'integer', value: reader.number('Int32') };
    case 5:
      return { type: 'long', value: reader.bigInt() };
    case 6:
      return { type: 'binary', value: reader.bytes(reader.number('Uint16')) };
    case 7:
      return { type: 'string', value: reader.text(reader.number('Uint16')) };
    case 8:
      return { type: 'timestamp', value: reader.bigInt() };
    case 9:
      return { type: 'uuid', value: formatUuid(reader.bytes(16)) };
    default:
      throw malformed(`a header has the unknown type ${type}`);
  }
}

const NUMBER_BYTES = { Uint8: 1, Int8: 1, Uint16: 2, Int16: 2, Int32: 4 } as const;

interface Reader {
  left(): number;
  number(kind: keyof typeof NUMBER_BYTES): number;
  bigInt(): bigint;
  bytes(count: number): Uint8Array;
  text(count: number): string;
}

/** Reads on from the start of `bytes`; every step is checked against their end. */
function createReader(bytes: Uint8Array): Reader {
  const view = viewOf(bytes);
  let at = 0;
  const advance = (count: number): number => {
    const start = at;
    if (count > bytes.length - start) throw malformed('a header goes beyond the headers');
    at += count;
    return start;
  };
  const take = (count: number): Uint8Array => {
    const start = advance(count);
    return bytes.subarray(start, start + count);
  };
  return {
    left: () => bytes.length - at,
    number: (kind) => view[`get${kind}`](advance(NUMBER_BYTES[kind])),
    bigInt: () => view.getBigInt64(advance(8)),
    bytes: take,
    text(count) {
      const part = take(count);
      if (!isUtf8(part)) throw malformed('a header is not UTF-8');
      return Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString('utf8');
    },
  };
}

function encodeHeader(name: string, value: EventStreamValue): Buffer {
  const nameBytes = Buffer.from(name, 'utf8');
  if (nameBytes.length === 0 || nameBytes.length > 255)
    throw malformed('a header name must have 1 to 255 bytes');
  const [type, valueBytes] = encodeValue(value);
  return Buffer.concat([Buffer.of(nameBytes.length), nameBytes, Buffer.of(type), valueBytes]);
}

const FIXED = {
  byte: { type: 2, bits: 8 },
  short: { type: 3, bits: 16 },
  integer: { type: 4, bits: 32 },
  long: { type: 5, bits: 64 },
  timestamp: { type: 8, bits: 64 },
} as const;

function encodeValue(header: EventStreamValue): [type: number, bytes: Uint8Array] {
  if (header.type === 'boolean') return [header.value ? 0 : 1, Buffer.alloc(0)];
  if (header.type === 'binary') return [6, withLength(header.value)];
  if (header.type === 'string') return [7, withLength(Buffer.from(header.value, 'utf8'))];
  if (header.type === 'uuid') return [9, parseUuid(header.value)];
  const { type, bits } = FIXED[header.type];
  const value = toBigInt(header.value);
  if (value === null || BigInt.asIntN(bits, value) !== value) {
    throw malformed(`a ${header.type} must be an integer of ${bits} bits`);
  }
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return [type, bytes.subarray(8 - bits / 8)];
}

function toBigInt(value: number | bigint): bigint | null {
  if (typeof value === 'bigint') return value;
  return Number.isInteger(value) ? BigInt(value) : null;
}

function withLength(bytes: Uint8Array): Buffer {
  if (bytes.length > 0xffff) throw tooLarge('header value', bytes.length, 0xffff);
  return Buffer.concat([Buffer.of(bytes.length >>> 8, bytes.length & 0xff), bytes]);
}

function formatUuid(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function parseUuid(text: string): Buffer {
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text))
    throw malformed('a header value is not a UUID');
  return Buffer.from(text.replaceAll('-', ''), 'hex');
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function streamError(code: EventStreamErrorCode, message: string): AppError<EventStreamErrorCode> {
  return new AppError(code, message);
}

function malformed(message: string): AppError<EventStreamErrorCode> {
  return streamError('event_stream_malformed', message);
}

function tooLarge(what: string, got: number, limit: number): AppError<EventStreamErrorCode> {
  return streamError(
    'event_stream_too_large',
    `event stream ${what}: ${got}, more than the limit of ${limit}`,
  );
}
