/** Answers of Chat Completions (API reference, "Chat completion chunk object"), read and written. */
import { encodeSseEvent } from '../../../wire/sse.ts';
import { asArray, asRecord, get, type JsonRecord } from '../../formats/findings.ts';
import { openaiChat } from '../../formats/openai-chat.ts';
import type { Usage } from '../../usage.ts';
import {
  customInput,
  type Answer,
  type AnswerContext,
  type AnswerReader,
  type AnswerSink,
  type AnswerStream,
  type CallAnswer,
  type StopReason,
} from './answer.ts';
import { openaiError, readAnswerError } from './errors.ts';
import { MergedUsage } from './merged-usage.ts';
import { stringOf, textOf } from './values.ts';

const STOP_REASONS: ReadonlyMap<unknown, StopReason> = new Map<unknown, StopReason>([
  ['stop', 'stop'],
  ['length', 'length'],
  ['tool_calls', 'calls'],
  ['function_call', 'calls'],
  ['content_filter', 'refusal'],
]);
const STOP_NAMES: Readonly<Record<StopReason, string>> = {
  stop: 'stop',
  stop_sequence: 'stop',
  pause: 'stop',
  length: 'length',
  context: 'length',
  calls: 'tool_calls',
  refusal: 'content_filter',
};

/** Names under which compatible servers tell reasoning: DeepSeek's and its followers', then OpenRouter's and vLLM's. */
const REASONING_FIELDS = ['reasoning_content', 'reasoning'] as const;

/** Reads the first choice. */
export function readChatAnswer(sink: AnswerSink): AnswerReader {
  return new Reader(sink);
}

/** A call under its index; servers that give every call the index 0 tell them apart by id. */
interface OpenCall {
  readonly key: string;
  readonly id: string | null;
}

class Reader implements AnswerReader {
  readonly #sink: AnswerSink;
  readonly #usage = new MergedUsage();
  readonly #calls = new Map<unknown, OpenCall>();
  #callCount = 0;
  #stop: StopReason | null = null;
  /** Where the reasoning at hand stands; null while there is none. */
  #thinkingField: string | null = null;

  constructor(sink: AnswerSink) {
    this.#sink = sink;
  }

  event(data: JsonRecord | null): void {
    if (data === null) {
      this.#end();
      return;
    }
    if (this.#readHead(data)) return;
    const choice = firstChoice(data);
    this.#readMessage(get(choice, 'delta'));
    this.#readFinish(choice);
  }

  whole(answer: JsonRecord): void {
    if (this.#readHead(answer)) return;
    const choice = firstChoice(answer);
    this.#readMessage(get(choice, 'message'));
    this.#readFinish(choice);
    this.#end();
  }

  close(): void {
    if (this.#stop !== null) this.#end();
  }

  /** True if the chunk is an error. */
  #readHead(data: JsonRecord): boolean {
    const { error } = data;
    if (error !== undefined && error !== null) {
      this.#sink.fail(readAnswerError(500, data));
      return true;
    }
    this.#sink.start({ id: stringOf(data['id']) });
    this.#usage.add(get(data['x_groq'], 'usage'));
    this.#usage.add(data['usage']);
    return false;
  }

  #readMessage(message: unknown): void {
    for (const field of REASONING_FIELDS) {
      const thinking = textOf(get(message, field));
      if (thinking === '') continue;
      this.#sink.text('thinking', thinking);
      this.#thinkingField = field;
      break;
    }
    const content = get(message, 'content');
    if (typeof content === 'string') this.#say('text', content);
    for (const part of asArray(content)) this.#say('text', textOf(get(part, 'text')));
    this.#say('refusal', textOf(get(message, 'refusal')));
    asArray(get(message, 'tool_calls')).forEach((call, position) => this.#readCall(call, position));
  }

  #say(kind: 'text' | 'refusal', text: string): void {
    if (text === '') return;
    this.#endThinking();
    this.#sink.text(kind, text);
  }

  /** Some servers want their reasoning back with the results of its calls: its seal says under which name. */
  #endThinking(): void {
    if (this.#thinkingField === null) return;
    this.#sink.opaque(this.#thinkingField);
    this.#sink.endText();
    this.#thinkingField = null;
  }

  #readCall(call: unknown, position: number): void {
    this.#endThinking();
    const made = get(call, 'function') ?? get(call, 'custom');
    const index = get(call, 'index') ?? position;
    const id = stringOf(get(call, 'id'));
    const name = textOf(get(made, 'name'));
    let open = this.#calls.get(index);
    const isNew = open === undefined || (name !== '' && id !== null && id !== '' && id !== open.id);
    if (isNew || open === undefined) {
      open = { key: String(this.#callCount), id };
      this.#callCount += 1;
      this.#calls.set(index, open);
      this.#sink.openCall(open.key, id, name);
    }
    const input = get(made, 'input');
    if (typeof input === 'string') this.#sink.callArguments(open.key, JSON.stringify({ input }));
    const args = get(made, 'arguments');
    this.#sink.callArguments(open.key, asRecord(args) === null ? textOf(args) : JSON.stringify(args));
  }

  #readFinish(choice: unknown): void {
    this.#usage.add(get(choice, 'usage'));
    const reason = get(choice, 'finish_reason');
    if (typeof reason === 'string' && reason !== '') this.#stop = STOP_REASONS.get(reason) ?? 'stop';
  }

  #end(): void {
    this.#endThinking();
    this.#sink.end({
      reason: this.#stop ?? 'stop',
      stopSequence: null,
      usage: this.#usage.read(openaiChat),
    });
  }
}

