import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Format } from '../surface.ts';
import type { MeterResult } from '../meter.ts';
import { createMeter } from './create-meter.ts';

function meter(format: Format, text: string, contentType = 'application/json'): MeterResult {
  const seen = createMeter(format, { streamed: contentType === 'text/event-stream', contentType });
  seen.push(Buffer.from(text));
  return seen.finish();
}

function named(result: MeterResult): string[] {
  return (result.objects ?? []).map(({ kind, id, parentId }) =>
    [kind, id, parentId].filter((part) => part !== null).join(' '),
  );
}

const RESPONSE = {
  id: 'resp_1',
  object: 'response',
  output: [
    { type: 'reasoning', id: 'rs_1' },
    { type: 'code_interpreter_call', id: 'ci_1', container_id: 'cntr_1' },
    {
      type: 'function_call',
      id: 'fc_1',
      arguments: '{"container_id":"cntr_forged"}',
      container_id: undefined,
    },
    {
      type: 'message',
      id: 'msg_1',
      content: [{ type: 'output_text', text: '{"container_id":"cntr_forged"}' }],
    },
  ],
};

test('a response names itself, its items and the containers of the provider; text and arguments name nothing', () => {
  const expected = [
    'response resp_1',
    'item rs_1',
    'item ci_1',
    'container cntr_1',
    'item fc_1',
    'item msg_1',
  ];
  assert.deepEqual(named(meter('openai_responses', JSON.stringify(RESPONSE))), expected);
  const stream = `event: response.completed\ndata: ${JSON.stringify({ type: 'response.completed', response: RESPONSE })}\n\n`;
  assert.deepEqual(named(meter('openai_responses', stream, 'text/event-stream')), expected);
});

test("Anthropic's container and the files of its code execution are named; a tool's input and other results name nothing", () => {
  const content = [
    {
      type: 'bash_code_execution_tool_result',
      content: { type: 'r', content: [{ type: 'o', file_id: 'file_1' }] },
    },
    { type: 'tool_use', name: 't', input: { container: { id: 'container_forged' }, file_id: 'file_forged' } },
    { type: 'mcp_tool_result', content: { content: [{ file_id: 'file_forged' }] } },
  ];
  const answer = { id: 'msg_1', type: 'message', content, container: { id: 'container_1' } };
  assert.deepEqual(named(meter('anthropic_messages', JSON.stringify(answer))), [
    'container container_1',
    'file file_1',
  ]);
  const events = [
    { type: 'message_start', message: { id: 'msg_1', container: null } },
    ...content.map((content_block) => ({ type: 'content_block_start', content_block })),
    { type: 'message_delta', delta: { container: { id: 'container_1' } } },
    { type: 'message_stop' },
  ];
  const stream = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');
  assert.deepEqual(named(meter('anthropic_messages', stream, 'text/event-stream')), [
    'file file_1',
    'container container_1',
  ]);
});

test('answers about objects name them, and the files that a batch wrote', () => {
  const batch = {
    id: 'batch_1',
    object: 'batch',
    output_file_id: 'file-2',
    error_file_id: null,
    input_file_id: 'file-1',
  };
  assert.deepEqual(named(meter('openai_batches', JSON.stringify(batch))), [
    'batch batch_1',
    'file file-2 batch_1',
  ]);
  assert.deepEqual(named(meter('openai_batches', JSON.stringify({ object: 'list', data: [batch] }))), [
    'batch batch_1',
    'file file-2 batch_1',
  ]);
  assert.deepEqual(named(meter('gemini_caches', '{"name":"cachedContents/a","model":"models/m"}')), [
    'cache cachedContents/a',
  ]);
  assert.deepEqual(named(meter('anthropic_files', '{"type":"file","id":"file_1"}')), ['file file_1']);
});

function results(chunks: readonly Buffer[]): MeterResult['batch'] {
  const seen = createMeter('openai_files', {
    streamed: false,
    contentType: 'application/octet-stream',
    isBatchResults: true,
  });
  for (const chunk of chunks) seen.push(chunk);
  return seen.finish().batch;
}

const chat = (model: string, input: number): string =>
  JSON.stringify({
    custom_id: 'é',
    response: {
      status_code: 200,
      body: { object: 'chat.completion', model, usage: { prompt_tokens: input, completion_tokens: 1 } },
    },
    error: null,
  });
const message = JSON.stringify({
  result: {
    type: 'succeeded',
    message: { type: 'message', model: 'claude', usage: { input_tokens: 2, output_tokens: 3 } },
  },
});
const failed = JSON.stringify({ response: { status_code: 429, body: {} }, error: null });
const expired = JSON.stringify({ result: { type: 'expired' } });
const RESULTS = Buffer.from([chat('a', 5), chat('b', 7), failed, message, expired, chat('a', 1)].join('\n'));

test('results of a batch are summed by model, whichever way the bytes are cut', () => {
  const whole = results([RESULTS]);
  assert.deepEqual(whole, {
    models: [
      { model: 'a', answers: 2, usage: { inputTokens: 6, outputTokens: 2 } },
      { model: 'b', answers: 1, usage: { inputTokens: 7, outputTokens: 1 } },
      { model: 'claude', answers: 1, usage: { inputTokens: 2, outputTokens: 3 } },
    ],
    unread: 0,
  });
  fc.assert(
    fc.property(fc.array(fc.nat(RESULTS.length), { maxLength: 20 }), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), RESULTS.length];
      const chunks = at.slice(1).map((end, index) => RESULTS.subarray(at[index], end));
      assert.deepEqual(results(chunks), whole);
    }),
    { numRuns: 100 },
  );
});

test('lines that cannot be read are counted, and no bytes make the meter throw', () => {
  assert.equal(
    results([Buffer.from(`${chat('a', 1)}\nnot json\n{"response":{"status_code":200,"body":{}}}\n[]\n`)])
      ?.unread,
    3,
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void results([Buffer.from(bytes)])),
    { numRuns: 200 },
  );
});
