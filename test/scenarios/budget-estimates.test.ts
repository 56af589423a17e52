/** Answers that break off before they say what they used: what is guessed never overruns a budget (DESIGN sections 7 and 12). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documentFor, PROVIDER_ENV } from './fake-providers.ts';
import { startPostern } from './harness.ts';
import { startRawUpstream } from './raw-upstream.ts';

const TEXT = 'many words '.repeat(4_000);

const SURFACES = [
  {
    name: 'chat',
    path: '/v1/chat/completions',
    body: { model: 'gpt-fake', max_tokens: 50, stream: true, messages: [{ role: 'user', content: 'hello' }] },
    event: { id: 'c', choices: [{ index: 0, delta: { content: TEXT } }] },
  },
  {
    name: 'messages',
    path: '/v1/messages',
    body: {
      model: 'claude-fake',
      max_tokens: 50,
      stream: true,
      messages: [{ role: 'user', content: 'hello' }],
    },
    event: { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: TEXT } },
  },
] as const;

for (const { name, path, body, event } of SURFACES) {
  test(`${name}: a stream that breaks off above its own limit costs no more than was reserved, in the row as in the budgets`, async (t) => {
    const raw = await startRawUpstream(t);
    raw.answerWith((socket) => {
      const data = `event: ${'type' in event ? event.type : 'message'}\ndata: ${JSON.stringify(event)}\n\n`;
      const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
      socket.end(`${head}${Buffer.byteLength(data).toString(16)}\r\n${data}\r\n`);
    });
    const document = documentFor(raw.url, {
      more: {
        // Little more than one request reserves: what is beyond shows as a debt.
        quotas: {
          tokens: { unit: 'tokens', capacity: 1_400, window: 'month' },
          money: { unit: 'usd', capacity: '$0.0100', window: 'month' },
        },
      },
      capability: { quotas: [{ bucket: 'tokens' }, { bucket: 'money' }] },
    });
    const providers = document['providers'] as Record<string, Record<string, unknown>>;
    Object.assign(providers['openai'] ?? {}, { model_cost_map: [{ match: 'gpt-*', as: 'gpt-4o' }] });
    const asSonnet = [{ match: 'claude-*', as: 'claude-sonnet-4-5' }];
    Object.assign(providers['anthropic'] ?? {}, { model_cost_map: asSonnet });
    const postern = await startPostern(t, {
      document,
      env: PROVIDER_ENV,
      flags: { allowUpstream: '127.0.0.0/8' },
    });

    await postern
      .call(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
      .catch(() => null);

    const [row] = await postern.requests(1);
    const usage = row?.['usage'] as Record<string, number>;
    assert.equal(row?.['estimated'], true);
    assert.equal(row['outcome'], 'truncated');
    assert.equal(usage['output_tokens'], 50);
    const listed = (await postern.call('/api/v1/budgets')).json()['items'] as Record<string, unknown>[];
    const remaining = new Map(listed.map((bucket) => [bucket['bucket'], bucket['remaining']]));
    assert.equal(remaining.get('money'), 10_000_000 - Number(row['cost_nano_usd']));
    assert.equal(remaining.get('tokens'), 1_400 - Number(usage['input_tokens']) - 50);
  });
}
