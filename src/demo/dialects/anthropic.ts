/** Anthropic Messages, as Claude Code and the Anthropic SDK speak it. */
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

const CACHED = { cache_control: { type: 'ephemeral' } };

export const anthropicMessages: TalkFormat = {
  path: () => '/v1/messages',
  headers: { 'anthropic-version': '2023-06-01' },

  body: (talk) => ({
    model: talk.model,
    max_tokens: talk.maxTokens,
    stream: talk.stream,
    system: [{ type: 'text', text: talk.system, ...CACHED }],
    ...(talk.tools.length === 0
      ? {}
      : {
          tools: talk.tools.map((tool) => ({
            name: tool.name,
            description: tool.description,
            input_schema: schemaOf(tool),
          })),
        }),
    messages: talk.items.map(messageOf),
  }),

  whole: (reply, at) => message(reply, at, contentOf(reply, at), usageOf(reply.usage, reply.usage.output)),

  stream(reply, at) {
    const start = { ...message(reply, at, [], usageOf(reply.usage, 1)), stop_reason: null };
    const blocks = contentOf(reply, at).flatMap((block, index) => blockEvents(block, index));
    return [
      namedEvent({ type: 'message_start', message: start }),
      ...blocks,
      namedEvent({
        type: 'message_delta',
        delta: { stop_reason: stopReason(reply), stop_sequence: null },
        usage: { output_tokens: reply.usage.output },
      }),
      namedEvent({ type: 'message_stop' }),
    ];
  },
};

function messageOf(item: TalkItem): object {
  if (item.kind === 'user') return { role: 'user', content: [{ type: 'text', text: item.text }] };
  if (item.kind === 'reply') return { role: 'assistant', content: contentOf(item.reply, null) };
  return {
    role: 'user',
    content: item.results.map(({ call, output }) => ({
      type: 'tool_result',
      tool_use_id: call.id,
      content: output,
    })),
  };
}

type Block = { readonly type: string } & Readonly<Record<string, unknown>>;

function contentOf(reply: Reply, at: AnswerFacts | null): readonly Block[] {
  const signature = Buffer.from(`demo:${reply.thinking ?? ''}`)
    .toString('base64')
    .slice(0, 64);
  return [
    // Of earlier turns the agents send the thinking back only while its calls go on; here they leave it out.
    ...(reply.thinking === null || at === null
      ? []
      : [{ type: 'thinking', thinking: reply.thinking, signature }]),
    ...(reply.text === '' ? [] : [{ type: 'text', text: reply.text }]),
    ...reply.calls.map((call) => ({ type: 'tool_use', id: call.id, name: call.name, input: call.arguments })),
  ];
}

function message(reply: Reply, at: AnswerFacts, content: readonly Block[], usage: object): object {
  return {
    id: `msg_${at.id}`,
    type: 'message',
    role: 'assistant',
    model: at.model,
    content,
    stop_reason: stopReason(reply),
    stop_sequence: null,
    usage,
  };
}

function stopReason(reply: Reply): string {
  return reply.calls.length > 0 ? 'tool_use' : 'end_turn';
}

function usageOf(usage: ReplyUsage, output: number): object {
  return {
    input_tokens: usage.input,
    cache_creation_input_tokens: usage.cacheWrite,
    cache_read_input_tokens: usage.cacheRead,
    output_tokens: output,
    service_tier: 'standard',
  };
}

function blockEvents(block: Block, index: number): readonly string[] {
  const delta = (value: object): string => namedEvent({ type: 'content_block_delta', index, delta: value });
  const events: string[] = [];
  const open = (content_block: object): void => {
    events.push(namedEvent({ type: 'content_block_start', index, content_block }));
  };
  const text = (value: unknown): readonly string[] => piecesOf(String(value), STREAM_PIECES);
  if (block.type === 'thinking') {
    open({ type: 'thinking', thinking: '', signature: '' });
    for (const thinking of text(block['thinking'])) events.push(delta({ type: 'thinking_delta', thinking }));
    events.push(delta({ type: 'signature_delta', signature: block['signature'] }));
  } else if (block.type === 'tool_use') {
    open({ ...block, input: {} });
    for (const partial_json of piecesOf(JSON.stringify(block['input']), 2))
      events.push(delta({ type: 'input_json_delta', partial_json }));
  } else {
    open({ type: 'text', text: '' });
    for (const piece of text(block['text'])) events.push(delta({ type: 'text_delta', text: piece }));
  }
  events.push(namedEvent({ type: 'content_block_stop', index }));
  return events;
}
