/** Gemini's `generateContent`, here and on Vertex (Gemini API reference, "Content"). */
import { asArray, asRecord, get, type JsonRecord } from '../formats/findings.ts';
import {
  asJson,
  callOf,
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

export function geminiSystem(body: JsonRecord): ReadBlock[] {
  return parts(body['systemInstruction'] ?? body['system_instruction']);
}

export function geminiTools(body: JsonRecord): OfferedTool[] {
  return asArray(body['tools']).flatMap((tool): OfferedTool[] => {
    const declared = get(tool, 'functionDeclarations') ?? get(tool, 'function_declarations');
    if (!Array.isArray(declared))
      return Object.keys(asRecord(tool) ?? {}).map((name) => ({ name, description: '' }));
    return asArray(declared).flatMap((one) => {
      const name = get(one, 'name');
      const description = get(one, 'description');
      return typeof name === 'string'
        ? [{ name, description: typeof description === 'string' ? description : '' }]
        : [];
    });
  });
}

export function geminiContent(content: unknown): ReadMessage {
  const blocks = parts(content);
  if (get(content, 'role') === 'model') return { role: 'assistant', blocks };
  const isResults = blocks.length > 0 && blocks.every(({ type }) => type === 'tool_result');
  return { role: isResults ? 'tool' : 'user', blocks };
}

export function geminiAnswer(answer: JsonRecord): ReadAnswer {
  const candidates = asArray(answer['candidates']);
  const stop = get(candidates[0], 'finishReason');
  const blocked = get(answer['promptFeedback'], 'blockReason');
  return {
    blocks: candidates.flatMap((candidate) => parts(get(candidate, 'content'))),
    stopReason: typeof stop === 'string' ? stop : null,
    isCut: false,
    error: typeof blocked === 'string' ? `the prompt was blocked: ${blocked}` : null,
  };
}

function parts(content: unknown): ReadBlock[] {
  if (typeof content === 'string') return content === '' ? [] : [textOf(content)];
  return asArray(get(content, 'parts')).map(part);
}

function part(value: unknown): ReadBlock {
  const text = get(value, 'text');
  if (typeof text === 'string') return textOf(text, get(value, 'thought') === true ? 'thinking' : 'text');
  const call = asRecord(get(value, 'functionCall') ?? get(value, 'function_call'));
  if (call !== null) return callOf(call['name'], call['args'], call['id']);
  const result = asRecord(get(value, 'functionResponse') ?? get(value, 'function_response'));
  if (result !== null) {
    const { response } = result;
    const output = get(response, 'output') ?? get(response, 'result') ?? response;
    const shown = typeof output === 'string' ? output : asJson(output);
    return resultOf(shown, { name: result['name'], callId: result['id'] });
  }
  const data = get(value, 'inlineData') ?? get(value, 'inline_data');
  const file = get(value, 'fileData') ?? get(value, 'file_data');
  if (data !== undefined || file !== undefined) {
    const mediaType =
      stringOrNull(get(data ?? file, 'mimeType') ?? get(data ?? file, 'mime_type')) ??
      'application/octet-stream';
    const source = get(data, 'data') ?? get(file, 'fileUri') ?? get(file, 'file_uri');
    return mediaOf(mediaKind(mediaType), source, mediaType);
  }
  return otherOf(value, Object.keys(asRecord(value) ?? {})[0]);
}

function mediaKind(mediaType: string): 'image' | 'audio' | 'document' {
  if (mediaType.startsWith('image/')) return 'image';
  return mediaType.startsWith('audio/') ? 'audio' : 'document';
}
