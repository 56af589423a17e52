import { strict as assert } from 'node:assert';
import { request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import {
  ANSWER_TEXT,
  BEHAVIOURS,
  DEFAULT_CREDENTIALS,
  headerOf,
  modelThat,
  startFakeUpstream,
} from './index.ts';
import { combine } from './behaviours.ts';
import type { FakeUpstream, FakeUpstreamOptions } from './index.ts';

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The bytes ended as HTTP says they should. */
  readonly complete: boolean;
  readonly chunks: number;
}

interface Call {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

function call(upstream: FakeUpstream, options: Call): Promise<Reply> {
  const bytes = options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body));
  return new Promise((resolve, reject) => {
    let answered = false;
    const sent = httpRequest(
      `${upstream.url}${options.path}`,
      {
        method: options.method ?? (bytes === undefined ? 'GET' : 'POST'),
        headers: {
          ...(bytes === undefined ? {} : { 'content-type': 'application/json' }),
          ...options.headers,
        },
        signal: options.signal,
      },
      (response) => {
        answered = true;
        const chunks: Buffer[] = [];
        const done = (): void =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString('utf8'),
            complete: response.complete,
            chunks: chunks.length,
          });
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', done);
        response.on('end', done);
      },
    );
    // Once an answer has begun, its own events tell how it ended.
    sent.on('error', (error) => {
      if (!answered) reject(error);
    });
    sent.end(bytes);
  });
}

async function start(context: TestContext, options: FakeUpstreamOptions = {}): Promise<FakeUpstream> {
  const upstream = await startFakeUpstream(options);
  context.after(() => upstream.close());
  return upstream;
}

const OPENAI = { [DEFAULT_CREDENTIALS.openai.header]: DEFAULT_CREDENTIALS.openai.value };
const ANTHROPIC = {
  [DEFAULT_CREDENTIALS.anthropic.header]: DEFAULT_CREDENTIALS.anthropic.value,
  'anthropic-version': '2023-06-01',
};
const GOOGLE = { [DEFAULT_CREDENTIALS.google.header]: DEFAULT_CREDENTIALS.google.value };

const MESSAGES = [{ role: 'user', content: 'hi' }];

function chat(model: string, more: object = {}): Call {
  return { path: '/v1/chat/completions', headers: OPENAI, body: { model, messages: MESSAGES, ...more } };
}

/** The JSON of every data line but `[DONE]`. */
function events(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('data: {'))
    .map((line) => JSON.parse(line.slice(6)));
}

test('chat without include_usage: no chunk has a usage member (OpenAI API reference, stream_options)', async (context) => {
  const upstream = await start(context);
  const reply = await call(upstream, chat('gpt-fake', { stream: true }));
  assert.equal(reply.status, 200);
  assert.ok(events(reply.text).every((event) => !('usage' in event)));
  assert.ok(reply.text.endsWith('data: [DONE]\n\n'));
});

test('chat with include_usage: usage null everywhere, then one chunk with empty choices and the figures', async (context) => {
  const upstream = await start(context);
  const reply = await call(
    upstream,
    chat('gpt-fake', { stream: true, stream_options: { include_usage: true } }),
  );
  const all = events(reply.text);
  assert.deepEqual(all.at(-1)?.['choices'], []);
  assert.equal(
    JSON.stringify(all.at(-1)?.['usage']).startsWith('{"prompt_tokens":11,"completion_tokens":7'),
    true,
  );
  assert.ok(all.slice(0, -1).every((event) => event['usage'] === null));
});

test('stream_options without stream is refused as OpenAI refuses it', async (context) => {
  const upstream = await start(context);
  const reply = await call(upstream, chat('gpt-fake', { stream_options: { include_usage: true } }));
  assert.equal(reply.status, 400);
});

test('usage behaviours: missing, zero, and on the last chunk with choices', async (context) => {
  const upstream = await start(context);
  const options = { stream: true, stream_options: { include_usage: true } };
  const missing = await call(upstream, chat(modelThat('gpt-fake', 'usage-missing'), options));
  assert.ok(events(missing.text).every((event) => event['usage'] === null));
  const zero = await call(upstream, chat(modelThat('gpt-fake', 'usage-zero'), options));
  assert.match(zero.text, /"prompt_tokens":0,"completion_tokens":0/);
  const riding = await call(upstream, chat(modelThat('gpt-fake', 'usage-with-choices'), options));
  const last = events(riding.text).at(-1);
  assert.ok(Array.isArray(last?.['choices']) && last['choices'].length === 1 && last['usage'] !== null);
});

