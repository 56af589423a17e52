/** Reads requests of Anthropic Messages (API reference, "Messages"), as Claude Code and the SDK send them. */
import { asArray, asRecord, get, type JsonRecord } from '../../formats/findings.ts';
import {
  functionNamed,
  joinMessages,
  textBlock,
  type AnswerFormat,
  type Block,
  type CacheHint,
  type ContentBlock,
  type Conversation,
  type MediaSource,
  type Message,
  type Reasoning,
  type TextBlock,
  type Tool,
  type ToolChoice,
} from '../conversation.ts';
import type { TranslationProblem } from '../contract.ts';
import type { Losses } from '../losses.ts';
import { asEffort } from '../models.ts';
import { openOpaque } from '../opaque.ts';
import { malformed, type ReadContext } from './context.ts';
import { booleanOrNull, countOrNull, numberOrNull, stringOrNull } from './values.ts';

const KNOWN = new Set([
  'model',
  'messages',
  'max_tokens',
  'metadata',
  'stop_sequences',
  'stream',
  'system',
  'temperature',
  'thinking',
  'tool_choice',
  'tools',
  'top_k',
  'top_p',
  'output_config',
  'output_format',
]);
const KNOWN_TOOL = new Set(['type', 'name', 'description', 'input_schema', 'cache_control', 'strict']);
/** A note of Claude Code for Anthropic's accounts; it changes from request to request and would spoil caches. */
const BILLING_NOTE = 'x-anthropic-billing-header:';

export function isBillingNote(text: unknown): boolean {
  return typeof text === 'string' && text.startsWith(BILLING_NOTE);
}

export function readAnthropicRequest(
  body: JsonRecord,
  context: ReadContext,
): Conversation | TranslationProblem {
  const { losses, stream } = context;
  losses.addUnknown(body, KNOWN);
  const messages = readMessages(body['messages'], losses);
  if ('problem' in messages) return messages;
  losses.addUnknown(asRecord(body['metadata']) ?? {}, new Set(['user_id']), 'metadata.');
  losses.addUnknown(asRecord(body['output_config']) ?? {}, new Set(['effort', 'format']), 'output_config.');
  const choice = body['tool_choice'];
  const parallel = booleanOrNull(get(choice, 'disable_parallel_tool_use'));
  return {
    system: readSystem(body['system'], losses),
    messages: messages.found,
    tools: asArray(body['tools']).flatMap((tool) => readTool(tool, losses)),
    toolChoice: readToolChoice(choice),
    parallelCalls: parallel === null ? null : !parallel,
    maxOutputTokens: countOrNull(body['max_tokens']),
    sampling: {
      temperature: numberOrNull(body['temperature']),
      topP: numberOrNull(body['top_p']),
      topK: numberOrNull(body['top_k']),
      seed: null,
      presencePenalty: null,
      frequencyPenalty: null,
    },
    stop: asArray(body['stop_sequences']).filter((text) => typeof text === 'string'),
    reasoning: readReasoning(body),
    format: readFormat(get(body['output_config'], 'format') ?? body['output_format']),
    verbosity: null,
    endUser: stringOrNull(get(body['metadata'], 'user_id')),
    cacheKey: null,
    stream,
    includeUsage: true,
  };
}

function readSystem(system: unknown, losses: Losses): TextBlock[] {
  const blocks =
    typeof system === 'string' ? [textBlock(system)] : asArray(system).flatMap((block) => readText(block));
  return blocks.filter(({ text }) => {
    if (!isBillingNote(text)) return true;
    losses.add('system.billing');
    return false;
  });
}

function readText(block: unknown): TextBlock[] {
  const text = get(block, 'text');
  return typeof text === 'string' ? [textBlock(text, readCache(block))] : [];
}

function readCache(block: unknown): CacheHint {
  const mark = asRecord(get(block, 'cache_control'));
  if (mark === null) return null;
  return mark['ttl'] === '1h' ? '1h' : '5m';
}

function readMessages(found: unknown, losses: Losses): { readonly found: Message[] } | TranslationProblem {
  if (!Array.isArray(found)) return malformed('"messages" must be a list');
  const messages: Message[] = [];
  for (const message of asArray(found)) {
    const role = get(message, 'role');
    if (role !== 'user' && role !== 'assistant' && role !== 'system')
      return malformed('a message must have the role "user", "assistant" or "system"');
    const content = get(message, 'content');
    if (typeof content === 'string') messages.push({ role, blocks: [textBlock(content)] });
    else if (Array.isArray(content))
      messages.push({ role, blocks: asArray(content).flatMap((block) => readBlock(block, losses)) });
    else return malformed('the content of a message must be a text or a list of blocks');
  }
  return { found: joinMessages(messages) };
}

