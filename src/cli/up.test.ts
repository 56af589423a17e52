/** `postern up` and `down`: what is asked of the server, and what is waited for. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  type Answers,
  type CliRun,
  type FakeServer,
  problem,
  runInProcess,
  startFakeServer,
} from './fake-server.ts';

const NETWORK = {
  state: 'running',
  login_server: 'https://headscale.example.net',
  login_url: null,
  problem: null,
  dns_name: 'ai.tail1.example.net',
  addresses: ['100.64.0.5', 'fd7a::5'],
  urls: ['http://ai.tail1.example.net', 'http://ai', 'http://100.64.0.5'],
  user: null,
  tags: ['tag:gateway'],
  key_expires_at: null,
  health: [],
  home_relay: 3,
  peers: [
    {
      name: 'laptop\u001b[31m',
      user: 'alice@example.com',
      tags: [],
      addresses: ['100.64.0.7'],
      path: 'relay',
      endpoint: null,
      last_handshake_at: null,
    },
  ],
};
const OTHER_STATE = { ...NETWORK, state: 'starting', dns_name: '', addresses: [], urls: [], peers: [] };

async function runAgainst(
  t: TestContext,
  answers: Answers,
  words: readonly string[],
): Promise<CliRun & { readonly server: FakeServer }> {
  const server = await startFakeServer(answers);
  t.after(() => server.close());
  return { ...(await runInProcess([...words, '--url', server.url])), server };
}

/** Answers in turn, the last one for ever. */
function inTurn(...bodies: readonly unknown[]): Answers {
  let asked = 0;
  return {
    'POST /api/v1/network/up': { body: bodies[0] },
    'GET /api/v1/network': () => {
      const body = bodies[Math.min(asked, bodies.length - 1)];
      asked += 1;
      return { body };
    },
  };
}

function sentBody({ requests }: FakeServer): unknown {
  return JSON.parse(requests[0]?.body ?? '');
}

test('up asks for what was written, with the key from its file, and says where the gateway is', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-up-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'key');
  await writeFile(file, 'hskey-auth-123\n');
  const run = await runAgainst(t, inTurn(NETWORK), [
    'up',
    '--login-server',
    'https://headscale.example.net',
    '--auth-key',
    `file:${file}`,
    '--hostname',
    'ai',
    '--advertise-tags',
    'tag:gateway, tag:ai',
  ]);
  assert.equal(run.exitCode, 0, run.stderr);
  assert.deepEqual(sentBody(run.server), {
    login_server: 'https://headscale.example.net',
    auth_key: 'hskey-auth-123',
    hostname: 'ai',
    tags: ['tag:gateway', 'tag:ai'],
  });
  assert.match(
    run.stdout,
    /the gateway is ai\.tail1\.example\.net \(100\.64\.0\.5\)\n {2}http:\/\/ai\.tail1/,
  );
  assert.doesNotMatch(run.stdout + run.stderr, /hskey/);
  const bare = await runAgainst(t, inTurn(NETWORK), ['up', '--json']);
  assert.deepEqual(sentBody(bare.server), {});
  assert.deepEqual(JSON.parse(bare.stdout), NETWORK);
});

test('up prints the page to visit, once, and waits until the gateway is let in', async (t) => {
  const waiting = {
    ...OTHER_STATE,
    state: 'needs_login',
    login_url: 'https://headscale.example.net/register/abc\u001b[2J',
  };
  const run = await runAgainst(t, inTurn(waiting, waiting, NETWORK), ['up']);
  assert.equal(run.exitCode, 0, run.stderr);
  assert.equal(run.stderr.match(/register\/abc/g)?.length, 1);
  assert.ok(!run.stderr.includes('\u001b[2J'), 'nothing drives the terminal');
});

test('up ends with 1 where it fails for good or the time is over, with 4 and 5 where it is refused', async (t) => {
  const failed = { ...OTHER_STATE, state: 'failed', problem: 'the auth key is not valid' };
  const refused = await runAgainst(t, inTurn(failed), ['up']);
  assert.equal(refused.exitCode, 1);
  assert.match(refused.stderr, /the auth key is not valid/);
  const left = await runAgainst(t, inTurn({ ...OTHER_STATE, state: 'off' }), ['up']);
  assert.match(left.stderr, /it was left meanwhile/);
  const late = await runAgainst(t, inTurn({ ...OTHER_STATE, problem: 'no answer' }), [
    'up',
    '--timeout',
    '0.1',
  ]);
  assert.equal(late.exitCode, 1);
  assert.match(late.stderr, /does not run yet: no answer/);
  for (const [code, exit] of [
    ['operator_only', 4],
    ['presence_required', 5],
  ] as const) {
    const answers = { 'POST /api/v1/network/up': problem(403, code, 'no') };
    assert.equal((await runAgainst(t, answers, ['up'])).exitCode, exit);
  }
});

test('a key file that is missing or empty and a timeout that is none are usage errors', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-up-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const empty = join(folder, 'empty');
  await writeFile(empty, '\n');
  for (const words of [
    ['--auth-key', 'file:/nonexistent/key'],
    ['--auth-key', `file:${empty}`],
    ['--timeout', 'soon'],
    ['--timeout', '0'],
  ]) {
    const run = await runAgainst(t, inTurn(NETWORK), ['up', ...words]);
    assert.equal(run.exitCode, 2, words.join(' '));
    assert.equal(run.server.requests.length, 0);
  }
});

test('up --status shows each peer and how it is reached, and no control characters of theirs', async (t) => {
  const run = await runAgainst(t, inTurn(NETWORK), ['up', '--status']);
  assert.equal(run.exitCode, 0, run.stderr);
  assert.match(run.stdout, /state +running/);
  assert.match(run.stdout, /laptop +100\.64\.0\.7 +alice@example\.com +relay/);
  assert.ok(!run.stdout.includes('\u001b[31m'));
  assert.equal(run.server.requests[0]?.method, 'GET');
});

test('down leaves, and for good if that is asked for', async (t) => {
  const answers = { 'POST /api/v1/network/down': { body: { ...NETWORK, state: 'off' } } };
  const run = await runAgainst(t, answers, ['down']);
  assert.equal(run.exitCode, 0, run.stderr);
  assert.deepEqual(sentBody(run.server), { logout: false });
  const out = await runAgainst(t, answers, ['down', '--logout', '--json']);
  assert.deepEqual(sentBody(out.server), { logout: true });
  assert.equal((JSON.parse(out.stdout) as typeof NETWORK).state, 'off');
});
