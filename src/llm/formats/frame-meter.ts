import { AppError } from '../../base/errors.ts';
import {
  createEventStreamDecoder,
  eventStreamText,
  type EventStreamMessage,
} from '../../wire/aws-event-stream.ts';
import type { Meter, MeterResult } from '../meter.ts';
import { asBuffer } from './as-buffer.ts';
import type { FrameReader } from './bedrock.ts';
import { Findings } from './findings.ts';

/** Real frames hold one event of a few kilobytes. */
const PAYLOAD_MAX_BYTES = 1 << 20;

/** Meters an AWS event stream. After a damaged frame it reads nothing more: the stream is not complete. */
export class FrameMeter implements Meter {
  readonly #reader: FrameReader;
  readonly #decoder = createEventStreamDecoder({ payloadMaxBytes: PAYLOAD_MAX_BYTES });
  readonly #seen = new Findings();
  #damaged = false;

  constructor(reader: FrameReader) {
    this.#reader = reader;
  }

  get outputChars(): number {
    return this.#seen.outputChars;
  }

  push(chunk: Uint8Array): void {
    if (this.#damaged) return;
    for (const message of this.#decode(chunk)) this.#read(message);
  }

  finish(): MeterResult {
    return this.#seen.result(this.#reader.readUsage);
  }

  #decode(chunk: Uint8Array): readonly EventStreamMessage[] {
    try {
      return this.#decoder.push(chunk);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.#damaged = true;
      return [];
    }
  }

  #read(message: EventStreamMessage): void {
    const messageType = eventStreamText(message, ':message-type') ?? 'event';
    const type =
      eventStreamText(message, ':event-type') ??
      eventStreamText(message, ':exception-type') ??
      eventStreamText(message, ':error-code') ??
      '';
    this.#reader.frame({ messageType, type, payload: asBuffer(message.payload) }, this.#seen);
  }
}
