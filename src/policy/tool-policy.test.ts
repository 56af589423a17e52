import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JsonValue } from '../wire/hujson.ts';
import { compilePolicy } from './compile-policy.ts';
import type { ToolPolicy } from './governance.ts';
import { parseGatewayDocument } from './parse-document.ts';
import type { FoundProviderView } from './ports.ts';
import { localCaller, tailnetCaller } from './test-callers.ts';
import { compileToolPolicy } from './tool-policy.ts';
import { runPolicyTests } from './policy-tests.ts';

const OPENAI: FoundProviderView = {
  id: 'openai',
  name: 'OpenAI',
  baseUrl: 'https://api.openai.com',
  header: 'bearer',
  compatibility: ['openai_chat'],
  costBasis: 'openai',
  models: ['gpt-*'],
};
const CAP = 'postern.dev/cap/gateway';
const BUILT = new Set(['tools', 'guardrails', 'approvals', 'quotas', 'hooks'] as const);

function read(document: object, capability: object = {}) {
  const whole = {
    grants: [{ src: ['*', '(loopback)'], app: { [CAP]: [{ role: 'user', models: '**', ...capability }] } }],
    ...document,
  };
  return parseGatewayDocument(JSON.stringify(whole), {
    source: 'api',
    found: [OPENAI],
    built: BUILT,
    adminsElsewhere: true,
  });
}

function snapshotOf(document: object, capability: object = {}) {
  const parsed = read(document, capability);
  assert.deepEqual(
    parsed.problems.filter(({ severity }) => severity !== 'note'),
    [],
  );
  return compilePolicy({
    document: parsed.document,
    found: [OPENAI],
    storedGrants: [],
    tailnet: 't',
    version: 'v',
    built: BUILT,
  });
}

function toolsOf(
  document: object,
  capability: object = {},
  caller = tailnetCaller('alice'),
  model = 'gpt-5',
): ToolPolicy | null {
  return snapshotOf(document, capability).accessOf(caller).grant('openai', model)?.governance?.tools ?? null;
}

function decide(
  policy: ToolPolicy | null,
  name: string,
  args: JsonValue | string = {},
  agent: string | null = null,
): string {
  assert.ok(policy);
  const isText = typeof args === 'string';
  return policy.decide({
    name,
    argumentsText: isText ? args : JSON.stringify(args),
    arguments: isText ? undefined : args,
    agent,
  }).action;
}

test('tools: without a rule there is no policy, so that a stream passes unread', () => {
  assert.equal(toolsOf({}), null);
  assert.equal(toolsOf({ tools: [{ src: ['bob'], tools: ['Bash'], action: 'deny' }] }), null);
  assert.equal(toolsOf({ tools: [{ models: ['anthropic/*'], tools: ['Bash'], action: 'deny' }] }), null);
});

test('tools: of one list the first rule that holds is taken, so that exceptions stand above', () => {
  const policy = toolsOf({
    tools: [
      { tools: ['Bash'], when: [{ path: '$.command', matches: '^git (status|diff)$' }], action: 'allow' },
      { tools: ['Bash'], action: 'ask' },
      { tools: ['mcp__*'], action: 'deny' },
    ],
  });
  assert.equal(decide(policy, 'Bash', { command: 'git status' }), 'allow');
  assert.equal(decide(policy, 'Bash', { command: 'git status; rm -rf /' }), 'ask');
  assert.equal(decide(policy, 'mcp__github__a/b'), 'deny');
  assert.equal(decide(policy, 'Read'), 'allow');
  assert.equal(policy?.governs('Read'), false);
  assert.equal(policy?.governs('Bash'), true);
});

test('tools: between the top level and capabilities the strictest answer wins', () => {
  const ask = { tools: [{ tools: ['Bash'], action: 'ask' }] };
  const allow = { tools: [{ tools: ['*'], action: 'allow' }] };
  const deny = { tools: [{ tools: ['*'], action: 'deny' }] };
  assert.equal(decide(toolsOf(ask, allow), 'Bash'), 'ask');
  assert.equal(decide(toolsOf(allow, deny), 'Bash'), 'deny');
});

test('tools: a label never makes the answer milder (DESIGN section 5)', () => {
  assert.ok(
    read({ tools: [{ tools: ['Bash'], agents: ['claude-code'], action: 'allow' }] }).problems.some(
      ({ severity }) => severity === 'error',
    ),
  );
  const policy = toolsOf({
    tools: [
      { tools: ['Bash'], agents: ['claude*'], action: 'ask' },
      { tools: ['Bash'], action: 'deny' },
    ],
  });
  assert.equal(decide(policy, 'Bash', {}, 'claude-code'), 'deny');
  const stricter = toolsOf({
    tools: [
      { tools: ['Bash'], action: 'allow' },
      { tools: ['Bash'], agents: ['codex'], action: 'deny' },
    ],
  });
  assert.equal(decide(stricter, 'Bash', {}, 'codex'), 'deny');
  assert.equal(decide(stricter, 'Bash', {}, null), 'allow');
});

