/** The pieces of a streamed answer, one after another, whatever they were framed in. */
import { createEventStreamDecoder, eventStreamText } from '../../wire/aws-event-stream.ts';
import { readSseEvent, SseSplitter } from '../../wire/sse.ts';
import { asRecord, get, type JsonRecord } from '../formats/findings.ts';

export interface AnswerEvent {
  /** The event's name, or the frame's type; '' where there is none. */
  readonly name: string;
  readonly data: JsonRecord;
}

export interface AnswerEvents {
  readonly events: readonly AnswerEvent[];
  /** Some bytes were no event that could be read. */
  readonly isBroken: boolean;
  /** `data: [DONE]` was seen. */
  readonly isDone: boolean;
}

/** Larger events hold pictures; their text is not worth more memory. */
const EVENT_MAX_BYTES = 16 * 1024 * 1024;

/** Server-sent events whose data is a JSON object. Never throws. */
export function readSse(bytes: Buffer): AnswerEvents {
  const events: AnswerEvent[] = [];
  let isBroken = false;
  let isDone = false;
  const take = (raw: Buffer): void => {
    const event = readSseEvent(raw);
    if (event === null) return;
    const text = event.data.toString('utf8');
    if (text.trim() === '[DONE]') {
      isDone = true;
      return;
    }
    const data = parse(text);
    if (data === null) isBroken = true;
    else events.push({ name: event.name, data });
  };
  const splitter = new SseSplitter({ eventMaxBytes: EVENT_MAX_BYTES });
  splitter.push(bytes, {
    event: take,
    oversized: () => {
      isBroken = true;
    },
  });
  // A last event without its blank line does not count as one (WHATWG HTML section 9.2.6): the blank
  // lines finish it, and a whole JSON object in it is worth showing.
  splitter.push(Buffer.from('\n\n'), { event: take, oversized: () => undefined });
  return { events, isBroken, isDone };
}

/** Frames of an AWS event stream; those of InvokeModel hold the model's own events in base64. Never throws. */
export function readFrames(bytes: Buffer): AnswerEvents {
  const events: AnswerEvent[] = [];
  let isBroken = false;
  const decoder = createEventStreamDecoder();
  try {
    for (const frame of decoder.push(bytes)) {
      const payload = Buffer.from(frame.payload.buffer, frame.payload.byteOffset, frame.payload.byteLength);
      const data = parse(payload.toString('utf8'));
      if (data === null) {
        isBroken = true;
        continue;
      }
      const type = eventStreamText(frame, ':event-type') ?? eventStreamText(frame, ':exception-type') ?? '';
      const inner = get(data, 'bytes');
      const unwrapped =
        type === 'chunk' && typeof inner === 'string'
          ? parse(Buffer.from(inner, 'base64').toString('utf8'))
          : null;
      events.push(unwrapped === null ? { name: type, data } : { name: '', data: unwrapped });
    }
    decoder.finish();
  } catch {
    isBroken = true;
  }
  return { events, isBroken, isDone: false };
}

function parse(text: string): JsonRecord | null {
  try {
    return asRecord(JSON.parse(text));
  } catch {
    return null;
  }
}
