import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { compileDraft, createSimulations } from '../../gateway/simulate/index.ts';
import { createPriceBook } from '../../llm/index.ts';
import { systemRandom } from '../../base/random.ts';
import type { SimulationsPort } from '../ports.ts';
import { BREAK_GLASS, caller, requestRow, startTestApi, type TestApi } from '../test-api.ts';

const ADMIN = caller('local:1');
const AUDITOR = caller('local:2');
const USER = caller('local:3');
const NOW = 1_790_000_000_000;

const DOCUMENT = {
  providers: {
    openai: { baseurl: 'https://api.openai.com', models: ['gpt-*'], cost_basis: 'openai' },
  },
  grants: [{ src: ['(loopback)'], app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**' }] } }],
};
const DRAFT = JSON.stringify({ ...DOCUMENT, deny: [{ src: ['user-3'], models: ['openai/*'] }] });

let t: TestApi;
beforeEach(async () => {
  t = await startTestApi({ simulations });
  t.world.access.set(ADMIN.principal, { roles: new Set(['admin']) });
  t.world.access.set(AUDITOR.principal, { roles: new Set(['auditor']) });
  t.world.access.set(USER.principal, { roles: new Set(['user']) });
});
afterEach(() => t.close());

const rows = ['local:3', 'local:4'].map((principal) =>
  requestRow(`req_${principal}`, principal, {
    userLabel: principal.replace('local:', 'user-'),
    requestedModel: 'openai/gpt-5',
    provider: 'openai',
    model: 'gpt-5',
    startedAt: NOW - 3_600_000,
  }),
);

function compile(text: string) {
  return compileDraft(text, {
    tailnet: 'home',
    source: 'api',
    found: [],
    storedGrants: [],
    adminsElsewhere: true,
  });
}

const simulated = createSimulations({
  tailnet: 'home',
  store: {
    listRequests: ({ from = 0, to = 0 }) =>
      Promise.resolve({
        items: rows.filter(({ startedAt }) => startedAt >= from && startedAt < to),
        nextCursor: null,
      }),
  },
  policy: { current: () => compile(JSON.stringify(DOCUMENT)).snapshot },
  compile: (text) => Promise.resolve(compile(text)),
  prices: createPriceBook(),
  abilities: { canGovern: () => true, canTranslate: () => false },
  tokenOf: () => null,
  clock: { now: () => NOW, monotonicMs: () => performance.now() },
  random: systemRandom,
});
const simulations: SimulationsPort = Object.assign(simulated, {
  compile: (text: string) => Promise.resolve(compile(text)),
});

test('POST /api/v1/simulate tells what a draft would have changed, to auditors and admins', async () => {
  for (const who of [ADMIN, AUDITOR]) {
    const answer = await t.send(who, 'POST', '/api/v1/simulate', { body: { draft: DRAFT } });
    assert.equal(answer.status, 200, answer.text);
    const { state, report } = answer.json;
    const told = Object(report);
    assert.deepEqual([state, told.rows, told.changed_requests], ['done', 2, 1]);
    assert.equal(told.to, new Date(NOW).toISOString());
    assert.equal(told.from, new Date(NOW - 7 * 86_400_000).toISOString());
    assert.deepEqual([told.before.allowed, told.after.denied], [2, 1]);
    assert.equal(told.requests[0].started_at, new Date(NOW - 3_600_000).toISOString());
    assert.deepEqual(told.requests[0].changes, ['newly_denied']);
    assert.equal(told.requests[0].after.rule, 'deny[0]');
    assert.equal(told.newly_refused[0].user, 'user-3');
    assert.equal(told.before.tool_calls.denied, 0);
    assert.ok(told.limits.length > 0);
  }
  const operator = { headers: { authorization: `Bearer ${BREAK_GLASS}` }, body: { draft: DRAFT } };
  assert.equal((await t.send(null, 'POST', '/api/v1/simulate', operator)).status, 200);
});

test('users without the role are refused, and a simulation is seen by who began it', async () => {
  const refused = await t.send(USER, 'POST', '/api/v1/simulate', { body: { draft: DRAFT } });
  assert.deepEqual([refused.status, refused.json['code']], [403, 'role_missing']);
  const { json } = await t.send(ADMIN, 'POST', '/api/v1/simulate', { body: { draft: DRAFT } });
  const path = `/api/v1/simulate/${String(json['id'])}`;
  assert.equal((await t.send(AUDITOR, 'GET', path)).status, 404);
  assert.equal((await t.send(AUDITOR, 'DELETE', path)).status, 404);
  assert.equal((await t.send(ADMIN, 'GET', path)).json['state'], 'done');
  assert.equal((await t.send(ADMIN, 'DELETE', path)).status, 204);
  assert.equal((await t.send(ADMIN, 'GET', path)).status, 404);
});

test('a draft with errors is refused with its problems, and a time that is none', async () => {
  const bad = await t.send(ADMIN, 'POST', '/api/v1/simulate', { body: { draft: '{"grants": 1' } });
  assert.deepEqual([bad.status, bad.json['code']], [422, 'document_refused']);
  assert.equal(Object(bad.json['problems'])[0].code, 'bad_syntax');
  for (const body of [
    { draft: DRAFT, since: '2027-01-01', until: '2026-01-01' },
    { draft: DRAFT, since: '2020-01-01' },
    { draft: DRAFT, requests: 1_001 },
    { draft: DRAFT, wait_ms: 60_000 },
    { draft: DRAFT, other: 1 },
  ]) {
    const answer = await t.send(ADMIN, 'POST', '/api/v1/simulate', { body });
    assert.deepEqual([answer.status, answer.json['code']], [400, 'invalid_request'], JSON.stringify(body));
  }
});

test('without the part that simulates it is 503', async () => {
  const bare = await startTestApi({ simulations: undefined });
  try {
    bare.world.access.set(ADMIN.principal, { roles: new Set(['admin']) });
    const answer = await bare.send(ADMIN, 'POST', '/api/v1/simulate', { body: { draft: DRAFT } });
    assert.deepEqual([answer.status, answer.json['code']], [503, 'unavailable']);
  } finally {
    await bare.close();
  }
});
