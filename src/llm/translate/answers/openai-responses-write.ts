/**
 * Writes answers of Responses (API reference, "The response object" and "Streaming events"): every
 * block is an item of the output, told from `output_item.added` to `output_item.done`.
 */
import { encodeSseEvent } from '../../../wire/sse.ts';
import { asArray, asRecord, type JsonRecord } from '../../formats/findings.ts';
import type { Usage } from '../../usage.ts';
import { sealOpaque } from '../opaque.ts';
import {
  customInput,
  parseObject,
  type Answer,
  type AnswerBlock,
  type AnswerContext,
  type AnswerEnd,
  type AnswerStream,
  type CallAnswer,
} from './answer.ts';
import { openaiError } from './errors.ts';

/** A whole response. */
export function writeResponsesAnswer(answer: Answer, context: AnswerContext): JsonRecord {
  const output = answer.blocks.map((block) => outputItem(block, itemId(block, context), true));
  return finalResponse(answer, output, context);
}

function finalResponse(answer: Answer, output: readonly JsonRecord[], context: AnswerContext): JsonRecord {
  const reason = incompleteReason(answer.end);
  return {
    ...responseHead(answer.id, context),
    status: reason === null ? 'completed' : 'incomplete',
    incomplete_details: reason === null ? null : { reason },
    output,
    usage: writeUsage(answer.end.usage),
    tools: asArray(context.request['tools']),
  };
}

function incompleteReason({ reason }: AnswerEnd): string | null {
  if (reason === 'length' || reason === 'context') return 'max_output_tokens';
  return reason === 'refusal' ? 'content_filter' : null;
}

/** What stands in every copy of the response; parts of the request are repeated as they came. */
function responseHead(id: string, { model, createdSec, request }: AnswerContext): JsonRecord {
  return {
    id,
    object: 'response',
    created_at: createdSec,
    background: false,
    error: null,
    instructions: request['instructions'] ?? null,
    max_output_tokens: request['max_output_tokens'] ?? null,
    model,
    parallel_tool_calls: request['parallel_tool_calls'] ?? true,
    previous_response_id: null,
    reasoning: asRecord(request['reasoning']) ?? { effort: null, summary: null },
    store: false,
    temperature: request['temperature'] ?? 1,
    text: asRecord(request['text']) ?? { format: { type: 'text' } },
    tool_choice: request['tool_choice'] ?? 'auto',
    tools: [],
    top_p: request['top_p'] ?? 1,
    truncation: request['truncation'] ?? 'disabled',
    metadata: asRecord(request['metadata']) ?? {},
  };
}

const ID_PREFIXES = {
  function: 'fc',
  custom: 'ctc',
  local_shell: 'lsh',
  tool_search: 'tsc',
} as const;

function itemId(block: AnswerBlock, { newId }: AnswerContext): string {
  if (block.kind === 'call') return newId(ID_PREFIXES[block.tool.kind]);
  return newId(block.kind === 'thinking' ? 'rs' : 'msg');
}

/** An item as it is added (without content) and as it is done. */
function outputItem(block: AnswerBlock, id: string, isDone: boolean): JsonRecord {
  const status = isDone ? 'completed' : 'in_progress';
  switch (block.kind) {
    case 'text':
    case 'refusal':
      return {
        id,
        type: 'message',
        status,
        role: 'assistant',
        content: isDone ? [contentPart(block, block.text)] : [],
      };
    case 'thinking': {
      const sealed = block.opaque === null || !isDone ? {} : { encrypted_content: sealOpaque(block.opaque) };
      return {
        id,
        type: 'reasoning',
        summary: isDone && block.text !== '' ? [summaryPart(block.text)] : [],
        ...sealed,
      };
    }
    case 'call':
      return callItem(block, id, isDone ? block.text : null, status);
    default:
      return block satisfies never;
  }
}

/** `text` is null while the arguments are not there. */
function callItem(
  { id: callId, tool }: CallAnswer,
  id: string,
  text: string | null,
  status: string,
): JsonRecord {
  const named = { name: tool.name, ...(tool.namespace === null ? {} : { namespace: tool.namespace }) };
  const values = parseObject(text ?? '') ?? {};
  switch (tool.kind) {
    case 'function':
      return {
        id,
        type: 'function_call',
        status,
        call_id: callId,
        ...named,
        arguments: text === '' ? '{}' : (text ?? ''),
      };
    case 'custom':
      return {
        id,
        type: 'custom_tool_call',
        status,
        call_id: callId,
        ...named,
        input: text === null ? '' : customInput(text),
      };
    case 'local_shell':
      return {
        id,
        type: 'local_shell_call',
        status,
        call_id: callId,
        action: { command: [], env: {}, ...values, type: 'exec' },
      };
    case 'tool_search':
      return {
        id,
        type: 'tool_search_call',
        status,
        call_id: callId,
        execution: 'client',
        arguments: values,
      };
    default:
      return tool.kind satisfies never;
  }
}

function contentPart({ kind }: AnswerBlock, text: string): JsonRecord {
  return kind === 'refusal'
    ? { type: 'refusal', refusal: text }
    : { type: 'output_text', text, annotations: [], logprobs: [] };
}

function summaryPart(text: string): JsonRecord {
  return { type: 'summary_text', text };
}

