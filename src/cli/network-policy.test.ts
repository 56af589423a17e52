/** The commands about a tailnet's policy and DNS (issue 6): what they ask, print, and end with. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  type Answers,
  type CliRun,
  problem,
  runInProcess,
  type SeenRequest,
  startFakeServer,
} from './fake-server.ts';

const TEXT = '{ "grants": [] }';
let folder = '';
let file = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-network-policy-'));
  file = join(folder, 'network.hujson');
  writeFileSync(file, TEXT);
});
after(() => rmSync(folder, { recursive: true, force: true }));

async function runAgainst(
  answers: Answers,
  words: readonly string[],
): Promise<CliRun & { readonly requests: readonly SeenRequest[] }> {
  const server = await startFakeServer(answers);
  try {
    const run = await runInProcess([...words, '--state-dir', folder, '--url', server.url]);
    return { ...run, requests: server.requests };
  } finally {
    await server.close();
  }
}

const bodiesOf = (requests: readonly SeenRequest[]): unknown[] =>
  requests.filter(({ body }) => body !== '').map(({ body }) => JSON.parse(body));

describe('postern policy test --network', () => {
  const CHECK = 'POST /api/v1/tailnets/home/policy/check';
  const words = ['policy', 'test', '--network', '--tailnet', 'home'];

  test('0 where every test holds in the tailnet that is meant', async () => {
    const run = await runAgainst({ [CHECK]: { body: { valid: true, problems: [], failures: [] } } }, [
      ...words,
      file,
    ]);
    assert.deepEqual([run.exitCode, bodiesOf(run.requests)], [0, [{ policy: TEXT }]]);
    assert.match(run.stdout, /its own tests hold in home/);
  });

  test('1 for a test that fails, with its line and what it got; without a file the policy in force', async () => {
    const failures = [
      { path: 'tests[0]', line: 4, message: 'alice to tag:web:22 should be accepted: denied\u001b[2J' },
    ];
    const answers: Answers = {
      'GET /api/v1/tailnets/home': { body: { policy: null } },
      [CHECK]: { body: { valid: false, problems: [], failures } },
    };
    const run = await runAgainst(answers, words);
    assert.deepEqual([run.exitCode, bodiesOf(run.requests)], [1, [{ policy: null }]]);
    assert.equal(
      run.stdout,
      'policy of home:4 tests[0] failed: alice to tag:web:22 should be accepted: denied\n',
    );
    const json = JSON.parse((await runAgainst(answers, [...words, '--json'])).stdout);
    assert.deepEqual(json, { ok: false, failures, problems: [] });
  });

  test('--tailnet without --network is a usage failure', async () => {
    assert.equal((await runAgainst({}, ['policy', 'test', file, '--tailnet', 'home'])).exitCode, 2);
  });
});

describe('postern policy explain', () => {
  const EXPLAIN = 'POST /api/v1/tailnets/default/policy/explain';

  test('0 if it may, 1 if not; IPv6 in brackets, a draft comes along', async () => {
    const yes = await runAgainst({ [EXPLAIN]: { body: { allowed: true, text: 'it may:\nby grants[0]' } } }, [
      'policy',
      'explain',
      'laptop',
      'tag:web:443',
    ]);
    assert.deepEqual([yes.exitCode, yes.stdout], [0, 'it may:\nby grants[0]\n']);
    assert.deepEqual(bodiesOf(yes.requests), [{ source: 'laptop', destination: 'tag:web', port: 443 }]);
    const no = await runAgainst({ [EXPLAIN]: { body: { allowed: false, text: 'no' } } }, [
      'policy',
      'explain',
      'laptop',
      '[fd7a::1]:22',
      '--protocol',
      'tcp',
      '--draft',
      file,
    ]);
    assert.equal(no.exitCode, 1);
    assert.deepEqual(bodiesOf(no.requests), [
      { source: 'laptop', destination: 'fd7a::1', port: 22, protocol: 'tcp', policy: TEXT },
    ]);
  });

  for (const destination of ['tag:web', 'tag:web:0', 'tag:web:65536', ':22', '[]:22'])
    test(`a destination without a port is refused: ${destination}`, async () => {
      const run = await runAgainst({}, ['policy', 'explain', 'laptop', destination]);
      assert.deepEqual([run.exitCode, run.requests.length], [2, 0]);
    });
});

test('postern tailnet policy prints the text that is in force, the default where there is none', async () => {
  const answers = (policy: string | null): Answers => ({
    'GET /api/v1/tailnets/default': { body: { policy } },
    'GET /api/v1/tailnets/policy/default': { body: { policy: '{}' } },
  });
  assert.equal((await runAgainst(answers(TEXT), ['tailnet', 'policy'])).stdout, `${TEXT}\n`);
  assert.equal((await runAgainst(answers(null), ['tailnet', 'policy'])).stdout, '{}\n');
  const json = await runAgainst(answers(null), ['tailnet', 'policy', '--json']);
  assert.deepEqual(JSON.parse(json.stdout), { policy: '{}', default: true });
});

test('postern tailnet set --policy is refused with the failing test of the policy', async () => {
  const refusal = problem(422, 'document_refused', 'its own tests fail: line 4: alice to tag:web:22', {});
  const run = await runAgainst({ 'PATCH /api/v1/tailnets/default': refusal }, [
    'tailnet',
    'set',
    '--policy',
    file,
  ]);
  assert.equal(run.exitCode, 1);
  assert.match(run.stderr, /line 4: alice to tag:web:22/);
});

describe('postern dns', () => {
  const PATH = '/api/v1/tailnets/default/dns';
  const DNS = {
    magic_dns: true,
    resolvers: ['9.9.9.9'],
    split: { 'corp.example': ['10.0.0.53', '10.0.0.54'] },
    search_domains: [],
    extra_records: [{ name: 'wiki.corp.example', value: '100.64.0.7' }],
  };

  test('shows every part, and says what an empty one means', async () => {
    const run = await runAgainst({ [`GET ${PATH}`]: { body: DNS } }, ['dns']);
    assert.equal(
      run.stdout,
      [
        'MagicDNS   on',
        'resolvers  9.9.9.9',
        'split      corp.example at 10.0.0.53, 10.0.0.54',
        "search     the tailnet's own domain only",
        'records    wiki.corp.example is 100.64.0.7',
        '',
      ].join('\n'),
    );
  });

  test('set replaces the parts that are named, and keeps the others', async () => {
    const answers: Answers = {
      [`GET ${PATH}`]: { body: DNS },
      [`PUT ${PATH}`]: ({ body }) => ({ body: JSON.parse(body) }),
    };
    const run = await runAgainst(answers, [
      'dns',
      'set',
      '--magic',
      'off',
      '--split',
      'a.example=10.0.0.1',
      '--split',
      'a.example=fd00::1',
      '--record',
      'b.example=100.64.0.9',
      '--clear',
      'resolvers',
      '--json',
    ]);
    const set = {
      magic_dns: false,
      resolvers: [],
      split: { 'a.example': ['10.0.0.1', 'fd00::1'] },
      search_domains: [],
      extra_records: [{ name: 'b.example', value: '100.64.0.9' }],
    };
    assert.deepEqual([run.exitCode, JSON.parse(run.stdout), bodiesOf(run.requests)], [0, set, [set]]);
  });

  for (const words of [
    [],
    ['--split', 'corp.example'],
    ['--record', '=10.0.0.1'],
    ['--clear', 'everything'],
    ['--magic', 'perhaps'],
  ])
    test(`refused before the server is asked: dns set ${words.join(' ')}`, async () => {
      const run = await runAgainst({}, ['dns', 'set', ...words]);
      assert.deepEqual([run.exitCode, run.requests.length], [2, 0]);
    });
});
