/** Reads requests of Chat Completions (API reference, "Create chat completion"). */
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
  type TextBlock,
  type Tool,
  type ToolChoice,
  type ToolName,
} from '../conversation.ts';
import type { Losses } from '../losses.ts';
import { asEffort } from '../models.ts';
import { malformed, type ReadContext } from './context.ts';
import { customTool } from './custom-tools.ts';
import { booleanOrNull, countOrNull, numberOrNull, sourceFromUrl, stringOrNull } from './values.ts';

const KNOWN = new Set([
  'model',
  'messages',
  'max_tokens',
  'max_completion_tokens',
  'temperature',
  'top_p',
  'seed',
  'stop',
  'presence_penalty',
  'frequency_penalty',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'reasoning_effort',
  'response_format',
  'verbosity',
  'user',
  'safety_identifier',
  'prompt_cache_key',
  'stream',
  'stream_options',
]);
/** Members whose usual value asks for nothing, and that value. */
const HARMLESS: Readonly<Record<string, unknown>> = {
  n: 1,
  store: false,
  logprobs: false,
  service_tier: 'auto',
};

export function readChatRequest(
  body: JsonRecord,
  { losses, stream }: ReadContext,
): Conversation | TranslationProblem {
  const harmless = Object.keys(HARMLESS).filter((key) => body[key] === HARMLESS[key]);
  losses.addUnknown(body, new Set([...KNOWN, ...harmless]));
  if (!Array.isArray(body['messages'])) return malformed('"messages" must be a list');
  const messages: Message[] = [];
  for (const message of asArray(body['messages'])) {
    const read = readMessage(message, losses);
    if ('problem' in read) return read;
    messages.push(read);
  }
  const first = messages.findIndex(({ role }) => role !== 'system');
  const start = first < 0 ? messages.length : first;
  const { tools, choice } = readTools(body, losses);
  const effort = asEffort(body['reasoning_effort']);
  const { stop } = body;
  return {
    system: messages.slice(0, start).flatMap(({ blocks }) => blocks.filter((block) => block.type === 'text')),
    messages: joinMessages(messages.slice(start)),
    tools,
    toolChoice: choice,
    parallelCalls: booleanOrNull(body['parallel_tool_calls']),
    maxOutputTokens: countOrNull(body['max_completion_tokens']) ?? countOrNull(body['max_tokens']),
    sampling: {
      temperature: numberOrNull(body['temperature']),
      topP: numberOrNull(body['top_p']),
      topK: null,
      seed: numberOrNull(body['seed']),
      presencePenalty: numberOrNull(body['presence_penalty']),
      frequencyPenalty: numberOrNull(body['frequency_penalty']),
    },
    stop: typeof stop === 'string' ? [stop] : asArray(stop).filter((text) => typeof text === 'string'),
    reasoning: effort === null ? null : { effort, budgetTokens: null, visible: true },
    format: readFormat(body['response_format']),
    verbosity: stringOrNull(body['verbosity']),
    endUser: stringOrNull(body['safety_identifier']) ?? stringOrNull(body['user']),
    cacheKey: stringOrNull(body['prompt_cache_key']),
    stream,
    includeUsage: get(body['stream_options'], 'include_usage') === true,
  };
}

function readMessage(message: unknown, losses: Losses): Message | TranslationProblem {
  const content = get(message, 'content');
  switch (get(message, 'role')) {
    case 'system':
    case 'developer':
      return { role: 'system', blocks: readTexts(content) };
    case 'user':
      if (get(message, 'name') !== undefined) losses.add('messages.name');
      return { role: 'user', blocks: readContent(content, losses) };
    case 'assistant':
      return { role: 'assistant', blocks: readAssistant(message, losses) };
    case 'tool': {
      const callId = stringOrNull(get(message, 'tool_call_id')) ?? '';
      const parts = readContent(content, losses);
      return {
        role: 'user',
        blocks: [{ type: 'result', callId, content: parts, isError: false, cache: null }],
      };
    }
    default:
      return malformed('a message must have the role "system", "developer", "user", "assistant" or "tool"');
  }
}

function readTexts(content: unknown): TextBlock[] {
  if (typeof content === 'string') return content === '' ? [] : [textBlock(content)];
  return asArray(content).flatMap((part) => {
    const text = get(part, 'text');
    return typeof text === 'string' ? [textBlock(text)] : [];
  });
}

