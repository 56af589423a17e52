import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonValue } from '../wire/hujson.ts';
import { compilePolicy } from './compile-policy.ts';
import type { Explanation } from './explanation.ts';
import { parseGatewayDocument } from './parse-document.ts';
import { tailnetCaller } from './test-callers.ts';

const BUILT = new Set(['tools', 'guardrails', 'approvals', 'quotas', 'hooks'] as const);
const DOCUMENT = {
  providers: { openai: { baseurl: 'https://api.openai.com', models: ['gpt-5'] } },
  quotas: {
    'team:<user>': { capacity: '$5.00', reserve: 'none' },
    held: { capacity: '$5.00' },
  },
  guardrails: { keys: { src: ['*'], on: ['request'], detect: ['secrets'], action: 'block' } },
  approvals: { ops: { approvers: ['group:ops'] } },
  tools: [
    { tools: ['Bash'], when: [{ path: '$.command', matches: '^ls' }], action: 'allow' },
    {
      tools: ['Bash'],
      when: [{ path: '$.command', matches: '^sudo' }],
      action: 'deny',
      message: 'never as root',
    },
    { tools: ['Bash'], action: 'ask', approval: 'ops' },
    { tools: ['Write'], action: 'rewrite', set: { '$.dryRun': true } },
    { tools: ['Deploy'], agents: ['codex'], action: 'deny' },
  ],
  grants: [
    {
      src: ['*'],
      app: {
        'postern.dev/cap/gateway': [
          {
            role: 'user',
            models: 'openai/*',
            quotas: [{ bucket: 'team:<user>' }, { bucket: 'held' }],
            cache: { scope: 'user', ttl: '5m' },
          },
        ],
      },
    },
  ],
};

function explain(name: string, value?: JsonValue, agent: string | null = null, model = 'gpt-5'): Explanation {
  const { document, problems } = parseGatewayDocument(JSON.stringify(DOCUMENT), {
    source: 'api',
    built: BUILT,
    adminsElsewhere: true,
  });
  assert.deepEqual(
    problems.filter(({ severity }) => severity !== 'note'),
    [],
  );
  const policy = compilePolicy({
    document,
    found: [],
    storedGrants: [],
    tailnet: 't',
    version: 'v',
    built: BUILT,
  });
  const question = {
    name,
    argumentsText: value === undefined ? '' : JSON.stringify(value),
    arguments: value,
    agent,
  };
  return policy.explain(tailnetCaller('alice'), model, undefined, 'auditor', question);
}

test('explain tells what would become of a call, by which rule, and what would change it (issue 3)', () => {
  const cases: readonly (readonly [string, JsonValue | undefined, string | null, string, string | null])[] = [
    ['Bash', { command: 'ls -l' }, null, 'allow', 'tools[0]'],
    ['Bash', { command: 'sudo rm' }, null, 'deny', 'tools[1]'],
    ['Bash', { command: 'make' }, null, 'ask', 'tools[2]'],
    ['Read', {}, null, 'allow', null],
    ['Deploy', {}, 'codex', 'deny', 'tools[4]'],
    ['Deploy', {}, 'claude-code', 'allow', null],
  ];
  for (const [tool, value, agent, action, rule] of cases) {
    const { call } = explain(tool, value, agent);
    assert.deepEqual(
      call?.steps.map((step) => [step.action, step.rule]),
      [[action, rule]],
      tool,
    );
  }
  assert.match(explain('Bash', { command: 'sudo x' }).text, /deny \(by tools\[1\], told "never as root"\)/);
  assert.match(explain('Bash', { command: 'make' }).text, /fix \(admin\): .* approvals "ops".*tools\[2\]/);
  assert.equal(explain('Write', { path: 'a' }).call?.steps[0]?.argumentsText, '{"path":"a","dryRun":true}');
});

test('explain judges a call without known arguments by its strictest reading, and says so', () => {
  const { call, text } = explain('Bash');
  assert.deepEqual([call?.argumentsRead, call?.steps[0]?.action], [false, 'deny']);
  assert.match(text, /arguments unknown/);
});

test('explain has no place for a call of a model that the caller may not use', () => {
  const { call } = explain('Bash', {}, null, 'gpt-9');
  assert.deepEqual([call?.steps, call?.fix.what], [[], 'grant the model first']);
});

test('explain names budgets, guardrails, tool rules and cache, and warns of a budget without reservation', () => {
  const { text } = explain('Bash');
  assert.match(
    text,
    /budgets: team:<user> \(reserve: none, so requests at the same time may overrun it\); held/,
  );
  assert.match(text, /guardrails: keys \(block\)/);
  assert.match(text, /tool rules: tools\[0\]: allow Bash/);
  assert.match(text, /cache: user, 300 s/);
});
