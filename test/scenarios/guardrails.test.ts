/** Guardrails through a whole Postern: what goes out, what comes back, and what is kept of it. */
import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { documentFor, PROVIDER_ENV, startScene } from './fake-providers.ts';
import { startPostern, type Postern } from './harness.ts';

const MAIL = 'someone@example.com';

interface Surface {
  readonly name: string;
  readonly path: (model: string, streamed: boolean) => string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: (model: string, text: string, streamed: boolean) => object;
  /** Models of the echo and of the fake provider. */
  readonly fake: string;
}

const SURFACES: readonly Surface[] = [
  {
    name: 'messages',
    path: () => '/v1/messages',
    headers: { 'anthropic-version': '2023-06-01' },
    body: (model, text, stream) => ({
      model,
      max_tokens: 200,
      stream,
      messages: [{ role: 'user', content: text }],
    }),
    fake: 'claude-fake',
  },
  {
    name: 'chat',
    path: () => '/v1/chat/completions',
    headers: {},
    body: (model, text, stream) => ({ model, stream, messages: [{ role: 'user', content: text }] }),
    fake: 'gpt-fake',
  },
  {
    name: 'responses',
    path: () => '/v1/responses',
    headers: {},
    body: (model, text, stream) => ({ model, stream, input: text }),
    fake: 'gpt-fake',
  },
  {
    name: 'gemini',
    path: (model, stream) =>
      `/v1beta/models/${model}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
    headers: {},
    body: (_model, text) => ({ contents: [{ role: 'user', parts: [{ text }] }] }),
    fake: 'gemini-fake',
  },
];

const ask = (postern: Postern, surface: Surface, model: string, text: string, streamed: boolean) =>
  postern.call(surface.path(model, streamed), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...surface.headers },
    body: surface.body(model, text, streamed),
  });

test('guardrails: a redacted value never reaches the provider, and comes back in the answer', async (t) => {
  const { postern, upstream } = await startScene(t, {
    more: { guardrails: { mail: { detect: ['email'], action: 'redact' } } },
    capability: { guardrails: ['mail'] },
  });
  for (const surface of SURFACES) {
    for (const streamed of [false, true]) {
      await t.test(`${surface.name}, ${streamed ? 'streamed' : 'whole'}`, async () => {
        const echoed = await ask(postern, surface, 'postern/echo', `write to ${MAIL} please`, streamed);
        assert.equal(echoed.status, 200, echoed.text);
        assert.doesNotMatch(echoed.text, /<EMAIL_/);
        assert.match(joined(echoed.text), /someone@example\.com/);
        const sent = await ask(postern, surface, surface.fake, `write to ${MAIL} please`, streamed);
        assert.equal(sent.status, 200, sent.text);
        const body = upstream.requests.at(-1)?.body.toString() ?? '';
        assert.doesNotMatch(body, /someone@example/);
        assert.match(body, /<EMAIL_/);
      });
    }
  }
  const placeholders = upstream.requests.map(({ body }) => /<EMAIL_[^>]*>/.exec(body.toString())?.[0]);
  assert.equal(new Set(placeholders).size, 1, 'a value has one placeholder, so that prompt caches survive');
  const rows = await postern.requests(16);
  assert.ok(rows.every(({ decisions }) => JSON.stringify(decisions).includes('"action":"redacted"')));
  assert.doesNotMatch(JSON.stringify(rows), /someone@example/);
});

/** The texts of a stream's events put together. */
function joined(text: string): string {
  return [...text.matchAll(/"(?:text|content|delta)":\s*"((?:[^"\\]|\\.)*)"/g)]
    .map(([, piece]) => piece)
    .join('');
}

test('guardrails: a blocked request is refused with the words of policy, and nothing is sent', async (t) => {
  const { postern, upstream } = await startScene(t, {
    more: {
      guardrails: {
        keys: {
          src: ['(loopback)'],
          detect: ['secrets'],
          on: ['request'],
          action: 'block',
          message: 'no keys in prompts',
        },
      },
    },
  });
  const key = ['AKIA', 'IOSFODNN7', 'EXAMPLQ'].join('');
  for (const surface of SURFACES) {
    const answer = await ask(postern, surface, surface.fake, `use ${key} with secret`, false);
    assert.equal(answer.status, 403, answer.text);
    assert.equal(answer.headers['x-postern-reason'], 'content_blocked');
    assert.match(answer.text, /no keys in prompts/);
    assert.doesNotMatch(answer.text, new RegExp(key));
  }
  assert.equal(upstream.requests.length, 0);
  const [row] = await postern.requests(4);
  assert.match(String(row?.['rule']), /^guardrails/);
});

test('guardrails: an answer that holds what is blocked ends, streamed or not', async (t) => {
  const { postern } = await startScene(t, {
    more: {
      guardrails: { mail: { detect: ['email'], on: ['answer'], action: 'block', message: 'no addresses' } },
    },
    capability: { guardrails: ['mail'] },
  });
  for (const surface of SURFACES) {
    for (const streamed of [false, true]) {
      const answer = await ask(postern, surface, 'postern/echo', `write to ${MAIL} please`, streamed);
      assert.doesNotMatch(joined(answer.text), /someone@example\.com/, surface.name);
      assert.match(answer.text, /no addresses/, surface.name);
      if (!streamed) assert.equal(answer.status, 403, answer.text);
    }
  }
});

test('guardrails: limits on size and tools', async (t) => {
  const { postern } = await startScene(t, {
    more: { guardrails: { small: { limits: { max_body_bytes: 300, max_tools: 1 } } } },
    capability: { guardrails: ['small'] },
  });
  const [surface] = SURFACES;
  assert.ok(surface);
  assert.equal((await ask(postern, surface, 'claude-fake', 'hello', false)).status, 200);
  const long = await ask(postern, surface, 'claude-fake', 'x'.repeat(400), false);
  assert.equal(long.status, 403, long.text);
});

test('tools: one that the provider runs is taken out of the list where policy refuses it', async (t) => {
  const { postern, upstream } = await startScene(t, {
    more: { tools: [{ tools: ['web_search*'], action: 'deny' }] },
  });
  const answer = await postern.call('/v1/messages', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' },
    body: {
      model: 'claude-fake',
      max_tokens: 50,
      tools: [
        { type: 'web_search_20250305', name: 'web_search' },
        { name: 'weather', input_schema: { type: 'object' } },
      ],
      messages: [{ role: 'user', content: 'x' }],
    },
  });
  assert.equal(answer.status, 200, answer.text);
  const sent = JSON.parse(upstream.requests.at(-1)?.body.toString() ?? '{}') as { tools: { name: string }[] };
  assert.deepEqual(
    sent.tools.map(({ name }) => name),
    ['weather'],
  );
  const [row] = await postern.requests(1);
  assert.ok(row);
  assert.deepEqual((row['decisions'] as object[]).length, 1);
});

test('guardrails: errors of a provider are read like its answers: originals come back, and what is blocked stays away', async (t) => {
  const server = http.createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const body = JSON.stringify({ error: { message: `cannot take ${Buffer.concat(chunks).toString()}` } });
      res.writeHead(400, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
      res.end(body);
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const document = documentFor(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
    more: {
      guardrails: {
        mail: { detect: ['email'], action: 'redact' },
        word: { patterns: [{ name: 'word', pattern: 'forbidden' }], on: ['answer'], action: 'block' },
      },
    },
    capability: { guardrails: ['mail', 'word'] },
  });
  const postern = await startPostern(t, {
    document,
    env: PROVIDER_ENV,
    flags: { allowUpstream: '127.0.0.0/8' },
  });
  for (const surface of SURFACES) {
    for (const streamed of [false, true]) {
      const echoed = await ask(postern, surface, surface.fake, `write to ${MAIL}`, streamed);
      assert.equal(echoed.status, 400, echoed.text);
      assert.match(echoed.text, /someone@example\.com/);
      assert.doesNotMatch(echoed.text, /<EMAIL_/);
      const blocked = await ask(postern, surface, surface.fake, 'the forbidden word', streamed);
      assert.equal(blocked.status, 403, blocked.text);
      assert.equal(blocked.headers['x-postern-reason'], 'content_blocked');
    }
  }
});