function readContent(content: unknown, losses: Losses): ContentBlock[] {
  if (typeof content === 'string') return readTexts(content);
  return asArray(content).flatMap((part): ContentBlock[] => {
    const type = get(part, 'type');
    const url = get(get(part, 'image_url'), 'url');
    const file = get(part, 'file');
    const data = get(file, 'file_data');
    if (type === 'text') return readTexts([part]);
    if (type === 'image_url' && typeof url === 'string')
      return [{ type: 'image', source: sourceFromUrl(url), cache: null }];
    if (type === 'file' && typeof data === 'string')
      return [
        {
          type: 'document',
          source: sourceFromUrl(data),
          name: stringOrNull(get(file, 'filename')),
          cache: null,
        },
      ];
    losses.add(`messages.${typeof type === 'string' ? type : 'content'}`);
    return [];
  });
}

function readAssistant(message: unknown, losses: Losses): Block[] {
  const content = get(message, 'content');
  const thinking = get(message, 'reasoning_content') ?? get(message, 'reasoning');
  const { audio } = asRecord(message) ?? {};
  if (audio !== undefined && audio !== null) losses.add('messages.audio');
  return [
    ...(typeof thinking === 'string' && thinking !== ''
      ? [{ type: 'thinking', text: thinking, opaque: null } as const]
      : []),
    ...readTexts(content),
    ...asArray(content).flatMap((part) => readTexts(get(part, 'refusal'))),
    ...readTexts(get(message, 'refusal')),
    ...asArray(get(message, 'tool_calls')).map(readCall),
  ];
}

function readCall(call: unknown): Block {
  const made = get(call, 'function');
  const custom = asRecord(get(call, 'custom'));
  const name = stringOrNull(get(custom ?? made, 'name')) ?? '';
  const tool: ToolName = { kind: custom === null ? 'function' : 'custom', namespace: null, name };
  const argumentsText =
    custom === null
      ? (stringOrNull(get(made, 'arguments')) ?? '')
      : JSON.stringify({ input: stringOrNull(custom['input']) ?? '' });
  return { type: 'call', id: stringOrNull(get(call, 'id')) ?? '', tool, argumentsText, cache: null };
}

function readTools(
  body: JsonRecord,
  losses: Losses,
): { readonly tools: Tool[]; readonly choice: ToolChoice | null } {
  const tools = asArray(body['tools']).flatMap((tool) => readTool(tool, losses));
  const choice = body['tool_choice'];
  if (choice === 'auto' || choice === 'required' || choice === 'none')
    return { tools, choice: { mode: choice } };
  const allowed = get(choice, 'allowed_tools');
  if (allowed !== undefined) {
    const names = new Set(
      asArray(get(allowed, 'tools')).map((tool) => get(get(tool, 'function') ?? get(tool, 'custom'), 'name')),
    );
    const mode = get(allowed, 'mode') === 'required' ? 'required' : 'auto';
    return { tools: tools.filter(({ name }) => names.has(name.name)), choice: { mode } };
  }
  const isCustom = get(choice, 'type') === 'custom';
  const name = get(get(choice, isCustom ? 'custom' : 'function'), 'name');
  if (typeof name !== 'string') return { tools, choice: null };
  return {
    tools,
    choice: { mode: 'tool', tool: { kind: isCustom ? 'custom' : 'function', namespace: null, name } },
  };
}

function readTool(tool: unknown, losses: Losses): Tool[] {
  const made = get(tool, 'function');
  const name = get(made, 'name');
  if (typeof name === 'string')
    return [
      {
        name: functionNamed(name),
        description: stringOrNull(get(made, 'description')),
        schema: asRecord(get(made, 'parameters')) ?? {},
        strict: booleanOrNull(get(made, 'strict')),
        cache: null,
      },
    ];
  const custom = asRecord(get(tool, 'custom'));
  const found = custom === null ? null : customTool(custom, get(custom['format'], 'grammar'), null, losses);
  if (found !== null) return [found];
  losses.add('tools.unknown');
  return [];
}

function readFormat(format: unknown): AnswerFormat | null {
  if (get(format, 'type') === 'json_object')
    return { name: null, description: null, schema: null, strict: null };
  const found = asRecord(get(format, 'json_schema'));
  if (get(format, 'type') !== 'json_schema' || found === null) return null;
  return {
    name: stringOrNull(found['name']),
    description: stringOrNull(found['description']),
    schema: asRecord(found['schema']) ?? {},
    strict: booleanOrNull(found['strict']),
  };
}
