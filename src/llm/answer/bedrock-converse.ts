/**
 * Bedrock's Converse and ConverseStream. Source: Amazon Bedrock API reference, `ContentBlockStart`,
 * `ContentBlockDelta`, `MessageStopEvent`. A refused call leaves a text block in its place; Converse
 * pairs `toolUse` with `toolResult` blocks that are there, so a history with the text is taken.
 */
import type { AnswerDialect } from './dialects.ts';
import {
  STOP_FOR_CALLS,
  type BlockDialect,
  type BlockKind,
  type BlockStep,
  type NewEvent,
} from './streams/block-dialect.ts';
import { editWholeBlocks } from './streams/block-answer.ts';
import { BlockReader } from './streams/block-reader.ts';
import { asIndex, asRecord, asText, get, parseEventJson, type JsonRecord } from './streams/event-json.ts';
import { FrameFraming, PLAIN_FRAMES } from './streams/frame-framing.ts';
import type { StreamEvent } from './streams/framing.ts';

/** Blocks that hold no call. */
const NO_CALL: ReadonlySet<string> = new Set([
  'toolResult',
  'image',
  'reasoningContent',
  'citationsContent',
  'guardContent',
  'cachePoint',
]);

/** How Converse writes blocks. Only calls have a start of their own. */
export const converseBlocks: BlockDialect = {
  startsImplicitly: true,
  decode,
  deltaName: 'contentBlockDelta',
  deltaTextPath: ['delta', 'text'],
  startTextPath: ['start', 'text'],
  startInputPath: ['start', 'toolUse', 'input'],
  stopReasonPath: ['stopReason'],
  plainPrefixes: (index) => [Buffer.from(`{"contentBlockIndex":${index},"delta":{"text":"`)],
  textBlock: (index, text) => [textDelta(index, text)],
  textDelta,
  argumentsDelta: (index, input) => ({
    name: 'contentBlockDelta',
    value: { contentBlockIndex: index, delta: { toolUse: { input } } },
  }),
  stop: (index) => ({ name: 'contentBlockStop', value: { contentBlockIndex: index } }),
  whole: {
    contentPath: ['output', 'message', 'content'],
    stopReasonPath: ['stopReason'],
    textPath: ['text'],
    inputPath: ['toolUse', 'input'],
    isAnswer: (value) => value['output'] !== undefined,
    classify,
    textBlock: (text) => ({ text }),
  },
};

export const bedrockConverse: AnswerDialect = {
  framings: { frames: () => new FrameFraming(PLAIN_FRAMES) },
  createReader: (parts) => new BlockReader(converseBlocks, parts),
  editWhole: (body, edits) => editWholeBlocks(converseBlocks.whole, body, edits),
};

function textDelta(index: number, text: string): NewEvent {
  return { name: 'contentBlockDelta', value: { contentBlockIndex: index, delta: { text } } };
}

function decode({ name, data }: StreamEvent): BlockStep {
  const value = data === null ? null : parseEventJson(data);
  if (value === null) return unreadable('an event is no JSON object that can be read in one way only');
  switch (name) {
    case 'contentBlockStart':
      return decodeStart(value);
    case 'contentBlockDelta':
      return decodeDelta(value);
    case 'contentBlockStop': {
      const index = asIndex(value['contentBlockIndex']);
      return index === null ? unreadable('the end of a block has no index') : { kind: 'stop', index, value };
    }
    case 'messageStop':
      return { kind: 'end', endsWithCalls: value['stopReason'] === STOP_FOR_CALLS, value };
    default:
      return { kind: 'apart', value };
  }
}

function decodeStart(value: JsonRecord): BlockStep {
  const index = asIndex(value['contentBlockIndex']);
  const start = asRecord(value['start']);
  const block = start === null ? null : classify(start);
  if (index === null || block === null) return unreadable('the start of a block cannot be read');
  return { kind: 'start', index, block, value };
}

function decodeDelta(value: JsonRecord): BlockStep {
  const index = asIndex(value['contentBlockIndex']);
  const delta = asRecord(value['delta']);
  if (index === null || delta === null || Object.keys(delta).length > 1)
    return unreadable('a delta cannot be read');
  if (delta['text'] !== undefined) {
    const text = asText(delta['text']);
    return text === null ? unreadable('a text delta has no text') : { kind: 'text', index, text, value };
  }
  if (delta['toolUse'] === undefined) return { kind: 'delta', index, value };
  const input = asText(get(delta['toolUse'], 'input'));
  return input === null
    ? unreadable('a delta of arguments has none')
    : { kind: 'arguments', index, text: input };
}

/** A start or a whole block: an object with one member, its kind. */
function classify(block: unknown): BlockKind | null {
  const record = asRecord(block);
  if (record === null) return null;
  const [kind, ...more] = Object.keys(record);
  // Some models start text with an empty object.
  if (kind === undefined) return { kind: 'text', text: '' };
  if (more.length > 0) return null;
  if (kind === 'text') return { kind: 'text', text: asText(record['text']) ?? '' };
  if (kind !== 'toolUse') return { kind: 'other', isKnown: NO_CALL.has(kind) };
  const call = record['toolUse'];
  // A tool of the provider's: it has run.
  if (get(call, 'type') === 'server_tool_use') return { kind: 'server' };
  const name = asText(get(call, 'name'));
  const input = get(call, 'input') ?? {};
  if (name === null) return null;
  return {
    kind: 'call',
    id: asText(get(call, 'toolUseId')),
    name,
    input: JSON.stringify(input),
  };
}

function unreadable(reason: string): BlockStep {
  return { kind: 'unreadable', reason };
}
