/**
 * Answers of Gemini's `generateContent` (API reference, `GenerateContentResponse`), read and written.
 * Every event of a stream is a whole response; there is no last one, only a `finishReason`.
 */
import { encodeSseEvent } from '../../../wire/sse.ts';
import { asArray, asRecord, get, type JsonRecord } from '../../formats/findings.ts';
import { gemini } from '../../formats/gemini.ts';
import type { Usage } from '../../usage.ts';
import { sealOpaque } from '../opaque.ts';
import {
  parseObject,
  type Answer,
  type AnswerBlock,
  type AnswerContext,
  type AnswerReader,
  type AnswerSink,
  type AnswerStream,
  type StopReason,
} from './answer.ts';
import { geminiError, readAnswerError } from './errors.ts';
import { MergedUsage } from './merged-usage.ts';
import { stringOf, textOf } from './values.ts';

const STOP_REASONS: ReadonlyMap<string, StopReason> = new Map<string, StopReason>([
  ['STOP', 'stop'],
  ['MAX_TOKENS', 'length'],
  ['SAFETY', 'refusal'],
  ['RECITATION', 'refusal'],
  ['BLOCKLIST', 'refusal'],
  ['PROHIBITED_CONTENT', 'refusal'],
  ['SPII', 'refusal'],
]);
const STOP_NAMES: Readonly<Record<StopReason, string>> = {
  stop: 'STOP',
  stop_sequence: 'STOP',
  calls: 'STOP',
  pause: 'STOP',
  length: 'MAX_TOKENS',
  context: 'MAX_TOKENS',
  refusal: 'SAFETY',
};

/** Reads the first candidate; the signature of a call becomes opaque data before it. */
export function readGeminiAnswer(sink: AnswerSink): AnswerReader {
  return new Reader(sink);
}

class Reader implements AnswerReader {
  readonly #sink: AnswerSink;
  readonly #usage = new MergedUsage();
  #calls = 0;
  #stop: StopReason | null = null;

  constructor(sink: AnswerSink) {
    this.#sink = sink;
  }

  event(data: JsonRecord | null): void {
    if (data === null) return;
    const { error } = data;
    if (error !== undefined && error !== null) {
      this.#sink.fail(readAnswerError(500, data));
      return;
    }
    this.#sink.start({ id: stringOf(data['responseId']) });
    this.#usage.add(data['usageMetadata']);
    if (typeof get(data['promptFeedback'], 'blockReason') === 'string') this.#stop = 'refusal';
    const candidate = asArray(data['candidates']).find((found) => (get(found, 'index') ?? 0) === 0);
    for (const part of asArray(get(get(candidate, 'content'), 'parts'))) this.#readPart(part);
    const finish = get(candidate, 'finishReason');
    if (typeof finish === 'string' && finish !== '' && finish !== 'FINISH_REASON_UNSPECIFIED')
      this.#stop = STOP_REASONS.get(finish) ?? 'stop';
  }

  whole(answer: JsonRecord): void {
    this.event(answer);
    this.#stop ??= 'stop';
    this.close();
  }

