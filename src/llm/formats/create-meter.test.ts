import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { MeterResult } from '../meter.ts';
import type { Format } from '../surface.ts';
import { createMeter } from './create-meter.ts';
import {
  SSE,
  JSON_TYPE,
  FRAMES,
  sse,
  whole,
  frame,
  frames,
  meter,
  chunk,
  delta,
  CHAT_STREAM,
  MESSAGES_EVENTS,
  MESSAGES_STREAM,
  MESSAGES_USAGE,
  RESPONSE,
  RESPONSES_STREAM,
  gemini,
  GEMINI_USAGE,
  GEMINI_STREAM,
  GEMINI_ARRAY,
  CONVERSE_USAGE,
  CONVERSE_STREAM,
  wrap,
  INVOKE_STREAM,
  EXCHANGES,
} from './meter-exchanges.fixture.ts';

test('Chat: usage, tools, text and the end are read from the stream', () => {
  assert.deepEqual(meter(CHAT_STREAM), {
    usage: { inputTokens: 10, cacheReadTokens: 4, outputTokens: 7, reasoningTokens: 3, inputAudioTokens: 0 },
    complete: true,
    error: null,
    outputChars: 'Hé "x"\n'.length + '{"a":1}'.length,
    model: 'gpt-x',
    responseId: 'chatcmpl-1',
    stopReason: 'tool_calls',
    toolCalls: ['read'],
  });
});

test('Chat: usage in a final chunk with choices, in any chunk, and explicit zeros count', () => {
  const last = chunk(delta({}, 'stop'), {
    usage: { prompt_tokens: 0, completion_tokens: 0, prompt_tokens_details: { cached_tokens: 0 } },
  });
  const found = meter(sse('openai_chat', [chunk(delta({ content: 'a' })), last, '[DONE]']));
  assert.deepEqual(found.usage, { inputTokens: 0, cacheReadTokens: 0, outputTokens: 0 });
  const early = meter(
    sse('openai_chat', [
      chunk([], { usage: { prompt_tokens: 3, prompt_tokens_details: { cached_tokens: 2 } } }),
      chunk([], { usage: { prompt_tokens: 3, completion_tokens: 1 } }),
    ]),
  );
  assert.deepEqual(early.usage, { inputTokens: 3, cacheReadTokens: 2, outputTokens: 1 });
  const groq = meter(
    sse('openai_chat', [chunk([], { x_groq: { usage: { prompt_tokens: 1, completion_tokens: 2 } } })]),
  );
  assert.deepEqual(groq.usage, { inputTokens: 1, outputTokens: 2 });
});

test('Chat: reasoning that only total_tokens shows is output', () => {
  const usage = {
    prompt_tokens: 10,
    completion_tokens: 5,
    total_tokens: 35,
    completion_tokens_details: { reasoning_tokens: 20 },
  };
  assert.deepEqual(meter(whole('openai_chat', { usage })).usage, {
    inputTokens: 10,
    outputTokens: 25,
    reasoningTokens: 20,
  });
  const usual = { ...usage, completion_tokens: 25 };
  assert.deepEqual(meter(whole('openai_chat', { usage: usual })).usage, {
    inputTokens: 10,
    outputTokens: 25,
    reasoningTokens: 20,
  });
});

test('Chat: a stream without [DONE] is not complete, an error inside it is seen', () => {
  const cut = meter(sse('openai_chat', [chunk(delta({ content: 'abc' }))]));
  assert.deepEqual([cut.complete, cut.usage, cut.outputChars], [false, null, 3]);
  const failed = meter(
    sse('openai_chat', [{ error: { message: 'over', type: 'server_error', code: null } }]),
  );
  assert.deepEqual(failed.error, { code: 'server_error', message: 'over' });
});

test('Chat: a word in the text that looks like a key is not taken for one', () => {
  const tricky = 'x","usage":{"prompt_tokens":99},"finish_reason":"stop","error":{"message":"no"}';
  const found = meter(
    sse('openai_chat', [chunk(delta({ content: 'a' })), chunk(delta({ content: tricky })), '[DONE]']),
  );
  assert.deepEqual(
    [found.usage, found.stopReason, found.error, found.outputChars],
    [null, null, null, tricky.length + 1],
  );
});

