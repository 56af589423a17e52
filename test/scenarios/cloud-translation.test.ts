/**
 * Callers of every format on Claude in a cloud (issue 3, Routing), through the official SDKs: behind
 * stand fakes that judge signatures, tokens, bodies and the pairing of calls with code that is not ours.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { startFakeCloud, type FakeCloud } from '../upstream/cloud/server.ts';
import { modelThat } from '../upstream/index.ts';
import { startPostern, suiteEnd, type Postern, type PosternOptions } from './harness.ts';

const INVOKED = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const CONVERSED = 'us.anthropic.claude-haiku-4-5-20251001-v1:0';
const PREDICTED = 'claude-sonnet-4-5@20250929';

/** Where each model is served, and how the cloud is asked. */
const TARGETS = [
  { model: INVOKED, whole: /\/invoke$/, streamed: /\/invoke-with-response-stream$/, says: 'bedrock:' },
  { model: CONVERSED, whole: /\/converse$/, streamed: /\/converse-stream$/, says: 'bedrock:' },
  { model: PREDICTED, whole: /:rawPredict$/, streamed: /:streamRawPredict$/, says: 'vertex:' },
] as const;

const SCHEMA = { type: 'object' as const, properties: { path: { type: 'string' } } };
const HELLO = [{ role: 'user' as const, content: 'hello' }];

function documentFor(origin: string, more: object): Record<string, unknown> {
  const bedrock = { baseurl: origin, apikey: 'env:FAKE_AWS_KEYS' };
  return {
    providers: {
      invoke: {
        ...bedrock,
        models: ['us.anthropic.claude-sonnet-*'],
        compatibility: { bedrock_model_invoke: true, bedrock_converse: true },
      },
      converse: {
        ...bedrock,
        models: ['us.anthropic.claude-haiku-*', 'amazon.nova-*'],
        compatibility: { bedrock_converse: true },
      },
      vertex: {
        baseurl: origin,
        apikey: 'env:FAKE_GOOGLE_KEY',
        models: ['gemini-2.5-pro', 'claude-*'],
        compatibility: {
          google_generate_content: true,
          google_raw_predict: true,
          experimental_gemini_cli_vertex_compat: true,
        },
      },
    },
    grants: [{ src: ['(loopback)'], app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**' }] } }],
    ...more,
  };
}

interface Scene {
  readonly cloud: FakeCloud;
  readonly postern: Postern;
}

async function startScene(
  t: { after(end: () => unknown): void },
  more: object = {},
  options: PosternOptions = {},
): Promise<Scene> {
  const cloud = await startFakeCloud();
  t.after(() => cloud.close());
  const postern = await startPostern(t, {
    document: documentFor(cloud.origin, more),
    env: {
      FAKE_AWS_KEYS: JSON.stringify({ ...cloud.awsKeys, region: cloud.aws.region }),
      FAKE_GOOGLE_KEY: `keyfile::${Buffer.from(cloud.serviceAccountKey).toString('base64')}`,
    },
    flags: { allowUpstream: '127.0.0.0/8' },
    ...options,
  });
  return { cloud, postern };
}

/** What a caller's SDK shows of an answer. */
interface Seen {
  readonly text: string;
  readonly calls: readonly string[];
  readonly stop: string;
}

/** One turn with one tool, by the SDK of each format. */
const CALLERS = {
  async openai_chat(url: string, model: string, stream: boolean): Promise<Seen> {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: '-', maxRetries: 0 });
    const tools = [{ type: 'function' as const, function: { name: 'read_file', parameters: SCHEMA } }];
    const asked = { model, messages: HELLO, tools };
    const { choices } = stream
      ? await client.chat.completions.stream(asked).finalChatCompletion()
      : await client.chat.completions.create(asked);
    const [choice] = choices;
    const calls = (choice?.message.tool_calls ?? []).flatMap((call) =>
      call.type === 'function' ? [call.function.name] : [],
    );
    return { text: choice?.message.content ?? '', calls, stop: choice?.finish_reason ?? '' };
  },
  async openai_responses(url: string, model: string, stream: boolean): Promise<Seen> {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: '-', maxRetries: 0 });
    const tools = [{ type: 'function' as const, name: 'read_file', parameters: SCHEMA, strict: false }];
    const asked = { model, input: 'hello', store: false, tools };
    const found = stream
      ? await client.responses.stream(asked).finalResponse()
      : await client.responses.create(asked);
    const calls = found.output.flatMap((item) => (item.type === 'function_call' ? [item.name] : []));
    return { text: found.output_text, calls, stop: found.status ?? '' };
  },
  async gemini_generate_content(url: string, model: string, stream: boolean): Promise<Seen> {
    const client = new GoogleGenAI({ apiKey: '-', httpOptions: { baseUrl: url } });
    const tools = [{ functionDeclarations: [{ name: 'read_file', parametersJsonSchema: SCHEMA }] }];
    const asked = { model, contents: 'hello', config: { tools } };
    const found = [];
    if (stream) for await (const part of await client.models.generateContentStream(asked)) found.push(part);
    else found.push(await client.models.generateContent(asked));
    const parts = found.flatMap((part) => part.candidates?.[0]?.content?.parts ?? []);
    return {
      text: parts.map(({ text, thought }) => (thought === true ? '' : (text ?? ''))).join(''),
      calls: parts.flatMap(({ functionCall }) => functionCall?.name ?? []),
      stop: found.at(-1)?.candidates?.[0]?.finishReason ?? '',
    };
  },
  async anthropic_messages(url: string, model: string, stream: boolean): Promise<Seen> {
    const client = new Anthropic({ baseURL: url, apiKey: '-', maxRetries: 0 });
    const tools = [{ name: 'read_file', input_schema: SCHEMA }];
    const asked = { model, max_tokens: 64, messages: HELLO, tools };
    const found = stream
      ? await client.messages.stream(asked).finalMessage()
      : await client.messages.create(asked);
    return {
      text: found.content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join(''),
      calls: found.content.flatMap((block) => (block.type === 'tool_use' ? [block.name] : [])),
      stop: found.stop_reason ?? '',
    };
  },
} as const;
const FORMATS = ['openai_chat', 'openai_responses', 'gemini_generate_content', 'anthropic_messages'] as const;

