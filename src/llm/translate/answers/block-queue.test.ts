/** Blocks that a provider tells at once come one after another, whole, or the answer fails. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sealOpaque } from '../opaque.ts';
import { readBySdk, transcode, translate } from '../translate.fixture.ts';

const REQUEST = { max_tokens: 9, messages: [{ role: 'user', content: 'q' }] };

function chat(...chunks: readonly object[]): Buffer {
  return Buffer.from(
    `${chunks.map((chunk) => `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, ...chunk }] })}\n\n`).join('')}data: [DONE]\n\n`,
  );
}

function call(index: number, id: string | null, name: string | null, args: string): object {
  const made = { ...(name === null ? {} : { name }), arguments: args };
  return {
    delta: { tool_calls: [{ index, ...(id === null ? {} : { id, type: 'function' }), function: made }] },
  };
}

/** Anthropic's rule: blocks in order, one open at a time, and every change to the open one. */
function assertOneAtATime(bytes: Buffer): void {
  let open: number | null = null;
  let next = 0;
  for (const line of bytes.toString().matchAll(/^data: (.*)$/gm)) {
    const event = JSON.parse(line[1] ?? '') as { readonly type: string; readonly index: number };
    if (event.type === 'content_block_start') {
      assert.deepEqual([open, event.index], [null, next]);
      open = next;
      next += 1;
    } else if (event.type.startsWith('content_block')) {
      assert.equal(event.index, open);
      if (event.type === 'content_block_stop') open = null;
    }
  }
}

test('calls whose arguments come in turns are held until the first is whole', async () => {
  const bytes = chat(
    call(0, 'a', 'Bash', '{"x":'),
    call(1, 'b', 'Read', '{"y":'),
    call(0, null, null, '1}'),
    call(1, null, null, '2}'),
    { delta: {}, finish_reason: 'tool_calls' },
  );
  const { answers } = translate('anthropic_messages', 'openai_chat', REQUEST, { stream: true });
  const written = transcode(answers, bytes);
  assertOneAtATime(written);
  const seen = await readBySdk('anthropic_messages', written, true);
  assert.deepEqual(seen.calls, [
    { id: 'a', name: 'Bash', args: { x: 1 } },
    { id: 'b', name: 'Read', args: { y: 2 } },
  ]);
});

test('a whole call streams at once, and text after it begins a new block', async () => {
  const { answers } = translate('anthropic_messages', 'openai_chat', REQUEST, { stream: true });
  const coder = answers.createTranscoder();
  const bytes = chat(call(0, 'a', 'Bash', '{"x":1}'), call(1, 'b', 'Read', '{}'), {
    delta: { content: 'done' },
    finish_reason: 'stop',
  });
  const events = bytes.toString().split('\n\n');
  const first = coder.push(Buffer.from(`${events[0]}\n\n${events[1]}\n\n`)).toString();
  assert.match(first, /"partial_json":"\{\\"x\\":1\}"[^]*content_block_stop[^]*"name":"Read"/);
});

test('servers that give every call the index 0 are told apart by id', async () => {
  const bytes = chat(call(0, 'a', 'Bash', '{"x":1}'), call(0, 'b', 'Read', '{"y":2}'), {
    delta: {},
    finish_reason: 'stop',
  });
  const { answers } = translate('anthropic_messages', 'openai_chat', REQUEST, { stream: true });
  const seen = await readBySdk('anthropic_messages', transcode(answers, bytes), true);
  assert.deepEqual(
    seen.calls.map(({ id, args }) => [id, args]),
    [
      ['a', { x: 1 }],
      ['b', { y: 2 }],
    ],
  );
  assert.equal(seen.stop, 'tool_use');
});

test('arguments that go on after their call has ended fail the answer', () => {
  const bytes = chat(
    call(0, 'a', 'Bash', '{"x":1}'),
    call(1, 'b', 'Read', ''),
    call(0, null, null, ',"z":3}'),
  );
  const { answers } = translate('anthropic_messages', 'openai_chat', REQUEST, { stream: true });
  const coder = answers.createTranscoder();
  const out = coder.push(bytes).toString();
  assert.match(out, /event: error\n/);
  assert.match(coder.fault ?? '', /went on with a tool call that had ended/);
});

test('an answer longer than 16 MiB of text is ended with an error', () => {
  const { answers } = translate('anthropic_messages', 'openai_chat', REQUEST, { stream: true });
  const coder = answers.createTranscoder();
  const chunk = Buffer.from(
    `data: ${JSON.stringify({ choices: [{ delta: { content: 'a'.repeat(1 << 20) } }] })}\n\n`,
  );
  for (let i = 0; i < 17; i += 1) coder.push(chunk);
  assert.match(coder.fault ?? '', /longer than 16777216 characters/);
});

