/** Writes requests of Bedrock's Converse (API reference, "Converse"), which has one form for every model. */
import { get, type JsonRecord } from '../../formats/findings.ts';
import { parseObject } from '../answers/answer.ts';
import {
  functionNamed,
  type Block,
  type CacheHint,
  type CallBlock,
  type ContentBlock,
  type Conversation,
  type DocumentBlock,
  type Message,
  type ResultBlock,
  type ThinkingBlock,
  type Tool,
} from '../conversation.ts';
import { parseJson } from '../opaque.ts';
import { isBedrockClaude } from '../targets.ts';
import { fitName, SHORT_NAMES } from '../tool-names.ts';
import { alternate } from './alternate.ts';
import { claudeOutputLimit, withMarks, writeReasoning, writeSampling } from './anthropic-write.ts';
import { clampOutput, type WriteContext } from './context.ts';
import { reportMarks } from './openai-sampling.ts';
import { present } from './values.ts';

/** Images and documents, by media type, that Converse has a name for. */
const IMAGE_FORMATS: ReadonlyMap<string, string> = new Map([
  ['image/png', 'png'],
  ['image/jpeg', 'jpeg'],
  ['image/gif', 'gif'],
  ['image/webp', 'webp'],
]);
const DOCUMENT_FORMATS: ReadonlyMap<string, string> = new Map([
  ['application/pdf', 'pdf'],
  ['text/csv', 'csv'],
  ['application/msword', 'doc'],
  ['application/vnd.openxmlformats-officedocument.wordprocessingml.document', 'docx'],
  ['application/vnd.ms-excel', 'xls'],
  ['application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', 'xlsx'],
  ['text/html', 'html'],
  ['text/plain', 'txt'],
  ['text/markdown', 'md'],
  ['application/json', 'txt'],
]);
/** Characters of a document's name; what Converse refuses in one is left out. */
const DOCUMENT_NAME_MAX_CHARS = 180;
const NAME_REFUSED = /[^A-Za-z0-9()[\]\- ]+/g;
/** Models whose prompts are cached at points that the caller names. */
const TAKES_CACHE_POINTS = /(?:^|[./])(?:anthropic\.claude|amazon\.nova)-/;

/** What the writers of blocks share. */
interface Writing extends WriteContext {
  /** Documents so far: their names must differ. */
  readonly documents: { count: number };
  readonly marks: boolean;
}

export function writeConverseRequest(conversation: Conversation, context: WriteContext): JsonRecord {
  const { target, losses } = context;
  const isClaude = isBedrockClaude(target.model);
  const marks = TAKES_CACHE_POINTS.test(target.model);
  const messages = withMarks(alternate(conversation.messages), marks ? conversation : UNMARKED);
  if (!marks) reportMarks(conversation, context);
  if (!marks && conversation.cacheKey !== null) losses.add('prompt_cache_key');
  reportUnsaid(conversation, context);
  const writing: Writing = { ...context, documents: { count: 0 }, marks };
  const { model, sampling, limit } = isClaude
    ? claudeParameters(conversation, messages, context)
    : parameters(conversation, context);
  const outputConfig = present({ textFormat: writeFormat(conversation), effort: model['effort'] });
  return present({
    system: orNull(conversation.system.flatMap(({ text, cache }) => textWithMark(text, cache, writing))),
    messages: messages.map((message) => writeMessage(message, writing)),
    inferenceConfig: present({
      maxTokens: limit,
      temperature: sampling['temperature'],
      topP: sampling['top_p'],
      stopSequences: orNull(conversation.stop.filter((text) => text.trim() !== '')),
    }),
    toolConfig: writeTools(conversation, writing),
    outputConfig: Object.keys(outputConfig).length === 0 ? null : outputConfig,
    additionalModelRequestFields: orNone(
      present({ thinking: model['thinking'], top_k: isClaude ? sampling['top_k'] : null }),
    ),
  });
}

const UNMARKED = { cacheKey: null };

