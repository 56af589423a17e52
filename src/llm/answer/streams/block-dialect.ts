/** What Anthropic's Messages and Bedrock's Converse have in common: an answer is a list of blocks, each started, filled by deltas and stopped. */
import type { StreamEvent } from './framing.ts';
import type { JsonRecord } from './event-json.ts';

export type BlockKind =
  /** A call that the caller is asked to run. `input` is the JSON that the start (or a whole block) holds; `{}` for none. */
  | { readonly kind: 'call'; readonly id: string | null; readonly name: string; readonly input: string }
  | { readonly kind: 'text'; readonly text: string }
  /** A call that the provider runs itself: governed by the request's list of tools. */
  | { readonly kind: 'server' }
  /** No call: thinking, results of the provider's tools. What is not known here must not name a governed tool. */
  | { readonly kind: 'other'; readonly isKnown: boolean };

export type BlockStep =
  | { readonly kind: 'start'; readonly index: number; readonly block: BlockKind; readonly value: JsonRecord }
  | { readonly kind: 'text'; readonly index: number; readonly text: string; readonly value: JsonRecord }
  | { readonly kind: 'arguments'; readonly index: number; readonly text: string }
  | { readonly kind: 'delta'; readonly index: number; readonly value: JsonRecord }
  | { readonly kind: 'stop'; readonly index: number; readonly value: JsonRecord }
  /** The event that says why the answer ended. */
  | { readonly kind: 'end'; readonly endsWithCalls: boolean; readonly value: JsonRecord }
  /** Known or not, it holds no block; it passes unless it names a governed tool. */
  | { readonly kind: 'apart'; readonly value: JsonRecord }
  /** It cannot be read, or in more than one way. */
  | { readonly kind: 'unreadable'; readonly reason: string };

/** An event to be written. */
export interface NewEvent {
  readonly name: string;
  readonly value: object;
}

/** How one format writes blocks. */
export interface BlockDialect {
  /** Whether a text block may begin with its first delta. */
  readonly startsImplicitly: boolean;
  /** Reads an event that has data. */
  decode(event: StreamEvent): BlockStep;
  /** How the data of text deltas of a block begins where it is written plainly; up to the opening quote. */
  plainPrefixes(index: number): readonly Buffer[];
  /** The name that an event with plain data must have, if it has one. */
  readonly deltaName: string;
  /** Where text stands in a delta's data, and in a start's. */
  readonly deltaTextPath: readonly string[];
  readonly startTextPath: readonly string[];
  /** Where a start holds input that deltas will replace; null if it cannot. */
  readonly startInputPath: readonly string[] | null;
  readonly stopReasonPath: readonly string[];
  textBlock(index: number, text: string): readonly NewEvent[];
  textDelta(index: number, text: string): NewEvent;
  argumentsDelta(index: number, json: string): NewEvent;
  stop(index: number): NewEvent;
  readonly whole: WholeBlocks;
}

/** A whole answer of the format. */
export interface WholeBlocks {
  readonly contentPath: readonly string[];
  readonly stopReasonPath: readonly string[];
  /** Where text and a call's input stand in a block. */
  readonly textPath: readonly string[];
  readonly inputPath: readonly string[];
  /** Whether a value is an answer with content. Others (errors) pass if they name no governed tool. */
  isAnswer(value: JsonRecord): boolean;
  classify(block: unknown): BlockKind | null;
  textBlock(text: string): object;
}

/** The stop reason of both formats for an answer that asks for calls. */
export const STOP_FOR_CALLS = 'tool_use';
/** And for one that is done. */
export const STOP_AT_END = 'end_turn';
