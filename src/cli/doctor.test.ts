import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { silentTerminal } from './context.ts';
import { checkMachine } from './doctor/check-machine.ts';
import type { Finding } from './doctor/finding.ts';
import { type Answers, NOW, problem, runInProcess, startFakeServer } from './fake-server.ts';

const WELL: Answers = {
  'GET /healthz': { body: { status: 'ok' } },
  'GET /readyz': { body: { ready: true } },
  'GET /api/v1/whoami': { body: { label: 'alice', door: 'local', roles: ['user'] } },
  'GET /api/v1/status': {
    body: { claimed: true, time: new Date().toISOString(), providers: [{ id: 'openai' }], document: null },
  },
  'GET /api/v1/keys': {
    body: { items: [{ id: 'key_1', provider: 'openai', state: 'active', last_error: null, failures: 0 }] },
  },
};

/** The command's findings and exit code, against a server with these answers on the folder's socket. */
async function examine(
  answers: Answers,
  stateDir = mkdtempSync(join(folder, 's')),
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly exitCode: number; readonly findings: readonly Finding[] }> {
  const server = await startFakeServer(answers, join(stateDir, 'postern.sock'));
  try {
    const run = await runInProcess(['doctor', '--json', '--state-dir', stateDir], { env });
    return { exitCode: run.exitCode, findings: JSON.parse(run.stdout).findings };
  } finally {
    await server.close();
  }
}

function bad(findings: readonly Finding[]): readonly string[] {
  return findings.filter(({ level }) => level === 'problem' || level === 'warning').map(({ check }) => check);
}

describe('doctor ends with 1 exactly if there is something to mend', () => {
  test('all is well', async () => {
    const { exitCode, findings } = await examine(WELL);
    assert.deepEqual(bad(findings), []);
    assert.equal(exitCode, 0);
  });

  const cases: readonly (readonly [what: string, check: string, answers: Answers])[] = [
    [
      'a key would cross the internet unencrypted',
      'document',
      {
        'GET /api/v1/config': {
          body: { text: '{ "providers": { "p": { "baseurl": "http://8.8.8.8", "models": ["m"] } } }' },
        },
      },
    ],
    [
      'a quota limits nobody',
      'quotas',
      { 'GET /api/v1/config': { body: { text: '{"quotas": {"a": {"capacity": "$1"}}}' } } },
    ],
    [
      'a quota reserves nothing',
      'quotas',
      {
        'GET /api/v1/config': {
          body: {
            text: '{"quotas": {"a": {"capacity": "$1", "reserve": "none"}}, "grants": [{"src": ["*"], "app": {"postern.dev/cap/gateway": [{"models": "**", "quotas": [{"bucket": "a"}]}]}}]}',
          },
        },
      },
    ],
    [
      'records cannot be written',
      'ready',
      {
        'GET /readyz': {
          status: 503,
          body: { ready: false, checks: { store: false, recorder: true, policy: true } },
        },
      },
    ],
    [
      'the caller has no role',
      'you',
      { 'GET /api/v1/whoami': { body: { label: 'eve', door: 'local', roles: [] } } },
    ],
    ['the caller is not known', 'you', { 'GET /api/v1/whoami': problem(403, 'no_identity', 'who are you') }],
    [
      'the document could not be loaded',
      'document',
      {
        'GET /api/v1/status': {
          body: { claimed: true, document: { error: 'line 3' }, time: new Date().toISOString() },
        },
      },
    ],
    [
      'the clocks differ',
      'clock',
      { 'GET /api/v1/status': { body: { claimed: true, time: new Date(NOW - 86_400_000).toISOString() } } },
    ],
    [
      'a key fails',
      'keys',
      {
        'GET /api/v1/keys': {
          body: {
            items: [{ id: 'key_1', provider: 'openai', state: 'active', last_error: '401', failures: 3 }],
          },
        },
      },
    ],
  ];
  for (const [what, check, answers] of cases) {
    test(what, async () => {
      const { exitCode, findings } = await examine({ ...WELL, ...answers });
      assert.deepEqual(bad(findings), [check]);
      assert.equal(exitCode, 1);
      assert.ok(findings.some((finding) => finding.check === check && finding.fix !== ''));
    });
  }

  test('no server', async () => {
    const run = await runInProcess(['doctor', '--state-dir', mkdtempSync(join(folder, 's'))]);
    assert.equal(run.exitCode, 1);
    assert.match(run.stdout, /PROBLEM +server/);
  });

  test('a state folder that others may enter, and a file that they may read', async () => {
    const stateDir = mkdtempSync(join(folder, 's'));
    writeFileSync(join(stateDir, 'open'), '', { mode: 0o644 });
    chmodSync(stateDir, 0o755);
    const { findings } = await examine(WELL, stateDir);
    assert.deepEqual(bad(findings), ['state', 'state']);
  });

  test('a setting that does not load, with its name', async () => {
    const { findings } = await examine(WELL, undefined, { POSTERN_LISTEN: 'nowhere' });
    assert.deepEqual(bad(findings), ['settings']);
    assert.match(findings.find(({ check }) => check === 'settings')?.message ?? '', /listen/);
  });

  test('operator secrets in the shell', async () => {
    const { findings } = await examine(WELL, undefined, {
      POSTERN_ADMIN_TOKEN: 'a-break-glass-token-of-length',
    });
    assert.deepEqual(bad(findings), ['environment']);
    assert.doesNotMatch(JSON.stringify(findings), /a-break-glass/);
  });

  test('an old Node.js', () => {
    const context = { ...silentTerminal(), env: {} };
    assert.deepEqual(bad(checkMachine(context, '22.1.0')), ['node']);
    assert.deepEqual(bad(checkMachine(context, '24.12.0')), []);
  });
});

test('a master key beside what it encrypts is a note, one that others read a problem', async () => {
  const stateDir = mkdtempSync(join(folder, 's'));
  writeFileSync(join(stateDir, 'master.key'), 'x', { mode: 0o600 });
  const kept = await examine(WELL, stateDir);
  assert.equal(kept.exitCode, 0);
  assert.ok(kept.findings.some(({ check, level }) => check === 'master key' && level === 'note'));
  chmodSync(join(stateDir, 'master.key'), 0o644);
  assert.ok(bad((await examine(WELL, stateDir)).findings).includes('master key'));
});

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'pd-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));
