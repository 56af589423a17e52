import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Answers, type CliRun, problem, runInProcess, startFakeServer } from '../fake-server.ts';

const DOCUMENT = {
  providers: { openai: { baseurl: 'https://api.openai.com', models: ['gpt-5'] } },
  tools: [{ tools: ['Bash'], action: 'ask' }],
  grants: [{ src: ['alice'], app: { 'postern.dev/cap/gateway': [{ role: 'user', models: 'openai/*' }] } }],
  tests: [
    {
      src: 'alice',
      accept: ['gpt-5'],
      tools: [{ model: 'gpt-5', name: 'Bash', arguments: { command: 'ls' }, expect: 'ask' }],
    },
    { src: 'bob', deny: ['gpt-5'] },
  ],
};

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-policy-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, document: object): string {
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify(document));
  return file;
}

async function runAgainst(
  answers: Answers,
  words: readonly string[],
): Promise<CliRun & { bodies: readonly string[]; paths: readonly string[] }> {
  const server = await startFakeServer(answers);
  try {
    const run = await runInProcess([...words, '--url', server.url]);
    return {
      ...run,
      bodies: server.requests.map(({ body }) => body),
      paths: server.requests.map(({ method, path }) => `${method} ${path}`),
    };
  } finally {
    await server.close();
  }
}

describe('postern policy test (issue 3, policy as code)', () => {
  test('0 where every test holds, without a server', async () => {
    const run = await runInProcess(['policy', 'test', write('good.hujson', DOCUMENT)]);
    assert.equal(run.exitCode, 0, run.stdout);
    assert.match(run.stdout, /^2 of 2 tests hold\n$/m);
  });

  test('1 for a test that fails, with its rule and who can mend it', async () => {
    const [first] = DOCUMENT.tests;
    const call = { model: 'gpt-5', name: 'Bash', arguments: {}, expect: 'deny' };
    const file = write('bad.hujson', {
      ...DOCUMENT,
      tests: [
        { ...first, tools: [call] },
        { src: 'bob', accept: ['gpt-5'], role: 'user' },
      ],
    });
    const run = await runInProcess(['policy', 'test', file]);
    assert.equal(run.exitCode, 1);
    assert.match(
      run.stdout,
      /^tests\[0\] failed gpt-5: expected Bash: deny, got ask\n {4}decided by tools\[0\]\n/m,
    );
    assert.match(run.stdout, /^tests\[1\] failed gpt-5: expected allowed, got refused \(no_role\)$/m);
    assert.match(run.stdout, /fix \(admin\): add a grant that gives bob a role and models/);
    assert.match(run.stdout, /0 of 2 tests hold/);
    const json = JSON.parse((await runInProcess(['policy', 'test', file, '--json'])).stdout);
    assert.deepEqual([json.ok, json.tests, json.failures.length], [false, 2, 3]);
  });

  test('1 for a document that a save would refuse, and a word where there are no tests', async () => {
    const broken = await runInProcess(['policy', 'test', write('broken.hujson', { ...DOCUMENT, grants: 7 })]);
    assert.equal(broken.exitCode, 1);
    assert.match(broken.stdout, /broken\.hujson:1:\d+ (error|warning) grants/);
    const { tests: _tests, ...without } = DOCUMENT;
    const run = await runInProcess(['policy', 'test', write('without.hujson', without)]);
    assert.deepEqual([run.exitCode, /has no tests/.test(run.stdout)], [0, true]);
    assert.equal((await runInProcess(['policy', 'test', join(folder, 'none')])).exitCode, 2);
  });

  test('without a file the document of the server, by the server', async () => {
    const failure = {
      path: 'tests[1]',
      model: 'gpt-5',
      expected: 'refused',
      got: 'allowed',
      detail: 'by grants[0]',
    };
    const run = await runAgainst(
      {
        'GET /api/v1/config': { body: { text: JSON.stringify(DOCUMENT), version: 3 } },
        'POST /api/v1/config/validate': { body: { valid: false, problems: [], test_failures: [failure] } },
      },
      ['policy', 'test'],
    );
    assert.equal(run.exitCode, 1);
    assert.equal(
      run.stdout,
      'tests[1] failed gpt-5: expected refused, got allowed\n    by grants[0]\n1 of 2 tests hold\n',
    );
  });
});

const COUNTS = {
  allowed: 0,
  rewritten: 0,
  asked: 0,
  denied: 0,
  may_be_rewritten: 0,
  may_be_asked: 0,
  may_be_denied: 0,
};
const TOTALS = {
  version: 'a',
  allowed: 3,
  denied: 0,
  over_budget: 0,
  unknown: 0,
  cost_nano_usd: 2_000_000_000,
  tool_calls: COUNTS,
};