function readBlock(block: unknown, losses: Losses): Block[] {
  switch (get(block, 'type')) {
    case 'thinking':
      return [
        {
          type: 'thinking',
          text: stringOrNull(get(block, 'thinking')) ?? '',
          opaque: openOpaque(get(block, 'signature')),
        },
      ];
    case 'tool_use':
      return [
        {
          type: 'call',
          id: stringOrNull(get(block, 'id')) ?? '',
          tool: functionNamed(stringOrNull(get(block, 'name')) ?? ''),
          argumentsText: JSON.stringify(get(block, 'input') ?? {}),
          cache: readCache(block),
        },
      ];
    case 'tool_result': {
      const content = get(block, 'content');
      return [
        {
          type: 'result',
          callId: stringOrNull(get(block, 'tool_use_id')) ?? '',
          content:
            typeof content === 'string'
              ? [textBlock(content)]
              : asArray(content).flatMap((part) => readContent(part, losses)),
          isError: get(block, 'is_error') === true,
          cache: readCache(block),
        },
      ];
    }
    default:
      return readContent(block, losses);
  }
}

function readContent(block: unknown, losses: Losses): ContentBlock[] {
  const cache = readCache(block);
  switch (get(block, 'type')) {
    case 'text':
      if (asArray(get(block, 'citations')).length > 0) losses.add('messages.citations');
      return readText(block);
    case 'image': {
      const source = readSource(get(block, 'source'));
      if (source === null) losses.add('messages.image');
      return source === null ? [] : [{ type: 'image', source, cache }];
    }
    case 'document':
      return readDocument(block, losses);
    case 'search_result':
      return [
        textBlock(`${String(get(block, 'title'))} (${String(get(block, 'source'))})`),
        ...asArray(get(block, 'content')).flatMap((part) => readText(part)),
      ];
    default: {
      const type = get(block, 'type');
      losses.add(`messages.${typeof type === 'string' ? type : 'content'}`);
      return [];
    }
  }
}

function readDocument(block: unknown, losses: Losses): ContentBlock[] {
  const from = get(block, 'source');
  const cache = readCache(block);
  const inline = get(from, 'type') === 'text' ? get(from, 'data') : get(from, 'content');
  if (typeof inline === 'string') return [textBlock(inline, cache)];
  if (Array.isArray(inline)) return asArray(inline).flatMap((part) => readContent(part, losses));
  const source = readSource(from);
  if (source === null) {
    losses.add('messages.document');
    return [];
  }
  return [{ type: 'document', source, name: stringOrNull(get(block, 'title')), cache }];
}

/** Null for files that the provider keeps. */
function readSource(source: unknown): MediaSource | null {
  const url = get(source, 'url');
  if (get(source, 'type') === 'url' && typeof url === 'string') return { kind: 'url', url };
  const data = get(source, 'data');
  const mediaType = get(source, 'media_type');
  return typeof data === 'string' && typeof mediaType === 'string'
    ? { kind: 'base64', mediaType, data }
    : null;
}

/** Tools without a type are the caller's; those with one are the provider's, or have schemas only it knows. */
function readTool(tool: unknown, losses: Losses): Tool[] {
  const found = asRecord(tool) ?? {};
  const { type, name } = found;
  if ((type !== undefined && type !== null && type !== 'custom') || typeof name !== 'string') {
    losses.add(`tools.${typeof type === 'string' ? type : 'unknown'}`);
    return [];
  }
  losses.addUnknown(found, KNOWN_TOOL, 'tools.');
  return [
    {
      name: functionNamed(name),
      description: stringOrNull(found['description']),
      schema: asRecord(found['input_schema']) ?? {},
      strict: booleanOrNull(found['strict']),
      cache: readCache(found),
    },
  ];
}

function readToolChoice(choice: unknown): ToolChoice | null {
  const name = get(choice, 'name');
  switch (get(choice, 'type')) {
    case 'auto':
      return { mode: 'auto' };
    case 'any':
      return { mode: 'required' };
    case 'none':
      return { mode: 'none' };
    case 'tool':
      return typeof name === 'string' ? { mode: 'tool', tool: functionNamed(name) } : null;
    default:
      return null;
  }
}

function readReasoning(body: JsonRecord): Reasoning | null {
  const { thinking } = body;
  const effort = asEffort(get(body['output_config'], 'effort'));
  const type = get(thinking, 'type');
  const visible = get(thinking, 'display') !== 'omitted';
  if (type === 'adaptive') return { effort, budgetTokens: null, visible };
  if (type === 'enabled')
    return { effort, budgetTokens: countOrNull(get(thinking, 'budget_tokens')), visible };
  if (type === 'disabled') return { effort: null, budgetTokens: 0, visible: false };
  return effort === null ? null : { effort, budgetTokens: null, visible: false };
}

function readFormat(format: unknown): AnswerFormat | null {
  if (get(format, 'type') !== 'json_schema') return null;
  return { name: null, description: null, schema: asRecord(get(format, 'schema')), strict: null };
}
