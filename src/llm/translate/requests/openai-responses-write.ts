/** Writes requests of Responses (API reference, "Create a model response"); nothing is stored. */
import { get, type JsonRecord } from '../../formats/findings.ts';
import { customInput } from '../answers/answer.ts';
import type {
  Block,
  CallBlock,
  ContentBlock,
  Conversation,
  Message,
  ResultBlock,
  ThinkingBlock,
  Tool,
  ToolChoice,
} from '../conversation.ts';
import { openaiEffort, openaiReasons } from '../models.ts';
import { parseJson } from '../opaque.ts';
import { fitName, RESPONSES_IDS } from '../tool-names.ts';
import { clampOutput, type WriteContext } from './context.ts';
import { functionSchema, openaiUser, reportMarks, writeOpenaiSampling } from './openai-sampling.ts';
import { present, sourceToUrl } from './values.ts';

/** The lowest limit that Responses takes. */
const OUTPUT_MIN = 16;

export function writeResponsesRequest(conversation: Conversation, context: WriteContext): JsonRecord {
  const { target, losses } = context;
  const { sampling } = conversation;
  reportMarks(conversation, context);
  if (conversation.stop.length > 0) losses.add('stop_sequences');
  if (sampling.seed !== null) losses.add('seed');
  if (sampling.presencePenalty !== null) losses.add('presence_penalty');
  if (sampling.frequencyPenalty !== null) losses.add('frequency_penalty');
  const maxTokens = clampOutput(conversation.maxOutputTokens, context);
  const instructions = conversation.system.map(({ text }) => text).join('\n\n');
  const text = present({ format: writeFormat(conversation), verbosity: conversation.verbosity });
  const reasoning = writeReasoning(conversation, context);
  const sendsReasoning = reasoning !== null || openaiReasons(target.model) === true;
  return present({
    model: target.model,
    instructions: instructions === '' ? null : instructions,
    input: writeInput(conversation, context),
    max_output_tokens: maxTokens === null ? null : Math.max(OUTPUT_MIN, maxTokens),
    ...writeOpenaiSampling(conversation, context),
    ...writeTools(conversation, context),
    reasoning,
    text: Object.keys(text).length === 0 ? null : text,
    safety_identifier: openaiUser(conversation, context),
    prompt_cache_key: conversation.cacheKey,
    include: sendsReasoning ? ['reasoning.encrypted_content'] : null,
    store: false,
    stream: conversation.stream,
  });
}

function writeReasoning({ reasoning }: Conversation, { target }: WriteContext): JsonRecord | null {
  if (reasoning === null || openaiReasons(target.model) === false) return null;
  const effort = openaiEffort(target.model, reasoning);
  const found = present({ effort, summary: reasoning.visible ? 'auto' : null });
  return Object.keys(found).length === 0 ? null : found;
}

function writeInput({ messages }: Conversation, context: WriteContext): JsonRecord[] {
  const custom = new Set<string>();
  return messages.flatMap((message) => {
    const items: JsonRecord[] = [];
    let texts: Block[] = [];
    const flush = (): void => {
      if (texts.length > 0) items.push(...writeMessage(message, texts, context));
      texts = [];
    };
    for (const block of message.blocks) {
      if (block.type === 'text' || block.type === 'image' || block.type === 'document') {
        texts.push(block);
        continue;
      }
      flush();
      if (block.type === 'call') items.push(writeCall(block, custom, context));
      else if (block.type === 'result') items.push(writeResult(block, custom, context));
      else items.push(...writeThinking(block, context));
    }
    flush();
    return items;
  });
}

function writeMessage({ role }: Message, blocks: readonly Block[], { losses }: WriteContext): JsonRecord[] {
  if (role === 'assistant') {
    if (blocks.some((block) => block.type !== 'text')) losses.add('messages.image');
    const content = blocks.flatMap((block) =>
      block.type === 'text' && block.text !== '' ? [{ type: 'output_text', text: block.text }] : [],
    );
    return content.length === 0 ? [] : [{ type: 'message', role, content }];
  }
  const content = blocks.flatMap((block) => (isContent(block) ? writePart(block) : []));
  return content.length === 0
    ? []
    : [{ type: 'message', role: role === 'system' ? 'developer' : role, content }];
}

