/** Writes requests of Anthropic Messages (API reference, "Messages"). */
import { get, type JsonRecord } from '../../formats/findings.ts';
import { parseObject } from '../answers/answer.ts';
import type {
  Block,
  CacheHint,
  ContentBlock,
  Conversation,
  Message,
  Reasoning,
  ResultBlock,
  ThinkingBlock,
  Tool,
} from '../conversation.ts';
import { budgetOf, claudeThinking, effortOf } from '../models.ts';
import { parseJson } from '../opaque.ts';
import { ANTHROPIC_IDS, fitName } from '../tool-names.ts';
import { alternate } from './alternate.ts';
import { clampOutput, type WriteContext } from './context.ts';
import { present } from './values.ts';

/** Anthropic demands a limit: where neither the caller nor the target has one, what every model of the kind can do. */
const OUTPUT_DEFAULT = 32_000;
const OLD_OUTPUT_DEFAULT = 4_096;
/** The smallest budget for thinking. */
const BUDGET_MIN = 1_024;

export function writeAnthropicRequest(conversation: Conversation, context: WriteContext): JsonRecord {
  const { target, losses } = context;
  const { sampling } = conversation;
  const messages = withMarks(alternate(conversation.messages), conversation);
  const maxTokens = claudeOutputLimit(conversation, context);
  const reasoning = writeReasoning(conversation, messages, maxTokens, context);
  const isThinking = reasoning['thinking'] !== undefined && get(reasoning['thinking'], 'type') !== 'disabled';
  for (const [name, value] of Object.entries({
    seed: sampling.seed,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    verbosity: conversation.verbosity,
  }))
    if (value !== null) losses.add(name);
  const outputConfig = present({ effort: reasoning['effort'], format: writeFormat(conversation, context) });
  return present({
    model: target.model,
    max_tokens: maxTokens,
    system: writeSystem(conversation),
    messages: messages.map((message) => writeMessage(message, context)),
    ...writeTools(conversation, context),
    ...writeSampling(conversation, isThinking, context),
    stop_sequences:
      conversation.stop.length === 0 ? null : conversation.stop.filter((text) => text.trim() !== ''),
    thinking: reasoning['thinking'],
    output_config: Object.keys(outputConfig).length === 0 ? null : outputConfig,
    metadata: conversation.endUser === null ? null : { user_id: conversation.endUser },
    stream: conversation.stream,
  });
}

/** The limit of one answer, which Claude's thinking must stay below. */
export function claudeOutputLimit(conversation: Conversation, context: WriteContext): number {
  const { target } = context;
  const fallback = claudeThinking(target.model) === 'none' ? OLD_OUTPUT_DEFAULT : OUTPUT_DEFAULT;
  return clampOutput(conversation.maxOutputTokens, context) ?? target.outputMaxTokens ?? fallback;
}

/**
 * Caches that work by themselves elsewhere must be asked for here: a caller that names a cache key
 * gets marks at the end of the conversation and of its turn before.
 */
export function withMarks(messages: Message[], { cacheKey }: Pick<Conversation, 'cacheKey'>): Message[] {
  if (cacheKey === null) return messages;
  const users = messages.flatMap(({ role }, at) => (role === 'user' ? [at] : [])).slice(-2);
  return messages.map((message, at) => {
    const last = message.blocks.at(-1);
    if (!users.includes(at) || last === undefined || last.type === 'thinking') return message;
    return { ...message, blocks: [...message.blocks.slice(0, -1), { ...last, cache: last.cache ?? '5m' }] };
  });
}

function mark(cache: CacheHint): JsonRecord {
  if (cache === null) return {};
  return { cache_control: cache === '1h' ? { type: 'ephemeral', ttl: '1h' } : { type: 'ephemeral' } };
}

function writeSystem({ system, cacheKey }: Conversation): JsonRecord[] | null {
  const blocks = system.filter(({ text }) => text.trim() !== '');
  if (blocks.length === 0) return null;
  return blocks.map(({ text, cache }, at) => ({
    type: 'text',
    text,
    ...mark(cacheKey !== null && at === blocks.length - 1 ? (cache ?? '5m') : cache),
  }));
}

