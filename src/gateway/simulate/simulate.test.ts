import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPriceBook } from '../../llm/index.ts';
import type { RequestRow } from '../../store/index.ts';
import { NOON, requestRow, withStore } from '../../store/sqlite/rows.fixture.ts';
import { DOCUMENT, replay, rowsOf } from './test-simulation.ts';

const HOUR = 3_600_000;
const DENY_OPUS = {
  ...DOCUMENT,
  deny: [{ src: ['alice@example.com'], models: ['anthropic/claude-opus-*'] }],
};

test('simulate: the unchanged policy changes nothing, through the real store (issue 3, policy as code)', async () => {
  await withStore(async (store) => {
    await store.appendRequests({ rows: sample(), bodies: [] });
    const report = await replay(store, DOCUMENT, DOCUMENT);
    assert.equal(report.rows, 60);
    assert.equal(report.changedRequests, 0);
    assert.deepEqual(report.requests, []);
    assert.deepEqual({ ...report.before, version: '' }, { ...report.after, version: '' });
    assert.equal(report.before.costNanoUsd, report.recordedCostNanoUsd);
  });
});

test('simulate: a deny entry of the draft is told with its rule, its people and what is saved', async () => {
  const rows = [
    row('r1', { model: 'claude-opus-4-1' }),
    row('r2', { model: 'claude-sonnet-4-5' }),
    row('r3', { model: 'claude-opus-4-1', principal: 'tailscale:userid:bob', userLabel: 'bob@example.com' }),
  ];
  const report = await replay(rowsOf(rows), DOCUMENT, DENY_OPUS);
  assert.deepEqual([report.before.allowed, report.after.allowed, report.after.denied], [3, 2, 1]);
  assert.equal(report.changes.newly_denied, 1);
  assert.deepEqual(report.newlyRefused, [
    { reason: 'denied', rule: 'deny[0]', model: 'claude-opus-4-1', user: 'alice@example.com', requests: 1 },
  ]);
  assert.deepEqual(
    report.requests.map(({ id, changes, after }) => [id, changes, after.outcome, after.reason, after.rule]),
    [['r1', ['newly_denied'], 'denied', 'denied', 'deny[0]']],
  );
  assert.equal(report.after.costNanoUsd, report.before.costNanoUsd - 1_000);
});

test('simulate: an unknown model, a lost grant and a lost role are told apart', async () => {
  const rows = [
    row('r1', { model: 'claude-opus-4-1' }),
    row('r2', { model: 'gpt-5', format: 'openai_chat' }),
  ];
  const without = { ...DOCUMENT, providers: { anthropic: DOCUMENT.providers.anthropic } };
  const unknown = await replay(rowsOf(rows), DOCUMENT, without);
  assert.deepEqual(
    unknown.newlyRefused.map(({ reason, model }) => [reason, model]),
    [['model_unknown', 'gpt-5']],
  );
  const narrow = await replay(rowsOf(rows), DOCUMENT, { ...DOCUMENT, grants: grants('openai/*') });
  assert.deepEqual(
    narrow.newlyRefused.map(({ reason, model }) => [reason, model]),
    [['not_granted', 'claude-opus-4-1']],
  );
  const nobody = await replay(rowsOf(rows), DOCUMENT, { ...DOCUMENT, grants: [] });
  assert.deepEqual(
    nobody.newlyRefused.map(({ reason }) => reason),
    ['no_role', 'no_role'],
  );
  const back = await replay(rowsOf(rows), { ...DOCUMENT, grants: [] }, DOCUMENT);
  assert.equal(back.changes.newly_allowed, 2);
});

