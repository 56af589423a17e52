import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { encodeEventStreamMessage } from '../../wire/aws-event-stream.ts';
import { readAnswer, readRequest } from './index.ts';

const SSE = 'text/event-stream; charset=utf-8';
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const sse = (...events: readonly unknown[]): Buffer =>
  Buffer.from(
    events.map((event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`).join(''),
  );
const streamed = { contentType: SSE, status: 200, isTruncated: false };
const whole = { contentType: 'application/json', status: 200, isTruncated: false };

function told(blocks: readonly { type: string; text: string; name: string | null; callId: string | null }[]) {
  return blocks.map(({ type, text, name, callId }) => [type, text, name, callId]);
}

function requestOf(format: string, body: unknown) {
  const read = readRequest(format, json(body));
  assert.ok(read !== null);
  return read;
}

describe('requests of every format say the same in one form (DESIGN section 8)', () => {
  const CALL = ['tool_call', '{"command":"ls"}', 'Bash', 'c1'];
  const RESULT = 'a.txt';

  test('Anthropic Messages', () => {
    const read = requestOf('anthropic_messages', {
      model: 'claude',
      max_tokens: 100,
      thinking: { type: 'enabled', budget_tokens: 50 },
      system: [{ type: 'text', text: 'be good', cache_control: { type: 'ephemeral' } }],
      tools: [{ name: 'Bash', description: 'runs', input_schema: {} }],
      messages: [
        { role: 'user', content: 'list' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'hm', signature: 'x' },
            { type: 'tool_use', id: 'c1', name: 'Bash', input: { command: 'ls' } },
          ],
        },
        {
          role: 'user',
          content: [{ type: 'tool_result', tool_use_id: 'c1', content: RESULT, is_error: true }],
        },
        {
          role: 'user',
          content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } }],
        },
      ],
    });
    assert.deepEqual(told(read.system), [['text', 'be good', null, null]]);
    assert.deepEqual(read.tools, [{ name: 'Bash', description: 'runs' }]);
    assert.deepEqual(
      read.messages.map(({ role }) => role),
      ['user', 'assistant', 'tool', 'user'],
    );
    assert.deepEqual(told(read.messages[1]?.blocks ?? []), [['thinking', 'hm', null, null], CALL]);
    assert.deepEqual(read.messages[2]?.blocks[0], {
      type: 'tool_result',
      text: RESULT,
      name: null,
      callId: 'c1',
      isError: true,
      bytes: 5,
    });
    assert.deepEqual(told(read.messages[3]?.blocks ?? []), [['image', '', 'image/png', null]]);
    assert.equal(read.messages[3]?.blocks[0]?.bytes, 3);
    assert.equal(read.parameters['thinking.budget_tokens'], 50);
  });

  test('Chat Completions', () => {
    const read = requestOf('openai_chat', {
      model: 'gpt',
      tools: [{ type: 'function', function: { name: 'Bash', description: 'runs' } }],
      messages: [
        { role: 'system', content: 'be good' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'list' },
            { type: 'image_url', image_url: { url: 'https://x/y.png' } },
          ],
        },
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            { id: 'c1', type: 'function', function: { name: 'Bash', arguments: '{"command":"ls"}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'c1', content: RESULT },
      ],
    });
    assert.deepEqual(
      read.messages.map(({ role }) => role),
      ['system', 'user', 'assistant', 'tool'],
    );
    assert.deepEqual(told(read.messages[1]?.blocks ?? [])[1], ['image', 'https://x/y.png', null, null]);
    assert.deepEqual(told(read.messages[2]?.blocks ?? []), [CALL]);
    assert.deepEqual(told(read.messages[3]?.blocks ?? []), [['tool_result', RESULT, null, 'c1']]);
    assert.deepEqual(read.tools, [{ name: 'Bash', description: 'runs' }]);
  });

  test('Responses', () => {
    const read = requestOf('openai_responses', {
      model: 'gpt',
      instructions: 'be good',
      previous_response_id: 'resp_1',
      input: [
        { role: 'user', content: [{ type: 'input_text', text: 'list' }] },
        { type: 'reasoning', summary: [{ type: 'summary_text', text: 'hm' }] },
        { type: 'function_call', call_id: 'c1', name: 'Bash', arguments: '{"command":"ls"}' },
        { type: 'function_call_output', call_id: 'c1', output: RESULT },
      ],
    });
    assert.deepEqual(told(read.system), [['text', 'be good', null, null]]);
    assert.deepEqual(
      read.messages.map(({ role }) => role),
      ['user', 'assistant', 'assistant', 'tool'],
    );
    assert.deepEqual(told(read.messages[2]?.blocks ?? []), [CALL]);
    assert.equal(read.parameters['previous_response_id'], 'resp_1');
    assert.equal(requestOf('openai_responses', { input: 'hi' }).messages[0]?.blocks[0]?.text, 'hi');
  });

  test('Gemini', () => {
    const read = requestOf('gemini_generate_content', {
      systemInstruction: { parts: [{ text: 'be good' }] },
      tools: [{ functionDeclarations: [{ name: 'Bash', description: 'runs' }] }],
      generationConfig: { temperature: 0.5 },
      contents: [
        { role: 'user', parts: [{ text: 'list' }] },
        {
          role: 'model',
          parts: [
            { text: 'hm', thought: true },
            { functionCall: { name: 'Bash', args: { command: 'ls' }, id: 'c1' } },
          ],
        },
        {
          role: 'user',
          parts: [{ functionResponse: { name: 'Bash', id: 'c1', response: { output: RESULT } } }],
        },
      ],
    });
    assert.deepEqual(told(read.messages[1]?.blocks ?? []), [['thinking', 'hm', null, null], CALL]);
    assert.deepEqual(told(read.messages[2]?.blocks ?? []), [['tool_result', RESULT, 'Bash', 'c1']]);
    assert.equal(read.messages[2]?.role, 'tool');
    assert.equal(read.parameters['generationConfig.temperature'], 0.5);
  });

  test('Bedrock Converse', () => {
    const read = requestOf('bedrock_converse', {
      system: [{ text: 'be good' }],
      toolConfig: { tools: [{ toolSpec: { name: 'Bash', description: 'runs' } }] },
      messages: [
        { role: 'user', content: [{ text: 'list' }] },
        {
          role: 'assistant',
          content: [{ toolUse: { toolUseId: 'c1', name: 'Bash', input: { command: 'ls' } } }],
        },
        {
          role: 'user',
          content: [{ toolResult: { toolUseId: 'c1', status: 'error', content: [{ text: RESULT }] } }],
        },
      ],
    });
    assert.deepEqual(told(read.messages[1]?.blocks ?? []), [CALL]);
    assert.deepEqual(told(read.messages[2]?.blocks ?? []), [['tool_result', RESULT, null, 'c1']]);
    assert.equal(read.messages[2]?.blocks[0]?.isError, true);
  });

  test('formats without a conversation show what was asked, and unknown ones nothing', () => {
    assert.equal(requestOf('openai_embeddings', { input: ['a', 'b'] }).messages.length, 2);
    assert.equal(readRequest('openai_files', json({})), null);
    assert.equal(readRequest('openai_chat', Buffer.from('[1]')), null);
    assert.equal(readRequest('openai_chat', Buffer.from('{')), null);
    assert.equal(readRequest('__proto__', json({})), null);
  });
});

describe('streamed answers are put together as the whole ones would be', () => {
  const blocksOf = (format: string, bytes: Buffer, facts = streamed) => {
    const answer = readAnswer(format, bytes, facts);
    assert.ok(answer !== null);
    return { blocks: told(answer.blocks), stop: answer.stopReason, cut: answer.isCut, error: answer.error };
  };
  const EXPECTED = [
    ['thinking', 'hm', null, null],
    ['text', 'Hello you', null, null],
    ['tool_call', '{"a":1}', 'Bash', 'c1'],
  ];

  test('Anthropic Messages, and its end', () => {
    const events = [
      { type: 'message_start', message: {} },
      { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'hm' } },
      { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'Hello ' } },
      { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'you' } },
      {
        type: 'content_block_start',
        index: 2,
        content_block: { type: 'tool_use', id: 'c1', name: 'Bash', input: {} },
      },
      { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '{"a"' } },
      { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: ':1}' } },
      { type: 'message_delta', delta: { stop_reason: 'tool_use' } },
      { type: 'message_stop' },
    ];
    assert.deepEqual(blocksOf('anthropic_messages', sse(...events)), {
      blocks: EXPECTED,
      stop: 'tool_use',
      cut: false,
      error: null,
    });
    assert.equal(blocksOf('anthropic_messages', sse(...events.slice(0, -1))).cut, true);
    const failed = blocksOf(
      'anthropic_messages',
      sse(events[0], { type: 'error', error: { message: 'overloaded' } }),
    );
    assert.deepEqual([failed.error, failed.cut], ['overloaded', true]);
  });

  test('Chat Completions', () => {
    const delta = (value: unknown, finish: string | null = null) => ({
      choices: [{ index: 0, delta: value, finish_reason: finish }],
    });
    const events = [
      delta({ role: 'assistant', reasoning_content: 'hm' }),
      delta({ content: 'Hello ' }),
      delta({ content: 'you' }),
      delta({ tool_calls: [{ index: 0, id: 'c1', function: { name: 'Bash', arguments: '{"a"' } }] }),
      delta({ tool_calls: [{ index: 0, function: { arguments: ':1}' } }] }),
      delta({}, 'tool_calls'),
      '[DONE]',
    ];
    assert.deepEqual(blocksOf('openai_chat', sse(...events)), {
      blocks: EXPECTED,
      stop: 'tool_calls',
      cut: false,
      error: null,
    });
    assert.equal(blocksOf('openai_chat', sse(...events.slice(0, 3))).cut, true);
  });

  test('Responses: the last event holds all; without it what was done so far', () => {
    const output = [
      { type: 'reasoning', summary: [{ text: 'hm' }] },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Hello you' }] },
      { type: 'function_call', call_id: 'c1', name: 'Bash', arguments: '{"a":1}' },
    ];
    const done = { type: 'response.completed', response: { status: 'completed', output } };
    assert.deepEqual(blocksOf('openai_responses', sse(done)), {
      blocks: EXPECTED,
      stop: 'completed',
      cut: false,
      error: null,
    });
    const cut = blocksOf(
      'openai_responses',
      sse(
        { type: 'response.output_item.done', output_index: 0, item: output[0] },
        {
          type: 'response.output_item.added',
          output_index: 1,
          item: { type: 'message', role: 'assistant', content: [] },
        },
        { type: 'response.output_text.delta', output_index: 1, delta: 'Hello ' },
        { type: 'response.output_text.delta', output_index: 1, delta: 'you' },
      ),
    );
    assert.deepEqual([cut.blocks, cut.cut], [EXPECTED.slice(0, 2), true]);
  });

  test('Gemini, as events and as a list', () => {
    const chunks = [
      { candidates: [{ content: { parts: [{ text: 'hm', thought: true }] } }] },
      { candidates: [{ content: { parts: [{ text: 'Hello ' }] } }] },
      {
        candidates: [
          {
            content: {
              parts: [{ text: 'you' }, { functionCall: { name: 'Bash', args: { a: 1 }, id: 'c1' } }],
            },
            finishReason: 'STOP',
          },
        ],
      },
    ];
    const expected = { blocks: EXPECTED, stop: 'STOP', cut: false, error: null };
    assert.deepEqual(blocksOf('gemini_generate_content', sse(...chunks)), expected);
    assert.deepEqual(blocksOf('gemini_generate_content', json(chunks), whole), expected);
  });

  test('Bedrock Converse, in frames', () => {
    const frame = (type: string, payload: unknown): Buffer =>
      encodeEventStreamMessage({
        headers: new Map([
          [':message-type', { type: 'string', value: 'event' }],
          [':event-type', { type: 'string', value: type }],
        ]),
        payload: json(payload),
      });
    const bytes = Buffer.concat([
      frame('contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { text: 'hm' } } }),
      frame('contentBlockDelta', { contentBlockIndex: 1, delta: { text: 'Hello ' } }),
      frame('contentBlockDelta', { contentBlockIndex: 1, delta: { text: 'you' } }),
      frame('contentBlockStart', {
        contentBlockIndex: 2,
        start: { toolUse: { toolUseId: 'c1', name: 'Bash' } },
      }),
      frame('contentBlockDelta', { contentBlockIndex: 2, delta: { toolUse: { input: '{"a":1}' } } }),
      frame('messageStop', { stopReason: 'tool_use' }),
    ]);
    const facts = { ...streamed, contentType: 'application/vnd.amazon.eventstream' };
    assert.deepEqual(blocksOf('bedrock_converse', bytes, facts), {
      blocks: EXPECTED,
      stop: 'tool_use',
      cut: false,
      error: null,
    });
    assert.equal(blocksOf('bedrock_converse', bytes.subarray(0, -3), facts).cut, true);
  });

  test('an error is shown as its words, whatever envelope', () => {
    const facts = { ...whole, status: 429 };
    for (const body of [
      { error: { message: 'slow down' } },
      { message: 'slow down' },
      [{ error: { message: 'slow down' } }],
    ])
      assert.equal(readAnswer('openai_chat', json(body), facts)?.error, 'slow down');
    assert.equal(readAnswer('openai_chat', Buffer.from('<html>'), facts)?.error, '<html>');
  });
});

test('no bytes of strangers make a reader throw', () => {
  const formats = fc.constantFrom(
    'anthropic_messages',
    'openai_chat',
    'openai_completions',
    'openai_responses',
    'gemini_generate_content',
    'bedrock_converse',
    'bedrock_model_invoke',
    'openai_images',
  );
  const names = fc.constantFrom(
    'messages',
    'input',
    'contents',
    'content',
    'parts',
    'role',
    'type',
    'text',
    'tools',
    'choices',
    'delta',
    'index',
    'tool_calls',
    'function',
    'output',
    'candidates',
    'system',
    'item',
    'output_index',
    'error',
    'toolUse',
  );
  const value = fc.letrec<{ any: unknown }>((tie) => ({
    any: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom(
        'user',
        'text',
        'tool_use',
        'response.output_text.delta',
        'content_block_start',
        '',
        0,
        null,
        true,
      ),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(names, tie('any'), { maxKeys: 4 }),
    ),
  })).any;
  const types = fc.constantFrom(SSE, 'application/json', 'application/vnd.amazon.eventstream', null);
  fc.assert(
    fc.property(formats, value, types, fc.boolean(), (format, body, contentType, asEvents) => {
      const text = JSON.stringify(body) ?? '';
      readRequest(format, Buffer.from(text));
      const bytes = Buffer.from(asEvents ? `data: ${text}\n\n` : text);
      readAnswer(format, bytes, { contentType, status: 200, isTruncated: false });
      readAnswer(format, bytes, { contentType, status: 500, isTruncated: true });
    }),
    { numRuns: 1_000 },
  );
  const deep = `{"messages":[{"role":"user","content":${'['.repeat(50_000)}${']'.repeat(50_000)}}]}`;
  readRequest('openai_chat', Buffer.from(deep));
});
