/**
 * Results of a batch: one JSON object a line, each with the answer that the request would have had.
 * OpenAI Batch API: `{ custom_id, response: { status_code, body }, error }`; Anthropic Message
 * Batches: `{ custom_id, result: { type, message } }`. Usage is summed by model as the lines pass.
 */
import type { BatchModelUsage, Meter, MeterResult } from '../meter.ts';
import type { Usage } from '../usage.ts';
import { anthropicMessages } from './anthropic-messages.ts';
import { asBuffer } from './as-buffer.ts';
import { Findings, asRecord, get, type JsonRecord } from './findings.ts';
import type { FormatReader } from './format-reader.ts';
import { openaiChat } from './openai-chat.ts';
import { openaiImages } from './openai-media.ts';
import { openaiResponses } from './openai-responses.ts';

const NEWLINE = 0x0a;
/** A longer line is not read: it counts as unread. Answers with pictures are a few MiB. */
const LINE_MAX_BYTES = 16 << 20;
/** A batch is over one model as a rule; what is beyond counts as unread. */
const MODELS_MAX = 64;

interface Sum {
  answers: number;
  usage: Usage;
}

export class BatchResultsMeter implements Meter {
  readonly #sums = new Map<string, Sum>();
  #pieces: Buffer[] = [];
  #lineBytes = 0;
  #unread = 0;

  push(chunk: Uint8Array): void {
    let rest = asBuffer(chunk);
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      this.#keep(rest.subarray(0, end));
      this.#endLine();
      rest = rest.subarray(end + 1);
    }
    // A piece of a line outlives the chunk that it came in, which belongs to the connection.
    if (rest.length > 0) this.#keep(Buffer.from(rest));
  }

  finish(): MeterResult {
    this.#endLine();
    const models: BatchModelUsage[] = [...this.#sums].map(([model, sum]) => ({ model, ...sum }));
    return { ...new Findings().result(() => null), complete: true, batch: { models, unread: this.#unread } };
  }

  #keep(piece: Buffer): void {
    this.#lineBytes += piece.length;
    if (this.#lineBytes <= LINE_MAX_BYTES) this.#pieces.push(piece);
    else this.#pieces = [];
  }

  #endLine(): void {
    const isTooLong = this.#lineBytes > LINE_MAX_BYTES;
    const text = Buffer.concat(this.#pieces).toString('utf8').trim();
    this.#pieces = [];
    this.#lineBytes = 0;
    if (isTooLong) this.#unread += 1;
    else if (text !== '') this.#readLine(text);
  }

  #readLine(text: string): void {
    const line = parseLine(text);
    const answer = line === null ? undefined : answerOf(line);
    // Requests that failed or were cancelled cost nothing.
    if (answer === null) return;
    const read = answer === undefined ? null : readAnswer(answer);
    if (read === null || !this.#add(read.model, read.usage)) this.#unread += 1;
  }

  #add(model: string, usage: Usage): boolean {
    const sum = this.#sums.get(model);
    if (sum === undefined) {
      if (this.#sums.size >= MODELS_MAX) return false;
      this.#sums.set(model, { answers: 1, usage });
      return true;
    }
    sum.answers += 1;
    sum.usage = addUsage(sum.usage, usage);
    return true;
  }
}

function parseLine(text: string): JsonRecord | null {
  try {
    return asRecord(JSON.parse(text));
  } catch {
    return null;
  }
}

/** The answer in a line; null where the request brought none; undefined where the line is not understood. */
function answerOf(line: JsonRecord): JsonRecord | null | undefined {
  const result = asRecord(line['result']);
  if (result !== null)
    return result['type'] === 'succeeded' ? (asRecord(result['message']) ?? undefined) : null;
  const response = asRecord(line['response']);
  if (response === null) return line['error'] === undefined || line['error'] === null ? undefined : null;
  const status = response['status_code'];
  if (typeof status === 'number' && status >= 400) return null;
  return asRecord(response['body']) ?? undefined;
}

function readAnswer(answer: JsonRecord): { readonly model: string; readonly usage: Usage } | null {
  const reader = readerOf(answer);
  const seen = new Findings();
  reader.answer(answer, seen);
  const { usage, model } = seen.result(reader.readUsage);
  return usage === null ? null : { model: model ?? '', usage };
}

function readerOf(answer: JsonRecord): FormatReader {
  if (answer['type'] === 'message') return anthropicMessages;
  if (answer['object'] === 'response') return openaiResponses;
  const isImages = get(answer['usage'], 'input_tokens') !== undefined && answer['object'] === undefined;
  return isImages ? openaiImages : openaiChat;
}

function addUsage(a: Usage, b: Usage): Usage {
  const sum: Record<string, number> = { ...a };
  for (const [name, count] of Object.entries(b)) sum[name] = (sum[name] ?? 0) + Number(count);
  return sum;
}
