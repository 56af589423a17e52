import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startFakeCloud } from './server.ts';
import type { FakeCloud } from './server.ts';
import { createTestProviders, inputOf, send } from './send.ts';
import type { Call } from './send.ts';

let cloud: FakeCloud;
const providers = createTestProviders();

before(async () => {
  cloud = await startFakeCloud();
});
after(() => cloud.close());

const CHAT = { model: 'gpt-fake', messages: [{ role: 'user', content: 'hi' }] };

function call(prefix: string, more: Partial<Call> = {}): Call {
  return {
    kind: 'azure',
    baseUrl: cloud.origin + prefix,
    key: ['bearer', cloud.azure.apiKey],
    target: '/v1/chat/completions',
    model: 'gpt-fake',
    body: CHAT,
    ...more,
  };
}

test('Azure: each way to write the base URL reaches the service with the version that it needs', async () => {
  const cases: [prefix: string, target: string][] = [
    ['', '/openai/v1/chat/completions'],
    ['/openai', '/openai/v1/chat/completions'],
    ['/openai/v1', '/openai/v1/chat/completions'],
    ['/openai/v1?api-version=preview', '/openai/v1/chat/completions?api-version=preview'],
    ['/openai/deployments', '/openai/deployments/gpt-fake/chat/completions?api-version=2024-10-21'],
    ['/openai/deployments/gpt-fake', '/openai/deployments/gpt-fake/chat/completions?api-version=2024-10-21'],
    [
      '/openai/deployments/gpt-fake?api-version=2025-04-01-preview',
      '/openai/deployments/gpt-fake/chat/completions?api-version=2025-04-01-preview',
    ],
    ['/models', '/models/chat/completions?api-version=2024-05-01-preview'],
  ];
  for (const [prefix, target] of cases) {
    const reply = await send(providers, call(prefix));
    assert.equal(reply.status, 200, `${prefix}: ${reply.body.toString()}`);
    const { path = '', query = '' } = cloud.requests.at(-1) ?? {};
    assert.equal(query === '' ? path : `${path}?${query}`, target);
  }
  assert.deepEqual(cloud.violations, []);
});

test("Azure: the base URL's api-version wins over the caller's, the caller's over the default, and v1 takes none", () => {
  const pathOf = (prefix: string, target: string): string => {
    const prepared = providers.prepareUpstream(inputOf(call(prefix, { target })));
    assert.ok(!(prepared instanceof Promise));
    return prepared.path.slice(prepared.path.indexOf('?'));
  };
  const asked = '/v1/chat/completions?a=1&api-version=2025-04-01-preview&b=2';
  assert.equal(
    pathOf('/openai/deployments?api-version=2024-10-21', asked),
    '?api-version=2024-10-21&a=1&b=2',
  );
  assert.equal(pathOf('/openai/deployments', asked), '?api-version=2025-04-01-preview&a=1&b=2');
  assert.equal(
    pathOf('/openai/deployments', '/v1/chat/completions?api-version=nonsense'),
    '?api-version=2024-10-21',
  );
  assert.equal(pathOf('/openai/v1', asked), '?a=1&b=2');
});

test('Azure: keys go in api-key, Entra tokens as bearer, and a wrong key is an answer', async () => {
  assert.equal((await send(providers, call('', { key: ['x-api-key', cloud.azure.apiKey] }))).status, 200);
  assert.equal((await send(providers, call('', { key: ['api-key', cloud.azure.apiKey] }))).status, 200);
  assert.equal((await send(providers, call('', { key: ['bearer', cloud.azure.entraToken] }))).status, 200);
  assert.equal((await send(providers, call('', { key: ['bearer', 'wrong'] }))).status, 401);
});

test("Azure: Anthropic's format goes to /anthropic with x-api-key and a version", async () => {
  const body = { model: 'claude-fake', max_tokens: 5, messages: [] };
  for (const prefix of ['', '/anthropic', '/anthropic/v1']) {
    const reply = await send(providers, call(prefix, { target: '/v1/messages', model: 'claude-fake', body }));
    assert.equal(reply.status, 200, `${prefix}: ${reply.body.toString()}`);
  }
});

test('Azure: routes of no deployment lie beside the deployments', () => {
  const prepared = providers.prepareUpstream(
    inputOf(call('/openai/deployments/gpt-fake', { target: '/v1/responses' })),
  );
  assert.ok(!(prepared instanceof Promise));
  assert.equal(prepared.path, '/openai/responses?api-version=2024-10-21');
});

test("Azure: a deployment's name from the caller cannot leave its segment", () => {
  for (const model of ['..', '.', '../../x']) {
    const prepare = (): unknown => providers.prepareUpstream(inputOf(call('/openai/deployments', { model })));
    assert.throws(prepare, { code: 'upstream_path_refused' });
  }
  const prepared = providers.prepareUpstream(inputOf(call('/openai/deployments', { model: 'a/b?c#d' })));
  assert.ok(!(prepared instanceof Promise));
  assert.ok(prepared.path.startsWith('/openai/deployments/a%2Fb%3Fc%23d/chat/completions?'));
});
