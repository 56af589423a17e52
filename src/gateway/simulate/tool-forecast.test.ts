import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import '../../../test/property-seed.ts';
import type { ToolAction, ToolPolicy } from '../../policy/index.ts';
import type { Caller } from '../../identity/index.ts';
import { compiled, DOCUMENT } from './test-simulation.ts';
import { createToolForecaster, UNGOVERNED } from './tool-forecast.ts';

const ORDER: readonly ToolAction[] = ['allow', 'rewrite', 'ask', 'deny'];

const ALICE: Caller = {
  principal: 'tailscale:userid:alice',
  tailnet: 'home',
  door: 'tailscaled',
  via: null,
  device: null,
  user: { id: 'alice', login: 'alice@example.com', displayName: null },
  groups: [],
  capabilities: new Map(),
  token: null,
};

function toolsOf(rules: readonly object[], own: readonly object[] = []): ToolPolicy | null {
  const grants = [
    {
      src: ['*'],
      app: {
        'postern.dev/cap/gateway': [
          { role: 'user', models: '**', ...(own.length === 0 ? {} : { tools: own }) },
        ],
      },
    },
  ];
  const { snapshot } = compiled({ ...DOCUMENT, tools: rules, grants });
  return snapshot.accessOf(ALICE).grant('openai', 'gpt-5')?.governance?.tools ?? null;
}

const rule = fc.record({
  tools: fc.constantFrom(['Bash'], ['*'], ['Ba*'], ['Read']),
  action: fc.constantFrom('allow', 'ask', 'deny'),
  when: fc.constantFrom(
    undefined,
    [{ path: '$.command', matches: 'rm' }],
    [{ path: '$.command', not_matches: 'ls' }],
    [{ path: '$.force', exists: true }],
  ),
  agents: fc.constantFrom(undefined, undefined, ['codex'], ['claude-*']),
});

/** As a document has them; a label may only make the answer stricter. */
function written(rules: readonly object[]): readonly object[] {
  const plain: readonly Record<string, unknown>[] = rules.map((one) => JSON.parse(JSON.stringify(one)));
  return plain.filter((one) => one['agents'] === undefined || one['action'] !== 'allow');
}

test('property: whatever the arguments are, the decision lies within the forecast', () => {
  fc.assert(
    fc.property(
      fc.array(rule, { minLength: 1, maxLength: 5 }),
      fc.array(rule, { maxLength: 3 }),
      fc.constantFrom('Bash', 'Read', 'Other'),
      fc.constantFrom(null, 'codex', 'claude-code'),
      fc.record({ command: fc.constantFrom('ls', 'rm -rf', 'ls; rm') }, { requiredKeys: [] }),
      fc.boolean(),
      (rules, own, name, agent, some, force) => {
        const tools = toolsOf(written(rules), written(own));
        const value = force ? { ...some, force: true } : some;
        const forecast = createToolForecaster().of(tools, name, agent);
        const action =
          tools?.decide({ name, argumentsText: JSON.stringify(value), arguments: value, agent }).action ??
          'allow';
        const at = ORDER.indexOf(action);
        assert.ok(at >= ORDER.indexOf(forecast.least), `${action} is milder than ${forecast.least}`);
        assert.ok(at <= ORDER.indexOf(forecast.most), `${action} is stricter than ${forecast.most}`);
      },
    ),
    { numRuns: 200 },
  );
});

test('a forecast is sure where no condition decides, and names the rule', () => {
  const tools = toolsOf([
    { tools: ['Bash'], when: [{ path: '$.command', matches: 'rm' }], action: 'deny' },
    { tools: ['Bash'], action: 'allow' },
    { tools: ['Write'], action: 'ask' },
  ]);
  const forecaster = createToolForecaster();
  assert.deepEqual(forecaster.of(tools, 'Bash', null), { least: 'allow', most: 'deny', rule: 'tools[0]' });
  assert.deepEqual(forecaster.of(tools, 'Write', null), { least: 'ask', most: 'ask', rule: 'tools[2]' });
  assert.equal(forecaster.of(tools, 'Read', null), UNGOVERNED);
  assert.equal(forecaster.of(null, 'Bash', null), UNGOVERNED);
  assert.equal(forecaster.of(tools, 'x'.repeat(600), null).least, 'deny');
});
