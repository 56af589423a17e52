/** Answers to one translated request: whole ones, errors, and streams. */
import { asArray, asRecord, type JsonRecord } from '../../formats/findings.ts';
import type {
  AnswerTranscoder,
  AnswerTranslation,
  TargetFormat,
  TranslatedAnswer,
  TranslatedFormat,
} from '../contract.ts';
import { parseJson } from '../opaque.ts';
import { ANTHROPIC_IDS, fitName, type ToolNames } from '../tool-names.ts';
import {
  parseObject,
  type Answer,
  type AnswerContext,
  type AnswerError,
  type AnswerReader,
  type AnswerSink,
  type AnswerStream,
} from './answer.ts';
import { readAnthropicAnswer, streamAnthropicAnswer, writeAnthropicAnswer } from './anthropic.ts';
import { BlockQueue, type BlockQueueOptions } from './block-queue.ts';
import { readConverseAnswer } from './converse.ts';
import { readAnswerError, writeAnswerError } from './errors.ts';
import { createEventSource, type EventSink, type EventSource } from './events.ts';
import { readGeminiAnswer, streamGeminiAnswer, writeGeminiAnswer } from './gemini.ts';
import { readChatAnswer, streamChatAnswer, writeChatAnswer } from './openai-chat.ts';
import { readResponsesAnswer } from './openai-responses-read.ts';
import { streamResponsesAnswer, writeResponsesAnswer } from './openai-responses-write.ts';

/** Bytes of a whole answer that is read. */
const ANSWER_MAX_BYTES = 64 * 1024 * 1024;

const JSON_TYPE = 'application/json';

interface AnswerFormat {
  readonly write: (answer: Answer, context: AnswerContext) => JsonRecord;
  readonly stream: (context: AnswerContext, out: Buffer[]) => AnswerStream;
  /** Prefixes of made-up ids. */
  readonly answerIdPrefix: string;
  readonly callIdPrefix: string;
}

const READERS: Readonly<Record<TargetFormat, (sink: AnswerSink) => AnswerReader>> = {
  anthropic_messages: readAnthropicAnswer,
  openai_chat: readChatAnswer,
  openai_responses: readResponsesAnswer,
  gemini_generate_content: readGeminiAnswer,
  google_raw_predict: readAnthropicAnswer,
  bedrock_model_invoke: readAnthropicAnswer,
  bedrock_converse: readConverseAnswer,
};

const FORMATS: Readonly<Record<TranslatedFormat, AnswerFormat>> = {
  anthropic_messages: {
    write: writeAnthropicAnswer,
    stream: streamAnthropicAnswer,
    answerIdPrefix: 'msg',
    callIdPrefix: 'toolu',
  },
  openai_chat: {
    write: writeChatAnswer,
    stream: streamChatAnswer,
    answerIdPrefix: 'chatcmpl',
    callIdPrefix: 'call',
  },
  openai_responses: {
    write: writeResponsesAnswer,
    stream: streamResponsesAnswer,
    answerIdPrefix: 'resp',
    callIdPrefix: 'call',
  },
  gemini_generate_content: {
    write: writeGeminiAnswer,
    stream: streamGeminiAnswer,
    answerIdPrefix: 'gen',
    callIdPrefix: 'call',
  },
};

export interface AnswersOptions {
  /** The caller's format and the provider's. */
  readonly from: TranslatedFormat;
  readonly to: TargetFormat;
  readonly names: ToolNames;
  readonly origin: string;
  readonly context: AnswerContext;
}

/** The way back of one request. */
export function createAnswers(options: AnswersOptions): AnswerTranslation {
  const { from, context } = options;
  return {
    streamContentType:
      from === 'gemini_generate_content' && context.geminiFraming === 'array'
        ? 'application/json; charset=UTF-8'
        : 'text/event-stream; charset=utf-8',
    whole: (status, body) => translateWhole(options, status, body),
    createTranscoder: () => new Transcoder(options),
  };
}

function queueOptions({ from, names, origin, context }: AnswersOptions): BlockQueueOptions {
  const { answerIdPrefix, callIdPrefix } = FORMATS[from];
  return {
    names,
    origin,
    newId: context.newId,
    answerIdPrefix,
    callIdPrefix,
    callId: from === 'anthropic_messages' ? (id) => fitName(id, ANTHROPIC_IDS) : (id) => id,
  };
}

