import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Answers,
  type CliRun,
  type FakeServer,
  problem,
  runInProcess,
  startFakeServer,
} from './fake-server.ts';

async function runAgainst(
  answers: Answers,
  words: readonly string[],
): Promise<CliRun & { readonly server: FakeServer }> {
  const server = await startFakeServer(answers);
  try {
    return { ...(await runInProcess([...words, '--url', server.url])), server };
  } finally {
    await server.close();
  }
}

const BUDGET = {
  bucket: 'daily:alice@example.com',
  quota: 'daily:<user>',
  unit: 'usd',
  capacity: 10e9,
  remaining: 1.5e9,
  reserved: 0,
  rate: { amount: 5e9, period_sec: 86_400 },
  window_end: null,
  warned: [0.5, 0.8],
  updated_at: '2026-11-23T10:00:00.000Z',
};

test('budgets lists what is left, what refills it and the highest threshold that is crossed', async () => {
  const answer = { body: { items: [BUDGET], next_cursor: null } };
  const run = await runAgainst({ 'GET /api/v1/budgets': answer }, ['budgets', '--group', 'group:red']);
  assert.equal(run.exitCode, 0, run.stderr);
  assert.match(run.stdout, /daily:alice@example\.com\s+\$1\.50\s+\$10\.00\s+usd\s+\$5\.00\/day.*80 %/);
  assert.match(run.server.requests[0]?.path ?? '', /group=group%3Ared/);
  const none = await runAgainst({ 'GET /api/v1/budgets': { body: { items: [], next_cursor: null } } }, [
    'budgets',
  ]);
  assert.match(none.stdout + none.stderr, /no budgets/);
});

test('budgets ask sends the question, with its reason, and tells where it waits', async () => {
  const run = await runAgainst(
    { 'POST /api/v1/approvals': { status: 202, body: { id: 'apr_1', state: 'pending' } } },
    ['budgets', 'ask', BUDGET.bucket, '$5.00', '--reason', 'a release'],
  );
  assert.equal(run.exitCode, 0, run.stderr);
  assert.match(run.stdout, /apr_1 is pending/);
  assert.deepEqual(JSON.parse(run.server.requests[0]?.body ?? ''), {
    kind: 'budget',
    bucket: BUDGET.bucket,
    amount: '$5.00',
    reason: 'a release',
  });
  assert.equal((await runInProcess(['budgets', 'ask', 'b', '1'])).exitCode, 2, 'no reason');
});

test('budgets refill needs presence, and says what is left', async () => {
  const words = ['budgets', 'refill', BUDGET.bucket, '$5.00', '--reason', 'a release'];
  const run = await runAgainst({ 'POST /api/v1/budgets/refill': { body: { items: [BUDGET] } } }, words);
  assert.match(run.stdout, /has \$1\.50 left/);
  assert.deepEqual(JSON.parse(run.server.requests[0]?.body ?? ''), {
    bucket: BUDGET.bucket,
    amount: '$5.00',
    reason: 'a release',
  });
  const refused = await runAgainst(
    { 'POST /api/v1/budgets/refill': problem(403, 'presence_required', 'show presence') },
    words,
  );
  assert.equal(refused.exitCode, 5);
});
