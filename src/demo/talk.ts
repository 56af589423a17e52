/** A conversation before it has a wire format, and what the fake model answers. */

export interface ToolSpec {
  readonly name: string;
  readonly description: string;
  /** Names of its text arguments. */
  readonly parameters: readonly string[];
}

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: Readonly<Record<string, string>>;
}

/** Tokens as the fake provider reports them; `cacheRead` and `cacheWrite` are not part of `input`. */
export interface ReplyUsage {
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  /** Thinking included. */
  readonly output: number;
  readonly reasoning: number;
}

export interface Reply {
  readonly thinking: string | null;
  readonly text: string;
  readonly calls: readonly ToolCall[];
  readonly usage: ReplyUsage;
  /** Until the first byte. */
  readonly firstByteMs: number;
  /** From the first byte to the last. */
  readonly writingMs: number;
  /** The provider answers with this status in place of all that. */
  readonly failure: number | null;
  /** The stream breaks off half-way. */
  readonly breaksOff: boolean;
}

export type TalkItem =
  | { readonly kind: 'user'; readonly text: string }
  | { readonly kind: 'reply'; readonly reply: Reply }
  | {
      readonly kind: 'results';
      readonly results: readonly { readonly call: ToolCall; readonly output: string }[];
    };

export interface Talk {
  readonly model: string;
  readonly system: string;
  readonly tools: readonly ToolSpec[];
  readonly items: readonly TalkItem[];
  readonly stream: boolean;
  readonly maxTokens: number;
}

/** One wire format, from both sides. */
export interface TalkFormat {
  path(talk: Talk): string;
  readonly headers: Readonly<Record<string, string>>;
  body(talk: Talk): object;
  /** The unstreamed answer. `id` is unique. */
  whole(reply: Reply, at: AnswerFacts): object;
  /** The stream, an item an event. */
  stream(reply: Reply, at: AnswerFacts): readonly string[];
}

export interface AnswerFacts {
  readonly id: string;
  readonly model: string;
  readonly createdSec: number;
}

/** What an answer of these tokens says of itself in pieces, as models write: some words at a time. */
export function piecesOf(text: string, count: number): readonly string[] {
  const size = Math.max(1, Math.ceil(text.length / count));
  return Array.from({ length: Math.ceil(text.length / size) }, (_, i) =>
    text.slice(i * size, (i + 1) * size),
  );
}

export function schemaOf(tool: ToolSpec): object {
  return {
    type: 'object',
    properties: Object.fromEntries(tool.parameters.map((name) => [name, { type: 'string' }])),
    required: tool.parameters,
  };
}

export function dataEvent(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

export function namedEvent(value: { readonly type: string; readonly [member: string]: unknown }): string {
  return `event: ${value.type}\n${dataEvent(value)}`;
}

/** Pieces of a text in one stream: enough to look alive, few enough to be quick. */
export const STREAM_PIECES = 6;
