/** Exchanges of every format, as providers send them, for the tests of the meters. */
import { encodeEventStreamMessage } from '../../wire/aws-event-stream.ts';
import type { MeterResult } from '../meter.ts';
import type { Format } from '../surface.ts';
import { createMeter } from './create-meter.ts';

interface Exchange {
  readonly format: Format;
  readonly contentType: string;
  readonly streamed: boolean;
  readonly bytes: Buffer;
}

export const SSE = 'text/event-stream; charset=utf-8';
export const JSON_TYPE = 'application/json';
export const FRAMES = 'application/vnd.amazon.eventstream';

export const sse = (format: Format, events: readonly (object | string)[], named = false): Exchange => ({
  format,
  contentType: SSE,
  streamed: true,
  bytes: Buffer.from(
    events
      .map((event) => {
        if (typeof event === 'string') return `data: ${event}\n\n`;
        return `${named && 'type' in event ? `event: ${String(event.type)}\n` : ''}data: ${JSON.stringify(event)}\n\n`;
      })
      .join(''),
  ),
});
export const whole = (format: Format, value: unknown): Exchange => ({
  format,
  contentType: JSON_TYPE,
  streamed: false,
  bytes: Buffer.from(JSON.stringify(value)),
});

export function frame(headers: Readonly<Record<string, string>>, payload: unknown): Buffer {
  return encodeEventStreamMessage({
    headers: new Map(Object.entries(headers).map(([name, value]) => [name, { type: 'string', value }])),
    payload: Buffer.from(JSON.stringify(payload)),
  });
}
const converse = (type: string, payload: unknown): Buffer =>
  frame({ ':event-type': type, ':content-type': JSON_TYPE, ':message-type': 'event' }, payload);
export const frames = (format: Format, parts: readonly Buffer[]): Exchange => ({
  format,
  contentType: FRAMES,
  streamed: true,
  bytes: Buffer.concat(parts),
});

export function meter(exchange: Exchange, chunks: readonly Buffer[] = [exchange.bytes]): MeterResult {
  const found = createMeter(exchange.format, exchange);
  for (const chunk of chunks) found.push(chunk);
  return found.finish();
}

export const chunk = (choices: unknown, more: object = {}): object => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  model: 'gpt-x',
  choices,
  ...more,
});
export const delta = (value: object, finish: string | null = null): object[] => [
  { index: 0, delta: value, finish_reason: finish },
];

export const CHAT_STREAM = sse('openai_chat', [
  chunk(delta({ role: 'assistant', content: '' }), { usage: null }),
  chunk(delta({ content: 'Hé "x"\n' }), { usage: null }),
  chunk(delta({ tool_calls: [{ index: 0, id: 'c', function: { name: 'read', arguments: '{"a"' } }] }), {
    usage: null,
  }),
  chunk(delta({ tool_calls: [{ index: 0, function: { arguments: ':1}' } }] }), { usage: null }),
  chunk(delta({}, 'tool_calls'), { usage: null }),
  chunk([], {
    usage: {
      prompt_tokens: 10,
      completion_tokens: 7,
      total_tokens: 17,
      prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 3 },
    },
  }),
  '[DONE]',
]);

export const MESSAGES_EVENTS = [
  {
    type: 'message_start',
    message: {
      id: 'msg_1',
      model: 'claude-x',
      usage: {
        input_tokens: 5,
        cache_read_input_tokens: 100,
        cache_creation_input_tokens: 30,
        cache_creation: { ephemeral_5m_input_tokens: 20, ephemeral_1h_input_tokens: 10 },
        output_tokens: 1,
      },
    },
  },
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  { type: 'ping' },
  { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'hello' } },
  {
    type: 'content_block_start',
    index: 1,
    content_block: { type: 'tool_use', id: 't', name: 'bash', input: {} },
  },
  { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{"a":1}' } },
  { type: 'content_block_stop', index: 1 },
  {
    type: 'message_delta',
    delta: { stop_reason: 'tool_use' },
    usage: { output_tokens: 42, input_tokens: null, server_tool_use: { web_search_requests: 2 } },
  },
  { type: 'message_stop' },
];
export const MESSAGES_STREAM = sse('anthropic_messages', MESSAGES_EVENTS, true);
export const MESSAGES_USAGE = {
  inputTokens: 135,
  cacheReadTokens: 100,
  cacheWriteTokens: 20,
  cacheWrite1hTokens: 10,
  outputTokens: 42,
  webSearches: 2,
};

