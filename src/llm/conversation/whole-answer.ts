/**
 * A streamed answer as the whole answer that its format would have given, for programs that are told of
 * it. Of a stream that broke off it is what came: without a reason to stop, and a call's arguments as the text
 * that there is of them.
 */
import { asArray, asRecord, get, type JsonRecord } from '../formats/findings.ts';
import type { Family } from './families.ts';
import { readStream } from './read-answer.ts';

/** Null where the bytes are no stream of a format with answers, or hold nothing of one. Never throws. */
export function wholeAnswer(format: string, body: Uint8Array, contentType: string | null): JsonRecord | null {
  const read = readStream(format, body, contentType);
  if (read === null) return null;
  const { family, stream } = read;
  return PARTS[family](stream.answer) ? FINISH[family](stream.answer, stream.hasEnd) : null;
}

/** Whether anything of an answer came. */
const PARTS: Readonly<Record<Family, (answer: JsonRecord) => boolean>> = {
  anthropic: (answer) => answer['role'] !== undefined || asArray(answer['content']).length > 0,
  chat: (answer) => asArray(answer['choices']).length > 0,
  responses: (answer) => answer['id'] !== undefined || asArray(answer['output']).length > 0,
  gemini: (answer) => answer['candidates'] !== undefined || answer['promptFeedback'] !== undefined,
  converse: (answer) => asArray(get(get(answer['output'], 'message'), 'content')).length > 0,
};

/** What a whole answer says otherwise than the pieces of a stream. */
const FINISH: Readonly<Record<Family, (answer: JsonRecord, hasEnd: boolean) => JsonRecord>> = {
  anthropic: (answer) => ({ ...answer, content: asArray(answer['content']).map(withInput) }),
  chat: (answer) => answer,
  responses: (answer, hasEnd) => (hasEnd ? answer : { ...answer, status: 'incomplete' }),
  gemini: (answer) => answer,
  converse(answer) {
    const message = asRecord(get(answer['output'], 'message'));
    const content = asArray(message?.['content']).map((block) => {
      const toolUse = asRecord(get(block, 'toolUse'));
      return toolUse === null ? block : { ...asRecord(block), toolUse: withInput(toolUse) };
    });
    return { ...answer, output: { message: { ...message, content } } };
  },
};

/** Arguments come as text and stand in a whole answer as a value. */
function withInput(block: unknown): unknown {
  const input = get(block, 'input');
  if (typeof input !== 'string') return block;
  try {
    const value: unknown = input === '' ? {} : JSON.parse(input);
    return { ...asRecord(block), input: value };
  } catch {
    return block;
  }
}