/** How each format says that a turn ended, and that it ended with calls. */
const STOPS = {
  openai_chat: ['stop', 'tool_calls'],
  openai_responses: ['completed', 'completed'],
  gemini_generate_content: ['STOP', 'STOP'],
  anthropic_messages: ['end_turn', 'tool_use'],
} as const;

describe('callers of every format on Claude in a cloud', () => {
  const suite = suiteEnd();
  let scene: Scene;

  before(async () => {
    scene = await startScene(suite);
  });
  after(() => suite.end());

  for (const format of FORMATS) {
    for (const { model, says, ...paths } of TARGETS) {
      test(`${format} on ${model}: whole and streamed, a text and a call`, async () => {
        const { cloud, postern } = scene;
        for (const streamed of [false, true]) {
          const answered = await CALLERS[format](postern.url, model, streamed);
          assert.ok(answered.text.startsWith(says), answered.text);
          assert.equal(answered.stop, STOPS[format][0]);
          assert.match(cloud.requests.at(-1)?.path ?? '', paths[streamed ? 'streamed' : 'whole']);
          const calling = modelThat(model, 'tool-call', 'signed', 'bytes-1');
          const called = await CALLERS[format](postern.url, calling, streamed);
          assert.deepEqual(called.calls, ['read_file']);
          assert.equal(called.stop, STOPS[format][1]);
        }
        assert.deepEqual(cloud.violations, []);
      });
    }
  }

  test('what was used is what the cloud says, under the caller’s format, with the translation named', async (t) => {
    const { postern } = await startScene(t);
    const client = new OpenAI({ baseURL: `${postern.url}/v1`, apiKey: '-', maxRetries: 0 });
    const expected = {
      [INVOKED]: [11, 5, 'bedrock_model_invoke'],
      [CONVERSED]: [13, 6, 'bedrock_converse'],
      [PREDICTED]: [17, 4, 'google_raw_predict'],
    };
    for (const [at, [model, [input, output, to]]] of Object.entries(expected).entries()) {
      const chunks = [];
      const asked = {
        model,
        messages: HELLO,
        stream: true as const,
        stream_options: { include_usage: true },
      };
      for await (const chunk of await client.chat.completions.create(asked)) chunks.push(chunk);
      const { usage, model: named } = chunks.at(-1) ?? {};
      assert.deepEqual([usage?.prompt_tokens, usage?.completion_tokens, named], [input, output, model]);
      const [row] = await postern.requests(at + 1);
      assert.equal(row?.['format'], 'openai_chat');
      assert.equal(row?.['outcome'], 'ok');
      const used = (row?.['usage'] ?? {}) as Record<string, unknown>;
      assert.deepEqual([used['input_tokens'], used['output_tokens']], [input, output]);
      assert.ok(JSON.stringify(row?.['decisions']).includes(`"${String(to)}"`), JSON.stringify(row));
    }
  });

  test('Claude Code’s own turns: results and signed thinking go back to the cloud, three turns on', async () => {
    const { cloud, postern } = scene;
    const client = new Anthropic({ baseURL: postern.url, apiKey: '-', maxRetries: 0 });
    for (const { model } of TARGETS) {
      const messages: Anthropic.MessageParam[] = [...HELLO];
      const asked = {
        model: modelThat(model, 'tool-call', 'signed'),
        max_tokens: 64,
        tools: [{ name: 'read_file', input_schema: SCHEMA }],
      };
      for (let turn = 0; turn < 3; turn += 1) {
        const answer = await client.messages.stream({ ...asked, messages }).finalMessage();
        assert.deepEqual(
          answer.content.map(({ type }) => type),
          ['thinking', 'tool_use'],
        );
        messages.push({ role: 'assistant', content: answer.content });
        const results = answer.content.flatMap((block) =>
          block.type === 'tool_use'
            ? [{ type: 'tool_result' as const, tool_use_id: block.id, content: 'text' }]
            : [],
        );
        messages.push({ role: 'user', content: results });
      }
    }
    assert.deepEqual(cloud.violations, []);
  });

  test('what a cloud cannot be told is named in x-postern-translation-loss', async () => {
    const { postern } = scene;
    const body = {
      model: INVOKED,
      max_tokens: 9,
      messages: HELLO,
      service_tier: 'auto',
      metadata: { user_id: 'u' },
    };
    const headers = { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'claude-code-20250219' };
    const reply = await postern.call('/v1/messages', { body, headers });
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.headers['x-postern-translation-loss'], 'anthropic-beta, metadata, service_tier');
    const chat = await postern.call('/v1/chat/completions', {
      body: { model: CONVERSED, messages: HELLO, seed: 1 },
    });
    assert.equal(chat.headers['x-postern-translation-loss'], 'seed');
  });

  test('tokens are counted by Vertex, and estimated for Bedrock', async () => {
    const { cloud, postern } = scene;
    const headers = { 'anthropic-version': '2023-06-01' };
    const counted = await postern.call('/v1/messages/count_tokens', {
      body: { model: PREDICTED, messages: HELLO },
      headers,
    });
    assert.deepEqual(counted.json(), { input_tokens: 17 });
    assert.match(
      cloud.requests.at(-1)?.path ?? '',
      /publishers\/anthropic\/models\/count-tokens:rawPredict$/,
    );
    const before = cloud.requests.length;
    const guessed = await postern.call('/v1/messages/count_tokens', {
      body: { model: INVOKED, messages: HELLO },
      headers,
    });
    assert.equal(guessed.headers['x-postern-warning'], 'token_count_estimated');
    assert.equal(cloud.requests.length, before);
  });

  test('a model that no format of its provider serves is refused, and Gemini stays Gemini', async () => {
    const { cloud, postern } = scene;
    const gemini = await postern.call('/v1/chat/completions', {
      body: { model: 'gemini-2.5-pro', messages: HELLO },
    });
    assert.equal(gemini.status, 200, gemini.text);
    assert.match(
      cloud.requests.at(-1)?.path ?? '',
      /publishers\/google\/models\/gemini-2\.5-pro:generateContent$/,
    );
    const nova = await postern.call('/v1/messages', {
      body: { model: 'amazon.nova-lite-v1:0', max_tokens: 9, messages: HELLO },
      headers: { 'anthropic-version': '2023-06-01' },
    });
    assert.equal(nova.status, 200, nova.text);
    assert.match(cloud.requests.at(-1)?.path ?? '', /nova-lite-v1%3A0\/converse$/);
    assert.deepEqual(cloud.violations, []);
  });
});

