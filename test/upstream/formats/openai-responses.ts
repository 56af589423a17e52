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

type Status = 'in_progress' | 'completed';

/** One item of the output: as it stands at its beginning and its end, and the events between. */
interface Item {
  readonly view: (status: Status) => object;
  readonly events: (at: { readonly output_index: number }) => readonly NamedEvent[];
}

function itemsOf(answer: Answer): readonly Item[] {
  const output = answer.toolCalls.length === 0 ? [messageItem(answer)] : callItems(answer);
  return answer.signed ? [reasoningItem(answer), ...output] : output;
}

function reasoningItem({ serial }: Answer): Item {
  return { view: () => ({ id: serialId('rs_', serial), type: 'reasoning', summary: [] }), events: () => [] };
}

function callItems({ serial, toolCalls }: Answer): readonly Item[] {
  return toolCalls.map((call, index) => {
    const id = serialId('fc_', serial, index);
    return {
      view: (status) => ({
        id,
        type: 'function_call',
        status,
        call_id: serialId('call_', serial, index),
        name: call.name,
        arguments: status === 'completed' ? call.arguments : '',
      }),
      events: ({ output_index }) => {
        const at = { item_id: id, output_index };
        return [
          { type: 'response.function_call_arguments.delta', ...at, delta: call.arguments },
          { type: 'response.function_call_arguments.done', ...at, arguments: call.arguments },
        ];
      },
    };
  });
}

function messageItem({ serial, pieces }: Answer): Item {
  const id = serialId('msg_', serial);
  const text = pieces.join('');
  const content = { type: 'output_text', text, annotations: [], logprobs: [] };
  return {
    view: (status) => ({
      id,
      type: 'message',
      status,
      role: 'assistant',
      content: status === 'completed' ? [content] : [],
    }),
    events: ({ output_index }) => {
      const at = { item_id: id, output_index, content_index: 0 };
      return [
        { type: 'response.content_part.added', ...at, part: { ...content, text: '' } },
        ...pieces.map((delta) => ({ type: 'response.output_text.delta', ...at, delta, logprobs: [] })),
        { type: 'response.output_text.done', ...at, text, logprobs: [] },
        { type: 'response.content_part.done', ...at, part: content },
      ];
    },
  };
}

function responseObject(answer: Answer, status: Status): object {
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
    output: done ? itemsOf(answer).map(({ view }) => view('completed')) : [],
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

function itemEvents(answer: Answer, { view, events }: Item, index: number): readonly NamedEvent[] {
  const at = { output_index: index };
  return [
    { type: 'response.output_item.added', ...at, item: view('in_progress') },
    ...events(at),
    ...(answer.unknowns && index === 0 ? [{ type: 'response.x_unknown.event', kept: 'é' }] : []),
    { type: 'response.output_item.done', ...at, item: view('completed') },
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
      ...itemsOf(answer).flatMap((item, index) => itemEvents(answer, item, index)),
      { type: 'response.completed', response: responseObject(answer, 'completed') },
    ];
    return events.map((event, index) => namedEvent({ ...event, sequence_number: index }));
  },
};
