/** Callers of one format on a provider of another, through the official SDKs (docs/routing.md). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import Anthropic, { RateLimitError } from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { ANSWER_TEXT, USAGE, modelThat } from '../upstream/index.ts';
import { startScene } from './fake-providers.ts';

const HELLO = [{ role: 'user' as const, content: 'hello' }];
const SCHEMA = { type: 'object' as const, properties: { path: { type: 'string' } } };

describe('the Anthropic SDK on a provider that speaks OpenAI’s formats only', () => {
  test('messages: whole and streamed, the provider asked in its own words', async (t) => {
    const { upstream, postern } = await startScene(t);
    const client = new Anthropic({ baseURL: postern.url, apiKey: '-', maxRetries: 0 });
    const asked = { model: 'gpt-fake', max_tokens: 64, messages: HELLO };
    const whole = await client.messages.create(asked);
    assert.equal(textOf(whole), ANSWER_TEXT);
    assert.equal(whole.stop_reason, 'end_turn');
    assert.equal(whole.usage.output_tokens, USAGE.plain.output);
    const streamed = await client.messages.stream(asked).finalMessage();
    assert.equal(textOf(streamed), ANSWER_TEXT);
    assert.equal(streamed.stop_reason, 'end_turn');
    assert.equal(streamed.usage.output_tokens, USAGE.plain.output);
    for (const { path, rawHeaders } of upstream.requests) {
      assert.equal(path, '/v1/responses');
      assert.ok(!rawHeaders.some((text) => /^(anthropic-|x-stainless)/i.test(text)), rawHeaders.join());
    }
    assert.deepEqual(upstream.violations, []);
    const [row] = await postern.requests(2);
    assert.equal(row?.['format'], 'anthropic_messages');
    assert.equal(row?.['provider'], 'openai');
    assert.equal(row?.['outcome'], 'ok');
    assert.match(JSON.stringify(row?.['decisions']), /"translation"/);
    const usage = (row?.['usage'] ?? {}) as { output_tokens?: number };
    assert.equal(usage.output_tokens, USAGE.plain.output);
  });

  test('messages: a tool call arrives as one, and its result goes back', async (t) => {
    const { postern } = await startScene(t);
    const client = new Anthropic({ baseURL: postern.url, apiKey: '-', maxRetries: 0 });
    const model = modelThat('gpt-fake', 'tool-call');
    const tools = [{ name: 'read_file', input_schema: SCHEMA }];
    for (const stream of [false, true]) {
      const asked = { model, max_tokens: 64, messages: HELLO, tools };
      const answer = stream
        ? await client.messages.stream(asked).finalMessage()
        : await client.messages.create(asked);
      assert.equal(answer.stop_reason, 'tool_use');
      const call = answer.content.find((block) => block.type === 'tool_use');
      assert.ok(call);
      assert.equal(call.name, 'read_file');
      const next = await client.messages.create({
        model: 'gpt-fake',
        max_tokens: 64,
        tools,
        messages: [
          ...HELLO,
          { role: 'assistant', content: answer.content },
          { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'text' }] },
        ],
      });
      assert.equal(textOf(next), ANSWER_TEXT);
    }
  });

  test('errors have the shape and status that the SDK knows', async (t) => {
    const { upstream, postern } = await startScene(t, { more: { routing: { retries: 0 } } });
    const client = new Anthropic({ baseURL: postern.url, apiKey: '-', maxRetries: 0 });
    for (const stream of [false, true]) {
      upstream.script('status-429');
      const asked = { model: 'gpt-fake', max_tokens: 64, messages: HELLO, stream };
      await assert.rejects(client.messages.create(asked), (error: unknown) => {
        assert.ok(error instanceof RateLimitError, String(error));
        assert.match(JSON.stringify(error.error), /"rate_limit_error"/);
        return true;
      });
    }
  });

  test('tokens are counted, or estimated and said to be', async (t) => {
    const { upstream, postern } = await startScene(t);
    const reply = await postern.call('/v1/messages/count_tokens', {
      body: { model: 'gpt-fake', messages: HELLO },
      headers: { 'anthropic-version': '2023-06-01' },
    });
    assert.equal(reply.status, 200, reply.text);
    assert.ok(Number(reply.json()['input_tokens']) > 0, reply.text);
    assert.equal(reply.headers['x-postern-warning'], 'token_count_estimated');
    assert.equal(upstream.requests.length, 0);
  });

  test('a stream that breaks off ends with one error of the caller’s format', async (t) => {
    const { upstream, postern } = await startScene(t);
    upstream.script('truncated');
    const reply = await postern.call('/v1/messages', {
      body: { model: 'gpt-fake', max_tokens: 64, messages: HELLO, stream: true },
      headers: { 'anthropic-version': '2023-06-01' },
    });
    assert.equal(reply.text.match(/event: error/g)?.length, 1, reply.text);
    const [row] = await postern.requests(1);
    assert.equal(row?.['outcome'], 'truncated');
  });

  test('what cannot be said is named in x-postern-translation-loss', async (t) => {
    const { postern } = await startScene(t);
    const reply = await postern.call('/v1/messages', {
      body: { model: 'gpt-fake', max_tokens: 64, messages: HELLO, top_k: 3 },
      headers: { 'anthropic-version': '2023-06-01' },
    });
    assert.equal(reply.status, 200, reply.text);
    assert.match(String(reply.headers['x-postern-translation-loss']), /top_k/);
  });
});

describe('the OpenAI SDK on a provider that speaks Anthropic’s format only', () => {
  test('chat completions: whole and streamed', async (t) => {
    const { upstream, postern } = await startScene(t);
    const client = new OpenAI({ baseURL: `${postern.url}/v1`, apiKey: '-', maxRetries: 0 });
    const asked = { model: 'claude-fake', max_tokens: 64, messages: HELLO };
    const whole = await client.chat.completions.create(asked);
    assert.equal(whole.choices[0]?.message.content, ANSWER_TEXT);
    assert.equal(whole.choices[0]?.finish_reason, 'stop');
    let text = '';
    for await (const chunk of await client.chat.completions.create({ ...asked, stream: true }))
      text += chunk.choices[0]?.delta.content ?? '';
    assert.equal(text, ANSWER_TEXT);
    assert.ok(upstream.requests.every(({ path }) => path === '/v1/messages'));
    assert.deepEqual(upstream.violations, []);
  });

  test('responses: whole, streamed, and a tool call', async (t) => {
    const { postern } = await startScene(t);
    const client = new OpenAI({ baseURL: `${postern.url}/v1`, apiKey: '-', maxRetries: 0 });
    const whole = await client.responses.create({ model: 'claude-fake', input: 'hello', store: false });
    assert.equal(whole.output_text, ANSWER_TEXT);
    const streamed = await client.responses
      .stream({ model: 'claude-fake', input: 'hello', store: false })
      .finalResponse();
    assert.equal(streamed.output_text, ANSWER_TEXT);
    const called = await client.responses.create({
      model: modelThat('claude-fake', 'tool-call'),
      input: 'hello',
      store: false,
      tools: [{ type: 'function', name: 'read_file', parameters: SCHEMA, strict: false }],
    });
    assert.ok(called.output.some((item) => item.type === 'function_call' && item.name === 'read_file'));
  });
});

test('translation: a rule on tool calls holds for a translated answer, streamed or not', async (t) => {
  const { postern } = await startScene(t, {
    more: { tools: [{ tools: ['read_file'], action: 'deny' }] },
  });
  const client = new Anthropic({ baseURL: postern.url, apiKey: '-', maxRetries: 0 });
  const asked = {
    model: modelThat('gpt-fake', 'tool-call'),
    max_tokens: 64,
    messages: HELLO,
    tools: [{ name: 'read_file', input_schema: SCHEMA }],
  };
  for (const answer of [
    await client.messages.create(asked),
    await client.messages.stream(asked).finalMessage(),
  ]) {
    assert.ok(!answer.content.some(({ type }) => type === 'tool_use'), JSON.stringify(answer.content));
    assert.equal(answer.stop_reason, 'end_turn');
  }
});

test('translation: off in the document, the format is not served', async (t) => {
  const { postern } = await startScene(t, { more: { routing: { translate: false } } });
  const reply = await postern.call('/v1/messages', {
    body: { model: 'gpt-fake', max_tokens: 64, messages: HELLO },
    headers: { 'anthropic-version': '2023-06-01' },
  });
  assert.equal(reply.status, 404);
  assert.equal(reply.headers['x-postern-reason'], 'format_not_available');
});

test('translation: a provider that speaks the caller’s format is asked in it', async (t) => {
  const { upstream, postern } = await startScene(t);
  const reply = await postern.call('/v1/chat/completions', { body: { model: 'gpt-fake', messages: HELLO } });
  assert.equal(reply.status, 200);
  assert.equal(upstream.requests[0]?.path, '/v1/chat/completions');
});

test('GET /v1/models names the formats that are translated', async (t) => {
  const { postern } = await startScene(t);
  const reply = await postern.call('/v1/models');
  assert.match(reply.text, /anthropic_messages/);
});

test('translation: explain and simulations say what routing does (issue 3, Policy as code)', async (t) => {
  const operator = { authorization: 'Bearer break-glass-token-of-this-test-0123456789' };
  const options = { env: { POSTERN_ADMIN_TOKEN: 'break-glass-token-of-this-test-0123456789' } };
  const { postern } = await startScene(t, options);
  const question = { model: 'gpt-fake', format: 'anthropic_messages' };
  const explained = await postern.call('/api/v1/explain', { body: question });
  assert.equal(explained.json()['reason'], 'allowed', explained.text);
  const reply = await postern.call('/v1/messages', {
    body: { model: 'gpt-fake', max_tokens: 64, messages: HELLO },
    headers: { 'anthropic-version': '2023-06-01' },
  });
  assert.equal(reply.status, 200);
  await postern.requests(1);
  const text = readFileSync(postern.documentFile, 'utf8');
  const simulated = async (draft: object): Promise<Record<string, Record<string, unknown>>> => {
    const answer = await postern.call('/api/v1/simulate', {
      body: { draft: JSON.stringify(draft) },
      headers: operator,
    });
    assert.equal(answer.status, 200, answer.text);
    return answer.json()['report'] as Record<string, Record<string, unknown>>;
  };
  const document = JSON.parse(text) as object;
  const same = await simulated(document);
  assert.deepEqual([same['before']?.['denied'], same['after']?.['denied']], [0, 0], JSON.stringify(same));
  const without = await simulated({ ...document, routing: { translate: false } });
  assert.deepEqual([without['before']?.['denied'], without['after']?.['denied']], [0, 1]);
});

function textOf({ content }: Anthropic.Message): string {
  return content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('');
}
