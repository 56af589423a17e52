/**
 * The middle form of a request: what the formats have in common, in no format's words. Absent is
 * null, lists are empty. Everything in it is the caller's text and not verified.
 */
import type { JsonRecord } from '../formats/findings.ts';

/** How long a prompt may stay in the provider's cache, where the caller marked it. */
export type CacheHint = '5m' | '1h' | null;

export interface TextBlock {
  readonly type: 'text';
  readonly text: string;
  readonly cache: CacheHint;
}

export type MediaSource =
  | { readonly kind: 'base64'; readonly mediaType: string; readonly data: string }
  | { readonly kind: 'url'; readonly url: string };

export interface ImageBlock {
  readonly type: 'image';
  readonly source: MediaSource;
  readonly cache: CacheHint;
}

export interface DocumentBlock {
  readonly type: 'document';
  readonly source: MediaSource;
  readonly name: string | null;
  readonly cache: CacheHint;
}

/** Reasoning of an earlier turn. */
export interface ThinkingBlock {
  readonly type: 'thinking';
  readonly text: string;
  /** What only its own provider can read; null where nobody's, or the caller's own and therefore a stranger's. */
  readonly opaque: Opaque | null;
}

/** A provider's own bytes and whose they are (`originOf`). */
export interface Opaque {
  readonly origin: string;
  readonly data: string;
}

/**
 * How the caller's format speaks of a tool. `custom` takes free text, which travels as
 * `{"input": "…"}`; `local_shell` and `tool_search` are tools of Responses that the caller runs.
 */
export type ToolKind = 'function' | 'custom' | 'local_shell' | 'tool_search';

export interface ToolName {
  readonly kind: ToolKind;
  /** Of tools that Responses groups. */
  readonly namespace: string | null;
  readonly name: string;
}

export interface CallBlock {
  readonly type: 'call';
  readonly id: string;
  readonly tool: ToolName;
  /** JSON as the model wrote it; may be broken. */
  readonly argumentsText: string;
  readonly cache: CacheHint;
}

export type ContentBlock = TextBlock | ImageBlock | DocumentBlock;

export interface ResultBlock {
  readonly type: 'result';
  readonly callId: string;
  readonly content: readonly ContentBlock[];
  readonly isError: boolean;
  readonly cache: CacheHint;
}

export type Block = ContentBlock | ThinkingBlock | CallBlock | ResultBlock;

/** `system` only between other messages; what stands first is `Conversation.system`. */
export type Role = 'user' | 'assistant' | 'system';

export interface Message {
  readonly role: Role;
  readonly blocks: readonly Block[];
}

export interface Tool {
  readonly name: ToolName;
  readonly description: string | null;
  /** JSON schema of the arguments. */
  readonly schema: JsonRecord;
  readonly strict: boolean | null;
  readonly cache: CacheHint;
}

export type ToolChoice =
  | { readonly mode: 'auto' | 'required' | 'none' }
  | { readonly mode: 'tool'; readonly tool: ToolName };

export const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;
export type Effort = (typeof EFFORTS)[number];

export interface Reasoning {
  /** Null: the model decides. */
  readonly effort: Effort | null;
  /** Tokens that the model may think; 0 is none; null where the caller named none. */
  readonly budgetTokens: number | null;
  /** The caller wants to see it. */
  readonly visible: boolean;
}

export interface AnswerFormat {
  readonly name: string | null;
  readonly description: string | null;
  /** Null: any JSON object. */
  readonly schema: JsonRecord | null;
  readonly strict: boolean | null;
}

export interface Sampling {
  readonly temperature: number | null;
  readonly topP: number | null;
  readonly topK: number | null;
  readonly seed: number | null;
  readonly presencePenalty: number | null;
  readonly frequencyPenalty: number | null;
}

export interface Conversation {
  readonly system: readonly TextBlock[];
  readonly messages: readonly Message[];
  readonly tools: readonly Tool[];
  readonly toolChoice: ToolChoice | null;
  /** Null: the provider's default. */
  readonly parallelCalls: boolean | null;
  readonly maxOutputTokens: number | null;
  readonly sampling: Sampling;
  readonly stop: readonly string[];
  readonly reasoning: Reasoning | null;
  readonly format: AnswerFormat | null;
  readonly verbosity: string | null;
  /** The caller's name for its user, as it wants the provider to know it. */
  readonly endUser: string | null;
  /** Groups requests that share a prompt's beginning. */
  readonly cacheKey: string | null;
  readonly stream: boolean;
  /** Of streams in Chat Completions: the caller wants a chunk with the usage. */
  readonly includeUsage: boolean;
}

/** A call's tool in words of formats that have functions only. */
export function functionNamed(name: string): ToolName {
  return { kind: 'function', namespace: null, name };
}

/** A text without marks. */
export function textBlock(text: string, cache: CacheHint = null): TextBlock {
  return { type: 'text', text, cache };
}

/** Messages without empty ones, neighbours of one role joined. */
export function joinMessages(messages: readonly Message[]): Message[] {
  const joined: { role: Role; blocks: Block[] }[] = [];
  for (const { role, blocks } of messages) {
    if (blocks.length === 0) continue;
    const last = joined.at(-1);
    if (last?.role === role) for (const block of blocks) last.blocks.push(block);
    else joined.push({ role, blocks: [...blocks] });
  }
  return joined;
}
