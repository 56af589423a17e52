import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { CONSOLE_PATHS } from '../console/addresses.ts';
import { USAGE_ROWS_MAX } from '../../store/shapes.ts';
import { BREAK_GLASS, caller, requestRow, startTestApi, type TestApi, tokenCaller } from '../test-api.ts';

const alice = caller('local:1');
const lead = caller('local:2');
const auditor = caller('local:3');
const admin = caller('local:4');
/** Not built in these tests, and tested with the console. */
const CONSOLE_PAGES: ReadonlySet<string> = new Set(CONSOLE_PATHS);
const operator = { authorization: `Bearer ${BREAK_GLASS}` };

let t: TestApi;
beforeEach(async () => {
  t = await startTestApi();
  t.world.access.set('local:1', { roles: new Set(['user']) });
  t.world.access.set('local:2', { roles: new Set(['user', 'lead']), leads: ['group:red'] });
  t.world.access.set('local:3', { roles: new Set(['auditor']) });
  t.world.access.set('local:4', { roles: new Set(['admin']) });
  t.world.store.rows.push(
    requestRow('req_a', 'local:1', { groups: ['group:red'] }),
    requestRow('req_l', 'local:2'),
    requestRow('req_b', 'local:9', { groups: ['group:blue'] }),
    requestRow('req_x', 'local:1', { tailnet: 'elsewhere' }),
  );
});
afterEach(() => t.close());

async function ids(as: typeof alice, query = ''): Promise<unknown> {
  const answer = await t.send(as, 'GET', `/api/v1/requests${query}`);
  return answer.status === 200 ? answer.items.map((item) => item.id) : answer.json['code'];
}

describe('whose records a caller sees (DESIGN section 5, roles)', () => {
  test('users see their own, leads their groups when they ask, auditors and admins all of their tailnet', async () => {
    assert.deepEqual(await ids(alice), ['req_a']);
    assert.deepEqual(await ids(lead), ['req_l']);
    assert.deepEqual(await ids(lead, '?group=group:red'), ['req_a']);
    assert.deepEqual(await ids(auditor), ['req_a', 'req_l', 'req_b']);
    assert.deepEqual(await ids(admin, '?principal=local:9'), ['req_b']);
  });

  test('asking for others without the role is refused, not answered with nothing', async () => {
    for (const query of ['?principal=local:9', '?group=group:red', '?principal=local:9&group=group:red'])
      assert.equal(await ids(alice, query), 'not_yours', query);
    assert.equal(await ids(lead, '?group=group:blue'), 'not_yours');
    assert.equal(await ids(lead, '?principal=local:1'), 'not_yours');
  });

  test('the same rule holds for one record, sessions and usage; hidden and unknown are one 404', async () => {
    for (const [as, id, status] of [
      [alice, 'req_a', 200],
      [alice, 'req_b', 404],
      [alice, 'req_none', 404],
      [alice, 'req_x', 404],
      [lead, 'req_a', 200],
      [lead, 'req_b', 404],
      [auditor, 'req_b', 200],
      [admin, 'req_x', 404],
    ] as const) {
      assert.equal(
        (await t.send(as, 'GET', `/api/v1/requests/${id}`)).status,
        status,
        `${as.principal} ${id}`,
      );
    }
    await t.send(alice, 'GET', '/api/v1/sessions');
    await t.send(alice, 'GET', '/api/v1/usage');
    assert.deepEqual(
      t.world.store.filters.map((filter) => filter.principals),
      [['local:1'], ['local:1']],
    );
  });

  test('the key that was used is shown to auditors and admins only', async () => {
    assert.equal((await t.send(alice, 'GET', '/api/v1/requests/req_a')).json['key_id'], null);
    assert.equal((await t.send(auditor, 'GET', '/api/v1/requests/req_a')).json['key_id'], 'key_1');
  });

  test('an odd cursor, limit or time is 400', async () => {
    for (const query of [
      '?cursor=zzz',
      '?limit=0',
      '?limit=501',
      '?limit=x',
      '?from=yesterday',
      '?from=2026-13-45',
      '?to=2026-01-01T00:00',
      '?outcome=odd',
    ]) {
      assert.equal(await ids(alice, query), 'invalid_request', query);
    }
  });
});

