/** Writes requests of Chat Completions (API reference, "Create chat completion"), in the words that compatible servers know too. */
import type { JsonRecord } from '../../formats/findings.ts';
import type {
  Block,
  CallBlock,
  ContentBlock,
  Conversation,
  Message,
  ResultBlock,
  Tool,
  ToolChoice,
} from '../conversation.ts';
import { openaiEffort, openaiReasons } from '../models.ts';
import { CHAT_IDS, fitName } from '../tool-names.ts';
import { clampOutput, type WriteContext } from './context.ts';
import { functionSchema, openaiUser, reportMarks, writeOpenaiSampling } from './openai-sampling.ts';
import { present, sourceToUrl } from './values.ts';

const STOP_MAX = 4;

export function writeChatRequest(conversation: Conversation, context: WriteContext): JsonRecord {
  const { target, losses } = context;
  const { sampling, stream } = conversation;
  reportMarks(conversation, context);
  const maxTokens = clampOutput(conversation.maxOutputTokens, context);
  const isOpenai = openaiReasons(target.model) !== null;
  if (conversation.cacheKey !== null && !isOpenai) losses.add('prompt_cache_key');
  return present({
    model: target.model,
    messages: writeMessages(conversation, context),
    [target.chatLimitKey]: maxTokens,
    ...writeOpenaiSampling(conversation, context),
    seed: sampling.seed,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    stop: writeStop(conversation, context),
    ...writeTools(conversation, context),
    reasoning_effort:
      conversation.reasoning === null ? null : openaiEffort(target.model, conversation.reasoning),
    response_format: writeFormat(conversation),
    verbosity: writeVerbosity(conversation, context),
    user: openaiUser(conversation, context),
    prompt_cache_key: isOpenai ? conversation.cacheKey : null,
    stream,
    stream_options: stream ? { include_usage: true } : null,
  });
}

function writeStop({ stop }: Conversation, { losses, target }: WriteContext): readonly string[] | null {
  const isTaken = openaiReasons(target.model) !== true;
  if (stop.length > (isTaken ? STOP_MAX : 0)) losses.add('stop_sequences');
  return stop.length === 0 || !isTaken ? null : stop.slice(0, STOP_MAX);
}

/** Only models of OpenAI that reason have it. */
function writeVerbosity({ verbosity }: Conversation, { losses, target }: WriteContext): string | null {
  if (verbosity === null || openaiReasons(target.model) === true) return verbosity;
  losses.add('verbosity');
  return null;
}

function writeMessages({ system, messages }: Conversation, context: WriteContext): JsonRecord[] {
  const instructions = system.map(({ text }) => text).join('\n\n');
  return [
    ...(instructions === '' ? [] : [{ role: 'system', content: instructions }]),
    ...messages.flatMap((message) => writeMessage(message, context)),
  ];
}

function writeMessage(message: Message, context: WriteContext): JsonRecord[] {
  switch (message.role) {
    case 'system':
      return [{ role: 'system', content: joinTexts(message.blocks) }];
    case 'assistant':
      return writeAssistant(message, context);
    case 'user':
      return writeUser(message, context);
    default:
      return message.role satisfies never;
  }
}

function joinTexts(blocks: readonly Block[]): string {
  return blocks
    .map((block) => (block.type === 'text' ? block.text : ''))
    .filter((text) => text !== '')
    .join('\n\n');
}

function writeAssistant({ blocks }: Message, { losses, names, origin }: WriteContext): JsonRecord[] {
  const text = blocks.map((block) => (block.type === 'text' ? block.text : '')).join('');
  const calls = blocks.filter((block) => block.type === 'call');
  const thinking = ownReasoning(blocks, origin);
  if (thinking === null && blocks.some((block) => block.type === 'thinking')) losses.add('messages.thinking');
  if (blocks.some((block) => block.type === 'image' || block.type === 'document'))
    losses.add('messages.image');
  if (text === '' && calls.length === 0) return [];
  const toolCalls = calls.map(({ id, tool, argumentsText }: CallBlock) => ({
    id: fitName(id, CHAT_IDS),
    type: 'function',
    function: { name: names.wire(tool), arguments: argumentsText === '' ? '{}' : argumentsText },
  }));
  return [
    {
      role: 'assistant',
      content: text === '' ? null : text,
      ...thinking,
      ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls }),
    },
  ];
}

