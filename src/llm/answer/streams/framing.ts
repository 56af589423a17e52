/**
 * How events lie on the wire, apart from what they say: server-sent events, AWS frames, elements of
 * a JSON array. A framing cuts a stream into whole events in any chunking and keeps their bytes, so
 * that what nobody edits goes on as it came.
 */

/** One event of a stream. */
export interface StreamEvent {
  /** Every byte of it on the wire; may share memory with the chunk. All events together are the stream. */
  readonly raw: Buffer;
  /** The `event` field, or the frame's `:event-type`; '' where there is none. */
  readonly name: string;
  /** The JSON text; null where there is none (a comment, a heartbeat, an exception frame, a closing bracket). */
  readonly data: Buffer | null;
  /** What closes the stream: nothing can be put behind it. */
  readonly isLast?: boolean;
}

export interface StreamEventSink {
  event(event: StreamEvent): void;
  /** The stream cannot be cut into events from here on. `reason` is safe to show. */
  broken(reason: string): void;
}

/** Cuts one stream and writes further events for it. Never throws on bad input. */
export interface Framing {
  push(chunk: Uint8Array, sink: StreamEventSink): void;
  /** The stream is over: what is left of an unfinished event is given, or the stream called broken. */
  finish(sink: StreamEventSink): void;
  /** A new event, to stand behind one that was read. `name` is ignored where the framing has none. */
  encode(name: string, json: string): Buffer;
  /** An event that was read, with other data. */
  replace(event: StreamEvent, data: Buffer): Buffer;
  /** Bytes that readers skip between two events; empty where the framing has none. */
  readonly keepAlive: Buffer;
}

/**
 * 16 MiB: the largest events are pictures in base64 (Gemini). A larger one cannot be governed.
 */
export const EVENT_MAX_BYTES = 1 << 24;

export const NO_BYTES: Buffer = Buffer.alloc(0);

/** What is said of a stream that ends within an event or a held call. */
export const TRUNCATED = 'the stream ended in the middle of an event';
