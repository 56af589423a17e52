/**
 * The events of a streamed answer as JSON texts, for programs that are told of them: those of server-sent
 * events and of Gemini's lists byte for byte; of AWS event streams the model's own (InvokeModel), or one member
 * under the event's name, as AWS's clients show them (`{"contentBlockDelta": {…}}`).
 */
import {
  createEventStreamDecoder,
  eventStreamText,
  type EventStreamMessage,
} from '../../wire/aws-event-stream.ts';
import { readSseEvent, SseSplitter } from '../../wire/sse.ts';
import { asBuffer } from '../formats/as-buffer.ts';
import { get } from '../formats/findings.ts';
import { JsonArrayStream } from '../formats/json-array-stream.ts';
import { parseObject } from './read-request.ts';

/** In their order; what cannot be read is left out, and nothing follows a damaged frame. Never throws. */
export function eventTexts(stream: Buffer, contentType: string | null): readonly Buffer[] {
  const mediaType = (contentType ?? '').split(';', 1).join('').trim().toLowerCase();
  if (mediaType === 'application/vnd.amazon.eventstream') return frameTexts(stream);
  return mediaType === 'application/json' ? elementTexts(stream) : sseTexts(stream);
}

function sseTexts(stream: Buffer): readonly Buffer[] {
  const texts: Buffer[] = [];
  const splitter = new SseSplitter({ eventMaxBytes: stream.length + 1 });
  splitter.push(stream, {
    event(raw) {
      const event = readSseEvent(raw);
      if (event !== null) texts.push(Buffer.from(event.data));
    },
    oversized: () => undefined,
  });
  return texts;
}

function elementTexts(stream: Buffer): readonly Buffer[] {
  const texts: Buffer[] = [];
  const limits = { wholeMaxBytes: stream.length, headBytes: 0, tailBytes: 0 };
  new JsonArrayStream(limits).push(stream, (element) => {
    const text = element.whole();
    if (text !== null) texts.push(Buffer.from(text));
  });
  return texts;
}

function frameTexts(stream: Buffer): readonly Buffer[] {
  const texts: Buffer[] = [];
  const decoder = createEventStreamDecoder();
  try {
    for (const frame of decoder.push(stream)) texts.push(frameText(frame));
  } catch {
    // The frames before the damaged one are given; what it hides nobody can tell.
  }
  return texts;
}

function frameText(frame: EventStreamMessage): Buffer {
  const payload = asBuffer(frame.payload);
  const type =
    eventStreamText(frame, ':event-type') ??
    eventStreamText(frame, ':exception-type') ??
    eventStreamText(frame, ':error-code') ??
    'event';
  const wrapped = type === 'chunk' ? get(parseObject(payload), 'bytes') : undefined;
  if (typeof wrapped === 'string') return Buffer.from(wrapped, 'base64');
  return Buffer.concat([Buffer.from(`{${JSON.stringify(type)}:`), payload, Buffer.from('}')]);
}
