import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toRfc3339 } from '../base/clock.ts';
import { type Answers, type CliRun, NOW, runInProcess, startFakeServer } from './fake-server.ts';

const DENIAL = {
  id: 'deny_1',
  issuer: 'https://login.example',
  jti: null,
  subject: 'alice',
  issued_before: '2026-11-23T12:00:00Z',
  token_id: null,
  created_at: '2026-11-23T12:00:00Z',
  created_by: 'local:1',
};

async function run(answers: Answers, ...words: string[]): Promise<CliRun & { bodies: string[] }> {
  const server = await startFakeServer(answers);
  try {
    const done = await runInProcess([...words, '--url', server.url]);
    return { ...done, bodies: server.requests.map(({ body }) => body) };
  } finally {
    await server.close();
  }
}

test('tokens deny sends one thing to deny', async () => {
  const answers = { 'POST /api/v1/jwt-denials': { status: 201, body: DENIAL } };
  const issuer = ['--issuer', 'https://login.example'];
  for (const [words, body] of [
    [['jwt_0f'], { token_id: 'jwt_0f' }],
    [[...issuer, '--jti', 'j1'], { issuer: issuer[1], jti: 'j1' }],
    [[...issuer, '--subject', 'alice'], { issuer: issuer[1], subject: 'alice' }],
    [
      [...issuer, '--subject', 'alice', '--issued-before', '1h'],
      { issuer: issuer[1], subject: 'alice', issued_before: toRfc3339(NOW - 3_600_000) },
    ],
  ] as const) {
    const done = await run(answers, 'tokens', 'deny', ...words);
    assert.equal(done.exitCode, 0, done.stderr);
    assert.deepEqual(JSON.parse(done.bodies[0] ?? ''), body);
    assert.match(done.stdout, /deny_1 is on the deny-list/);
  }
});

test('tokens deny refuses nothing, two things, or half of one (exit code 2)', async () => {
  for (const words of [
    [],
    ['jwt_0f', '--jti', 'j'],
    ['jwt_0f', '--issuer', 'i'],
    ['--issuer', 'i'],
    ['--jti', 'j'],
    ['--issuer', 'i', '--jti', 'j', '--subject', 's'],
    ['--issuer', 'i', '--jti', 'j', '--issued-before', '1h'],
    ['--issuer', 'i', '--subject', 's', '--issued-before', 'yesterday'],
  ])
    assert.equal((await run({}, 'tokens', 'deny', ...words)).exitCode, 2, words.join(' '));
});

test('tokens denied lists, tokens allow takes back', async () => {
  const listed = await run(
    { 'GET /api/v1/jwt-denials': { body: { items: [DENIAL], next_cursor: null } } },
    'tokens',
    'denied',
  );
  assert.match(listed.stdout, /deny_1 .*https:\/\/login\.example .*alice/);
  const empty = await run({ 'GET /api/v1/jwt-denials': { body: { items: [] } } }, 'tokens', 'denied');
  assert.match(empty.stdout + empty.stderr, /no JWT is denied/);
  const allowed = await run(
    { 'DELETE /api/v1/jwt-denials/deny_1': { status: 204 } },
    'tokens',
    'allow',
    'deny_1',
  );
  assert.equal(allowed.exitCode, 0, allowed.stderr);
  assert.match(allowed.stdout, /deny_1 is removed/);
  assert.equal((await run({}, 'tokens', 'allow', 'deny_2')).exitCode, 1);
});
