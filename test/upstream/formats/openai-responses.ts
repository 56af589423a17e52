/** OpenAI Responses: the object, and its stream of named events with sequence numbers. */
import { CREATED_SEC, namedEvent, serialId } from '../answer.ts';
import type { Answer, FakeUsage, FormatWriter, NamedEvent } from '../answer.ts';

function usageOf(usage: FakeUsage): object {
  return {
    input_tokens: usage.input,
    input_tokens_details: { cached_tokens: usage.cacheRead },
    output_tokens: usage.output,
    output_tokens_details: { reasoning_tokens: usage.reasoning },
    total_tokens: usage.input + usage.output,
  };
}

function outputItem(answer: Answer, status: 'in_progress' | 'completed', withContent: boolean): object {
  if (answer.toolCall !== null) {
    return {
      id: serialId('fc_', answer.serial),
      type: 'function_call',
      status,
      call_id: serialId('call_', answer.serial),
      name: answer.toolCall.name,
      arguments: withContent ? answer.toolCall.arguments : '',
    };
  }
  const content = { type: 'output_text', text: answer.pieces.join(''), annotations: [], logprobs: [] };
  return {
    id: serialId('msg_', answer.serial),
    type: 'message',
    status,
    role: 'assistant',
    content: withContent ? [content] : [],
  };
}

function responseObject(answer: Answer, status: 'in_progress' | 'completed'): object {
  const done = status === 'completed';
  return {
    id: serialId('resp_', answer.serial),
    object: 'response',
    created_at: CREATED_SEC,
    status,
    background: false,
    error: null,
    incomplete_details: null,
    instructions: null,
    max_output_tokens: null,
    model: answer.model,
    output: done ? [outputItem(answer, 'completed', true)] : [],
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: true,
    temperature: 1,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    truncation: 'disabled',
    usage: done && answer.usage !== null ? usageOf(answer.usage) : null,
    user: null,
    metadata: {},
    ...(answer.unknowns ? { x_unknown: { kept: 'é' } } : {}),
  };
}

function contentEvents(answer: Answer): NamedEvent[] {
  if (answer.toolCall !== null) {
    const at = { item_id: serialId('fc_', answer.serial), output_index: 0 };
    return [
      { type: 'response.function_call_arguments.delta', ...at, delta: answer.toolCall.arguments },
      { type: 'response.function_call_arguments.done', ...at, arguments: answer.toolCall.arguments },
    ];
  }
  const at = { item_id: serialId('msg_', answer.serial), output_index: 0, content_index: 0 };
  const part = (text: string): object => ({
    part: { type: 'output_text', text, annotations: [], logprobs: [] },
  });
  const text = answer.pieces.join('');
  return [
    { type: 'response.content_part.added', ...at, ...part('') },
    ...answer.pieces.map((delta) => ({ type: 'response.output_text.delta', ...at, delta, logprobs: [] })),
    { type: 'response.output_text.done', ...at, text, logprobs: [] },
    { type: 'response.content_part.done', ...at, ...part(text) },
  ];
}

export const openaiResponses: FormatWriter = {
  streamError: namedEvent({
    type: 'error',
    sequence_number: 9,
    code: 'server_error',
    message: 'The server had an error.',
    param: null,
  }),

  whole: (answer) => responseObject(answer, 'completed'),

  stream(answer) {
    const events: NamedEvent[] = [
      { type: 'response.created', response: responseObject(answer, 'in_progress') },
      { type: 'response.in_progress', response: responseObject(answer, 'in_progress') },
      { type: 'response.output_item.added', output_index: 0, item: outputItem(answer, 'in_progress', false) },
      ...contentEvents(answer),
      ...(answer.unknowns ? [{ type: 'response.x_unknown.event', kept: 'é' }] : []),
      { type: 'response.output_item.done', output_index: 0, item: outputItem(answer, 'completed', true) },
      { type: 'response.completed', response: responseObject(answer, 'completed') },
    ];
    return events.map((event, index) => namedEvent({ ...event, sequence_number: index }));
  },
};