describe('reading prompts (DESIGN section 5: role, reason and presence)', () => {
  beforeEach(() => {
    const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
    for (const id of ['req_a', 'req_b']) {
      t.world.store.bodies.set(id, {
        request: bytes('{"model":"m"}'),
        requestContentType: 'application/json',
        response: new Uint8Array([0xff, 1]),
        responseContentType: null,
        responseTruncated: false,
      });
    }
  });
  const body = '/api/v1/requests/req_b/body';

  test("one's own needs nothing more, and leaves no audit row", async () => {
    const answer = await t.send(alice, 'GET', '/api/v1/requests/req_a/body');
    assert.deepEqual(answer.json['request'], {
      content_type: 'application/json',
      bytes: 13,
      encoding: 'utf8',
      data: '{"model":"m"}',
      truncated: false,
    });
    assert.deepEqual(answer.json['response'], {
      content_type: null,
      bytes: 2,
      encoding: 'base64',
      data: '/wE=',
      truncated: false,
    });
    assert.deepEqual(t.world.store.audit, []);
  });

  test("another's is refused without role, reason or presence, also to leads and admins", async () => {
    const red = '/api/v1/requests/req_a/body?reason=because';
    assert.equal((await t.send(lead, 'GET', red)).json['code'], 'role_missing');
    assert.equal((await t.send(admin, 'GET', body)).json['code'], 'invalid_request');
    assert.equal((await t.send(admin, 'GET', `${body}?reason=incident`)).json['code'], 'presence_required');
    assert.equal((await t.send(auditor, 'GET', `${body}?reason=incident`)).json['code'], 'presence_required');
    t.world.access.set('local:4', { roles: new Set(['auditor']) });
    assert.equal(
      (await t.send(tokenCaller('local:4', ['read']), 'GET', `${body}?reason=incident`)).json['code'],
      'scope_missing',
    );
    assert.deepEqual(t.world.store.audit, []);
  });

  test('with all three it is shown, and recorded first: no record, no prompt', async () => {
    const answer = await t.send(null, 'GET', `${body}?reason=incident%2042`, { headers: operator });
    assert.equal(answer.status, 200);
    const row = t.world.store.audit.at(-1);
    assert.deepEqual(
      [row?.action, row?.target, row?.reason, row?.presence],
      ['prompt.read', 'req_b', 'incident 42', 'break-glass'],
    );
    t.world.storeDown = true;
    assert.equal(
      (await t.send(null, 'GET', `${body}?reason=incident`, { headers: operator })).json['code'],
      'unavailable',
    );
  });

  test('a part comes as bytes that no browser shows as a page', async () => {
    const answer = await t.send(alice, 'GET', '/api/v1/requests/req_a/body?part=request');
    assert.equal(answer.text, '{"model":"m"}');
    assert.equal(answer.headers['content-type'], 'application/octet-stream');
    assert.match(String(answer.headers['content-disposition']), /^attachment/);
  });

  test('a request without kept bodies is 404 and says why', async () => {
    t.world.store.bodies.clear();
    assert.match(
      String((await t.send(alice, 'GET', '/api/v1/requests/req_a/body')).json['detail']),
      /capture full/,
    );
  });
});

