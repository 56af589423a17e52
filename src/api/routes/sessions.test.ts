import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { SessionRow } from '../../store/shapes.ts';
import { BREAK_GLASS, caller, requestRow, startTestApi, type TestApi, tokenCaller } from '../test-api.ts';

const alice = caller('local:1');
const lead = caller('local:2');
const auditor = caller('local:3');
const operator = { authorization: `Bearer ${BREAK_GLASS}` };
const PATHS = ['turns', 'items/req_a:m0.0', 'search?q=x', 'export'] as const;

let t: TestApi;
beforeEach(async () => {
  t = await startTestApi();
  t.world.access.set('local:1', { roles: new Set(['user']) });
  t.world.access.set('local:2', { roles: new Set(['user', 'lead']), leads: ['group:red'] });
  t.world.access.set('local:3', { roles: new Set(['auditor']) });
  t.world.store.rows.push(
    requestRow('req_a', 'local:9', { groups: ['group:red'], sessionId: 's' }),
    requestRow('req_b', 'local:1', { sessionId: 'own' }),
  );
  const list = t.world.store.port;
  Object.assign(list, {
    listSessions: async (filter: Parameters<typeof list.listSessions>[0]) => {
      const { items } = await list.listRequests(filter, { limit: 10 });
      const row = items.find(({ sessionId }) => sessionId === filter.sessionId);
      return {
        items: row === undefined ? [] : [sessionOf(row.sessionId ?? '', row.principal)],
        nextCursor: null,
      };
    },
  });
});
afterEach(() => t.close());

function sessionOf(id: string, principal: string): SessionRow {
  return {
    id,
    tailnet: 'home',
    principal,
    userLabel: principal,
    agent: null,
    firstAt: 0,
    lastAt: 0,
    endedAt: 0,
    requests: 1,
    refused: 0,
    failed: 0,
    models: [],
    inputTokens: 0,
    cacheReadTokens: 0,
    outputTokens: 0,
    costNanoUsd: 0,
    savedNanoUsd: 0,
  };
}

const withQuery = (path: string, query: string): string => `${path}${path.includes('?') ? '&' : '?'}${query}`;

describe('whose sessions are read, and how (DESIGN section 5)', () => {
  test("users read their own; another's is the 404 of one that is not there", async () => {
    assert.equal((await t.send(alice, 'GET', '/api/v1/sessions/own/turns')).status, 200);
    for (const path of ['', ...PATHS.map((part) => `/${part}`)])
      assert.equal((await t.send(alice, 'GET', `/api/v1/sessions/s${path}`)).status, 404, path);
    assert.equal(t.world.store.audit.length, 0);
  });

  test("a lead sees the metadata of a group's session and none of its words", async () => {
    const turns = await t.send(lead, 'GET', '/api/v1/sessions/s/turns');
    assert.deepEqual(
      turns.items.map(({ content, messages, answer }) => [content, messages, answer]),
      [['hidden', [], null]],
    );
    for (const path of PATHS.slice(1)) {
      const answer = await t.send(lead, 'GET', withQuery(`/api/v1/sessions/s/${path}`, 'reason=because'));
      assert.equal(answer.json['code'], 'role_missing', path);
    }
    assert.equal((await t.send(lead, 'GET', '/api/v1/sessions/s')).json['content'], 'not_yours');
  });

  test('an auditor says why and shows presence, and each look is in the log before it is shown', async () => {
    for (const path of PATHS) {
      const url = `/api/v1/sessions/s/${path}`;
      assert.equal((await t.send(auditor, 'GET', url)).json['code'], 'invalid_request', path);
      const asked = await t.send(auditor, 'GET', withQuery(url, 'reason=because'));
      assert.equal(asked.json['code'], 'presence_required', path);
      const token = tokenCaller('local:3', ['read']);
      assert.equal(
        (await t.send(token, 'GET', withQuery(url, 'reason=because'))).json['code'],
        'scope_missing',
        path,
      );
    }
    assert.equal(t.world.store.audit.length, 0);
    const read = await t.send(null, 'GET', '/api/v1/sessions/s/turns?reason=incident', { headers: operator });
    assert.equal(read.status, 200);
    assert.deepEqual(
      t.world.store.audit.map(({ action, target, reason, facts }) => [action, target, reason, facts['what']]),
      [['prompt.read', 's', 'incident', 'turns']],
    );
    t.world.storeDown = true;
    const unlogged = await t.send(null, 'GET', '/api/v1/sessions/s/turns?reason=incident', {
      headers: operator,
    });
    assert.equal(unlogged.status, 503, 'nothing is shown unrecorded');
  });

  test('metadata alone needs no reason', async () => {
    const turns = await t.send(auditor, 'GET', '/api/v1/sessions/s/turns?content=false');
    assert.deepEqual(
      [turns.status, turns.items[0]?.['content'], t.world.store.audit.length],
      [200, 'hidden', 0],
    );
  });

  test('odd cursors, limits and words are 400', async () => {
    for (const path of [
      'turns?cursor=x',
      'turns?limit=0',
      'turns?limit=201',
      'search',
      'search?q=',
      'export?format=pdf',
    ])
      assert.equal((await t.send(alice, 'GET', `/api/v1/sessions/own/${path}`)).status, 400, path);
  });
});

