import { JsonScanError, scanJsonDocument } from '../../wire/json-scan.ts';
import type { Meter, MeterResult } from '../meter.ts';
import { asBuffer } from './as-buffer.ts';
import { parseEvent } from './event-type.ts';
import { Findings, type JsonRecord } from './findings.ts';
import type { FormatReader } from './format-reader.ts';
import { HeadAndTail } from './head-and-tail.ts';
import { JsonArrayStream } from './json-array-stream.ts';
import { KEPT, searchEnds } from './search-ends.ts';

const OPEN_BRACKET = 0x5b;
const CLOSE_BRACE = 0x7d;

/** Meters a whole JSON answer. */
export class JsonMeter implements Meter {
  readonly #reader: FormatReader;
  readonly #kept = new HeadAndTail(KEPT);

  constructor(reader: FormatReader) {
    this.#reader = reader;
  }

  push(chunk: Uint8Array): void {
    this.#kept.push(asBuffer(chunk));
  }

  finish(): MeterResult {
    const seen = new Findings();
    const whole = this.#kept.whole();
    if (whole !== null) {
      const answer = readMembers(whole, this.#reader.answerKeys);
      if (answer !== null) this.#reader.answer(answer, seen);
      // Gemini and Bedrock also call an answer complete by what it says; here the JSON decides.
      seen.complete = answer !== null;
    } else {
      searchEnds(this.#kept, this.#reader, seen);
      seen.complete = lastByte(this.#kept.tail()) === CLOSE_BRACE;
    }
    return seen.result(this.#reader.readUsage);
  }
}

/** Up to here an answer is parsed whole, which costs less than to look for the wanted members first. */
const PARSED_WHOLE_MAX_BYTES = 8_192;

/** The wanted top-level members, parsed, perhaps with others; null if the bytes are not one JSON object. */
function readMembers(json: Buffer, keys: readonly string[]): JsonRecord | null {
  if (json.length <= PARSED_WHOLE_MAX_BYTES) return parseEvent({ name: '', data: json });
  try {
    const answer: Record<string, unknown> = {};
    for (const { key, valueStart, valueEnd } of scanJsonDocument(json)) {
      if (keys.includes(key)) answer[key] = JSON.parse(json.toString('utf8', valueStart, valueEnd));
    }
    return answer;
  } catch (error) {
    if (error instanceof JsonScanError) return null;
    throw error;
  }
}

function lastByte(bytes: Buffer): number | undefined {
  let at = bytes.length - 1;
  while (at >= 0 && (bytes[at] ?? 0) <= 0x20) at -= 1;
  return bytes[at];
}

/** Meters a streamed JSON array of answers; a bare object (an error) is one answer. */
export class JsonArrayMeter implements Meter {
  readonly #reader: FormatReader;
  readonly #stream = new JsonArrayStream(KEPT);
  readonly #seen = new Findings();
  /** Takes over where the bytes turn out to be an object; undecided while they are white space. */
  #single: JsonMeter | null = null;
  #isArray = false;

  constructor(reader: FormatReader) {
    this.#reader = reader;
  }

  push(chunk: Uint8Array): void {
    const bytes = asBuffer(chunk);
    if (!this.#isArray && this.#single === null) {
      const first = bytes.find((byte) => byte > 0x20);
      if (first === undefined) return;
      if (first === OPEN_BRACKET) this.#isArray = true;
      else this.#single = new JsonMeter(this.#reader);
    }
    if (this.#single === null) this.#stream.push(bytes, (json) => this.#readElement(json));
    else this.#single.push(bytes);
  }

  finish(): MeterResult {
    if (this.#single !== null) return this.#single.finish();
    this.#seen.complete &&= this.#stream.closed;
    return this.#seen.result(this.#reader.readUsage);
  }

  #readElement(json: HeadAndTail): void {
    const whole = json.whole();
    if (whole === null) {
      searchEnds(json, this.#reader, this.#seen);
      return;
    }
    const answer = parseEvent({ name: '', data: whole });
    if (answer !== null) this.#reader.answer(answer, this.#seen);
  }
}
