/**
 * A batch of exchanges on its way to the writer's thread: a list of texts, and one buffer that is
 * handed over, not cloned, and comes back for the next batch (fresh memory costs more than the
 * copying). The sender keeps its own rows and arrays, so that a batch can be sent again after a
 * failure.
 *
 * | part of `data` | what                                                                        |
 * | -------------- | --------------------------------------------------------------------------- |
 * | numbers        | float64, those of each row (`row-table.ts`)                                 |
 * | references     | uint32, the texts of each row                                               |
 * | spans          | uint32 x 9 a row: flags; start and end of the request, the answer and the   |
 * |                | conversation within the bytes; texts of the request's and answer's type     |
 * | bytes          | bodies and conversations; behind them what an earlier batch left            |
 */
import type { SQLInputValue } from 'node:sqlite';
import { storeError } from '../errors.ts';
import type { CapturedBodies, RequestBatch } from '../shapes.ts';
import { REQUEST_CODEC } from './request-codec.ts';
import { decodeRow, encodeRows, rowLayout, TextTable } from './row-table.ts';

export interface PackedBatch {
  readonly rows: number;
  readonly texts: readonly (string | null)[];
  readonly data: ArrayBuffer;
}

/** Bodies of one row, within the batch. */
export interface PackedBodies {
  readonly request: Buffer;
  readonly requestContentType: string | null;
  readonly response: Buffer;
  readonly responseContentType: string | null;
  readonly responseTruncated: boolean;
}

/** Bytes to be copied to an offset of `data`. */
interface Copy {
  readonly bytes: Uint8Array;
  readonly at: number;
}

const LAYOUT = rowLayout(REQUEST_CODEC, ['id', 'responseId']);
const SPAN_WORDS = 9;
const ROW_BYTES = LAYOUT.numberFields.length * 8 + (LAYOUT.textFields.length + SPAN_WORDS) * 4;
const HAS_BODIES = 1;
const HAS_CONVERSATION = 2;
const IS_TRUNCATED = 4;

/** 4 MiB are copied in about 1 ms; then others have their turn. */
const COPY_BYTES_AT_ONCE = 4 * 1024 * 1024;
/** Buffers are made in steps of this size, so that one fits the next batch too. */
const DATA_STEP_BYTES = 64 * 1024;
/** A larger buffer is not kept: a batch seldom has more (DESIGN section 8, recorder bound). */
const SPARE_BYTES_MAX = 8 * 1024 * 1024;

/** Packs batches into buffers that come back. */
export class BatchPacker {
  #spare: ArrayBuffer | null = null;

