import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPriceBook, type ModelEntry } from '../llm/index.ts';
import { compilePolicy, parseGatewayDocument } from '../policy/index.ts';
import { listModels } from './models.ts';

const NOW = Date.UTC(2026, 5, 1);

function entriesOf(providers: object): ReadonlyMap<string, ModelEntry> {
  const text = JSON.stringify({
    providers,
    grants: [{ src: ['*'], app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**' }] } }],
  });
  const { document } = parseGatewayDocument(text, { source: 'api', adminsElsewhere: true });
  const policy = compilePolicy({
    document,
    found: [],
    storedGrants: [],
    tailnet: 't',
    version: '1',
  });
  const access = policy.accessOf({
    principal: 'tailscale:user:1',
    tailnet: 't',
    door: 'tailscaled',
    via: null,
    device: { stableId: 'n1', name: 'laptop', addresses: [], tags: [], shared: false },
    user: { id: '1', login: 'somebody@example.com', displayName: null },
    groups: [],
    capabilities: new Map(),
    token: null,
  });
  const entries = listModels({ policy, access, prices: createPriceBook(), now: NOW });
  return new Map(entries.map((entry) => [entry.id, entry]));
}

test('a listed model has its price, window, output limit and modalities (issue: GET /v1/models)', () => {
  const entry = entriesOf({
    anthropic: {
      baseurl: 'https://api.anthropic.com',
      models: ['claude-sonnet-4-5'],
      compatibility: { anthropic_messages: true },
    },
  }).get('claude-sonnet-4-5');
  assert.deepEqual(
    [entry?.contextWindow, entry?.maxOutput, entry?.modalities, entry?.prices?.input],
    [200_000, 64_000, { input: ['text', 'image', 'pdf'], output: ['text'] }, 3],
  );
});

test("the document's word on limits wins, field by field; what nobody knows is null", () => {
  const entries = entriesOf({
    openai: {
      baseurl: 'https://api.openai.com',
      models: ['gpt-4o'],
      model_limits: [{ match: 'gpt-*', max_output_tokens: 1000, input: ['text'] }],
    },
    own: {
      baseurl: 'https://llm.test',
      models: ['gpt-4o-own', 'stated'],
      model_limits: [{ match: 'stated', context_window: 5 }],
    },
  });
  const known = entries.get('gpt-4o');
  assert.deepEqual(
    [known?.contextWindow, known?.maxOutput, known?.modalities],
    [128_000, 1000, { input: ['text'], output: ['text'] }],
  );
  const unknown = entries.get('gpt-4o-own');
  assert.deepEqual([unknown?.contextWindow, unknown?.maxOutput, unknown?.modalities], [null, null, null]);
  assert.equal(entries.get('stated')?.contextWindow, 5);
  assert.deepEqual(entries.get('postern/echo')?.modalities, { input: ['text'], output: ['text'] });
});