describe('usage', () => {
  const row = {
    requests: 1,
    refused: 0,
    failed: 0,
    estimated: 0,
    unpriced: 0,
    inputTokens: 1,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: 2,
    reasoningTokens: 0,
    costNanoUsd: 3,
    cacheHits: 0,
    savedNanoUsd: 0,
  };

  test('groups are named in the key; an interval is one more; the last 30 days are the default', async () => {
    t.world.store.usage.push({ key: ['a', '2026-09-01'], ...row });
    const answer = await t.send(alice, 'GET', '/api/v1/usage?group_by=agent&interval=day&tz=Europe/Berlin');
    assert.deepEqual(answer.items[0]?.['key'], { agent: 'a', day: '2026-09-01' });
    assert.equal(t.world.store.filters[0]?.from, t.world.now - 30 * 86_400_000);
  });

  test('more rows than an answer has are cut, and said: in JSON and in the header of a table', async () => {
    for (let i = 0; i <= USAGE_ROWS_MAX; i += 1) t.world.store.usage.push({ key: [`a${i}`], ...row });
    const cut = await t.send(alice, 'GET', '/api/v1/usage?group_by=agent');
    assert.deepEqual([cut.items.length, cut.json['truncated']], [USAGE_ROWS_MAX, true]);
    const table = await t.send(alice, 'GET', '/api/v1/usage?group_by=agent&format=csv');
    assert.equal(table.headers['x-postern-warning'], 'usage_cut');
    t.world.store.usage.pop();
    const whole = await t.send(alice, 'GET', '/api/v1/usage?group_by=agent');
    assert.deepEqual([whole.items.length, whole.json['truncated']], [USAGE_ROWS_MAX, false]);
    assert.equal(whole.headers['x-postern-warning'], undefined);
  });

  test('a comparison and the savings of more rows than are counted say so, and count the same rows', async () => {
    const read = { ...row, cacheReadTokens: 1, cacheHits: 1 };
    for (let i = 0; i <= USAGE_ROWS_MAX; i += 1) t.world.store.usage.push({ key: [`a${i}`, 'm'], ...read });
    const compared = await t.send(alice, 'GET', '/api/v1/usage/compare?group_by=agent&limit=1');
    assert.deepEqual([compared.json['rows'], compared.json['truncated']], [USAGE_ROWS_MAX, true]);
    const saved = await t.send(alice, 'GET', '/api/v1/usage/savings');
    assert.deepEqual(
      [Object(saved.json['response_cache']).hits, saved.json['truncated']],
      [USAGE_ROWS_MAX, true],
    );
    t.world.store.usage.pop();
    for (const path of ['compare?group_by=agent', 'savings'])
      assert.equal((await t.send(alice, 'GET', `/api/v1/usage/${path}`)).json['truncated'], false, path);
  });

  test('CSV by Accept; labels of strangers are no formulas', async () => {
    t.world.store.usage.push({ key: ['=cmd()', 'a "b", c'], ...row }, { key: [null, 'x'], ...row });
    const answer = await t.send(alice, 'GET', '/api/v1/usage?group_by=agent,session', {
      headers: { accept: 'text/csv' },
    });
    assert.equal(answer.headers['content-type'], 'text/csv; charset=utf-8');
    const lines = answer.text.split('\r\n');
    assert.match(lines[0] ?? '', /^agent,session,requests,/);
    assert.match(lines[1] ?? '', /^'=cmd\(\),"a ""b"", c",1,0,/);
    assert.match(lines[2] ?? '', /^,x,1,/);
  });

  test('a comparison lists the largest of what it is sorted by, and tells how many there are', async () => {
    t.world.store.usage.push(
      { key: ['dear'], ...row, costNanoUsd: 900, requests: 1 },
      { key: ['busy'], ...row, costNanoUsd: 100, requests: 50 },
      { key: ['idle'], ...row, costNanoUsd: 0, requests: 0 },
    );
    const named = async (query: string): Promise<unknown[]> => {
      const path = `/api/v1/usage/compare?group_by=agent&${query}`;
      const { items, json } = await t.send(alice, 'GET', path);
      assert.equal(json['rows'], 3);
      return items.map(({ key }) => Object(key).agent);
    };
    assert.deepEqual(await named('sort=cost&limit=2'), ['dear', 'busy']);
    assert.deepEqual(await named('sort=requests&limit=1'), ['busy']);
    assert.deepEqual(await named('sort=requests'), ['busy', 'dear', 'idle']);
    for (const query of ['sort=name', 'limit=0', 'limit=20001'])
      assert.equal((await t.send(alice, 'GET', `/api/v1/usage/compare?${query}`)).status, 400, query);
  });

  test('unknown groups and time zones are refused', async () => {
    for (const query of [
      'group_by=zork',
      'group_by=',
      'tz=Mars/Olympus',
      'group_by=user,group,model,provider,agent',
    ]) {
      assert.equal((await t.send(alice, 'GET', `/api/v1/usage?${query}`)).status, 400, query);
    }
  });
});

test('whatever is sent to whatever route, the API answers in its own words and never with a fault', async () => {
  const routes = t.api.routes.filter(
    (route) => route.path !== '/api/v1/events' && !CONSOLE_PAGES.has(route.path),
  );
  const segment = fc.oneof(
    fc.string({ maxLength: 30 }),
    fc.constantFrom('..', '%00', '__proto__', 'x'.repeat(400)),
  );
  const body = fc.oneof(
    fc.string(),
    fc.json(),
    fc.json({ maxDepth: 6 }),
    fc.constant('[]'),
    fc.constant('null'),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...routes),
      segment,
      fc.string({ maxLength: 40 }),
      body,
      async (route, part, query, raw) => {
        const path = `${route.path.replaceAll(/\{\w+(?:\{[^}]*\})?\}/g, encodeURIComponent(part.toWellFormed()))}?${encodeURI(query.toWellFormed())}`;
        const answer = await t.send(null, route.method.toUpperCase(), path, {
          headers: operator,
          ...(route.method === 'get' ? {} : { raw }),
        });
        assert.ok(
          // A path may lead to a page of the console, which is not built here and says so.
          answer.status < 500 || answer.text.startsWith('<!doctype html>'),
          `${route.method} ${path} ${raw}: ${answer.text} ${JSON.stringify(t.world.logs)}`,
        );
      },
    ),
    { numRuns: 300 },
  );
});
