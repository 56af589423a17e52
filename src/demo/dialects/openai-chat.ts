/** OpenAI chat completions, as OpenCode and the OpenAI SDK speak it. */
import {
  dataEvent,
  piecesOf,
  schemaOf,
  STREAM_PIECES,
  type AnswerFacts,
  type Reply,
  type ReplyUsage,
  type TalkFormat,
  type TalkItem,
} from '../talk.ts';

export const openaiChat: TalkFormat = {
  path: () => '/v1/chat/completions',
  headers: {},

  body: (talk) => ({
    model: talk.model,
    max_completion_tokens: talk.maxTokens,
    stream: talk.stream,
    ...(talk.stream ? { stream_options: { include_usage: true } } : {}),
    messages: [{ role: 'system', content: talk.system }, ...talk.items.flatMap(messagesOf)],
    ...(talk.tools.length === 0
      ? {}
      : {
          tools: talk.tools.map((tool) => ({
            type: 'function',
            function: { name: tool.name, description: tool.description, parameters: schemaOf(tool) },
          })),
        }),
  }),

  whole: (reply, at) => ({
    id: `chatcmpl-${at.id}`,
    object: 'chat.completion',
    created: at.createdSec,
    model: at.model,
    choices: [{ index: 0, message: assistant(reply), logprobs: null, finish_reason: finish(reply) }],
    usage: usageOf(reply.usage),
  }),

  stream(reply, at) {
    const choice = (delta: object, finish_reason: string | null = null): string =>
      chunk(at, { choices: [{ index: 0, delta, logprobs: null, finish_reason }], usage: null });
    const text = reply.text === '' ? [] : piecesOf(reply.text, STREAM_PIECES);
    return [
      choice({ role: 'assistant', content: '' }),
      ...text.map((content) => choice({ content })),
      ...toolCalls(reply).map((call, index) => choice({ tool_calls: [{ index, ...call }] })),
      choice({}, finish(reply)),
      chunk(at, { choices: [], usage: usageOf(reply.usage) }),
      'data: [DONE]\n\n',
    ];
  },
};

function messagesOf(item: TalkItem): readonly object[] {
  if (item.kind === 'user') return [{ role: 'user', content: item.text }];
  if (item.kind === 'reply') return [assistant(item.reply)];
  return item.results.map(({ call, output }) => ({
    role: 'tool',
    tool_call_id: call.id,
    content: output,
  }));
}

function assistant(reply: Reply): object {
  return {
    role: 'assistant',
    content: reply.text === '' ? null : reply.text,
    ...(reply.calls.length === 0 ? {} : { tool_calls: toolCalls(reply) }),
  };
}

function toolCalls(reply: Reply): readonly object[] {
  return reply.calls.map((call) => ({
    id: call.id,
    type: 'function',
    function: { name: call.name, arguments: JSON.stringify(call.arguments) },
  }));
}

function chunk(at: AnswerFacts, more: object): string {
  return dataEvent({
    id: `chatcmpl-${at.id}`,
    object: 'chat.completion.chunk',
    created: at.createdSec,
    model: at.model,
    ...more,
  });
}

function finish(reply: Reply): string {
  return reply.calls.length > 0 ? 'tool_calls' : 'stop';
}

/** OpenAI counts cached input inside the prompt's tokens. */
function usageOf(usage: ReplyUsage): object {
  const prompt = usage.input + usage.cacheRead + usage.cacheWrite;
  return {
    prompt_tokens: prompt,
    completion_tokens: usage.output,
    total_tokens: prompt + usage.output,
    prompt_tokens_details: { cached_tokens: usage.cacheRead },
    completion_tokens_details: { reasoning_tokens: usage.reasoning },
  };
}