test('every generation format answers whole and streamed with its own end', async (context) => {
  const upstream = await start(context);
  const contents = [{ role: 'user', parts: [{ text: 'hi' }] }];
  const cases: { call: Call; streamPath?: string; ends: RegExp }[] = [
    { call: chat('gpt-fake'), ends: /data: \[DONE\]\n\n$/ },
    {
      call: { path: '/v1/completions', headers: OPENAI, body: { model: 'm', prompt: 'hi' } },
      ends: /data: \[DONE\]\n\n$/,
    },
    {
      call: { path: '/v1/responses', headers: OPENAI, body: { model: 'm', input: 'hi' } },
      ends: /response\.completed.*\n\n$/,
    },
    {
      call: {
        path: '/v1/messages?beta=true',
        headers: ANTHROPIC,
        body: { model: 'm', max_tokens: 9, messages: MESSAGES },
      },
      ends: /event: message_stop\ndata: .*\n\n$/,
    },
    {
      call: { path: '/v1beta/models/m:generateContent', headers: GOOGLE, body: { contents } },
      streamPath: '/v1beta/models/m:streamGenerateContent?alt=sse',
      ends: /"finishReason":"STOP".*\n\n$/,
    },
  ];
  for (const { call: options, streamPath, ends } of cases) {
    const whole = await call(upstream, options);
    assert.equal(whole.status, 200, options.path);
    assert.ok(whole.text.includes(ANSWER_TEXT), `${options.path}: ${whole.text}`);
    const body = streamPath === undefined ? { ...Object(options.body), stream: true } : options.body;
    const streamed = await call(upstream, { ...options, path: streamPath ?? options.path, body });
    assert.equal(streamed.headers['content-type'], 'text/event-stream; charset=utf-8');
    assert.match(streamed.text, ends);
  }
  assert.deepEqual(upstream.violations, []);
});

test('strict: a wrong or missing key, a caller credential, or a private header is a 401 and a violation', async (context) => {
  const upstream = await start(context);
  const refused: Record<string, string>[] = [
    {},
    { authorization: 'Bearer somebody' },
    { ...OPENAI, 'x-api-key': 'callers' },
    { ...OPENAI, cookie: 'a=b' },
    { ...OPENAI, 'x-postern-session': 's' },
    { ...OPENAI, 'X-Forwarded-For': '10.0.0.1' },
    { ...OPENAI, 'tailscale-user-login': 'a@example.com' },
    { ...OPENAI, 'accept-encoding': 'gzip' },
    { ...OPENAI, host: 'elsewhere' },
  ];
  for (const headers of refused) {
    const before = upstream.violations.length;
    const reply = await call(upstream, { ...chat('gpt-fake'), headers });
    assert.equal(reply.status, 401, JSON.stringify(headers));
    assert.ok(upstream.violations.length > before);
  }
  const inQuery = await call(upstream, { ...chat('gpt-fake'), path: '/v1/chat/completions?key=abc' });
  assert.equal(inQuery.status, 401);
  assert.ok(upstream.violations.every((text) => !text.includes('somebody') && !text.includes('callers')));
});

test('requests are recorded with raw headers and exact bytes', async (context) => {
  const upstream = await start(context);
  await call(upstream, { ...chat('gpt-fake'), headers: { ...OPENAI, 'X-Mixed-Case': 'kept' } });
  const [request] = await upstream.settled(1);
  assert.equal(request?.body.toString('utf8'), JSON.stringify({ model: 'gpt-fake', messages: MESSAGES }));
  assert.ok(request?.rawHeaders.includes('X-Mixed-Case'));
  assert.equal(request?.outcome, 'answered');
  assert.equal(request === undefined ? null : headerOf(request, 'x-mixed-case'), 'kept');
});

test('stops: truncated ends cleanly, reset-mid-stream does not, reset-before-headers has no status', async (context) => {
  const upstream = await start(context);
  const truncated = await call(upstream, chat(modelThat('m', 'truncated'), { stream: true }));
  assert.equal(truncated.complete, true);
  assert.ok(!truncated.text.includes('[DONE]') && truncated.text.includes('data: '));
  const reset = await call(upstream, chat(modelThat('m', 'reset-mid-stream'), { stream: true }));
  assert.equal(reset.complete, false);
  await assert.rejects(
    call(upstream, chat(modelThat('m', 'reset-before-headers'))),
    /ECONNRESET|socket hang up/,
  );
});