test('tools: what cannot be read as JSON meets refusing rules and no letting ones', () => {
  const policy = toolsOf({
    tools: [
      { tools: ['a'], when: [{ path: '$.x', equals: 1 }], action: 'allow' },
      { tools: ['b'], when: [{ path: '$.x', equals: 1 }], action: 'deny' },
      { tools: ['c'], action: 'rewrite', set: { '$.x': 1 } },
      { tools: ['d'], when: [{ path: '$', matches: 'rm -rf' }], action: 'deny' },
      { tools: ['a'], action: 'ask' },
    ],
  });
  assert.equal(decide(policy, 'a', 'not json'), 'ask');
  assert.equal(decide(policy, 'b', 'not json'), 'deny');
  assert.equal(decide(policy, 'c', 'not json'), 'deny');
  assert.equal(decide(policy, 'd', 'rm -rf /'), 'deny');
  assert.equal(decide(policy, 'd', 'ls'), 'allow');
});

test('tools: conditions see every element, missing members, and values that are no text', () => {
  const rule = (condition: object, action = 'deny'): ToolPolicy | null =>
    toolsOf({ tools: [{ tools: ['t'], when: [condition], action }] });
  const edits = { edits: [{ file: 'a' }, { file: '/etc/passwd' }] };
  assert.equal(decide(rule({ path: '$.edits[*].file', matches: '^/etc' }), 't', edits), 'deny');
  assert.equal(decide(rule({ path: '$.edits[0].file', matches: '^/etc' }), 't', edits), 'allow');
  assert.equal(decide(rule({ path: '$.n', matches: '^4' }), 't', { n: 42 }), 'deny');
  assert.equal(decide(rule({ path: '$.n', in: [41, 42] }), 't', { n: 42 }), 'deny');
  assert.equal(decide(rule({ path: '$.o', equals: { a: [1] } }), 't', { o: { a: [1] } }), 'deny');
  assert.equal(decide(rule({ path: '$.n', exists: false }), 't', {}), 'deny');
  // In doubt a rule that refuses holds, and one that lets pass does not.
  assert.equal(decide(rule({ path: '$.cmd', not_matches: '^git' }), 't', {}), 'deny');
  const letting = toolsOf({
    tools: [
      { tools: ['t'], when: [{ path: '$.cmd', not_matches: 'rm' }], action: 'allow' },
      { tools: ['t'], action: 'deny' },
    ],
  });
  assert.equal(decide(letting, 't', {}), 'deny');
  assert.equal(decide(rule({ path: '$["__proto__"]', exists: true }), 't', {}), 'allow');
});

test('tools: a rewrite sets members, in place and anew, and leaves the rest', () => {
  const policy = toolsOf({
    tools: [
      { tools: ['t'], action: 'rewrite', set: { '$.timeout': 5, '$.env.SAFE': '1', '$.list[*].a': null } },
    ],
  });
  const decision = policy?.decide({
    name: 't',
    argumentsText: '',
    arguments: { cmd: 'x', env: { A: '2' }, list: [{ a: 1 }, { a: 2, b: 3 }] },
    agent: null,
  });
  assert.deepEqual(decision?.arguments, {
    cmd: 'x',
    env: { A: '2', SAFE: '1' },
    list: [{ a: null }, { a: null, b: 3 }],
    timeout: 5,
  });
});

test('tools: names longer than any tool has are refused wherever a rule exists', () => {
  const policy = toolsOf({ tools: [{ tools: ['Bash'], action: 'ask' }] });
  assert.equal(policy?.governs('x'.repeat(600)), true);
  assert.equal(decide(policy, 'x'.repeat(600)), 'deny');
});

test('tools: a rule that cannot be read makes the document unusable, since leaving it out would open', () => {
  for (const rule of [
    { tools: ['Bash'] },
    { action: 'deny' },
    { tools: [], action: 'deny' },
    { tools: ['Bash'], action: 'forbid' },
    { tools: ['Bash'], action: 'deny', wehn: [] },
    { tools: ['Bash'], action: 'deny', when: [{ path: 'command', exists: true }] },
    { tools: ['Bash'], action: 'deny', when: [{ path: '$.a' }] },
    { tools: ['Bash'], action: 'deny', when: [{ path: '$.a', matches: '(?=x)' }] },
    { tools: ['Bash'], action: 'deny', when: [{ path: '$.a', matches: 'x', equals: 'x' }] },
    { tools: ['Bash'], action: 'rewrite' },
    { tools: ['Bash'], action: 'deny', set: { '$.a': 1 } },
    { tools: ['Bash'], action: 'ask', approval: 'nobody' },
    { tools: ['Bash'], action: 'deny', src: [] },
    'deny',
  ]) {
    const found = read({ tools: [rule] }).problems.filter(({ severity }) => severity === 'error');
    assert.ok(found.length > 0, JSON.stringify(rule));
  }
  assert.ok(read({ tools: {} }).problems.some(({ severity }) => severity === 'error'));
});