function writeMessage({ role, blocks }: Message, context: WriteContext): JsonRecord {
  return { role, content: blocks.flatMap((block) => writeBlock(block, context)) };
}

function writeBlock(block: Block, context: WriteContext): JsonRecord[] {
  switch (block.type) {
    case 'thinking':
      return writeThinking(block, context);
    case 'call': {
      const input =
        parseObject(block.argumentsText) ??
        (block.argumentsText === '' ? {} : { input: block.argumentsText });
      const id = fitName(block.id, ANTHROPIC_IDS);
      return [{ type: 'tool_use', id, name: context.names.wire(block.tool), input, ...mark(block.cache) }];
    }
    case 'result':
      return [writeResult(block, context)];
    case 'text':
    case 'image':
    case 'document':
      return writeContent(block, context);
    default:
      return block satisfies never;
  }
}

function writeResult({ callId, content, isError, cache }: ResultBlock, context: WriteContext): JsonRecord {
  const blocks = content
    .filter((part) => part.type !== 'text' || part.text !== '')
    .flatMap((part) => writeContent(part, context));
  return {
    type: 'tool_result',
    tool_use_id: fitName(callId, ANTHROPIC_IDS),
    content: blocks,
    ...(isError ? { is_error: true } : {}),
    ...mark(cache),
  };
}

/** Only the target's own signatures go back to it, with the text that they cover. */
function writeThinking({ opaque, text }: ThinkingBlock, { losses, origin }: WriteContext): JsonRecord[] {
  const signed = opaque?.origin === origin ? parseJson(opaque.data) : undefined;
  const thinking = get(signed, 'thinking');
  const signature = get(signed, 'signature');
  const redacted = get(signed, 'redacted');
  if (typeof redacted === 'string') return [{ type: 'redacted_thinking', data: redacted }];
  if (typeof thinking === 'string' && typeof signature === 'string')
    return [{ type: 'thinking', thinking, signature }];
  if (text !== '' || opaque !== null) losses.add('messages.thinking');
  return [];
}

function writeContent(block: ContentBlock, { losses }: WriteContext): JsonRecord[] {
  switch (block.type) {
    case 'text':
      return [{ type: 'text', text: block.text, ...mark(block.cache) }];
    case 'image': {
      const { source } = block;
      const from =
        source.kind === 'url'
          ? { type: 'url', url: source.url }
          : { type: 'base64', media_type: source.mediaType, data: source.data };
      return [{ type: 'image', source: from, ...mark(block.cache) }];
    }
    case 'document': {
      const { source, name } = block;
      const title = name === null ? {} : { title: name };
      if (source.kind === 'url')
        return [
          { type: 'document', source: { type: 'url', url: source.url }, ...title, ...mark(block.cache) },
        ];
      if (source.mediaType === 'application/pdf') {
        const from = { type: 'base64', media_type: source.mediaType, data: source.data };
        return [{ type: 'document', source: from, ...title, ...mark(block.cache) }];
      }
      if (source.mediaType.startsWith('text/') || source.mediaType === 'application/json') {
        const data = Buffer.from(source.data, 'base64').toString('utf8');
        return [
          {
            type: 'document',
            source: { type: 'text', media_type: 'text/plain', data },
            ...title,
            ...mark(block.cache),
          },
        ];
      }
      losses.add('messages.document');
      return [];
    }
    default:
      return block satisfies never;
  }
}

function writeTools(conversation: Conversation, { names }: WriteContext): JsonRecord {
  const { tools, toolChoice, parallelCalls, cacheKey, system } = conversation;
  if (tools.length === 0) return {};
  // A mark on the system text covers the tools, which stand before it.
  const markTools = cacheKey !== null && system.length === 0;
  const written = tools.map((tool, at) =>
    writeTool(tool, names.wire(tool.name), markTools && at === tools.length - 1),
  );
  const parallel = parallelCalls === false ? { disable_parallel_tool_use: true } : {};
  if (toolChoice === null)
    return { tools: written, tool_choice: parallelCalls === false ? { type: 'auto', ...parallel } : null };
  if (toolChoice.mode === 'none') return { tools: written, tool_choice: { type: 'none' } };
  if (toolChoice.mode === 'tool')
    return { tools: written, tool_choice: { type: 'tool', name: names.wire(toolChoice.tool), ...parallel } };
  const type = toolChoice.mode === 'required' ? 'any' : 'auto';
  return { tools: written, tool_choice: { type, ...parallel } };
}

