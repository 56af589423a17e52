/** Anthropic Messages: input usage in `message_start`, cumulative output usage in `message_delta`. */
import { namedEvent, serialId } from '../answer.ts';
import type { Answer, FakeUsage, FormatWriter, NamedEvent } from '../answer.ts';

/** Anthropic counts cached and written input beside `input_tokens`, not inside it. */
function usageOf(usage: FakeUsage, output: number): object {
  return {
    input_tokens: usage.input - usage.cacheRead - usage.cacheWrite5m - usage.cacheWrite1h,
    cache_creation_input_tokens: usage.cacheWrite5m + usage.cacheWrite1h,
    cache_read_input_tokens: usage.cacheRead,
    cache_creation: {
      ephemeral_5m_input_tokens: usage.cacheWrite5m,
      ephemeral_1h_input_tokens: usage.cacheWrite1h,
    },
    output_tokens: output,
    service_tier: 'standard',
  };
}

function messageObject(
  answer: Answer,
  content: object[],
  stopReason: string | null,
  usage: object | null,
): object {
  return {
    id: serialId('msg_', answer.serial),
    type: 'message',
    role: 'assistant',
    model: answer.model,
    content,
    stop_reason: stopReason,
    stop_sequence: null,
    ...(usage === null ? {} : { usage }),
  };
}

export const anthropicMessages: FormatWriter = {
  streamError: namedEvent({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }),

  whole(answer) {
    const content =
      answer.toolCall === null
        ? [{ type: 'text', text: answer.pieces.join('') }]
        : [
            {
              type: 'tool_use',
              id: serialId('toolu_', answer.serial),
              name: answer.toolCall.name,
              input: JSON.parse(answer.toolCall.arguments),
            },
          ];
    const usage = answer.usage === null ? null : usageOf(answer.usage, answer.usage.output);
    const whole = messageObject(answer, content, answer.toolCall === null ? 'end_turn' : 'tool_use', usage);
    return answer.unknowns ? { ...whole, x_unknown: { kept: 'é' } } : whole;
  },

  stream(answer) {
    const { usage } = answer;
    const startUsage = usage === null ? null : usageOf(usage, Math.min(1, usage.output));
    const events: NamedEvent[] = [
      { type: 'message_start', message: messageObject(answer, [], null, startUsage) },
    ];
    const delta = (value: object): NamedEvent => ({ type: 'content_block_delta', index: 0, delta: value });
    if (answer.toolCall === null) {
      events.push(
        { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
        { type: 'ping' },
      );
      for (const text of answer.pieces) events.push(delta({ type: 'text_delta', text }));
    } else {
      const id = serialId('toolu_', answer.serial);
      const block = { type: 'tool_use', id, name: answer.toolCall.name, input: {} };
      events.push({ type: 'content_block_start', index: 0, content_block: block }, { type: 'ping' });
      events.push(delta({ type: 'input_json_delta', partial_json: answer.toolCall.arguments }));
    }
    if (answer.unknowns) events.push({ type: 'x_unknown_event', kept: 'é' });
    events.push({ type: 'content_block_stop', index: 0 });
    const end = {
      delta: { stop_reason: answer.toolCall === null ? 'end_turn' : 'tool_use', stop_sequence: null },
    };
    events.push({
      type: 'message_delta',
      ...end,
      ...(usage === null ? {} : { usage: { output_tokens: usage.output } }),
    });
    events.push({ type: 'message_stop' });
    return events.map((event) => namedEvent(event));
  },
};