  /** Rejects with `store_invalid_row` for what is no plain data. Gives way to others while it copies much. */
  async pack(batch: RequestBatch): Promise<PackedBatch> {
    const { packed, copies } = layOut(batch, (bytes) => this.#take(bytes));
    let left = COPY_BYTES_AT_ONCE;
    for (const { bytes, at } of copies) {
      for (let from = 0; from < bytes.byteLength; from += COPY_BYTES_AT_ONCE) {
        const piece = bytes.subarray(from, from + COPY_BYTES_AT_ONCE);
        new Uint8Array(packed.data, at + from).set(piece);
        left -= piece.byteLength;
        if (left > 0) continue;
        left = COPY_BYTES_AT_ONCE;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    return packed;
  }

  /** Keeps the buffer of a written batch for the next one. */
  giveBack(data: ArrayBuffer): void {
    if (data.byteLength <= SPARE_BYTES_MAX && data.byteLength > (this.#spare?.byteLength ?? 0)) {
      this.#spare = data;
    }
  }

  #take(bytes: number): ArrayBuffer {
    const spare = this.#spare;
    if (spare !== null && spare.byteLength >= bytes) {
      this.#spare = null;
      return spare;
    }
    return new ArrayBuffer(Math.ceil(bytes / DATA_STEP_BYTES) * DATA_STEP_BYTES);
  }
}

/** A batch whose bytes are still to be copied; `allocate` gives a buffer of at least so many bytes. */
export function layOut(
  batch: RequestBatch,
  allocate: (bytes: number) => ArrayBuffer,
): { readonly packed: PackedBatch; readonly copies: readonly Copy[] } {
  const bodies = new Map<string, CapturedBodies>();
  for (const body of batch.bodies) bodies.set(body.requestId, body);
  const texts = new TextTable();
  const copies: Copy[] = [];
  const spans = new Uint32Array(batch.rows.length * SPAN_WORDS);
  let end = batch.rows.length * ROW_BYTES;
  const place = (bytes: Uint8Array, word: number): void => {
    copies.push({ bytes, at: end });
    spans[word] = end;
    end += bytes.byteLength;
    spans[word + 1] = end;
  };
  const textNumber = (text: string | null): number => (text === null ? 0 : texts.numberOf(text));
  batch.rows.forEach(({ id }, index) => {
    const word = index * SPAN_WORDS;
    const body = bodies.get(id);
    const conversation = batch.conversations?.get(id);
    if (body !== undefined) {
      spans[word] = HAS_BODIES | (body.responseTruncated ? IS_TRUNCATED : 0);
      place(body.request, word + 1);
      place(body.response, word + 3);
      spans[word + 7] = textNumber(body.requestContentType);
      spans[word + 8] = textNumber(body.responseContentType);
    }
    if (conversation === undefined) return;
    spans[word] = (spans[word] ?? 0) | HAS_CONVERSATION;
    // A conversation is mostly the very same array as the captured request.
    if (conversation === body?.request) spans.copyWithin(word + 5, word + 1, word + 3);
    else place(conversation, word + 5);
  });
  const data = allocate(end);
  const parts = partsOf(data, batch.rows.length);
  encode(batch, { ...parts, texts });
  parts.spans.set(spans);
  return { packed: { rows: batch.rows.length, texts: texts.texts, data }, copies };
}

function encode(batch: RequestBatch, into: Parameters<typeof encodeRows>[2]): void {
  try {
    encodeRows(LAYOUT, batch.rows, into);
  } catch (cause) {
    throw storeError('store_invalid_row', 'a value that is no plain data cannot be stored', undefined, cause);
  }
}

function partsOf(
  data: ArrayBuffer,
  rows: number,
): { numbers: Float64Array; references: Uint32Array; spans: Uint32Array } {
  const numbers = new Float64Array(data, 0, rows * LAYOUT.numberFields.length);
  const references = new Uint32Array(data, numbers.byteLength, rows * LAYOUT.textFields.length);
  const spansAt = numbers.byteLength + references.byteLength;
  return { numbers, references, spans: new Uint32Array(data, spansAt, rows * SPAN_WORDS) };
}

/** A packed batch, read where it lies. */
export class BatchView {
  readonly rows: number;
  readonly #texts: readonly (string | null)[];
  readonly #bytes: Buffer;
  readonly #parts: ReturnType<typeof partsOf>;

  constructor({ rows, texts, data }: PackedBatch) {
    this.rows = rows;
    this.#texts = texts;
    this.#bytes = Buffer.from(data);
    this.#parts = partsOf(data, rows);
  }

  /** Puts the values of a row into `values`, in the order of `REQUEST_CODEC`. */
  readRow(row: number, values: SQLInputValue[]): void {
    decodeRow(LAYOUT, row, { ...this.#parts, texts: this.#texts }, values);
  }

  /** The bodies that came with a row; they change when the buffer is used anew. */
  bodiesOf(row: number): PackedBodies | null {
    const { spans } = this.#parts;
    const word = row * SPAN_WORDS;
    const flags = spans[word] ?? 0;
    if ((flags & HAS_BODIES) === 0) return null;
    return {
      request: this.#bytes.subarray(spans[word + 1], spans[word + 2]),
      requestContentType: this.#texts[spans[word + 7] ?? 0] ?? null,
      response: this.#bytes.subarray(spans[word + 3], spans[word + 4]),
      responseContentType: this.#texts[spans[word + 8] ?? 0] ?? null,
      responseTruncated: (flags & IS_TRUNCATED) !== 0,
    };
  }

  /** The request body to derive the session of a row from. */
  conversationOf(row: number): Buffer | null {
    const { spans } = this.#parts;
    const word = row * SPAN_WORDS;
    if (((spans[word] ?? 0) & HAS_CONVERSATION) === 0) return null;
    return this.#bytes.subarray(spans[word + 5], spans[word + 6]);
  }

  /** Whether the conversation of a row is the very bytes of its captured request. */
  isConversationTheRequest(row: number): boolean {
    const { spans } = this.#parts;
    const word = row * SPAN_WORDS;
    return spans[word + 5] === spans[word + 1] && spans[word + 6] === spans[word + 2];
  }
}