test("signs of life of the provider become those of the caller's format", () => {
  const { answers } = translate('anthropic_messages', 'openai_chat', REQUEST, { stream: true });
  assert.equal(
    answers.createTranscoder().push(Buffer.from(': PROCESSING\n\n')).toString(),
    'event: ping\ndata: {"type":"ping"}\n\n',
  );
  const codex = translate('openai_responses', 'anthropic_messages', { input: 'q' }, { stream: true });
  const ping = Buffer.from('event: ping\ndata: {"type":"ping"}\n\n');
  assert.equal(codex.answers.createTranscoder().push(ping).toString(), ': keep-alive\n\n');
});

test('Gemini callers without `alt=sse` get one JSON array', () => {
  const request = { contents: [{ parts: [{ text: 'q' }] }] };
  const { answers } = translate('gemini_generate_content', 'openai_chat', request, {
    stream: true,
    target: { geminiFraming: 'array' },
  });
  assert.match(answers.streamContentType, /^application\/json/);
  const bytes = transcode(
    answers,
    chat({ delta: { content: 'a' } }, { delta: { content: 'b' }, finish_reason: 'stop' }),
  );
  const parts = JSON.parse(bytes.toString()) as {
    candidates: { content: { parts: { text: string }[] } }[];
  }[];
  assert.equal(parts.map((part) => part.candidates[0]?.content.parts[0]?.text).join(''), 'ab');
  const cut = answers.createTranscoder();
  assert.ok(Array.isArray(JSON.parse(cut.finish().toString())), 'also where the stream breaks off');
});

test('the usage chunk of Chat Completions comes only to callers that asked for it', () => {
  const stop = 'event: message_stop\ndata: {"type":"message_stop"}\n\n';
  const run = (options: object): string => {
    const request = { messages: [{ role: 'user', content: 'q' }], ...options };
    return transcode(
      translate('openai_chat', 'anthropic_messages', request, { stream: true }).answers,
      Buffer.from(stop),
    ).toString();
  };
  assert.doesNotMatch(run({}), /usage/);
  assert.match(run({ stream_options: { include_usage: true } }), /"choices":\[\],"usage":\{"prompt_tokens"/);
});

test("a whole exchange in Chat Completions, event by event in Anthropic's words", () => {
  const usage = { prompt_tokens: 50, completion_tokens: 9, prompt_tokens_details: { cached_tokens: 40 } };
  const bytes = Buffer.concat([
    chat(
      { delta: { role: 'assistant', reasoning_content: 'Hm.' } },
      { delta: { content: 'Hi' } },
      call(0, 'call_1', 'Bash', '{}'),
    ).subarray(0, -14),
    Buffer.from(
      `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] })}\n\n`,
    ),
    Buffer.from(`data: ${JSON.stringify({ id: 'c', choices: [], usage })}\n\ndata: [DONE]\n\n`),
  ]);
  const { answers, estimatedInputTokens } = translate('anthropic_messages', 'openai_chat', REQUEST, {
    stream: true,
  });
  const written = transcode(answers, bytes).toString();
  const events = written.split('\n\n').slice(0, -1);
  assert.ok(events.every((event) => /^event: (\w+)\ndata: \{"type":"\1"/.test(event)));
  assert.deepEqual(
    events.map((event) => JSON.parse(event.slice(event.indexOf('data: ') + 6)) as Record<string, unknown>),
    [
      {
        type: 'message_start',
        message: {
          id: 'c',
          type: 'message',
          role: 'assistant',
          model: 'caller-model',
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: {
            input_tokens: estimatedInputTokens,
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: 0,
            output_tokens: 1,
          },
        },
      },
      {
        type: 'content_block_start',
        index: 0,
        content_block: { type: 'thinking', thinking: '', signature: '' },
      },
      { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Hm.' } },
      {
        type: 'content_block_delta',
        index: 0,
        delta: {
          type: 'signature_delta',
          signature: sealOpaque({ origin: 'openai_chat:there', data: 'reasoning_content' }),
        },
      },
      { type: 'content_block_stop', index: 0 },
      { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'Hi' } },
      { type: 'content_block_stop', index: 1 },
      {
        type: 'content_block_start',
        index: 2,
        content_block: { type: 'tool_use', id: 'call_1', name: 'Bash', input: {} },
      },
      { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '{}' } },
      { type: 'content_block_stop', index: 2 },
      {
        type: 'message_delta',
        delta: { stop_reason: 'tool_use', stop_sequence: null },
        usage: {
          input_tokens: 10,
          cache_creation_input_tokens: 0,
          cache_read_input_tokens: 40,
          output_tokens: 9,
        },
      },
      { type: 'message_stop' },
    ],
  );
});
