/** Anthropic Messages: input usage in `message_start`, cumulative output usage in `message_delta`. */
import { namedEvent, serialId, signatureOf } from '../answer.ts';
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

const THINKING = ['What is wanted ', 'is in a file.'];

function stopReasonOf({ toolCalls }: Answer): string {
  return toolCalls.length > 0 ? 'tool_use' : 'end_turn';
}

interface StreamedBlock {
  readonly start: object;
  readonly deltas: readonly object[];
}

function blocksOf(answer: Answer): readonly StreamedBlock[] {
  const blocks: StreamedBlock[] = [];
  if (answer.signed)
    blocks.push({
      start: { type: 'thinking', thinking: '', signature: '' },
      deltas: [
        ...THINKING.map((thinking) => ({ type: 'thinking_delta', thinking })),
        { type: 'signature_delta', signature: signatureOf(answer) },
      ],
    });
  if (answer.toolCalls.length === 0)
    blocks.push({
      start: { type: 'text', text: '' },
      deltas: answer.pieces.map((text) => ({ type: 'text_delta', text })),
    });
  for (const [index, call] of answer.toolCalls.entries())
    blocks.push({
      start: {
        type: 'tool_use',
        id: serialId('toolu_', answer.serial, index),
        name: call.name,
        input: {},
      },
      deltas: [{ type: 'input_json_delta', partial_json: call.arguments }],
    });
  return blocks;
}

export const anthropicMessages: FormatWriter = {
  streamError: namedEvent({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }),

  whole(answer) {
    const calls = answer.toolCalls.map((call, index) => ({
      type: 'tool_use',
      id: serialId('toolu_', answer.serial, index),
      name: call.name,
      input: JSON.parse(call.arguments),
    }));
    const content = [
      ...(answer.signed
        ? [{ type: 'thinking', thinking: THINKING.join(''), signature: signatureOf(answer) }]
        : []),
      ...(calls.length > 0 ? calls : [{ type: 'text', text: answer.pieces.join('') }]),
    ];
    const usage = answer.usage === null ? null : usageOf(answer.usage, answer.usage.output);
    const whole = messageObject(answer, content, stopReasonOf(answer), usage);
    return answer.unknowns ? { ...whole, x_unknown: { kept: 'é' } } : whole;
  },

  stream(answer) {
    const { usage } = answer;
    const startUsage = usage === null ? null : usageOf(usage, Math.min(1, usage.output));
    const events: NamedEvent[] = [
      { type: 'message_start', message: messageObject(answer, [], null, startUsage) },
    ];
    for (const [index, block] of blocksOf(answer).entries()) {
      events.push({ type: 'content_block_start', index, content_block: block.start });
      if (index === 0) events.push({ type: 'ping' });
      for (const delta of block.deltas) events.push({ type: 'content_block_delta', index, delta });
      if (answer.unknowns && index === 0) events.push({ type: 'x_unknown_event', kept: 'é' });
      events.push({ type: 'content_block_stop', index });
    }
    const end = { delta: { stop_reason: stopReasonOf(answer), stop_sequence: null } };
    events.push({
      type: 'message_delta',
      ...end,
      ...(usage === null ? {} : { usage: { output_tokens: usage.output } }),
    });
    events.push({ type: 'message_stop' });
    return events.map((event) => namedEvent(event));
  },
};
