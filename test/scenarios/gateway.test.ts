/** The way of a request, through a real server to a strict fake provider. */
import assert from 'node:assert/strict';
import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { before, after, describe, test } from 'node:test';
import { ANSWER_TEXT, headerOf, modelThat, type BehaviourName } from '../upstream/index.ts';
import { suiteEnd } from './harness.ts';
import { startScene, type Scene } from './fake-providers.ts';

interface Dialect {
  readonly name: string;
  readonly path: (model: string) => string;
  readonly body: (model: string) => Record<string, unknown>;
  readonly model: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly credential: readonly [header: string, value: string];
}

const MESSAGES = [{ role: 'user', content: 'hello' }];

const STREAMS: readonly Dialect[] = [
  {
    name: 'openai_chat',
    path: () => '/v1/chat/completions',
    body: (model) => ({ model, messages: MESSAGES, stream: true, stream_options: { include_usage: true } }),
    model: 'gpt-5',
    credential: ['authorization', 'Bearer sk-fake-openai'],
  },
  {
    name: 'openai_responses',
    path: () => '/v1/responses',
    body: (model) => ({ model, input: 'hello', stream: true }),
    model: 'gpt-5',
    credential: ['authorization', 'Bearer sk-fake-openai'],
  },
  {
    name: 'anthropic_messages',
    path: () => '/v1/messages?beta=true',
    body: (model) => ({ model, max_tokens: 100, messages: MESSAGES, stream: true }),
    model: 'claude-sonnet-4-5',
    headers: { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'unknown-beta-1' },
    credential: ['x-api-key', 'sk-fake-anthropic'],
  },
  {
    name: 'gemini_generate_content',
    path: (model) => `/v1beta/models/${model}:streamGenerateContent?alt=sse`,
    body: () => ({ contents: [{ role: 'user', parts: [{ text: 'hello' }] }] }),
    model: 'gemini-2.5-pro',
    credential: ['x-goog-api-key', 'fake-google-key'],
  },
];

/** What a browser adds when a page of another site makes the request. */
const FOREIGN: readonly Readonly<Record<string, string>>[] = [
  { origin: 'https://evil.example' },
  { origin: 'null' },
  { 'sec-fetch-site': 'cross-site' },
];