const REPORT = {
  from: '2026-11-16T12:00:00.000Z',
  to: '2026-11-23T12:00:00.000Z',
  rows: 3,
  changed_requests: 1,
  before: TOTALS,
  after: { ...TOTALS, allowed: 2, denied: 1, cost_nano_usd: 1_500_000_000 },
  changes: { newly_denied: 1, rerouted: 0 },
  newly_refused: [{ reason: 'denied', rule: 'deny[0]', model: 'gpt-5', user: 'bob\u001b[31m', requests: 1 }],
  tools: [{ tool: 'Bash', calls: 2, before: COUNTS, after: { ...COUNTS, asked: 1, may_be_denied: 1 } }],
  cost: {
    by_model: [{ name: 'openai/gpt-5', before_nano_usd: 2_000_000_000, after_nano_usd: 1_500_000_000 }],
  },
  requests: [
    {
      id: 'req_1',
      started_at: '2026-11-20T12:00:00.000Z',
      user: 'bob',
      requested_model: 'gpt-5',
      changes: ['newly_denied'],
      after: { outcome: 'denied', reason: 'denied', rule: 'deny[0]' },
      tools: [],
    },
  ],
  requests_omitted: 0,
  limits: ['Rows hold no bodies.'],
};

describe('postern policy simulate (issue 3, policy as code)', () => {
  test('asks until it is done, tells progress to people only, and shows what changes and why', async () => {
    const file = write('draft.hujson', DOCUMENT);
    const done = {
      id: 'sim_1',
      state: 'done',
      rows: 3,
      progress: 1,
      report: REPORT,
      problems: [],
      test_failures: [],
    };
    const run = await runAgainst(
      {
        'POST /api/v1/simulate': {
          body: { ...done, state: 'running', rows: 1, progress: 0.5, report: null },
        },
        'GET /api/v1/simulate/sim_1': { body: done },
      },
      ['policy', 'simulate', '--draft', file, '--since', '7d'],
    );
    assert.equal(run.exitCode, 0, run.stderr);
    assert.deepEqual(JSON.parse(run.bodies[0] ?? ''), {
      draft: JSON.stringify(DOCUMENT),
      since: '2026-11-16T12:00:00.000Z',
      requests: 20,
      wait_ms: 2_000,
    });
    assert.match(run.stderr, /1 requests read, 50 %/);
    assert.match(run.stdout, /3 requests, 1 of them otherwise under the draft/);
    assert.match(run.stdout, /denied +0 +1\n/);
    assert.match(run.stdout, /cost +\$2\.00 +\$1\.50\n/);
    assert.match(run.stdout, /newly denied +1\n/);
    assert.match(run.stdout, /denied +deny\[0\] +gpt-5 +bob +1\n/);
    assert.match(run.stdout, /Bash +2 +- +1 asked, 1 may be denied\n/);
    assert.match(run.stdout, /bob +gpt-5 +newly denied +denied: deny\[0\] +req_1\n/);
    assert.match(run.stdout, /- Rows hold no bodies\.\n$/);
    assert.ok(!run.stdout.includes('\u001b'));
  });

  test('--json is the answer of the server', async () => {
    const done = { id: 'sim_1', state: 'done', report: REPORT, problems: [], test_failures: [] };
    const run = await runAgainst({ 'POST /api/v1/simulate': { body: done } }, [
      'policy',
      'simulate',
      '--draft',
      write('draft.hujson', DOCUMENT),
      '--json',
    ]);
    assert.deepEqual(JSON.parse(run.stdout), done);
  });

  test('a refusal, a failure and a missing draft end with their exit codes', async () => {
    const words = ['policy', 'simulate', '--draft', write('draft.hujson', DOCUMENT)];
    const refused = await runAgainst(
      { 'POST /api/v1/simulate': problem(403, 'role_missing', 'needs the role auditor') },
      words,
    );
    assert.equal(refused.exitCode, 4);
    const failed = await runAgainst(
      {
        'POST /api/v1/simulate': {
          body: { id: 's', state: 'failed', report: null, error: 'the store cannot be read' },
        },
      },
      words,
    );
    assert.equal(failed.exitCode, 1);
    assert.match(failed.stderr, /the store cannot be read/);
    assert.equal((await runInProcess(['policy', 'simulate'])).exitCode, 2);
    assert.equal((await runInProcess([...words, '--requests', '1001'])).exitCode, 2);
    assert.equal((await runInProcess([...words, '--since', 'yesterday'])).exitCode, 2);
  });
});

describe('postern explain --tool (issue 3, policy as code)', () => {
  test('asks about the call as a model would write it; arguments need a tool', async () => {
    const run = await runAgainst({ 'POST /api/v1/explain': { body: { allowed: true, text: 'yes' } } }, [
      'explain',
      'gpt-5',
      '--tool',
      'Bash',
      '--arguments',
      '{"command":"ls"}',
      '--agent',
      'codex',
    ]);
    assert.equal(run.exitCode, 0, run.stderr);
    assert.deepEqual(JSON.parse(run.bodies[0] ?? ''), {
      model: 'gpt-5',
      call: { tool: 'Bash', arguments: '{"command":"ls"}', agent: 'codex' },
    });
    assert.equal((await runInProcess(['explain', 'gpt-5', '--arguments', '{}'])).exitCode, 2);
  });
});