test('a value that is spelled like a key is no key', () => {
  const event = { id: 'c', model: 'm', choices: [{ delta: { type: 'text', id: 'abcdef', content: 'hi' } }] };
  assert.equal(meter(sse('openai_chat', [event])).outputChars, 2);
});

test('an escape counts as one character, a character of several bytes too', () => {
  const event = String.raw`{"id":"c","model":"m","choices":[{"delta":{"content" : "a\u00e9\n\"é漢"}}]}`;
  assert.equal(meter(sse('openai_chat', [event])).outputChars, 6);
});

test('Messages: message_start and message_delta are merged, later values that are not null win', () => {
  assert.deepEqual(meter(MESSAGES_STREAM), {
    usage: MESSAGES_USAGE,
    complete: true,
    error: null,
    outputChars: 'hello'.length + '{"a":1}'.length,
    model: 'claude-x',
    responseId: 'msg_1',
    stopReason: 'tool_use',
    toolCalls: ['bash'],
  });
  assert.deepEqual(meter({ ...MESSAGES_STREAM, format: 'google_raw_predict' }).usage, MESSAGES_USAGE);
});

test('Messages: a stream without message_stop is not complete; an error event is seen', () => {
  const cut = meter(
    sse(
      'anthropic_messages',
      [
        ...MESSAGES_EVENTS.slice(0, 4),
        { type: 'error', error: { type: 'overloaded_error', message: 'busy' } },
      ],
      true,
    ),
  );
  assert.equal(cut.complete, false);
  assert.deepEqual(cut.error, { code: 'overloaded_error', message: 'busy' });
  assert.equal(cut.usage?.outputTokens, 1);
});

test('Messages: rounds of compaction are billed besides the top level', () => {
  const usage = {
    input_tokens: 5,
    output_tokens: 2,
    iterations: [
      { type: 'compaction', input_tokens: 100, output_tokens: 20 },
      { type: 'message', input_tokens: 5, output_tokens: 2 },
    ],
  };
  assert.deepEqual(meter(whole('anthropic_messages', { usage })).usage, {
    inputTokens: 105,
    outputTokens: 22,
  });
});

test('Responses: usage, searches and calls are read from the last event and the whole answer alike', () => {
  const expected = {
    inputTokens: 9,
    cacheReadTokens: 0,
    outputTokens: 6,
    reasoningTokens: 2,
    webSearches: 1,
  };
  const streamed = meter(RESPONSES_STREAM);
  assert.deepEqual(
    [streamed.usage, streamed.complete, streamed.stopReason, streamed.toolCalls],
    [expected, true, 'completed', ['ls']],
  );
  const unstreamed = meter(whole('openai_responses', RESPONSE));
  assert.deepEqual(
    [unstreamed.usage, unstreamed.complete, unstreamed.responseId],
    [expected, true, 'resp_1'],
  );
});

test('Responses: incomplete and failed end a stream too, with reason and error', () => {
  const end = (type: string, response: object): MeterResult =>
    meter(sse('openai_responses', [{ sequence_number: 1, response, type }]));
  const incomplete = end('response.incomplete', {
    ...RESPONSE,
    status: 'incomplete',
    incomplete_details: { reason: 'max_output_tokens' },
  });
  assert.deepEqual(
    [incomplete.complete, incomplete.stopReason, incomplete.usage?.outputTokens],
    [true, 'max_output_tokens', 6],
  );
  const failed = end('response.failed', {
    id: 'resp_1',
    status: 'failed',
    error: { code: 'rate_limit', message: 'slow' },
  });
  assert.deepEqual([failed.complete, failed.error], [true, { code: 'rate_limit', message: 'slow' }]);
  assert.deepEqual(meter(sse('openai_responses', [{ type: 'error', code: 'x', message: 'y' }])).error, {
    code: 'x',
    message: 'y',
  });
});

test('Gemini: cumulative usage, thoughts as output, either framing', () => {
  for (const exchange of [GEMINI_STREAM, GEMINI_ARRAY]) {
    const found = meter(exchange);
    assert.deepEqual(
      [found.usage, found.complete, found.outputChars, found.model],
      [GEMINI_USAGE, true, 5, 'gemini-x'],
    );
  }
  const cut = meter({ ...GEMINI_ARRAY, bytes: GEMINI_ARRAY.bytes.subarray(0, -2) });
  assert.equal(cut.complete, false);
  const blocked = meter(sse('gemini_generate_content', [{ promptFeedback: { blockReason: 'SAFETY' } }]));
  assert.deepEqual([blocked.complete, blocked.stopReason], [true, 'SAFETY']);
});

