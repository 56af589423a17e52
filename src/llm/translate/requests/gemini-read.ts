/** Reads requests of Gemini's `generateContent` (API reference, "Generating content"); both spellings of ProtoJSON. */
import { asArray, asRecord, get, type JsonRecord } from '../../formats/findings.ts';
import type { TranslationProblem } from '../contract.ts';
import {
  functionNamed,
  joinMessages,
  textBlock,
  type AnswerFormat,
  type Block,
  type ContentBlock,
  type Conversation,
  type Message,
  type Reasoning,
  type Tool,
  type ToolChoice,
} from '../conversation.ts';
import type { Losses } from '../losses.ts';
import { asEffort } from '../models.ts';
import { openOpaque } from '../opaque.ts';
import { malformed, unsupported, type ReadContext } from './context.ts';
import { booleanOrNull, countOrNull, numberOrNull, stringOrNull } from './values.ts';

const KNOWN = new Set(['contents', 'systemInstruction', 'tools', 'toolConfig', 'generationConfig', 'model']);
const KNOWN_GENERATION = new Set([
  'maxOutputTokens',
  'temperature',
  'topP',
  'topK',
  'seed',
  'stopSequences',
  'presencePenalty',
  'frequencyPenalty',
  'responseMimeType',
  'responseSchema',
  'responseJsonSchema',
  'thinkingConfig',
]);

export function readGeminiRequest(
  found: JsonRecord,
  { losses, stream }: ReadContext,
): Conversation | TranslationProblem {
  const body = camelKeys(found);
  if (body['cachedContent'] !== undefined && body['cachedContent'] !== null)
    return unsupported('"cachedContent" refers to what another provider keeps: send the whole content');
  losses.addUnknown(body, KNOWN);
  if (!Array.isArray(body['contents'])) return malformed('"contents" must be a list');
  const generation = camelKeys(body['generationConfig']);
  const usual = generation['candidateCount'] === 1 ? ['candidateCount'] : [];
  losses.addUnknown(generation, new Set([...KNOWN_GENERATION, ...usual]), 'generationConfig.');
  const { tools, choice } = readTools(body, losses);
  const reader = new ContentReader(losses);
  const system = camelKeys(body['systemInstruction']);
  return {
    system: asArray(system['parts']).flatMap((part) => {
      const text = get(part, 'text');
      return typeof text === 'string' && text !== '' ? [textBlock(text)] : [];
    }),
    messages: joinMessages(asArray(body['contents']).map((content) => reader.read(content))),
    tools,
    toolChoice: choice,
    parallelCalls: null,
    maxOutputTokens: countOrNull(generation['maxOutputTokens']),
    sampling: {
      temperature: numberOrNull(generation['temperature']),
      topP: numberOrNull(generation['topP']),
      topK: numberOrNull(generation['topK']),
      seed: numberOrNull(generation['seed']),
      presencePenalty: numberOrNull(generation['presencePenalty']),
      frequencyPenalty: numberOrNull(generation['frequencyPenalty']),
    },
    stop: asArray(generation['stopSequences']).filter((text) => typeof text === 'string'),
    reasoning: readReasoning(generation['thinkingConfig']),
    format: readFormat(generation),
    verbosity: null,
    endUser: null,
    cacheKey: null,
    stream,
    includeUsage: true,
  };
}

/** Members of one level under their camel-case names; a name that is written twice keeps the first. */
function camelKeys(record: unknown): JsonRecord {
  const members = new Map<string, unknown>();
  for (const [key, value] of Object.entries(asRecord(record) ?? {})) {
    const camel = key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (!members.has(camel)) members.set(camel, value);
  }
  return Object.fromEntries(members);
}

/** Calls without ids are paired with their results by name, in order; ids follow from the position. */
class ContentReader {
  readonly #losses: Losses;
  /** Ids of the calls of each name, in order, without their results yet. */
  readonly #open = new Map<string, { readonly ids: string[]; next: number }>();
  #calls = 0;

  constructor(losses: Losses) {
    this.#losses = losses;
  }

  read(content: unknown): Message {
    const role = get(content, 'role') === 'model' ? 'assistant' : 'user';
    return {
      role,
      blocks: asArray(get(content, 'parts')).flatMap((part) => this.#readPart(camelKeys(part))),
    };
  }

  #readPart(part: JsonRecord): Block[] {
    const { text } = part;
    if (typeof text === 'string')
      return part['thought'] === true
        ? [{ type: 'thinking', text, opaque: null }]
        : text === ''
          ? []
          : [textBlock(text)];
    if (asRecord(part['functionCall']) !== null) return this.#readCall(part);
    const response = asRecord(part['functionResponse']);
    if (response !== null) return [this.#readResult(response)];
    const media = readMedia(part);
    if (media === null) this.#losses.add(`contents.${Object.keys(part)[0] ?? 'part'}`);
    return media === null ? [] : [media];
  }

  #readCall(part: JsonRecord): Block[] {
    const made = part['functionCall'];
    const name = stringOrNull(get(made, 'name')) ?? '';
    const id = stringOrNull(get(made, 'id')) ?? `call_${this.#calls}`;
    this.#calls += 1;
    const open = this.#open.get(name);
    if (open === undefined) this.#open.set(name, { ids: [id], next: 0 });
    else open.ids.push(id);
    const opaque = openOpaque(part['thoughtSignature']);
    const argumentsText = JSON.stringify(asRecord(get(made, 'args')) ?? {});
    return [
      ...(opaque === null ? [] : [{ type: 'thinking', text: '', opaque } as const]),
      { type: 'call', id, tool: functionNamed(name), argumentsText, cache: null },
    ];
  }

