/** Ways around rules and budgets that were found by attack, each closed (DESIGN sections 3 and 12). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documentFor, PROVIDER_ENV, startScene } from './fake-providers.ts';
import { startPostern, type Postern } from './harness.ts';
import { startRawUpstream } from './raw-upstream.ts';

const post = (postern: Postern, path: string, body: object, headers: Record<string, string> = {}) =>
  postern.call(path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });

test('an answer that a guardrail cuts is charged for what was produced (DESIGN section 3, step 8)', async (t) => {
  const chunk = (content: string): string => {
    const choices = [{ index: 0, delta: { content } }];
    const value = { id: 'x', object: 'chat.completion.chunk', created: 1, model: 'gpt-fake', choices };
    return `data: ${JSON.stringify(value)}\n\n`;
  };
  const raw = await startRawUpstream(t);
  raw.answerWith((socket) => {
    const long = chunk('lorem ipsum dolor sit amet consectetur '.repeat(5)).repeat(200);
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n';
    socket.end(`${head}${long}${chunk(' card 4111 1111 1111 1111 and more text. ')}data: [DONE]\n\n`);
  });
  const document = documentFor(raw.url, {
    more: {
      quotas: { all: { unit: 'tokens', capacity: 100_000 } },
      guardrails: { cards: { src: ['*'], on: ['answer'], detect: ['card'], action: 'block' } },
    },
    capability: { quotas: [{ bucket: 'all' }], guardrails: ['cards'] },
  });
  const flags = { allowUpstream: '127.0.0.0/8' };
  const postern = await startPostern(t, { document, env: PROVIDER_ENV, flags });
  const body = { model: 'gpt-fake', max_tokens: 20_000, stream: true, messages: [] };
  const answer = await post(postern, '/v1/chat/completions', body);
  assert.match(answer.text, /content_blocked/);
  const [row] = await postern.requests(1);
  assert.equal(row?.['outcome'], 'gateway_error');
  assert.ok(Number((row['usage'] as Record<string, unknown>)['output_tokens']) > 1_000, JSON.stringify(row));
});

test('a batch meets the rules of every model in it, whichever comes first (DESIGN section 3, step 7)', async (t) => {
  const { postern } = await startScene(t, {
    more: { tools: [{ tools: ['*'], action: 'deny', models: ['anthropic/claude-ruled*'] }] },
  });
  const line = (id: string, model: string): object => ({
    custom_id: id,
    params: { model, max_tokens: 5, messages: [{ role: 'user', content: 'x' }] },
  });
  for (const requests of [
    [line('a', 'claude-ruled'), line('b', 'claude-fake')],
    [line('a', 'claude-fake'), line('b', 'claude-ruled')],
  ]) {
    const answer = await post(
      postern,
      '/v1/messages/batches',
      { requests },
      { 'anthropic-version': '2023-06-01' },
    );
    assert.equal(answer.status, 403, answer.text);
    assert.equal(answer.headers['x-postern-reason'], 'surface_not_governed');
  }
});

const SEARCHES: readonly (readonly [mark: string, path: string, body: object])[] = [
  ['web_search_options', '/v1/chat/completions', { model: 'gpt-fake', messages: [], web_search_options: {} }],
  ['plugins', '/v1/chat/completions', { model: 'gpt-fake', messages: [], plugins: [{ id: 'web' }] }],
  ['search_parameters', '/v1/chat/completions', { model: 'gpt-fake', messages: [], search_parameters: {} }],
  ['web_search', '/v1/responses', { model: 'gpt-fake', tools: [{ type: 'web_search_preview' }] }],
  ['web_search', '/v1/responses', { model: 'gpt-fake', tools: [{ type: 'web_search_2025_08_26' }] }],
  [
    '"web_search"',
    '/v1/responses',
    { model: 'gpt-fake', input: [{ type: 'tool_search_output', tools: [{ type: 'web_search' }] }] },
  ],
  [
    'google_search',
    '/v1beta/models/gemini-fake:generateContent',
    { contents: [], tools: [{ google_search: {} }] },
  ],
];

test('a denied tool of the provider reaches it by no way of writing it', async (t) => {
  const denied = ['web_search', 'web', 'stored_prompt', 'googleSearch'];
  const free = await startScene(t);
  const ruled = await startScene(t, { more: { tools: [{ tools: denied, action: 'deny' }] } });
  const sentBy = async ({ postern, upstream }: typeof free, path: string, body: object): Promise<string> => {
    upstream.reset();
    await post(postern, path, body);
    return upstream.requests.map((request) => request.body.toString()).join();
  };
  for (const [mark, path, body] of SEARCHES) {
    const unruled = await sentBy(free, path, body);
    assert.ok(unruled.includes(mark), `without the rule it is sent: ${mark}, got ${unruled}`);
    const sent = await sentBy(ruled, path, body);
    assert.ok(!sent.includes(mark), sent);
  }
  // A prompt that is stored at the provider, with tools in it, is nobody's: no rule is needed to hold it back.
  const storedPrompt = { model: 'gpt-fake', prompt: { id: 'pmpt_1' } };
  for (const scene of [free, ruled]) assert.equal(await sentBy(scene, '/v1/responses', storedPrompt), '');
});
