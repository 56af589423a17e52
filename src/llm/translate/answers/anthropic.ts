/** Answers of Anthropic Messages (API reference, "Messages" and "Streaming messages"), read and written. */
import { encodeSseEvent } from '../../../wire/sse.ts';
import { anthropicMessages } from '../../formats/anthropic-messages.ts';
import { asArray, asRecord, get, type JsonRecord } from '../../formats/findings.ts';
import type { Usage } from '../../usage.ts';
import { sealOpaque } from '../opaque.ts';
import {
  parseObject,
  type Answer,
  type AnswerBlock,
  type AnswerContext,
  type AnswerError,
  type AnswerReader,
  type AnswerSink,
  type AnswerStream,
  type StopReason,
} from './answer.ts';
import { anthropicErrorBody, readAnswerError } from './errors.ts';
import { MergedUsage } from './merged-usage.ts';
import { stringOf } from './values.ts';

const STOP_REASONS: ReadonlyMap<unknown, StopReason> = new Map<unknown, StopReason>([
  ['end_turn', 'stop'],
  ['max_tokens', 'length'],
  ['stop_sequence', 'stop_sequence'],
  ['tool_use', 'calls'],
  ['refusal', 'refusal'],
  ['model_context_window_exceeded', 'context'],
  ['pause_turn', 'pause'],
]);
const STOP_NAMES: Readonly<Record<StopReason, string>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  stop_sequence: 'stop_sequence',
  calls: 'tool_use',
  refusal: 'refusal',
  context: 'model_context_window_exceeded',
  pause: 'pause_turn',
};

/** Reads answers; signatures become opaque data together with the text that they cover. */
export function readAnthropicAnswer(sink: AnswerSink): AnswerReader {
  return new Reader(sink);
}

class Reader implements AnswerReader {
  readonly #sink: AnswerSink;
  readonly #usage = new MergedUsage();
  #stop: unknown = null;
  #stopSequence: unknown = null;
  /** Type of the open block by its index. */
  readonly #types = new Map<unknown, unknown>();
  #thinking = '';

  constructor(sink: AnswerSink) {
    this.#sink = sink;
  }

  event(data: JsonRecord | null): void {
    switch (data?.['type']) {
      case 'message_start': {
        const message = data['message'];
        this.#sink.start({ id: stringOf(get(message, 'id')) });
        this.#usage.add(get(message, 'usage'));
        return;
      }
      case 'content_block_start':
        this.#types.set(data['index'], get(data['content_block'], 'type'));
        this.#startBlock(data['index'], data['content_block']);
        return;
      case 'content_block_delta':
        this.#delta(data['index'], asRecord(data['delta']) ?? {});
        return;
      case 'content_block_stop':
        if (this.#types.get(data['index']) === 'tool_use') this.#sink.endCall(String(data['index']));
        else this.#sink.endText();
        return;
      case 'message_delta':
        this.#stop = get(data['delta'], 'stop_reason');
        this.#stopSequence = get(data['delta'], 'stop_sequence');
        this.#usage.add(data['usage']);
        return;
      case 'message_stop':
        this.#end();
        return;
      case 'error':
        this.#sink.fail(readAnswerError(500, data));
        return;
      default:
        return;
    }
  }

  whole(answer: JsonRecord): void {
    this.#sink.start({ id: stringOf(answer['id']) });
    asArray(answer['content']).forEach((block, index) => {
      this.#startBlock(index, block);
      if (get(block, 'type') === 'tool_use') {
        this.#sink.callArguments(String(index), JSON.stringify(get(block, 'input') ?? {}));
        this.#sink.endCall(String(index));
      } else if (get(block, 'type') === 'thinking') {
        this.#sign(get(block, 'signature'));
      }
      this.#sink.endText();
    });
    this.#usage.add(answer['usage']);
    this.#stop = answer['stop_reason'];
    this.#stopSequence = answer['stop_sequence'];
    this.#end();
  }

  close(): void {
    // A stream ends with `message_stop`; without it, it was cut.
  }

  #startBlock(index: unknown, block: unknown): void {
    switch (get(block, 'type')) {
      case 'text':
        this.#sink.text('text', stringOf(get(block, 'text')) ?? '');
        return;
      case 'thinking':
        this.#thinking = stringOf(get(block, 'thinking')) ?? '';
        this.#sink.text('thinking', this.#thinking);
        return;
      case 'redacted_thinking':
        this.#sink.opaque(JSON.stringify({ redacted: stringOf(get(block, 'data')) ?? '' }));
        return;
      case 'tool_use':
        this.#sink.openCall(String(index), stringOf(get(block, 'id')), stringOf(get(block, 'name')) ?? '');
        return;
      default:
        return;
    }
  }

