/** The response cache through a whole Postern: who shares what, what is never kept, and what a hit costs (docs/routing.md). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documentFor, PROVIDER_ENV, startScene, type Scene } from './fake-providers.ts';
import { startPostern, type Ending, type Reply } from './harness.ts';
import { asOtherUser, MAY_BE_OTHER } from './other-user.ts';
import { startFakeUpstream } from '../upstream/index.ts';

const CHAT = { model: 'gpt-fake', max_tokens: 50, messages: [{ role: 'user', content: 'hello' }] };
const CACHE = { cache: { scope: 'user', ttl: '1h' } };

function ask(
  { postern }: Pick<Scene, 'postern'>,
  body: object = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  return postern.call('/v1/chat/completions', { body: { ...CHAT, ...body }, headers });
}

async function pricedScene(
  t: Ending,
  capability: Readonly<Record<string, unknown>>,
  more = {},
): Promise<Scene> {
  const upstream = await startFakeUpstream();
  t.after(() => upstream.close());
  const document = documentFor(upstream.url, { capability, more });
  const providers = document['providers'] as Record<string, Record<string, unknown>>;
  Object.assign(providers['openai'] ?? {}, { model_cost_map: [{ match: 'gpt-*', as: 'gpt-4o' }] });
  const postern = await startPostern(t, {
    document,
    env: PROVIDER_ENV,
    flags: { allowUpstream: '127.0.0.0/8' },
  });
  return { upstream, postern };
}

for (const stream of [false, true]) {
  test(`cache: the same question is answered without the provider, ${stream ? 'streamed' : 'whole'}`, async (t) => {
    const scene = await pricedScene(t, CACHE);
    const first = await ask(scene, { stream });
    const second = await ask(scene, { stream });
    assert.deepEqual([first.status, second.status], [200, 200], second.text);
    assert.equal(first.headers['x-postern-cache'], 'miss');
    assert.equal(second.headers['x-postern-cache'], 'hit');
    assert.equal(second.text, first.text);
    assert.equal(second.headers['content-type'], first.headers['content-type']);
    assert.equal(scene.upstream.requests.length, 1);
    const [hit, miss] = await scene.postern.requests(2);
    const cost = miss?.['cost'] as { nano_usd?: number } | undefined;
    assert.equal(hit?.['key_id'] ?? null, null);
    assert.ok(JSON.stringify(hit?.['decisions']).includes('"cache"'), JSON.stringify(hit));
    const saved = Number(hit?.['saved_nano_usd'] ?? 0);
    assert.ok(saved > 0, JSON.stringify(hit));
    if (cost?.nano_usd !== undefined) assert.equal(saved, cost.nano_usd);
    assert.equal(Number(miss?.['saved_nano_usd'] ?? 0), 0);
  });
}

test('cache: none without a grant for it, and no header', async (t) => {
  const scene = await startScene(t);
  for (let i = 0; i < 2; i += 1) assert.equal((await ask(scene)).headers['x-postern-cache'], undefined);
  assert.equal(scene.upstream.requests.length, 2);
});

test('cache: another question is another answer: model, body, stream, telling headers', async (t) => {
  const scene = await startScene(t, { capability: CACHE });
  await ask(scene);
  const others: readonly [object, Record<string, string>][] = [
    [{ model: 'gpt-other' }, {}],
    [{ max_tokens: 51 }, {}],
    [{ stream: true }, {}],
    [{}, { 'openai-organization': 'another' }],
  ];
  for (const [body, headers] of others)
    assert.equal((await ask(scene, body, headers)).headers['x-postern-cache'], 'miss');
  assert.equal(scene.upstream.requests.length, 5);
});

test('cache: errors, cut streams and declined answers are not kept', async (t) => {
  const scene = await startScene(t, { capability: CACHE, more: { routing: { retries: 0 } } });
  scene.upstream.script('status-500');
  assert.equal((await ask(scene)).status, 500);
  scene.upstream.script('truncated');
  await ask(scene, { stream: true });
  for (const stream of [false, true])
    assert.equal((await ask(scene, { stream })).headers['x-postern-cache'], 'miss');
  const declined = await ask(scene, {}, { 'cache-control': 'no-cache' });
  assert.equal(declined.headers['x-postern-cache'], undefined);
  assert.equal((await ask(scene, { stream: false })).headers['x-postern-cache'], 'hit');
});

test('cache: callers whose texts are redacted share nothing: a placeholder never answers another one', async (t) => {
  const scene = await startScene(t, {
    capability: { cache: { scope: 'tailnet', ttl: '1h' }, guardrails: ['mail'] },
    more: { guardrails: { mail: { detect: ['email'], action: 'redact' } } },
  });
  for (const address of ['one@example.com', 'two@example.com', 'one@example.com']) {
    const reply = await ask(scene, { messages: [{ role: 'user', content: `write to ${address}` }] });
    assert.equal(reply.headers['x-postern-cache'], undefined);
  }
  const bodies = scene.upstream.requests.map(({ body }) => body.toString());
  assert.equal(bodies.length, 3, 'each was asked of the provider');
  assert.ok(bodies.every((body) => /<EMAIL_/.test(body)));
  assert.equal(new Set(bodies).size, 2, 'another value is another question');
});

test('cache: headers that change an answer are part of the question: betas, versions, idempotency keys', async (t) => {
  const scene = await startScene(t, { capability: CACHE });
  const question = { model: 'claude-fake', max_tokens: 50, messages: [{ role: 'user', content: 'hello' }] };
  const messages = (headers: Record<string, string>): Promise<Reply> =>
    scene.postern.call('/v1/messages', {
      body: question,
      headers: { 'anthropic-version': '2023-06-01', ...headers },
    });
  const sets: readonly Record<string, string>[] = [
    {},
    { 'anthropic-beta': 'context-1m-2025-08-07' },
    { 'anthropic-beta': 'context-1m-2025-08-07,another-2025-01-01' },
    { 'anthropic-version': '2023-01-01' },
    { 'idempotency-key': 'k1' },
  ];
  for (const [index, found] of (['miss', 'hit'] as const).entries()) {
    for (const headers of sets) {
      const reply = await messages(headers);
      assert.equal(reply.status, 200, reply.text);
      assert.equal(reply.headers['x-postern-cache'], found, `${index} ${JSON.stringify(headers)}`);
    }
  }
  assert.equal(scene.upstream.requests.length, sets.length);
  assert.equal((await messages({ 'user-agent': 'another program' })).headers['x-postern-cache'], 'hit');
});

test('cache: an answer that policy stops is not kept, streamed or not', async (t) => {
  const scene = await startScene(t, {
    capability: { ...CACHE, guardrails: ['word'] },
    more: {
      guardrails: {
        word: { patterns: [{ name: 'any', pattern: '[a-z]{3}' }], action: 'block', on: ['answer'] },
      },
    },
  });
  for (const stream of [false, true]) {
    for (let i = 0; i < 2; i += 1) {
      const reply = await ask(scene, { stream });
      assert.match(reply.text, /content_blocked|guardrail|policy/i, reply.text);
      assert.notEqual(reply.headers['x-postern-cache'], 'hit');
    }
  }
  assert.equal(scene.upstream.requests.length, 4);
});

test('cache: requests with tools are never kept', async (t) => {
  const scene = await startScene(t, { capability: CACHE });
  const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }];
  for (let i = 0; i < 2; i += 1)
    assert.equal((await ask(scene, { tools })).headers['x-postern-cache'], undefined);
  assert.equal(scene.upstream.requests.length, 2);
});

for (const [scope, found] of [
  ['user', 'miss'],
  ['tailnet', 'hit'],
] as const) {
  const skip = !MAY_BE_OTHER && 'only root may be another user';
  test(`cache: of scope ${scope} another person's answer is a ${found}`, { skip }, async (t) => {
    const scene = await startScene(t, { capability: { cache: { scope, ttl: '1h' } } });
    await ask(scene);
    const other = await ask({ postern: asOtherUser(scene.postern) });
    assert.equal(other.status, 200, other.text);
    assert.equal(other.headers['x-postern-cache'], found);
    assert.equal(scene.upstream.requests.length, found === 'hit' ? 1 : 2);
    assert.equal((await ask(scene)).headers['x-postern-cache'], 'hit');
  });
}

test('cache: a hit counts as a request and spends no money', async (t) => {
  const quotas = {
    rpm: { unit: 'requests', capacity: 3 },
    money: { unit: 'usd', capacity: '$1' },
  };
  const scene = await pricedScene(
    t,
    { ...CACHE, quotas: [{ bucket: 'rpm' }, { bucket: 'money' }] },
    { quotas },
  );
  const first = await ask(scene);
  const second = await ask(scene);
  assert.equal(second.headers['x-postern-cache'], 'hit', second.text);
  const third = await ask(scene);
  const left = (reply: Reply): string =>
    /money;usd=([\d.]+)/.exec(String(reply.headers['x-postern-budget-remaining']))?.[1] ?? '';
  assert.equal(left(third), left(second), 'hits spend nothing');
  assert.notEqual(left(first), '');
  assert.equal((await ask(scene)).status, 429, 'and are requests');
});
