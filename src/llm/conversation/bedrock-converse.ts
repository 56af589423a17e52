/** Bedrock's Converse (Amazon Bedrock API reference, "Converse"). */
import { asArray, asRecord, get, type JsonRecord } from '../formats/findings.ts';
import {
  callOf,
  joinedText,
  mediaOf,
  otherOf,
  resultOf,
  textOf,
  type OfferedTool,
  type ReadAnswer,
  type ReadBlock,
  type ReadMessage,
} from './blocks.ts';

export function converseSystem(body: JsonRecord): ReadBlock[] {
  return asArray(body['system']).map(block);
}

export function converseTools(body: JsonRecord): OfferedTool[] {
  return asArray(get(body['toolConfig'], 'tools')).flatMap((tool) => {
    const name = get(get(tool, 'toolSpec'), 'name');
    const description = get(get(tool, 'toolSpec'), 'description');
    return typeof name === 'string'
      ? [{ name, description: typeof description === 'string' ? description : '' }]
      : [];
  });
}

export function converseMessage(message: unknown): ReadMessage {
  const blocks = asArray(get(message, 'content')).map(block);
  if (get(message, 'role') === 'assistant') return { role: 'assistant', blocks };
  const isResults = blocks.length > 0 && blocks.every(({ type }) => type === 'tool_result');
  return { role: isResults ? 'tool' : 'user', blocks };
}

export function converseAnswer(answer: JsonRecord): ReadAnswer {
  const stop = answer['stopReason'];
  return {
    blocks: [...converseMessage(get(answer['output'], 'message')).blocks],
    stopReason: typeof stop === 'string' ? stop : null,
    isCut: false,
    error: null,
  };
}

function block(value: unknown): ReadBlock {
  const [kind = ''] = Object.keys(asRecord(value) ?? {});
  const inner = get(value, kind);
  switch (kind) {
    case 'text':
      return textOf(typeof inner === 'string' ? inner : '');
    case 'reasoningContent': {
      const text = get(get(inner, 'reasoningText'), 'text');
      return textOf(typeof text === 'string' ? text : '', 'thinking');
    }
    case 'toolUse':
      return callOf(get(inner, 'name'), get(inner, 'input'), get(inner, 'toolUseId'));
    case 'toolResult': {
      const text = joinedText(asArray(get(inner, 'content')).map(block));
      const isError = get(inner, 'status') === 'error';
      return resultOf(text, { callId: get(inner, 'toolUseId'), isError });
    }
    case 'image':
    case 'document':
      return mediaOf(kind, get(get(inner, 'source'), 'bytes'), get(inner, 'name') ?? get(inner, 'format'));
    case 'json':
      return otherOf(inner, 'json');
    default:
      return otherOf(value, kind);
  }
}