interface Parameters {
  /** `thinking` and `effort`, as Claude's own format has them. */
  readonly model: JsonRecord;
  /** `temperature`, `top_p`, `top_k`. */
  readonly sampling: JsonRecord;
  readonly limit: number | null;
}

function claudeParameters(
  conversation: Conversation,
  messages: readonly Message[],
  context: WriteContext,
): Parameters {
  const limit = claudeOutputLimit(conversation, context);
  const model = writeReasoning(conversation, messages, limit, context);
  const isThinking = model.thinking !== undefined && get(model.thinking, 'type') !== 'disabled';
  return { model, sampling: writeSampling(conversation, isThinking, context), limit };
}

function parameters(conversation: Conversation, context: WriteContext): Parameters {
  const { reasoning, sampling } = conversation;
  const { losses } = context;
  if (reasoning !== null && reasoning.budgetTokens !== 0 && reasoning.effort !== 'none')
    losses.add('reasoning');
  if (sampling.topK !== null) losses.add('top_k');
  return {
    model: {},
    sampling: { temperature: sampling.temperature, top_p: sampling.topP },
    limit: clampOutput(conversation.maxOutputTokens, context),
  };
}

function reportUnsaid({ sampling, format, ...found }: Conversation, { losses }: WriteContext): void {
  const unsaid = {
    seed: sampling.seed,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    verbosity: found.verbosity,
    user: found.endUser,
    parallel_tool_calls: found.parallelCalls === false ? false : null,
    response_format: format !== null && format.schema === null ? 'json' : null,
  };
  for (const [name, value] of Object.entries(unsaid)) if (value !== null) losses.add(name);
}

function orNull<T>(list: readonly T[]): readonly T[] | null {
  return list.length === 0 ? null : list;
}

function orNone(record: JsonRecord): JsonRecord | null {
  return Object.keys(record).length === 0 ? null : record;
}

function mark(cache: CacheHint, { marks }: Writing): JsonRecord[] {
  if (cache === null || !marks) return [];
  return [{ cachePoint: { type: 'default', ...(cache === '1h' ? { ttl: '1h' } : {}) } }];
}

function textWithMark(text: string, cache: CacheHint, writing: Writing): JsonRecord[] {
  return text.trim() === '' ? [] : [{ text }, ...mark(cache, writing)];
}

function writeMessage({ role, blocks }: Message, writing: Writing): JsonRecord {
  const content = blocks.flatMap((block) => writeBlock(block, writing));
  const hasDocument = content.some((block) => block['document'] !== undefined);
  // A document must not stand without a text.
  if (hasDocument && !content.some((block) => block['text'] !== undefined))
    content.push({ text: '(See the document.)' });
  return { role, content };
}

function writeBlock(block: Block, writing: Writing): JsonRecord[] {
  switch (block.type) {
    case 'thinking':
      return writeThinking(block, writing);
    case 'call':
      return [writeCall(block, writing), ...mark(block.cache, writing)];
    case 'result':
      return [writeResult(block, writing), ...mark(block.cache, writing)];
    case 'text':
    case 'image':
    case 'document':
      return [...writeContent(block, writing), ...mark(block.cache, writing)];
    default:
      return block satisfies never;
  }
}

function writeCall({ id, tool, argumentsText }: CallBlock, { names }: Writing): JsonRecord {
  const input = parseObject(argumentsText) ?? (argumentsText === '' ? {} : { input: argumentsText });
  return { toolUse: { toolUseId: fitName(id, SHORT_NAMES), name: names.wire(tool), input } };
}

function writeResult({ callId, content, isError }: ResultBlock, writing: Writing): JsonRecord {
  const blocks = content
    .filter((part) => part.type !== 'text' || part.text.trim() !== '')
    .flatMap((part) => writeContent(part, writing));
  const status = isError ? { status: 'error' } : {};
  return { toolResult: { toolUseId: fitName(callId, SHORT_NAMES), content: blocks, ...status } };
}

