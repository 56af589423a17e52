/**
 * Anthropic Messages, also on Vertex AI (`rawPredict`) and inside Bedrock's InvokeModel. Source:
 * Anthropic API reference, "Streaming messages" and "Handle tool calls".
 *
 * A refused call leaves a text block in its place. A history with it needs nothing restored: the
 * provider asks for a result of each `tool_use` block that is there, signatures cover thinking
 * blocks only, and those pass untouched.
 */
import type { AnswerDialect } from './dialects.ts';
import type { BlockDialect, BlockKind, BlockStep, NewEvent } from './streams/block-dialect.ts';
import { STOP_FOR_CALLS } from './streams/block-dialect.ts';
import { editWholeBlocks } from './streams/block-answer.ts';
import { BlockReader } from './streams/block-reader.ts';
import { asIndex, asText, get, parseEventJson, type JsonRecord } from './streams/event-json.ts';
import type { StreamEvent } from './streams/framing.ts';
import { SseFraming } from './streams/sse-framing.ts';

const PING = Buffer.from('event: ping\ndata: {"type": "ping"}\n\n');

/** Calls that the provider has run by the time they are seen. */
const SERVER_CALL: ReadonlySet<string> = new Set(['server_tool_use', 'mcp_tool_use']);
/** Blocks of the model's own words, whose name-like content means nothing. */
const NO_CALL = /^(?:thinking|redacted_thinking|compaction|container_upload|[a-z_]+_tool_result)$/;

/** How Anthropic writes blocks. */
export const anthropicBlocks: BlockDialect = {
  startsImplicitly: false,
  decode,
  deltaName: 'content_block_delta',
  deltaTextPath: ['delta', 'text'],
  startTextPath: ['content_block', 'text'],
  startInputPath: ['content_block', 'input'],
  stopReasonPath: ['delta', 'stop_reason'],
  plainPrefixes: (index) =>
    ['text_delta","text', 'thinking_delta","thinking'].map((kind) =>
      Buffer.from(`{"type":"content_block_delta","index":${index},"delta":{"type":"${kind}":"`),
    ),
  textBlock: (index, text) => [
    named({ type: 'content_block_start', index, content_block: { type: 'text', text: '' } }),
    textDelta(index, text),
  ],
  textDelta,
  argumentsDelta: (index, json) =>
    named({ type: 'content_block_delta', index, delta: { type: 'input_json_delta', partial_json: json } }),
  stop: (index) => named({ type: 'content_block_stop', index }),
  whole: {
    contentPath: ['content'],
    stopReasonPath: ['stop_reason'],
    textPath: ['text'],
    inputPath: ['input'],
    isAnswer: (value) => value['type'] !== 'error',
    classify,
    textBlock: (text) => ({ type: 'text', text }),
  },
};

/** Anthropic's own API, and Claude on Vertex AI. */
export const anthropicMessages: AnswerDialect = {
  framings: { sse: () => new SseFraming({ keepAlive: PING }) },
  createReader: (parts) => new BlockReader(anthropicBlocks, parts),
  editWhole: (body, edits) => editWholeBlocks(anthropicBlocks.whole, body, edits),
};

function textDelta(index: number, text: string): NewEvent {
  return named({ type: 'content_block_delta', index, delta: { type: 'text_delta', text } });
}

function named(value: { readonly type: string; readonly [member: string]: unknown }): NewEvent {
  return { name: value.type, value };
}

function decode({ name, data }: StreamEvent): BlockStep {
  const value = data === null ? null : parseEventJson(data);
  const type = value?.['type'];
  if (value === null || typeof type !== 'string') return unreadable('an event is no JSON with a type');
  // Some readers go by the name of the event, others by the type in its data.
  if (name !== '' && name !== type) return unreadable('the name of an event differs from its type');
  switch (type) {
    case 'message_start':
      return isEmptyMessage(value) ? { kind: 'apart', value } : unreadable('an answer starts with content');
    case 'content_block_start':
      return decodeStart(value);
    case 'content_block_delta':
      return decodeDelta(value);
    case 'content_block_stop': {
      const index = asIndex(value['index']);
      return index === null ? unreadable('the end of a block has no index') : { kind: 'stop', index, value };
    }
    case 'message_delta':
      return { kind: 'end', endsWithCalls: get(value['delta'], 'stop_reason') === STOP_FOR_CALLS, value };
    default:
      return { kind: 'apart', value };
  }
}

function isEmptyMessage(value: JsonRecord): boolean {
  const content = get(value['message'], 'content');
  return content === undefined || content === null || (Array.isArray(content) && content.length === 0);
}

function decodeStart(value: JsonRecord): BlockStep {
  const index = asIndex(value['index']);
  const block = classify(value['content_block']);
  if (index === null || block === null) return unreadable('the start of a block cannot be read');
  return { kind: 'start', index, block, value };
}

function decodeDelta(value: JsonRecord): BlockStep {
  const index = asIndex(value['index']);
  const delta = value['delta'];
  if (index === null) return unreadable('a delta has no index');
  switch (get(delta, 'type')) {
    case 'text_delta': {
      const text = asText(get(delta, 'text'));
      return text === null ? unreadable('a text delta has no text') : { kind: 'text', index, text, value };
    }
    case 'input_json_delta': {
      const text = asText(get(delta, 'partial_json'));
      return text === null ? unreadable('a delta of arguments has none') : { kind: 'arguments', index, text };
    }
    default:
      return { kind: 'delta', index, value };
  }
}

/** Any block with a name and no kind that is known to have run is taken for a call. */
function classify(block: unknown): BlockKind | null {
  const type = get(block, 'type');
  if (typeof type !== 'string') return null;
  if (type === 'text') return { kind: 'text', text: asText(get(block, 'text')) ?? '' };
  if (SERVER_CALL.has(type)) return { kind: 'server' };
  if (NO_CALL.test(type)) return { kind: 'other', isKnown: true };
  const name = asText(get(block, 'name'));
  if (type !== 'tool_use' && name === null) return { kind: 'other', isKnown: false };
  if (name === null) return null;
  const input = get(block, 'input') ?? {};
  return { kind: 'call', id: asText(get(block, 'id')), name, input: JSON.stringify(input) };
}

function unreadable(reason: string): BlockStep {
  return { kind: 'unreadable', reason };
}