describe('the way of a request', () => {
  const suite = suiteEnd();
  let scene: Scene;
  before(async () => {
    scene = await startScene(suite);
  });
  after(() => suite.end());

  const send = async (
    dialect: Dialect,
    behaviours: readonly BehaviourName[] = [],
    headers: Record<string, string> = {},
  ) => {
    scene.upstream.reset();
    const model = modelThat(dialect.model, ...behaviours);
    const reply = await scene.postern.call(dialect.path(model), {
      body: dialect.body(model),
      headers: { ...dialect.headers, ...headers },
    });
    return { reply, model, received: scene.upstream.requests[0] };
  };

  for (const dialect of STREAMS) {
    for (const behaviours of [
      [],
      ['bytes-1'],
      ['split-utf8'],
      ['coalesced'],
      ['long'],
      ['unknowns'],
      ['usage-rich'],
      ['tool-call'],
    ] as const) {
      test(`${dialect.name} ${behaviours.join()}: request and stream keep their bytes, the provider's key goes in`, async () => {
        const { reply, model, received } = await send(dialect, behaviours);
        assert.equal(reply.status, 200, reply.text.slice(0, 300));
        assert.ok(received);
        assert.deepEqual(reply.bytes, Buffer.concat(received.sent));
        assert.deepEqual(received.body, Buffer.from(JSON.stringify(dialect.body(model))));
        assert.equal(headerOf(received, dialect.credential[0]), dialect.credential[1]);
        assert.deepEqual(scene.upstream.violations, []);
        assert.match(String(reply.headers['x-postern-request-id']), /^req_/);
        assert.match(String(reply.headers['content-security-policy']), /^sandbox/);
      });
    }

    test(`${dialect.name}: no credential of the caller goes upstream`, async () => {
      const { reply } = await send(dialect, [], {
        authorization: 'Bearer sk-mine',
        'x-api-key': 'mine',
        'x-goog-api-key': 'mine',
        'api-key': 'mine',
        cookie: 'a=b',
        'x-amz-security-token': 'mine',
        'x-postern-session': 's1',
      });
      assert.equal(reply.status, 200);
      assert.deepEqual(scene.upstream.violations, []);
    });

    test(`${dialect.name}: a truncated stream is an error in the dialect, never a clean end`, async () => {
      for (const behaviour of ['truncated', 'reset-mid-stream'] as const) {
        const { reply } = await send(dialect, [behaviour]);
        assert.equal(reply.status, 200);
        assert.match(reply.text, /upstream_truncated|"error"/, behaviour);
        assert.doesNotMatch(
          reply.text,
          /\[DONE\]|event: message_stop|"type":"response.completed"/,
          behaviour,
        );
      }
    });

    test(`${dialect.name}: errors of the provider reach the caller as they are`, async () => {
      for (const behaviour of ['status-400', 'status-429', 'status-500'] as const) {
        const { reply, received } = await send(dialect, [behaviour]);
        assert.equal(reply.status, Number(behaviour.slice(7)));
        assert.deepEqual(reply.bytes, Buffer.concat(received?.sent ?? []));
        if (behaviour === 'status-429') assert.equal(reply.headers['retry-after'], '7');
      }
    });
  }

  test("a stranger's headers set nothing in a browser", async () => {
    const { reply } = await send(STREAMS[0] ?? assert.fail(), ['hostile-headers']);
    for (const name of [
      'set-cookie',
      'access-control-allow-origin',
      'refresh',
      'clear-site-data',
      'location',
    ]) {
      assert.equal(reply.headers[name], undefined, name);
    }
  });

  test('a redirect of the provider is not followed', async () => {
    const { reply } = await send(STREAMS[0] ?? assert.fail(), ['redirect']);
    assert.equal(reply.status, 307);
    assert.equal(scene.upstream.requests.length, 1);
  });

  test('usage is asked of the provider and taken out again where the caller did not ask', async () => {
    for (const behaviours of [[], ['bytes-1'], ['split-utf8'], ['coalesced']] as const) {
      scene.upstream.reset();
      const model = modelThat('gpt-5', ...behaviours);
      const { bytes } = await scene.postern.call('/v1/chat/completions', {
        body: { model, messages: MESSAGES, stream: true },
      });
      const received = scene.upstream.requests[0];
      assert.deepEqual(JSON.parse(String(received?.body)).stream_options, { include_usage: true });
      assert.doesNotMatch(bytes.toString(), /"usage"/);
      assert.match(bytes.toString(), /\[DONE\]/);
    }
  });

  test('failures before the first byte are refusals with a reason', async () => {
    const { reply } = await send(STREAMS[0] ?? assert.fail(), ['reset-before-headers']);
    assert.equal(reply.status, 502);
    assert.equal(reply.headers['x-postern-reason'], 'upstream_unreachable');
    assert.equal((reply.json()['error'] as { code: string }).code, 'upstream_unreachable');
  });

  test('an unknown and an ungranted model get the same answer', async () => {
    const reply = await scene.postern.call('/v1/chat/completions', { body: { model: 'nope', messages: [] } });
    assert.equal(reply.status, 404);
    assert.equal(reply.headers['x-postern-reason'], 'model_not_available');
  });

  test('a granted model in the wrong format says which formats it has', async () => {
    const reply = await scene.postern.call('/v1/embeddings', { body: { model: 'claude-fake', input: 'x' } });
    assert.equal(reply.status, 404);
    assert.equal(reply.headers['x-postern-reason'], 'format_not_available');
    assert.match(reply.text, /anthropic_messages/);
  });

  test('bad input gets a clear error in the dialect, and nothing is sent', async () => {
    scene.upstream.reset();
    const table: readonly (readonly [path: string, body: string | Buffer, reason: string, status: number])[] =
      [
        ['/v1/chat/completions', '{"model":', 'body_invalid', 400],
        ['/v1/chat/completions', '[]', 'body_invalid', 400],
        ['/v1/chat/completions', '{"model":"gpt-5","model":"gpt-4"}', 'body_invalid', 400],
        ['/v1/chat/completions', '{"model":"gpt-5","Model":"gpt-4"}', 'body_invalid', 400],
        ['/v1/chat/completions', '{"model":"gpt-5","mod\\u0065l":"gpt-4"}', 'body_invalid', 400],
        ['/v1/chat/completions', '{"model":5}', 'body_invalid', 400],
        ['/v1/chat/completions', '{"model":"gpt-5","stream":"yes"}', 'body_invalid', 400],
        ['/v1/chat/completions', '{"messages":[]}', 'model_missing', 400],
        ['/v1/messages', '{"messages":[]}', 'model_missing', 400],
        [
          '/v1/chat/completions',
          Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
          'body_invalid',
          400,
        ],
        ['/v1/v1/messages', '{}', 'path_doubled', 404],
        ['/v1/nothing', '{}', 'path_unknown', 404],
      ];
    for (const [path, body, reason, status] of table) {
      const reply = await scene.postern.call(path, { body });
      assert.equal(reply.headers['x-postern-reason'], reason, `${path} ${String(body)} ${reply.text}`);
      assert.equal(reply.status, status);
      assert.match(reply.text, /"message"/);
    }
    const wrongMethod = await scene.postern.call('/v1/chat/completions');
    assert.equal(wrongMethod.status, 405);
    assert.equal(scene.upstream.requests.length, 0);
  });

  test('compressed bodies are decoded, judged and sent on plain (RFC 9110 section 8.4)', async () => {
    const body = Buffer.from(
      JSON.stringify({ model: 'gpt-5', messages: [{ role: 'user', content: 'hello '.repeat(300_000) }] }),
    );
    const small = Buffer.from('{"model":"gpt-5","messages":[{"role":"user","content":"hello"}]}');
    for (const [coding, encode] of [
      ['gzip', gzipSync],
      ['deflate', deflateSync],
      [
        'br',
        (plain: Buffer) => brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
      ],
      ['zstd', zstdCompressSync],
    ] as const)
      for (const plain of [small, body]) {
        const before = scene.upstream.requests.length;
        const reply = await scene.postern.call('/v1/chat/completions', {
          body: encode(plain),
          headers: { 'content-encoding': coding },
        });
        assert.equal(reply.status, 200, `${coding}: ${reply.text}`);
        const sent = scene.upstream.requests[before];
        assert.equal(sent === undefined ? '' : headerOf(sent, 'content-encoding'), null, coding);
        assert.ok(sent?.body.equals(plain), coding);
      }
    for (const [coding, bytes, reason] of [
      ['compress', small, 'encoding_unsupported'],
      ['gzip, gzip', small, 'encoding_unsupported'],
      ['gzip', small, 'body_invalid'],
      ['gzip', gzipSync('{"model":"gpt-5","model":"gpt-4"}'), 'body_invalid'],
      ['gzip', gzipSync('{"model":"unknown-model"}'), 'model_not_available'],
    ] as const) {
      const reply = await scene.postern.call('/v1/chat/completions', {
        body: bytes,
        headers: { 'content-encoding': coding },
      });
      assert.equal(reply.headers['x-postern-reason'], reason, reply.text);
    }
  });

  test('WebSockets and foreign pages are refused', async () => {
    const socket = await scene.postern.call('/v1/responses', {
      headers: { connection: 'upgrade', upgrade: 'websocket' },
    });
    assert.equal(socket.status, 426);
    const rebound = await scene.postern.call('/v1/models', { headers: { host: 'evil.example:80' } });
    assert.equal(rebound.status, 421);
    for (const headers of FOREIGN) {
      const foreign = await scene.postern.call('/v1/chat/completions', {
        body: '{"model":"gpt-5"}',
        headers: { ...headers },
      });
      assert.equal(foreign.status, 403, JSON.stringify(headers));
      assert.equal(foreign.headers['x-postern-reason'], 'origin_foreign');
    }
  });

  test('an answer that was not a stream passes whole, with its length', async () => {
    scene.upstream.reset();
    const reply = await scene.postern.call('/v1/chat/completions', {
      body: { model: 'gpt-5', messages: MESSAGES },
    });
    const received = scene.upstream.requests[0];
    assert.deepEqual(reply.bytes, Buffer.concat(received?.sent ?? []));
    assert.match(reply.text, new RegExp(ANSWER_TEXT.slice(0, 20)));
  });
});
