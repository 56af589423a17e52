/** Reads requests of every format as conversations. Total: what cannot be read is left out or shown as it is. */
import { asArray, asRecord, get, type JsonRecord } from '../formats/findings.ts';
import type { Format } from '../surface.ts';
import { anthropicMessage, anthropicSystem, anthropicTools } from './anthropic.ts';
import { converseMessage, converseSystem, converseTools } from './bedrock-converse.ts';
import {
  asJson,
  textOf,
  type OfferedTool,
  type ReadBlock,
  type ReadMessage,
  type ReadRequest,
} from './blocks.ts';
import { geminiContent, geminiSystem, geminiTools } from './gemini.ts';
import { chatMessage, chatTools } from './openai-chat.ts';
import { responsesInput, responsesItem, responsesSystem, responsesTools } from './openai-responses.ts';

/** A format's way of saying things; `null` members are what it does not have. */
interface RequestDialect {
  readonly system: (body: JsonRecord) => ReadBlock[];
  readonly tools: (body: JsonRecord) => OfferedTool[];
  readonly elements: (body: JsonRecord) => readonly unknown[];
  readonly message: (element: unknown) => ReadMessage;
}

const none = (): [] => [];

const ANTHROPIC: RequestDialect = {
  system: anthropicSystem,
  tools: anthropicTools,
  elements: (body) => asArray(body['messages']),
  message: anthropicMessage,
};
const CONVERSE: RequestDialect = {
  system: converseSystem,
  tools: converseTools,
  elements: (body) => asArray(body['messages']),
  message: converseMessage,
};
const CHAT: RequestDialect = {
  system: none,
  tools: chatTools,
  elements: (body) => asArray(body['messages']),
  message: chatMessage,
};
const RESPONSES: RequestDialect = {
  system: responsesSystem,
  tools: responsesTools,
  elements: responsesInput,
  message: responsesItem,
};
const GEMINI: RequestDialect = {
  system: geminiSystem,
  tools: geminiTools,
  elements: (body) => {
    const { contents } = body;
    return Array.isArray(contents) ? asArray(contents) : contents === undefined ? [] : [contents];
  },
  message: geminiContent,
};
/** One text or a list of them: embeddings, moderations, pictures, speech, completions. */
const PLAIN: RequestDialect = {
  system: none,
  tools: none,
  elements: (body) => {
    const asked = body['input'] ?? body['prompt'] ?? body['content'] ?? body['inputText'];
    return Array.isArray(asked) ? asArray(asked) : asked === undefined ? [] : [asked];
  },
  message: (element) => ({
    role: 'user',
    blocks: [textOf(typeof element === 'string' ? element : asJson(element))],
  }),
};

const DIALECTS: Readonly<Partial<Record<Format, RequestDialect>>> = {
  anthropic_messages: ANTHROPIC,
  anthropic_count_tokens: ANTHROPIC,
  google_raw_predict: ANTHROPIC,
  openai_chat: CHAT,
  openai_responses: RESPONSES,
  gemini_generate_content: GEMINI,
  google_generate_content: GEMINI,
  gemini_count_tokens: GEMINI,
  bedrock_converse: CONVERSE,
  openai_completions: PLAIN,
  openai_embeddings: PLAIN,
  openai_moderations: PLAIN,
  openai_images: PLAIN,
  openai_audio_speech: PLAIN,
};

/** A parameter's text is short; what is longer is content. */
const PARAMETER_MAX_CHARS = 200;
const PARAMETERS_MAX = 64;

/** Reads requests; what it made of an element it keeps for as long as the element lives. */
export interface RequestReader {
  /** Null where the format is not one of conversations. `body` is what `JSON.parse` gave. */
  read(format: string, body: JsonRecord): ReadRequest | null;
}

/**
 * A reader for many turns of a session: pass the very same object for an element that is the same, and
 * it is read once.
 */
export function createRequestReader(): RequestReader {
  const known = new WeakMap<object, ReadMessage>();
  const message = (dialect: RequestDialect, element: unknown): ReadMessage => {
    if (typeof element !== 'object' || element === null) return dialect.message(element);
    const found = known.get(element);
    if (found !== undefined) return found;
    const read = dialect.message(element);
    known.set(element, read);
    return read;
  };
  return {
    read(format, body) {
      const dialect = dialectOf(format, body);
      if (dialect === null) return null;
      return {
        parameters: parametersOf(body),
        system: dialect.system(body),
        tools: dialect.tools(body),
        messages: dialect.elements(body).map((element) => message(dialect, element)),
      };
    },
  };
}

/** One body. Null for a format without conversations, and for what is no JSON object. */
export function readRequest(format: string, body: Uint8Array): ReadRequest | null {
  const parsed = parseObject(body);
  return parsed === null ? null : createRequestReader().read(format, parsed);
}

/** The object in these bytes, or null. */
export function parseObject(bytes: Uint8Array): JsonRecord | null {
  try {
    return asRecord(
      JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')),
    );
  } catch {
    return null;
  }
}

function isFormat(format: string): format is Format {
  return Object.hasOwn(DIALECTS, format);
}

function dialectOf(format: string, body: JsonRecord): RequestDialect | null {
  if (format === 'bedrock_model_invoke') return Array.isArray(body['messages']) ? ANTHROPIC : PLAIN;
  return isFormat(format) ? (DIALECTS[format] ?? null) : null;
}

/** Numbers, short texts and switches, those of nested settings by their path. */
function parametersOf(body: JsonRecord): Record<string, string | number | boolean> {
  const found: Record<string, string | number | boolean> = {};
  const add = (name: string, value: unknown): void => {
    if (Object.keys(found).length >= PARAMETERS_MAX || CONTENT_MEMBERS.has(name)) return;
    if (typeof value === 'number' || typeof value === 'boolean') found[name] = value;
    else if (typeof value === 'string' && value.length <= PARAMETER_MAX_CHARS) found[name] = value;
  };
  for (const [name, value] of Object.entries(body)) {
    add(name, value);
    if (!NESTED_SETTINGS.has(name)) continue;
    for (const inner of Object.keys(asRecord(value) ?? {})) add(`${name}.${inner}`, get(value, inner));
  }
  return found;
}

const CONTENT_MEMBERS: ReadonlySet<string> = new Set([
  'input',
  'prompt',
  'instructions',
  'system',
  'content',
]);
const NESTED_SETTINGS: ReadonlySet<string> = new Set([
  'thinking',
  'reasoning',
  'output_config',
  'text',
  'tool_choice',
  'generationConfig',
  'inferenceConfig',
  'stream_options',
]);