function isContent(block: Block): block is ContentBlock {
  return block.type === 'text' || block.type === 'image' || block.type === 'document';
}

function writePart(block: ContentBlock): JsonRecord[] {
  switch (block.type) {
    case 'text':
      return block.text === '' ? [] : [{ type: 'input_text', text: block.text }];
    case 'image':
      return [{ type: 'input_image', image_url: sourceToUrl(block.source), detail: 'auto' }];
    case 'document':
      return block.source.kind === 'url'
        ? [{ type: 'input_file', file_url: block.source.url }]
        : [
            {
              type: 'input_file',
              filename: block.name ?? 'document.pdf',
              file_data: sourceToUrl(block.source),
            },
          ];
    default:
      return block satisfies never;
  }
}

function writeCall(
  { id, tool, argumentsText }: CallBlock,
  custom: Set<string>,
  { names }: WriteContext,
): JsonRecord {
  const head = { call_id: fitName(id, RESPONSES_IDS), name: names.wire(tool) };
  if (tool.kind === 'custom') {
    custom.add(id);
    return { type: 'custom_tool_call', ...head, input: customInput(argumentsText) };
  }
  return { type: 'function_call', ...head, arguments: argumentsText === '' ? '{}' : argumentsText };
}

function writeResult(
  { callId, content, isError }: ResultBlock,
  custom: ReadonlySet<string>,
  { losses }: WriteContext,
): JsonRecord {
  if (isError) losses.add('messages.is_error');
  const parts = content.flatMap(writePart);
  const [only] = parts;
  const isText = parts.length === 0 || (parts.length === 1 && only?.['type'] === 'input_text');
  return {
    type: custom.has(callId) ? 'custom_tool_call_output' : 'function_call_output',
    call_id: fitName(callId, RESPONSES_IDS),
    output: isText ? (only?.['text'] ?? '') : parts,
  };
}

/** Only the target's own encrypted reasoning goes back to it. */
function writeThinking({ opaque, text }: ThinkingBlock, { losses, origin }: WriteContext): JsonRecord[] {
  const own = opaque?.origin === origin ? parseJson(opaque.data) : undefined;
  const encrypted = get(own, 'encrypted');
  if (typeof encrypted !== 'string') {
    if (text !== '' || opaque !== null) losses.add('messages.thinking');
    return [];
  }
  const summary = text === '' ? [] : [{ type: 'summary_text', text }];
  return [{ ...present({ type: 'reasoning', id: get(own, 'id') }), summary, encrypted_content: encrypted }];
}

function writeTools({ tools, toolChoice, parallelCalls }: Conversation, { names }: WriteContext): JsonRecord {
  if (tools.length === 0) return {};
  const choose = (choice: ToolChoice): unknown =>
    choice.mode === 'tool'
      ? { type: choice.tool.kind === 'custom' ? 'custom' : 'function', name: names.wire(choice.tool) }
      : choice.mode;
  return {
    tools: tools.map((tool) => writeTool(tool, names.wire(tool.name))),
    tool_choice: toolChoice === null ? null : choose(toolChoice),
    parallel_tool_calls: parallelCalls,
  };
}

function writeTool({ name, description, schema, strict }: Tool, wire: string): JsonRecord {
  if (name.kind === 'custom') return present({ type: 'custom', name: wire, description });
  // Without a word Responses is strict, and refuses most schemas.
  return present({
    type: 'function',
    name: wire,
    description,
    parameters: functionSchema(schema),
    strict: strict ?? false,
  });
}

function writeFormat({ format }: Conversation): JsonRecord | null {
  if (format === null) return null;
  const { name, description, schema, strict } = format;
  if (schema === null) return { type: 'json_object' };
  return present({ type: 'json_schema', name: name ?? 'answer', description, schema, strict });
}