test('simulate: a rerouted request is priced anew from the recorded usage', async () => {
  const alias = (dst: string) => ({ ...DOCUMENT, model_aliases: { models: { fast: { dst: [dst] } } } });
  const usage = { inputTokens: 1_000_000, outputTokens: 100_000, cacheReadTokens: null };
  const rows = [
    row('r1', {
      requestedModel: 'fast',
      model: 'claude-opus-4-1',
      costNanoUsd: 22_500_000_000,
      ...usage,
      cacheWriteTokens: null,
      cacheWrite1hTokens: null,
      reasoningTokens: null,
    }),
  ];
  const report = await replay(
    rowsOf(rows),
    alias('anthropic/claude-opus-4-1'),
    alias('anthropic/claude-haiku-4-5'),
  );
  const price = createPriceBook().price({
    basis: 'anthropic',
    model: 'claude-haiku-4-5',
    at: NOON,
    usage: { inputTokens: 1_000_000, outputTokens: 100_000 },
  });
  assert.equal(price.state, 'priced');
  assert.deepEqual(report.rerouted, [
    {
      from: 'anthropic/claude-opus-4-1',
      to: 'anthropic/claude-haiku-4-5',
      requests: 1,
      beforeNanoUsd: 22_500_000_000,
      afterNanoUsd: price.costNanoUsd,
    },
  ]);
  assert.deepEqual(
    report.cost.byModel.map(({ name, requestsBefore, requestsAfter }) => [
      name,
      requestsBefore,
      requestsAfter,
    ]),
    [
      ['anthropic/claude-opus-4-1', 1, 0],
      ['anthropic/claude-haiku-4-5', 0, 1],
    ],
  );
  assert.equal(report.requests[0]?.changes[0], 'rerouted');
});

test('simulate: budgets refill and refuse at the times of the rows (DESIGN section 7)', async () => {
  const draft = {
    ...DOCUMENT,
    quotas: { 'day:<user>': { unit: 'requests', capacity: 3, window: 'day' } },
    grants: grants('**', { quotas: [{ bucket: 'day:<user>' }] }),
  };
  // Five a day, on two days: the last two of each are refused, of each person by itself.
  const rows = [0, 24].flatMap((day) =>
    [0, 1, 2, 3, 4].map((hour) =>
      row(`r${day + hour}`, { startedAt: NOON + (day + hour - 8) * HOUR, model: 'claude-opus-4-1' }),
    ),
  );
  const other = row('bob', {
    startedAt: NOON - 2 * HOUR,
    principal: 'tailscale:userid:bob',
    userLabel: 'bob@example.com',
    model: 'claude-opus-4-1',
  });
  const report = await replay(rowsOf([...rows, other]), DOCUMENT, draft);
  assert.equal(report.changes.newly_over_budget, 4);
  assert.deepEqual(
    report.requests.map(({ id, after }) => [id, after.outcome, after.reason]),
    ['r3', 'r4', 'r27', 'r28'].map((id) => [id, 'over_budget', 'exhausted']),
  );
  assert.deepEqual(report.budgets, [
    {
      bucket: 'day:alice@example.com',
      quota: 'day:<user>',
      refusedBefore: 0,
      refusedAfter: 4,
      firstRefusedAt: NOON - 5 * HOUR,
      lastRefusedAt: NOON + 20 * HOUR,
    },
  ]);
  assert.ok((report.requests[0]?.after.retryAfterSec ?? 0) > 0);
});

test('simulate: slots of a concurrency budget are free again when the recorded request has ended', async () => {
  const draft = {
    ...DOCUMENT,
    quotas: { slots: { unit: 'concurrency', capacity: 1 } },
    grants: grants('**', { quotas: [{ bucket: 'slots' }] }),
  };
  const at = (id: string, offsetMs: number): RequestRow =>
    row(id, { startedAt: NOON + offsetMs, totalUs: 10_000_000, model: 'claude-opus-4-1' });
  const report = await replay(rowsOf([at('a', 0), at('b', 5_000), at('c', 10_000)]), DOCUMENT, draft);
  assert.deepEqual(
    report.requests.map(({ id }) => id),
    ['b'],
  );
});

