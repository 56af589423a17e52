/** Whatever was recorded, and whatever the policy says: a policy against itself changes nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import '../../../test/property-seed.ts';
import type { RequestRow } from '../../store/index.ts';
import { NOON, requestRow } from '../../store/sqlite/rows.fixture.ts';
import { DOCUMENT, replay, rowsOf } from './test-simulation.ts';

const CAP = 'postern.dev/cap/gateway';

const person = fc.constantFrom(
  { principal: 'tailscale:userid:alice', userLabel: 'alice@example.com', door: 'tailscaled' as const },
  { principal: 'tailscale:userid:bob', userLabel: 'bob@example.com', door: 'serve' as const },
  { principal: 'tailscale:nodeid:ci', userLabel: 'tag:ci', door: 'node' as const, deviceId: 'ci' },
  { principal: 'local:1000', userLabel: 'carol', door: 'local' as const },
  {
    principal: 'jwt:https://id.test:7',
    userLabel: 'jwt:https://id.test:7',
    door: 'token' as const,
    tokenId: 'j',
  },
);

const recorded = fc.record({
  person,
  offsetMs: fc.integer({ min: 0, max: 3 * 86_400_000 }),
  sent: fc.oneof(
    fc.record({
      requestedModel: fc.constantFrom(
        'claude-opus-4-1',
        'openai/gpt-5',
        'fast',
        'gone',
        'postern/echo',
        null,
      ),
      format: fc.constantFrom('anthropic_messages', 'openai_chat', 'gemini_generate_content'),
      provider: fc.constantFrom('anthropic', 'openai', 'postern', null),
      model: fc.constantFrom('claude-opus-4-1', 'gpt-5', null),
    }),
    // The second target of a route, because the first did not answer.
    fc.constant({ requestedModel: 'fast', format: 'openai_chat', provider: 'openai', model: 'gpt-5' }),
  ),
  costNanoUsd: fc.option(fc.integer({ min: 0, max: 1_000_000_000 })),
  outputTokens: fc.option(fc.integer({ min: 0, max: 10_000 })),
  inputTokens: fc.option(fc.integer({ min: 0, max: 10_000 })),
  totalUs: fc.integer({ min: 0, max: 600_000_000 }),
  toolCalls: fc.array(fc.constantFrom('Bash', 'Read'), { maxLength: 3 }),
  rule: fc.constantFrom(null, 'grants[0]', 'network["x"][0]'),
  groups: fc.constantFrom([], ['group:dev'], ['group:other']),
});

const documents = fc
  .record({
    quotas: fc.constantFrom(
      {},
      { 'q:<user>': { unit: 'requests', capacity: 2, rate: '1/hour' } },
      { 'q:<user>': { capacity: '$1.00', window: 'day', reserve: 'none' } },
      {
        'q:<user>': { unit: 'tokens', capacity: 15_000, parent: 'top' },
        top: { unit: 'concurrency', capacity: 1 },
      },
    ),
    tools: fc.constantFrom([], [{ tools: ['Bash'], action: 'ask' }]),
    deny: fc.constantFrom([], [{ src: ['bob@example.com'], models: ['**'] }]),
    strategy: fc.constantFrom('ordered', 'weighted'),
    src: fc.constantFrom(['*', '(loopback)'], ['group:dev', 'tag:ci']),
  })
  .map(({ quotas, tools, deny, strategy, src }) => ({
    ...DOCUMENT,
    quotas,
    tools,
    deny,
    groups: { 'group:dev': ['alice@example.com'] },
    routing: {
      models: {
        fast: {
          strategy,
          targets: [
            'anthropic/claude-haiku-4-5',
            { model: 'openai/gpt-4.1', weight: 3 },
            { model: 'openai/gpt-5', weight: 1 },
          ],
        },
      },
    },
    grants: [
      {
        src,
        app: {
          [CAP]: [
            {
              role: 'user',
              models: '**',
              quotas: Object.keys(quotas)
                .slice(0, 1)
                .map((bucket) => ({ bucket })),
            },
          ],
        },
      },
    ],
  }));

test('property: simulate of the unchanged policy changes nothing (issue 3, policy as code)', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(recorded, { maxLength: 40 }), documents, async (all, document) => {
      const rows = all.map(({ person: who, sent, offsetMs, ...given }, i): RequestRow => {
        return requestRow(`r${i}`, { ...who, ...sent, ...given, startedAt: NOON + offsetMs });
      });
      const report = await replay(rowsOf(rows), document, document);
      assert.equal(report.rows, rows.length);
      assert.equal(report.changedRequests, 0, JSON.stringify(report.requests[0]));
      assert.deepEqual(report.before, report.after);
      assert.deepEqual([report.newlyRefused, report.rerouted], [[], []]);
      for (const line of Object.values(report.cost).flat())
        assert.equal(line.beforeNanoUsd, line.afterNanoUsd);
    }),
    { numRuns: 60 },
  );
});
