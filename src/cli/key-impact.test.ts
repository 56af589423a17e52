import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problem, runInProcess, startFakeServer } from './fake-server.ts';

const IMPACT = {
  key: { id: 'key_1', provider: 'openai', hint: '…abcd', state: 'active' },
  from: '2026-11-01T00:00:00.000Z',
  to: '2026-11-23T00:00:00.000Z',
  requests: 1_200,
  cost_nano_usd: 2_500_000_000,
  callers: [
    {
      user_label: 'user-a',
      devices: ['l1', 'l2', 'l3', 'l4'],
      agents: ['codex'],
      models: [],
      last_at: '2026-11-20T00:00:00.000Z',
      requests: 1_200,
      cost_nano_usd: 2_500_000_000,
    },
  ],
  callers_more: 0,
  open: { exchanges: 2, principals: ['user:a'] },
  providers_without_key: ['openai'],
  used_instead: [],
  complete: false,
};

test('postern keys show says who uses a key and what its revocation would touch', async () => {
  const server = await startFakeServer({ 'GET /api/v1/keys/key_1/impact': { body: IMPACT } });
  try {
    const run = await runInProcess(['keys', 'show', 'key_1', '--days', '7', '--url', server.url]);
    assert.equal(run.exitCode, 0);
    assert.equal(server.requests[0]?.path, '/api/v1/keys/key_1/impact?days=7');
    assert.match(run.stdout, /^key_1 \(…abcd\) for openai, active\n/);
    assert.match(run.stdout, /user-a +l1, l2, l3 \+1 +codex +- /);
    assert.match(run.stdout, /1,200 +\$2\.50\n/);
    assert.match(run.stdout, /the sums are too small/);
    assert.match(run.stdout, /revoking it cuts 2 requests under way\nand leaves without a key: openai\n/);
    const json = await runInProcess(['keys', 'show', 'key_1', '--json', '--url', server.url]);
    assert.deepEqual(JSON.parse(json.stdout), IMPACT);
  } finally {
    await server.close();
  }
});

test('postern keys show of another release, or refused, does not break', async () => {
  const server = await startFakeServer({
    'GET /api/v1/keys/odd/impact': { body: { callers: [7, null], open: null } },
    'GET /api/v1/keys/no/impact': problem(403, 'role_missing', 'you need the role auditor'),
  });
  try {
    const odd = await runInProcess(['keys', 'show', 'odd', '--url', server.url]);
    assert.equal(odd.exitCode, 0);
    assert.match(odd.stdout, /what is under way with it is not known/);
    assert.equal((await runInProcess(['keys', 'show', 'no', '--url', server.url])).exitCode, 4);
  } finally {
    await server.close();
  }
});