test('hangs end when the client leaves, and the request is recorded as aborted', async (context) => {
  const upstream = await start(context);
  for (const name of ['hang-before-headers', 'hang-mid-stream'] as const) {
    upstream.reset();
    const leaving = new AbortController();
    const pending = call(upstream, {
      ...chat(modelThat('m', name), { stream: true }),
      signal: leaving.signal,
    });
    pending.catch(() => undefined);
    while (upstream.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    leaving.abort();
    const [request] = await upstream.settled(1);
    assert.equal(request?.outcome, 'aborted');
  }
});

test('odd chunking changes no byte', async (context) => {
  const upstream = await start(context);
  const normalise = (text: string): string =>
    text.replaceAll(/0{3,}\d+/g, 'SERIAL').replaceAll(/m--[\w-]+/g, 'm');
  const expected = normalise((await call(upstream, chat('m--ok', { stream: true }))).text);
  for (const name of ['bytes-1', 'split-utf8', 'coalesced'] as const) {
    const reply = await call(upstream, chat(modelThat('m', name), { stream: true }));
    assert.equal(normalise(reply.text), expected, name);
    if (name === 'bytes-1') assert.ok(reply.chunks > 50, `one byte a write came in ${reply.chunks} chunks`);
  }
});

test('statuses speak the dialect and carry Retry-After', async (context) => {
  const upstream = await start(context);
  upstream.script('status-429');
  const limited = await call(upstream, chat('gpt-fake'));
  assert.equal(limited.status, 429);
  assert.equal(limited.headers['retry-after'], '7');
  assert.match(limited.text, /"type":"rate_limit_exceeded"/);
  const body = { model: modelThat('claude', 'status-529'), max_tokens: 1, messages: MESSAGES };
  const overloaded = await call(upstream, { path: '/v1/messages', headers: ANTHROPIC, body });
  assert.equal(overloaded.status, 529);
  assert.match(overloaded.text, /overloaded_error/);
});

test('a name that is not in the table fails loudly', async (context) => {
  const upstream = await start(context);
  assert.throws(() => combine(['nonsense']), /no behaviour 'nonsense'/);
  assert.equal((await call(upstream, chat('m--nonsense'))).status, 500);
});

test('the table says what each behaviour does', () => {
  for (const [name, row] of Object.entries(BEHAVIOURS)) assert.ok(row.does.length > 8, name);
});

test('files, batches and stored responses live on until they are deleted', async (context) => {
  const upstream = await start(context);
  const made = await call(upstream, {
    path: '/v1/responses',
    headers: OPENAI,
    body: { model: 'm', input: 'hi' },
  });
  const id = String(JSON.parse(made.text).id);
  const again = await call(upstream, { path: `/v1/responses/${id}`, headers: OPENAI });
  assert.equal(JSON.parse(again.text).id, id);
  const gone = await call(upstream, { path: `/v1/responses/${id}`, method: 'DELETE', headers: OPENAI });
  assert.equal(gone.status, 200);
  assert.equal((await call(upstream, { path: `/v1/responses/${id}`, headers: OPENAI })).status, 404);
  const body = {
    requests: [{ custom_id: 'a', params: { model: 'claude-fake', max_tokens: 1, messages: MESSAGES } }],
  };
  const batch = await call(upstream, { path: '/v1/messages/batches', headers: ANTHROPIC, body });
  const results = await call(upstream, {
    path: `/v1/messages/batches/${JSON.parse(batch.text).id}/results`,
    headers: ANTHROPIC,
  });
  assert.equal(JSON.parse(results.text).custom_id, 'a');
});

test('mounts answer in place of the fake', async (context) => {
  const mount = {
    prefix: '/model',
    handle: (_request: unknown, response: { end(text: string): void }) => response.end('mounted'),
  };
  const upstream = await start(context, { mounts: [mount] });
  assert.equal((await call(upstream, { path: '/model/x/invoke', body: {} })).text, 'mounted');
  assert.equal(upstream.requests.length, 1);
});
