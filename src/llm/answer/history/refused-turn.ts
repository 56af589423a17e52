/**
 * What is kept of an answer in which calls were refused. The provider still has those calls, and the
 * caller never saw them: the next request must bring their results (`repair-history.ts`).
 */
import type { RefusedCall } from '../editor.ts';
import { markerId } from '../openai-responses-calls.ts';
import { asRecord, asText, parseEventJson, type JsonRecord } from '../streams/event-json.ts';

/** Refused calls of one answer that are kept; one with more is not to be gone on from. */
export const REFUSED_CALLS_MAX = 128;
/** A larger call is kept without its arguments: its id and type still answer it. Bytes. */
export const REFUSED_ITEM_MAX_BYTES = 65_536;

/** A refused call. Plain data, to be stored as JSON. */
export interface RefusedItem {
  /** Id of the message that the caller got in its place. */
  readonly markerId: string;
  /** The refusing text, as the caller got it. */
  readonly text: string;
  /** The call as the provider wrote it: JSON of the output item. */
  readonly item: string;
}

/** An answer with refused calls. Plain data, to be stored as JSON, under its caller. */
export interface RefusedTurn {
  /** The provider's id of the response; null where it gave none. */
  readonly responseId: string | null;
  /** The conversation that the request named: the provider adds the calls to it. */
  readonly conversationId: string | null;
  /** In the order of the answer, at most `REFUSED_CALLS_MAX`. */
  readonly calls: readonly RefusedItem[];
}

/** What the gateway keeps of one caller's refused turns. Only that caller's: texts and ids are theirs. */
export interface RefusalLedger {
  /** Nothing is kept: requests need not be looked at. */
  readonly isEmpty: boolean;
  byResponse(responseId: string): RefusedTurn | null;
  /** Turns of a conversation whose refused calls no request has answered yet, oldest first. */
  byConversation(conversationId: string): readonly RefusedTurn[];
  byMarker(markerId: string): RefusedItem | null;
  /** Calls that were refused with this very text, oldest first: for callers that keep no ids of messages. */
  byText(text: string): readonly RefusedItem[];
}

/** Which answer the refused calls stood in. */
export interface RefusedAnswer {
  readonly responseId: string | null;
  readonly conversationId: string | null;
  /** Of the editor. Calls without `original` are left out: no later turn needs them. */
  readonly refused: readonly RefusedCall[];
}

/** The entry for an answer of the Responses API; null if there is nothing to keep. */
export function refusedTurn({ responseId, conversationId, refused }: RefusedAnswer): RefusedTurn | null {
  const calls: RefusedItem[] = [];
  for (const { original, text } of refused) {
    const item = original === undefined ? null : parseEventJson(Buffer.from(original, 'utf8'));
    if (item === null || calls.length >= REFUSED_CALLS_MAX) continue;
    // A call can be refused twice, in its events and in the whole response.
    const marker = markerId(item);
    if (calls.some((call) => call.markerId === marker)) continue;
    calls.push({ markerId: marker, text, item: boundedItem(item, original ?? '') });
  }
  return calls.length === 0 ? null : { responseId, conversationId, calls };
}

/** Members with arguments of any size, and what stands for them. */
const LARGE_MEMBERS: Readonly<Record<string, (value: unknown) => unknown>> = {
  arguments: (value) => (typeof value === 'string' ? '{}' : {}),
  input: () => '',
  operation: (value) => ({ ...asRecord(value), diff: '' }),
  action: (value) => ({ ...asRecord(value), ...commandsOf(value) }),
};

function commandsOf(action: unknown): JsonRecord {
  const record = asRecord(action) ?? {};
  return {
    ...(Array.isArray(record['commands']) ? { commands: [] } : {}),
    ...(Array.isArray(record['command']) ? { command: [] } : {}),
    ...(asText(record['text']) === null ? {} : { text: '' }),
  };
}

function boundedItem(item: JsonRecord, json: string): string {
  if (Buffer.byteLength(json) <= REFUSED_ITEM_MAX_BYTES) return json;
  const small = Object.entries(item).map(([key, value]): [string, unknown] => {
    const shrink = Object.hasOwn(LARGE_MEMBERS, key) ? LARGE_MEMBERS[key] : undefined;
    return [key, shrink === undefined ? value : shrink(value)];
  });
  const shrunk = JSON.stringify(Object.fromEntries(small));
  if (Buffer.byteLength(shrunk) <= REFUSED_ITEM_MAX_BYTES) return shrunk;
  const { id, type, call_id } = item;
  return JSON.stringify({ id, type, call_id, name: item['name'] });
}
