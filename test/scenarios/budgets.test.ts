/** Budgets through a whole Postern: refused in the caller's dialect, clamped, shown, and never overrun (DESIGN section 7). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documentFor, PROVIDER_ENV, startScene } from './fake-providers.ts';
import { startPostern, type Postern } from './harness.ts';
import { startRawUpstream } from './raw-upstream.ts';
import { startFakeUpstream } from '../upstream/index.ts';

/** The fake's models have no price of their own. */
function priced(url: string, options: Parameters<typeof documentFor>[1]): Record<string, unknown> {
  const document = documentFor(url, options);
  const providers = document['providers'] as Record<string, Record<string, unknown>>;
  Object.assign(providers['openai'] ?? {}, { model_cost_map: [{ match: 'gpt-*', as: 'gpt-4o' }] });
  Object.assign(providers['anthropic'] ?? {}, {
    model_cost_map: [{ match: 'claude-*', as: 'claude-sonnet-4-5' }],
  });
  Object.assign(providers['gemini'] ?? {}, { model_cost_map: [{ match: 'gemini-*', as: 'gemini-2.5-pro' }] });
  return document;
}

const CHAT = { model: 'gpt-fake', max_tokens: 50, messages: [{ role: 'user', content: 'hello' }] };

const SURFACES: readonly (readonly [
  name: string,
  path: string,
  headers: Record<string, string>,
  body: object,
])[] = [
  ['chat', '/v1/chat/completions', {}, CHAT],
  ['responses', '/v1/responses', {}, { model: 'gpt-fake', max_output_tokens: 50, input: 'hello' }],
  [
    'messages',
    '/v1/messages',
    { 'anthropic-version': '2023-06-01' },
    { model: 'claude-fake', max_tokens: 50, messages: [{ role: 'user', content: 'hello' }] },
  ],
  [
    'gemini',
    '/v1beta/models/gemini-fake:generateContent',
    {},
    { contents: [{ role: 'user', parts: [{ text: 'hello' }] }], generationConfig: { maxOutputTokens: 50 } },
  ],
];

const post = (postern: Postern, path: string, body: object, headers: Record<string, string> = {}) =>
  postern.call(path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });

test('budgets: a spent one refuses with 429, Retry-After and the reason, in every dialect', async (t) => {
  for (const [name, path, headers, body] of SURFACES) {
    await t.test(name, async (t) => {
      const { postern } = await startScene(t, {
        more: { quotas: { 'rpm:<user>': { unit: 'requests', capacity: 1, rate: '1/hour' } } },
        capability: { quotas: [{ bucket: 'rpm:<user>' }] },
      });
      const first = await post(postern, path, body, headers);
      assert.equal(first.status, 200, first.text);
      assert.match(String(first.headers['x-postern-budget-remaining']), /^rpm:.*;requests=\d+$/);
      const second = await post(postern, path, body, headers);
      assert.equal(second.status, 429, second.text);
      assert.equal(second.headers['x-postern-reason'], 'budget_exhausted');
      assert.ok(Number(second.headers['retry-after']) > 0);
      const [row] = await postern.requests(2);
      assert.equal(row?.['outcome'], 'refused');
    });
  }
});

test('budgets: 500 callers at once on one bucket spend no more than it holds, on every surface', async (t) => {
  for (const [name, path, headers, body] of SURFACES) {
    for (const reserve of ['bounded', 'worst'] as const) {
      await t.test(`${name}, ${reserve}`, async (t) => {
        const upstream = await startFakeUpstream();
        t.after(() => upstream.close());
        const document = priced(upstream.url, {
          more: { quotas: { all: { unit: 'tokens', capacity: 200_000, reserve } } },
          capability: { quotas: [{ bucket: 'all' }], capture: 'metadata' },
        });
        const postern = await startPostern(t, {
          document,
          env: PROVIDER_ENV,
          flags: { allowUpstream: '127.0.0.0/8' },
        });
        const answers = await Promise.all(
          Array.from({ length: 500 }, () => post(postern, path, body, headers)),
        );
        const passed = answers.filter(({ status }) => status === 200).length;
        const refused = answers.filter(({ status }) => status === 429).length;
        assert.equal(passed + refused, 500, answers.map(({ status }) => status).join(' '));
        assert.ok(passed > 10, `${passed} passed`);
        const rows = await postern.requests(500);
        const spent = rows.reduce((sum, { usage }) => sum + tokensOf(usage), 0);
        assert.ok(spent <= 200_000, `${spent} tokens were spent of 200000`);
        assert.ok(spent > 0);
      });
    }
  }
});