test('clouds: a key that AWS refuses is an error of the caller’s format', async (t) => {
  const { postern } = await startScene(
    t,
    {},
    {
      env: {
        FAKE_AWS_KEYS: JSON.stringify({
          accessKeyId: 'AKIAWRONG',
          secretAccessKey: 'x',
          region: 'us-east-1',
        }),
        FAKE_GOOGLE_KEY: '{}',
      },
    },
  );
  const client = new OpenAI({ baseURL: `${postern.url}/v1`, apiKey: '-', maxRetries: 0 });
  for (const stream of [false, true]) {
    const call = client.chat.completions.create({ model: INVOKED, messages: HELLO, stream });
    await assert.rejects(call, (error: unknown) => error instanceof OpenAI.PermissionDeniedError);
  }
});

test('clouds: a rule on tool calls holds for the translated answer, streamed and whole, byte by byte', async (t) => {
  const { cloud, postern } = await startScene(t, { tools: [{ tools: ['read_file'], action: 'deny' }] });
  for (const format of FORMATS) {
    for (const { model } of TARGETS) {
      for (const streamed of [false, true]) {
        const asked = modelThat(model, 'tool-call', 'bytes-1');
        const seen = await CALLERS[format](postern.url, asked, streamed);
        assert.deepEqual(seen.calls, [], `${format} ${model}`);
        assert.match(seen.text, /read_file/, 'the refusal names the tool');
        assert.equal(seen.stop, STOPS[format][0]);
      }
    }
  }
  assert.deepEqual(cloud.violations, []);
});

test('clouds: guardrails read the translated text', async (t) => {
  const cloudy = { name: 'cloud', pattern: 'bedrock:us' };
  const { postern } = await startScene(t, {
    guardrails: { cloudy: { src: ['(loopback)'], patterns: [cloudy], on: ['answer'], action: 'block' } },
  });
  for (const model of [INVOKED, CONVERSED]) {
    const asked = { model, messages: HELLO };
    const whole = await postern.call('/v1/chat/completions', { body: asked });
    assert.equal(whole.headers['x-postern-reason'], 'content_blocked', whole.text);
    const streamed = await postern.call('/v1/chat/completions', { body: { ...asked, stream: true } });
    assert.match(streamed.text, /content_blocked/);
    assert.doesNotMatch(streamed.text, /"content":"bedrock/);
  }
});
