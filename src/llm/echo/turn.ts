/**
 * What the test model answers, before it is put into a wire format. Everything about an answer
 * follows from the request's body.
 */
import { newId } from '../../base/ids.ts';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { asArray, asCount, asRecord, get, type JsonRecord } from '../formats/findings.ts';
import { sampleJson } from './sample-json.ts';

/** Stands before every text that the test model writes. */
export const ECHO_LABEL = '[postern/echo test model]';

export interface EchoDependencies {
  readonly clock: Clock;
  readonly random: Random;
}

/** The answer in no format yet. */
export interface EchoTurn {
  readonly model: string;
  /** Empty where a tool is called. */
  readonly text: string;
  readonly toolCall: { readonly name: string; readonly input: JsonRecord } | null;
  /** The text was cut at the limit that the request set. */
  readonly cut: boolean;
  /**
   * Counted by the test model's rule: bytes / 4, rounded up; of the whole body for the input, of
   * the text or the tool's input for the output.
   */
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly body: JsonRecord;
  /** A fresh id with this prefix. */
  readonly id: (prefix: string) => string;
  /** Whole seconds since 1970. */
  readonly createdSec: number;
}

/** The user's text is repeated up to this length, so that an answer stays an answer. */
const REPEATED_MAX_CHARS = 2_000;

/** Reads the request and decides the answer. A body that is no JSON object counts as an empty one. */
export function readTurn(bytes: Uint8Array, model: string, { clock, random }: EchoDependencies): EchoTurn {
  const body = parseBody(bytes);
  const last = lastUserText(body);
  const toolCall = last.isLatest ? readToolRequest(last.text, body) : null;
  const full = toolCall === null ? answerText(last.text, body) : '';
  const text = cutToTokens(full, outputLimit(body));
  return {
    model,
    text,
    toolCall,
    cut: text.length < full.length,
    inputTokens: countTokens(bytes.length),
    outputTokens: countTokens(Buffer.byteLength(toolCall === null ? text : JSON.stringify(toolCall.input))),
    body,
    id: (prefix) => newId(prefix, clock, random),
    createdSec: Math.floor(clock.now() / 1_000),
  };
}

/** The test model's rule. */
export function countTokens(bytes: number): number {
  return Math.ceil(bytes / 4);
}

function parseBody(bytes: Uint8Array): JsonRecord {
  try {
    return (
      asRecord(JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))) ??
      {}
    );
  } catch {
    return {};
  }
}

function answerText(userText: string, body: JsonRecord): string {
  const schema = wantedSchema(body);
  if (schema !== null) return JSON.stringify(sampleJson(schema, ECHO_LABEL));
  if (userText === '') return `${ECHO_LABEL} There was no text to repeat.`;
  const repeated =
    userText.length > REPEATED_MAX_CHARS ? `${wholeCharacters(userText, REPEATED_MAX_CHARS)}…` : userText;
  return `${ECHO_LABEL} You said: ${repeated}`;
}

/** The text of the last message of the user, and whether nothing came after it. */
function lastUserText(body: JsonRecord): { readonly text: string; readonly isLatest: boolean } {
  const prompt = body['prompt'] ?? body['inputText'] ?? body['input'];
  if (typeof prompt === 'string') return { text: prompt, isLatest: true };
  const turns = asArray(body['messages'] ?? body['input'] ?? body['contents']);
  for (let i = turns.length - 1; i >= 0; i -= 1) {
    const turn = turns[i];
    const role = get(turn, 'role');
    if (role !== undefined && role !== 'user') continue;
    const text = textOf(get(turn, 'content') ?? get(turn, 'parts'));
    if (text !== '') return { text, isLatest: i === turns.length - 1 };
  }
  return { text: '', isLatest: false };
}

/** A string, or the last text among parts. */
function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  const texts = asArray(content)
    .map((part) => get(part, 'text'))
    .filter((text) => typeof text === 'string');
  return texts.at(-1) ?? '';
}

/** `call <tool> {json}` calls a declared tool: for tests of what lies behind. */
function readToolRequest(text: string, body: JsonRecord): EchoTurn['toolCall'] {
  const found = /^\s*call\s+([\w.:-]{1,128})\s*(\{.*\})?\s*$/s.exec(text);
  const name = found?.[1];
  if (name === undefined || !declaredTools(body).includes(name)) return null;
  try {
    return { name, input: asRecord(JSON.parse(found?.[2] ?? '{}')) ?? {} };
  } catch {
    return null;
  }
}

function declaredTools(body: JsonRecord): readonly unknown[] {
  return asArray(body['tools'] ?? get(body['toolConfig'], 'tools')).flatMap((tool) => [
    get(tool, 'name'),
    get(get(tool, 'function'), 'name'),
    get(get(tool, 'toolSpec'), 'name'),
    ...asArray(get(tool, 'functionDeclarations')).map((declaration) => get(declaration, 'name')),
  ]);
}

/** The JSON schema of the answer, where the request wants JSON; `{}` for any object. */
function wantedSchema(body: JsonRecord): JsonRecord | null {
  const generation = body['generationConfig'];
  if (get(generation, 'responseMimeType') === 'application/json') {
    return asRecord(get(generation, 'responseJsonSchema') ?? get(generation, 'responseSchema')) ?? {};
  }
  const format = asRecord(
    body['response_format'] ?? get(body['text'], 'format') ?? get(body['output_config'], 'format'),
  );
  if (format?.['type'] !== 'json_schema' && format?.['type'] !== 'json_object') return null;
  return asRecord(get(format['json_schema'], 'schema') ?? format['schema']) ?? {};
}

function outputLimit(body: JsonRecord): number {
  const limits = [
    body['max_tokens'],
    body['max_completion_tokens'],
    body['max_output_tokens'],
    get(body['generationConfig'], 'maxOutputTokens'),
    get(body['inferenceConfig'], 'maxTokens'),
  ].flatMap((limit) => asCount(limit) ?? []);
  return Math.min(Number.MAX_SAFE_INTEGER / 4, ...limits.filter((limit) => limit > 0));
}

function cutToTokens(text: string, tokens: number): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= tokens * 4) return text;
  let end = tokens * 4;
  // Not within a character: continuation bytes are 10xxxxxx.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

/** The first characters, without half of a surrogate pair. */
function wholeCharacters(text: string, length: number): string {
  return text.slice(0, length).replace(/[\ud800-\udbff]$/, '');
}

const PIECE_CHARS = 24;

/** The text in the pieces that a stream sends. */
export function pieces(text: string): readonly string[] {
  return text.match(new RegExp(`[^]{1,${PIECE_CHARS}}`, 'gu')) ?? [];
}