function firstChoice(data: JsonRecord): unknown {
  const choices = asArray(data['choices']);
  return choices.find((choice) => (get(choice, 'index') ?? 0) === 0);
}

/** A whole completion. Reasoning stands where DeepSeek and its followers put it. */
export function writeChatAnswer(answer: Answer, context: AnswerContext): JsonRecord {
  const text = joined(answer, 'text');
  const refusal = joined(answer, 'refusal');
  const thinking = joined(answer, 'thinking');
  const calls = answer.blocks.filter((block) => block.kind === 'call');
  const message = {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    refusal: refusal === '' ? null : refusal,
    ...(thinking === '' ? {} : { reasoning_content: thinking }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map(toolCall) }),
  };
  const choice = { index: 0, message, logprobs: null, finish_reason: STOP_NAMES[answer.end.reason] };
  return {
    ...head(answer.id, context),
    object: 'chat.completion',
    choices: [choice],
    usage: writeUsage(answer.end.usage),
  };
}

function head(id: string, { createdSec, model }: AnswerContext): JsonRecord {
  return { id, created: createdSec, model };
}

function joined(answer: Answer, kind: 'text' | 'refusal' | 'thinking'): string {
  return answer.blocks.map((block) => (block.kind === kind ? block.text : '')).join('');
}

function toolCall({ id, tool, text }: CallAnswer): JsonRecord {
  return tool.kind === 'custom'
    ? { id, type: 'custom', custom: { name: tool.name, input: customInput(text) } }
    : { id, type: 'function', function: { name: tool.name, arguments: text === '' ? '{}' : text } };
}

function writeUsage(usage: Usage | null): JsonRecord {
  const input = usage?.inputTokens ?? 0;
  const output = usage?.outputTokens ?? 0;
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: usage?.cacheReadTokens ?? 0 },
    completion_tokens_details: { reasoning_tokens: usage?.reasoningTokens ?? 0 },
  };
}

/** A stream of chunks, ended by `[DONE]`. */
export function streamChatAnswer(context: AnswerContext, out: Buffer[]): AnswerStream {
  let id = '';
  let calls = 0;
  const chunk = (choices: readonly unknown[], usage: unknown): void => {
    // Without `include_usage` a chunk has no such member; with it, all but the last have null.
    const told = context.includeUsage ? { usage } : {};
    const value = { ...head(id, context), object: 'chat.completion.chunk', choices, ...told };
    out.push(encodeSseEvent({ data: JSON.stringify(value) }));
  };
  const delta = (change: JsonRecord, finish: string | null = null): void =>
    chunk([{ index: 0, delta: change, logprobs: null, finish_reason: finish }], null);
  return {
    start(answerId) {
      id = answerId;
      delta({ role: 'assistant', content: '', refusal: null });
    },
    open(block) {
      if (block.kind !== 'call' || block.tool.kind === 'custom') return;
      const made = { name: block.tool.name, arguments: '' };
      delta({ tool_calls: [{ index: calls, id: block.id, type: 'function', function: made }] });
    },
    delta(block, text) {
      if (block.kind === 'call') {
        if (block.tool.kind !== 'custom')
          delta({ tool_calls: [{ index: calls, function: { arguments: text } }] });
      } else if (block.kind === 'thinking') delta({ reasoning_content: text });
      else if (block.kind === 'refusal') delta({ refusal: text });
      else delta({ content: text });
    },
    close(block) {
      if (block.kind !== 'call') return;
      if (block.tool.kind === 'custom') delta({ tool_calls: [{ index: calls, ...toolCall(block) }] });
      else if (block.text === '') delta({ tool_calls: [{ index: calls, function: { arguments: '{}' } }] });
      calls += 1;
    },
    end({ end }) {
      delta({}, STOP_NAMES[end.reason]);
      if (context.includeUsage) chunk([], writeUsage(end.usage));
      out.push(Buffer.from('data: [DONE]\n\n'));
    },
    fail(error) {
      out.push(encodeSseEvent({ data: JSON.stringify({ error: openaiError(error) }) }));
    },
    keepAlive() {
      out.push(Buffer.from(': keep-alive\n\n'));
    },
  };
}
