/**
 * Claude's answers from a cloud to a caller of Anthropic Messages: the bytes are in the caller's format
 * already. Vertex streams them as they are; Bedrock's come out of their frames. Errors are the cloud's
 * and are put in the caller's words.
 */
import { encodeSseEvent } from '../../../wire/sse.ts';
import type { AnswerTranscoder, AnswerTranslation } from '../contract.ts';
import type { CloudFormat } from '../requests/cloud-claude.ts';
import { parseObject, type AnswerError } from './answer.ts';
import { anthropicErrorBody } from './errors.ts';
import { createEventSource, type EventSink, type EventSource } from './events.ts';
import { providerError } from './translation.ts';
import { stringOf } from './values.ts';

export function carryAnswers(cloud: CloudFormat): AnswerTranslation {
  return {
    streamContentType: 'text/event-stream; charset=utf-8',
    whole(status, body) {
      const isAnswer = status >= 200 && status < 300;
      const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
      if (isAnswer && parseObject(bytes.toString('utf8')) !== null)
        return { status, contentType: 'application/json', body: bytes };
      return providerError('anthropic_messages', status, body);
    },
    createTranscoder: () => (cloud === 'google_raw_predict' ? new AsItIs() : new Unframed()),
  };
}

const EMPTY = Buffer.alloc(0);

class AsItIs implements AnswerTranscoder {
  readonly fault = null;

  push(chunk: Uint8Array): Buffer {
    return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }

  finish(): Buffer {
    return EMPTY;
  }
}

/** The model's own events as server-sent ones, each under the name that its type is. */
class Unframed implements AnswerTranscoder, EventSink {
  readonly #source: EventSource = createEventSource('bedrock_model_invoke', this);
  #out: Buffer[] = [];
  #isOver = false;
  fault: string | null = null;

  push(chunk: Uint8Array): Buffer {
    this.#source.push(chunk);
    return this.#take();
  }

  finish(): Buffer {
    this.#source.finish();
    if (!this.#isOver) this.broken('the stream of the provider ended before the answer did');
    return this.#take();
  }

  event(data: Buffer): void {
    if (this.#isOver) return;
    const text = data.toString('utf8');
    const name = stringOf(parseObject(text)?.['type']);
    if (name === null) return this.broken('the provider sent an event that is no JSON object with a type');
    this.#isOver = name === 'message_stop' || name === 'error';
    this.#out.push(encodeSseEvent({ name, data: text }));
  }

  comment(): void {
    // Event streams have none.
  }

  failed(error: AnswerError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#out.push(encodeSseEvent({ name: 'error', data: JSON.stringify(anthropicErrorBody(error)) }));
  }

  broken(why: string): void {
    if (this.#isOver) return;
    this.fault = why;
    this.failed({ status: 502, message: why, code: null });
  }

  #take(): Buffer {
    const bytes = this.#out.length === 0 ? EMPTY : Buffer.concat(this.#out);
    this.#out = [];
    return bytes;
  }
}
