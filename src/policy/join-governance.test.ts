import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinGovernance } from './govern.ts';
import type { Governance, ToolRule } from './governance.ts';
import { compileToolPolicy } from './tool-policy.ts';

function rule(tool: string, action: ToolRule['action']): ToolRule {
  const none = { src: null, models: null, agents: null, when: [], message: null, set: [] };
  return { ...none, path: `tools.${tool}`, tools: [tool], action, approval: 'default' };
}

function governance(rules: readonly ToolRule[]): Governance {
  const none = { buckets: [], hooks: [], guardrails: [] };
  const cache = { scope: 'user', ttlMs: 1 } as const;
  return { ...none, cache, tools: compileToolPolicy([rules]), needsInspection: rules.length > 0 };
}

const ask = (joined: Governance | null, name: string): string | undefined =>
  joined?.tools?.decide({ name, argumentsText: '{}', arguments: {}, agent: null }).action;

test('of several models every rule holds, whichever comes first, and nothing is cached (DESIGN section 3, step 7)', () => {
  const deny = governance([rule('Bash', 'deny')]);
  const allow = governance([rule('Bash', 'allow'), rule('Read', 'ask')]);
  for (const all of [
    [null, deny, allow],
    [allow, deny, null],
  ]) {
    const joined = joinGovernance(all);
    assert.equal(ask(joined, 'Bash'), 'deny');
    assert.equal(ask(joined, 'Read'), 'ask');
    assert.equal(joined?.cache, null);
    assert.equal(joined?.needsInspection, true);
  }
  assert.equal(joinGovernance([null, null]), null);
  assert.equal(joinGovernance([deny]), deny);
});