/** Only the target's own signatures go back to it, with the text that they cover. */
function writeThinking({ opaque, text }: ThinkingBlock, { losses, origin }: Writing): JsonRecord[] {
  const signed = opaque?.origin === origin ? parseJson(opaque.data) : undefined;
  const [thinking, signature, redacted] = ['thinking', 'signature', 'redacted'].map((key) =>
    get(signed, key),
  );
  if (typeof redacted === 'string') return [{ reasoningContent: { redactedContent: redacted } }];
  if (typeof thinking === 'string' && typeof signature === 'string')
    return [{ reasoningContent: { reasoningText: { text: thinking, signature } } }];
  if (text !== '' || opaque !== null) losses.add('messages.thinking');
  return [];
}

/** Converse takes bytes, or objects of AWS's own storage; no addresses. */
function writeContent(block: ContentBlock, writing: Writing): JsonRecord[] {
  if (block.type === 'text') return [{ text: block.text }];
  const formats = block.type === 'image' ? IMAGE_FORMATS : DOCUMENT_FORMATS;
  const { source } = block;
  const format = source.kind === 'url' ? undefined : formats.get(source.mediaType.toLowerCase());
  if (source.kind === 'url' || format === undefined) {
    writing.losses.add(`messages.${block.type}`);
    return [];
  }
  const content = { format, source: { bytes: source.data } };
  return block.type === 'image'
    ? [{ image: content }]
    : [{ document: { ...content, name: documentName(block, writing) } }];
}

function documentName({ name }: DocumentBlock, { documents }: Writing): string {
  documents.count += 1;
  const plain = (name ?? '').replace(NAME_REFUSED, ' ').replace(/ {2,}/g, ' ').trim();
  return `${plain.slice(0, DOCUMENT_NAME_MAX_CHARS).trim() || 'document'} ${documents.count}`;
}

/** Converse demands the tools where the messages hold calls, also of a caller that offers none any more. */
function writeTools(conversation: Conversation, writing: Writing): JsonRecord | null {
  const { toolChoice, messages } = conversation;
  const called = messages.flatMap(({ blocks }) => blocks.filter((block) => block.type === 'call'));
  const isNone = toolChoice?.mode === 'none';
  if (isNone && called.length === 0) return null;
  const tools = conversation.tools.length === 0 ? toolsOf(called) : conversation.tools;
  if (tools.length === 0) return null;
  if (isNone) writing.losses.add('tool_choice');
  const written = tools.flatMap((tool) => [writeTool(tool, writing), ...mark(tool.cache, writing)]);
  return present({ tools: written, toolChoice: writeChoice(conversation, writing) });
}

function toolsOf(called: readonly CallBlock[]): Tool[] {
  const byName = new Map(called.map(({ tool }) => [tool.name, tool]));
  return [...byName.keys()].map((name) => ({
    name: byName.get(name) ?? functionNamed(name),
    description: null,
    schema: {},
    strict: null,
    cache: null,
  }));
}

function writeTool({ name, description, schema, strict }: Tool, { names }: Writing): JsonRecord {
  const json = schema['type'] === undefined ? { type: 'object', ...schema } : schema;
  const said = present({ description: description?.trim() === '' ? null : description, strict });
  return { toolSpec: { name: names.wire(name), ...said, inputSchema: { json } } };
}

function writeChoice({ toolChoice, tools }: Conversation, { names }: Writing): JsonRecord | null {
  if (toolChoice === null || tools.length === 0) return null;
  switch (toolChoice.mode) {
    case 'required':
      return { any: {} };
    case 'tool':
      return { tool: { name: names.wire(toolChoice.tool) } };
    case 'auto':
    case 'none':
      return { auto: {} };
    default:
      return toolChoice satisfies never;
  }
}

function writeFormat({ format }: Conversation): JsonRecord | null {
  if (format?.schema === undefined || format.schema === null) return null;
  const said = present({ name: format.name, description: format.description });
  return {
    type: 'json_schema',
    structure: { jsonSchema: { schema: JSON.stringify(format.schema), ...said } },
  };
}
