import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page, PageRequest, RequestFilter } from '../shapes.ts';
import { readCursor } from './cursor.ts';
import { toCondition } from './filter.ts';
import { getRequest, listRequests, listSessions } from './request-queries.ts';
import { appendRequests, NOON, requestRow, TEST_KEYS, withDatabase } from './rows.fixture.ts';

const HOME: RequestFilter = { tailnet: 'home' };

/** All items, page by page. */
function walk<Item>(list: (page: PageRequest) => Page<Item>, limit: number): Item[] {
  const items: Item[] = [];
  let cursor: string | undefined;
  do {
    const page: Page<Item> = list(cursor === undefined ? { limit } : { limit, cursor });
    assert.ok(page.items.length <= limit);
    items.push(...page.items);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return items;
}

test('a row comes back as it was written, and only to its own tailnet', () => {
  withDatabase((database) => {
    const row = requestRow('req_1', {
      groups: ['group:a'],
      toolCalls: ['Bash'],
      streamed: true,
      inputTokens: null,
      costNanoUsd: null,
      via: 'serve',
    });
    appendRequests(database, TEST_KEYS, { rows: [row], bodies: [] });
    assert.deepEqual(getRequest(database, 'home', 'req_1'), row);
    assert.equal(getRequest(database, 'work', 'req_1'), null);
    assert.equal(listRequests(database, { tailnet: 'work' }, { limit: 10 }).items.length, 0);
  });
});

test('a batch that is written again changes nothing, and fractions of microseconds are rounded', () => {
  withDatabase((database) => {
    appendRequests(database, TEST_KEYS, { rows: [requestRow('req_1', { ownUs: 1.6 })], bodies: [] });
    appendRequests(database, TEST_KEYS, {
      rows: [requestRow('req_1', { status: 500 }), requestRow('req_2')],
      bodies: [],
    });
    assert.equal(getRequest(database, 'home', 'req_1')?.status, 200);
    assert.equal(getRequest(database, 'home', 'req_1')?.ownUs, 2);
    assert.equal(listRequests(database, HOME, { limit: 10 }).items.length, 2);
  });
});

test('a row that breaks the schema rolls the whole batch back', () => {
  withDatabase((database) => {
    const rows = [requestRow('req_1'), requestRow('req_2', { totalUs: Number.NaN })];
    assert.throws(() => appendRequests(database, TEST_KEYS, { rows, bodies: [] }), {
      code: 'ERR_SQLITE_ERROR',
    });
    assert.equal(listRequests(database, HOME, { limit: 10 }).items.length, 0);
  });
});

test('pages go from the newest back, each row once, also while rows are added', () => {
  withDatabase((database) => {
    const rows = Array.from({ length: 23 }, (_, i) =>
      requestRow(`req_${i}`, { startedAt: NOON + Math.floor(i / 3) }),
    );
    appendRequests(database, TEST_KEYS, { rows, bodies: [] });
    const expected = rows.map(({ id }) => id).reverse();
    assert.deepEqual(
      walk((page) => listRequests(database, HOME, page), 5).map(({ id }) => id),
      expected,
    );
    const first = listRequests(database, HOME, { limit: 5 });
    appendRequests(database, TEST_KEYS, {
      rows: [requestRow('req_new', { startedAt: NOON + 100 })],
      bodies: [],
    });
    const second = listRequests(database, HOME, { limit: 500, cursor: first.nextCursor ?? '' });
    assert.deepEqual(
      [...first.items, ...second.items].map(({ id }) => id),
      expected,
    );
  });
});

test('each filter keeps what it says', () => {
  withDatabase((database) => {
    const odd = requestRow('req_odd', {
      principal: 'local:7',
      groups: ['group:a', 'group:b'],
      provider: 'openai',
      model: 'gpt',
      agent: 'codex',
      sessionId: 's1',
      deviceId: 'd1',
      outcome: 'refused',
      reason: 'no_grant',
      startedAt: NOON + 10,
    });
    appendRequests(database, TEST_KEYS, {
      rows: [requestRow('req_1', { groups: ['group:c'] }), odd],
      bodies: [],
    });
    const filters: Omit<RequestFilter, 'tailnet'>[] = [
      { principals: ['local:7'] },
      { principals: ['local:7', 'local:8'] },
      { groups: ['group:x', 'group:b'] },
      { provider: 'openai' },
      { model: 'gpt' },
      { agent: 'codex' },
      { sessionId: 's1' },
      { deviceId: 'd1' },
      { outcome: 'refused' },
      { reason: 'no_grant' },
      { from: NOON + 10 },
      { from: NOON + 1, to: NOON + 11 },
    ];
    for (const filter of filters) {
      const ids = listRequests(database, { ...HOME, ...filter }, { limit: 10 }).items.map(({ id }) => id);
      assert.deepEqual(ids, ['req_odd'], JSON.stringify(filter));
    }
    assert.equal(listRequests(database, { ...HOME, principals: [] }, { limit: 10 }).items.length, 0);
    assert.deepEqual(
      listRequests(database, { ...HOME, to: NOON + 10 }, { limit: 10 }).items.map(({ id }) => id),
      ['req_1'],
    );
  });
});

test('values never become SQL', () => {
  withDatabase((database) => {
    appendRequests(database, TEST_KEYS, { rows: [requestRow('req_1')], bodies: [] });
    const evil = "' OR 1=1 --";
    assert.equal(listRequests(database, { ...HOME, model: evil }, { limit: 10 }).items.length, 0);
    assert.equal(
      listRequests(database, { ...HOME, principals: [evil, '"]'], groups: [evil] }, { limit: 10 }).items
        .length,
      0,
    );
  });
});

test('each filter has an index that begins with the tailnet', () => {
  withDatabase((database) => {
    for (const column of [
      'principal',
      'provider',
      'model',
      'agent',
      'session_id',
      'device_id',
      'outcome',
      'reason',
    ]) {
      const partly = column === 'outcome' ? "AND r.outcome <> 'ok'" : '';
      const plan = database
        .prepare(
          `EXPLAIN QUERY PLAN SELECT * FROM requests AS r WHERE r.tailnet = ? AND r.${column} = ? ${partly}`,
        )
        .all('a', 'b');
      assert.match(
        String(plan[0]?.['detail']),
        new RegExp(`USING INDEX requests_\\w+ \\(tailnet=\\? AND ${column}=\\?`),
        column,
      );
    }
  });
});

test('a session is one principal’s: the same label of another is another session', () => {
  withDatabase((database) => {
    const rows = [
      requestRow('req_1', { sessionId: 's', model: 'a', startedAt: NOON }),
      requestRow('req_2', { sessionId: 's', model: 'b', startedAt: NOON + 5, agent: 'codex' }),
      requestRow('req_3', { sessionId: 's', principal: 'local:7', userLabel: 'bob', startedAt: NOON + 3 }),
      requestRow('req_4', { startedAt: NOON + 9 }),
    ];
    appendRequests(database, TEST_KEYS, { rows, bodies: [] });
    const [alice, bob, ...rest] = listSessions(database, HOME, { limit: 10 }).items;
    assert.deepEqual(rest, []);
    assert.deepEqual(alice, {
      id: 's',
      tailnet: 'home',
      principal: 'local:1000',
      userLabel: 'alice',
      agent: 'codex',
      firstAt: NOON,
      lastAt: NOON + 5,
      endedAt: NOON + 5,
      requests: 2,
      refused: 0,
      failed: 0,
      models: ['a', 'b'],
      inputTokens: 20,
      cacheReadTokens: 8,
      outputTokens: 10,
      costNanoUsd: 2000,
      savedNanoUsd: 0,
    });
    assert.equal(bob?.principal, 'local:7');
    const filtered = listSessions(database, { ...HOME, model: 'a' }, { limit: 10 }).items;
    assert.deepEqual(
      filtered.map(({ requests, lastAt }) => [requests, lastAt]),
      [[1, NOON]],
    );
  });
});

test('pages of sessions hold each session once', () => {
  withDatabase((database) => {
    const rows = Array.from({ length: 60 }, (_, i) =>
      requestRow(`req_${i}`, { sessionId: `s${i % 7}`, startedAt: NOON + Math.floor(i / 2) }),
    );
    appendRequests(database, TEST_KEYS, { rows, bodies: [] });
    const ids = walk((page) => listSessions(database, HOME, page), 2).map(({ id }) => id);
    assert.equal(ids.length, 7);
    assert.equal(new Set(ids).size, 7);
    assert.equal(ids[0], 's3');
  });
});

test('a cursor that this list did not give is refused', () => {
  for (const cursor of [
    '',
    'x',
    '!!!!',
    Buffer.from('1.2.3').toString('base64url'),
    'A'.repeat(1000),
    Buffer.from('99999999999999999999.1').toString('base64url'),
  ]) {
    assert.throws(() => readCursor(cursor), { code: 'store_bad_cursor' }, cursor);
  }
});

test('a filter by outcome uses its index unless it asks for `ok`, which most are', () => {
  for (const outcome of ['ok', 'refused'] as const) {
    const { sql } = toCondition({ tailnet: 'home', outcome });
    assert.equal(sql.includes("r.outcome <> 'ok'"), outcome !== 'ok');
  }
  withDatabase((database) => {
    const rows = (['ok', 'refused', 'ok'] as const).map((outcome, i) => requestRow(`req_${i}`, { outcome }));
    appendRequests(database, TEST_KEYS, { rows, bodies: [] });
    const ids = (outcome: 'ok' | 'refused'): string[] =>
      listRequests(database, { tailnet: 'home', outcome }, { limit: 9 }).items.map(({ id }) => id);
    assert.deepEqual([ids('ok'), ids('refused')], [['req_2', 'req_0'], ['req_1']]);
  });
});