/** The target's own reasoning under the name that it gave it; null where there is none. */
function ownReasoning(blocks: readonly Block[], origin: string): JsonRecord | null {
  const own = blocks
    .filter((block) => block.type === 'thinking')
    .filter(({ opaque }) => opaque?.origin === origin);
  const field = own[0]?.opaque?.data;
  if (field !== 'reasoning_content' && field !== 'reasoning') return null;
  return { [field]: own.map(({ text }) => text).join('') };
}

/** Results must follow the calls at once and hold text only; what else is in them comes after them. */
function writeUser({ blocks }: Message, context: WriteContext): JsonRecord[] {
  const results = blocks.filter((block) => block.type === 'result');
  const rest = blocks.filter(
    (block) => block.type === 'text' || block.type === 'image' || block.type === 'document',
  );
  const parts = [...results.flatMap((result) => mediaOf(result)), ...rest].flatMap((block) =>
    writePart(block, context),
  );
  const [only] = parts;
  const content = parts.length === 1 && only?.['type'] === 'text' ? only['text'] : parts;
  return [
    ...results.map((result) => writeResult(result, context)),
    ...(parts.length === 0 ? [] : [{ role: 'user', content }]),
  ];
}

function writeResult({ callId, content, isError }: ResultBlock, { losses }: WriteContext): JsonRecord {
  if (isError) losses.add('messages.is_error');
  const hasMedia = content.some((block) => block.type !== 'text');
  const text = joinTexts(content);
  return {
    role: 'tool',
    tool_call_id: fitName(callId, CHAT_IDS),
    content: text === '' && hasMedia ? '(see the next message)' : text,
  };
}

function mediaOf({ callId, content }: ResultBlock): ContentBlock[] {
  const media = content.filter((block) => block.type !== 'text');
  if (media.length === 0) return [];
  return [
    { type: 'text', text: `From the result of tool call ${fitName(callId, CHAT_IDS)}:`, cache: null },
    ...media,
  ];
}

function writePart(block: ContentBlock, { losses }: WriteContext): JsonRecord[] {
  switch (block.type) {
    case 'text':
      return block.text === '' ? [] : [{ type: 'text', text: block.text }];
    case 'image':
      return [{ type: 'image_url', image_url: { url: sourceToUrl(block.source) } }];
    case 'document':
      if (block.source.kind === 'url') {
        losses.add('messages.document');
        return [{ type: 'text', text: `(document: ${block.source.url})` }];
      }
      return [
        {
          type: 'file',
          file: { filename: block.name ?? 'document.pdf', file_data: sourceToUrl(block.source) },
        },
      ];
    default:
      return block satisfies never;
  }
}

function writeTools({ tools, toolChoice, parallelCalls }: Conversation, { names }: WriteContext): JsonRecord {
  if (tools.length === 0) return {};
  const written = tools.map(({ name, description, schema, strict }: Tool) => ({
    type: 'function',
    function: present({ name: names.wire(name), description, parameters: functionSchema(schema), strict }),
  }));
  const choose = (choice: ToolChoice): unknown =>
    choice.mode === 'tool' ? { type: 'function', function: { name: names.wire(choice.tool) } } : choice.mode;
  return {
    tools: written,
    tool_choice: toolChoice === null ? null : choose(toolChoice),
    parallel_tool_calls: parallelCalls,
  };
}

function writeFormat({ format }: Conversation): JsonRecord | null {
  if (format === null) return null;
  const { name, description, schema, strict } = format;
  if (schema === null) return { type: 'json_object' };
  return {
    type: 'json_schema',
    json_schema: present({ name: name ?? 'answer', description, schema, strict }),
  };
}