test('simulate: a dollar budget counts what was spent, and refuses a model without a price', async () => {
  const draft = {
    ...DOCUMENT,
    quotas: { team: { capacity: '$1.00' } },
    grants: grants('**', { quotas: [{ bucket: 'team' }] }),
  };
  const rows = [1, 2, 3, 4].map((n) =>
    row(`r${n}`, { startedAt: NOON + n * HOUR, costNanoUsd: 400_000_000, model: 'claude-opus-4-1' }),
  );
  const report = await replay(rowsOf(rows), DOCUMENT, draft);
  assert.deepEqual(
    report.requests.map(({ id, after }) => [id, after.reason]),
    [
      ['r3', 'exhausted'],
      ['r4', 'exhausted'],
    ],
  );
  const unpriced = await replay(
    rowsOf([row('u', { costNanoUsd: null, costState: 'unpriced', model: 'claude-opus-4-1' })]),
    DOCUMENT,
    draft,
  );
  assert.equal(unpriced.requests[0]?.after.reason, 'unpriced');
});

test('simulate: what a bucket holds in advance is given back while others go on; none of it is lost', async () => {
  const draft = {
    ...DOCUMENT,
    quotas: { 'own:<user>': { capacity: '$1.00' } },
    grants: grants('**', { quotas: [{ bucket: 'own:<user>' }] }),
  };
  const cent = { costNanoUsd: 10_000_000, model: 'claude-opus-4-1' };
  const bob = { principal: 'tailscale:userid:bob', userLabel: 'bob@example.com' };
  const rows = [
    row('first', { ...cent, startedAt: NOON }),
    ...Array.from({ length: 80 }, (_, i) =>
      row(`b${i}`, { ...cent, ...bob, startedAt: NOON + (i + 1) * 120_000 }),
    ),
    ...Array.from({ length: 101 }, (_, i) =>
      row(`a${i}`, { ...cent, startedAt: NOON + 4 * HOUR + i * 1_000 }),
    ),
  ];
  const report = await replay(rowsOf(rows), DOCUMENT, draft);
  assert.deepEqual(
    report.requests.map(({ id }) => id),
    ['a99', 'a100'],
  );
});

test('simulate: tool rules by name; a rule with conditions on arguments is one that may hold', async () => {
  const draft = {
    ...DOCUMENT,
    tools: [
      { tools: ['Bash'], when: [{ path: '$.command', matches: 'rm' }], action: 'deny' },
      { tools: ['Bash'], action: 'ask' },
      { tools: ['Web*'], action: 'deny' },
    ],
  };
  const rows = [row('r1', { model: 'claude-opus-4-1', toolCalls: ['Bash', 'Read', 'WebFetch'] })];
  const report = await replay(rowsOf(rows), DOCUMENT, draft);
  assert.deepEqual(
    report.requests[0]?.tools.map(({ tool, after, rule }) => [tool, after.least, after.most, rule]),
    [
      ['Bash', 'ask', 'deny', 'tools[0]'],
      ['WebFetch', 'deny', 'deny', 'tools[2]'],
    ],
  );
  assert.equal(report.changes.tools, 1);
  const { toolCalls } = report.after;
  assert.deepEqual(
    [toolCalls.allowed, toolCalls.asked, toolCalls.denied, toolCalls.mayBeDenied],
    [1, 1, 1, 1],
  );
  assert.ok(report.limits.some((line) => line.includes('"when"')));
});

test('simulate: guardrails are counted where they would look; a body over its limit is refused', async () => {
  const draft = {
    ...DOCUMENT,
    guardrails: {
      keys: { src: ['*'], on: ['request'], detect: ['secrets'], action: 'block' },
      size: { src: ['*'], on: ['request'], action: 'block', limits: { max_body_bytes: 1_000 } },
    },
  };
  const rows = [
    row('small', { model: 'claude-opus-4-1', requestBytes: 1_000 }),
    row('large', { model: 'claude-opus-4-1', requestBytes: 1_001 }),
  ];
  const report = await replay(rowsOf(rows), DOCUMENT, draft);
  assert.deepEqual(
    report.requests.map(({ id, after }) => [id, after.reason, after.rule]),
    [['large', 'guardrail_limit', 'guardrails.size']],
  );
  assert.deepEqual(
    report.guardrails.map(({ name, before, after }) => [name, before, after]),
    [
      ['keys', 0, 1],
      ['size', 0, 1],
    ],
  );
});