describe('what is for auditors and admins (DESIGN section 5)', () => {
  const READS = [
    '/api/v1/providers',
    '/api/v1/hooks',
    '/api/v1/hooks/dead-letters',
    '/api/v1/notices/dead-letters',
    '/api/v1/settings',
    '/api/v1/doctor',
    '/api/v1/retention',
    '/api/v1/config/schema',
    '/api/v1/audit/actions',
    '/api/v1/audit/export',
  ];
  test('users are refused, and about tells them no numbers of others', async () => {
    for (const path of READS)
      assert.equal((await t.send(alice, 'GET', path)).json['code'], 'role_missing', path);
    const about = (await t.send(alice, 'GET', '/api/v1/about')).json;
    assert.deepEqual([about['store'], about['recorder']], [null, null]);
    assert.notEqual((await t.send(auditor, 'GET', '/api/v1/about')).json['store'], null);
  });

  test('an auditor edits no draft and tests no provider', async () => {
    for (const path of ['/api/v1/config/edit', '/api/v1/config/diff', '/api/v1/providers/openai/test'])
      assert.equal((await t.send(auditor, 'POST', path, { body: {} })).json['code'], 'role_missing', path);
  });

  test('the playground needs a role, a caller and the scope to use', async () => {
    const path = '/api/v1/playground/v1/messages';
    assert.equal((await t.send(caller('local:77'), 'POST', path, { body: {} })).json['code'], 'role_missing');
    assert.equal(
      (await t.send(tokenCaller('local:1', ['read']), 'POST', path, { body: {} })).json['code'],
      'scope_missing',
    );
    assert.equal((await t.send(alice, 'POST', path, { body: {} })).status, 404, 'where there is none');
  });
});

test('a dead letter is delivered again with presence, once, and it is in the log', async () => {
  const letter = {
    id: 'let_1',
    canRetry: true,
    hook: 'dlp',
    event: 'entire_request',
    requestId: 'req_1',
    loginName: 'alice',
    queuedAt: 0,
    at: 0,
    attempts: 5,
    fault: 'hook_timeout',
    message: 'no answer',
  } as const;
  const deadLetters = [letter, { ...letter, id: 'let_2', canRetry: false }, { ...letter, id: 'let_3' }];
  const retried: string[] = [];
  const hooked = await startTestApi({
    hooks: {
      entries: () => [],
      stats: () => ({ hooks: [], deadLetters, deadLetterCount: 3, queued: 0, queuedBytes: 0 }),
      retry(id) {
        retried.push(id);
        return id === 'let_3' ? 'hook_gone' : null;
      },
    },
  });
  try {
    hooked.world.access.set('local:4', { roles: new Set(['admin']) });
    const retry = (id: string, headers = operator) =>
      hooked.send(null, 'POST', `/api/v1/hooks/dead-letters/${id}/retry`, { body: {}, headers });
    const admin = await hooked.send(caller('local:4'), 'POST', '/api/v1/hooks/dead-letters/let_1/retry', {
      body: {},
    });
    assert.equal(admin.json['code'], 'presence_required');
    assert.equal((await retry('let_1')).status, 202);
    assert.equal((await retry('let_2')).json['code'], 'conflict');
    assert.equal((await retry('let_3')).json['code'], 'conflict');
    assert.equal((await retry('let_9')).status, 404);
    assert.deepEqual(retried, ['let_1', 'let_3']);
    assert.deepEqual(
      hooked.world.store.audit.map(({ action }) => action),
      ['hook.retry', 'hook.retry', 'hook.retry.failed'],
    );
    const list = await hooked.send(null, 'GET', '/api/v1/hooks/dead-letters', { headers: operator });
    assert.deepEqual(
      list.items.map(({ id, retryable }) => [id, retryable]),
      [
        ['let_1', true],
        ['let_2', false],
        ['let_3', true],
      ],
    );
  } finally {
    await hooked.close();
  }
});

test('notices that were given up are told newest first, to whoever sees everything; none where none are sent', async () => {
  const letter = {
    event: 'approval.requested',
    target: 'slack https://chat.example',
    attempts: 5,
    error: 'no answer',
  };
  const letters = [
    { id: 'ntf_1', at: 0, ...letter },
    { id: 'ntf_2', at: 1_000, ...letter },
  ];
  const sent = await startTestApi({ notices: { deadLetters: () => letters } });
  try {
    const { items } = await sent.send(null, 'GET', '/api/v1/notices/dead-letters', { headers: operator });
    assert.deepEqual(
      items.map(({ id }) => id),
      ['ntf_2', 'ntf_1'],
    );
    assert.deepEqual(items[1], {
      id: 'ntf_1',
      at: '1970-01-01T00:00:00.000Z',
      event: 'approval.requested',
      target: 'slack https://chat.example',
      attempts: 5,
      message: 'no answer',
    });
    const none = await t.send(auditor, 'GET', '/api/v1/notices/dead-letters');
    assert.deepEqual([none.status, none.items], [200, []]);
  } finally {
    await sent.close();
  }
});
