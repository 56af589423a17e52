/** Questions about the policy of a tailnet over the API (issue 6): what is told, and what is refused. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AppError } from '../../base/errors.ts';
import { caller, startTestApi, type TestApi } from '../test-api.ts';
import type { TailnetReachPort } from '../tailnet-reach-port.ts';

const problem = {
  severity: 'error',
  path: 'grants[0]',
  line: 2,
  column: 3,
  code: 'bad_value',
  message: 'nobody',
  fix: '',
} as const;
const asked: unknown[] = [];

const port: TailnetReachPort = {
  defaultPolicy: () => '{}',
  check: (_, policy) => ({
    problems: policy === 'bad' ? [problem] : [],
    failures: policy === 'failing' ? [{ path: 'tests[0]', line: 4, message: 'refused' }] : [],
  }),
  explain(tailnet, question) {
    asked.push(question);
    if (tailnet !== 'home') throw new AppError('coordination_unknown', 'there is no such tailnet');
    return { allowed: true, text: 'it may', fault: null, pairs: [] };
  },
  map: () => ({
    groups: [{ id: 'g1', kind: 'people', names: ['a@example.com'], devices: ['laptop'], online: 1 }],
    links: [{ from: 'g1', to: 'g1', traffic: ['*'], behind: [], isPartial: true }],
    isComplete: true,
  }),
};

const auditor = caller('local:2');
const admin = caller('local:4');

let t: TestApi;
let without: TestApi;
before(async () => {
  [t, without] = await Promise.all([startTestApi({ tailnetReach: port }), startTestApi()]);
  for (const { world } of [t, without]) {
    world.access.set('local:2', { roles: new Set(['auditor']) });
    world.access.set('local:4', { roles: new Set(['admin']) });
  }
});
after(() => Promise.all([t.close(), without.close()]));

const BASE = '/api/v1/tailnets/home';
const question = { source: 'laptop', destination: 'tag:server', port: 443 };

test('a draft is valid without errors and failing tests only; both come with their lines', async () => {
  const check = async (policy: string): Promise<Record<string, unknown>> =>
    Object((await t.send(admin, 'POST', `${BASE}/policy/check`, { body: { policy } })).json);
  assert.deepEqual(await check('good'), { valid: true, problems: [], failures: [] });
  assert.deepEqual(await check('bad'), { valid: false, problems: [problem], failures: [] });
  const failing = await check('failing');
  assert.deepEqual(
    [failing['valid'], failing['failures']],
    [false, [{ path: 'tests[0]', line: 4, message: 'refused' }]],
  );
});

test('a question goes to the policy in force, or to the draft that comes along', async () => {
  const { status, json } = await t.send(admin, 'POST', `${BASE}/policy/explain`, { body: question });
  assert.deepEqual([status, json], [200, { allowed: true, text: 'it may', fault: null, pairs: [] }]);
  await t.send(admin, 'POST', `${BASE}/policy/explain`, { body: { ...question, policy: null } });
  assert.deepEqual(asked, [question, { ...question, policy: null }]);
});

for (const [what, body] of [
  ['port 0', { ...question, port: 0 }],
  ['no source', { ...question, source: '' }],
  ['an end of 301 characters', { ...question, destination: 'x'.repeat(301) }],
  ['an unknown member', { ...question, sources: [] }],
] as const)
  test(`a question that is none is refused: ${what}`, async () => {
    const { status } = await t.send(admin, 'POST', `${BASE}/policy/explain`, { body });
    assert.equal(status, 400);
  });

test('an unknown tailnet is 404', async () => {
  const { status } = await t.send(admin, 'POST', '/api/v1/tailnets/other/policy/explain', { body: question });
  assert.equal(status, 404);
});

test('an auditor sees the map and the default policy, and checks nothing', async () => {
  const map = await t.send(auditor, 'GET', `${BASE}/reach`);
  assert.deepEqual(Object(map.json), {
    groups: [{ id: 'g1', kind: 'people', names: ['a@example.com'], devices: ['laptop'], online: 1 }],
    links: [{ from: 'g1', to: 'g1', traffic: ['*'], behind: [], partial: true }],
    complete: true,
  });
  const standard = await t.send(auditor, 'GET', '/api/v1/tailnets/policy/default');
  assert.deepEqual(standard.json, { policy: '{}' });
  const refused = await t.send(auditor, 'POST', `${BASE}/policy/check`, { body: { policy: null } });
  assert.equal(refused.status, 403);
});

test('a Postern that coordinates nothing refuses', async () => {
  const { status, json } = await without.send(admin, 'GET', `${BASE}/reach`);
  assert.deepEqual([status, Object(json).code], [409, 'conflict']);
});
