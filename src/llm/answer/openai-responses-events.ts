/** Events of a Responses stream that stand in place of those of a call (OpenAI API reference, "Streaming events"). */
import {
  argumentEvents,
  markerId,
  refusalItem,
  refusalPart,
  streamedParts,
} from './openai-responses-calls.ts';
import { asText, type JsonRecord } from './streams/event-json.ts';
import type { Framing } from './streams/framing.ts';

/** Where the held events of a call lie in the stream. */
export interface HeldSpan {
  readonly outputIndex: number;
  /** `sequence_number` of the first and the last of them; null where the provider numbers nothing. */
  readonly sequence: { readonly first: number; readonly last: number } | null;
  /** Whether the events have an `event` line. */
  readonly isNamed: boolean;
}

/**
 * Numbers the events within the span of those that they replace, so that the rest of the stream
 * keeps the provider's numbers, by which a caller can ask for it again (`starting_after`). Where
 * there are more events than numbers the last ones share the last number.
 */
export function encodeSpan(framing: Framing, span: HeldSpan, events: readonly JsonRecord[]): Buffer {
  const { sequence } = span;
  return Buffer.concat(
    events.map((event, at) => {
      const number = sequence === null ? null : Math.min(sequence.first + at, sequence.last);
      const whole = number === null ? event : { ...event, sequence_number: number };
      return framing.encode(span.isNamed ? (asText(event['type']) ?? '') : '', JSON.stringify(whole));
    }),
  );
}

/** A message with the refusing text, from its first event to its last. */
export function refusalEvents(span: HeldSpan, item: JsonRecord, text: string): JsonRecord[] {
  const output_index = span.outputIndex;
  const message = refusalItem(item, text);
  const place = { item_id: markerId(item), output_index, content_index: 0 };
  const started = { ...message, status: 'in_progress', content: [] };
  return [
    { type: 'response.output_item.added', output_index, item: started },
    { type: 'response.content_part.added', ...place, part: refusalPart('') },
    { type: 'response.output_text.delta', ...place, delta: text, logprobs: [] },
    { type: 'response.output_text.done', ...place, text, logprobs: [] },
    { type: 'response.content_part.done', ...place, part: refusalPart(text) },
    { type: 'response.output_item.done', output_index, item: message },
  ];
}

/** A call with the arguments of `item`, from its first event to its last. */
export function callEvents(span: HeldSpan, item: JsonRecord): JsonRecord[] {
  const output_index = span.outputIndex;
  const item_id = item['id'];
  const prefix = argumentEvents(item);
  const member = item['type'] === 'custom_tool_call' ? 'input' : 'arguments';
  const isText = item['type'] === 'function_call' || item['type'] === 'custom_tool_call';
  const started = { ...item, status: 'in_progress', ...(isText ? { [member]: '' } : {}) };
  const delta = streamedParts(item)?.[0] ?? '';
  const pieces =
    isText && prefix !== null
      ? [
          { type: `${prefix}delta`, item_id, output_index, delta },
          { type: `${prefix}done`, item_id, output_index, ...nameOf(item), [member]: delta },
        ]
      : [];
  return [
    { type: 'response.output_item.added', output_index, item: started },
    ...pieces,
    { type: 'response.output_item.done', output_index, item },
  ];
}

/** The last event of a function's arguments repeats its name; that of free text does not. */
function nameOf(item: JsonRecord): JsonRecord {
  return item['type'] === 'function_call' ? { name: item['name'] } : {};
}
