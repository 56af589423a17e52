/** OpenAI Responses, as Codex speaks it: stateless, with the whole conversation in `input`. */
import {
  namedEvent,
  piecesOf,
  schemaOf,
  STREAM_PIECES,
  type AnswerFacts,
  type Reply,
  type ReplyUsage,
  type TalkFormat,
  type TalkItem,
} from '../talk.ts';

interface StreamEvent {
  readonly type: string;
  readonly [member: string]: unknown;
}

export const openaiResponses: TalkFormat = {
  path: () => '/v1/responses',
  headers: {},

  body: (talk) => ({
    model: talk.model,
    instructions: talk.system,
    input: talk.items.flatMap(inputOf),
    tools: talk.tools.map((tool) => ({
      type: 'function',
      name: tool.name,
      description: tool.description,
      parameters: schemaOf(tool),
      strict: false,
    })),
    tool_choice: 'auto',
    parallel_tool_calls: false,
    reasoning: { effort: 'medium', summary: 'auto' },
    max_output_tokens: talk.maxTokens,
    store: false,
    stream: talk.stream,
    include: ['reasoning.encrypted_content'],
  }),

  whole: (reply, at) => response(reply, at, 'completed'),

  stream(reply, at) {
    const events: StreamEvent[] = [
      { type: 'response.created', response: response(reply, at, 'in_progress') },
      ...outputOf(reply, at).flatMap((item, index) => itemEvents(item, index)),
      { type: 'response.completed', response: response(reply, at, 'completed') },
    ];
    return events.map((event, sequence_number) => namedEvent({ ...event, sequence_number }));
  },
};

function inputOf(item: TalkItem): readonly object[] {
  if (item.kind === 'user')
    return [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: item.text }] }];
  if (item.kind === 'reply')
    return [
      ...(item.reply.text === ''
        ? []
        : [
            {
              type: 'message',
              role: 'assistant',
              content: [{ type: 'output_text', text: item.reply.text }],
            },
          ]),
      ...item.reply.calls.map((call) => ({
        type: 'function_call',
        call_id: call.id,
        name: call.name,
        arguments: JSON.stringify(call.arguments),
      })),
    ];
  return item.results.map(({ call, output }) => ({
    type: 'function_call_output',
    call_id: call.id,
    output,
  }));
}

interface OutputItem {
  readonly id: string;
  readonly type: 'reasoning' | 'message' | 'function_call';
  readonly text: string;
  readonly view: (isDone: boolean) => object;
}

function outputOf(reply: Reply, at: AnswerFacts): readonly OutputItem[] {
  const items: OutputItem[] = [];
  const { thinking, text } = reply;
  if (thinking !== null) {
    const id = `rs_${at.id}`;
    const summary = [{ type: 'summary_text', text: thinking }];
    items.push({
      id,
      type: 'reasoning',
      text: thinking,
      view: (isDone) => ({ id, type: 'reasoning', summary: isDone ? summary : [] }),
    });
  }
  if (text !== '') {
    const id = `msg_${at.id}`;
    const content = [{ type: 'output_text', text, annotations: [], logprobs: [] }];
    items.push({
      id,
      type: 'message',
      text,
      view: (isDone) => ({
        id,
        type: 'message',
        role: 'assistant',
        status: isDone ? 'completed' : 'in_progress',
        content: isDone ? content : [],
      }),
    });
  }
  for (const [index, call] of reply.calls.entries()) {
    const id = `fc_${at.id}_${index}`;
    const written = JSON.stringify(call.arguments);
    items.push({
      id,
      type: 'function_call',
      text: written,
      view: (isDone) => ({
        id,
        type: 'function_call',
        status: isDone ? 'completed' : 'in_progress',
        call_id: call.id,
        name: call.name,
        arguments: isDone ? written : '',
      }),
    });
  }
  return items;
}

function itemEvents(item: OutputItem, output_index: number): readonly StreamEvent[] {
  return [
    { type: 'response.output_item.added', output_index, item: item.view(false) },
    ...contentEvents(item, output_index),
    { type: 'response.output_item.done', output_index, item: item.view(true) },
  ];
}

function contentEvents({ id, type, text }: OutputItem, output_index: number): readonly StreamEvent[] {
  const at = { item_id: id, output_index };
  if (type === 'function_call') {
    const prefix = 'response.function_call_arguments';
    return [
      { type: `${prefix}.delta`, ...at, delta: text },
      { type: `${prefix}.done`, ...at, arguments: text },
    ];
  }
  if (type === 'reasoning') {
    const prefix = 'response.reasoning_summary';
    const part = (value: string): object => ({ type: 'summary_text', text: value });
    return [
      { type: `${prefix}_part.added`, ...at, summary_index: 0, part: part('') },
      { type: `${prefix}_text.delta`, ...at, summary_index: 0, delta: text },
      { type: `${prefix}_text.done`, ...at, summary_index: 0, text },
      { type: `${prefix}_part.done`, ...at, summary_index: 0, part: part(text) },
    ];
  }
  const content = { ...at, content_index: 0 };
  const part = (value: string): object => ({
    type: 'output_text',
    text: value,
    annotations: [],
    logprobs: [],
  });
  return [
    { type: 'response.content_part.added', ...content, part: part('') },
    ...piecesOf(text, STREAM_PIECES).map((delta) => ({
      type: 'response.output_text.delta',
      ...content,
      delta,
      logprobs: [],
    })),
    { type: 'response.output_text.done', ...content, text, logprobs: [] },
    { type: 'response.content_part.done', ...content, part: part(text) },
  ];
}

function response(reply: Reply, at: AnswerFacts, status: 'in_progress' | 'completed'): object {
  const isDone = status === 'completed';
  return {
    id: `resp_${at.id}`,
    object: 'response',
    created_at: at.createdSec,
    status,
    error: null,
    incomplete_details: null,
    model: at.model,
    output: isDone ? outputOf(reply, at).map(({ view }) => view(true)) : [],
    parallel_tool_calls: false,
    store: false,
    usage: isDone ? usageOf(reply.usage) : null,
    metadata: {},
  };
}

function usageOf(usage: ReplyUsage): object {
  const input = usage.input + usage.cacheRead + usage.cacheWrite;
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: usage.cacheRead },
    output_tokens: usage.output,
    output_tokens_details: { reasoning_tokens: usage.reasoning },
    total_tokens: input + usage.output,
  };
}