test('tools: total, whatever a model writes (property)', () => {
  const policy = toolsOf({
    tools: [
      { tools: ['a*'], when: [{ path: '$.a[*].b', not_matches: '^x' }], action: 'ask' },
      {
        tools: ['*'],
        when: [{ path: '$["k"][0]', in: [1, null] }],
        action: 'rewrite',
        set: { '$.k[0].z': 1 },
      },
    ],
  });
  fc.assert(
    fc.property(fc.string(), fc.jsonValue(), fc.option(fc.string()), (name, value, agent) => {
      const action = decide(policy, name, typeof value === 'string' ? [value] : (value as JsonValue), agent);
      assert.ok(['allow', 'rewrite', 'ask', 'deny'].includes(action));
    }),
  );
});

test('tests of a document cover tool calls: one that does not hold is told with its rule', () => {
  const tools = [{ tools: ['Bash'], when: [{ path: '$.command', matches: '^rm' }], action: 'deny' }];
  const call = { model: 'gpt-5', name: 'Bash', arguments: { command: 'rm x' } };
  const snapshot = snapshotOf({
    tools,
    tests: [
      { src: '(loopback)', tools: [{ ...call, expect: 'deny' }] },
      { src: '(loopback)', tools: [{ ...call, expect: 'allow' }] },
    ],
  });
  const failures = runPolicyTests(snapshot, snapshot.document.tests);
  assert.deepEqual(
    failures.map(({ path, expected, got, detail }) => ({ path, expected, got, detail })),
    [{ path: 'tests[1]', expected: 'Bash: allow', got: 'deny', detail: 'decided by tools[0]' }],
  );
});

test('governance: guardrails hold by their own src or by a capability that names them', () => {
  const guardrails = {
    all: { src: ['(loopback)'], detect: ['secrets'], action: 'block' },
    ours: { detect: ['email'], patterns: [{ name: 'ticket', pattern: 'ACME-[0-9]+' }], action: 'redact' },
  };
  const named = (caller = tailnetCaller('alice'), capability: object = {}): readonly string[] =>
    snapshotOf({ guardrails }, capability)
      .accessOf(caller)
      .grant('openai', 'gpt-5')
      ?.governance?.guardrails.map(({ name }) => name) ?? [];
  assert.deepEqual(named(), []);
  assert.deepEqual(named(localCaller()), ['all']);
  assert.deepEqual(named(localCaller(), { guardrails: ['ours'] }), ['all', 'ours']);
  for (const bad of [
    {},
    { detect: ['secrets'] },
    { detect: ['injection'], action: 'redact' },
    { detect: ['nope'], action: 'block' },
    { limits: { max_tools: -1 } },
  ]) {
    assert.ok(
      read({ guardrails: { bad } }).problems.some(({ severity }) => severity === 'error'),
      JSON.stringify(bad),
    );
  }
});

test('routing: a route gives its targets in order, only those of its regions', () => {
  const routing = {
    models: {
      smart: { targets: ['openai/gpt-5', { model: 'openai/gpt-5-mini', weight: 2, region: 'eu' }] },
      local: { regions: ['eu'], targets: ['openai/gpt-5', { model: 'openai/gpt-5-mini', region: 'eu' }] },
    },
  };
  const snapshot = snapshotOf({ routing });
  assert.deepEqual(
    snapshot.resolve('smart').map(({ model }) => model),
    ['gpt-5', 'gpt-5-mini'],
  );
  assert.deepEqual(
    snapshot.resolve('local').map(({ model }) => model),
    ['gpt-5-mini'],
  );
});

test('cache: opened by a capability; of several the narrower scope and the shorter time', () => {
  const cache = snapshotOf({}, { cache: { scope: 'tailnet', ttl: '10m' } })
    .accessOf(localCaller())
    .grant('openai', 'gpt-5')?.governance?.cache;
  assert.deepEqual(cache, { scope: 'tailnet', ttlMs: 600_000 });
});

test('tools: what refuses or asks holds for a name in other letters too, what allows does not: agents mend such names', () => {
  const none = { src: null, models: null, agents: null, when: [], message: null, set: [] };
  const made = (action: 'allow' | 'deny', tool: string) =>
    ({ ...none, path: 't', tools: [tool], action, approval: 'default' }) as const;
  const policy = compileToolPolicy([[made('allow', 'Read'), made('deny', 'bash'), made('deny', 'read')]]);
  const action = (name: string) =>
    policy?.decide({ name, argumentsText: '{}', arguments: {}, agent: null }).action;
  assert.equal(policy?.governs('BASH'), true);
  assert.equal(action('BASH'), 'deny');
  assert.equal(action('Read'), 'allow');
  assert.equal(action('READ'), 'deny');
});