  #readResult(result: JsonRecord): Block {
    const name = stringOrNull(result['name']) ?? '';
    const given = stringOrNull(result['id']);
    const open = this.#open.get(name);
    const next = open?.ids[open.next];
    if (open !== undefined && (given === null || given === next)) open.next += 1;
    const response = asRecord(result['response']) ?? {};
    const keys = Object.keys(response);
    const only = keys.length === 1 ? response[keys[0] ?? ''] : undefined;
    const isError = keys[0] === 'error' && keys.length === 1;
    const text =
      typeof only === 'string' && (isError || keys[0] === 'output') ? only : JSON.stringify(response);
    const media = asArray(result['parts']).flatMap((part) => readMedia(camelKeys(part)) ?? []);
    return {
      type: 'result',
      callId: given ?? next ?? name,
      content: [...(text === '' ? [] : [textBlock(text)]), ...media],
      isError,
      cache: null,
    };
  }
}

function readMedia(part: JsonRecord): ContentBlock | null {
  const inline = camelKeys(part['inlineData']);
  const file = camelKeys(part['fileData']);
  const mediaType = stringOrNull(inline['mimeType'] ?? file['mimeType']) ?? '';
  const { data } = inline;
  const { fileUri } = file;
  const isImage = mediaType.startsWith('image/');
  // Files that Google keeps are no use elsewhere.
  if (
    typeof fileUri === 'string' &&
    /^https?:/.test(fileUri) &&
    !fileUri.includes('generativelanguage.googleapis.com/')
  ) {
    const source = { kind: 'url', url: fileUri } as const;
    return isImage
      ? { type: 'image', source, cache: null }
      : { type: 'document', source, name: null, cache: null };
  }
  if (typeof data !== 'string' || /^(?:audio|video)\//.test(mediaType)) return null;
  const source = { kind: 'base64', mediaType, data } as const;
  return isImage
    ? { type: 'image', source, cache: null }
    : { type: 'document', source, name: null, cache: null };
}

function readTools(
  body: JsonRecord,
  losses: Losses,
): { readonly tools: Tool[]; readonly choice: ToolChoice | null } {
  const tools = asArray(body['tools']).flatMap((found) => {
    const tool = camelKeys(found);
    losses.addUnknown(tool, new Set(['functionDeclarations']), 'tools.');
    return asArray(tool['functionDeclarations']).flatMap((declared): Tool[] => {
      const made = camelKeys(declared);
      const { name } = made;
      if (typeof name !== 'string') return [];
      const schema =
        asRecord(made['parametersJsonSchema']) ?? asRecord(plainSchema(made['parameters'], 0)) ?? {};
      const description = stringOrNull(made['description']);
      return [{ name: functionNamed(name), description, schema, strict: null, cache: null }];
    });
  });
  const config = camelKeys(camelKeys(body['toolConfig'])['functionCallingConfig']);
  const allowed = new Set(asArray(config['allowedFunctionNames']));
  const shown = allowed.size === 0 ? tools : tools.filter(({ name }) => allowed.has(name.name));
  if (config['mode'] === 'ANY') return { tools: shown, choice: { mode: 'required' } };
  if (config['mode'] === 'NONE') return { tools, choice: { mode: 'none' } };
  return { tools: shown, choice: config['mode'] === undefined ? null : { mode: 'auto' } };
}

const SCHEMA_DEPTH_MAX = 64;

/** Google's schemas name types in capitals and null apart; elsewhere that is no JSON schema. */
function plainSchema(schema: unknown, depth: number): unknown {
  if (depth > SCHEMA_DEPTH_MAX) return {};
  if (Array.isArray(schema)) return schema.map((inner) => plainSchema(inner, depth + 1));
  const found = asRecord(schema);
  if (found === null) return schema;
  const members = Object.entries(found).flatMap(([key, value]): [string, unknown][] => {
    if (key === 'type' && typeof value === 'string') {
      const type = value.toLowerCase();
      return [['type', found['nullable'] === true ? [type, 'null'] : type]];
    }
    if (key === 'nullable') return [];
    if (key === 'properties' && asRecord(value) !== null)
      return [
        [
          key,
          Object.fromEntries(
            Object.entries(asRecord(value) ?? {}).map(([name, inner]) => [
              name,
              plainSchema(inner, depth + 1),
            ]),
          ),
        ],
      ];
    return [[key, key === 'items' || key === 'anyOf' ? plainSchema(value, depth + 1) : value]];
  });
  return Object.fromEntries(members);
}

function readReasoning(config: unknown): Reasoning | null {
  if (asRecord(config) === null) return null;
  const found = camelKeys(config);
  const budget = numberOrNull(found['thinkingBudget']);
  return {
    effort: asEffort(stringOrNull(found['thinkingLevel'])?.toLowerCase()),
    budgetTokens: budget === null || budget < 0 ? null : budget,
    visible: booleanOrNull(found['includeThoughts']) ?? false,
  };
}

function readFormat(generation: JsonRecord): AnswerFormat | null {
  if (generation['responseMimeType'] !== 'application/json') return null;
  const schema =
    asRecord(generation['responseJsonSchema']) ?? asRecord(plainSchema(generation['responseSchema'], 0));
  return { name: null, description: null, schema, strict: null };
}
