/** The Responses API (OpenAI API reference, "Responses"): a list of items, in requests and answers alike. */
import { asArray, asRecord, get, type JsonRecord } from '../formats/findings.ts';
import {
  asJson,
  callOf,
  joinedText,
  mediaOf,
  otherOf,
  resultOf,
  stringOrNull,
  textOf,
  type OfferedTool,
  type ReadAnswer,
  type ReadBlock,
  type ReadMessage,
} from './blocks.ts';

export function responsesSystem(body: JsonRecord): ReadBlock[] {
  const { instructions } = body;
  return typeof instructions === 'string' && instructions !== '' ? [textOf(instructions)] : [];
}

export function responsesTools(body: JsonRecord): OfferedTool[] {
  return asArray(body['tools']).flatMap((tool) => {
    const inner = asArray(get(tool, 'tools'));
    if (inner.length > 0) return responsesTools({ tools: inner });
    const name = get(tool, 'name') ?? get(tool, 'type');
    const description = get(tool, 'description');
    return typeof name === 'string'
      ? [{ name, description: typeof description === 'string' ? description : '' }]
      : [];
  });
}

/** `input` may be one text instead of a list. */
export function responsesInput(body: JsonRecord): readonly unknown[] {
  const { input } = body;
  return typeof input === 'string' ? [{ role: 'user', content: input }] : asArray(input);
}

export function responsesItem(item: unknown): ReadMessage {
  const role = get(item, 'role');
  const type = get(item, 'type') ?? (role === undefined ? 'unknown' : 'message');
  if (type === 'message') {
    const blocks = content(get(item, 'content'));
    if (role === 'system' || role === 'developer') return { role: 'system', blocks };
    return { role: role === 'assistant' ? 'assistant' : 'user', blocks };
  }
  const block = itemBlock(item, type);
  return { role: block.type === 'tool_result' ? 'tool' : 'assistant', blocks: [block] };
}

export function responsesAnswer(answer: JsonRecord): ReadAnswer {
  const status = answer['status'];
  const error = get(answer['error'], 'message');
  return {
    blocks: asArray(answer['output']).flatMap((item) => responsesItem(item).blocks),
    stopReason: typeof status === 'string' ? status : null,
    isCut: false,
    error: typeof error === 'string' ? error : null,
  };
}

function itemBlock(item: unknown, type: unknown): ReadBlock {
  const callId = get(item, 'call_id') ?? get(item, 'id');
  switch (type) {
    case 'reasoning': {
      const parts = [...asArray(get(item, 'summary')), ...asArray(get(item, 'content'))];
      return textOf(parts.map((part) => stringOrNull(get(part, 'text')) ?? '').join('\n\n'), 'thinking');
    }
    case 'function_call':
      return callOf(get(item, 'name'), get(item, 'arguments'), callId);
    case 'custom_tool_call':
      return callOf(get(item, 'name'), get(item, 'input'), callId);
    case 'local_shell_call':
    case 'shell_call':
    case 'computer_call':
      return callOf(type.slice(0, -'_call'.length), get(item, 'action'), callId);
    case 'mcp_call':
      return callOf(get(item, 'name'), get(item, 'arguments'), callId);
    case 'web_search_call':
    case 'file_search_call':
    case 'code_interpreter_call':
    case 'image_generation_call':
    case 'tool_search_call':
      return callOf(type.slice(0, -'_call'.length), withoutResult(item), callId);
    default:
      if (typeof type === 'string' && type.endsWith('_output')) {
        const output = get(item, 'output') ?? get(item, 'tools');
        return resultOf(outputText(output), { callId });
      }
      return otherOf(item, type);
  }
}

/** Pictures come back as megabytes of base64. */
function withoutResult(item: unknown): unknown {
  const { result: _result, ...rest } = asRecord(item) ?? {};
  return rest;
}

function outputText(output: unknown): string {
  if (typeof output === 'string') return output;
  if (Array.isArray(output)) return joinedText(content(output));
  return asJson(output);
}

function content(value: unknown): ReadBlock[] {
  if (typeof value === 'string') return value === '' ? [] : [textOf(value)];
  return asArray(value).map((part) => {
    const type = get(part, 'type');
    const text = get(part, 'text') ?? get(part, 'refusal');
    if (typeof text === 'string') return textOf(text);
    if (type === 'input_image') return mediaOf('image', get(part, 'image_url') ?? get(part, 'file_id'), null);
    if (type === 'input_audio') return mediaOf('audio', get(get(part, 'input_audio'), 'data'), null);
    if (type === 'input_file') {
      const data = get(part, 'file_data') ?? get(part, 'file_url');
      return mediaOf('document', data, get(part, 'filename') ?? get(part, 'file_id'));
    }
    return otherOf(part, type);
  });
}