export const RESPONSE = {
  id: 'resp_1',
  model: 'gpt-x',
  status: 'completed',
  error: null,
  output: [
    { type: 'web_search_call', action: { type: 'search' } },
    { type: 'web_search_call', action: { type: 'open_page' } },
    { type: 'function_call', name: 'ls', arguments: '{}' },
    { type: 'message', content: [{ type: 'output_text', text: 'hi' }] },
  ],
  usage: {
    input_tokens: 9,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 6,
    output_tokens_details: { reasoning_tokens: 2 },
  },
};
export const RESPONSES_STREAM = sse(
  'openai_responses',
  [
    { type: 'response.created', response: { id: 'resp_1', model: 'gpt-x', usage: null } },
    { type: 'response.output_item.added', item: { type: 'function_call', name: 'ls', arguments: '' } },
    { type: 'response.output_text.delta', delta: 'hi' },
    { type: 'response.completed', response: RESPONSE },
  ],
  true,
);

export const gemini = (text: string, more: object = {}, candidate: object = {}): object => ({
  candidates: [{ content: { role: 'model', parts: [{ text }] }, ...candidate }],
  modelVersion: 'gemini-x',
  responseId: 'r1',
  ...more,
});
const GEMINI_PARTS = [
  gemini('he', { usageMetadata: { promptTokenCount: 8, candidatesTokenCount: 1 } }),
  gemini(
    'llo',
    {
      usageMetadata: {
        promptTokenCount: 8,
        candidatesTokenCount: 5,
        thoughtsTokenCount: 3,
        cachedContentTokenCount: 2,
        promptTokensDetails: [{ modality: 'AUDIO', tokenCount: 4 }],
      },
    },
    { finishReason: 'STOP' },
  ),
];
export const GEMINI_USAGE = {
  inputTokens: 8,
  cacheReadTokens: 2,
  outputTokens: 8,
  reasoningTokens: 3,
  inputAudioTokens: 4,
};
export const GEMINI_STREAM = sse('gemini_generate_content', GEMINI_PARTS);
export const GEMINI_ARRAY: Exchange = {
  format: 'google_generate_content',
  contentType: 'application/json; charset=UTF-8',
  streamed: true,
  bytes: Buffer.from(JSON.stringify(GEMINI_PARTS, null, 2)),
};

export const CONVERSE_USAGE = {
  inputTokens: 3,
  outputTokens: 4,
  cacheReadInputTokens: 5,
  cacheWriteInputTokens: 6,
  cacheDetails: [{ ttl: '1h', inputTokens: 2 }],
};
export const CONVERSE_STREAM = frames('bedrock_converse', [
  converse('messageStart', { role: 'assistant' }),
  converse('contentBlockStart', { start: { toolUse: { name: 'go', toolUseId: 'x' } } }),
  converse('contentBlockDelta', { delta: { text: 'abc' } }),
  converse('messageStop', { stopReason: 'end_turn' }),
  converse('metadata', { usage: CONVERSE_USAGE }),
]);
export const wrap = (event: object): Buffer =>
  converse('chunk', { bytes: Buffer.from(JSON.stringify(event)).toString('base64') });
export const INVOKE_STREAM = frames(
  'bedrock_model_invoke',
  MESSAGES_EVENTS.map((event) =>
    wrap(
      event.type === 'message_stop'
        ? { ...event, 'amazon-bedrock-invocationMetrics': { inputTokenCount: 5, outputTokenCount: 42 } }
        : event,
    ),
  ),
);

export const EXCHANGES: readonly Exchange[] = [
  CHAT_STREAM,
  MESSAGES_STREAM,
  RESPONSES_STREAM,
  GEMINI_STREAM,
  GEMINI_ARRAY,
  CONVERSE_STREAM,
  INVOKE_STREAM,
  whole('openai_responses', RESPONSE),
  sse('openai_images', [
    {
      type: 'image_generation.completed',
      b64_json: 'A'.repeat(2 << 20),
      usage: { input_tokens: 1, output_tokens: 2 },
    },
  ]),
  whole('openai_embeddings', {
    data: [{ embedding: Array.from({ length: 200_000 }, () => 0.25) }],
    usage: { prompt_tokens: 3 },
  }),
];
