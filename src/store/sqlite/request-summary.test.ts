import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RequestFilter, RequestRow } from '../shapes.ts';
import { queryAdoption } from './adoption.ts';
import { appendAudit, countAuditActions, listAudit } from './audit.ts';
import { getAnswers, getOutlines } from './bodies/outlines.ts';
import type { Database } from './database.ts';
import { listRequests } from './request-queries.ts';
import { summarizeProviders, summarizeRequests } from './request-summary.ts';
import {
  appendRequests,
  auditEntry,
  capturedBodies,
  NOON,
  requestRow,
  TEST_KEYS,
  withDatabase,
} from './rows.fixture.ts';

const HOME = { tailnet: 'home' };
const DAY_MS = 86_400_000;

function withRows(rows: readonly RequestRow[], check: (database: Database) => void): void {
  withDatabase((database) => {
    appendRequests(database, TEST_KEYS, { rows, bodies: [] });
    check(database);
  });
}

test('requests are found by what was decided, status, cost, time, token and words; signs of patterns are words', () => {
  const decision = {
    about: 'tool_call',
    name: 'Bash',
    action: 'denied',
    rule: null,
    approvalId: null,
  } as const;
  const rows = [
    requestRow('req_1', {
      decisions: [{ ...decision, about: 'hook', action: 'allow' }, decision],
      totalUs: 9_000,
    }),
    requestRow('req_2', { decisions: [{ ...decision, action: 'allowed' }], status: 404, tokenId: 'tok_1' }),
    requestRow('req_3', { status: 503, costNanoUsd: 5_000, userLabel: '100%_sure' }),
    requestRow('req_4', { costNanoUsd: null, model: 'Opus', agent: null }),
  ];
  withRows(rows, (database) => {
    const found = (filter: Partial<RequestFilter>): string[] =>
      listRequests(database, { ...HOME, ...filter }, { limit: 10 }).items.map(({ id }) => id);
    assert.deepEqual(found({ decision: { action: 'denied' } }), ['req_1']);
    assert.deepEqual(found({ decision: { about: 'hook' } }), ['req_1']);
    assert.deepEqual(found({ decision: { about: 'hook', action: 'denied' } }), [], 'both of one decision');
    assert.deepEqual(found({ statusFrom: 400, statusTo: 499 }), ['req_2']);
    assert.deepEqual(found({ statusFrom: 503, statusTo: 503 }), ['req_3']);
    assert.deepEqual(found({ costMinNanoUsd: 5_000 }), ['req_3']);
    assert.deepEqual(found({ totalMinUs: 9_000 }), ['req_1']);
    assert.deepEqual(found({ tokenId: 'tok_1' }), ['req_2']);
    assert.deepEqual(found({ text: 'OPUS' }), ['req_4']);
    assert.deepEqual(found({ text: '%_' }), ['req_3']);
    assert.deepEqual(found({ text: "' OR 1=1 --" }), []);
  });
});

describe('summaries', () => {
  test('outcomes, reasons, sums and times; no other tailnet counts', () => {
    const rows = [
      requestRow('req_1', { totalUs: 100, firstByteUs: 10 }),
      requestRow('req_2', { totalUs: 300, firstByteUs: 30, startedAt: NOON + 1 }),
      requestRow('req_3', {
        outcome: 'refused',
        reason: 'budget_exhausted',
        firstByteUs: null,
        costNanoUsd: 0,
      }),
      requestRow('req_4', { tailnet: 'work', totalUs: 9_999 }),
    ];
    withRows(rows, (database) => {
      const summary = summarizeRequests(database, HOME);
      assert.deepEqual(
        [summary.requests, summary.costNanoUsd, summary.outcomes, summary.reasons],
        [
          3,
          2_000,
          [
            { name: 'ok', requests: 2 },
            { name: 'refused', requests: 1 },
          ],
          [{ name: 'budget_exhausted', requests: 1 }],
        ],
      );
      assert.deepEqual(summary.latency, {
        p50Us: 100,
        p95Us: 300,
        firstByteP50Us: 10,
        firstByteP95Us: 30,
        sampled: 2,
      });
      assert.equal(summarizeRequests(database, { tailnet: 'none' }).latency.p50Us, null);
    });
  });

  test('a provider tells its last failure and when it was last used', () => {
    const rows = [
      requestRow('req_1', { provider: 'a', outcome: 'upstream_error', reason: null, status: 500 }),
      requestRow('req_2', { provider: 'a', startedAt: NOON + 5 }),
      requestRow('req_3', { provider: 'b', outcome: 'refused', startedAt: NOON + 9 }),
      requestRow('req_4', { provider: null }),
    ];
    withRows(rows, (database) => {
      const [a, b, ...rest] = summarizeProviders(database, HOME);
      assert.deepEqual([a?.provider, a?.requests, a?.failed, a?.lastAt], ['a', 2, 1, NOON + 5]);
      assert.deepEqual([a?.lastFailure?.id, a?.lastFailure?.status], ['req_1', 500]);
      assert.deepEqual([b?.provider, b?.failed, b?.lastFailure, rest], ['b', 0, null, []]);
    });
  });

  test('people, devices, agents and sessions count once a day, and once in all', () => {
    const rows = [
      requestRow('req_1', { deviceId: 'd1', agent: 'codex', sessionId: 's' }),
      requestRow('req_2', { deviceId: 'd1', agent: 'codex', sessionId: 's', startedAt: NOON + 1 }),
      requestRow('req_3', { principal: 'local:2', sessionId: 's', startedAt: NOON + DAY_MS }),
      requestRow('req_4', { startedAt: NOON + DAY_MS }),
    ];
    withRows(rows, (database) => {
      assert.deepEqual(queryAdoption(database, HOME, 'day', 'UTC'), [
        { label: '2026-01-05', users: 1, devices: 1, agents: 1, sessions: 1, requests: 2 },
        { label: '2026-01-06', users: 2, devices: 0, agents: 0, sessions: 1, requests: 2 },
        { label: 'total', users: 2, devices: 1, agents: 1, sessions: 2, requests: 4 },
      ]);
      assert.throws(() => queryAdoption(database, HOME, 'day', 'Mars'), { code: 'store_read_failed' });
    });
  });
});

