/**
 * What may be changed in an answer on its way: text, piece by piece, and tool calls, one by one.
 * Each dialect implements it for its streams and its whole answers (docs/design/0006-deciding.md).
 * What nobody governs passes byte for byte.
 */
import type { JsonValue } from '../../wire/hujson.ts';

/** A call that the model asks the caller to run. */
export interface ToolCall {
  /** The provider's id of the call; null where the format has none (Gemini without ids). */
  readonly id: string | null;
  readonly name: string;
  /** As the model wrote it: JSON text, or free text for custom tools. */
  readonly argumentsText: string;
  /** Undefined where the text is no JSON (custom tools, a model's slip). */
  readonly arguments: JsonValue | undefined;
}

export type ToolVerdict =
  | { readonly action: 'allow' }
  /** The call goes, the text comes in its place. */
  | { readonly action: 'deny'; readonly text: string }
  | { readonly action: 'rewrite'; readonly argumentsText: string };

export interface ToolGate {
  /** Whether calls of this tool are held until decided; others pass as they come. */
  readonly governs: (name: string) => boolean;
  /** Decides a whole call. A promise holds the stream from this call on; it never rejects. */
  readonly decide: (call: ToolCall) => ToolVerdict | Promise<ToolVerdict>;
  /** Most bytes held back in one answer; beyond them the calls held are denied with `tooLargeText`. */
  readonly heldMaxBytes: number;
  readonly tooLargeText: string;
}

/** Changes the text of one block as it streams; may keep a tail back until it knows. */
export interface TextFilter {
  push(text: string): string;
  finish(): string;
}

/** `thinking` is never offered: its signatures cover it. */
export type TextKind = 'text' | 'tool_arguments';

export interface AnswerEdits {
  readonly tools: ToolGate | null;
  /** A filter for a block of text, made when the block begins; null leaves text, or text of that kind, as it is. */
  readonly text: ((kind: TextKind) => TextFilter | null) | null;
}

/** A call that was refused in an answer: what later turns must know of it. */
export interface RefusedCall {
  readonly id: string | null;
  readonly name: string;
  readonly text: string;
  /** The call as the provider wrote it (JSON), where a later turn may need it again; else absent. */
  readonly original?: string;
}

/** Edits one stream. Never throws on bad input: what it cannot read it passes only if nothing is governed, else it ends with `fault`. */
export interface AnswerEditor {
  /** The bytes that may go on now. */
  push(chunk: Uint8Array): Buffer;
  /** What is left at the end. Only after `held` is null. */
  finish(): Buffer;
  /** Settles when a decision that holds the stream has fallen; then `push` of nothing frees bytes. Null while nothing is held. */
  readonly held: Promise<void> | null;
  /** Bytes kept back now. */
  readonly heldBytes: number;
  /** What the format allows as a sign of life between two events; empty where it allows none. */
  keepAlive(): Buffer;
  readonly refused: readonly RefusedCall[];
  /** Why the stream cannot be governed (an event that no parser reads); null while all is well. The relay then ends it with an error. */
  readonly fault: string | null;
}

/** A whole answer, edited. */
export interface EditedAnswer {
  readonly body: Buffer;
  readonly refused: readonly RefusedCall[];
  readonly fault: string | null;
}
