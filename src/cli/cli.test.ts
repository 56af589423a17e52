import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { COMMANDS } from './commands.ts';
import {
  type Answers,
  type CliRun,
  type FakeServer,
  NOW,
  problem,
  runInProcess,
  startFakeServer,
} from './fake-server.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

/** The real program in a process of its own, with only the given environment. */
function spawnCli(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliRun> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', MAIN, ...words],
      { env: { PATH: '/usr/bin:/bin', ...env } },
      (error, stdout, stderr) => {
        const exitCode = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ exitCode, stdout, stderr });
      },
    );
  });
}

/** One run against a server with these answers. */
async function runAgainst(
  answers: Answers,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliRun & { server: FakeServer }> {
  const server = await startFakeServer(answers);
  try {
    return { ...(await runInProcess([...words, '--url', server.url], { env })), server };
  } finally {
    await server.close();
  }
}

describe('exit codes (docs/reference/cli.md)', () => {
  test('the program ends with 0 and prints its version', async () => {
    const run = await spawnCli(['version', '--json']);
    assert.equal(run.exitCode, 0);
    assert.match(JSON.parse(run.stdout).version, /^\d+\.\d+\.\d+$/);
    assert.equal((await spawnCli(['--version'])).exitCode, 0);
  });

  test('2 for an unknown command, with the nearest one', async () => {
    const run = await spawnCli(['logz']);
    assert.equal(run.exitCode, 2);
    assert.equal(run.stdout, '');
    assert.match(run.stderr, /unknown command 'logz'/);
    assert.match(run.stderr, /Did you mean logs\?/);
  });

  test('2 for an unknown flag, with the nearest one', async () => {
    const run = await runInProcess(['logs', '--folow']);
    assert.equal(run.exitCode, 2);
    assert.match(run.stderr, /Did you mean --follow\?/);
  });

  test('2 for values that no server needs to see', async () => {
    for (const words of [
      ['logs', '--limit', '501'],
      ['usage', '--from', 'yesterday'],
      ['tokens', 'create', 'x', '--ttl', '0d'],
      ['tokens', 'create', 'x', '--scope', 'root'],
      ['logs', '--url', 'localhost:8080'],
      ['logs', '--url', 'http://user:password@localhost'],
      ['logs', '--url', 'http://localhost/v1'],
      ['connect', 'emacs'],
      ['run', 'emacs'],
      ['config', 'check', '/nonexistent/file'],
    ]) {
      assert.equal((await runInProcess(words)).exitCode, 2, words.join(' '));
    }
  });

  test('3 when no server answers, by socket and by address', async () => {
    const bySocket = await runInProcess(['logs', '--state-dir', '/nonexistent/state']);
    assert.equal(bySocket.exitCode, 3);
    assert.match(bySocket.stderr, /\/nonexistent\/state\/postern\.sock/);
    assert.match(bySocket.stderr, /postern serve/);
    const server = await startFakeServer({});
    await server.close();
    assert.equal((await runInProcess(['logs', '--url', server.url])).exitCode, 3);
  });

  test('4 when the server refuses, 5 when it wants presence', async () => {
    const refused = await runAgainst(
      { 'GET /api/v1/audit': problem(403, 'role_missing', 'you need the role auditor') },
      ['audit'],
    );
    assert.equal(refused.exitCode, 4);
    assert.match(refused.stderr, /you need the role auditor/);
    const presence = await runAgainst(
      {
        'POST /api/v1/tokens': problem(403, 'presence_required', 'show presence', {
          presence_url: 'http://localhost:8080/presence',
        }),
      },
      ['tokens', 'create', 'ci'],
    );
    assert.equal(presence.exitCode, 5);
    assert.match(presence.stderr, /postern login/);
    assert.match(presence.stderr, /http:\/\/localhost:8080\/presence/);
  });

  test('1 for other failures, with the request id; never a stack', async () => {
    const run = await runAgainst({ 'GET /api/v1/requests': problem(500, 'internal', 'it broke') }, ['logs']);
    assert.equal(run.exitCode, 1);
    assert.match(run.stderr, /it broke/);
    assert.match(run.stderr, /req_test/);
    assert.doesNotMatch(run.stderr, /\n\s+at /);
  });

  test('1 for an answer that is not JSON', async () => {
    const run = await runAgainst({ 'GET /api/v1/requests': { body: '<html>' } }, ['logs']);
    assert.equal(run.exitCode, 1);
    assert.match(run.stderr, /not JSON/);
  });
});

describe('--json', () => {
  const items = { items: [], next_cursor: null };
  for (const [words, path] of [
    [['logs'], 'GET /api/v1/requests'],
    [['usage'], 'GET /api/v1/usage'],
    [['keys'], 'GET /api/v1/keys'],
    [['tokens'], 'GET /api/v1/tokens'],
    [['audit'], 'GET /api/v1/audit'],
    [['admin'], 'GET /api/v1/admins'],
    [['config', 'versions'], 'GET /api/v1/config/versions'],
  ] as const) {
    test(`${words.join(' ')} prints the answer as one JSON object`, async () => {
      const run = await runAgainst({ [path]: { body: items } }, [...words, '--json']);
      assert.equal(run.exitCode, 0, run.stderr);
      assert.deepEqual(JSON.parse(run.stdout), items);
    });
  }

  test('a failure is one JSON object on standard error, and standard output stays empty', async () => {
    const run = await runAgainst({ 'GET /api/v1/usage': problem(403, 'not_yours', 'not yours') }, [
      'usage',
      '--json',
    ]);
    assert.equal(run.exitCode, 4);
    assert.equal(run.stdout, '');
    assert.deepEqual(JSON.parse(run.stderr).error.code, 'not_yours');
  });
});

describe('what a command sends', () => {
  test('POSTERN_TOKEN goes into X-Postern-Authorization and is printed nowhere', async () => {
    const run = await runAgainst({ 'GET /api/v1/usage': { body: { items: [] } } }, ['usage'], {
      POSTERN_TOKEN: 'pst_secret',
    });
    assert.equal(run.server.requests[0]?.headers['x-postern-authorization'], 'Bearer pst_secret');
    assert.doesNotMatch(run.stdout + run.stderr, /pst_secret/);
  });

  test('a usage table that is not the whole says so', async () => {
    const row = { key: { model: 'm' }, requests: 1 };
    for (const truncated of [true, false]) {
      const run = await runAgainst({ 'GET /api/v1/usage': { body: { items: [row], truncated } } }, ['usage']);
      assert.equal(run.stdout.includes('Only the first 1 rows'), truncated);
    }
  });

  test('a span becomes a time, and filters become parameters', async () => {
    const run = await runAgainst({ 'GET /api/v1/requests': { body: { items: [] } } }, [
      'logs',
      '--from',
      '1d',
      '--agent',
      'codex',
      '-n',
      '5',
    ]);
    assert.equal(
      run.server.requests[0]?.path,
      '/api/v1/requests?limit=5&from=2026-11-22T12%3A00%3A00.000Z&agent=codex',
    );
  });

  test('a provider key comes from standard input and never from an argument', async () => {
    const server = await startFakeServer({
      'POST /api/v1/keys': {
        status: 201,
        body: { id: 'key_1', state: 'staged', origin: 'https://api.openai.com' },
      },
    });
    const stdin = Readable.from(['sk-secret\n']);
    const run = await runInProcess(['keys', 'add', 'openai', '--stage', '--url', server.url], { stdin });
    await server.close();
    assert.equal(run.exitCode, 0, run.stderr);
    assert.deepEqual(JSON.parse(server.requests[0]?.body ?? ''), {
      provider: 'openai',
      name: '2026-11-23',
      secret: 'sk-secret',
      state: 'staged',
    });
    assert.doesNotMatch(run.stdout + run.stderr, /sk-secret/);
    assert.equal((await runInProcess(['keys', 'add', 'openai', 'sk-secret'])).exitCode, 2);
  });

  test('only the token itself goes to standard output', async () => {
    const run = await runAgainst(
      {
        'POST /api/v1/tokens': {
          status: 201,
          body: { token: 'pst_new', expires_at: '2026-12-23T12:00:00Z' },
        },
      },
      ['tokens', 'create', 'ci', '--ttl', '7d', '--model', 'anthropic/*,openai/gpt-5'],
    );
    assert.equal(run.stdout, 'pst_new\n');
    assert.deepEqual(JSON.parse(run.server.requests[0]?.body ?? ''), {
      name: 'ci',
      scopes: ['use'],
      expires_in_sec: 604_800,
      models: ['anthropic/*', 'openai/gpt-5'],
    });
  });

  test('a save names the version that it was made from', async () => {
    const file = join(folder, 'gateway.hujson');
    writeFileSync(file, '{ /* empty */ }');
    const run = await runAgainst(
      {
        'GET /api/v1/config': { headers: { etag: '"abc"' }, body: { text: '{}', version: 3 } },
        'PUT /api/v1/config': { body: { version: 4 } },
      },
      ['config', 'apply', file, '--comment', 'why'],
    );
    assert.equal(run.stdout, 'saved as version 4\n');
    assert.equal(run.server.requests[1]?.headers['if-match'], '"abc"');
    assert.deepEqual(JSON.parse(run.server.requests[1]?.body ?? ''), {
      text: '{ /* empty */ }',
      comment: 'why',
    });
  });

  test('a refused document is told with every problem and its place', async () => {
    const file = join(folder, 'bad.hujson');
    writeFileSync(file, '{}');
    const run = await runAgainst(
      {
        'GET /api/v1/config': { headers: { etag: '"abc"' }, body: { text: '{}', version: 3 } },
        'PUT /api/v1/config': problem(422, 'document_refused', 'the document was not saved', {
          problems: [{ path: 'grants[0].src', message: 'never matches' }],
        }),
      },
      ['config', 'apply', file],
    );
    assert.equal(run.exitCode, 1);
    assert.match(run.stderr, /grants\[0\]\.src: never matches/);
  });
});

describe('what a command shows', () => {
  test('control characters of strangers do not reach the terminal', async () => {
    const row = {
      id: 'req_1',
      started_at: '2026-11-23T11:00:00Z',
      model: 'x\u001b]0;owned\u0007\u001b[31m',
      user_label: 'a\nb',
      status: 200,
      outcome: 'ok',
    };
    const run = await runAgainst({ 'GET /api/v1/requests': { body: { items: [row] } } }, ['logs']);
    // eslint-disable-next-line no-control-regex -- they are what is looked for
    assert.doesNotMatch(run.stdout.trimEnd(), /[\u0000-\u001f\u007f]/);
  });

  test('explain ends with 1 where the model may not be used', async () => {
    const denied = { 'POST /api/v1/explain': { body: { allowed: false, text: 'no grant' } } };
    assert.equal((await runAgainst(denied, ['explain', 'gpt-5'])).exitCode, 1);
    const allowed = { 'POST /api/v1/explain': { body: { allowed: true, text: 'by grants[0]' } } };
    const run = await runAgainst(allowed, ['explain', 'gpt-5', '--user', 'bob@example.com']);
    assert.equal(run.exitCode, 0);
    assert.deepEqual(JSON.parse(run.server.requests[0]?.body ?? ''), {
      model: 'gpt-5',
      subject: { login: 'bob@example.com' },
    });
  });

  test('audit verify ends with 1 for a broken chain, and for an answer that proves nothing', async () => {
    for (const [body, exitCode] of [
      [{ rows: 9, broken_at: null }, 0],
      [{ rows: 9, broken_at: 4 }, 1],
      [{}, 1],
    ] as const) {
      assert.equal(
        (await runAgainst({ 'GET /api/v1/audit/verify': { body } }, ['audit', 'verify'])).exitCode,
        exitCode,
      );
    }
  });

  test('logs --follow --json prints one JSON line for each request that passes the filters', async () => {
    const event = (name: string, data: unknown): string =>
      `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
    const stream = [
      ': hello\n\n',
      event('request.started', { id: 'a', provider: 'openai' }),
      event('request.finished', { id: 'a', provider: 'openai', model: 'gpt-5' }),
      event('request.finished', { id: 'b', provider: 'postern', model: 'echo' }),
    ].join('');
    const run = await runAgainst(
      { 'GET /api/v1/events': { headers: { 'content-type': 'text/event-stream' }, body: stream } },
      ['logs', '--follow', '--json', '--provider', 'openai'],
    );
    assert.equal(run.stdout, `${JSON.stringify({ id: 'a', provider: 'openai', model: 'gpt-5' })}\n`);
    assert.equal(run.exitCode, 3, 'the server ended the stream');
  });
});

describe('login', () => {
  const answers: Answers = {
    'POST /api/v1/presence/requests': {
      status: 201,
      body: { id: 'pr_1', poll_secret: 'poll', url: 'http://localhost:8080/presence#pr_1' },
    },
    'POST /api/v1/presence/requests/pr_1/poll': {
      body: { state: 'granted', token: 'presence-token', expires_at: new Date(NOW + 600_000).toISOString() },
    },
    'GET /api/v1/keys': { body: { items: [] } },
  };

  test('stores presence in a file of mode 0600 and sends it to that server only', async () => {
    const stateDir = mkdtempSync(join(folder, 'state-'));
    const socketPath = join(stateDir, 'postern.sock');
    const server = await startFakeServer(answers, socketPath);
    const other = await startFakeServer(answers);
    try {
      const login = await runInProcess(['login', '--state-dir', stateDir]);
      assert.equal(login.exitCode, 0, login.stderr);
      assert.match(login.stderr, /http:\/\/localhost:8080\/presence#pr_1/);
      assert.doesNotMatch(login.stdout + login.stderr, /presence-token/);
      assert.equal(statSync(join(stateDir, 'presence.json')).mode & 0o777, 0o600);
      await runInProcess(['keys', '--state-dir', stateDir]);
      assert.equal(server.requests.at(-1)?.headers['x-postern-presence'], 'presence-token');
      await runInProcess(['keys', '--url', other.url], { env: { POSTERN_STATE_DIR: stateDir } });
      assert.equal(other.requests.at(-1)?.headers['x-postern-presence'], undefined);
      await runInProcess(['keys', '--state-dir', stateDir], {
        clock: { now: () => NOW + 600_001, monotonicMs: () => 0 },
      });
      assert.equal(server.requests.at(-1)?.headers['x-postern-presence'], undefined, 'it has ended');
      await runInProcess(['login', '--forget', '--state-dir', stateDir]);
      await runInProcess(['keys', '--state-dir', stateDir]);
      assert.equal(server.requests.at(-1)?.headers['x-postern-presence'], undefined);
    } finally {
      await server.close();
      await other.close();
    }
  });
});

describe('help', () => {
  for (const { name } of COMMANDS) {
    test(`${name} --help shows options and examples`, async () => {
      const run = await runInProcess([name, '--help']);
      assert.equal(run.exitCode, 0);
      assert.match(run.stdout, new RegExp(`Usage: postern ${name}`));
      assert.match(run.stdout, /Examples:/);
    });
  }
});

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-cli-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));