test('Gemini: an error is read from a stream, an array and a bare object', () => {
  const error = { error: { code: 429, message: 'quota', status: 'RESOURCE_EXHAUSTED' } };
  const expected = { code: '429', message: 'quota' };
  assert.deepEqual(meter(sse('gemini_generate_content', [error])).error, expected);
  for (const value of [error, [error]]) {
    assert.deepEqual(
      meter({ ...GEMINI_ARRAY, bytes: Buffer.from(` ${JSON.stringify(value)}`) }).error,
      expected,
    );
  }
});

test('Bedrock: Converse adds cache tokens to the input; the metadata event ends the stream', () => {
  const expected = {
    inputTokens: 14,
    cacheReadTokens: 5,
    cacheWriteTokens: 4,
    cacheWrite1hTokens: 2,
    outputTokens: 4,
  };
  const found = meter(CONVERSE_STREAM);
  assert.deepEqual(
    [found.usage, found.complete, found.stopReason, found.toolCalls, found.outputChars],
    [expected, true, 'end_turn', ['go'], 3],
  );
  const answer = {
    output: { message: { content: [{ text: 'abc' }] } },
    stopReason: 'end_turn',
    usage: CONVERSE_USAGE,
  };
  assert.deepEqual(meter(whole('bedrock_converse', answer)).usage, expected);
});

test('Bedrock: InvokeModel is read through its wrapping; other models by their metrics', () => {
  const found = meter(INVOKE_STREAM);
  assert.deepEqual([found.usage, found.complete, found.responseId], [MESSAGES_USAGE, true, 'msg_1']);
  const llama = meter(
    frames('bedrock_model_invoke', [
      wrap({
        generation: 'x',
        'amazon-bedrock-invocationMetrics': { inputTokenCount: 7, outputTokenCount: 8 },
      }),
    ]),
  );
  assert.deepEqual([llama.usage, llama.complete], [{ inputTokens: 7, outputTokens: 8 }, true]);
});

test('Bedrock: exceptions in the stream are errors; a damaged frame ends the reading', () => {
  const exception = frame(
    { ':message-type': 'exception', ':exception-type': 'throttlingException' },
    { message: 'slow' },
  );
  const failed = meter(frames('bedrock_converse', [exception]));
  assert.deepEqual(
    [failed.error, failed.complete],
    [{ code: 'throttlingException', message: 'slow' }, false],
  );
  const damaged = Buffer.from(CONVERSE_STREAM.bytes);
  damaged[5] = 99;
  assert.equal(meter({ ...CONVERSE_STREAM, bytes: damaged }).complete, false);
});

test('media: pictures, speech and transcriptions by tokens or seconds', () => {
  const picture = {
    usage: {
      input_tokens: 50,
      input_tokens_details: { text_tokens: 10, image_tokens: 40 },
      output_tokens: 60,
    },
  };
  assert.deepEqual(meter(whole('openai_images', picture)).usage, {
    inputTokens: 50,
    inputImageTokens: 40,
    outputTokens: 60,
    outputImageTokens: 60,
  });
  const spoken = sse('openai_audio_speech', [
    { type: 'speech.audio.done', usage: { input_tokens: 1, output_tokens: 9 } },
  ]);
  assert.deepEqual(meter(spoken).usage, { inputTokens: 1, outputTokens: 9, outputAudioTokens: 9 });
  const text = {
    text: 'hi',
    usage: { type: 'tokens', input_tokens: 14, input_token_details: { audio_tokens: 14 }, output_tokens: 2 },
  };
  assert.deepEqual(meter(whole('openai_audio_transcription', text)).usage, {
    inputTokens: 14,
    inputAudioTokens: 14,
    outputTokens: 2,
  });
  assert.deepEqual(
    meter(whole('openai_audio_transcription', { usage: { type: 'duration', seconds: 8.2 } })).usage,
    { inputAudioSeconds: 9 },
  );
  const sound = createMeter('openai_audio_speech', { streamed: false, contentType: 'audio/mpeg' }).finish();
  assert.deepEqual([sound.usage, sound.complete], [null, true]);
});

