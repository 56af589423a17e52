/**
 * AWS event streams (wire/aws-event-stream.ts), frame by frame with their bytes. A frame that
 * readers could take differently (a repeated header) breaks the stream.
 */
import {
  decodeEventStreamMessage,
  encodeEventStreamMessage,
  eventStreamText,
  type EventStreamMessage,
  type EventStreamValue,
} from '../../../wire/aws-event-stream.ts';
import {
  EVENT_MAX_BYTES,
  NO_BYTES,
  TRUNCATED,
  type Framing,
  type StreamEvent,
  type StreamEventSink,
} from './framing.ts';

const PRELUDE_BYTES = 12;

/** What is inside the frames of one format. */
export interface FrameContent {
  /** The event that a frame of type `event` carries; null if it cannot be read. */
  open(type: string, payload: Buffer): { readonly name: string; readonly data: Buffer | null } | null;
  /** The other way: the frame's event type and payload. */
  wrap(name: string, data: Buffer): { readonly type: string; readonly payload: Buffer };
}

/** Frames whose payload is the event (Converse). */
export const PLAIN_FRAMES: FrameContent = {
  open: (name, data) => ({ name, data }),
  wrap: (type, payload) => ({ type, payload }),
};

export class FrameFraming implements Framing {
  /** The format has no event that every reader skips. */
  readonly keepAlive = NO_BYTES;
  readonly #content: FrameContent;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #neededBytes = PRELUDE_BYTES;

  constructor(content: FrameContent) {
    this.#content = content;
  }

  push(chunk: Uint8Array, sink: StreamEventSink): void {
    const bytes = this.#join(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    if (bytes === null) return;
    let at = 0;
    for (;;) {
      const left = bytes.length - at;
      this.#neededBytes = left < PRELUDE_BYTES ? PRELUDE_BYTES : bytes.readUInt32BE(at);
      if (this.#neededBytes > EVENT_MAX_BYTES || this.#neededBytes < PRELUDE_BYTES) {
        sink.broken('a frame of the event stream has a length that cannot be');
        return;
      }
      if (left < this.#neededBytes) break;
      if (!this.#read(bytes.subarray(at, at + this.#neededBytes), sink)) return;
      at += this.#neededBytes;
    }
    const rest = bytes.subarray(at);
    this.#pending = rest.length === 0 ? [] : [rest];
    this.#pendingBytes = rest.length;
  }

  finish(sink: StreamEventSink): void {
    if (this.#pendingBytes > 0) sink.broken(TRUNCATED);
  }

  encode(name: string, json: string): Buffer {
    return this.#frame(name, Buffer.from(json, 'utf8'));
  }

  replace(event: StreamEvent, data: Buffer): Buffer {
    return this.#frame(event.name, data);
  }

  /** Unfinished frames are joined once, when they are whole, so that tiny chunks cost no more than their bytes. */
  #join(chunk: Buffer): Buffer | null {
    if (this.#pendingBytes === 0) return chunk;
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    return this.#pendingBytes < this.#neededBytes ? null : Buffer.concat(this.#pending, this.#pendingBytes);
  }

  /** Whether the frame could be read. */
  #read(raw: Buffer, sink: StreamEventSink): boolean {
    const message = decode(raw);
    const kind = message === null ? null : eventStreamText(message, ':message-type');
    if (message === null || kind === null) {
      sink.broken('a frame of the event stream cannot be read');
      return false;
    }
    // Exceptions and errors end the stream for every reader.
    if (kind !== 'event') {
      sink.event({ raw, name: '', data: null });
      return true;
    }
    const { buffer, byteOffset, byteLength } = message.payload;
    const payload = Buffer.from(buffer, byteOffset, byteLength);
    const opened = this.#content.open(eventStreamText(message, ':event-type') ?? '', payload);
    if (opened === null) {
      sink.broken('the payload of a frame cannot be read');
      return false;
    }
    sink.event({ raw, ...opened });
    return true;
  }

  #frame(name: string, data: Buffer): Buffer {
    const { type, payload } = this.#content.wrap(name, data);
    const text = (value: string): EventStreamValue => ({ type: 'string', value });
    return encodeEventStreamMessage({
      headers: new Map([
        [':event-type', text(type)],
        [':content-type', text('application/json')],
        [':message-type', text('event')],
      ]),
      payload,
    });
  }
}

/** The message; null if its checksums or lengths are wrong, or a header is there twice. */
function decode(raw: Buffer): EventStreamMessage | null {
  try {
    const message = decodeEventStreamMessage(raw);
    return headersBytes(message) === raw.readUInt32BE(4) ? message : null;
  } catch {
    return null;
  }
}

/** The length of a message's headers if each is there once; -1 for types of value that Bedrock does not use. */
function headersBytes({ headers }: EventStreamMessage): number {
  let total = 0;
  for (const [name, value] of headers) {
    if (value.type !== 'string') return -1;
    // Length of the name, name, type, length of the value, value.
    total += 1 + Buffer.byteLength(name) + 1 + 2 + Buffer.byteLength(value.value);
  }
  return total;
}
