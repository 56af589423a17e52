/** Reads answers of Bedrock's Converse (API reference, "Converse" and "ConverseStream"). */
import { bedrockConverse } from '../../formats/bedrock.ts';
import { asArray, asRecord, get, type JsonRecord } from '../../formats/findings.ts';
import type { AnswerReader, AnswerSink, StopReason } from './answer.ts';
import { MergedUsage } from './merged-usage.ts';
import { stringOf, textOf } from './values.ts';

const STOP_REASONS: ReadonlyMap<unknown, StopReason> = new Map<unknown, StopReason>([
  ['end_turn', 'stop'],
  ['tool_use', 'calls'],
  ['max_tokens', 'length'],
  ['stop_sequence', 'stop_sequence'],
  ['guardrail_intervened', 'refusal'],
  ['content_filtered', 'refusal'],
  ['model_context_window_exceeded', 'context'],
]);

/** Signatures become opaque data together with the text that they cover, as Claude's own format has them. */
export function readConverseAnswer(sink: AnswerSink): AnswerReader {
  return new Reader(sink);
}

class Reader implements AnswerReader {
  readonly #sink: AnswerSink;
  readonly #usage = new MergedUsage();
  /** Blocks that are calls, by their index. */
  readonly #calls = new Set<unknown>();
  #stop: unknown = null;
  #hasStopped = false;
  #thinking = '';

  constructor(sink: AnswerSink) {
    this.#sink = sink;
  }

  event(data: JsonRecord | null, name: string): void {
    const index = data?.['contentBlockIndex'];
    switch (name) {
      case 'messageStart':
        this.#sink.start({ id: null });
        return;
      case 'contentBlockStart':
        this.#openCall(index, get(get(data, 'start'), 'toolUse'));
        return;
      case 'contentBlockDelta':
        this.#delta(index, asRecord(data?.['delta']) ?? {});
        return;
      case 'contentBlockStop':
        this.#thinking = '';
        if (this.#calls.has(index)) this.#sink.endCall(String(index));
        else this.#sink.endText();
        return;
      case 'messageStop':
        this.#hasStopped = true;
        this.#stop = data?.['stopReason'];
        return;
      case 'metadata':
        this.#usage.add(data?.['usage']);
        if (this.#hasStopped) this.#end();
        return;
      default:
        return;
    }
  }

  whole(answer: JsonRecord): void {
    this.#sink.start({ id: null });
    asArray(get(get(answer['output'], 'message'), 'content')).forEach((block, index) => {
      const call = get(block, 'toolUse');
      this.#openCall(index, call);
      if (this.#calls.has(index)) {
        this.#sink.callArguments(String(index), JSON.stringify(get(call, 'input') ?? {}));
        this.#sink.endCall(String(index));
      }
      this.#sink.text('text', textOf(get(block, 'text')));
      for (const part of asArray(get(get(block, 'citationsContent'), 'content')))
        this.#sink.text('text', textOf(get(part, 'text')));
      this.#reasoning(get(get(block, 'reasoningContent'), 'reasoningText'));
      this.#redacted(get(get(block, 'reasoningContent'), 'redactedContent'));
      this.#thinking = '';
      this.#sink.endText();
    });
    this.#usage.add(answer['usage']);
    this.#stop = answer['stopReason'];
    this.#end();
  }

  /** The usage, which comes last, may be missing. */
  close(): void {
    if (this.#hasStopped) this.#end();
  }

  #openCall(index: unknown, call: unknown): void {
    if (asRecord(call) === null) return;
    this.#calls.add(index);
    this.#sink.openCall(String(index), stringOf(get(call, 'toolUseId')), textOf(get(call, 'name')));
  }

  #delta(index: unknown, delta: JsonRecord): void {
    if (this.#calls.has(index))
      this.#sink.callArguments(String(index), textOf(get(delta['toolUse'], 'input')));
    this.#sink.text('text', textOf(delta['text']));
    this.#reasoning(delta['reasoningContent']);
    this.#redacted(get(delta['reasoningContent'], 'redactedContent'));
  }

  #reasoning(reasoning: unknown): void {
    const text = textOf(get(reasoning, 'text'));
    this.#thinking += text;
    this.#sink.text('thinking', text);
    const signature = textOf(get(reasoning, 'signature'));
    if (signature !== '') this.#sink.opaque(JSON.stringify({ thinking: this.#thinking, signature }));
  }

  #redacted(data: unknown): void {
    if (typeof data === 'string') this.#sink.opaque(JSON.stringify({ redacted: data }));
  }

  #end(): void {
    this.#sink.end({
      reason: STOP_REASONS.get(this.#stop) ?? 'stop',
      stopSequence: null,
      usage: this.#usage.read(bedrockConverse),
    });
  }
}
