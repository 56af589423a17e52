/** Chat Completions and the older completions (OpenAI API reference), as many other servers speak them. */
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

export function chatTools(body: JsonRecord): OfferedTool[] {
  const tools = [...asArray(body['tools']), ...asArray(body['functions'])];
  return tools.flatMap((tool) => {
    const offered = asRecord(get(tool, 'function')) ?? asRecord(get(tool, 'custom')) ?? asRecord(tool);
    const name = offered?.['name'] ?? get(tool, 'type');
    const description = offered?.['description'];
    return typeof name === 'string'
      ? [{ name, description: typeof description === 'string' ? description : '' }]
      : [];
  });
}

export function chatMessage(message: unknown): ReadMessage {
  const role = get(message, 'role');
  if (role === 'tool' || role === 'function') {
    const facts = { callId: get(message, 'tool_call_id'), name: get(message, 'name') };
    return { role: 'tool', blocks: [resultOf(joinedText(content(get(message, 'content'))), facts)] };
  }
  if (role === 'system' || role === 'developer')
    return { role: 'system', blocks: content(get(message, 'content')) };
  return { role: role === 'assistant' ? 'assistant' : 'user', blocks: messageBlocks(message) };
}

/** One message of an answer, or one that was put together from the pieces of a stream. */
export function chatAnswer(answer: JsonRecord): ReadAnswer {
  const choices = asArray(answer['choices']);
  const stop = get(choices[0], 'finish_reason');
  return {
    blocks: choices.flatMap((choice) => {
      const text = get(choice, 'text');
      return typeof text === 'string' ? [textOf(text)] : messageBlocks(get(choice, 'message'));
    }),
    stopReason: typeof stop === 'string' ? stop : null,
    isCut: false,
    error: null,
  };
}

function messageBlocks(message: unknown): ReadBlock[] {
  const thinking = get(message, 'reasoning_content') ?? get(message, 'reasoning');
  const refusal = get(message, 'refusal');
  const audio = asRecord(get(message, 'audio'));
  const legacy = asRecord(get(message, 'function_call'));
  return [
    ...(typeof thinking === 'string' && thinking !== '' ? [textOf(thinking, 'thinking')] : []),
    ...content(get(message, 'content')),
    ...(typeof refusal === 'string' && refusal !== '' ? [{ ...textOf(refusal), name: 'refusal' }] : []),
    ...(audio === null ? [] : [mediaOf('audio', audio['data'], 'audio')]),
    ...asArray(get(message, 'tool_calls')).map(call),
    ...(legacy === null ? [] : [callOf(legacy['name'], legacy['arguments'], null)]),
  ];
}

function call(value: unknown): ReadBlock {
  const called = get(value, 'function') ?? get(value, 'custom');
  return callOf(get(called, 'name'), get(called, 'arguments') ?? get(called, 'input'), get(value, 'id'));
}

function content(value: unknown): ReadBlock[] {
  if (typeof value === 'string') return value === '' ? [] : [textOf(value)];
  return asArray(value).map(part);
}

function part(value: unknown): ReadBlock {
  const type = get(value, 'type');
  const text = get(value, 'text') ?? get(value, 'refusal');
  if (typeof text === 'string') return textOf(text);
  if (type === 'image_url') {
    const image = get(value, 'image_url');
    return mediaOf('image', typeof image === 'string' ? image : get(image, 'url'), null);
  }
  if (type === 'input_audio')
    return mediaOf('audio', get(get(value, 'input_audio'), 'data'), get(get(value, 'input_audio'), 'format'));
  if (type === 'file')
    return mediaOf('document', get(get(value, 'file'), 'file_data'), get(get(value, 'file'), 'filename'));
  return otherOf(value, type);
}
