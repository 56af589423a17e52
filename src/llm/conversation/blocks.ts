/**
 * A conversation as people read it: what a request said and what was answered, in no format's words.
 * It is for looking only; nothing is decided by it and nothing is sent on from it. Every text in it was
 * written by a caller, a tool or a model, and is not verified.
 */

/** `other` is what has no better word: a provider's own tool, a kind of part that is not known. */
export type BlockType =
  | 'text'
  | 'thinking'
  | 'tool_call'
  | 'tool_result'
  | 'image'
  | 'audio'
  | 'document'
  | 'other';

export interface ReadBlock {
  readonly type: BlockType;
  /** Whole. Of a call its arguments as JSON, as far as the model wrote them; of media their address, or ''. */
  readonly text: string;
  /** The tool, file or media type; null where none is said. */
  readonly name: string | null;
  /** What joins a call and its result; null where the format has no ids. */
  readonly callId: string | null;
  /** Of results; null for all else, and where the format does not say. */
  readonly isError: boolean | null;
  /** Size of the text as UTF-8, or of the media that travelled along. */
  readonly bytes: number;
}

export type MessageRole = 'system' | 'user' | 'assistant' | 'tool';

export interface ReadMessage {
  readonly role: MessageRole;
  readonly blocks: readonly ReadBlock[];
}

export interface OfferedTool {
  readonly name: string;
  readonly description: string;
}

export interface ReadRequest {
  /** Members of the request that say how to answer: numbers, short texts, true and false. */
  readonly parameters: Readonly<Record<string, string | number | boolean>>;
  readonly system: readonly ReadBlock[];
  readonly tools: readonly OfferedTool[];
  readonly messages: readonly ReadMessage[];
}

export interface ReadAnswer {
  readonly blocks: readonly ReadBlock[];
  readonly stopReason: string | null;
  /** The stream ended before its end, or an event of it could not be read. */
  readonly isCut: boolean;
  /** What the provider said instead of an answer, or in the middle of one. */
  readonly error: string | null;
}

const NOTHING = { name: null, callId: null, isError: null } as const;

/** Texts are kept whole: the body that they come from was bounded. */
export function textOf(text: string, type: 'text' | 'thinking' = 'text'): ReadBlock {
  return { type, text, ...NOTHING, bytes: Buffer.byteLength(text) };
}

/** Arguments that are no text are written as JSON. */
export function callOf(name: unknown, args: unknown, callId: unknown): ReadBlock {
  const text = typeof args === 'string' ? args : asJson(args ?? {});
  return {
    type: 'tool_call',
    text,
    name: stringOr(name, 'unnamed'),
    callId: stringOrNull(callId),
    isError: null,
    bytes: Buffer.byteLength(text),
  };
}

export function resultOf(
  text: string,
  facts: { readonly name?: unknown; readonly callId?: unknown; readonly isError?: unknown } = {},
): ReadBlock {
  return {
    type: 'tool_result',
    text,
    name: stringOrNull(facts.name),
    callId: stringOrNull(facts.callId),
    isError: typeof facts.isError === 'boolean' ? facts.isError : null,
    bytes: Buffer.byteLength(text),
  };
}

/** Media: an address is shown, data is only measured. `source` is a URL, a `data:` URL or base64. */
export function mediaOf(type: 'image' | 'audio' | 'document', source: unknown, name: unknown): ReadBlock {
  const text = typeof source === 'string' ? source : '';
  const data = /^data:([^;,]*)[^,]*,/.exec(text.slice(0, 200));
  const isAddress = /^[a-z][a-z0-9+.-]*:\/\//i.test(text.slice(0, 40));
  const encoded = data === null ? text.length : text.length - data[0].length;
  return {
    type,
    text: isAddress ? text : '',
    name: stringOrNull(name) ?? data?.[1] ?? null,
    callId: null,
    isError: null,
    bytes: isAddress ? 0 : Math.floor((encoded * 3) / 4),
  };
}

/** What has no better word, as JSON. */
export function otherOf(value: unknown, name: unknown): ReadBlock {
  const text = typeof value === 'string' ? value : asJson(value);
  return { type: 'other', text, ...NOTHING, name: stringOrNull(name), bytes: Buffer.byteLength(text) };
}

/** What blocks say, for a place that holds text only. */
export function joinedText(blocks: readonly ReadBlock[]): string {
  return blocks.map(({ type, text, name }) => (text === '' ? `[${type} ${name ?? ''}]` : text)).join('\n');
}

export function stringOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function stringOr(value: unknown, fallback: string): string {
  return stringOrNull(value) ?? fallback;
}

/** The JSON of a parsed value; '' for none, and for one that is nested too deeply to be written. */
export function asJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch {
    return '';
  }
}