  #delta(index: unknown, delta: JsonRecord): void {
    switch (delta['type']) {
      case 'text_delta':
        this.#sink.text('text', stringOf(delta['text']) ?? '');
        return;
      case 'thinking_delta': {
        const text = stringOf(delta['thinking']) ?? '';
        this.#thinking += text;
        this.#sink.text('thinking', text);
        return;
      }
      case 'signature_delta':
        this.#sign(delta['signature']);
        return;
      case 'input_json_delta':
        if (this.#types.get(index) === 'tool_use')
          this.#sink.callArguments(String(index), stringOf(delta['partial_json']) ?? '');
        return;
      default:
        return;
    }
  }

  #sign(signature: unknown): void {
    if (typeof signature !== 'string' || signature === '') return;
    this.#sink.opaque(JSON.stringify({ thinking: this.#thinking, signature }));
  }

  #end(): void {
    this.#sink.end({
      reason: STOP_REASONS.get(this.#stop) ?? 'stop',
      stopSequence: stringOf(this.#stopSequence),
      usage: this.#usage.read(anthropicMessages),
    });
  }
}

/** A whole message. */
export function writeAnthropicAnswer(answer: Answer, context: AnswerContext): JsonRecord {
  return {
    ...messageHead(answer.id, context),
    content: answer.blocks.map(contentBlock),
    stop_reason: STOP_NAMES[answer.end.reason],
    stop_sequence: answer.end.stopSequence,
    usage: writeUsage(answer.end.usage),
  };
}

function messageHead(id: string, { model }: AnswerContext): JsonRecord {
  return { id, type: 'message', role: 'assistant', model };
}

function contentBlock(block: AnswerBlock): JsonRecord {
  switch (block.kind) {
    case 'text':
    case 'refusal':
      return { type: 'text', text: block.text };
    case 'thinking':
      return { type: 'thinking', thinking: block.text, signature: signature(block) };
    case 'call':
      return {
        ...toolUse(block),
        input: parseObject(block.text) ?? (block.text === '' ? {} : { input: block.text }),
      };
    default:
      return block satisfies never;
  }
}

function signature(block: AnswerBlock & { kind: 'thinking' }): string {
  return block.opaque === null ? '' : sealOpaque(block.opaque);
}

function toolUse(block: AnswerBlock & { kind: 'call' }): JsonRecord {
  return { type: 'tool_use', id: block.id, name: block.tool.name };
}

/** Anthropic's `input_tokens` are those that no cache knew. */
function writeUsage(usage: Usage | null): JsonRecord {
  const read = usage?.cacheReadTokens ?? 0;
  const written = (usage?.cacheWriteTokens ?? 0) + (usage?.cacheWrite1hTokens ?? 0);
  return {
    input_tokens: Math.max(0, (usage?.inputTokens ?? 0) - read - written),
    cache_creation_input_tokens: written,
    cache_read_input_tokens: read,
    output_tokens: usage?.outputTokens ?? 0,
    ...(usage?.reasoningTokens === undefined
      ? {}
      : { output_tokens_details: { thinking_tokens: usage.reasoningTokens } }),
  };
}

/** A stream: every event has its type as its name. */
export function streamAnthropicAnswer(context: AnswerContext, out: Buffer[]): AnswerStream {
  const send = (event: JsonRecord & { readonly type: string }): void => {
    out.push(encodeSseEvent({ name: event.type, data: JSON.stringify(event) }));
  };
  const delta = ({ index }: AnswerBlock, change: JsonRecord): void =>
    send({ type: 'content_block_delta', index, delta: change });
  return {
    start(id) {
      const usage = { ...writeUsage({ inputTokens: context.estimatedInputTokens }), output_tokens: 1 };
      const message = {
        ...messageHead(id, context),
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage,
      };
      send({ type: 'message_start', message });
    },
    open(block) {
      send({ type: 'content_block_start', index: block.index, content_block: emptyBlock(block) });
    },
    delta(block, text) {
      if (block.kind === 'call') delta(block, { type: 'input_json_delta', partial_json: text });
      else if (block.kind === 'thinking') delta(block, { type: 'thinking_delta', thinking: text });
      else delta(block, { type: 'text_delta', text });
    },
    close(block) {
      if (block.kind === 'thinking' && block.opaque !== null)
        delta(block, { type: 'signature_delta', signature: signature(block) });
      send({ type: 'content_block_stop', index: block.index });
    },
    end({ end }) {
      const change = { stop_reason: STOP_NAMES[end.reason], stop_sequence: end.stopSequence };
      send({ type: 'message_delta', delta: change, usage: writeUsage(end.usage) });
      send({ type: 'message_stop' });
    },
    fail(error: AnswerError) {
      send({ ...anthropicErrorBody(error), type: 'error' });
    },
    keepAlive() {
      send({ type: 'ping' });
    },
  };
}

function emptyBlock(block: AnswerBlock): JsonRecord {
  switch (block.kind) {
    case 'call':
      return { ...toolUse(block), input: {} };
    case 'thinking':
      return { type: 'thinking', thinking: '', signature: '' };
    case 'text':
    case 'refusal':
      return { type: 'text', text: '' };
    default:
      return block satisfies never;
  }
}