function translateWhole(options: AnswersOptions, status: number, body: Uint8Array): TranslatedAnswer {
  const { from, to, context } = options;
  const isAnswer = status >= 200 && status < 300 && body.length <= ANSWER_MAX_BYTES;
  const parsed = isAnswer ? parseObject(asText(body)) : null;
  if (parsed === null) return providerError(from, status, body);
  const written = new WholeWriter();
  const queue = new BlockQueue(written, queueOptions(options));
  READERS[to](queue).whole(parsed);
  if (written.answer !== null) {
    const answer = FORMATS[from].write(written.answer, context);
    return { status, contentType: JSON_TYPE, body: Buffer.from(JSON.stringify(answer), 'utf8') };
  }
  const error = written.error ?? { status: 502, message: 'the provider answered with nothing', code: null };
  return errorAnswer(from, error.status, error);
}

/** What is no answer, in the caller's format: an error of the provider's, or something that cannot be read. */
export function providerError(from: TranslatedFormat, status: number, body: Uint8Array): TranslatedAnswer {
  if (status >= 200 && status < 300) {
    const message = 'the provider answered with something that is no JSON object';
    return errorAnswer(from, 502, { status: 502, message, code: null });
  }
  const parsed = body.length > ANSWER_MAX_BYTES ? null : parseJson(asText(body));
  // Google's streams tell errors in a list of one.
  const found = asRecord(Array.isArray(parsed) ? asArray(parsed)[0] : parsed);
  const error = readAnswerError(status, found ?? { message: plainMessage(body) });
  return errorAnswer(from, status < 300 ? 502 : status, error);
}

/** An error in the caller's format. */
export function errorAnswer(from: TranslatedFormat, status: number, error: AnswerError): TranslatedAnswer {
  // What is no error to a caller's SDK would be taken for an answer.
  const real = status >= 400 && status < 600 ? status : 502;
  const body = Buffer.from(JSON.stringify(writeAnswerError(from, { ...error, status: real })), 'utf8');
  return { status: real, contentType: JSON_TYPE, body };
}

/** Proxies answer in plain text or HTML; only short plain text is shown. */
function plainMessage(body: Uint8Array): string {
  const text = body.length > 1_000 ? '' : asText(body).trim();
  return text.startsWith('<') ? '' : text;
}

function asText(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
}

/** Keeps what the queue tells of a whole answer. */
class WholeWriter implements AnswerStream {
  answer: Answer | null = null;
  error: AnswerError | null = null;

  start(): void {
    // The id comes with the answer.
  }

  open(): void {
    // Blocks are taken whole, at the end.
  }

  delta(): void {
    // As `open`.
  }

  close(): void {
    // As `open`.
  }

  end(answer: Answer): void {
    this.answer = answer;
  }

  fail(error: AnswerError): void {
    this.error = error;
  }

  keepAlive(): void {
    // Whole answers need no sign of life.
  }
}

const EMPTY = Buffer.alloc(0);

class Transcoder implements AnswerTranscoder, EventSink {
  readonly #source: EventSource;
  readonly #out: Buffer[] = [];
  readonly #stream: AnswerStream;
  readonly #queue: BlockQueue;
  readonly #reader: AnswerReader;

  constructor(options: AnswersOptions) {
    this.#source = createEventSource(options.to, this);
    this.#stream = FORMATS[options.from].stream(options.context, this.#out);
    this.#queue = new BlockQueue(this.#stream, queueOptions(options));
    this.#reader = READERS[options.to](this.#queue);
  }

  get fault(): string | null {
    return this.#queue.fault;
  }

  push(chunk: Uint8Array): Buffer {
    if (!this.#queue.isOver) this.#source.push(chunk);
    return this.#take();
  }

  finish(): Buffer {
    if (!this.#queue.isOver) this.#source.finish();
    if (!this.#queue.isOver) this.#reader.close();
    this.#queue.abort('the stream of the provider ended before the answer did');
    return this.#take();
  }

  event(bytes: Buffer, name: string): void {
    if (this.#queue.isOver) return;
    const text = bytes.toString('utf8');
    const data = parseObject(text);
    if (data === null && text.trim() !== '[DONE]') {
      this.#queue.abort('the provider sent an event that is no JSON object');
      return;
    }
    if (data?.['type'] === 'ping') this.#stream.keepAlive();
    else this.#reader.event(data, name);
  }

  comment(): void {
    if (!this.#queue.isOver) this.#stream.keepAlive();
  }

  failed(error: AnswerError): void {
    this.#queue.fail(error);
  }

  broken(why: string): void {
    this.#queue.abort(why);
  }

  #take(): Buffer {
    if (this.#out.length === 0) return EMPTY;
    const bytes = this.#out.length === 1 ? (this.#out[0] ?? EMPTY) : Buffer.concat(this.#out);
    this.#out.length = 0;
    return bytes;
  }
}
