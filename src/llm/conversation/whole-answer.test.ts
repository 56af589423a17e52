/** A stream put together is the whole answer of its format, for hooks that are told of it (issue 3). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { wholeAnswer } from './whole-answer.ts';

const SSE = 'text/event-stream';
const FORMATS = [
  'anthropic_messages',
  'openai_chat',
  'openai_completions',
  'openai_responses',
  'gemini_generate_content',
  'bedrock_converse',
  'bedrock_model_invoke',
];

function sse(...events: readonly unknown[]): Buffer {
  return Buffer.from(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''));
}

test('Messages: id, model, blocks with parsed arguments and signatures, stop reason, usage of both ends', () => {
  const stream = sse(
    {
      type: 'message_start',
      message: {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model: 'claude',
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { input_tokens: 9, output_tokens: 1 },
      },
    },
    {
      type: 'content_block_start',
      index: 0,
      content_block: { type: 'thinking', thinking: '', signature: '' },
    },
    { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'hm' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'c2ln' } },
    {
      type: 'content_block_start',
      index: 1,
      content_block: { type: 'tool_use', id: 't1', name: 'f', input: {} },
    },
    { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{"a":' } },
    { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '[1]}' } },
    { type: 'content_block_stop', index: 1 },
    {
      type: 'message_delta',
      delta: { stop_reason: 'tool_use', stop_sequence: null },
      usage: { output_tokens: 7 },
    },
    { type: 'message_stop' },
  );
  assert.deepEqual(wholeAnswer('anthropic_messages', stream, SSE), {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude',
    content: [
      { type: 'thinking', thinking: 'hm', signature: 'c2ln' },
      { type: 'tool_use', id: 't1', name: 'f', input: { a: [1] } },
    ],
    stop_reason: 'tool_use',
    stop_sequence: null,
    usage: { input_tokens: 9, output_tokens: 7 },
  });
});

test('Chat Completions: the object of a whole answer, each choice by its index, calls, usage', () => {
  const head = { id: 'c1', object: 'chat.completion.chunk', created: 5, model: 'gpt' };
  const call = (name: string | undefined, text: string): object => ({
    index: 0,
    ...(name === undefined ? {} : { id: 'k1', type: 'function' }),
    function: { ...(name === undefined ? {} : { name }), arguments: text },
  });
  const stream = sse(
    { ...head, choices: [{ index: 1, delta: { role: 'assistant', content: 'two' }, finish_reason: 'stop' }] },
    { ...head, choices: [{ index: 0, delta: { tool_calls: [call('f', '{"a"')] }, finish_reason: null }] },
    {
      ...head,
      choices: [{ index: 0, delta: { tool_calls: [call(undefined, ':1}')] }, finish_reason: 'tool_calls' }],
    },
    { ...head, choices: [], usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 } },
  );
  assert.deepEqual(JSON.parse(JSON.stringify(wholeAnswer('openai_chat', stream, SSE))), {
    id: 'c1',
    object: 'chat.completion',
    created: 5,
    model: 'gpt',
    usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'k1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
        },
        finish_reason: 'tool_calls',
      },
      { index: 1, message: { role: 'assistant', content: 'two' }, finish_reason: 'stop' },
    ],
  });
});

test('Responses: the last event holds it; a stream that broke off is an incomplete response', () => {
  const response = { id: 'resp_1', object: 'response', model: 'gpt', status: 'completed', output: [] };
  const completed = sse({ type: 'response.completed', response });
  assert.deepEqual(wholeAnswer('openai_responses', completed, SSE), response);
  const cut = sse(
    { type: 'response.created', response: { ...response, status: 'in_progress' } },
    { type: 'response.output_item.added', output_index: 0, item: { type: 'message', content: [] } },
    { type: 'response.output_text.delta', output_index: 0, delta: 'Hel' },
  );
  assert.deepEqual(wholeAnswer('openai_responses', cut, SSE), {
    ...response,
    status: 'incomplete',
    output: [{ type: 'message', content: [{ type: 'output_text', text: 'Hel' }] }],
  });
});

test('Gemini: events and a list alike, every candidate, usage and model', () => {
  const usageMetadata = { promptTokenCount: 2, candidatesTokenCount: 3 };
  const chunks = [
    {
      candidates: [{ index: 0, content: { role: 'model', parts: [{ text: 'Hel' }] } }],
      modelVersion: 'gemini',
    },
    { candidates: [{ index: 0, content: { parts: [{ text: 'lo' }] }, finishReason: 'STOP' }], usageMetadata },
  ];
  const expected = {
    candidates: [{ index: 0, finishReason: 'STOP', content: { role: 'model', parts: [{ text: 'Hello' }] } }],
    modelVersion: 'gemini',
    usageMetadata,
  };
  assert.deepEqual(wholeAnswer('gemini_generate_content', sse(...chunks), SSE), expected);
  const list = Buffer.from(JSON.stringify(chunks));
  assert.deepEqual(wholeAnswer('gemini_generate_content', list, 'application/json'), expected);
});

test('what is no stream of a known format, or holds nothing, is no answer', () => {
  assert.equal(wholeAnswer('openai_files', sse({}), SSE), null);
  assert.equal(wholeAnswer('__proto__', sse({}), SSE), null);
  assert.equal(wholeAnswer('openai_chat', Buffer.from('{"choices":[]}'), 'application/json'), null);
  for (const format of FORMATS) assert.equal(wholeAnswer(format, sse({ unknown: 1 }), SSE), null, format);
});

test('property: no bytes make it throw, and what it gives can be written as JSON', () => {
  const type = fc.constantFrom('message_start', 'content_block_delta', 'response.output_text.delta', 'error');
  const known = fc.record({ type, index: fc.jsonValue(), delta: fc.jsonValue(), choices: fc.jsonValue() });
  const event = fc.oneof(fc.jsonValue(), known, fc.record({ candidates: fc.jsonValue() }));
  fc.assert(
    fc.property(fc.constantFrom(...FORMATS), fc.array(event), (format, events) => {
      const whole = wholeAnswer(format, sse(...events), SSE);
      assert.equal(typeof JSON.stringify(whole), 'string');
    }),
  );
  fc.assert(
    fc.property(fc.constantFrom(...FORMATS), fc.uint8Array(), (format, bytes) => {
      wholeAnswer(format, bytes, SSE);
      wholeAnswer(format, bytes, 'application/vnd.amazon.eventstream');
    }),
  );
});