function writeUsage(usage: Usage | null): JsonRecord {
  const input = usage?.inputTokens ?? 0;
  const output = usage?.outputTokens ?? 0;
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: usage?.cacheReadTokens ?? 0 },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: usage?.reasoningTokens ?? 0 },
    total_tokens: input + output,
  };
}

/** A stream of named, numbered events. */
export function streamResponsesAnswer(context: AnswerContext, out: Buffer[]): AnswerStream {
  return new Stream(context, out);
}

class Stream implements AnswerStream {
  readonly #context: AnswerContext;
  readonly #out: Buffer[];
  readonly #items: JsonRecord[] = [];
  #sequence = 0;
  #responseId = '';
  /** Of the block at hand. */
  #itemId = '';

  constructor(context: AnswerContext, out: Buffer[]) {
    this.#context = context;
    this.#out = out;
  }

  start(id: string): void {
    this.#responseId = id;
    const response = this.#unfinished('in_progress');
    this.#send('response.created', { response });
    this.#send('response.in_progress', { response });
  }

  open(block: AnswerBlock): void {
    this.#itemId = itemId(block, this.#context);
    this.#send('response.output_item.added', {
      output_index: block.index,
      item: outputItem(block, this.#itemId, false),
    });
    if (block.kind === 'text' || block.kind === 'refusal')
      this.#sendAt(block, 'response.content_part.added', { content_index: 0, part: contentPart(block, '') });
  }

  delta(block: AnswerBlock, delta: string): void {
    switch (block.kind) {
      case 'text':
        this.#sendAt(block, 'response.output_text.delta', { content_index: 0, delta, logprobs: [] });
        return;
      case 'refusal':
        this.#sendAt(block, 'response.refusal.delta', { content_index: 0, delta });
        return;
      case 'thinking':
        // A summary without a word has no part: it is added with the first.
        if (block.text === delta)
          this.#sendAt(block, 'response.reasoning_summary_part.added', {
            summary_index: 0,
            part: summaryPart(''),
          });
        this.#sendAt(block, 'response.reasoning_summary_text.delta', { summary_index: 0, delta });
        return;
      case 'call':
        if (block.tool.kind === 'function')
          this.#sendAt(block, 'response.function_call_arguments.delta', { delta });
        return;
      default:
        block satisfies never;
    }
  }

  close(block: AnswerBlock): void {
    const item = outputItem(block, this.#itemId, true);
    this.#sendDone(block, item);
    this.#items.push(item);
    this.#send('response.output_item.done', { output_index: block.index, item });
  }

  end(answer: Answer): void {
    const response = finalResponse(answer, this.#items, this.#context);
    this.#send(`response.${String(response['status'])}`, { response });
  }

  /** Both ends that Responses has: SDKs raise on `error`, Codex reads `response.failed`. */
  fail(error: Parameters<AnswerStream['fail']>[0]): void {
    const told = openaiError(error);
    const code = error.code ?? (error.status === 429 ? 'rate_limit_exceeded' : 'server_error');
    this.#send('error', { code, message: error.message, param: null, error: told });
    const response = { ...this.#unfinished('failed'), error: { code, message: error.message } };
    this.#send('response.failed', { response });
  }

  keepAlive(): void {
    this.#out.push(Buffer.from(': keep-alive\n\n'));
  }

  #sendDone(block: AnswerBlock, item: JsonRecord): void {
    const { text } = block;
    switch (block.kind) {
      case 'text':
        this.#sendAt(block, 'response.output_text.done', { content_index: 0, text, logprobs: [] });
        this.#sendAt(block, 'response.content_part.done', {
          content_index: 0,
          part: contentPart(block, text),
        });
        return;
      case 'refusal':
        this.#sendAt(block, 'response.refusal.done', { content_index: 0, refusal: text });
        this.#sendAt(block, 'response.content_part.done', {
          content_index: 0,
          part: contentPart(block, text),
        });
        return;
      case 'thinking':
        if (text === '') return;
        this.#sendAt(block, 'response.reasoning_summary_text.done', { summary_index: 0, text });
        this.#sendAt(block, 'response.reasoning_summary_part.done', {
          summary_index: 0,
          part: summaryPart(text),
        });
        return;
      case 'call':
        this.#sendCallDone(block, item);
        return;
      default:
        block satisfies never;
    }
  }

  #sendCallDone(block: CallAnswer, item: JsonRecord): void {
    if (block.tool.kind === 'function') {
      const { name, arguments: text } = item;
      if (block.text === '') this.#sendAt(block, 'response.function_call_arguments.delta', { delta: text });
      this.#sendAt(block, 'response.function_call_arguments.done', { name, arguments: text });
    } else if (block.tool.kind === 'custom') {
      const { input } = item;
      this.#sendAt(block, 'response.custom_tool_call_input.delta', { delta: input });
      this.#sendAt(block, 'response.custom_tool_call_input.done', { input });
    }
  }

  #unfinished(status: string): JsonRecord {
    return {
      ...responseHead(this.#responseId, this.#context),
      status,
      incomplete_details: null,
      output: [],
      usage: null,
    };
  }

  #sendAt(block: AnswerBlock, type: string, fields: JsonRecord): void {
    this.#send(type, { output_index: block.index, item_id: this.#itemId, ...fields });
  }

  #send(type: string, fields: JsonRecord): void {
    const data = JSON.stringify({ type, sequence_number: this.#sequence, ...fields });
    this.#sequence += 1;
    this.#out.push(encodeSseEvent({ name: type, data }));
  }
}
