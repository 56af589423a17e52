/** Anthropic Messages, also in Bedrock's and Vertex's envelopes (API reference, "Messages"). */
import { asArray, get, type JsonRecord } from '../formats/findings.ts';
import {
  callOf,
  joinedText,
  mediaOf,
  otherOf,
  resultOf,
  textOf,
  type MessageRole,
  type OfferedTool,
  type ReadAnswer,
  type ReadBlock,
  type ReadMessage,
} from './blocks.ts';

export function anthropicSystem(body: JsonRecord): ReadBlock[] {
  return content(body['system']);
}

export function anthropicTools(body: JsonRecord): OfferedTool[] {
  return asArray(body['tools']).flatMap((tool) => {
    const name = get(tool, 'name') ?? get(tool, 'type');
    const description = get(tool, 'description');
    return typeof name === 'string'
      ? [{ name, description: typeof description === 'string' ? description : '' }]
      : [];
  });
}

export function anthropicMessage(message: unknown): ReadMessage {
  const role = get(message, 'role');
  const blocks = content(get(message, 'content'));
  return { role: roleOf(role, blocks), blocks };
}

export function anthropicAnswer(answer: JsonRecord): ReadAnswer {
  const stop = answer['stop_reason'];
  return {
    blocks: content(answer['content']),
    stopReason: typeof stop === 'string' ? stop : null,
    isCut: false,
    error: null,
  };
}

/** A turn of the user that holds results only is the tools' word. */
function roleOf(role: unknown, blocks: readonly ReadBlock[]): MessageRole {
  if (role === 'assistant' || role === 'system') return role;
  return blocks.length > 0 && blocks.every(({ type }) => type === 'tool_result') ? 'tool' : 'user';
}

function content(value: unknown): ReadBlock[] {
  if (typeof value === 'string') return value === '' ? [] : [textOf(value)];
  return asArray(value).map(block);
}

function block(value: unknown): ReadBlock {
  const type = get(value, 'type');
  const text = get(value, 'text');
  switch (type) {
    case 'text':
      return textOf(typeof text === 'string' ? text : '');
    case 'thinking': {
      const thinking = get(value, 'thinking');
      return textOf(typeof thinking === 'string' ? thinking : '', 'thinking');
    }
    case 'redacted_thinking':
      return { ...textOf('', 'thinking'), name: 'redacted' };
    case 'tool_use':
    case 'server_tool_use':
    case 'mcp_tool_use':
      return callOf(get(value, 'name'), get(value, 'input'), get(value, 'id'));
    case 'tool_result':
    case 'mcp_tool_result': {
      const inner = content(get(value, 'content'));
      const facts = { callId: get(value, 'tool_use_id'), isError: get(value, 'is_error') };
      return resultOf(joinedText(inner), facts);
    }
    case 'image':
    case 'document': {
      const source = get(value, 'source');
      const data = get(source, 'url') ?? get(source, 'data');
      const name = get(value, 'title') ?? get(source, 'media_type');
      if (get(source, 'type') === 'text' && typeof data === 'string')
        return { ...textOf(data), name: 'document' };
      return mediaOf(type, data, name);
    }
    default:
      return otherOf(value, type);
  }
}