  close(): void {
    if (this.#stop === null) return;
    this.#sink.end({ reason: this.#stop, stopSequence: null, usage: this.#usage.read(gemini) });
  }

  #readPart(part: unknown): void {
    const text = textOf(get(part, 'text'));
    this.#sink.text(get(part, 'thought') === true ? 'thinking' : 'text', text);
    const call = asRecord(get(part, 'functionCall'));
    if (call === null) return;
    const signature = stringOf(get(part, 'thoughtSignature'));
    if (signature !== null && signature !== '') {
      this.#sink.opaque(signature);
      this.#sink.endText();
    }
    const key = String(this.#calls);
    this.#calls += 1;
    this.#sink.openCall(key, stringOf(call['id']), textOf(call['name']));
    this.#sink.callArguments(key, JSON.stringify(asRecord(call['args']) ?? {}));
    this.#sink.endCall(key);
  }
}

/** A whole response. */
export function writeGeminiAnswer(answer: Answer, context: AnswerContext): JsonRecord {
  const parts: JsonRecord[] = [];
  let signature: JsonRecord = {};
  for (const block of answer.blocks) {
    if (block.kind === 'thinking' && block.opaque !== null)
      signature = { thoughtSignature: sealOpaque(block.opaque) };
    if (block.kind === 'thinking' && block.text === '') continue;
    parts.push(block.kind === 'call' ? { ...wholePart(block), ...signature } : wholePart(block));
    if (block.kind === 'call') signature = {};
  }
  return {
    candidates: [
      { content: { parts, role: 'model' }, finishReason: STOP_NAMES[answer.end.reason], index: 0 },
    ],
    usageMetadata: writeUsage(answer.end.usage),
    ...tail(answer.id, context),
  };
}

function tail(responseId: string, { model }: AnswerContext): JsonRecord {
  return { modelVersion: model, responseId };
}

function wholePart(block: AnswerBlock): JsonRecord {
  switch (block.kind) {
    case 'text':
    case 'refusal':
      return { text: block.text };
    case 'thinking':
      return { text: block.text, thought: true };
    case 'call':
      return { functionCall: { id: block.id, name: block.tool.name, args: parseObject(block.text) ?? {} } };
    default:
      return block satisfies never;
  }
}

function writeUsage(usage: Usage | null): JsonRecord {
  const input = usage?.inputTokens ?? 0;
  const output = usage?.outputTokens ?? 0;
  const thoughts = usage?.reasoningTokens ?? 0;
  return {
    promptTokenCount: input,
    candidatesTokenCount: Math.max(0, output - thoughts),
    totalTokenCount: input + output,
    ...(thoughts > 0 ? { thoughtsTokenCount: thoughts } : {}),
    ...(usage?.cacheReadTokens === undefined ? {} : { cachedContentTokenCount: usage.cacheReadTokens }),
  };
}

/** A stream of responses, as events or as one JSON array. Calls are told whole. */
export function streamGeminiAnswer(context: AnswerContext, out: Buffer[]): AnswerStream {
  const isArray = context.geminiFraming === 'array';
  let id = '';
  let sent = 0;
  let signature: JsonRecord = {};
  const send = (value: JsonRecord): void => {
    const data = JSON.stringify(value);
    out.push(
      isArray ? Buffer.from(`${sent === 0 ? '[' : ',\r\n'}${data}`, 'utf8') : encodeSseEvent({ data }),
    );
    sent += 1;
  };
  const sendPart = (part: JsonRecord): void =>
    send({ candidates: [{ content: { parts: [part], role: 'model' }, index: 0 }], ...tail(id, context) });
  const endArray = (): void => {
    if (isArray) out.push(Buffer.from(']'));
  };
  return {
    start(answerId) {
      id = answerId;
    },
    open() {
      // A part is told with its text.
    },
    delta(block, text) {
      if (block.kind === 'thinking') sendPart({ text, thought: true });
      else if (block.kind !== 'call') sendPart({ text });
    },
    close(block) {
      if (block.kind === 'thinking' && block.opaque !== null)
        signature = { thoughtSignature: sealOpaque(block.opaque) };
      if (block.kind !== 'call') return;
      sendPart({ ...wholePart(block), ...signature });
      signature = {};
    },
    end({ end }) {
      const content = { parts: [{ text: '' }], role: 'model' };
      send({
        candidates: [{ content, finishReason: STOP_NAMES[end.reason], index: 0 }],
        usageMetadata: writeUsage(end.usage),
        ...tail(id, context),
      });
      endArray();
    },
    fail(error) {
      send({ error: geminiError(error) });
      endArray();
    },
    keepAlive() {
      out.push(Buffer.from(isArray ? ' ' : ': keep-alive\n\n'));
    },
  };
}