function writeTool(
  { description, schema, strict, cache }: Tool,
  name: string,
  isMarked: boolean,
): JsonRecord {
  return {
    ...present({ name, description }),
    input_schema: schema['type'] === undefined ? { type: 'object', ...schema } : schema,
    ...(strict === null ? {} : { strict }),
    ...mark(isMarked ? (cache ?? '5m') : cache),
  };
}

/** Claude takes no sampling beside thinking, a temperature of at most 1, and of both parameters one. */
export function writeSampling(
  { sampling }: Conversation,
  isThinking: boolean,
  { losses }: WriteContext,
): JsonRecord {
  const { temperature, topP, topK } = sampling;
  if (isThinking) {
    if (temperature !== null && temperature !== 1) losses.add('temperature');
    if (topP !== null && topP !== 1) losses.add('top_p');
    if (topK !== null) losses.add('top_k');
    return {};
  }
  if (temperature !== null && temperature > 1) losses.add('temperature');
  const both = temperature !== null && topP !== null;
  if (both && topP !== 1) losses.add('top_p');
  return {
    temperature: temperature === null ? null : Math.min(1, temperature),
    top_p: both ? null : topP,
    top_k: topK,
  };
}

export interface WrittenReasoning {
  readonly thinking?: JsonRecord;
  readonly effort?: string;
}

export function writeReasoning(
  { reasoning, toolChoice }: Conversation,
  messages: readonly Message[],
  maxTokens: number,
  context: WriteContext,
): WrittenReasoning & JsonRecord {
  if (reasoning === null) return {};
  const { losses, target, origin } = context;
  const effort =
    reasoning.effort ?? (reasoning.budgetTokens === null ? null : effortOf(reasoning.budgetTokens));
  if (effort === 'none') return { thinking: { type: 'disabled' } };
  const kind = claudeThinking(target.model);
  // Claude refuses to think where it must call a tool; the call is what the caller counts on.
  const isForced = toolChoice?.mode === 'required' || toolChoice?.mode === 'tool';
  if (kind === 'adaptive' && !isForced) {
    const level = effort === 'minimal' ? 'low' : effort;
    const display = reasoning.visible ? { display: 'summarized' } : {};
    return { thinking: { type: 'adaptive', ...display }, ...(level === null ? {} : { effort: level }) };
  }
  const budget = Math.min(budgetFor(reasoning, effort), Math.floor(maxTokens * 0.8));
  if (isForced || kind !== 'budget' || budget < BUDGET_MIN || !startsWithThinking(messages, origin)) {
    losses.add('reasoning');
    return {};
  }
  return { thinking: { type: 'enabled', budget_tokens: budget } };
}

function budgetFor({ budgetTokens }: Reasoning, effort: ReturnType<typeof effortOf> | null): number {
  return Math.max(BUDGET_MIN, budgetTokens ?? budgetOf(effort ?? 'medium'));
}

/**
 * Models with budgets refuse to think on where the turn's calls were made without thinking: the last
 * message of the assistant with calls must begin with a signed block.
 */
function startsWithThinking(messages: readonly Message[], origin: string): boolean {
  const last = messages.at(-1);
  if (last === undefined || !last.blocks.some((block) => block.type === 'result')) return true;
  const asked = messages.findLast(({ role }) => role === 'assistant')?.blocks[0];
  return asked?.type === 'thinking' && asked.opaque?.origin === origin;
}

function writeFormat({ format }: Conversation, { losses }: WriteContext): JsonRecord | null {
  if (format === null) return null;
  if (format.schema === null) {
    losses.add('response_format');
    return null;
  }
  return { type: 'json_schema', schema: format.schema };
}
