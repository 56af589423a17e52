/** The middle form of an answer: events as a provider tells it, blocks as they are written. */
import { asRecord, type JsonRecord } from '../../formats/findings.ts';
import type { Usage } from '../../usage.ts';
import type { Opaque, ToolName } from '../conversation.ts';

/** Why the model stopped. `pause`: the provider's own tools have more to do. */
export type StopReason = 'stop' | 'stop_sequence' | 'length' | 'calls' | 'refusal' | 'context' | 'pause';

/** An error as a provider tells it; the message is the provider's. */
export interface AnswerError {
  /** HTTP status, or what it would have been inside a stream. */
  readonly status: number;
  readonly message: string;
  /** The provider's code, where it means something to callers: `context_length_exceeded`. */
  readonly code: string | null;
}

export interface AnswerHead {
  readonly id: string | null;
}

export interface AnswerEnd {
  readonly reason: StopReason;
  readonly stopSequence: string | null;
  readonly usage: Usage | null;
}

/** What a reader of a provider's answer tells, in the order of the answer. */
export interface AnswerSink {
  start(head: AnswerHead): void;
  /** Opens a block of this kind if the last one is of another. Empty text says nothing. */
  text(kind: 'text' | 'refusal' | 'thinking', text: string): void;
  /** The provider's own bytes for the thinking block at hand, or for one without text. */
  opaque(data: string): void;
  /** Ends the block of text or thinking at hand. */
  endText(): void;
  /** `key` tells the calls of one answer apart. */
  openCall(key: string, id: string | null, name: string): void;
  callArguments(key: string, text: string): void;
  endCall(key: string): void;
  /** The last event of an answer; later ones are ignored. */
  end(end: AnswerEnd): void;
  /** As `end`, for an answer that failed. */
  fail(error: AnswerError): void;
}

/** Reads one answer of one format, whole or as events. Never throws. */
export interface AnswerReader {
  /** One event of a stream. `data` is null for what is no JSON object (`[DONE]`). */
  event(data: JsonRecord | null, name: string): void;
  whole(answer: JsonRecord): void;
  /** The stream has ended without `end`: whether that is its proper end in this format. Tells `end` if so. */
  close(): void;
}

/** A block of an answer; `text` is the whole once it is closed. */
export type AnswerBlock = TextAnswer | ThinkingAnswer | CallAnswer;

export interface TextAnswer {
  readonly kind: 'text' | 'refusal';
  /** Position among the blocks, from 0. */
  readonly index: number;
  text: string;
}

export interface ThinkingAnswer {
  readonly kind: 'thinking';
  readonly index: number;
  text: string;
  opaque: Opaque | null;
}

export interface CallAnswer {
  readonly kind: 'call';
  readonly index: number;
  readonly id: string;
  readonly tool: ToolName;
  /** Arguments, as JSON text. */
  text: string;
}

/** A whole answer. */
export interface Answer {
  readonly id: string;
  readonly blocks: readonly AnswerBlock[];
  readonly end: AnswerEnd;
}

/** Writes one stream, block after block: none is open while another one is. */
export interface AnswerStream {
  start(id: string): void;
  open(block: AnswerBlock): void;
  delta(block: AnswerBlock, text: string): void;
  close(block: AnswerBlock): void;
  end(answer: Answer): void;
  fail(error: AnswerError): void;
  /** A sign of life that the format allows. */
  keepAlive(): void;
}

/** What writers of answers know of the request. */
export interface AnswerContext {
  /** The name that the caller used. */
  readonly model: string;
  readonly createdSec: number;
  readonly newId: (prefix: string) => string;
  /** A guess at the request's size, for formats that tell it before the provider does. */
  readonly estimatedInputTokens: number;
  /** Of streams in Chat Completions. */
  readonly includeUsage: boolean;
  readonly geminiFraming: 'sse' | 'array';
  /** The caller's own request: Responses repeats parts of it. */
  readonly request: JsonRecord;
}

/** The text of a custom tool's call: the member `input`, or the whole where the model wrote something else. */
export function customInput(argumentsText: string): string {
  const parsed = parseObject(argumentsText);
  const input = parsed?.['input'];
  return typeof input === 'string' ? input : argumentsText;
}

/** A JSON object, or null. */
export function parseObject(text: string): JsonRecord | null {
  try {
    return asRecord(JSON.parse(text));
  } catch {
    return null;
  }
}