function tokensOf(usage: unknown): number {
  const { input_tokens: input = 0, output_tokens: output = 0 } = (usage ?? {}) as Record<string, number>;
  return (input ?? 0) + (output ?? 0);
}

test('budgets: bounded writes the output limit that is affordable into the request', async (t) => {
  const upstream = await startFakeUpstream();
  t.after(() => upstream.close());
  const document = priced(upstream.url, {
    more: { quotas: { small: { unit: 'usd', capacity: '$0.02' } } },
    capability: { quotas: [{ bucket: 'small' }] },
  });
  const postern = await startPostern(t, {
    document,
    env: PROVIDER_ENV,
    flags: { allowUpstream: '127.0.0.0/8' },
  });
  const asked = { ...CHAT, max_tokens: 16_000 };
  const answer = await post(postern, '/v1/chat/completions', asked);
  assert.equal(answer.status, 200, answer.text);
  const sent = JSON.parse(upstream.requests.at(-1)?.body.toString() ?? '{}') as { max_tokens: number };
  assert.ok(sent.max_tokens > 0 && sent.max_tokens < 16_000, String(sent.max_tokens));
  const unpriced = await post(postern, '/v1/chat/completions', {
    ...CHAT,
    messages: [
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }] },
    ],
  });
  assert.equal(unpriced.status, 403, unpriced.text);
  assert.equal(unpriced.headers['x-postern-reason'], 'budget_not_enforceable');
});

test('budgets: what was spent stays spent over a restart', async (t) => {
  const upstream = await startFakeUpstream();
  t.after(() => upstream.close());
  const document = documentFor(upstream.url, {
    more: { quotas: { day: { unit: 'requests', capacity: 3, window: 'day' } } },
    capability: { quotas: [{ bucket: 'day' }] },
  });
  const options = { document, env: PROVIDER_ENV, flags: { allowUpstream: '127.0.0.0/8' } };
  const first = await startPostern(t, options);
  for (let i = 0; i < 2; i += 1) assert.equal((await post(first, '/v1/chat/completions', CHAT)).status, 200);
  await first.stop();
  const second = await startPostern(t, { ...options, stateDir: first.stateDir });
  assert.equal((await post(second, '/v1/chat/completions', CHAT)).status, 200);
  assert.equal((await post(second, '/v1/chat/completions', CHAT)).status, 429);
});

test('budgets: concurrency counts what is open, and comes back', async (t) => {
  const { postern } = await startScene(t, {
    more: { quotas: { 'open:<user>': { unit: 'concurrency', capacity: 2 } } },
    capability: { quotas: [{ bucket: 'open:<user>' }] },
  });
  const slow = { ...CHAT, model: 'gpt-fake--slow', stream: true };
  const many = await Promise.all(
    Array.from({ length: 5 }, () => post(postern, '/v1/chat/completions', slow)),
  );
  assert.deepEqual(
    many.map(({ status }) => status).sort((a, b) => a - b),
    [200, 200, 429, 429, 429],
  );
  assert.equal((await post(postern, '/v1/chat/completions', CHAT)).status, 200);
});

test('budgets: a request that a provider had and never answered is charged for its input; one that it never had is not', async (t) => {
  const raw = await startRawUpstream(t);
  const spentAt = async (url: string) => {
    const postern = await startPostern(t, {
      document: documentFor(url, {
        more: {
          quotas: { tokens: { unit: 'tokens', capacity: 100_000, window: 'month' } },
          routing: { retries: 0 },
        },
        capability: { quotas: [{ bucket: 'tokens' }] },
      }),
      env: PROVIDER_ENV,
      flags: { allowUpstream: '127.0.0.0/8' },
    });
    const reply = await post(postern, '/v1/chat/completions', CHAT);
    assert.equal(reply.status, 502, reply.text);
    const [row] = await postern.requests(1);
    const listed = (await postern.call('/api/v1/budgets')).json()['items'] as Record<string, unknown>[];
    return { row, spent: 100_000 - Number(listed[0]?.['remaining']) };
  };
  const had = await spentAt(raw.url);
  assert.ok(had.spent > 0 && had.spent < 1_000, `${had.spent} tokens`);
  assert.equal(had.row?.['estimated'], true);
  const closed = await spentAt('http://127.0.0.1:1');
  assert.equal(closed.spent, 0);
  assert.equal(closed.row?.['estimated'], false);
});