test('requests of a session come as shared items, each once; others of another tailnet not at all', () => {
  withDatabase((database) => {
    const body = (turns: number): Buffer =>
      Buffer.from(
        JSON.stringify({ messages: Array.from({ length: turns }, (_, i) => ({ i, text: 'x'.repeat(600) })) }),
      );
    const rows = [1, 2].map((n) => requestRow(`req_${n}`, { capture: 'full', sessionId: 's' }));
    appendRequests(database, TEST_KEYS, {
      rows,
      bodies: rows.map(({ id }, i) => capturedBodies(id, body(3 + i), Buffer.from(`answer ${id}`))),
    });
    const ask = { tailnet: 'home', requestIds: ['req_1', 'req_2', 'req_none'], known: [] };
    const { requests, items } = getOutlines(database, TEST_KEYS, ask);
    const byId = new Map(items.map(({ id, bytes }) => [id, Buffer.from(bytes)]));
    assert.equal(byId.size, items.length);
    const joined = requests.map((one) =>
      Buffer.concat(one.items.map((id) => byId.get(id) ?? Buffer.from('?'))),
    );
    assert.deepEqual(joined.map(String), [body(3), body(4)].map(String));
    const again = getOutlines(database, TEST_KEYS, { ...ask, known: [...byId.keys()] });
    assert.deepEqual(again.items, []);
    assert.deepEqual(getOutlines(database, TEST_KEYS, { ...ask, tailnet: 'work' }).requests, []);
    assert.deepEqual(
      getAnswers(database, TEST_KEYS, 'home', ask.requestIds).map(({ response }) =>
        Buffer.from(response).toString(),
      ),
      ['answer req_1', 'answer req_2'],
    );
    const many = Array.from({ length: 201 }, () => 'x');
    assert.throws(() => getAnswers(database, TEST_KEYS, 'home', many), { code: 'store_query_too_large' });
    assert.throws(() => getOutlines(database, TEST_KEYS, { ...ask, requestIds: many }), {
      code: 'store_query_too_large',
    });
  });
});

test('audit entries are found by target, words and the beginning of an action', () => {
  withDatabase((database) => {
    for (const more of [
      { action: 'key.add', target: 'key_1' },
      { action: 'key.revoke', target: 'key_1', reason: 'it leaked' },
      { action: 'keyring', target: 'x' },
    ])
      appendAudit(database, TEST_KEYS.auditKey, auditEntry(more));
    const found = (filter: Parameters<typeof listAudit>[2]): string[] =>
      listAudit(database, 'home', filter, { limit: 10 }).items.map(({ action }) => action);
    assert.deepEqual(found({ action: 'key.' }), ['key.revoke', 'key.add']);
    assert.deepEqual(found({ action: 'key' }), []);
    assert.deepEqual(found({ target: 'key_1', text: 'LEAKED' }), ['key.revoke']);
    assert.deepEqual(found({ text: '%' }), []);
    assert.deepEqual(countAuditActions(database, 'home')[0], { action: 'key.add', entries: 1 });
  });
});