test('a count of tokens is no usage', () => {
  assert.equal(meter(whole('anthropic_count_tokens', { input_tokens: 9 })).usage, null);
  assert.equal(meter(whole('gemini_count_tokens', { totalTokens: 9 })).usage, null);
});

test('answers too large to keep are searched at their ends', () => {
  const data = 'A'.repeat(3 << 20);
  const answer = meter(
    whole('openai_images', {
      created: 1,
      data: [{ b64_json: data }],
      usage: { input_tokens: 1, output_tokens: 2 },
    }),
  );
  assert.deepEqual([answer.usage?.outputTokens, answer.complete], [2, true]);
  const cut = whole('openai_embeddings', { data, usage: { prompt_tokens: 1 } });
  assert.equal(meter({ ...cut, bytes: cut.bytes.subarray(0, 2 << 20) }).complete, false);
  const response = {
    ...RESPONSE,
    output: [{ type: 'image_generation_call', result: data }],
    usage: RESPONSE.usage,
  };
  const streamed = meter(sse('openai_responses', [{ type: 'response.completed', response }], true));
  assert.deepEqual([streamed.usage?.inputTokens, streamed.complete], [9, true]);
  const picture = gemini(
    data,
    { usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 2 } },
    { finishReason: 'STOP' },
  );
  for (const exchange of [
    sse('gemini_generate_content', [picture]),
    { ...GEMINI_ARRAY, bytes: Buffer.from(JSON.stringify([picture])) },
  ]) {
    const found = meter(exchange);
    assert.deepEqual([found.usage?.outputTokens, found.complete], [2, true]);
  }
});

test('a JSON answer that was cut is not complete', () => {
  for (const format of ['openai_chat', 'anthropic_messages', 'gemini_generate_content'] as const) {
    const exchange = whole(format, { id: 'x', usage: {} });
    assert.equal(meter(exchange).complete, true);
    assert.equal(meter({ ...exchange, bytes: exchange.bytes.subarray(0, -1) }).complete, false);
  }
});

test('any chunking gives the same result as one chunk', () => {
  const small = EXCHANGES.filter((exchange) => exchange.bytes.length < 20_000);
  fc.assert(
    fc.property(fc.constantFrom(...small), fc.array(fc.nat(40), { minLength: 1 }), (exchange, lengths) => {
      const chunks: Buffer[] = [];
      for (let at = 0, i = 0; at < exchange.bytes.length; i += 1) {
        const length = 1 + (lengths[i % lengths.length] ?? 0);
        chunks.push(exchange.bytes.subarray(at, at + length));
        at += length;
      }
      assert.deepEqual(meter(exchange, chunks), meter(exchange));
    }),
    { numRuns: 500 },
  );
  for (const exchange of EXCHANGES) {
    const chunks = Array.from({ length: Math.ceil(exchange.bytes.length / 16_384) }, (_, i) =>
      exchange.bytes.subarray(i * 16_384, (i + 1) * 16_384),
    );
    assert.deepEqual(meter(exchange, chunks), meter(exchange));
  }
});

test('no bytes make a meter throw, and a result is always given', () => {
  const formats = fc.constantFrom<Format>(
    'openai_chat',
    'openai_responses',
    'openai_images',
    'anthropic_messages',
    'gemini_generate_content',
    'bedrock_converse',
    'bedrock_model_invoke',
    'models',
  );
  const types = fc.constantFrom(SSE, JSON_TYPE, FRAMES, 'audio/mpeg', 'text/plain', null);
  const json = fc.jsonValue().map((value) => Buffer.from(`data: ${JSON.stringify(value)}\n\n`));
  const damaged = fc
    .tuple(fc.constantFrom(...EXCHANGES.slice(0, 7)), fc.nat(), fc.nat(255))
    .map(([exchange, at, byte]) => {
      const bytes = Buffer.from(exchange.bytes);
      bytes[at % bytes.length] = byte;
      return bytes;
    });
  fc.assert(
    fc.property(
      formats,
      types,
      fc.boolean(),
      fc.oneof(
        fc.uint8Array().map((bytes) => Buffer.from(bytes)),
        json,
        damaged,
      ),
      (format, contentType, streamed, bytes) => {
        const found = createMeter(format, { streamed, contentType });
        found.push(bytes);
        assert.equal(typeof found.finish().complete, 'boolean');
      },
    ),
    { numRuns: 1_000 },
  );
});
