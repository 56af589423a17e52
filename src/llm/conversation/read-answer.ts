/** Reads answers of every format, whole or streamed. Total: never throws. */
import { asArray, asRecord, type JsonRecord } from '../formats/findings.ts';
import { anthropicAnswer } from './anthropic.ts';
import { readFrames, readSse, type AnswerEvents } from './answer-events.ts';
import { converseAnswer } from './bedrock-converse.ts';
import { otherOf, type ReadAnswer } from './blocks.ts';
import { familyOf, type Family } from './families.ts';
import { geminiAnswer } from './gemini.ts';
import { chatAnswer } from './openai-chat.ts';
import { responsesAnswer } from './openai-responses.ts';
import {
  assembleAnthropic,
  assembleChat,
  assembleConverse,
  assembleGemini,
  assembleResponses,
  messageOf,
  type Assembled,
} from './stream-answers.ts';

/** What is known of the bytes of an answer. */
export interface AnswerFacts {
  readonly contentType: string | null;
  /** HTTP status that the caller got; an error's body is shown as its message. */
  readonly status: number;
  /** Bytes beyond the capture limit were left out. */
  readonly isTruncated: boolean;
}

const READERS: Readonly<Record<Family, (answer: JsonRecord) => ReadAnswer>> = {
  anthropic: anthropicAnswer,
  chat: chatAnswer,
  responses: responsesAnswer,
  gemini: geminiAnswer,
  converse: converseAnswer,
};

/** The answer in these bytes; null where the format's answers are none that people read. */
export function readAnswer(format: string, body: Uint8Array, facts: AnswerFacts): ReadAnswer | null {
  const family = familyOf(format);
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const streamed = streamOf(bytes, facts.contentType);
  if (streamed !== null) {
    if (family === undefined) return null;
    const { answer, hasEnd, error } = ASSEMBLERS[family](streamed);
    const read = READERS[family](answer);
    const isCut = facts.isTruncated || streamed.isBroken || !hasEnd;
    return { ...read, isCut, error: error ?? read.error };
  }
  const parsed = parse(bytes);
  if (facts.status >= 400) return { ...EMPTY, error: errorText(parsed, bytes), isCut: facts.isTruncated };
  if (family === undefined) return parsed === null ? null : otherAnswer(parsed, facts);
  if (Array.isArray(parsed)) {
    const { answer, hasEnd, error } = assembleGemini(recordsOf(parsed));
    return { ...geminiAnswer(answer), isCut: facts.isTruncated || !hasEnd, error };
  }
  const record = asRecord(parsed);
  if (record === null) return { ...EMPTY, isCut: true };
  if (family === 'anthropic' && !('content' in record)) return otherAnswer(record, facts);
  return { ...READERS[family](record), isCut: facts.isTruncated };
}

/** A stream put together; null where the bytes are none, or of a format without answers. Never throws. */
export function readStream(
  format: string,
  body: Uint8Array,
  contentType: string | null,
): { readonly family: Family; readonly stream: Assembled } | null {
  const family = familyOf(format);
  if (family === undefined) return null;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const streamed = streamOf(bytes, contentType);
  if (streamed !== null) return { family, stream: ASSEMBLERS[family](streamed) };
  // Gemini streams a list where no events were asked for.
  const parsed = family === 'gemini' ? parse(bytes) : null;
  return Array.isArray(parsed) ? { family, stream: assembleGemini(recordsOf(parsed)) } : null;
}

function recordsOf(values: unknown): readonly JsonRecord[] {
  return asArray(values)
    .map(asRecord)
    .filter((value) => value !== null);
}

const EMPTY: ReadAnswer = { blocks: [], stopReason: null, isCut: false, error: null };

function otherAnswer(parsed: unknown, { isTruncated }: AnswerFacts): ReadAnswer {
  return { ...EMPTY, blocks: [otherOf(parsed, null)], isCut: isTruncated };
}

const ASSEMBLERS: Readonly<Record<Family, (stream: AnswerEvents) => Assembled>> = {
  anthropic: ({ events }) => assembleAnthropic(events),
  chat: ({ events, isDone }) => assembleChat(events, isDone),
  responses: ({ events }) => assembleResponses(events),
  gemini: ({ events }) => assembleGemini(events.map(({ data }) => data)),
  converse: ({ events }) => assembleConverse(events),
};

function streamOf(bytes: Buffer, contentType: string | null): AnswerEvents | null {
  const mediaType = (contentType ?? '').split(';', 1).join('').trim().toLowerCase();
  if (mediaType === 'text/event-stream') return readSse(bytes);
  return mediaType === 'application/vnd.amazon.eventstream' ? readFrames(bytes) : null;
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
}

/** An error's own words, or the beginning of what was said instead. */
function errorText(parsed: unknown, bytes: Buffer): string {
  const inner =
    asRecord(parsed)?.['error'] ?? (Array.isArray(parsed) ? asRecord(parsed[0])?.['error'] : undefined);
  return messageOf(inner ?? asRecord(parsed)) ?? bytes.toString('utf8', 0, 1_000);
}
