/** Reads answers of Responses (API reference, "Streaming events" of Responses). */
import { asArray, asRecord, get, type JsonRecord } from '../../formats/findings.ts';
import { openaiResponses } from '../../formats/openai-responses.ts';
import type { AnswerReader, AnswerSink, StopReason } from './answer.ts';
import { readAnswerError } from './errors.ts';
import { MergedUsage } from './merged-usage.ts';
import { stringOf, textOf } from './values.ts';

/** Reads answers; encrypted reasoning becomes opaque data. */
export function readResponsesAnswer(sink: AnswerSink): AnswerReader {
  return new Reader(sink);
}

class Reader implements AnswerReader {
  readonly #sink: AnswerSink;
  readonly #usage = new MergedUsage();
  /** Calls whose arguments came piece by piece. */
  readonly #streamed = new Set<string>();

  constructor(sink: AnswerSink) {
    this.#sink = sink;
  }

  event(data: JsonRecord | null, name: string): void {
    if (data === null) return;
    const key = String(data['output_index']);
    const type = stringOf(data['type']) ?? name;
    switch (type) {
      case 'response.created':
        this.#sink.start({ id: stringOf(get(data['response'], 'id')) });
        return;
      case 'response.output_item.added':
        this.#startItem(key, data['item']);
        return;
      case 'response.output_text.delta':
        this.#sink.text('text', textOf(data['delta']));
        return;
      case 'response.refusal.delta':
        this.#sink.text('refusal', textOf(data['delta']));
        return;
      case 'response.reasoning_summary_part.added':
        if (data['summary_index'] !== 0 && data['summary_index'] !== undefined)
          this.#sink.text('thinking', '\n\n');
        return;
      case 'response.reasoning_summary_text.delta':
      case 'response.reasoning_text.delta':
        this.#sink.text('thinking', textOf(data['delta']));
        return;
      case 'response.function_call_arguments.delta':
        this.#streamed.add(key);
        this.#sink.callArguments(key, textOf(data['delta']));
        return;
      case 'response.content_part.done':
        if (get(data['part'], 'type') !== 'reasoning_text') this.#sink.endText();
        return;
      case 'response.output_item.done':
        this.#endItem(key, data['item']);
        return;
      case 'response.completed':
      case 'response.incomplete':
        this.#end(asRecord(data['response']) ?? {});
        return;
      case 'response.failed':
      case 'error':
        this.#sink.fail(readAnswerError(500, data));
        return;
      default:
        return;
    }
  }

  whole(answer: JsonRecord): void {
    if (answer['status'] === 'failed' || (answer['error'] !== undefined && answer['error'] !== null)) {
      this.#sink.fail(readAnswerError(500, answer));
      return;
    }
    this.#sink.start({ id: stringOf(answer['id']) });
    asArray(answer['output']).forEach((item, index) => {
      const key = String(index);
      this.#startItem(key, item);
      this.#readParts(item);
      this.#endItem(key, item);
    });
    this.#end(answer);
  }

  close(): void {
    // A stream ends with one of the final events; without it, it was cut.
  }

  #startItem(key: string, item: unknown): void {
    const type = get(item, 'type');
    if (type !== 'function_call' && type !== 'custom_tool_call') return;
    this.#sink.openCall(key, stringOf(get(item, 'call_id')), textOf(get(item, 'name')));
  }

  #readParts(item: unknown): void {
    if (get(item, 'type') === 'message') {
      for (const part of asArray(get(item, 'content'))) {
        this.#sink.text('text', textOf(get(part, 'text')));
        this.#sink.text('refusal', textOf(get(part, 'refusal')));
        this.#sink.endText();
      }
    } else if (get(item, 'type') === 'reasoning') {
      const parts = [...asArray(get(item, 'summary')), ...asArray(get(item, 'content'))];
      this.#sink.text('thinking', parts.map((part) => textOf(get(part, 'text'))).join('\n\n'));
    }
  }

  #endItem(key: string, item: unknown): void {
    switch (get(item, 'type')) {
      case 'function_call':
        if (!this.#streamed.has(key)) this.#sink.callArguments(key, textOf(get(item, 'arguments')));
        this.#sink.endCall(key);
        return;
      case 'custom_tool_call':
        this.#sink.callArguments(key, JSON.stringify({ input: textOf(get(item, 'input')) }));
        this.#sink.endCall(key);
        return;
      case 'reasoning': {
        const encrypted = stringOf(get(item, 'encrypted_content'));
        if (encrypted !== null && encrypted !== '')
          this.#sink.opaque(JSON.stringify({ id: get(item, 'id'), encrypted }));
        this.#sink.endText();
        return;
      }
      default:
        this.#sink.endText();
    }
  }

  #end(response: JsonRecord): void {
    this.#usage.add(response['usage']);
    this.#sink.end({
      reason: stopReason(response),
      stopSequence: null,
      usage: this.#usage.read(openaiResponses),
    });
  }
}

function stopReason(response: JsonRecord): StopReason {
  if (response['status'] !== 'incomplete') return 'stop';
  return get(response['incomplete_details'], 'reason') === 'content_filter' ? 'refusal' : 'length';
}