test('simulate: what the network opened is unknown and counts as it was, and a deny entry still holds', async () => {
  const rows = [
    row('r1', {
      principal: 'tailscale:userid:zoe',
      userLabel: 'zoe@other.test',
      door: 'local',
      rule: 'network["postern.dev/cap/gateway"][0]',
      model: 'claude-opus-4-1',
    }),
  ];
  const report = await replay(rowsOf(rows), DOCUMENT, DENY_OPUS);
  assert.deepEqual([report.before.unknown, report.after.unknown, report.changedRequests], [1, 1, 0]);
  assert.equal(report.after.costNanoUsd, 1_000);
  const denied = await replay(rowsOf(rows), DOCUMENT, {
    ...DOCUMENT,
    deny: [{ src: ['zoe@other.test'], models: ['**'] }],
  });
  assert.equal(denied.after.denied, 1);
});

test('simulate: groups that a document defines come from it, not from the row', async () => {
  const group = (members: readonly string[]) => ({
    ...DOCUMENT,
    groups: { 'group:research': members },
    grants: [
      { src: ['group:research'], app: { [CAP]: [{ role: 'user', models: '**' }] } },
      ...grants('postern/*'),
    ],
  });
  const rows = [row('r1', { groups: ['group:research'], model: 'claude-opus-4-1' })];
  const report = await replay(rowsOf(rows), group(['alice@example.com']), group(['bob@example.com']));
  assert.equal(report.changes.newly_denied, 1);
});

test('simulate: tags of a machine are read from its label', async () => {
  const rows = [
    row('r1', {
      principal: 'tailscale:nodeid:n1',
      userLabel: 'tag:ci,tag:prod',
      deviceId: 'n1',
      model: 'claude-opus-4-1',
    }),
  ];
  const report = await replay(rowsOf(rows), DOCUMENT, {
    ...DOCUMENT,
    deny: [{ src: ['tag:ci'], models: ['**'] }],
  });
  assert.equal(report.changes.newly_denied, 1);
});

test('simulate: rows without a model are read and left out, and the list of requests is bounded', async () => {
  const rows = [
    row('list', { requestedModel: null, provider: null, model: null }),
    ...[1, 2, 3].map((n) => row(`r${n}`, { model: 'claude-opus-4-1' })),
  ];
  const report = await replay(rowsOf(rows), DOCUMENT, DENY_OPUS, { requestsMax: 2 });
  assert.deepEqual([report.rows, report.skipped, report.changedRequests], [4, 1, 3]);
  assert.deepEqual([report.requests.length, report.requestsOmitted], [2, 1]);
});

test('simulate: ends at once when it is cancelled', async () => {
  const stop = new AbortController();
  stop.abort(new Error('enough'));
  const rows = [row('r1', { model: 'claude-opus-4-1' })];
  await assert.rejects(replay(rowsOf(rows), DOCUMENT, DOCUMENT, { signal: stop.signal }), /enough/);
});

const CAP = 'postern.dev/cap/gateway';

function grants(models: string, more: object = {}): readonly object[] {
  return [{ src: ['*'], app: { [CAP]: [{ role: 'user', models, ...more }] } }];
}

function row(id: string, given: Partial<RequestRow>): RequestRow {
  return requestRow(id, {
    principal: 'tailscale:userid:alice',
    userLabel: 'alice@example.com',
    door: 'tailscaled',
    requestedModel: given.model ?? null,
    ...given,
  });
}

/** A day of three people. */
function sample(): readonly RequestRow[] {
  return Array.from({ length: 60 }, (_, i) => {
    const name = ['alice', 'bob', 'carol'][i % 3] ?? '';
    return row(`req_${String(i).padStart(3, '0')}`, {
      principal: `tailscale:userid:${name}`,
      userLabel: `${name}@example.com`,
      startedAt: NOON + i * 60_000,
      model: i % 2 === 0 ? 'claude-opus-4-1' : 'claude-sonnet-4-5',
      toolCalls: i % 5 === 0 ? ['Bash'] : [],
      costNanoUsd: 1_000 * i,
    });
  });
}
